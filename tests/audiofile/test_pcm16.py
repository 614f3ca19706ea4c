# SPDX-License-Identifier: MIT
"""The compiled conversions give what plain arithmetic gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtcore.audiofile import Writer, pcm16
from rtcore.audiofile.pcm16 import decode, encode, magnitude

REALS = ("float32", "float64")
SHAPES = st.tuples(st.integers(1, 4), st.integers(0, 70))
ENDS = [-32769.0, -32768.0, -32767.5, -1.0, -0.5, 0.99, 1.0, 32766.9, 32767.0, 32767.5, 32768.0]


@pytest.fixture(params=[True, False], autouse=True)
def pairs(request, monkeypatch):
    """Stereo in pairs, and as on processors with the other order of bytes."""
    monkeypatch.setattr(pcm16, "_PAIRS", request.param and pcm16._PAIRS)


def expected(block):
    """Scale, clip and truncate in NumPy's float64."""
    steps = block.astype(np.float64) * 32768.0
    held = np.clip(steps, -32768.0, 32767.0)
    return np.trunc(held).astype(np.int16).T, int(np.count_nonzero(held != steps))


@settings(deadline=None)
@given(st.data(), st.sampled_from(REALS), SHAPES)
def test_encodes_like_numpy(data, dtype, shape):
    """Any finite samples become what NumPy makes of them, and the clipped ones are counted."""
    width = 32 if dtype == "float32" else 64
    most = float(np.float32(1e30))
    loud = st.floats(-most, most, width=width)
    near = st.floats(-1.25, 1.25, width=width)
    block = data.draw(arrays(dtype, shape, elements=near | loud))
    samples, clipped = encode(block)
    assert (samples.dtype, samples.shape) == (np.int16, block.shape[::-1])
    right, count = expected(block)
    assert np.array_equal(right, samples)
    assert count == clipped


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_ends_of_the_range(dtype, channels):
    """Full scale and its neighbours fall on the right side, in every channel."""
    block = np.stack([np.roll(ENDS, c) for c in range(channels)]).astype(dtype) / 32768
    samples, clipped = encode(block)
    assert np.array_equal(expected(block)[0], samples)
    assert clipped == 3 * channels  # -32769, 32767.5 and 32768


@settings(deadline=None)
@given(st.data(), st.sampled_from(REALS), SHAPES)
def test_decodes_and_comes_back(data, dtype, shape):
    """Every 16-bit sample becomes its share of full scale, and itself again."""
    samples = data.draw(arrays(np.int16, shape[::-1]))
    block = decode(samples, dtype)
    assert (block.dtype, block.shape) == (dtype, shape)
    assert np.array_equal(samples.T / 32768.0, block)
    assert np.array_equal(samples, encode(block)[0])


@settings(deadline=None)
@given(st.data(), st.sampled_from(REALS), SHAPES)
def test_magnitude(data, dtype, shape):
    """The largest magnitude is NumPy's; infinity and NaN are noticed wherever they stand."""
    width = 32 if dtype == "float32" else 64
    block = data.draw(arrays(dtype, shape, elements=st.floats(width=width)))
    right = float(np.abs(block).max(initial=0.0)) if not np.isnan(block).any() else np.nan
    assert np.array_equal(right, magnitude(block), equal_nan=True)


@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "longdouble", "float64"])
def test_any_array_of_floats_can_be_written(tmp_path, dtype):
    """Foreign byte orders and widths, strides and read-only memory make no other file."""
    plain = np.linspace(-1.0, 0.75, 8).reshape(2, 4)
    odd = np.repeat(plain.astype(dtype), 2, axis=1)[:, ::2]
    odd.flags.writeable = False
    for name, block in (("plain", plain), ("odd", odd)):
        with Writer(tmp_path / f"{name}.wav", 16000, 2, subtype="PCM_16") as out:
            out.write(block)
        assert out.peak == 1.0
    assert (tmp_path / "plain.wav").read_bytes() == (tmp_path / "odd.wav").read_bytes()
