# SPDX-License-Identifier: MIT
"""A causal entry: loudness that follows, and what the latency lab finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from rtcore.challenges.cadenza.causal import causal_remix, lab_entry, running_gain
from rtcore.challenges.cadenza.enhance import Aid, EnhanceSettings, new_mix
from rtcore.challenges.cadenza.loudness import integrated_loudness
from rtcore.challenges.cadenza.metadata import SUBMISSION_RATE_HZ, Gains
from rtcore.challenges.cadenza.separators import Separator, SeparatorChoice
from rtcore.errors import ConfigError
from rtcore.hearing import Listener
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.result import Declared
from rtcore.latency.systems.base import System

RATE = 44100
GAINS = Gains(vocals=6, drums=-10, bass=3, other=0)
N3 = Listener.standard("N3")


class Bands(Separator):
    """Take a mixture apart by filters of first order, which look at nothing ahead."""

    name = "bands"
    streams = True

    def separate(self, mixture, sample_rate, stem):
        low = lfilter([0.02], [1, -0.98], mixture)
        middle = lfilter([0.2], [1, -0.8], mixture) - low
        high = mixture - low - middle
        return {"vocals": 0.5 * middle, "drums": high, "bass": low, "other": 0.5 * middle}


class Entry(System):
    """A function for the lab."""

    def __init__(self, function):
        super().__init__("entry", RATE, 2, Declared())
        self.function = function

    def run(self, x):
        return self.function(np.array(x), RATE)


def whole_file(x, sample_rate):
    """Do the same with the official loudness and the official resampler."""
    mix = new_mix(Bands(), GAINS, x, sample_rate, None)
    y = Aid().submitted(mix, N3, sample_rate)
    return y[:, np.arange(x.shape[1]) * SUBMISSION_RATE_HZ // sample_rate]


def lookahead(function):
    return measure_lookahead(Entry(function), positions=200, budget_s=0.5, duration_s=1.0)


def test_the_lab_passes_it():
    """All of a causal entry, to the samples of 32 kHz, looks 1 ms ahead: less than 5 ms."""
    found = lookahead(lab_entry(Bands(), GAINS, N3, compressor=True))
    assert 40 <= found.samples <= 44
    assert found.upper_samples <= 220
    assert not found.whole_file


def test_the_lab_finds_the_other_mode_out():
    """With the loudness of the whole, the start of the output changes with the end of the input."""
    found = lookahead(whole_file)
    assert found.whole_file or found.samples > 220


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), part=st.integers(1, 9000))
def test_no_gain_depends_on_what_follows(seed, part):
    """Whatever comes after a frame, the gains up to it are the same bits."""
    rng = np.random.default_rng(seed)
    x, reference = rng.normal(0, 0.1, (2, 2, 10_000))
    gains = running_gain(x, reference, RATE)
    x[:, part:], reference[:, part:] = rng.normal(0, 0.5, (2, 2, 10_000 - part))
    assert np.array_equal(gains[:part], running_gain(x, reference, RATE)[:part])


@settings(max_examples=8, deadline=None)
@given(gain_db=st.floats(-15, 15), level_db=st.floats(-25, 0))
def test_the_loudness_is_reached(gain_db, level_db):
    """A sound that is louder by a constant comes to the reference's loudness within a second."""
    rng = np.random.default_rng(3)
    reference = 10 ** (level_db / 20) * 0.2 * rng.normal(size=(2, 3 * RATE))
    x = 10 ** (gain_db / 20) * reference
    y = running_gain(x, reference, RATE) * x
    wanted, got = (integrated_loudness(s[:, RATE:], RATE) for s in (reference, y))
    assert wanted == pytest.approx(got, abs=0.7)


def test_silence_and_late_stems():
    """Silence gets no gain; stems that are late are compared with the mixture of their time."""
    silent = np.zeros((2, RATE))
    assert np.array_equal(np.ones(RATE), running_gain(silent, silent, RATE))
    assert 10.0 == running_gain(silent, np.ones((2, RATE)) * 0.9, RATE).max(initial=10.0)
    mixture = np.random.default_rng(1).normal(0, 0.1, (2, RATE))
    late = np.pad(mixture, ((0, 0), (700, 0)))[:, :RATE]
    stems = dict.fromkeys(("vocals", "drums", "bass", "other"), 0.25 * late)
    flat = Gains(vocals=0, drums=0, bass=0, other=0)
    assert np.allclose(late, causal_remix(stems, flat, mixture, RATE, 700), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (SeparatorChoice("hdemucs"), "--causal: cannot be had with hdemucs"),
        (SeparatorChoice("none", compat=True), "which --compat keeps; give one of the two"),
    ],
)
def test_what_is_not_causal(choice, sentence):
    """What hears the whole, and what the official code does, are refused."""
    with pytest.raises(ConfigError, match=sentence):
        EnhanceSettings(separator=choice, causal=True).make_separator()


def test_the_lab_knows_no_stems():
    """The true stems cannot be had for the lab's sounds."""
    oracle = EnhanceSettings(separator=SeparatorChoice("oracle"), causal=True).make_separator()
    with pytest.raises(ConfigError, match="there are no true vocals in the lab"):
        lab_entry(oracle, GAINS, N3)(np.zeros((2, RATE)), RATE)
