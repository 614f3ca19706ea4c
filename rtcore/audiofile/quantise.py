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

    def __call__(self, interleaved: np.ndarray) -> np.ndarray:
        """Convert samples of shape (frames, channels).

        Returns
        -------
        numpy.ndarray of int16 or int32
            Of the same shape. Other widths than 16 stand in the upper bits of int32, from
            where libsndfile takes them.
        """
        scale = float(2 ** (self.bits - 1))
        # In float64 both ends of the range are exact, which float32 cannot offer for 32 bits.
        steps = interleaved.astype(np.float64) * scale
        if self._noise is not None:
            # Two numbers a sample, drawn frame by frame: no division into blocks changes them.
            steps += self._noise.random((*steps.shape, 2)) @ np.array([1.0, -1.0])
        if self.rounding:
            np.rint(steps, out=steps)
        self.clipped += int(np.count_nonzero((steps < -scale) | (steps > scale - 1.0)))
        np.clip(steps, -scale, scale - 1.0, out=steps)
        if self.bits == 16:
            return steps.astype(np.int16)
        return steps.astype(np.int32) << (32 - self.bits)
