# SPDX-License-Identifier: MIT
"""What each challenge's rule says of systems whose numbers are known."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured import costs, measured, stft

from rtcore.latency.rules import (
    COLUMNS,
    TERM_COLUMNS,
    find_rule,
    judge,
    judge_all,
    load_rules,
    table_rows,
    term_rows,
)

FUTURE = ["clarity", "cadenza-causal"]
RATES = [16000, 32000, 44100, 48000]


def says(rule, measurement):
    """Give the verdict of a rule that has a name."""
    return judge(find_rule(rule), measurement)


def term(verdict, name):
    """Give a term of a verdict."""
    return next(t for t in verdict.terms if t.name == name)


# Future samples: Clarity and Cadenza.


@pytest.mark.parametrize("rule", FUTURE)
@pytest.mark.parametrize(("rate", "most"), [(16000, 80), (32000, 160), (44100, 220), (48000, 240)])
def test_five_milliseconds_are_so_many_samples(rule, rate, most):
    """The last sample within 5 ms passes, and the next one fails."""
    assert "pass" == says(rule, measured(most, rate=rate)).verdict
    assert "fail" == says(rule, measured(most + 1, rate=rate)).verdict
    assert most == says(rule, measured(0, rate=rate)).limit_samples


@pytest.mark.parametrize("rule", FUTURE)
def test_a_linear_phase_filter_passes_with_both_numbers_shown(rule):
    """NAL-R's 221 taps look 0 ahead, and 110 once their delay is taken out."""
    verdict = says(rule, measured(0, 110, rate=44100, hop=1))
    assert ("pass", 0) == (verdict.verdict, verdict.total_samples)
    assert 110 == term(verdict, "aligned look-ahead").samples
    assert 110 == term(verdict, "delay").samples
    assert "derived" == term(verdict, "aligned look-ahead").how


@pytest.mark.parametrize("rule", FUTURE)
def test_a_delay_is_not_needed_for_future_samples(rule):
    """A system whose delay is unknown is judged all the same."""
    verdict = says(rule, measured(100, None))
    assert ("pass", "missing") == (verdict.verdict, term(verdict, "delay").how)


@given(st.integers(-5000, 5000), st.sampled_from(RATES))
def test_future_samples_are_counted_exactly(ahead, rate):
    """The verdict is that of the inequality, for every look-ahead."""
    expected = "pass" if ahead * 1000 <= 5 * rate else "fail"
    assert expected == says("clarity", measured(ahead, rate=rate)).verdict


# The offset without buffering: SIG 2024, with the four examples of its page.


@pytest.mark.parametrize(
    ("measurement", "ms"),
    [
        (stft(960, 480), 10.0),
        (stft(1536, 384), 24.0),
        (measured(479, 0, hop=480), 0.0),  # overlap-save: a block knows itself
        (measured(15, 0, hop=1), 15 / 48),  # a kernel of 16 taps, aligned
        (stft(960, 480, frames_ahead=1), 20.0),
        (stft(960, 480, late=480), 10.0),  # the same STFT, however it is aligned
        (stft(960, 480, late=959), 10.0),
        (measured(0, 110, hop=1), 110 / 48),
    ],
)
def test_the_examples_of_the_sig_challenge(measurement, ms):
    """Its page gives the offset of an STFT, of overlap-save and of a kernel."""
    verdict = says("sig-2024", measurement)
    assert pytest.approx(ms, abs=1e-9) == verdict.total
    ahead = measurement.lookahead.samples
    assert ("pass" if ms <= 20 and ahead <= 960 else "fail") == verdict.verdict


@pytest.mark.parametrize("rate", RATES)
def test_both_criteria_of_the_sig_challenge_are_shown(rate):
    """The offset may be small while the organisers' tool sees too much, and the other way."""
    most = rate // 50
    tool = says("sig-2024", measured(most + 1, 0, hop=2 * most, rate=rate))
    assert ("fail", [True, False]) == (tool.verdict, [c.holds for c in tool.criteria])
    offset = says("sig-2024", measured(0, most + 1, hop=1, rate=rate))
    assert ("fail", [False, True]) == (offset.verdict, [c.holds for c in offset.criteria])
    assert "pass" == says("sig-2024", measured(0, most, hop=1, rate=rate)).verdict
    assert "pass" == says("sig-2024", measured(most, 0, hop=1, rate=rate)).verdict


def test_a_declared_hop_does_not_hide_an_offset():
    """Only what was seen is taken off: a long declared hop makes no offset smaller."""
    verdict = says("sig-2024", _with_hop(measured(900, 100, hop=1), 900))
    assert ("fail", 1000) == (verdict.verdict, verdict.total_samples)


def test_an_offset_is_open_where_only_a_hop_could_make_it_small_enough():
    """Without any hop the offset is at most the whole sum: enough to pass, not to fail."""
    assert "pass" == says("sig-2024", measured(900, 0)).verdict
    verdict = says("sig-2024", measured(900, 100))
    assert ("unverified", None) == (verdict.verdict, verdict.holds)
    assert "--hop" in verdict.reason


def _with_hop(measurement, hop):
    return replace(measurement, declared=replace(measurement.declared, hop_samples=hop))


# Frame + stride + look-ahead: AVSEC, track 3.


@pytest.mark.parametrize("rate", RATES)
def test_the_example_of_the_avsec_challenge(rate):
    """A frame of 64 ms and a stride of 16 ms are just allowed; a sample more is not."""
    most = 80 * rate // 1000
    stride = 16 * rate // 1000
    frame = most - stride
    quick = costs(stride, 5.0, rate=rate)
    for late in (0, frame - stride, frame - 1):
        measurement = stft(frame, stride, late=late, rate=rate, compute=quick)
        verdict = says("avsec-3", measurement)
        assert ("pass", most) == (verdict.verdict, verdict.total_samples)
    more = stft(frame + 1, stride, rate=rate, compute=quick)
    assert "fail" == says("avsec-4", more).verdict


def test_a_frame_must_be_processed_within_a_stride():
    """Computing must take less than the stride: as long is too long."""
    for p95, expected in ((15.999, "pass"), (16.0, "fail"), (17.0, "fail")):
        measurement = stft(1024, 256, rate=16000, compute=costs(256, p95, rate=16000))
        verdict = says("avsec", measurement)
        assert expected == verdict.verdict
        assert p95 == term(verdict, "computing").ms


def test_the_spare_time_may_be_future():
    """Frame 32 ms and stride 8 ms leave 40 ms of future frames."""
    quick = costs(128, 1.0, rate=16000)
    assert "pass" == says("avsec", stft(512, 128, 5, rate=16000, compute=quick)).verdict
    assert "fail" == says("avsec", stft(512, 128, 6, rate=16000, compute=quick)).verdict


def test_the_declared_frame_is_a_term_of_its_own():
    """Where the frame is declared the table shows it apart from what is waited for after it."""
    measurement = stft(512, 128, 2, rate=16000, frame=512, future=256)
    verdict = says("avsec", measurement)
    parts = {t.name: (t.samples, t.how) for t in verdict.terms if t.counts}
    assert {
        "frame": (512, "declared"),
        "look-ahead after the frame": (256, "derived"),
        "stride": (128, "measured"),
    } == parts


@pytest.mark.parametrize("convention", ["avsec", "plc-2022", "clarity", "sig-2024"])
def test_the_terms_that_count_add_up_to_the_total(convention):
    """What the table marks as counted is the total, in ms."""
    measurement = stft(512, 128, 2, rate=16000, frame=512, future=256)
    measurement = replace(measurement, compute=costs(128, 2.0, rate=16000))
    verdict = says(convention, measurement)
    assert pytest.approx(verdict.total) == sum(t.ms for t in verdict.terms if t.counts)


# Frame + look-ahead + computing: the challenges for packet loss, whose rules were not read.


@pytest.mark.parametrize("rule", ["plc-2022", "plc-2024"])
@pytest.mark.parametrize("rate", RATES)
def test_the_accepted_sum_holds_and_stays_unverified(rule, rate):
    """10 + 5 + 2.58 ms was accepted; 10 + 5 + 5 ms is the limit, and more is too much."""
    hop, frame = rate // 100, rate * 15 // 1000
    for p95, holds in ((2.58, True), (5.0, True), (5.02, False)):
        # A causal network on frames of 10 ms that waits for half a frame more.
        verdict = says(rule, stft(frame, hop, rate=rate, compute=costs(hop, p95, rate=rate)))
        assert ("unverified", holds) == (verdict.verdict, holds)
        assert holds is verdict.holds
        assert pytest.approx(1000 * frame / rate + p95) == verdict.total
        assert "could not be read" in verdict.reason
        assert ("is kept" if holds else "is broken") in verdict.reason


def test_an_unread_rule_stays_unverified_whatever_was_found():
    """A whole-file dependence breaks the known limit, and the verdict stays open."""
    verdict = says("plc-2022", measured(10**6, whole_file=True))
    assert ("unverified", False) == (verdict.verdict, verdict.holds)


def test_without_computing_time_too_much_is_too_much():
    """Known terms that alone exceed the limit decide; others leave it open."""
    assert says("plc-2022", stft(961, 480)).holds is False
    verdict = says("plc-2022", stft(960, 480))
    assert verdict.holds is None
    assert "missing" == term(verdict, "computing").how


# Packets: music.


def packets(offset=0, hop=512, count=12, at_border=True):
    """Give the experiments on a system that renews its output every `hop` samples."""
    ats = [k * 512 - (0 if at_border else 7) for k in range(20, 20 + count)]
    return [(at, (at - offset) // hop * hop + offset) for at in ats]


def music(ahead, late=0, most=5.0, **more):
    """Judge a system that took `most` ms for a packet."""
    timed = costs(512, 1.0, rate=44100, most=most)
    return says("music-plc", measured(ahead, late, rate=44100, compute=timed, **more))


def test_a_packet_may_know_itself():
    """Up to 511 samples are within a packet, where the packets begin with the file."""
    verdict = music(511, hop=512, positions=packets())
    assert ("pass", 0) == (verdict.verdict, verdict.total_samples)
    assert "fail" == music(512, hop=512, positions=packets()).verdict


@pytest.mark.parametrize("ahead", [-512, -1, 0])
def test_a_causal_system_knows_no_later_packet(ahead):
    """What looks at nothing later needs no position at the border of a packet."""
    assert "pass" == music(ahead, hop=1).verdict


def test_a_packet_may_not_know_the_next_one():
    """A change at a packet's first sample may not show in the packet before."""
    verdict = music(300, hop=1, positions=[(512 * 30, 512 * 30 - 300)])
    assert ("fail", 300) == (verdict.verdict, verdict.total_samples)
    shifted = music(511, hop=512, positions=packets(offset=100))
    assert ("fail", 412) == (shifted.verdict, shifted.total_samples)


def test_borders_must_have_been_tried():
    """A look-ahead within a packet says nothing where no border was tried."""
    verdict = music(511, hop=512, positions=packets(at_border=False))
    assert ("unverified", None) == (verdict.verdict, verdict.holds)
    assert "try more --positions" in verdict.reason
    few = music(499, hop=500, positions=[(512 * 500, 512 * 500)])
    assert "unverified" == few.verdict


@pytest.mark.parametrize(("most", "expected"), [(11.599, "pass"), (11.6, "fail"), (12.0, "fail")])
def test_the_slowest_packet_must_be_in_time(most, expected):
    """Less than 11.6 ms, for every packet."""
    assert expected == music(0, hop=1, most=most).verdict


def test_packets_need_their_own_rate():
    """A rule in samples is not turned into another rate."""
    timed = costs(512, 1.0)
    verdict = says("music-plc", measured(0, rate=48000, hop=1, compute=timed))
    assert ("unverified", None) == (verdict.verdict, verdict.holds)
    assert "44100 Hz" in verdict.reason


# What holds for every rule.


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
    assert expected == says("sig-2024", _with_hop(measurement, said)).verdict


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
