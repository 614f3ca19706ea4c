# SPDX-License-Identifier: MIT
"""16-bit samples to real ones and back in one compiled pass: what challenge files are made of.

NumPy gives the same numbers, but it goes over them ten times.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from rtcore.kernels.jit import native

__all__ = ["decode", "encode", "magnitude"]

_STEP = 2.0**-15
_LOWEST, _HIGHEST = -32768.0, 32767.0
#: Two samples of 16 bits are one number of 32: the compiler can do several of these at once.
_PAIRS = sys.byteorder == "little"
_LOW_HALF = np.int32(0xFFFF)


def decode(samples: np.ndarray, dtype: str) -> np.ndarray:
    """Divide by 2**15, exactly.

    Parameters
    ----------
    samples : ndarray of int16, shape (frames, channels)
        As files have them, contiguous.
    dtype : {"float32", "float64"}
        Of the result.

    Returns
    -------
    ndarray, shape (channels, frames)
    """
    block = np.empty(samples.shape[::-1], dtype)
    if _PAIRS and samples.shape[1] == 2:
        _decode_pairs(samples.view(np.int32)[:, 0], block)
    else:
        _decode(samples, block)
    return block


def encode(block: np.ndarray) -> tuple[np.ndarray, int]:
    """Scale by 2**15, clip to 16 bits, truncate toward zero.

    Parameters
    ----------
    block : ndarray of float32 or float64, shape (channels, frames)
        Finite, contiguous, writable.

    Returns
    -------
    samples : ndarray of int16, shape (frames, channels)
        For a file.
    clipped : int
        How many were.
    """
    samples = np.empty(block.shape[::-1], np.int16)
    if _PAIRS and len(block) == 2:
        return samples, int(_encode_pairs(block, samples.view(np.int32)[:, 0]))
    return samples, int(_encode(block, samples))


def magnitude(block: np.ndarray) -> float:
    """Give the largest magnitude: NaN if there is one, else infinity if there is one.

    Parameters
    ----------
    block : ndarray of float32 or float64, shape (channels, frames)
        Contiguous, writable.
    """
    whole = np.int32 if block.dtype == np.float32 else np.int64
    return float(np.array(_largest(block.view(whole)), whole).view(block.dtype))


@native
def _largest(patterns: Any) -> int:
    """Give the largest of whole numbers without their signs.

    The bits of real numbers, taken for whole ones, are in the order of their sizes; infinity comes
    behind all finite ones, and NaN behind it. Whole ones are compared several at once.
    """
    mask = np.iinfo(patterns.dtype).max
    largest = patterns.dtype.type(0)
    for c in range(patterns.shape[0]):
        for i in range(patterns.shape[1]):
            largest = max(largest, patterns[c, i] & mask)
    return largest


@native
def _decode(samples: Any, block: Any) -> None:
    real = block.dtype.type
    for c in range(block.shape[0]):
        for i in range(block.shape[1]):
            block[c, i] = real(samples[i, c]) * real(_STEP)


@native
def _decode_pairs(pairs: Any, block: Any) -> None:
    real = block.dtype.type
    for i in range(pairs.size):
        pair = pairs[i]
        block[0, i] = real(np.int16(pair)) * real(_STEP)
        block[1, i] = real(pair >> np.int32(16)) * real(_STEP)


@native
def _encode(block: Any, samples: Any) -> Any:
    real, clipped = block.dtype.type, np.int64(0)
    for c in range(block.shape[0]):
        for i in range(block.shape[1]):
            step = block[c, i] * real(1.0 / _STEP)
            held = min(max(step, real(_LOWEST)), real(_HIGHEST))
            clipped += np.int32(held != step)
            samples[i, c] = np.int16(np.int32(held))
    return clipped


@native
def _encode_pairs(block: Any, pairs: Any) -> Any:
    real, clipped = block.dtype.type, np.int64(0)
    left, right = block[0], block[1]
    for i in range(pairs.size):
        a, b = left[i] * real(1.0 / _STEP), right[i] * real(1.0 / _STEP)
        first = min(max(a, real(_LOWEST)), real(_HIGHEST))
        second = min(max(b, real(_LOWEST)), real(_HIGHEST))
        clipped += np.int32(first != a) + np.int32(second != b)
        pairs[i] = (np.int32(first) & _LOW_HALF) | (np.int32(second) << np.int32(16))
    return clipped
