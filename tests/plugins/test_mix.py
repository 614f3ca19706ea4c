# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Chain, ConfigError, ParameterError
from rtcore.plugins import Mix

X = np.random.default_rng(0).standard_normal((2, 700))
L, R = X


@pytest.mark.parametrize(
    ("preset", "x", "expected"),
    [
        ("stereo", X[:1], np.stack([L, L])),
        ("stereo", X, X),
        ("mono", X, (0.5 * L + 0.5 * R)[np.newaxis]),
        ("left", X, X[:1]),
        ("right", X, X[1:]),
        ("swap", X, X[::-1]),
        ("mid_side", X, np.stack([0.5 * L + 0.5 * R, 0.5 * L - 0.5 * R])),
    ],
)
def test_presets(preset, x, expected):
    """Each preset is the matrix that its name promises."""
    y = Chain([Mix(preset=preset)], channels=x.shape[0], dtype="float64").process(x)
    np.testing.assert_allclose(y, expected, rtol=1e-15, atol=1e-16)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 999))
def test_any_matrix(inputs, outputs, seed):
    """The output is the matrix times the input, for any number of channels."""
    rng = np.random.default_rng(seed)
    gains = rng.standard_normal((outputs, inputs))
    x = rng.standard_normal((inputs, 600))
    y = Chain([Mix(gains=gains.tolist())], channels=inputs, dtype="float64").process(x)
    np.testing.assert_allclose(y, gains @ x, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("chosen", "part"),
    [
        ({"preset": "quad"}, "preset: must be one of 'stereo', 'mono', "),
        ({"gains": [[1, 2], [3]]}, "gains: must be a list of rows, one for each output, such as "),
        ({"gains": [[]]}, "gains: must be a list of rows"),
        ({"gains": "loud"}, "gains: must be a list of rows"),
        ({"gains": [["loud"]]}, "gains: must be a list of rows"),
        ({"gains": 3}, "gains: must be a list of rows"),
        ({"gains": [[float("inf")]]}, "gains: all gains must be finite numbers"),
    ],
)
def test_refuses(chosen, part):
    """A wrong value gives one sentence that says what a right one looks like."""
    with pytest.raises(ParameterError) as caught:
        Mix(**chosen)
    assert str(caught.value).startswith(part)


@pytest.mark.parametrize(
    ("chosen", "channels", "sentence"),
    [
        (
            {"preset": "swap"},
            1,
            (
                "plugin[0].mix.preset: 'swap' needs 2 channels, the stream has 1; give gains with "
                "one column for each"
            ),
        ),
        (
            {"gains": [[1.0]]},
            2,
            "plugin[0].mix.gains: must have one column for each of the stream's 2 channels, got 1",
        ),
    ],
)
def test_must_fit_the_stream(chosen, channels, sentence):
    """A matrix that does not fit the stream gives one sentence with its place in the chain."""
    with pytest.raises(ConfigError) as caught:
        Chain([Mix(**chosen)], channels=channels)
    assert sentence == str(caught.value)
