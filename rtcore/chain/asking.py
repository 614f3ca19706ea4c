# SPDX-License-Identifier: MIT
"""What a plugin answers when the chain asks it, checked before anything is made of it.

The methods are the author's own code, so whatever they raise or return becomes a sentence that
names the plugin and the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rtcore.chain.records import MAX_SIDES
from rtcore.errors import PluginError, RtcoreError
from rtcore.plugin import Attached, Plugin, Prepared, Spec
from rtcore.sides import SideInput

MAX_CHANNELS = 64
MAX_FRAMES = 2**31 - 1


def ask_hop(plugin: Plugin, spec: Spec) -> int | None:
    """Ask how many frames the plugin wants at once; None for any number.

    Raises
    ------
    PluginError
        Where the answer is no hop.
    """
    hop = _ask(plugin, "choose its hop", lambda: plugin.hop(spec))
    if hop is None:
        return None
    if not _whole(hop) or not 1 <= hop <= MAX_FRAMES:
        msg = (
            f"plugin '{plugin.id}': hop() must give a whole number of frames from 1 to "
            f"{MAX_FRAMES}, or None, got {hop!r}"
        )
        raise PluginError(msg)
    return int(hop)


def ask_prepared(plugin: Plugin, spec: Spec) -> Prepared:
    """Ask for the facts and the initial memory.

    Raises
    ------
    PluginError
        Where they are none.
    """
    prepared: Prepared = _ask(plugin, "prepare", lambda: plugin.prepare(spec))
    _check_prepared(plugin, prepared)
    return prepared


def ask_sides(plugin: Plugin, spec: Spec) -> dict[str, SideInput]:
    """Ask which side inputs the plugin has.

    Raises
    ------
    PluginError
        Where the answer is no dictionary of names to side inputs.
    """
    sides: Any = _ask(plugin, "declare its side inputs", lambda: plugin.sides(spec))
    start = f"plugin '{plugin.id}': sides() must"
    if not isinstance(sides, Mapping) or len(sides) > MAX_SIDES:
        msg = f"{start} give at most {MAX_SIDES} names with a SideInput each, got {sides!r}"
        raise PluginError(msg)
    for name, declared in sides.items():
        if not (isinstance(name, str) and name.isidentifier() and isinstance(declared, SideInput)):
            msg = (
                f"{start} give names of letters, digits and _ with a SideInput each, got "
                f"{name!r}: {declared!r}"
            )
            raise PluginError(msg)
    return dict(sides)


def ask_attached(plugin: Plugin, buffers: Mapping[str, np.ndarray[Any, Any]]) -> Attached:
    """Tell the plugin where its buffers lie; take what it makes of that.

    Raises
    ------
    PluginError
        Where the answer is no :class:`~rtcore.plugin.Attached`.
    """
    attached: Any = _ask(plugin, "attach", lambda: plugin.attach(buffers))
    start = f"plugin '{plugin.id}': attach() must"
    if not isinstance(attached, Attached):
        msg = f"{start} return Attached(...), got {attached!r}"
        raise PluginError(msg)
    state: Any = attached.state
    if not isinstance(state, Mapping):
        msg = f"{start} give state as a dictionary of names to values, got {state!r}"
        raise PluginError(msg)
    return attached


def ask_failures(plugin: Plugin) -> tuple[int, str]:
    """Ask how often the plugin could not do its work, and why.

    Raises
    ------
    PluginError
        Where the answer is no such pair.
    """
    answer: Any = _ask(plugin, "tell its failures", plugin.failures)
    if isinstance(answer, tuple) and len(answer) == 2 and _whole(answer[0]):
        return int(answer[0]), str(answer[1])
    msg = f"plugin '{plugin.id}': failures() must give a number and a reason, got {answer!r}"
    raise PluginError(msg)


def _ask(plugin: Plugin, what: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except RtcoreError:
        raise
    except Exception as error:
        msg = f"plugin '{plugin.id}' failed to {what}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_prepared(plugin: Plugin, prepared: Any) -> None:
    start = f"plugin '{plugin.id}': prepare() must"
    if not isinstance(prepared, Prepared):
        msg = f"{start} return Prepared(...), got {prepared!r}"
        raise PluginError(msg)
    least = {"latency_frames": 0, "lookahead_frames": 0, "tail_frames": 0, "channels_out": 1}
    for key, low in least.items():
        value = getattr(prepared, key)
        if key == "channels_out" and value is None:
            continue
        high = MAX_CHANNELS if key == "channels_out" else MAX_FRAMES
        if not _whole(value) or not low <= value <= high:
            msg = f"{start} give {key} as a whole number from {low} to {high}, got {value!r}"
            raise PluginError(msg)
    for key in ("state", "buffers"):
        value = getattr(prepared, key)
        if not isinstance(value, Mapping):
            msg = f"{start} give {key} as a dictionary of names to values, got {value!r}"
            raise PluginError(msg)
