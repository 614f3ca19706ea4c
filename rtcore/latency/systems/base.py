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
_PACKET_S, _LOSS = 0.02, 0.3  # of the link that concealers are heard behind


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

    def in_full(self) -> System:
        """Give the system in which all shows that it looks ahead for; a concealer needs losses."""
        return self

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
        return self.chain.render(self._whole(x), tail=False)[:, : x.shape[1]]

    def _whole(self, x: Sound) -> Sound:
        short = -x.shape[1] % self.chain.table.graph.block_frames
        return np.pad(x.astype(self.chain.spec.dtype), ((0, 0), (0, short)))

    def in_full(self) -> ChainSystem:
        """Give it behind a lossy link where it conceals losses."""
        if not any(placed.node.plugin.conceals for placed in self.chain.nodes):
            return self
        lossy = LossyChainSystem(self.chain, self.name)
        lossy.declared = self.declared
        return lossy


class LossyChainSystem(ChainSystem):
    """A chain behind a link that loses every third packet or so, the same at every run."""

    def run(self, x: Sound) -> Sound:
        """Play packet by packet; lost ones are silent and flagged."""
        chain, whole = self.chain, self._whole(x)
        chain.reset()
        block = chain.table.graph.block_frames
        packet = max(1, round(_PACKET_S * chain.sample_rate / block)) * block
        rng = np.random.default_rng(2)
        played = [np.zeros((chain.channels_out, 0))]
        for start in range(0, whole.shape[1], packet):
            piece = whole[:, start : start + packet]
            lost = bool(rng.random() < _LOSS)
            played.append(chain.process(np.zeros_like(piece) if lost else piece, lost=lost))
        return np.concatenate(played, axis=1)[:, : x.shape[1]]


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
