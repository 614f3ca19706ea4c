# SPDX-License-Identifier: MIT
"""Where a plugin runs, and how much later a worker makes it."""

from __future__ import annotations

from rtcore.errors import PluginError
from rtcore.plugin import Plugin, Spec

_LONGEST_S = 10.0  # nobody waits longer for sound


def runs_on_worker(plugin: Plugin, hop: int | None) -> bool:
    """Say where a plugin runs.

    Raises
    ------
    PluginError
        Where its placement is none, or it has no hop to give away.
    """
    if plugin.placement not in ("inline", "worker"):
        msg = (
            f"plugin '{plugin.id}': placement must be 'inline' or 'worker', got "
            f"{plugin.placement!r}"
        )
        raise PluginError(msg)
    if plugin.placement == "worker" and hop is None:
        msg = (
            f"plugin '{plugin.id}': a worker takes hops of a fixed size; set hop_frames, or "
            "placement = 'inline'"
        )
        raise PluginError(msg)
    return bool(plugin.placement == "worker")


def allowance_frames(plugin: Plugin, spec: Spec, hop: int, block_frames: int) -> int:
    """Give the frames by which a worker's output is later than it would be inline.

    A result can be played one block after its hop was complete, so one block is the least.

    Raises
    ------
    PluginError
        Where the plugin allows less, or what is no time.
    """
    seconds = plugin.worker_allowance_s
    if seconds is None:
        return max(hop, block_frames)
    start = f"plugin '{plugin.id}': worker_allowance_s"
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0.0 < seconds <= _LONGEST_S:
        msg = (
            f"{start} must be a time from 0 to {_LONGEST_S:g} s, or None for one hop, got "
            f"{seconds!r}"
        )
        raise PluginError(msg)
    frames = spec.frames(seconds)
    if frames < block_frames:
        msg = (
            f"{start} must be one block at least ({block_frames} frames), got {frames} frames; "
            "give the worker more time, or use smaller blocks"
        )
        raise PluginError(msg)
    return frames
