# SPDX-License-Identifier: MIT
"""What holds for every rule: contradictions, what is missing, and how verdicts are shown."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured import RATES, costs, measured, says, stft, term, with_hop

from rtcore.latency.rules import (
    COLUMNS,
    TERM_COLUMNS,
    judge,
    judge_all,
    load_rules,
    table_rows,
    term_rows,
)

FUTURE = ["clarity", "cadenza-causal"]


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.name)
def test_the_whole_file_breaks_every_rule(rule):
    """A whole-file dependence fails with its cause, however little look-ahead was seen."""
    cause = "normalised to the peak of the file"
    compute = costs(512, 0.1, rate=44100)
    measurement = measured(0, rate=44100, hop=1, whole_file=True, cause=cause, compute=compute)
    verdict = judge(rule, measurement)
    assert verdict.holds is False
    assert ("unverified" if rule.status == "unread" else "fail") == verdict.verdict
    assert cause in verdict.reason


@pytest.mark.parametrize("rule", FUTURE)
@pytest.mark.parametrize(
    ("seen", "said", "noise", "expected"),
    [
        (10, 10, 0.0, "pass"),
        (10, 11, 0.0, "pass"),  # the edge of a window may have no weight
        (10, 12, 0.0, "fail"),
        (10, 9, 0.0, "fail"),
        (10, 9, 1e-4, "pass"),
        (10, 8, 1e-4, "fail"),
    ],
)
def test_a_declared_look_ahead_must_be_the_measured_one(rule, seen, said, noise, expected):
    """Where they differ the check fails, with both numbers."""
    verdict = says(rule, measured(seen, lookahead=said, noise_floor=noise))
    assert expected == verdict.verdict
    if expected == "fail":
        assert f"the declared look-ahead is {said} samples, and {seen} were measured" in (
            verdict.reason
        )


@pytest.mark.parametrize(
    ("late", "confidence", "expected"),
    [(110, 1.0, "pass"), (111, 1.0, "pass"), (112, 1.0, "fail"), (108, 0.5, "fail"),
     (108, 0.49, "pass"), (None, 0.0, "pass")],
)  # fmt: skip
def test_a_declared_latency_must_be_the_measured_one(late, confidence, expected):
    """A sample is forgiven, and what was measured without confidence proves nothing."""
    verdict = says("clarity", measured(0, late, confidence=confidence, latency=110))
    assert expected == verdict.verdict
    if expected == "fail":
        assert "the declared latency is 110 samples" in verdict.reason


@pytest.mark.parametrize("late", [0, 200, 960 - 480, 959])
def test_a_declared_frame_says_nothing_of_the_alignment(late):
    """A frame and its future fit a system whose output is late by any amount."""
    measurement = stft(960, 480, late=late, frame=960)
    assert "pass" == says("sig-2024", measurement).verdict


def test_what_is_no_sound_keeps_no_rule():
    """A system that gives NaN is not causal, it is broken."""
    good = measured(0, 0)
    broken = replace(good, lookahead=replace(good.lookahead, faulty_samples=3))
    verdict = says("clarity", broken)
    assert ("pass", "fail") == (says("clarity", good).verdict, verdict.verdict)
    assert "NaN or infinite samples, 3 in one sound" in verdict.reason


def test_a_declared_frame_must_fit():
    """A frame that is longer than what was measured is a contradiction."""
    verdict = says("sig-2024", stft(960, 480, frame=1024))
    assert "the declared look-ahead is 1023 samples, and 959 were measured" in verdict.reason
    assert "fail" == verdict.verdict


@pytest.mark.parametrize(
    ("said", "positions", "expected"),
    [
        (480, (), "pass"),
        (960, (), "pass"),  # two hops at once
        (512, (), "fail"),
        (240, (), "pass"),  # a slower rhythm on top of the hop
        (240, [(1439, 480), (1440, 960)], "fail"),  # the output is renewed every 480 samples
    ],
)
def test_a_declared_hop_must_fit_the_measured_one(said, positions, expected):
    """A hop that the measured period rules out is a contradiction."""
    measurement = measured(959, 0, hop=480, positions=positions)
    assert expected == says("sig-2024", with_hop(measurement, said)).verdict


def test_a_missing_hop_is_named_with_its_remedy():
    """Where no hop is known a rule that counts it stays open, and says what to give."""
    verdict = says("avsec", measured(0, 100, rate=16000))
    assert ("unverified", None) == (verdict.verdict, verdict.holds)
    assert "missing" == term(verdict, "stride").how
    assert "--hop" in verdict.reason
    known = says("avsec", measured(0, 1300, rate=16000))
    assert "fail" == known.verdict


def test_a_missing_delay_is_named_with_its_remedy():
    """Without a delay the sum is open, unless the system declares its frame."""
    quick = costs(160, 1.0, rate=16000)
    verdict = says("avsec", measured(100, None, rate=16000, hop=160, compute=quick))
    assert "unverified" == verdict.verdict
    assert "--frame" in verdict.reason
    told = measured(319, None, rate=16000, hop=160, compute=quick, frame=320)
    verdict = says("avsec", told)
    assert ("pass", 480) == (verdict.verdict, verdict.total_samples)
    assert "declared" == term(verdict, "frame").how


def test_a_delay_without_confidence_leaves_the_sum_open():
    """A guess at the delay is no term; the declared one is."""
    quick = costs(160, 1.0, rate=16000)
    unsure = measured(100, 5, rate=16000, hop=160, compute=quick, confidence=0.2)
    assert "unverified" == says("avsec", unsure).verdict
    said = replace(unsure, declared=replace(unsure.declared, latency_samples=5))
    verdict = says("avsec", said)
    assert ("pass", "declared") == (verdict.verdict, term(verdict, "delay").how)


def test_whole_files_give_no_percentiles():
    """The mean over a file does not show that each frame is in time."""
    measurement = stft(1024, 256, rate=16000, compute=costs(None, 100.0))
    verdict = says("avsec", measurement)
    assert ("unverified", "derived") == (verdict.verdict, term(verdict, "computing").how)
    assert "block by block" in verdict.reason


@pytest.mark.parametrize(
    ("block", "p95", "p999", "ms"),
    [
        (256, 4.0, 6.0, 4.0),
        (512, 4.0, 6.0, 2.0),  # two hops at once: half of it for one
        (64, 4.0, 6.0, 16.0),  # all blocks cost the same: four of them
        (16, 0.1, 9.0, 9.0),  # one block in sixteen does all the work
    ],
)
def test_computing_time_is_brought_to_a_hop(block, p95, p999, ms):
    """Blocks of another size than the hop still say how long a hop takes."""
    timed = costs(block, p95, rate=16000, p999=p999, rtf=p95 * 16 / block)
    verdict = says("avsec", stft(1024, 256, rate=16000, compute=timed))
    assert pytest.approx(ms) == term(verdict, "computing").ms


def test_what_could_have_been_missed_is_told():
    """A pass says how far more could hide, where that would be too far."""
    verdict = says("clarity", measured(200, upper=300))
    assert "pass" == verdict.verdict
    assert "up to 300 samples could have been missed" in verdict.reason
    assert "missed" not in says("clarity", measured(200, upper=210)).reason


def test_noise_is_told():
    """A system whose runs differ is judged with its noise floor beside the verdict."""
    assert "differ by up to 0.00012" in says("clarity", measured(0, noise_floor=1.2e-4)).reason


def test_another_rate_is_told():
    """A limit in ms is judged at any rate, and says for which sounds it is."""
    verdict = says("avsec", measured(0, rate=44100))
    assert "the challenge's sounds have 16000 Hz" in verdict.reason


def test_blocks_that_do_not_show_are_gathered_all_the_same():
    """A filter that is run in blocks waits for a block; seen or declared, it counts once."""
    plain = says("plc-2022", measured(0, 110, hop=1))
    assert 111 == term(plain, "frame + look-ahead").samples
    in_blocks = says("plc-2022", measured(0, 110, hop=1, compute=costs(64, 0.1)))
    assert 174 == term(in_blocks, "frame + look-ahead").samples
    rehosted = says("plc-2022", measured(0, 959, hop=480, compute=costs(64, 0.1)))
    assert 960 == term(rehosted, "frame + look-ahead").samples


@given(
    window=st.integers(1, 2000),
    hop=st.integers(2, 1000),
    future=st.integers(0, 3),
    share=st.floats(0, 1),
    rate=st.sampled_from(RATES),
)
def test_an_stft_is_counted_alike_however_it_is_aligned(window, hop, future, share, rate):
    """Frame, stride and offset follow from window, hop and future frames alone."""
    window = max(window, hop)
    span = window - 1 + future * hop
    measurement = stft(window, hop, future, late=round(share * span), rate=rate)
    framed = span + 1
    assert framed + hop == says("avsec", measurement).total_samples
    assert framed - hop == says("sig-2024", measurement).total_samples
    assert framed == term(says("plc-2022", measurement), "frame + look-ahead").samples


@given(st.integers(-3000, 3000), st.none() | st.integers(-2000, 3000), st.sampled_from(RATES),
       st.none() | st.integers(1, 1000), st.none() | st.integers(1, 1000),
       st.none() | st.floats(0, 100), st.booleans(), st.floats(0, 1))  # fmt: skip
def test_every_measurement_gets_a_verdict(ahead, late, rate, hop, block, p95, whole, sure):
    """Whatever was measured, each rule says something that JSON can hold and that is consistent."""
    compute = None if p95 is None else costs(block, p95, rate=rate)
    m = measured(
        ahead, late, rate=rate, hop=hop, compute=compute, whole_file=whole, confidence=sure
    )
    for rule, verdict in zip(load_rules(), judge_all(load_rules(), m), strict=True):
        assert json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
        assert verdict.reason
        expected = {True: "pass", False: "fail", None: "unverified"}[verdict.holds]
        assert ("unverified" if rule.status == "unread" else expected) == verdict.verdict
        if verdict.holds:
            assert all(c.holds for c in verdict.criteria)
        assert all((t.how == "missing") == (t.ms is None) for t in verdict.terms)


@given(st.integers(0, 3000), st.integers(0, 500), st.sampled_from([1, 16, 441]))
def test_more_look_ahead_never_mends_a_verdict(ahead, more, hop):
    """What fails with some look-ahead fails with more of it."""
    worse = {True: 0, None: 1, False: 2}
    timed = costs(512, 1.0, rate=44100)
    for rule in load_rules():
        less = judge(rule, measured(ahead, rate=44100, hop=hop, compute=timed))
        greater = judge(rule, measured(ahead + more, rate=44100, hop=hop, compute=timed))
        assert worse[less.holds] <= worse[greater.holds]


def test_tables_have_a_row_for_each_verdict_and_term():
    """The rows fit under their headings."""
    verdicts = judge_all(load_rules(), stft(960, 480))
    rows = table_rows(verdicts)
    assert len(load_rules()) == len(rows)
    assert {len(COLUMNS)} == {len(row) for row in rows}
    assert ("clarity", "fail", "959 samples (19.979 ms)", "240 samples (5 ms)") == rows[2][:4]
    terms = term_rows(verdicts)
    assert sum(len(v.terms) for v in verdicts) == len(terms)
    assert {len(TERM_COLUMNS)} == {len(row) for row in terms}


def test_json_has_what_programs_ask_for():
    """A verdict as JSON has its name, its verdict, and each term with how it was obtained."""
    found = says("cec2", measured(0, 110, rate=44100)).to_dict()
    assert ("clarity", "pass") == (found["name"], found["verdict"])
    assert {"name", "samples", "ms", "how"} <= set(found["terms"][0])
