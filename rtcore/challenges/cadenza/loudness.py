# SPDX-License-Identifier: MIT
"""Integrated loudness of ITU-R BS.1770-4, as the challenge's code measures it (pyloudnorm)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtcore.errors import AudioFileError

__all__ = ["BLOCK_S", "FLOOR_LUFS", "amplitude", "integrated_loudness", "k_weighted", "matched"]

#: Blocks whose power is averaged, each a quarter later than the last; no sound may be shorter.
BLOCK_S, _STEP = 0.4, 0.25
#: Blocks below it count for nothing.
_GATE_LUFS = -70.0
_RELATIVE_GATE_DB = -10.0
_OFFSET_DB = -0.691
#: What the challenge's baseline takes a sound for whose blocks are all below the gate.
FLOOR_LUFS = -80.0


def integrated_loudness(x: NDArray[np.floating], sample_rate: int) -> float:
    """Measure the gated loudness of a sound.

    The filters are those of pyloudnorm ("K-weighting"), which follow R. Bristow-Johnson's
    formulas and not the table in the standard; the difference is below 0.1 dB.

    Parameters
    ----------
    x : ndarray, shape (channels, frames)
        One or two channels; full scale is 1.
    sample_rate : int
        In Hz.

    Returns
    -------
    float
        In LUFS; minus infinity where no block is louder than -70 LUFS.

    Raises
    ------
    AudioFileError
        Where the sound is shorter than 0.4 s.
    """
    if x.shape[-1] < BLOCK_S * sample_rate:
        what = f"a sound of {x.shape[-1] / sample_rate:.3g} s is too short to measure its loudness"
        raise AudioFileError(f"{what}; give at least {BLOCK_S} s")
    power = _block_powers(k_weighted(np.asarray(x, np.float64), sample_rate), sample_rate)
    loud = power[_lufs(power) >= _GATE_LUFS]
    if not len(loud):
        return -math.inf
    gate = float(_lufs(loud.mean())) + _RELATIVE_GATE_DB
    levels = _lufs(power)
    kept = power[(levels > gate) & (levels > _GATE_LUFS)]
    return float(_lufs(kept.mean())) if len(kept) else -math.inf


def matched(
    x: NDArray[np.floating], reference: NDArray[np.floating], sample_rate: int
) -> NDArray[np.floating]:
    """Bring a sound to the loudness of another; sounds below the gate count as -80 LUFS.

    Parameters
    ----------
    x, reference : ndarray, shape (channels, frames)
        Sounds of one sample rate.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray
        `x` times one factor. This looks at all of both sounds, so it is not causal.
    """
    own, wanted = (
        max(integrated_loudness(each, sample_rate), FLOOR_LUFS) for each in (x, reference)
    )
    return amplitude(wanted - own) * x


def amplitude(gain_db: float) -> float:
    """Give the factor of a gain in dB."""
    return float(np.power(10.0, gain_db / 20.0))


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(_OFFSET_DB + 10.0 * np.log10(power))


def k_weighted(x: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Filter as the head and the ear would: up by 4 dB above 1500 Hz, down below 38 Hz.

    Parameters
    ----------
    x : ndarray, shape (channels, frames)
        A sound, from its beginning.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray
        Of the same shape; no sample depends on a later one.
    """
    from scipy.signal import lfilter

    for b, a in (_shelf(1500.0 / sample_rate), _highpass(38.0 / sample_rate)):
        x = lfilter(b, a, x, axis=-1)
    return x


def _shelf(frequency: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a = 10.0 ** (4.0 / 40.0)
    cos, alpha = math.cos(2 * math.pi * frequency), math.sin(2 * math.pi * frequency) / math.sqrt(2)
    root = 2.0 * math.sqrt(a) * alpha
    up, down = a + 1, a - 1
    b = np.array([up + down * cos + root, -2 * (down + up * cos), up + down * cos - root]) * a
    c = np.array([up - down * cos + root, 2 * (down - up * cos), up - down * cos - root])
    return b / c[0], c / c[0]


def _highpass(frequency: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cos, alpha = math.cos(2 * math.pi * frequency), math.sin(2 * math.pi * frequency)
    half = 0.5 * (1.0 + cos)
    c = np.array([1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    return np.array([half, -2.0 * half, half]) / c[0], c / c[0]


def _block_powers(x: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Give the power of each block, summed over the channels."""
    seconds = x.shape[-1] / sample_rate
    blocks = int(np.round((seconds - BLOCK_S) / (BLOCK_S * _STEP))) + 1
    power = np.empty(blocks)
    for k in range(blocks):
        # Where a block begins and ends is rounded as pyloudnorm rounds it.
        begin = int(BLOCK_S * (k * _STEP) * sample_rate)
        end = int(BLOCK_S * (k * _STEP + 1) * sample_rate)
        part = x[:, begin:end]
        power[k] = np.einsum("cf,cf->", part, part) / (BLOCK_S * sample_rate)
    return power
