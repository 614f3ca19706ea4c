# SPDX-License-Identifier: MIT
"""Long sounds through a network in chunks that overlap and are faded into one another.

The cut is that of the baseline (``separate_sources`` of clarity, after the Hybrid Demucs tutorial
of torchaudio). One thing is mended unless `compat` asks for it: the baseline fades out the end of
every sound that fits into one chunk, which all excerpts of the challenge do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["OVERLAP_S", "SEGMENT_S", "Chunk", "chunks", "in_chunks"]

#: The official values: a chunk is 1.1 segments, and a fade lasts 0.1 s (not 0.1 segments).
SEGMENT_S, OVERLAP_S = 10.0, 0.1


@dataclass(frozen=True)
class Chunk:
    """A piece of a sound.

    Attributes
    ----------
    begin, end : int
        Its frames.
    fade_in_frames, fade_out_frames : int
        Linear fades at its ends; 0 for none.
    """

    begin: int
    end: int
    fade_in_frames: int
    fade_out_frames: int

    def weights(self) -> NDArray[np.float32]:
        """Give the factor of each frame, shape (end - begin,)."""
        weights = np.ones(self.end - self.begin, np.float32)
        if self.fade_in_frames:
            weights[: self.fade_in_frames] = _ramp(self.fade_in_frames)
        if self.fade_out_frames:
            weights[-self.fade_out_frames :] *= 1.0 - _ramp(self.fade_out_frames)
        return weights


def chunks(frames: int, sample_rate: int, *, compat: bool = False) -> Iterator[Chunk]:
    """Cut a sound.

    Parameters
    ----------
    frames : int
        Its length.
    sample_rate : int
        In Hz.
    compat : bool
        Fade out the end of a sound that is one chunk, as the official code does.
    """
    whole = int(sample_rate * SEGMENT_S * (1.0 + OVERLAP_S))
    fade = int(OVERLAP_S * sample_rate)
    begin, end = 0, whole
    while begin < frames - fade or begin == 0:
        last = end >= frames and (begin > 0 or not compat)
        stop = min(end, frames)
        # The official fade of a sound shorter than the fade would fail: it has no end to fade.
        fade_out = 0 if last else min(fade, stop - begin)
        yield Chunk(begin, stop, fade if begin else 0, fade_out)
        begin += whole if begin else whole - fade
        end += whole


def in_chunks(
    x: NDArray[np.float32],
    sample_rate: int,
    network: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    compat: bool = False,
) -> NDArray[np.float32]:
    """Take a sound through a network, chunk by chunk.

    Parameters
    ----------
    x : array of float32, shape (channels, frames)
        The sound.
    sample_rate : int
        In Hz.
    network : function
        Takes (channels, n) and gives (stems, channels, n).
    compat : bool
        See :func:`chunks`.

    Returns
    -------
    numpy.ndarray of float32, shape (stems, channels, frames)
    """
    total: NDArray[np.float32] | None = None
    for chunk in chunks(x.shape[-1], sample_rate, compat=compat):
        stems = network(x[:, chunk.begin : chunk.end])
        if total is None:
            total = np.zeros((*stems.shape[:-1], x.shape[-1]), np.float32)
        total[..., chunk.begin : chunk.end] += stems * chunk.weights()
    assert total is not None, "the first chunk is always there"
    return total


def _ramp(frames: int) -> NDArray[np.float32]:
    return np.linspace(0.0, 1.0, frames, dtype=np.float32)
