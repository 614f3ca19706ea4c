# SPDX-License-Identifier: MIT
"""The delay of systems whose delay is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, fftconvolve, firwin, lfilter, medfilt, resample_poly

from rtcore import Chain, Listener
from rtcore.errors import RtcoreError
from rtcore.host import all_plugins
from rtcore.latency import probes
from rtcore.latency.delay import delay_between, measure_delay
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.result import Declared, Measurement
from rtcore.latency.systems.base import ChainSystem, System
from rtcore.presets import hearing_aid

RATE = 48000
CHAINS = Path(__file__).parent.parent.parent / "examples" / "chains"


class Planted(System):
    """A function of (channels, frames) as a system."""

    kind = "callable"

    def __init__(self, function, *, channels=1, rate=RATE):
        super().__init__("planted", rate, channels, Declared())
        self.function = function
        self.runs = 0

    def run(self, x):
        self.runs += 1
        return self.function(x)


def late(x, by):
    """Delay by whole samples; less than 0 is early."""
    y = np.zeros_like(x)
    if by >= 0:
        y[:, by:] = x[:, : x.shape[1] - by]
    else:
        y[:, :by] = x[:, -by:]
    return y


def filtered(x, taps):
    """Convolve and keep the length."""
    return np.stack([fftconvolve(row, taps)[: row.size] for row in x])


def sinc(by, taps=2000):
    """Make the taps of a delay by any number, up to the middle of the taps."""
    return np.sinc(np.arange(taps) - by)


def delay_of(function, **kwargs):
    """Measure a function."""
    return measure_delay(Planted(function, **kwargs), seconds=0.4)


some = settings(max_examples=12)
whole = st.integers(-3000, 3000)
gains = st.floats(0.01, 4.0).flatmap(lambda gain: st.sampled_from([gain, -gain]))


@some
@given(by=whole, gain=gains, seed=st.integers(0, 99))
def test_whole_delays_are_exact(by, gain, seed):
    """A delay and a gain of either sign are found to the sample, early ones too."""
    system = Planted(lambda x: gain * late(x, by))
    delay = measure_delay(system, seconds=0.3, seed=seed)
    assert by == delay.samples
    assert 0.999 < delay.confidence <= 1.0
    assert {"impulse", "correlation", "group_delay"} == set(delay.by)


@pytest.mark.parametrize("by", [13000, 48000, 150000])
def test_seconds_of_delay(by):
    """A delay that is longer than the first probes' silence is as exact, in twice the runs."""
    system = Planted(lambda x: late(x, by))
    delay = measure_delay(system)
    assert by == delay.samples
    assert 0.999 < delay.confidence
    assert 6 == system.runs


def test_common_delay_takes_three_runs():
    """One run a probe is enough where something comes through."""
    system = Planted(lambda x: late(x, 100))
    measure_delay(system)
    assert 3 == system.runs


@some
@given(by=st.integers(1, 9), base=st.integers(0, 400), gain=gains)
def test_parts_of_a_sample(by, base, gain):
    """A delay by tenths of a sample is found to a hundredth."""
    delay = delay_of(lambda x: gain * filtered(x, sinc(500 + base + by / 10)))
    assert abs(500 + base + by / 10 - delay.samples) < 0.01
    assert 0.99 < delay.confidence


@some
@given(
    taps=st.integers(2, 900), kind=st.sampled_from(["low", "high", "random", "antisymmetric"]),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_linear_phase_is_exact(taps, kind, seed):
    """A filter that is its own mirror image is late by its middle, a half included."""
    h = np.random.default_rng(seed).standard_normal(taps)
    if kind == "low":
        h = firwin(taps, 0.3)
    elif kind == "high":
        h = firwin(taps + 1 - taps % 2, 0.1, pass_zero=False)
    else:
        h = h + h[::-1] if kind == "random" else h - h[::-1]
    delay = delay_of(lambda x: 0.1 * filtered(x, h))
    assert (h.size - 1) / 2 == delay.samples
    assert delay.method.startswith("group_delay: ")


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        (lambda x: np.tanh(10.0 * x), 0.8),
        (np.sign, 0.5),
        (lambda x: np.clip(x, -0.05, 0.05), 0.7),
        (lambda x: np.where(np.abs(x) > 0.15, x, 0.0), 0.5),
        (lambda x: np.round(x * 128.0) / 128.0, 0.99),
        (lambda x: np.abs(x) * x, 0.6),
    ],
    ids=["tanh", "sign", "clip", "gate", "eight bits", "expander"],
)
@settings(max_examples=4)
@given(by=st.integers(-500, 5000))
def test_through_non_linear_shapes(shape, least, by):
    """What bends the samples does not move them."""
    delay = delay_of(lambda x: late(shape(x), by))
    assert by == delay.samples
    assert least < delay.confidence < 1.0


@some
@given(by=st.integers(0, 500), hop=st.sampled_from([64, 160, 256]), seed=st.integers(0, 99))
def test_through_frames_with_random_gains(by, hop, seed):
    """Frames whose frequencies get new gains at each hop do not hide the delay."""
    window = np.sqrt(0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * hop) + 0.5) / hop))

    def stft(x):
        rng = np.random.default_rng(seed)
        padded = np.pad(x[0], 2 * hop)
        y = np.zeros(padded.size + 2 * hop)
        for at in range(0, padded.size - 2 * hop, hop):
            spectrum = np.fft.rfft(window * padded[at : at + 2 * hop])
            shaped = spectrum * rng.uniform(0.0, 1.0, spectrum.size)
            y[at : at + 2 * hop] += window * np.fft.irfft(shaped, 2 * hop)
        return late(y[np.newaxis, : x.shape[1]], by)

    delay = delay_of(stft)
    assert 2 * hop + by == delay.samples
    assert 0.6 < delay.confidence < 0.95


@pytest.mark.parametrize("level", [1e-4, 0.01, 0.1])
def test_through_dither(level):
    """Noise of the system's own lowers the confidence and not the exactness."""
    rng = np.random.default_rng(0)
    delay = delay_of(lambda x: late(x, 33) + level * rng.standard_normal(x.shape))
    assert 33 == delay.samples
    # The share that noise of RMS 0.1 leaves of itself and the dither, or more where speech wins.
    assert 0.9 * 0.01 / (0.01 + level**2) < delay.confidence < 1.0


@pytest.mark.parametrize("by", [0, 101])
def test_through_a_narrower_band(by):
    """A model at a third of the rate leaves a third of the band, and the delay as it was."""

    def model(x):
        low = resample_poly(late(x, by), 1, 3, axis=1)
        return resample_poly(low, 3, 1, axis=1)[:, : x.shape[1]]

    delay = delay_of(model)
    assert abs(by - delay.samples) < 0.05
    assert 0.9 < delay.confidence


@pytest.mark.parametrize(
    ("b", "a", "samples"),
    [
        (*butter(2, 100 / 24000, "high"), 0),
        (*butter(1, 1000 / 24000, "high"), 0),
        ([0.05, 1.0], [1.0, 0.05], 1),
        ([1.0, 0.5, 0.25, 0.125], [1.0], 0),
        ([1.0], [1.0, -0.7], 0),
    ],
    ids=["high-pass", "steep start", "all-pass", "short filter", "leaky"],
)
def test_other_filters_by_their_peak(b, a, samples):
    """A filter without linear phase is late by the peak of its response."""
    delay = delay_of(lambda x: late(lfilter(b, a, x), 40))
    assert 40 + samples == round(delay.samples)
    assert abs(delay.samples - 40 - samples) < 0.25
    assert 0.9 < delay.confidence


def test_group_delay_over_frequency():
    """The group delay of an all-pass follows its formula where the output is coherent."""
    pole = 0.6
    delay = delay_of(lambda x: late(lfilter([pole, 1.0], [1.0, pole], x), 25))
    omega = 2.0 * np.pi * np.array(delay.frequency_hz) / RATE
    expected = 25 + (1 - pole**2) / (1 + pole**2 + 2 * pole * np.cos(omega))
    np.testing.assert_allclose(delay.group_delay_samples, expected, atol=0.01)
    assert 0.99 < min(delay.coherence)
    assert delay.method.startswith("correlation: ")
    assert (0.0, RATE / 2) == (delay.frequency_hz[0], delay.frequency_hz[-1])
    assert abs(np.median(expected) - delay.by["group_delay"]) < 0.02


def test_coherence_tells_the_band():
    """The coherence is high where the delayed input is, and low where only noise is."""
    rng = np.random.default_rng(3)
    low = firwin(201, 0.25)
    delay = delay_of(lambda x: filtered(x, low) + 0.01 * rng.standard_normal(x.shape))
    coherence = np.array(delay.coherence)
    inside = np.array(delay.frequency_hz) < 4000
    outside = np.array(delay.frequency_hz) > 9000
    assert 100 == delay.samples
    assert coherence[inside].min() > 0.9
    assert np.median(coherence[outside]) < 0.3


def frames_of_speech(x):
    """Let pass what has most of its energy below 1.5 kHz, 120 samples late; no noise does."""
    y = np.zeros_like(x)
    low = lfilter(*butter(4, 1500 / 24000), x[0])
    for at in range(0, x.shape[1] - 960, 960):
        part = slice(at, at + 960)
        if np.sum(low[part] ** 2) > 0.5 * np.sum(x[0, part] ** 2):
            y[0, part] = x[0, part]
    return late(y, 120)


def test_speech_where_nothing_else_comes_through():
    """A system that suppresses noise and impulses is measured by speech."""
    delay = measure_delay(Planted(frames_of_speech))
    assert 120 == delay.samples
    assert "response to speech" in delay.method
    assert "impulse" not in delay.by


def test_impulses_where_nothing_else_comes_through():
    """A system that lets only large peaks pass is measured by impulses, with less confidence."""
    delay = delay_of(lambda x: late(np.where(np.abs(x) > 0.6, x, 0.0), 20))
    assert (20, "impulse: only impulses come through") == (delay.samples, delay.method)
    assert 0.5 == delay.confidence


@pytest.mark.parametrize(
    ("matrix", "by"),
    [
        ([[1.0], [1.0]], 7),
        ([[0.0], [0.5]], 7),
        ([[1.0, 1.0], [1.0, -1.0]], 30),
        ([[1.0, -1.0]], 5),
        ([[0.0, 1.0], [0.0, 0.0], [0.0, -0.1]], 11),
        (np.full((1, 8), 0.125).tolist(), 3),
    ],
)
def test_channels_that_are_mixed(matrix, by):
    """Mono to stereo, stereo to mono, any matrix: the output with most of the input counts."""
    gains = np.array(matrix)
    delay = delay_of(lambda x: late(gains @ x, by), channels=gains.shape[1])
    assert by == delay.samples
    assert 0.999 < delay.confidence


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: 0.0 * x, "the output is silent"),
        (lambda x: x * np.nan, "NaN or infinite"),
        (lambda x: 0.0 * x + 0.5, "nothing of the probe"),
        (lambda x: np.random.default_rng(1).standard_normal(x.shape), "nothing of the probe"),
        (lambda x: 0.0 * x + np.sin(0.3 * np.arange(x.shape[1])), "nothing of the probe"),
    ],
    ids=["silence", "nan", "constant", "noise", "tone"],
)
def test_no_delay_to_find(function, why):
    """Where nothing comes through there is no delay, and the reason is told."""
    delay = delay_of(function)
    assert 0.0 == delay.confidence
    assert delay.method.startswith("not measurable: ")
    assert why in delay.method
    system = Planted(late)
    ahead = measure_lookahead(Planted(lambda x: late(x, 3)))
    told = Measurement("x", "callable", RATE, 1, system.declared, ahead, delay)
    assert (None, None) == (told.latency_samples, told.aligned_lookahead_samples)


def test_confidence_tells_how_much_is_explained():
    """Half of the output's energy from elsewhere leaves half of the confidence."""
    rng = np.random.default_rng(5)

    def half(x):
        power = np.convolve(x[0] ** 2, np.ones(256) / 256, "same")
        return late(x + np.sqrt(power) * rng.standard_normal(x.shape), 77)

    delay = delay_of(half)
    assert 77 == delay.samples
    assert 0.45 < delay.confidence < 0.6


def test_confidence_tells_of_two_arrivals():
    """Two equal arrivals leave the methods apart, and the confidence low."""
    one = delay_of(lambda x: late(x, 10))
    two = delay_of(lambda x: late(x, 10) + late(x, 910))
    assert 460 == two.samples
    assert 0.3 < two.confidence < 0.8 < one.confidence


PROBES = {
    "mls": probes.mls(30000),
    "noise": probes.noise(30000),
    "chirp": probes.chirp(30000, sample_rate=RATE),
    "speech": probes.speech(48000, sample_rate=RATE),
    "impulses": probes.impulses(),
}


@pytest.mark.parametrize("name", PROBES)
@settings(max_examples=6)
@given(by=st.floats(-900, 900), gain=gains, extra=st.integers(0, 2000))
def test_between_two_sounds(name, by, gain, extra):
    """Any probe tells by how much a recording is late, at any length, to a twentieth."""
    x = np.pad(PROBES[name], 1100)
    y = gain * fftconvolve(x, sinc(1000 + by))[1000 : 1000 + x.size + extra]
    delay = delay_between(x, y, sample_rate=RATE)
    assert abs(by - delay.samples) < (0.05 if name == "chirp" else 0.01)
    assert 0.9 < delay.confidence


def test_between_channels():
    """The output that carries the most counts, whichever input it is of."""
    x = np.random.default_rng(2).standard_normal((2, 20000)) * [[0.1], [0.2]]
    y = np.stack([np.random.default_rng(4).standard_normal(20000), late(x, 61)[0]])
    delay = delay_between(x, y, sample_rate=RATE)
    assert 61 == delay.samples
    assert 0.99 < delay.confidence


@pytest.mark.parametrize(("most", "expected"), [(None, 3000), (3000, 3000), (2999, 400), (100, 10)])
def test_no_more_than_asked_for(most, expected):
    """A louder copy beyond the largest delay that is asked for is left alone."""
    x = np.pad(probes.noise(20000), (0, 4000))[np.newaxis]
    y = 0.2 * late(x, 10) + 0.5 * late(x, 400) + late(x, 3000)
    delay = delay_between(x, y, sample_rate=RATE, max_samples=most)
    assert expected == round(delay.by["correlation"])


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (np.ones(100), np.ones(20000), "the input has 100 samples"),
        (np.ones(20000), np.ones(0), "the output has 0 samples"),
        (np.zeros(20000), np.ones(20000), "the input is silent"),
        (probes.mls(20000), np.zeros(20000), "the output is silent"),
        (probes.mls(20000), np.full(20000, np.inf), "the output has samples that are NaN"),
        (probes.mls(20000), probes.noise(20000, seed=3), "nothing of the probe"),
        (np.eye(1, 20000)[0], probes.noise(20000, seed=3), "nothing of the probe"),
    ],
)
def test_nothing_between_two_sounds(x, y, why):
    """What cannot be compared is told."""
    delay = delay_between(x, y, sample_rate=RATE)
    assert 0.0 == delay.confidence
    assert why in delay.method


@pytest.mark.parametrize("name", PROBES)
def test_probes_are_sound(name):
    """Each probe is finite, within full scale, and sounds."""
    sound = PROBES[name]
    assert np.isfinite(sound).all()
    assert 0.001 < np.sqrt(np.mean(sound**2))
    assert 1.0 >= np.abs(sound).max()


def test_mls_is_white():
    """A whole maximum-length sequence correlates with itself only where it meets itself."""
    sound = probes.mls(2**12 - 1, level=1.0)
    own = np.fft.irfft(np.abs(np.fft.rfft(sound)) ** 2, sound.size)
    assert 2**12 - 1 == round(own[0])
    np.testing.assert_allclose(own[1:], -1.0, atol=1e-6)


#: First-party plugins are measured with these settings too, beside their defaults.
VARIANTS = {
    "compressor": [{"linked": True, "threshold": 0.1, "rms_buffer_s": 0.003, "attack_ms": 2.0}],
    # It delays on purpose, and declares that as latency for the sake of branches beside it.
    "delay": [{"delay_frames": 137}, {"delay_ms": 3.3}, {"delay_ms": 2000.0}],
    "fir": [{"taps": [0.1, -0.4, 1.0, -0.4, 0.1]}, {"taps": [1.0, 0.5, 0.25, 0.125]}],
    "gain": [{"gain_db": -60.0}, {"gain_db": 20.0}],
    "limiter": [{"lookahead_ms": 0.0}, {"lookahead_ms": 5.0, "ceiling_db": -30.0}],
    "mix": [{"preset": "mono"}, {"gains": [[1.0], [0.3], [-0.7]]}, {"preset": "mid_side"}],
    "nalr": [{"audiogram": "S3", "nfir": 64}, {"audiogram": "N7", "nfir": 1022}],
    "softclip": [{"shape": "cubic"}],
}


def played():
    """Give each plugin with each of its settings in each stream that takes it."""
    for info in all_plugins():
        if info.origin != "first-party":
            continue
        assert info.cls is not None, info.error
        for number, chosen in enumerate([{}, *VARIANTS.get(info.id, [])]):
            for channels in (1, 2):
                try:
                    plugin = info.cls(**chosen)
                    Chain([plugin], sample_rate=44100, channels=channels)
                except RtcoreError:
                    continue  # mono to mid and side, and the like
                yield pytest.param(info.cls, chosen, channels, id=f"{info.id}{number}-{channels}")


@pytest.mark.parametrize(("cls", "chosen", "channels"), list(played()))
def test_plugins_declare_what_is_measured(cls, chosen, channels):
    """Every plugin of ours is as late as it says."""
    chain = Chain([cls(**chosen)], sample_rate=44100, channels=channels)
    delay = measure_delay(ChainSystem(chain, cls.id), seconds=0.4)
    assert chain.latency_frames == round(delay.samples)
    assert 0.6 < delay.confidence


@pytest.mark.parametrize("file", sorted(CHAINS.glob("*.toml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_examples_declare_what_is_measured(file, dtype):
    """Every example's chain is as late as it says."""
    chain = Chain.from_toml(file, sample_rate=44100, channels=2, dtype=dtype)
    delay = measure_delay(ChainSystem(chain, file.stem), seconds=0.4)
    assert chain.latency_frames == delay.samples
    assert 0.9 < delay.confidence


@pytest.mark.parametrize("audiogram", ["N1", "N7"])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 2)])
def test_hearing_aids_declare_what_is_measured(audiogram, rate, channels):
    """A hearing aid for anybody, at any rate, is as late as it says."""
    listener = Listener.standard(audiogram)
    elements = hearing_aid(listener, sample_rate=rate, channels=channels)
    chain = Chain(elements, sample_rate=rate, channels=channels)
    delay = measure_delay(ChainSystem(chain, audiogram), seconds=0.4)
    assert chain.latency_frames == delay.samples
    assert 0.9 < delay.confidence


@pytest.mark.parametrize("width", [5, 51])
def test_a_median_filter_is_not_late(width):
    """Speech that a few taps explain does not outdo the linear phase that noise shows."""
    assert 0 == delay_of(lambda x: medfilt(x, (1, width))).samples


def test_the_signs_of_a_moving_sum():
    """Half the length of a moving sum is its delay, also where only the signs are left."""
    delay = delay_of(lambda x: np.sign(filtered(x, np.ones(41))))
    assert 20 == delay.samples
    assert 0.3 < delay.confidence < 0.7
