# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain, ParameterError
from rtcore.plugins import SoftClip

X = np.concatenate([np.linspace(-30.0, 30.0, 6001), np.linspace(-1e-3, 1e-3, 101)])


def test_tanh_is_numpys():
    """The curve of the challenge's baseline is met within the last bits of double precision."""
    y = Chain([SoftClip()], channels=1, dtype="float64").process(X)
    np.testing.assert_allclose(y, np.tanh(X), rtol=4e-16, atol=0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ["tanh", "cubic"])
def test_stays_in_full_scale_and_never_falls(shape, dtype):
    """The curve rises with the input, ends at full scale, and has a slope of 1 at zero."""
    y = Chain([SoftClip(shape=shape)], channels=1, dtype=dtype).process(X)
    assert 1.0 == np.abs(y).max()
    assert (np.diff(y[:6001].astype(float)) >= -1e-7).all()
    np.testing.assert_allclose(y[6001:], X[6001:], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("shape", ["tanh", "cubic"])
def test_a_symmetric_curve_makes_odd_harmonics_only(shape):
    """A tone gets a third harmonic and no second one."""
    tone = 0.8 * np.sin(2 * np.pi * 1000.0 / 48000.0 * np.arange(4800))
    y = Chain([SoftClip(shape=shape)], channels=1, dtype="float64").process(tone)
    spectrum = np.abs(np.fft.rfft(y)) / 2400
    assert spectrum[200] < 1e-12
    assert spectrum[300] > 1e-3


def test_refuses_another_shape():
    """An unknown shape gives one sentence that lists the known ones."""
    with pytest.raises(ParameterError) as caught:
        SoftClip(shape="hard")
    assert "shape: must be one of 'tanh', 'cubic', got 'hard'" == str(caught.value)
