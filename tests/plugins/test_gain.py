# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain, ParameterError
from rtcore.plugins import Gain


@pytest.mark.parametrize(("gain_db", "factor"), [(0.0, 1.0), (20.0, 10.0), (-120.0, 1e-6)])
def test_multiplies(gain_db, factor):
    """The sound is multiplied by the amplitude ratio of the decibels."""
    x = np.random.default_rng(0).standard_normal((2, 1000))
    y = Chain([Gain(gain_db=gain_db)], dtype="float64").process(x)
    np.testing.assert_allclose(y, factor * x, rtol=1e-15)


def test_moves_evenly_for_20_ms():
    """A new gain is reached along a straight line of 960 frames at 48 kHz."""
    chain = Chain([Gain()], channels=1, dtype="float64")
    chain.process(np.ones(100))
    chain.update("gain", gain_db=-20.0)
    y = chain.process(np.ones(2000))
    np.testing.assert_allclose(y[:960], 1.0 - 0.9 * np.arange(1, 961) / 960, rtol=1e-12)
    assert (y[960:] == 0.1).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"gain_db": 41}, "gain_db: must be at most 40 dB, got 41"),
        ({"gain_db": float("nan")}, "gain_db: must be a finite number, got nan"),
        (
            {"gain": 1},
            "gain: no such parameter of 'gain' (did you mean 'gain_db'?); it has: gain_db",
        ),
    ],
)
def test_refuses(settings, sentence):
    """A wrong value gives one sentence."""
    with pytest.raises(ParameterError) as caught:
        Gain(**settings)
    assert sentence == str(caught.value)
