# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rtcore import Chain, ConfigError, ParameterError
from rtcore.plugins import Compressor

oracle = pytest.importorskip(
    "clarity.enhancer.compressor",
    reason="pyclarity is not installed: pip install --no-deps pyclarity",
)

PARAMETERS = st.fixed_dictionaries(
    {
        "threshold": st.floats(0.001, 2.0),
        "attenuation": st.floats(0.0, 1.0),
        "attack_ms": st.floats(0.5, 500.0),
        "release_ms": st.floats(0.5, 5000.0),
        "rms_buffer_s": st.floats(0.001, 0.2),
        "makeup": st.floats(0.0, 10.0),
    }
)


def theirs(x, sample_rate, parameters):
    """Run pyclarity's compressor; give its output and RMS."""
    names = {
        "attack_ms": "attack",
        "release_ms": "release",
        "rms_buffer_s": "rms_buffer_size",
        "makeup": "makeup_gain",
    }
    words = {names.get(key, key): value for key, value in parameters.items()}
    results = [oracle.Compressor(fs=sample_rate, **words).process(channel)[:2] for channel in x]
    return np.stack([y for y, _ in results]), np.stack([rms for _, rms in results])


def speechlike(seed, frames, level):
    """Make noise whose level wanders over 60 dB."""
    rng = np.random.default_rng(seed)
    levels = 10.0 ** rng.uniform(-2.5, 0.5, frames // 400 + 2)
    hull = np.interp(np.arange(frames), 400 * np.arange(levels.size), levels)
    return level * hull * rng.standard_normal((2, frames))


@settings(max_examples=40, deadline=None)
@given(
    PARAMETERS,
    st.sampled_from([8000.0, 16000.0, 44100.0, 48000.0, 96000.0]),
    st.integers(0, 10**6),
    st.integers(1, 700),
)
def test_equals_pyclarity_in_float64(parameters, sample_rate, seed, block):
    """Output and oracle agree within 1e-10 for any parameters, rates, sounds and blocks."""
    assume(int(parameters["rms_buffer_s"] * sample_rate) >= 1)
    x = speechlike(seed, 6000, 0.5)
    expected, rms = theirs(x, sample_rate, parameters)
    assume(np.abs(rms - parameters["threshold"]).min() > 1e-12)  # else rounding decides
    chain = Chain([Compressor(**parameters)], sample_rate=sample_rate, dtype="float64")
    y = np.concatenate([chain.process(x[:, k : k + block]) for k in range(0, 6000, block)], axis=1)
    assert np.abs(y - expected).max() < 1e-10


@settings(max_examples=20, deadline=None)
@given(PARAMETERS, st.integers(0, 10**6))
def test_equals_pyclarity_in_float32(parameters, seed):
    """In single precision the difference stays below 1e-4 of full scale."""
    x = speechlike(seed, 6000, 0.3).astype(np.float32)
    expected, rms = theirs(x.astype(float), 44100.0, parameters)
    assume(np.abs(rms - parameters["threshold"]).min() > 1e-6)
    y = Chain([Compressor(**parameters)], sample_rate=44100).process(x)
    assert np.abs(y - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())


def test_the_official_rms():
    """The number that the original's own test asserts: RMS of 1 to 10 with its defaults."""
    x = np.arange(1.0, 11.0)
    _, rms = theirs(x[np.newaxis], 44100.0, {})
    assert 0.9799197751960967 == pytest.approx(rms.sum(), abs=1e-12)
    words = {"attack_ms": 5.0, "release_ms": 20.0, "threshold": 1.0, "attenuation": 1e-4}
    expected, _ = theirs(x[np.newaxis], 44100.0, {**words, "rms_buffer_s": 0.2})
    compressor = Compressor(**words, rms_buffer_s=0.2)
    y = Chain([compressor], sample_rate=44100, channels=1, dtype="float64").process(x)
    assert np.abs(y - expected[0]).max() < 1e-10


@pytest.mark.parametrize(
    ("level", "out"), [(0.349, 0.349), (0.351, 0.1231), (1.0, 0.415), (4.0, 2.86)]
)
def test_static_curve(level, out):
    """The settled output has the level of the copied law: it jumps down and then expands."""
    x = level * np.sqrt(2.0) * np.sin(2 * np.pi * 1000.0 / 44100.0 * np.arange(44100 * 2))
    y = Chain([Compressor()], sample_rate=44100, channels=1, dtype="float64").process(x)
    assert out == pytest.approx(np.sqrt(np.mean(y[-44100:] ** 2)), rel=3e-3)


def test_attack_and_release_times():
    """The gain covers 63 % of its way in one time constant, down and up again."""
    rate = 48000
    x = np.concatenate([np.ones(rate), np.full(rate, 0.01)])
    chain = Chain(
        [Compressor(rms_buffer_s=1.5 / rate)], sample_rate=rate, channels=1, dtype="float64"
    )
    gain = chain.process(x) / x
    target = 0.1 + 0.9 * 0.35
    assert 1.0 + (target - 1.0) * (1.0 - np.exp(-1.0)) == pytest.approx(gain[2400 - 1], abs=1e-3)
    lowest = gain[rate - 1]
    later = gain[rate + rate // 2 - 1]
    assert 1.0 + (lowest - 1.0) * np.exp(-0.5) == pytest.approx(later, abs=1e-3)


def test_rounding_errors_do_not_gather():
    """After a very loud stretch and ten minutes of sound the gain is that of a fresh compressor."""
    rng = np.random.default_rng(0)
    loud, quiet = 1e6 * rng.standard_normal((1, 48000)), 0.4 * rng.standard_normal((1, 48000))
    used, fresh = (Chain([Compressor()], channels=1, dtype="float64") for _ in range(2))
    used.process(loud)
    for chain in (used, fresh):
        for _ in range(600):
            chain.process(quiet)
    after_loud, after_quiet = (chain.nodes[0].node.buffer("sums")[0, 0] for chain in (used, fresh))
    exact = np.sum(used.nodes[0].node.buffer("squares"))
    assert exact == pytest.approx(after_loud, rel=1e-12)
    assert exact == pytest.approx(after_quiet, rel=1e-12)


def test_channels_are_independent_unless_linked():
    """A loud left ear leaves the right one alone; linked, both get the gain of the louder one."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.standard_normal(20000), 0.01 * rng.standard_normal(20000)])
    apart = Chain([Compressor()], dtype="float64").process(x)
    linked = Chain([Compressor(linked=True)], dtype="float64").process(x)
    assert np.array_equal(x[1], apart[1])
    assert np.array_equal(apart[0], linked[0])
    np.testing.assert_allclose(linked[1] / x[1], linked[0] / x[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"attack_ms": 0}, "attack_ms: must be at least 0.1 ms, got 0"),
        ({"threshold": -1}, "threshold: must be at least 0, got -1"),
        ({"attenuation": 1.5}, "attenuation: must be at most 1, got 1.5"),
        ({"linked": 1}, "linked: must be a bool, got 1"),
        ({"makeup": "loud"}, "makeup: must be a number, got 'loud'"),
    ],
)
def test_refuses(chosen, sentence):
    """A wrong value gives one sentence."""
    with pytest.raises(ParameterError) as caught:
        Compressor(**chosen)
    assert sentence == str(caught.value)


def test_refuses_a_window_of_no_frames():
    """A window shorter than a frame gives one sentence with its place in the chain."""
    with pytest.raises(ConfigError) as caught:
        Chain([Compressor(rms_buffer_s=0.0)])
    expected = (
        "plugin[0].compressor.rms_buffer_s: must hold at least one frame, which is 2.08e-05 s at "
        "48000 Hz, got 0"
    )
    assert expected == str(caught.value)
