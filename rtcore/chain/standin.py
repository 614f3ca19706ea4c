# SPDX-License-Identifier: MIT
"""Bypass of one plugin: its sound passes unprocessed, at its latency, and it can be turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcore.chain.align import Align, Sum
from rtcore.chain.checks import check_same_place
from rtcore.chain.node import Node
from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.chain.chain import Chain
    from rtcore.chain.graph import PlacedNode
    from rtcore.plugin import Plugin


class StandIn(Node):
    """A delay that plays in the place of a plugin, and keeps that plugin's values.

    Parameters
    ----------
    old : Node
        In whose place it plays; what this one shows as its ``plugin`` is that one's.
    block_frames : int
        Every block is a multiple of this.
    """

    def __init__(self, old: Node, block_frames: int) -> None:
        delays = (old.latency_frames,) * old.channels_in
        super().__init__(Align(delays=delays), old.spec, block_frames)
        self._align, self.plugin = self.plugin, old.plugin
        self.latency_frames = old.latency_frames
        self.lookahead_frames, self.tail_frames = old.lookahead_frames, old.tail_frames
        self.warm_frames = _filled(self, block_frames)

    def fill_step(self, step: Any) -> None:
        """Write this node's part of a STEP record; the plugin's parameters are none of it."""
        super().fill_step(step)
        step["control_count"] = 0

    @property
    def subnormals(self) -> int:
        """Count subnormal numbers in the delay."""
        kept, self.plugin = self.plugin, self._align
        try:
            return super().subnormals
        finally:
            self.plugin = kept

    def check(self, changed: Plugin, where: str, block_frames: int) -> None:
        """Refuse new settings with which the plugin could not come back to this place.

        Raises
        ------
        RtcoreError
            As where it plays.
        """
        check_same_place(where, Node(changed, self.spec, block_frames), self)


def _filled(node: Node, block_frames: int) -> int:
    """Give the frames after which a node with latency has sound to give, in whole blocks."""
    return -(-node.latency_frames // block_frames) * block_frames


def check_bypass(placed: PlacedNode) -> None:
    """Refuse a processor in whose place no delay can play.

    Raises
    ------
    ConfigError
        Where it changes the number of channels, or joins branches.
    """
    node = placed.node
    if isinstance(node.plugin, Align | Sum) or node.channels_in != node.channels_out:
        what = (
            f"gives {node.channels_out} channels for {node.channels_in}, or joins branches, so "
            "it cannot be bypassed alone; bypass others, or the whole chain"
        )
        raise ConfigError(placed.path, what)


def bypass(chain: Chain, which: int | str, *, on: bool, at_frame: int = -1) -> None:
    """Bypass a plugin or let it play again; see :meth:`rtcore.Chain.bypass`."""
    from rtcore.chain.export import logged_values

    number = chain.find(which)
    placed = chain.nodes[number]
    old, block_frames = placed.node, chain.table.graph.block_frames
    if isinstance(old, StandIn) == on:
        return
    check_bypass(placed)
    node = StandIn(old, block_frames) if on else Node(old.plugin, old.spec, block_frames)
    # The old one plays alone until the new one's delay is full: else its silence would be heard.
    node.warm_frames = max(node.warm_frames, _filled(node, block_frames))
    say: dict[str, Any] = {"event": "bypass", "plugin": placed.path, "on": on}
    if not on:  # what was set meanwhile is heard from now on
        values = logged_values(chain, old.plugin.values, placed.path)
        say["values"] = {key: value for key, value in values.items() if value is not None}
    chain.replace_node(number, node, old, at_frame=at_frame, say=say)


def bypassed(chain: Chain) -> list[str]:
    """Name the places of the plugins that are bypassed."""
    return [placed.path for placed in chain.nodes if isinstance(placed.node, StandIn)]
