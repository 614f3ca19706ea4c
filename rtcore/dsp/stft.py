# SPDX-License-Identifier: MIT
"""Sound in overlapping windows and back, hop by hop, for use inside kernels.

A kernel with ``hop_frames = hop`` pushes each hop into a history of one window, transforms the
windowed history, and adds what comes back onto a tail, which yields one finished hop::

    push_hop(x[c], history[c])
    window_frame(history[c], analysis, frame)
    rfft(frame, re, im, fft_factors, fft_cos, fft_sin, fft_work)
    ...
    irfft(re, im, frame, fft_factors, fft_cos, fft_sin, fft_work)
    overlap_add(frame, synthesis, tail[c], y[c])

With ``synthesis`` divided by `cola_gain` the sound comes back as it was, ``n - hop`` frames late.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtcore.errors import PluginError, did_you_mean
from rtcore.kernels import helper

#: What `stft_window` knows. Plain names are periodic, as overlapping windows want it.
WINDOWS = (
    "rect",
    "hann",
    "hann-symmetric",
    "sqrt-hann",
    "sqrt-hann-symmetric",
    "hamming",
    "hamming-symmetric",
    "vorbis",
)
_TOLERANCE = 1e-9  # of the gain; windows are often published with this many digits


def stft_window(name: str, n: int) -> NDArray[np.float64]:
    """Make a window.

    Parameters
    ----------
    name : str
        One of `WINDOWS`. ``"hann"``, ``"sqrt-hann"`` and ``"hamming"`` are periodic: `n` numbers
        out of a period of `n`, the first of them the lowest. With ``-symmetric`` the last
        equals the first. ``"vorbis"`` is that of the Vorbis I specification, section 1.3.2.
    n : int
        Frames, at least 1.

    Returns
    -------
    array, shape (n,)
        From 0 to 1.

    Raises
    ------
    PluginError
        Where the name is not known or `n` is too small.
    """
    if name not in WINDOWS:
        hint = did_you_mean(name, WINDOWS)
        raise PluginError(f"there is no window '{name}'{hint}; there are: {', '.join(WINDOWS)}")
    if n < 1:
        raise PluginError(f"a window of {n} frames is not possible; give at least 1")
    kind = name.removesuffix("-symmetric")
    period = max(1, n - 1) if name.endswith("-symmetric") else n
    if kind == "rect" or n == 1:
        return np.ones(n)
    if kind == "vorbis":
        return np.sin(np.pi / 2.0 * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2)
    root = np.sin(np.pi * np.arange(n) / period)
    if name.endswith("-symmetric"):
        root[-1] = 0.0  # sin(pi) is not quite
    if kind == "sqrt-hann":
        return root
    return root**2 if kind == "hann" else 0.08 + 0.92 * root**2


def cola_gain(analysis: ArrayLike, synthesis: ArrayLike, hop: int) -> float:
    """Give the constant that overlapping windows add up to.

    Parameters
    ----------
    analysis, synthesis : array-like, shape (n,)
        The two windows that each sample passes.
    hop : int
        Frames from one window to the next, 1 to n.

    Returns
    -------
    float
        What a sample is multiplied by on its way through all windows that contain it.

    Raises
    ------
    PluginError
        Where it is not the same for all samples, so that sound would not come back as it was.

    Examples
    --------
    >>> cola_gain(stft_window("hann", 8), stft_window("rect", 8), 2)
    2.0
    """
    product = np.asarray(analysis, np.float64) * np.asarray(synthesis, np.float64)
    if not 1 <= hop <= product.size:
        raise PluginError(
            f"a hop of {hop} frames does not suit windows of {product.size}; "
            f"choose from 1 to {product.size}"
        )
    padded = np.pad(product, (0, -product.size % hop))
    gains = padded.reshape(-1, hop).sum(axis=0)
    gain = float(gains.mean())
    least, most = gains.min(), gains.max()
    if most - least > _TOLERANCE * abs(gain) or gain == 0.0:
        raise PluginError(
            f"windows of {product.size} frames every {hop} add up to {least:.4g} to {most:.4g}, "
            "not to a constant; choose another window or a hop that divides its length"
        )
    return gain


@helper
def push_hop(x: Any, history: Any) -> None:
    """Append a hop to a history, which forgets as much of its beginning.

    Parameters
    ----------
    x : real array, shape (hop,)
        New frames, at most as many as the history holds.
    history : real array, shape (n,)
        The last n frames, the newest at the end.
    """
    kept = history.size - x.size
    zero = x.dtype.type(0)
    for i in range(kept):
        history[i] = history[i + x.size]
    for i in range(x.size):
        # Adding zero flushes a subnormal sample, which must not lie in the history.
        history[kept + i] = x[i] + zero


@helper
def window_frame(history: Any, window: Any, frame: Any) -> None:
    """Multiply by a window.

    Parameters
    ----------
    history, window : real arrays, shape (n,)
        Last n frames, and the analysis window.
    frame : real array, shape (n,)
        Where the product goes.
    """
    for i in range(frame.size):
        frame[i] = history[i] * window[i]


@helper
def overlap_add(frame: Any, window: Any, tail: Any, y: Any) -> None:
    """Add a windowed frame to what earlier ones left, and hand out the hop that is finished.

    Parameters
    ----------
    frame, window : real arrays, shape (n,)
        Frame, and the synthesis window.
    tail : real array, shape (n,)
        What later frames will add to; zeros at first.
    y : real array, shape (hop,)
        Where the finished hop goes.
    """
    hop = y.size
    for i in range(hop):
        y[i] = tail[i] + frame[i] * window[i]
    kept = frame.size - hop
    for i in range(kept):
        tail[i] = tail[i + hop] + frame[i + hop] * window[i + hop]
    for i in range(kept, frame.size):
        tail[i] = 0
