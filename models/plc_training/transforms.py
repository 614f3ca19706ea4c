# SPDX-License-Identifier: MIT
"""Fourier transforms of any even length as two small products of matrices (Cooley and Tukey 1965).

Samples are written in rows of P, P = frames / 64.  First each column, which is every P-th sample,
is transformed; then, for each of the 33 bins of those, the columns' spectra are turned by their
delays and summed to the wanted bins, which lie 64 bins from one another.  One matrix that does all
of it would be 14 times as large, and what a hop costs is above all the memory that it has to read.

Bins therefore come in an order of their own, as (33, 2, J): real and imaginary parts of what lies
j * 64 bins above or below each of the 33.  Weights of the network are sorted like that.
"""

from __future__ import annotations

import numpy as np

from .graph import Graph

_ROWS = 64
_END = np.iinfo(np.int64).max


def sine_window(frames: int) -> np.ndarray:
    """Give the window before and behind the network."""
    return np.sin(np.pi * np.arange(frames) / frames)


def newest(graph: Graph, frame: str, frames: int) -> str:
    """Take the last `frames` samples of (1, samples)."""
    return str(graph.add("Slice", frame, graph.ints(-frames), graph.ints(_END), graph.ints(1)))


class Transform:
    """The way to the lower bins of a sound, and back.

    Parameters
    ----------
    frames : int
        Samples, a multiple of 64.
    last : int
        The highest wanted bin, a multiple of 32, at most half of `frames`.

    Attributes
    ----------
    bins : ndarray of int, shape (33, J)
        Which bin stands where.
    once : ndarray of bool, shape (33, J)
        False where a bin that stands elsewhere stands again.
    """

    def __init__(self, frames: int, last: int) -> None:
        self.frames, self.last, self.columns = frames, last, frames // _ROWS
        half = _ROWS // 2
        steps = np.arange(-(last // _ROWS), (last - half) // _ROWS + 1)
        self._signed = np.arange(half + 1)[:, None] + _ROWS * steps
        self.bins = np.abs(self._signed)
        first = np.unique(self.bins, return_index=True)[1]
        self.once = np.isin(np.arange(self.bins.size), first).reshape(self.bins.shape)

    def _turns(self) -> tuple[np.ndarray, np.ndarray]:
        """Give cosines and sines of the delays of columns, (33, columns, J)."""
        angle = 2.0 * np.pi / self.frames * np.arange(self.columns)[:, None]
        angle = angle * self._signed[:, None, :]
        return np.cos(angle), np.sin(angle)

    def _column(self) -> tuple[np.ndarray, np.ndarray]:
        """Give cosines and sines of the transform of a column, (33, 64)."""
        bins, rows = np.arange(_ROWS // 2 + 1), np.arange(_ROWS)
        angle = 2.0 * np.pi / _ROWS * np.outer(bins, rows)
        return np.cos(angle), np.sin(angle)

    def forward(self, graph: Graph, samples: str, window: np.ndarray) -> str:
        """Add the transform of (1, frames) under a window; gives (33, 2, J)."""
        cosine, sine = self._column()
        first = np.stack([cosine, -sine], axis=1).reshape(-1, _ROWS)
        cosine, sine = self._turns()
        # A bin below zero is the conjugate of the one above it.
        sign = np.where(self._signed < 0, -1.0, 1.0)[:, None, :]
        to_real = np.concatenate([cosine, sine], axis=1)
        to_imaginary = np.concatenate([-sine * sign, cosine * sign], axis=1)
        second = np.concatenate([to_real, to_imaginary], axis=2)
        shaped = graph.add("Mul", samples, graph.hold(window[None]))
        rows = graph.add("Reshape", shaped, graph.ints(_ROWS, self.columns))
        parts = graph.add("MatMul", graph.hold(first), rows)
        parts = graph.add("Reshape", parts, graph.ints(len(self.bins), 1, -1))
        parts = graph.add("MatMul", parts, graph.hold(second))
        return str(graph.add("Reshape", parts, graph.ints(len(self.bins), 2, -1)))

    def backward(self, graph: Graph, spectrum: str, window: np.ndarray, name: str = "") -> str:
        """Add the inverse for (33, 2, J), under a window; gives (1, frames)."""
        share = np.where((self.bins == 0) | (2 * self.bins == self.frames), 1.0, 2.0)
        share = (share * self.once / self.frames)[:, :, None]
        cosine, sine = (part.transpose(0, 2, 1) * share for part in self._turns())
        sign = np.where(self._signed < 0, -1.0, 1.0)[:, :, None]
        from_real = np.concatenate([cosine, sine], axis=2)
        from_imaginary = np.concatenate([-sine * sign, cosine * sign], axis=2)
        first = np.concatenate([from_real, from_imaginary], axis=1)
        cosine, sine = self._column()
        second = np.stack([cosine, -sine], axis=1).reshape(-1, _ROWS).T
        parts = graph.add("Reshape", spectrum, graph.ints(len(self.bins), 1, -1))
        parts = graph.add("MatMul", parts, graph.hold(first))
        parts = graph.add("Reshape", parts, graph.ints(-1, self.columns))
        rows = graph.add("MatMul", graph.hold(second), parts)
        row = graph.add("Reshape", rows, graph.ints(1, self.frames))
        return str(graph.add("Mul", row, graph.hold(window[None]), name=name))

    def inputs(self, weights: np.ndarray) -> np.ndarray:
        """Sort weights of inputs, (outputs, bins), to (outputs, 33, J); each bin counts once."""
        return weights[:, self.bins] * self.once

    def outputs(self, weights: np.ndarray) -> np.ndarray:
        """Sort weights of outputs, (parts * bins, ...), to (33 * parts * J, ...)."""
        parts = weights.reshape(-1, self.last + 1, *weights.shape[1:])[:, self.bins]
        return np.moveaxis(parts, 0, 1).reshape(-1, *weights.shape[1:])
