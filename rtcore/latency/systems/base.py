# SPDX-License-Identifier: MIT
"""What the lab can measure: anything that turns one sound into another of the same length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from rtcore.chain import Chain
from rtcore.errors import RtcoreError
from rtcore.latency.result import Declared

Sound = np.ndarray[Any, np.dtype[Any]]


class SystemFaultError(RtcoreError):
    """A system that is measured fails, or gives what no system may give."""


class Streaming(Protocol):
    """A system that can be fed block by block, so that its blocks can be timed."""

    block_samples: int

    def process(self, x: Sound) -> Sound:
        """Give the next (channels, frames) of output for the next of input."""


class System(ABC):
    """Something to measure.

    Attributes
    ----------
    name : str
        How the user calls it.
    kind : str
        ``chain``, ``callable``, ``command``, ``onnx`` or ``pairs``.
    sample_rate : int
        In Hz.
    channels : int
        That go in.
    declared : Declared
        What it says of itself.
    at_once : int
        How many runs may go on side by side.
    """

    kind: str = ""
    at_once: int = 1

    def __init__(self, name: str, sample_rate: int, channels: int, declared: Declared) -> None:
        self.name = name
        self.sample_rate = int(sample_rate)
        self.channels = channels
        self.declared = declared

    @abstractmethod
    def run(self, x: Sound) -> Sound:
        """Process a whole sound from a fresh start.

        Parameters
        ----------
        x : ndarray
            (channels, frames), float64, within -1 to 1.

        Returns
        -------
        ndarray
            (channels_out, frames): as many frames as went in.
        """

    def run_many(self, sounds: Sequence[Sound]) -> Iterator[Sound]:
        """Process several sounds, side by side where the system allows it; results in order."""
        return map(self.run, sounds)

    def streaming(self) -> Streaming | None:
        """Give a fresh stream of it, or None where it only knows whole sounds."""
        return None


class ChainSystem(System):
    """A chain; its blocks are measured by the engine itself.

    Parameters
    ----------
    chain : Chain
        At rest: nothing else may play it meanwhile.
    name : str
        How the user calls it.
    """

    kind = "chain"

    def __init__(self, chain: Chain, name: str) -> None:
        declared = Declared(
            latency_samples=chain.latency_frames,
            lookahead_samples=chain.lookahead_frames - chain.latency_frames,
        )
        super().__init__(name, round(chain.sample_rate), chain.channels_in, declared)
        self.chain = chain

    def run(self, x: Sound) -> Sound:
        """Render from a reset on, without the tail, in whole blocks of the promised size."""
        frames = x.shape[1]
        short = -frames % self.chain.table.graph.block_frames
        whole = np.pad(x.astype(self.chain.spec.dtype), ((0, 0), (0, short)))
        return self.chain.render(whole, tail=False)[:, :frames]


def checked(system: System, x: Sound, y: Any) -> Sound:
    """Bring an output to (channels_out, frames); refuse what is no sound of the same length.

    Raises
    ------
    SystemFaultError
        Where the output is no array of numbers, or is longer or shorter than the input.
    """
    try:
        sound = np.asarray(y)
    except (TypeError, ValueError):
        sound = np.zeros((), object)
    frames = x.shape[1]
    while sound.ndim > 2 and len(sound) == 1:  # a batch of one
        sound = sound[0]
    if sound.ndim == 1:
        sound = sound[np.newaxis]
    if sound.ndim != 2 or sound.dtype.kind not in "biuf":
        plain = sound.dtype.kind in "biufc" and isinstance(y, np.ndarray)
        found = f"{sound.dtype} samples of shape {sound.shape}" if plain else type(y).__name__
        raise SystemFaultError(
            f"{system.name}: gave {found}; let it return an array of real numbers, as many samples "
            "as it was given"
        )
    if not len(sound):
        raise SystemFaultError(f"{system.name}: gave no channel; let it return at least one")
    if sound.shape[1] != frames:
        if sound.shape[0] == frames and sound.shape[1] <= 64:
            what = f"gave {sound.shape}; let it return channels first: (channels, {frames})"
        else:
            what = (
                f"gave {sound.shape[1]} samples for {frames}; pad or cut its output to the "
                "length of the input"
            )
        raise SystemFaultError(f"{system.name}: {what}")
    return sound.astype(np.float64)
