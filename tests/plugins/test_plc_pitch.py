# SPDX-License-Identifier: MIT
"""How ``plc-pitch`` goes on with a sound, as physics has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import conceal, sine

from rtcore.plugins import PlcPitch
from rtcore.synth import speech_like


def concealed(x, rate, first=20, count=1):
    """Lose `count` packets of 20 ms from packet `first` on; give the output and their frames."""
    packet = round(rate / 50.0)
    lost = [first <= k < first + count for k in range(x.shape[1] // packet)]
    x = x[:, : len(lost) * packet]
    y = conceal(PlcPitch(), x, lost, packet, rate=rate)
    return y, slice(first * packet, (first + count) * packet)


@settings(max_examples=30)
@given(
    rate=st.sampled_from([8000.0, 16000.0, 48000.0]),
    frequency_hz=st.floats(70.0, 390.0),
    phase=st.floats(0.0, 6.28),
)
def test_a_sine_goes_on_in_frequency_and_phase(rate, frequency_hz, phase):
    """Through a loss of 20 ms a sine of a pitch that voices have keeps its wave."""
    x = sine(rate, frequency_hz, 0.6, phase=phase)
    y, gone = concealed(x, rate)
    error = y[0, gone] - x[0, gone]
    # A period is a whole number of frames, so that half a frame is lost or won with each.
    drift = 2.0 * np.pi * frequency_hz * 0.02 * 0.5 * frequency_hz / rate
    assert 0.1 + 0.6 * drift > np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(x[0, gone] ** 2))


@pytest.mark.parametrize("rate", [8000.0, 16000.0, 44100.0, 48000.0])
def test_a_periodic_sound_goes_on(rate):
    """Pulses through a resonance, as a vowel is, go on, a tenth of the power off."""
    from scipy.signal import lfilter

    period = round(rate / 125.0)
    pulses = np.zeros(round(0.6 * rate))
    pulses[::period] = 1.0
    angle = 2.0 * np.pi * 700.0 / rate
    radius = np.exp(-np.pi * 90.0 / rate)
    x = lfilter([1.0], [1.0, -2.0 * radius * np.cos(angle), radius**2], pulses)[np.newaxis]
    y, gone = concealed(0.1 * x, rate)
    error = np.mean((y[0, gone] - 0.1 * x[0, gone]) ** 2)
    assert 0.1 > error / np.mean((0.1 * x[0, gone]) ** 2)


@pytest.mark.parametrize("rate", [8000.0, 16000.0, 48000.0])
def test_noise_keeps_its_level_and_its_spectrum(rate):
    """What goes on with filtered noise is as loud within 3 dB, and as dark."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(2)
    x = 0.1 * lfilter([1.0], [1.0, -0.9], rng.standard_normal((1, round(rate))))
    told, real = [], []
    for first in range(10, 40, 4):
        y, gone = concealed(x, rate, first)
        told.append(y[0, gone])
        real.append(x[0, gone])
    y, x = np.concatenate(told), np.concatenate(real)
    assert 3.0 > abs(10.0 * np.log10(np.mean(y**2) / np.mean(x**2)))
    tilt = [np.mean(v[1:] * v[:-1]) / np.mean(v**2) for v in (y, x)]
    assert tilt[1] == pytest.approx(tilt[0], abs=0.08)


@pytest.mark.parametrize("rate", [8000.0, 16000.0, 48000.0])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_no_click_at_either_edge(rate, count):
    """Steps at the edges of losses are no larger than the sound's own steps nearby."""
    x = speech_like(2.0, rate)[np.newaxis]
    packet = round(rate / 50.0)
    for first in range(8, 80, 9):
        y, gone = concealed(x, rate, first, count)
        for edge in (gone.start, gone.stop):
            if edge + packet > y.shape[1]:
                continue
            around = np.abs(np.diff(x[0, edge - 2 * packet : edge + packet])).max()
            inside = np.abs(np.diff(y[0, gone])).max()  # where the sound itself has fallen silent
            assert max(1.5 * around, inside) >= abs(y[0, edge] - y[0, edge - 1])


def test_a_long_burst_fades_steadily():
    """A sine that never comes back is at full level for 60 ms, then softer and softer to 0."""
    rate = 16000.0
    y, gone = concealed(sine(rate, 200.0, 2.0), rate, 20, 50)
    level = np.abs(y[0, gone]).reshape(-1, 80 * 2).max(axis=1)  # two periods each
    assert 0.3 == pytest.approx(level[:6].min(), rel=0.05)
    assert (np.diff(level) <= 1e-3).all()
    assert 0.0 == level[18:].max()


def test_a_sound_that_dies_away_goes_on_dying():
    """A decaying sine is not held up at the level that it had."""
    rate = 16000.0
    x = sine(rate, 200.0, 1.0) * np.exp(-np.arange(16000) / 16000 * 10.0)
    y, gone = concealed(x, rate, 20, 3)
    before = np.abs(y[0, gone.start - 160 : gone.start]).max()
    assert 0.75 * before > np.abs(y[0, gone.stop - 160 : gone.stop]).max()


def test_the_same_stream_gives_the_same_noise():
    """Nothing is random: two runs agree in every bit."""
    x = 0.1 * np.random.default_rng(3).standard_normal((1, 16000))
    assert concealed(x, 16000.0)[0].tobytes() == concealed(x, 16000.0)[0].tobytes()


@pytest.mark.parametrize("rate", [1000.0, 2000.0, 11025.0, 96000.0, 384000.0])
def test_any_rate(rate):
    """Rates far from those of speech work as well."""
    x = 0.1 * np.random.default_rng(3).standard_normal((1, round(rate)))
    y, gone = concealed(x, rate)
    assert np.isfinite(y).all()
    assert y[0, gone].any()
