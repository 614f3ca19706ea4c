# SPDX-License-Identifier: MIT
"""What a change of a plugin's values does to the chain that plays: a ramp, or a new node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtcore.chain.node import Node
from rtcore.chain.records import Command
from rtcore.chain.standin import StandIn

if TYPE_CHECKING:
    from rtcore.chain.chain import Chain
    from rtcore.plugin import Plugin


def change(
    chain: Chain, number: int, changed: Plugin, settings: Mapping[str, Any], at_frame: int
) -> None:
    """Let new values of one plugin take effect.

    Parameters
    ----------
    chain : Chain
        That plays it.
    number : int
        Of the plugin among the chain's nodes.
    changed : Plugin
        A copy that has the new values.
    settings : mapping
        Those values.
    at_frame : int
        As for :meth:`rtcore.Chain.update`.
    """
    from rtcore.chain.export import logged_values

    placed = chain.nodes[number]
    values = logged_values(chain, settings, placed.path)
    say = {"event": "update", "plugin": placed.path, "values": values}
    live = set(settings) <= set(type(changed).params)
    if isinstance(placed.node, StandIn):  # its values are logged when it plays again
        if not live:
            placed.node.check(changed, placed.path, chain.table.graph.block_frames)
        placed.node.plugin = changed
    elif live:
        _aim(chain, number, changed, settings, at_frame, say)
        placed.node.plugin = changed
    else:
        node = Node(changed, placed.node.spec, chain.table.graph.block_frames)
        chain.replace_node(number, node, placed.node, at_frame=at_frame, say=say)


def _aim(
    chain: Chain,
    number: int,
    changed: Plugin,
    settings: Mapping[str, Any],
    at_frame: int,
    say: dict[str, Any],
) -> None:
    """Send live parameters on their ways."""
    node, rate = chain.nodes[number].node, chain.sample_rate
    params = type(changed).params
    fields = [
        (number, node.slot(name), params[name].in_kernel(changed.values[name], rate))
        for name in settings
    ]
    chain.stream.send_together(Command.PARAM, fields, at_frame=at_frame, say=say)
