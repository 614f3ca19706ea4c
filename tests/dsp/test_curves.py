# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.dsp import tanh_block

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def curve(x):
    y = np.empty_like(x)
    tanh_block(x, y)
    return y


def samples(dtype):
    rng = np.random.default_rng(1)
    tiny = 10.0 ** rng.uniform(np.log10(np.finfo(dtype).tiny) + 1.0, 0.0, 50_000)
    return np.concatenate([rng.uniform(-25.0, 25.0, 50_000), rng.normal(size=50_000), tiny]).astype(
        dtype
    )


@DTYPES
def test_is_within_three_units_of_the_last_place(dtype):
    """The curve is the hyperbolic tangent to nearly all of its digits, however soft the sound."""
    x = samples(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    units = np.spacing(np.abs(exact).astype(dtype)).astype(np.longdouble)
    assert (np.abs(curve(x) - exact) / units).max() < 3.0


@DTYPES
def test_is_odd_to_the_last_bit(dtype):
    """Both signs of a sample give the same number, so that no even harmonic arises."""
    x = samples(dtype)
    assert (curve(-x) == -curve(x)).all()


@DTYPES
def test_ends_at_full_scale_and_keeps_what_is_no_number(dtype):
    """Infinity is bent to full scale, zero keeps its sign, and NaN is seen by whoever looks."""
    found = curve(np.array([np.inf, -np.inf, 0.0, -0.0, np.nan], dtype))
    assert [1.0, -1.0, 0.0, 0.0] == found[:4].tolist()
    assert [False, True] == np.signbit(found[2:4]).tolist()
    assert np.isnan(found[4])


@DTYPES
@given(start=st.integers(0, 300), frames=st.integers(1, 40))
def test_does_not_depend_on_the_neighbours(dtype, start, frames):
    """A sample gives the same bits in a vector and at the end of a block."""
    x = np.linspace(-3.0, 3.0, 400).astype(dtype)
    assert (curve(x)[start : start + frames] == curve(x[start : start + frames])).all()
