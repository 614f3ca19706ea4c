# SPDX-License-Identifier: MIT
"""From elements (plugins, parallel branches, ears) to a flat list of steps over buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rtcore.chain.align import Align, Sum
from rtcore.chain.node import Node
from rtcore.errors import ConfigError, ParameterError, PluginError
from rtcore.plugin import Plugin, Spec


class Parallel:
    """Branches that hear the same input and are added, aligned in time.

    Parameters
    ----------
    *branches : sequence of chain elements
        An empty branch is the dry signal.
    gains_db : sequence of float, optional
        Gain of each branch; 0 dB by default.
    """

    id = "parallel"

    def __init__(
        self, *branches: Sequence[Element], gains_db: Sequence[float] | None = None
    ) -> None:
        if not branches:
            raise ParameterError(
                "branch",
                "a parallel element needs at least one branch; give [[plugin.branch]] tables",
            )
        self.branches = [list(b) for b in branches]
        self.gains_db = [
            float(g) for g in (gains_db if gains_db is not None else [0.0] * len(branches))
        ]
        if len(self.gains_db) != len(branches):
            what = (
                f"must have one gain for each of the {len(branches)} branches, got "
                f"{len(self.gains_db)}"
            )
            raise ParameterError("gains_db", what)


class PerEar:
    """Two branches, one for each ear of a stereo stream, aligned in time.

    Parameters
    ----------
    left, right : sequence of chain elements
        What is done to channel 0 and to channel 1.
    """

    id = "per_ear"

    def __init__(self, left: Sequence[Element] = (), right: Sequence[Element] = ()) -> None:
        self.branches = [list(left), list(right)]


Element = Plugin | Parallel | PerEar


@dataclass
class Place:
    """Where some channels of sound lie: a buffer, and the channel in it where they begin."""

    buffer: int
    channel: int
    channels: int


@dataclass
class Facts:
    """What a stretch of the chain costs."""

    latency_frames: int = 0
    lookahead_frames: int = 0
    tail_frames: int = 0

    def then(self, node: Node) -> Facts:
        """Add a processor behind this stretch."""
        # A processor that looks ahead while something before it delays is still looking ahead.
        return Facts(
            self.latency_frames + node.latency_frames,
            self.lookahead_frames + node.lookahead_frames,
            self.tail_frames + node.tail_frames,
        )


@dataclass
class PlacedNode:
    """A processor and where its samples lie."""

    node: Node
    path: str
    x: Place
    y: Place


@dataclass
class Graph:
    """The flat form of a chain."""

    spec: Spec
    block_frames: int = 1
    steps: list[PlacedNode] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)  # channels of each buffer
    output: Place = field(default_factory=lambda: Place(0, 0, 0))
    facts: Facts = field(default_factory=Facts)

    @classmethod
    def build(cls, elements: Sequence[Element], spec: Spec, block_frames: int = 1) -> Graph:
        """Lay out a chain.

        Parameters
        ----------
        elements : sequence
            Plugins, :class:`Parallel` and :class:`PerEar`.
        spec : Spec
            The stream; ``channels`` come in.
        block_frames : int
            Every block is a multiple of this (1: any size).

        Raises
        ------
        ConfigError
            Where elements do not fit together, naming the place.
        """
        graph = cls(spec, block_frames)
        source = graph._buffer(spec.channels)
        graph.output, graph.facts = graph._series(elements, source, "plugin")
        return graph

    def _buffer(self, channels: int) -> Place:
        self.widths.append(channels)
        return Place(len(self.widths) - 1, 0, channels)

    def _series(self, elements: Sequence[Element], source: Place, path: str) -> tuple[Place, Facts]:
        facts = Facts()
        for number, element in enumerate(elements):
            where = f"{path}[{number}].{element.id}"
            if isinstance(element, Plugin):
                source, facts = self._step(element, source, facts, where)
            else:
                source, facts = self._branches(element, source, facts, where)
        return source, facts

    def _step(self, plugin: Plugin, source: Place, facts: Facts, where: str) -> tuple[Place, Facts]:
        try:
            node = Node(plugin, replace(self.spec, channels=source.channels), self.block_frames)
        except ParameterError as error:
            raise ConfigError(f"{where}.{error.key}", error.what) from error
        except ConfigError as error:
            raise ConfigError(
                f"{where}.{error.where}" if error.where else where, error.what
            ) from error
        except PluginError as error:
            raise type(error)(f"{where}: {error}") from error
        target = self._buffer(node.channels_out)
        self.steps.append(PlacedNode(node, where, source, target))
        return target, facts.then(node)

    def _branches(
        self, element: Parallel | PerEar, source: Place, facts: Facts, where: str
    ) -> tuple[Place, Facts]:
        sources = [source] * len(element.branches)
        if isinstance(element, PerEar):
            if source.channels != len(element.branches):
                raise ConfigError(
                    where,
                    f"per-ear processing needs 2 channels, got {source.channels}; set channels = 2",
                )
            sources = [
                replace(source, channel=source.channel + ear, channels=1) for ear in range(2)
            ]
        results = [
            self._series(branch, start, f"{where}.branch[{k}].plugin")
            for k, (branch, start) in enumerate(zip(element.branches, sources, strict=True))
        ]
        places = [place for place, _ in results]
        latest = max(part.latency_frames for _, part in results)
        delays = [latest - part.latency_frames for _, part in results]
        joined = self._gather(places, source, where)
        if isinstance(element, Parallel):
            if len({place.channels for place in places}) > 1:
                widths = ", ".join(str(place.channels) for place in places)
                raise ConfigError(
                    where, f"branches must have equal channel counts to be added, got {widths}"
                )
            joint: Plugin = Sum(delays=tuple(delays), gains_db=tuple(element.gains_db))
        else:
            joint = Align(delays=tuple(np.repeat(delays, [p.channels for p in places]).tolist()))
        target, _ = self._step(joint, joined, Facts(), where)
        tail = max(
            part.tail_frames + delay for (_, part), delay in zip(results, delays, strict=True)
        )
        ahead = max(part.lookahead_frames for _, part in results)
        return target, Facts(
            facts.latency_frames + latest, facts.lookahead_frames + ahead, facts.tail_frames + tail
        )

    def _gather(self, places: list[Place], source: Place, where: str) -> Place:
        """Let the branches write side by side into one buffer."""
        joined = self._buffer(sum(place.channels for place in places))
        channel = 0
        for place in places:
            spot = Place(joined.buffer, channel, place.channels)
            if (
                place.buffer == source.buffer
            ):  # a dry branch: nothing writes its channels, so copy them
                dry = Node(
                    Align(delays=(0,) * place.channels), replace(self.spec, channels=place.channels)
                )
                self.steps.append(PlacedNode(dry, f"{where}.dry", place, spot))
            else:
                writer = next(step for step in self.steps if step.y.buffer == place.buffer)
                writer.y = spot
            channel += place.channels
        return joined

    @property
    def warm_frames(self) -> int:
        """How long workers have nothing to give when the chain begins to play, one after another.

        Of branches all are counted: too long costs nothing but time.
        """
        return sum(step.node.warm_frames for step in self.steps)

    def memory(self, real: Any) -> list[np.ndarray[Any, Any]]:
        """Allocate the buffers."""
        return [np.zeros(max(1, width) * self.spec.max_frames, real) for width in self.widths]
