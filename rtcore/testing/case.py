# SPDX-License-Identifier: MIT
"""One plugin in one stream, and the sounds it is tried with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.chain.node import Node
from rtcore.plugin import Param, Plugin

Sound = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Finding:
    """A promise that a plugin breaks.

    Attributes
    ----------
    plugin : str
        Its id.
    check : str
        The promise: a key of :data:`rtcore.testing.CHECKS`.
    stream : str
        The stream in which it happens; empty where it happens in any.
    what : str
        A sentence: what was expected, what was found, and what to do.
    """

    plugin: str
    check: str
    stream: str
    what: str

    def __str__(self) -> str:
        """Give the sentence that a user reads."""
        where = f" ({self.stream})" if self.stream else ""
        return f"{self.plugin}: {self.check}{where}: {self.what}"


@dataclass(frozen=True)
class Case:
    """One plugin in one stream.

    Parameters
    ----------
    plugin_class : type
        What is checked.
    dtype : str
        ``"float32"`` or ``"float64"``.
    channels : int
        That come in.
    settings : mapping
        Values of parameters and settings; the defaults where absent.
    sample_rate : float
        In Hz.
    """

    plugin_class: type[Plugin]
    dtype: str = "float32"
    channels: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample_rate: float = 48000.0

    def __str__(self) -> str:
        """Name the stream."""
        plural = "s" if self.channels > 1 else ""
        return f"{self.dtype}, {self.channels} channel{plural}, {self.sample_rate:g} Hz"

    def chain(self, *, max_frames: int = 512, **changes: Any) -> Chain:
        """Build a chain of this plugin alone, with changed settings where given."""
        plugin = self.plugin_class(**{**self.settings, **changes})
        return Chain(
            [plugin],
            sample_rate=self.sample_rate,
            channels=self.channels,
            dtype=self.dtype,
            max_frames=max_frames,
        )

    @property
    def tiny(self) -> float:
        """The smallest normal number of the stream's real type."""
        return float(np.finfo(self.dtype).tiny)

    def noise(self, frames: int, *, level: float = 0.3, seed: int = 0) -> Sound:
        """Make Gaussian noise, with a loud stretch of four times `level` in its third quarter."""
        x = level * np.random.default_rng(seed).standard_normal((self.channels, frames))
        x[:, frames // 2 : frames * 3 // 4] *= 4.0
        return x.astype(self.dtype)

    def zeros(self, frames: int) -> Sound:
        """Make silence."""
        return np.zeros((self.channels, frames), self.dtype)

    def bounds(self) -> dict[str, tuple[Any, Any]]:
        """Give the lowest and the highest value of each live parameter."""
        return {name: _bounds(param) for name, param in self.plugin_class.params.items()}


def _bounds(param: Param) -> tuple[Any, Any]:
    low = param.min if param.min is not None else min(0.0, 2.0 * param.default)
    high = param.max if param.max is not None else max(1.0, 2.0 * param.default)
    return low, high


def the_node(chain: Chain) -> Node:
    """Give the node of the plugin that is checked."""
    return chain.nodes[0].node


def faults(chain: Chain) -> int:
    """Count how often a plugin gave NaN, Inf or a status."""
    return int(chain.table.steps["faults"].sum())


def in_pieces(chain: Chain, x: Sound, sizes: Iterable[int]) -> Sound:
    """Play a sound in pieces of these sizes, over and over.

    Parameters
    ----------
    chain : Chain
        Continued from where it stands.
    x : ndarray
        (channels, frames).
    sizes : iterable of int
        Frames of one piece after the other, each at least 1.
    """
    pieces = []
    start = 0
    for size in itertools.cycle(list(sizes)):
        if start >= x.shape[1]:
            break
        pieces.append(chain.process(x[:, start : start + size]))
        start += size
    return np.concatenate(pieces, axis=1)


def first_difference(a: Sound, b: Sound) -> int | None:
    """Give the first frame in which two sounds differ in any bit, or None."""
    words = np.int32 if a.dtype == np.float32 else np.int64
    differs = (a.view(words) != b.view(words)).any(axis=0)
    return int(np.argmax(differs)) if differs.any() else None
