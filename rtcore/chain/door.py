# SPDX-License-Identifier: MIT
"""How samples come into a chain and go out of it: nothing that is not finite, nothing subnormal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.kernels.abi import pointer, size_of
from rtcore.kernels.jit import native


@native
def _first_bad(words: Any, channels: int, frames: int, exponent: Any) -> int:
    worst = exponent ^ exponent
    for i in range(channels * frames):
        worst = max(worst, words[i] & exponent)
    if worst < exponent:
        return frames
    for i in range(frames):
        for c in range(channels):
            if (words[c * frames + i] & exponent) == exponent:
                return i
    return frames


@native
def first_bad(address: int, channels: int, frames: int, real: Any) -> int:
    """Give the first frame that holds a NaN or Inf in any channel, or ``frames``.

    The exponent bits are tested: no compiler flag can optimise that away.
    """
    count = channels * frames
    if size_of(real) == 4:
        words = carray(pointer(address, np.int32), (count,))
        return _first_bad(words, channels, frames, np.int32(0x7F800000))
    longs = carray(pointer(address, np.int64), (count,))
    return _first_bad(longs, channels, frames, np.int64(0x7FF0000000000000))


@native
def silence_bad(address: int, count: int, real: Any) -> int:
    """Put zeros where there is NaN or Inf; give their number."""
    values = carray(pointer(address, real), (count,))
    found = 0
    for i in range(count):
        if first_bad(address + np.uintp(i * size_of(real)), 1, 1, real) == 0:
            values[i] = 0
            found += 1
    return found


@native
def _take(source: Any, target: Any, stride: int, exponent: Any, sign: Any) -> Any:
    """Copy samples as bits, subnormal ones as zeros; give the largest exponent.

    A kernel that only copies would hand a subnormal number on, and keep it in its state: the
    flags that flush subnormals act on arithmetic alone.  So none comes past this door.
    """
    worst = exponent ^ exponent
    if stride == 1:
        for i in range(target.size):
            scale = source[i] & exponent
            target[i] = source[i] if scale != 0 else source[i] & sign
            worst = max(worst, scale)
    else:
        for i in range(target.size):
            scale = source[i * stride] & exponent
            target[i] = source[i * stride] if scale != 0 else source[i * stride] & sign
            worst = max(worst, scale)
    return worst


@native
def take_channel(source: int, target: int, stride: int, frames: int, real: Any) -> bool:
    """Copy one channel to a planar buffer; say whether all of it is finite."""
    span = (frames - 1) * stride + 1
    if size_of(real) == 4:
        exponent = np.int32(0x7F800000)
        words = carray(pointer(source, np.int32), (span,))
        return (
            _take(
                words,
                carray(pointer(target, np.int32), (frames,)),
                stride,
                exponent,
                np.int32(-0x80000000),
            )
            < exponent
        )
    wide = np.int64(0x7FF0000000000000)
    longs = carray(pointer(source, np.int64), (span,))
    return (
        _take(
            longs,
            carray(pointer(target, np.int64), (frames,)),
            stride,
            wide,
            np.int64(-0x8000000000000000),
        )
        < wide
    )


@native
def give(source: Any, target: Any, stride: int) -> None:
    """Copy one channel to where it is wanted."""
    if stride == 1:
        for i in range(source.size):
            target[i] = source[i]
    else:
        for i in range(source.size):
            target[i * stride] = source[i]
