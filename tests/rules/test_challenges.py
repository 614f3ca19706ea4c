# SPDX-License-Identifier: MIT
"""What each challenge's rule says of systems whose numbers are known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured import RATES, costs, measured, says, stft, term, with_hop

FUTURE = ["clarity", "cadenza-causal"]


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
    verdict = says("sig-2024", with_hop(measured(900, 100, hop=1), 900))
    assert ("fail", 1000) == (verdict.verdict, verdict.total_samples)


def test_an_offset_is_open_where_only_a_hop_could_make_it_small_enough():
    """Without any hop the offset is at most the whole sum: enough to pass, not to fail."""
    assert "pass" == says("sig-2024", measured(900, 0)).verdict
    verdict = says("sig-2024", measured(900, 100))
    assert ("unverified", None) == (verdict.verdict, verdict.holds)
    assert "--hop" in verdict.reason


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
