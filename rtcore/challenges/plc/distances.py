# SPDX-License-Identifier: MIT
"""How far a concealed sound lies from the clean one, by two formulas."""

from __future__ import annotations

import numpy as np

__all__ = ["LSD_FLOOR_DB", "SI_SDR_LIMIT_DB", "log_spectral_distance", "si_sdr"]

_WINDOW_S, _HOP_S = 0.032, 0.008
#: Power below this, against that of a full-scale sine, counts as this much.
LSD_FLOOR_DB = -80.0
#: SI-SDR is held within this, so that an exact copy (infinity) can be averaged.
SI_SDR_LIMIT_DB = 100.0
_FRAMES_AT_ONCE = 4096


def log_spectral_distance(clean: np.ndarray, heard: np.ndarray, sample_rate: int) -> float:
    r"""Give the log-spectral distance of two sounds, in dB.

    .. math:: \mathrm{LSD} = \frac1T \sum_t \sqrt{\frac1K \sum_k
              \left(10 \log_{10} \frac{|S_{tk}|^2}{|\hat S_{tk}|^2}\right)^2}

    over Hann windows of 32 ms every 8 ms (A. H. Gray and J. D. Markel, "Distance measures for
    speech processing", IEEE Trans. ASSP 24(5), 1976, eq. 3, with p = 2). Powers are held at
    -80 dB and above, against a full-scale sine: silence has no logarithm.

    Parameters
    ----------
    clean, heard : array, shape (frames,)
        Full scale is 1; of the same length. Both are filled up with silence to a whole window.
    sample_rate : int
        In Hz.

    Returns
    -------
    float
        0 for equal sounds.
    """
    window_frames, hop = round(_WINDOW_S * sample_rate), round(_HOP_S * sample_rate)
    window = np.hanning(window_frames + 1)[:-1]
    scale = (2.0 / np.sum(window)) ** 2  # a full-scale sine in the middle of a bin has power 1
    count = max(0, -(-(len(clean) - window_frames) // hop)) + 1
    total = 0.0
    for first in range(0, count, _FRAMES_AT_ONCE):
        frames = range(first, min(count, first + _FRAMES_AT_ONCE))
        left, right = (_log_power(x, frames, hop, window, scale) for x in (clean, heard))
        total += float(np.sum(np.sqrt(np.mean((left - right) ** 2, axis=1))))
    return total / count


def _log_power(
    x: np.ndarray, frames: range, hop: int, window: np.ndarray, scale: float
) -> np.ndarray:
    """Give the power of each frame and bin in dB."""
    begin = frames.start * hop
    wanted = (len(frames) - 1) * hop + len(window)
    piece = np.zeros(wanted)
    part = x[begin : begin + wanted]
    piece[: len(part)] = part
    views = np.lib.stride_tricks.sliding_window_view(piece, len(window))[::hop]
    power = np.abs(np.fft.rfft(views * window, axis=1)) ** 2 * scale
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (LSD_FLOOR_DB / 10.0)))


def si_sdr(clean: np.ndarray, heard: np.ndarray) -> float:
    r"""Give the scale-invariant signal-to-distortion ratio, in dB.

    .. math:: 10 \log_{10} \frac{\|\alpha s\|^2}{\|\alpha s - \hat s\|^2}, \quad
              \alpha = \frac{\hat s^T s}{\|s\|^2}

    (J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, eq. 3; no mean is taken
    out, as there).

    Parameters
    ----------
    clean, heard : array, shape (frames,)
        Of the same length.

    Returns
    -------
    float
        Within -100 to 100 dB; NaN where the clean sound is silent.
    """
    s, e = np.asarray(clean, float), np.asarray(heard, float)
    power = float(s @ s)
    if power == 0.0:
        return float("nan")
    target = (float(e @ s) / power) * s
    kept, rest = float(target @ target), float((target - e) @ (target - e))
    if kept == 0.0:
        return -SI_SDR_LIMIT_DB
    if rest == 0.0:
        return SI_SDR_LIMIT_DB
    return float(np.clip(10.0 * np.log10(kept / rest), -SI_SDR_LIMIT_DB, SI_SDR_LIMIT_DB))
