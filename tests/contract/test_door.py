# SPDX-License-Identifier: MIT
"""What comes into a chain: no NaN, no Inf, no subnormal number gets past its door."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain

REALS = ("float32", "float64")


@pytest.mark.parametrize("dtype", REALS)
def test_subnormals_become_zeros_of_the_same_sign(dtype):
    """A chain that only copies hands zeros on where subnormal numbers came, normal ones as is."""
    tiny = np.finfo(dtype).tiny
    x = np.array([[tiny / 2, -tiny / 2, tiny, -tiny, 0.0, -0.0, 1.0, tiny / 1024]], dtype)
    expected = np.array([[0.0, -0.0, tiny, -tiny, 0.0, -0.0, 1.0, 0.0]], dtype)
    actual = Chain([], channels=1, dtype=dtype).process(x)
    assert expected.tobytes() == actual.tobytes()


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_bad_samples_become_silence_and_are_counted(dtype, bad):
    """NaN and Inf are replaced by zeros, wherever they stand, and each is counted."""
    x = np.full((2, 700), 0.5, dtype)
    places = ([0, 1, 1], [0, 511, 699])
    x[places] = bad
    chain = Chain([], channels=2, dtype=dtype)
    y = chain.process(x)
    assert 3 == chain.stream.input_faults
    assert np.array_equal(np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0), y)
