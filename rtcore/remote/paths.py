# SPDX-License-Identifier: MIT
"""What can be named by a path, such as ``plugin/nalr/audiogram``."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from rtcore.chain import Chain
from rtcore.chain.export import plain
from rtcore.chain.standin import bypassed, check_bypass
from rtcore.errors import ConfigError, ParameterError, RemoteError, did_you_mean
from rtcore.plugin import Param, Plugin, Setting

#: Each plugin has this switch, unless a parameter of its own is called so.
BYPASS = "bypass"
#: Paths of the engine itself.
ENGINE = ("engine/state", "engine/volume_db", "engine/bypass", "engine/mute")


def plugin_path(path: str) -> tuple[int | str, str]:
    """Part ``plugin/WHICH/NAME``; which is an id, a number, or a place in the chain.

    Raises
    ------
    RemoteError
        Where it is no such path.
    """
    parts = path.split("/")
    if len(parts) != 3 or parts[0] != "plugin" or not all(parts):
        hint = did_you_mean(path, ENGINE)
        msg = (
            f"{path[:80]!r} is no path{hint}; write plugin/ID/PARAMETER, or one of "
            f"{', '.join(ENGINE)}"
        )
        raise RemoteError(msg)
    which = parts[1]
    number = which.isascii() and which.isdigit() and len(which) < 6
    return (int(which) if number else which), parts[2]


def find_switch(chain: Chain, path: str) -> int | None:
    """Find the plugin whose bypass a path names; None where it names something else.

    Raises
    ------
    RtcoreError
        Where it names nothing.
    """
    which, name = plugin_path(path)
    number = chain.find(which)
    plugin = chain.nodes[number].node.plugin
    return number if name == BYPASS and name not in {**plugin.params, **plugin.settings} else None


def find_value(chain: Chain, path: str) -> tuple[int, str]:
    """Find the number of a path's plugin in a chain, and the name of its parameter.

    Raises
    ------
    ParameterError
        Where there is none.
    """
    which, name = plugin_path(path)
    number = chain.find(which)
    plugin = chain.nodes[number].node.plugin
    known = {**plugin.params, **plugin.settings}
    if name not in known:
        what = (
            f"no such parameter of '{plugin.id}'{did_you_mean(name, [*known, BYPASS])}; it has: "
            f"{', '.join(known) or 'none'}"
        )
        raise ParameterError(path, what)
    return number, name


def read_value(chain: Chain, path: str) -> Any:
    """Give the value of a path, as JSON can hold it."""
    switch = find_switch(chain, path)
    if switch is not None:
        return chain.nodes[switch].path in bypassed(chain)
    number, name = find_value(chain, path)
    return _shown(chain.nodes[number].node.plugin.values[name], path)


def _shown(value: Any, path: str) -> Any:
    try:
        return plain(value, path)
    except ConfigError:  # an object of some plugin's own
        return repr(value)


def live_values(chain: Chain, values: Mapping[str, Any]) -> list[tuple[int, str, float]] | None:
    """Check new values of live parameters.

    Returns
    -------
    list of (int, str, float), or None
        Number of the plugin, parameter and value of each; None where one is a setting or bypass.

    Raises
    ------
    RtcoreError
        Naming the path.
    """
    found: list[tuple[int, str, float]] = []
    for path, value in values.items():
        if find_switch(chain, path) is not None:
            return None
        number, name = find_value(chain, path)
        declared = chain.nodes[number].node.plugin.params.get(name)
        if declared is None:
            return None
        found.append((number, name, declared.check(path, value)))
    if len({(number, name) for number, name, _ in found}) < len(found):
        return None  # write_values says what is wrong
    return found


def write_values(chain: Chain, values: Mapping[str, Any]) -> None:
    """Change parameters and turn bypasses; where one value is refused, none is changed.

    Raises
    ------
    RtcoreError
        Naming the path.
    """
    switches = _switches(chain, values)
    wished: dict[int, dict[str, Any]] = {}
    for path, value in values.items():
        if path in switches:
            continue
        number, name = find_value(chain, path)
        if name in wished.setdefault(number, {}):
            msg = f"{path}: this parameter is named twice in one message; give it once"
            raise RemoteError(msg)
        wished[number][name] = value
    if len(wished) > 1 or switches:  # else the change itself checks everything first
        for number, settings in wished.items():
            chain.nodes[number].node.plugin.update(**settings)
    for number, settings in wished.items():
        chain.update(number, **settings)
    for path, number in switches.items():
        chain.bypass(number, on=values[path])


def _switches(chain: Chain, values: Mapping[str, Any]) -> dict[str, int]:
    """Give the plugins whose bypass is to be turned, by path, all of them checked."""
    found: dict[str, int] = {}
    for path, value in values.items():
        number = find_switch(chain, path)
        if number is None:
            continue
        if not isinstance(value, bool):
            raise RemoteError(f"{path}: must be true or false, got {reprlib.repr(value)}")
        if number in found.values():
            msg = f"{path}: this bypass is named twice in one message; give it once"
            raise RemoteError(msg)
        check_bypass(chain.nodes[number])
        found[path] = number
    return found


def describe(chain: Chain) -> list[dict[str, Any]]:
    """List the plugins of a chain with all that can be turned."""
    aside = bypassed(chain)
    return [
        {
            "number": number,
            "id": placed.node.plugin.id,
            "place": placed.path,
            "latency_frames": placed.node.latency_frames,
            "bypass": placed.path in aside,
            "parameters": _parameters(placed.node.plugin, placed.path),
        }
        for number, placed in enumerate(chain.nodes)
    ]


def _parameters(plugin: Plugin, place: str) -> dict[str, Any]:
    values = plugin.values
    declared: dict[str, Param | Setting] = {**plugin.params, **plugin.settings}
    return {
        name: {
            "value": _shown(values[name], f"{place}.{name}"),
            "kind": "live" if isinstance(one, Param) else "setting",
            "min": one.min,
            "max": one.max,
            "unit": one.unit,
            "choices": [_shown(c, name) for c in getattr(one, "choices", None) or ()] or None,
            "doc": one.doc,
        }
        for name, one in declared.items()
    }
