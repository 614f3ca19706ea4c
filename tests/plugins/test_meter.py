# SPDX-License-Identifier: MIT
from __future__ import annotations

import math

import numpy as np
import pytest

from rtcore import Chain, ParameterError
from rtcore.hearing import Calibration
from rtcore.plugins import Meter


def read(chain):
    return Meter.read(chain.nodes[0].node)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_passes_every_bit(dtype):
    """The sound is the same before and after, negative zeros and clipped samples included."""
    x = (2.0 * np.random.default_rng(0).standard_normal((2, 5000))).astype(dtype)
    x[:, ::7] = -0.0
    assert x.tobytes() == Chain([Meter()], dtype=dtype).process(x).tobytes()


def test_a_sine():
    """A full-scale sine has a peak of 0 dB and an RMS of -3.01 dB, which is 97 dB SPL."""
    tone = np.sin(2 * np.pi * 1000.0 / 48000.0 * np.arange(48000))
    chain = Chain([Meter()], dtype="float64")
    chain.process(np.stack([tone, 0.1 * tone]))
    reading = read(chain)
    np.testing.assert_allclose(reading.peak_db, [0.0, -20.0], atol=1e-9)
    np.testing.assert_allclose(reading.rms_db, [-3.0103, -23.0103], atol=1e-4)
    np.testing.assert_allclose(reading.db_spl(), [96.9897, 76.9897], atol=1e-4)
    measured = Calibration(110.0, measured=True)
    np.testing.assert_allclose(reading.db_spl(measured), [106.9897, 86.9897], atol=1e-4)
    assert 48000 == reading.frames


def test_the_last_whole_window_counts():
    """Peak and RMS are of the last window that is complete; highest and clipped are of all."""
    x = np.zeros((1, 4800 * 3))
    x[0, 10:14] = [1.0, -1.5, 0.99, -0.2]
    x[0, 4900] = 0.5
    chain = Chain([Meter(window_s=0.1)], channels=1, dtype="float64")
    chain.process(x[:, : 4800 + 4799])
    assert (1.5, 1.5, 2) == (read(chain).peak[0], read(chain).highest[0], read(chain).clipped[0])
    chain.process(x[:, 4800 + 4799 :][:, :1])
    assert (0.5, 1.5, 2) == (read(chain).peak[0], read(chain).highest[0], read(chain).clipped[0])
    assert math.isclose(0.5 / math.sqrt(4800), read(chain).rms[0], rel_tol=1e-12)
    chain.process(x[:, 9600:])
    assert (-math.inf, -math.inf) == (read(chain).peak_db[0], read(chain).db_spl()[0])


@pytest.mark.parametrize("block", [1, 7, 64, 512])
def test_readings_do_not_depend_on_the_block(block):
    """Windows are counted in frames, so the same sound gives the same numbers in any blocks."""
    x = np.random.default_rng(1).standard_normal((2, 6000))
    whole, cut = (Chain([Meter(window_s=0.01)], dtype="float64") for _ in range(2))
    whole.process(x)
    for k in range(0, 6000, block):
        cut.process(x[:, k : k + block])
    a, b = read(whole), read(cut)
    for name in ("peak", "rms", "highest", "clipped"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_refuses_a_window_of_nothing():
    """A window that is too short gives one sentence."""
    with pytest.raises(ParameterError) as caught:
        Meter(window_s=0.0)
    assert "window_s: must be at least 0.001 s, got 0" == str(caught.value)
