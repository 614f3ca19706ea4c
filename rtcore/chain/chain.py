# SPDX-License-Identifier: MIT
"""The chain: what a user builds, feeds with sound, and turns while it plays."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.chain.checks import (
    check_same_place,
    check_same_stream,
    check_stream,
    find_plugin,
    planar_sound,
    user_of,
)
from rtcore.chain.graph import Element, Graph, PlacedNode
from rtcore.chain.node import Node
from rtcore.chain.records import Command
from rtcore.chain.sides import find_side
from rtcore.chain.standin import bypass, bypassed
from rtcore.chain.stream import Stream
from rtcore.chain.table import Table
from rtcore.chain.updating import change
from rtcore.errors import StreamError
from rtcore.kernels.context import Flag
from rtcore.plugin import Spec
from rtcore.sides import vectors_of

_FADE_S = 0.05
_NO_FLAGS = Flag(0)  # to make one takes as long as to play a block


class Chain:
    """Processors in a row, playing a stream of sound.

    Parameters
    ----------
    elements : sequence
        Plugins, :class:`~rtcore.Parallel` and :class:`~rtcore.PerEar`.
    sample_rate : float
        In Hz, 1000 to 384000.
    channels : int
        That come in, 1 to 64.
    dtype : str or dtype
        ``"float32"`` or ``"float64"``.
    listeners : path, optional
        File in which listeners named by id are looked up.
    max_frames : int
        Longest block that is handed to a plugin; longer input is cut, which changes no sample.
    block_frames : int
        Promise that every block is a multiple of this; lowers the delay of plugins with a hop.
        Changes for a frame then take effect at the next multiple.

    Raises
    ------
    ConfigError
        Where the elements do not fit together, naming the place.

    Examples
    --------
    >>> chain = Chain([Gain(gain_db=-6.0)], sample_rate=48000, channels=2)
    >>> y = chain.process(x)      # (channels, frames), as often as you like
    >>> tail = chain.flush()
    """

    def __init__(
        self,
        elements: Sequence[Element],
        *,
        sample_rate: float = 48000.0,
        channels: int = 2,
        dtype: str | np.dtype[Any] = "float32",
        listeners: str | Path | None = None,
        max_frames: int = 512,
        block_frames: int = 1,
    ) -> None:
        check_stream(sample_rate, channels, dtype)
        path = None if listeners is None else Path(listeners)
        max_frames = max(
            block_frames, max_frames - max_frames % block_frames
        )  # cuts keep the promise
        self.spec = Spec(float(sample_rate), int(channels), int(max_frames), np.dtype(dtype), path)
        self.elements = list(elements)
        self.table = Table(Graph.build(self.elements, self.spec, block_frames))
        self.stream = Stream(self.table)
        # The engine that plays this chain, or the chain that took it over.
        self._owner: object | None = None
        self._changing = threading.RLock()  # updates and swaps come one after the other
        self._feeding = threading.Lock()
        self._flags = Flag(0)

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> Chain:
        """Build the chain that a TOML file describes.

        Parameters
        ----------
        path : path
            The file.
        **overrides
            Keyword arguments of :class:`Chain` that win over the file's.

        Raises
        ------
        ConfigError
            Naming the file and the key.
        """
        from rtcore.chain.config import chain_from_toml

        return chain_from_toml(Path(path), overrides)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], base: Path | None = None, **overrides: Any
    ) -> Chain:
        """Build a chain from the same keys as a TOML file, as a mapping."""
        from rtcore.chain.config import chain_from_mapping

        return chain_from_mapping(config, base or Path(), overrides)

    @property
    def sample_rate(self) -> float:
        """In Hz."""
        return self.spec.sample_rate

    @property
    def channels_in(self) -> int:
        """Channels that come in."""
        return self.spec.channels

    @property
    def channels_out(self) -> int:
        """Channels that go out."""
        return self.table.graph.output.channels

    @property
    def latency_frames(self) -> int:
        """How late the output is."""
        return self.table.graph.facts.latency_frames

    @property
    def latency_s(self) -> float:
        """How late the output is, in seconds."""
        return self.latency_frames / self.spec.sample_rate

    @property
    def lookahead_frames(self) -> int:
        """How far into the future of its own time-aligned input an output sample depends."""
        return self.table.graph.facts.lookahead_frames

    @property
    def tail_frames(self) -> int:
        """How many frames the output goes on after the input has ended."""
        return self.table.graph.facts.tail_frames

    @property
    def nodes(self) -> list[PlacedNode]:
        """The processors in the order in which they run, with their places in the chain."""
        return self.table.placed

    def process(self, x: Any, *, lost: bool = False) -> np.ndarray[Any, Any]:
        """Play a piece of sound; the next piece goes on where this one ended.

        Parameters
        ----------
        x : array
            (channels, frames) of floating point, full scale 1.0; (frames,) for one channel.
        lost : bool
            These frames belong to a packet that never came.

        Returns
        -------
        ndarray
            (channels_out, frames), or (frames,) where one channel came as such.

        Raises
        ------
        StreamError
            Where the shape or the type is wrong, or an engine plays this chain.
        """
        if self._owner is not None:
            msg = (
                f"{user_of(self._owner)} plays this chain; build a second chain from the "
                "same elements"
            )
            raise StreamError(msg)
        planar = planar_sound(x, self.channels_in, self.spec.dtype)
        step = self.table.graph.block_frames
        if planar.shape[1] % step:
            msg = (
                f"this chain was promised blocks of a multiple of {step} frames, got "
                f"{planar.shape[1]}; feed such blocks"
            )
            raise StreamError(msg)
        y = np.empty((self.channels_out, planar.shape[1]), self.spec.dtype)
        if not self._feeding.acquire(blocking=False):
            raise StreamError(
                "another thread feeds this chain; give each thread a chain of its own"
            )
        try:
            self._mark(Flag.LOST if lost else _NO_FLAGS)
            self.stream.run(planar, y)
        finally:
            self._feeding.release()
        return y[0] if planar is not x and np.ndim(x) == 1 and y.shape[0] == 1 else y

    def stats(self) -> list[dict[str, Any]]:
        """Give what was counted about each of :attr:`nodes`, as JSON-able numbers.

        A plugin with ``placement = "worker"`` has the counts of its worker under ``worker``.
        """
        return self.table.stats()

    def flush(self) -> np.ndarray[Any, Any]:
        """Play ``tail_frames`` frames of silence, to hear the end of what was fed.

        Returns
        -------
        ndarray
            (channels_out, tail_frames).
        """
        step = self.table.graph.block_frames
        whole = -(-self.tail_frames // step) * step
        rest = self.process(np.zeros((self.channels_in, whole), self.spec.dtype)).reshape(
            self.channels_out, -1
        )
        return rest[:, : self.tail_frames]

    def render(self, x: Any, *, tail: bool = True) -> np.ndarray[Any, Any]:
        """Reset, play a whole signal, and append its tail.

        Parameters
        ----------
        x : array
            (channels, frames), or (frames,) for one channel.
        tail : bool
            Whether the output is longer than the input by ``tail_frames``.
        """
        self.reset()
        body = self.process(x)
        if not tail:
            return body
        rest = self.flush()
        return np.concatenate([body, rest if body.ndim == rest.ndim else rest[0]], axis=-1)

    def reset(self) -> None:
        """Forget all sound; parameters stay, and changes for later frames stay queued."""
        if self._owner is None:
            self.stream.reset()
        else:
            self.stream.send(Command.RESET, -1, say={"event": "reset", "plugin": "*"})

    @property
    def _fade_frames(self) -> int:
        """Length of a cross-fade: whole blocks, since a swap may begin where one ends."""
        step = self.table.graph.block_frames
        return -(-self.spec.frames(_FADE_S) // step) * step

    def restart(self, owner: object | None = None) -> None:
        """Forget all sound, and vectors that wait; begin a new stream, at frame 0, without flags.

        Parameters
        ----------
        owner : object, optional
            The engine that plays the chain, where one does: nobody else may.

        Raises
        ------
        StreamError
            Where an engine plays this chain.
        """
        if self._owner is not owner:
            msg = f"{user_of(self._owner)} plays this chain; stop it first"
            raise StreamError(msg)
        self.stream.restart()
        self._flags = Flag(0)

    def update(self, which: int | str, *, at_frame: int = -1, **settings: Any) -> None:
        """Change parameters while it plays.

        Live parameters move along their ramps; settings re-prepare the plugin, which is
        cross-faded in.

        Parameters
        ----------
        which : int or str
            Number of the plugin among :attr:`nodes`, its id, or its place (``plugin[1].gain``).
        at_frame : int
            Stream position at which the change takes effect; -1 for the next frame.  Changes take
            effect in the order in which they are given.
        **settings
            New values.

        Raises
        ------
        ParameterError
            Where a value is refused; nothing is changed then.
        """
        with self._changing:
            number = self.find(which)
            changed = self.nodes[number].node.plugin.update(**settings)  # validates all first
            change(self, number, changed, settings, at_frame)

    def bypass(self, which: int | str, *, on: bool = True, at_frame: int = -1) -> None:
        """Let the sound pass a plugin unprocessed, or let it play again, under a cross-fade.

        The latency stays what it is.  Values can be changed meanwhile; the plugin comes back as
        freshly prepared, with them.

        Parameters
        ----------
        which, at_frame
            As for :meth:`update`.
        on : bool
            Whether it is bypassed.

        Raises
        ------
        ParameterError
            Where there is no such plugin.
        ConfigError
            Where it changes the number of channels, or joins branches.
        """
        with self._changing:
            bypass(self, which, on=on, at_frame=at_frame)

    def feed(
        self, name: str, vectors: Any, *, at_frame: Any = None, rate_hz: float | None = None
    ) -> int:
        """Hand vectors to a side input, from any thread, while it plays or before.

        A vector holds from its frame until the next one does, or, where it comes late, from the
        next frame on.  A plugin with a hop gets the one that holds at its hop's last frame.

        Parameters
        ----------
        name : str
            Of a side input that a plugin declares.
        vectors : array
            Of finite numbers, (width,) or (vectors, width).
        at_frame : int or array of int, optional
            Position from which the first vector, or each, holds; the next frame by default.
        rate_hz : float, optional
            Vectors in a second, after the first; the declared rate by default.

        Returns
        -------
        int
            How many found room: where thousands wait, others are dropped and counted.

        Raises
        ------
        ParameterError
            Where no plugin has such a side input.
        StreamError
            Where the vectors do not fit it, or are not in the order of their frames.
        """
        slot = find_side(self.nodes, name)
        rows = vectors_of(name, slot.declared.width, vectors)
        frames = slot.frames(len(rows), at_frame, rate_hz)
        return self.stream.feed(slot, rows, frames)

    def replace_node(
        self, number: int, node: Node, old: Node, *, at_frame: int = -1, say: Any = None
    ) -> None:
        """Cross-fade from one node to another in a step's place.

        Parameters
        ----------
        number : int
            The step.
        node, old : Node
            What is to play there, at the same latency, and what it was made from.
        at_frame, say
            As for :meth:`Stream.send`.

        Raises
        ------
        ConfigError
            Where the latency would change.
        StreamError
            Where something else plays in that place by now.
        """
        with self._changing:
            if number >= len(self.nodes) or self.nodes[number].node is not old:
                msg = "the chain was changed meanwhile; make the change again"
                raise StreamError(msg)
            self._replace(number, node, at_frame, say)

    def _replace(self, number: int, node: Node, at_frame: int, say: Any) -> None:
        placed = self.nodes[number]
        old = placed.node
        check_same_place(placed.path, node, old)
        nodes = [*self.nodes]
        nodes[number] = replace(placed, node=node)
        self.stream.sides.bind(nodes)
        self.stream.wake([node])
        pair = self.table.template(node)
        fade = self._fade_frames
        spare = pair.ctypes.data + pair.itemsize
        # The step's record goes on in the pair's second place, with the old node's memory.
        self.stream.keep(spare, (pair, old))
        try:
            self.stream.send(
                Command.SWAP_STEP, number, pair.ctypes.data, fade, at_frame=at_frame, say=say
            )
        except StreamError:
            self.stream.let_go(spare)
            raise
        placed.node = node

    def swap(self, other: Chain, *, at_frame: int = -1) -> None:
        """Cross-fade to another chain; this object then plays the other's elements.

        Parameters
        ----------
        other : Chain
            For the same stream; it must not be playing itself.
        at_frame : int
            Stream position at which the cross-fade begins; -1 for the next frame.

        Raises
        ------
        ConfigError
            Where rate, type or channels differ.
        StreamError
            Where the other chain is playing, or was taken over before.
        """
        with self._changing:
            self._swap(other, at_frame)

    def _swap(self, other: Chain, at_frame: int) -> None:
        from rtcore.chain.export import logged_chain

        if other is self or other._owner is not None:
            user = "this very stream" if other is self else user_of(other._owner)
            msg = (
                f"a chain that takes over must be fresh, but {user} plays it; build "
                "another from the same elements"
            )
            raise StreamError(msg)
        check_same_stream(self.table.graph, other.table.graph)
        other.stream.settle()  # what was queued there takes effect now: only its table goes over
        address = other.table.address
        held = other.stream.sides.held()
        say = {"event": "swap", "chain": logged_chain(self, other), "sides": held}
        say["bypassed"] = bypassed(other)
        self.stream.sides.bind(other.nodes, other.stream.sides)
        self.stream.wake([placed.node for placed in other.nodes])
        self.stream.keep(address, other.table)
        try:
            self.stream.send(
                Command.SWAP_CHAIN,
                address,
                other.table.graph.warm_frames,
                self._fade_frames,
                at_frame=at_frame,
                say=say,
            )
        except StreamError:
            self.stream.let_go(address)
            other.stream.sides.bind(other.nodes)
            raise
        self.table = self.stream.table = other.table
        self.elements = other.elements
        other._owner = self

    def find(self, which: int | str) -> int:
        """Give the number of a plugin among :attr:`nodes`.

        Raises
        ------
        ParameterError
            Where there is none, or more than one of that id.
        """
        return find_plugin(self.nodes, which)

    def _mark(self, flags: Flag) -> None:
        if flags != self._flags:
            self._flags = flags
            self.stream.mark(int(flags))
