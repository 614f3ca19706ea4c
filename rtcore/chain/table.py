# SPDX-License-Identifier: MIT
"""The native form of a chain: an array of steps that the compiled loop walks."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.chain.asking import ask_failures
from rtcore.chain.graph import Graph, PlacedNode
from rtcore.chain.node import Node
from rtcore.chain.records import CHAIN, STEP
from rtcore.chain.standin import StandIn


class Table:
    """Steps and buffers of one chain, at fixed addresses for as long as this object lives.

    Parameters
    ----------
    graph : Graph
        What is to be played.
    """

    def __init__(self, graph: Graph) -> None:
        spec = graph.spec
        self.graph = graph
        self.placed: list[PlacedNode] = graph.steps
        self._buffers = graph.memory(spec.dtype)
        widest = max([1, *(p.node.channels_out for p in graph.steps)])
        self._fade_scratch = np.zeros(widest * spec.max_frames, spec.dtype)
        self.steps = np.zeros(max(1, len(graph.steps)), STEP)
        for step, placed in zip(self.steps, graph.steps, strict=False):
            placed.node.fill_step(step)
            step["x"] = self._buffers[placed.x.buffer].ctypes.data
            step["x_channel"] = placed.x.channel
            step["y"] = self._buffers[placed.y.buffer].ctypes.data
            step["y_channel"] = placed.y.channel
        self.record = np.zeros(1, CHAIN)
        self.steps["chain"] = self.address
        self._fill(self.record[0])

    def _fill(self, record: Any) -> None:
        spec, output = self.graph.spec, self.graph.output
        record["steps"] = self.steps.ctypes.data
        record["step_count"] = len(self.placed)
        record["channels_in"] = spec.channels
        record["channels_out"] = output.channels
        record["max_frames"] = spec.max_frames
        record["input"] = self._buffers[0].ctypes.data
        record["output"] = self._buffers[output.buffer].ctypes.data
        record["output_channel"] = output.channel
        record["fade_scratch"] = self._fade_scratch.ctypes.data

    def stats(self) -> list[dict[str, Any]]:
        """Describe each step: its place, its times, faults and side inputs, and its worker."""
        return [
            {
                "place": placed.path,
                "id": placed.node.plugin.id,
                "latency_frames": placed.node.latency_frames,
                "failures": ask_failures(placed.node.plugin)[0],
                "busy_ms": placed.node.histogram.summary_ms(),
                "muted": bool(step["muted"]),
                "bypass": isinstance(placed.node, StandIn),
                "faults": int(step["faults"]),
                "sides": {name: slot.stats() for name, slot in placed.node.slots.items()},
                "worker": None if placed.node.worker is None else placed.node.worker.stats(),
            }
            for placed, step in zip(self.placed, self.steps, strict=False)
        ]

    @property
    def address(self) -> int:
        """Where compiled code finds the chain."""
        return int(self.record.ctypes.data)

    @staticmethod
    def template(node: Node) -> np.ndarray[Any, Any]:
        """Make the record that puts another node in a step's place, with room for the old one."""
        pair = np.zeros(2, STEP)
        node.fill_step(pair[0])
        return pair
