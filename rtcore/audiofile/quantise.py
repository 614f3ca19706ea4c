# SPDX-License-Identifier: MIT
"""Real samples to integers, exactly as the challenges' code does it."""

from __future__ import annotations

import numpy as np

INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


class Quantiser:
    """Scale by 2**(bits-1), clip to the integers' range, truncate toward zero.

    Parameters
    ----------
    bits : int
        8, 16, 24 or 32.
    rounding : bool
        Round to the nearest integer (halves to even) in place of truncating.
    dither : bool
        Add triangular noise between -1 and 1 step first.
    seed : int
        Of the dither.

    Attributes
    ----------
    clipped : int
        Samples clipped so far.
    """

    def __init__(self, bits: int, *, rounding: bool, dither: bool, seed: int) -> None:
        self.bits = bits
        self.rounding = rounding
        self.clipped = 0
        self._noise = np.random.default_rng(seed) if dither else None

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Convert samples.

        Parameters
        ----------
        block : numpy.ndarray of float32 or float64, shape (channels, frames)
            Finite, contiguous, writable.

        Returns
        -------
        numpy.ndarray of int16 or int32, shape (frames, channels)
            Other widths than 16 stand in the upper bits of int32, from where libsndfile takes them.
        """
        if self.bits == 16 and not self.rounding:
            from rtcore.audiofile.pcm16 import encode

            samples, clipped = encode(block)
            self.clipped += clipped
            return samples
        scale = float(2 ** (self.bits - 1))
        # In float64 both ends of any range are exact; those of 16 bits are in float32 as well.
        narrow = block.dtype == np.float32 and self.bits == 16 and self._noise is None
        with np.errstate(over="ignore"):
            steps = np.multiply(block, scale, dtype=np.float32 if narrow else np.float64)
        if self._noise is not None:
            # Two numbers a sample, drawn frame by frame: no division into blocks changes them.
            steps += (self._noise.random((*steps.shape[::-1], 2)) @ np.array([1.0, -1.0])).T
        if self.rounding:
            np.rint(steps, out=steps)
        if steps.min() < -scale or steps.max() > scale - 1.0:
            self.clipped += int(np.count_nonzero((steps < -scale) | (steps > scale - 1.0)))
            np.clip(steps, -scale, scale - 1.0, out=steps)
        if self.bits == 16:
            return interleaved(steps.astype(np.int16))
        return interleaved(steps.astype(np.int32) << (32 - self.bits))


def interleaved(planar: np.ndarray) -> np.ndarray:
    """Give samples of shape (channels, frames) as (frames, channels), contiguous."""
    # Channel by channel it takes half of the time of a transposed copy.
    frames = np.empty(planar.shape[::-1], planar.dtype)
    for c, channel in enumerate(planar):
        frames[:, c] = channel
    return frames
