# SPDX-License-Identifier: MIT
"""Fourier transforms as nodes of a graph.

At `times` the network's sample rate only the lower bins are wanted.  They come from the transforms
of every `times`-th sample, each as long as at the network's own rate, turned by their delays and
summed (the first step of a decimation in time); and the way back likewise.

The transforms of two hops are matrices: they are no power of two long, of which ONNX Runtime's own
transform is slow.
"""

from __future__ import annotations

import numpy as np

from .graph import Graph

_END = np.iinfo(np.int64).max


def sine_window(frames: int) -> np.ndarray:
    """Give the window before and behind the network."""
    return np.sin(np.pi * np.arange(frames) / frames)


def forward(frames: int) -> np.ndarray:
    """Give the matrix that makes real parts, then imaginary ones, of `frames` samples."""
    spectrum = np.fft.rfft(np.eye(frames), axis=1)
    return np.concatenate([spectrum.real, spectrum.imag], axis=1)


def backward(frames: int, last: float) -> np.ndarray:
    """Give the inverse of :func:`forward`, the highest bin with the weight `last`."""
    eye = np.eye(frames // 2 + 1)
    parts = np.concatenate([np.fft.irfft(eye, frames), np.fft.irfft(1j * eye, frames)])
    parts[frames // 2] *= last
    return parts


def turns(times: int, frames: int, bins: int, way: float) -> np.ndarray:
    """Give the turns of the bins of every `times`-th sample by their delays.

    Parameters
    ----------
    times, frames, bins : int
        How many transforms there are, how long the sound is, and how many bins they have.
    way : float
        1 to delay (forward), -1 to undo it (backward).

    Returns
    -------
    ndarray, shape (times, 2, 2, bins)
        Of each transform: what the real and the imaginary part (second axis) give to the real and
        to the imaginary part (third axis).
    """
    angle = way * 2.0 * np.pi * np.outer(np.arange(times), np.arange(bins)) / frames
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]).transpose(2, 0, 1, 3)


def newest(graph: Graph, frame: str, frames: int) -> str:
    """Take the last `frames` samples of (1, samples)."""
    return str(graph.add("Slice", frame, graph.ints(-frames), graph.ints(_END), graph.ints(1)))


def short_spectrum(graph: Graph, samples: str, frames: int, times: int) -> str:
    """Add the transform of (1, frames) under its window; gives (1, 2, bins)."""
    length = frames // times
    bins, window = length // 2 + 1, sine_window(frames) / times
    if times == 1:
        parts = graph.add("MatMul", samples, graph.hold(window[:, None] * forward(frames)))
        return str(graph.add("Reshape", parts, graph.ints(1, 2, bins)))
    shaped = graph.add("Mul", samples, graph.hold(window[None]))
    rows = graph.add("Reshape", shaped, graph.ints(length, times))
    rows = graph.add("Transpose", rows, perm=[1, 0])
    parts = graph.add("MatMul", rows, graph.hold(forward(length)))
    parts = graph.add("Reshape", parts, graph.ints(1, 2 * times, 1, bins))
    turn = turns(times, frames, bins, 1.0).reshape(1, 2 * times, 2, bins)
    parts = graph.add("Mul", parts, graph.hold(turn))
    return str(graph.add("ReduceSum", parts, graph.ints(1), keepdims=0))


def long_power(graph: Graph, frame: str, frames: int, times: int) -> str:
    """Add the power of the lower bins of (1, frames) under its window; gives (1, bins)."""
    length = frames // times
    bins, window = length // 2 + 1, sine_window(frames)[None] ** 2 / times
    shaped = graph.add("Mul", frame, graph.hold(window))
    size = (1, length, 1) if times == 1 else (1, length, times, 1)
    shaped = graph.add("Reshape", shaped, graph.ints(*size))
    parts = graph.add("DFT", shaped, axis=1, onesided=1)
    if times > 1:
        parts = graph.add("Reshape", parts, graph.ints(1, bins, 2 * times, 1))
        turn = turns(times, frames, bins, 1.0).transpose(3, 0, 1, 2)
        parts = graph.add("Mul", parts, graph.hold(turn.reshape(1, bins, 2 * times, 2)))
        parts = graph.add("ReduceSum", parts, graph.ints(2), keepdims=0)
    return str(graph.add("ReduceSumSquare", parts, graph.ints(2), keepdims=0))


def sound(graph: Graph, spectrum: str, frames: int, times: int, name: str = "") -> str:
    """Add the way back of (1, 2, bins), under its window; gives (1, frames)."""
    length = frames // times
    bins, window = length // 2 + 1, sine_window(frames)
    if times == 1:
        row = graph.add("Reshape", spectrum, graph.ints(1, 2 * bins))
        return str(graph.add("MatMul", row, graph.hold(backward(frames, 1.0) * window), name=name))
    parts = graph.add("Reshape", spectrum, graph.ints(1, 2, 1, bins))
    parts = graph.add("Mul", parts, graph.hold(turns(times, frames, bins, -1.0)))
    parts = graph.add("ReduceSum", parts, graph.ints(1), keepdims=0)
    rows = graph.add("Reshape", parts, graph.ints(times, 2 * bins))
    # Its highest bin is one among others at a higher rate: it stands for two.
    rows = graph.add("MatMul", rows, graph.hold(backward(length, 2.0)))
    rows = graph.add("Transpose", rows, perm=[1, 0])
    row = graph.add("Reshape", rows, graph.ints(1, frames))
    return str(graph.add("Mul", row, graph.hold(window[None]), name=name))
