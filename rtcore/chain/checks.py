# SPDX-License-Identifier: MIT
"""What a chain may be built for, what sound may be handed to it, and what its words name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.errors import ConfigError, ParameterError, StreamError, did_you_mean

if TYPE_CHECKING:
    from rtcore.chain.graph import Graph, PlacedNode
    from rtcore.chain.node import Node

_RATES = (1000.0, 384000.0)
_MAX_CHANNELS = 64


def check_stream(sample_rate: float, channels: int, dtype: Any) -> None:
    """Refuse a stream that cannot be: rate, channel count or type.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    low, high = _RATES
    if not isinstance(sample_rate, (int, float)) or not low <= sample_rate <= high:
        raise ConfigError(
            "sample_rate", f"must be between {low:g} and {high:g} Hz, got {sample_rate}"
        )
    if not isinstance(channels, (int, np.integer)) or not 1 <= channels <= _MAX_CHANNELS:
        raise ConfigError(
            "channels", f"must be a whole number from 1 to {_MAX_CHANNELS}, got {channels}"
        )
    if str(
        np.dtype(dtype) if dtype in ("float32", "float64", np.float32, np.float64) else dtype
    ) not in {"float32", "float64"}:
        raise ConfigError("dtype", f"must be 'float32' or 'float64', got {dtype!r}")


def planar_sound(x: Any, channels: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Bring sound to the stream's type and to (channels, frames).

    Parameters
    ----------
    x : array
        (channels, frames) of floating point; (frames,) for one channel.
    channels : int
        That the chain takes.
    dtype : numpy dtype
        float32 or float64.

    Raises
    ------
    StreamError
        Where the shape or the type is wrong.
    """
    array = np.asarray(x)
    if array.dtype.kind != "f":
        msg = (
            f"samples must be floating point with full scale 1.0, got {array.dtype}; "
            "divide int16 by 32768 first"
        )
        raise StreamError(msg)
    planar = array[np.newaxis] if array.ndim == 1 else array
    if planar.ndim != 2 or planar.shape[0] != channels:
        turned = planar.ndim == 2 and planar.shape[1] == channels
        hint = "; transpose it (x.T)" if turned else ""
        msg = f"sound must have the shape ({channels}, frames), got {array.shape}{hint}"
        raise StreamError(msg)
    return np.ascontiguousarray(planar, dtype)


def check_same_stream(ours: Graph, theirs: Graph) -> None:
    """Refuse a chain that cannot take over the stream of another.

    Raises
    ------
    ConfigError
        Where rate, type, channels or promised blocks differ.
    """
    facts = [
        (g.spec.sample_rate, g.spec.dtype, g.spec.channels, g.output.channels)
        for g in (ours, theirs)
    ]
    if facts[0] != facts[1]:
        msg = (
            "a chain that takes over must be for the same stream; it is for "
            f"{facts[1]}, this one for {facts[0]}"
        )
        raise ConfigError("swap", msg)
    if ours.block_frames % theirs.block_frames:
        promised, wanted = ours.block_frames, theirs.block_frames
        msg = (
            f"the new chain wants blocks of {wanted} frames, this stream has "
            f"{promised}; build it with block_frames = {promised}"
        )
        raise ConfigError("swap", msg)


def check_same_place(path: str, node: Node, old: Node) -> None:
    """Refuse a node that cannot play in the place of another while it plays.

    Raises
    ------
    ConfigError
        Where the latency or the channels would change.
    """
    if (node.latency_frames, node.channels_out) != (old.latency_frames, old.channels_out):
        msg = (
            f"would change the latency from {old.latency_frames} to "
            f"{node.latency_frames} frames (or the channels "
            f"from {old.channels_out} to {node.channels_out}) while it plays; swap the "
            "whole chain instead"
        )
        raise ConfigError(path, msg)


def find_plugin(nodes: Sequence[PlacedNode], which: int | str) -> int:
    """Give the number of a plugin among those of a chain.

    Raises
    ------
    ParameterError
        Where there is none, or more than one of that id.
    """
    if isinstance(which, int):
        if not 0 <= which < len(nodes):
            what = f"there is no number {which}; the chain has {len(nodes)}"
            raise ParameterError("plugin", what)
        return which
    hits = [k for k, p in enumerate(nodes) if which in (p.path, p.node.plugin.id)]
    if len(hits) == 1:
        return hits[0]
    known = [p.node.plugin.id for p in nodes]
    if hits:
        places = ", ".join(nodes[k].path for k in hits)
        raise ParameterError(
            "plugin", f"'{which}' stands in the chain {len(hits)} times; name one of {places}"
        )
    raise ParameterError(
        "plugin",
        f"'{which}' is not in the chain{did_you_mean(which, known)}; it has {', '.join(known)}",
    )


def user_of(owner: object) -> str:
    """Say who plays a chain's elements."""
    from rtcore.chain.chain import Chain

    return "another chain" if isinstance(owner, Chain) else "an engine"
