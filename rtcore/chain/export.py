# SPDX-License-Identifier: MIT
"""Chains written down: as a mapping for session logs, as TOML for people."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.chain.chain import Chain
from rtcore.chain.graph import Element, Parallel, PerEar
from rtcore.errors import ConfigError
from rtcore.hearing import Audiogram, Listener
from rtcore.plugin import Plugin


def config_from_chain(chain: Chain) -> dict[str, Any]:
    """Describe a chain by the keys of a chain file, with the values it plays with now.

    Parameters
    ----------
    chain : Chain
        It may be playing.

    Returns
    -------
    dict
        JSON-able; ``Chain.from_config`` builds an equal chain from it.

    Raises
    ------
    ConfigError
        Where a plugin has a value that cannot be written down.
    """
    spec = chain.spec
    rate = spec.sample_rate
    config: dict[str, Any] = {
        "sample_rate": int(rate) if rate.is_integer() else rate,
        "channels": spec.channels,
        "dtype": str(spec.dtype),
        "max_frames": spec.max_frames,
        "block_frames": chain.table.graph.block_frames,
    }
    if spec.listeners is not None:
        config["listeners"] = str(spec.listeners.absolute())
    playing = {placed.path: placed.node.plugin for placed in chain.nodes}
    config["plugin"] = _tables(chain.elements, "plugin", playing)
    return config


def logged_values(chain: Chain, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Bring new values to a form that a session log can hold, where somebody listens.

    Parameters
    ----------
    chain : Chain
        That is changed.
    values : mapping
        As they were given.
    path : str
        Place of the plugin, for the sentence of a value that cannot be written.
    """
    if chain.stream.on_event is None:
        return {}
    try:
        return {key: plain(value, f"{path}.{key}") for key, value in values.items()}
    except ConfigError:  # a log of words is better than none
        return {key: repr(value) for key, value in values.items()}


def logged_chain(chain: Chain, other: Chain) -> dict[str, Any]:
    """Describe the chain that takes another one over for its session log, where somebody listens.

    Parameters
    ----------
    chain : Chain
        That is being played.
    other : Chain
        That takes it over.
    """
    if chain.stream.on_event is None:
        return {}
    try:
        return config_from_chain(other)
    except ConfigError as error:
        return {"plugin": [], "not_written": str(error)}


def chain_to_toml(chain: Chain, path: str | os.PathLike[str]) -> None:
    """Write a chain file that :meth:`rtcore.Chain.from_toml` reads back to an equal chain.

    Parameters
    ----------
    chain : Chain
        Any chain.
    path : path
        Written under a temporary name and renamed.

    Raises
    ------
    ConfigError
        Where a value cannot be written in TOML, or the file cannot be written.
    """
    target = Path(path)
    try:
        data = to_toml(config_from_chain(chain)).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(str(target), "a text holds half a character; mend that value") from None
    part = target.with_name(f".rtcore-{secrets.token_hex(6)}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        what = f"cannot be written ({error.strerror or error}); choose another place"
        raise ConfigError(str(target), what) from error


def to_toml(config: Mapping[str, Any]) -> str:
    """Write the mapping of a chain as TOML."""
    lines = [f"{key} = {_inline(v)}" for key, v in config.items() if key != "plugin"]
    for table in config.get("plugin", []):
        lines += ["", *_table_lines(table, "plugin")]
    return "\n".join(lines) + "\n"


def _tables(
    elements: Sequence[Element], where: str, playing: Mapping[str, Plugin]
) -> list[dict[str, Any]]:
    """Describe a series of elements."""
    return [_table(element, f"{where}[{k}]", playing) for k, element in enumerate(elements)]


def _table(element: Element, where: str, playing: Mapping[str, Plugin]) -> dict[str, Any]:
    """Describe one element; `playing` knows the values of plugins that were turned since."""
    place = f"{where}.{element.id}"
    if isinstance(element, Plugin):
        now = playing.get(place, element)
        values = {key: plain(value, f"{place}.{key}") for key, value in now.values.items()}
        written = {key: value for key, value in values.items() if value is not None}
        return {"id": element.id, **written}
    branches = [
        _tables(branch, f"{place}.branch[{k}].plugin", playing)
        for k, branch in enumerate(element.branches)
    ]
    if isinstance(element, PerEar):
        return {"id": PerEar.id, "left": branches[0], "right": branches[1]}
    tables = [{"plugin": branch} for branch in branches]
    return {"id": Parallel.id, "gains_db": list(element.gains_db), "branch": tables}


def plain(value: Any, where: str) -> Any:
    """Bring a value to what TOML and JSON can hold; None stays None."""
    if isinstance(value, Audiogram):
        return _listener(Listener.both(value))
    if isinstance(value, Listener):
        return _listener(value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), where)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [plain(entry, f"{where}[{k}]") for k, entry in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{where}.{key}") for key, entry in value.items()}
    what = f"a {type(value).__name__} cannot be written in a chain file; use numbers and texts"
    raise ConfigError(where, what)


def _listener(listener: Listener) -> dict[str, Any]:
    """Describe a listener by one list of frequencies, which changes no threshold of either ear."""
    axes = (ear.frequencies_hz for ear in listener.ears)
    frequencies = sorted(set().union(*axes))
    ears = [
        ear if list(ear.frequencies_hz) == frequencies else ear.resample(frequencies)
        for ear in listener.ears
    ]
    table: dict[str, Any] = {
        "left": list(ears[0].levels_db_hl),
        "right": list(ears[1].levels_db_hl),
        "frequencies": frequencies,
    }
    return {**table, "name": listener.name} if listener.name else table


def _table_lines(table: Mapping[str, Any], path: str) -> list[str]:
    """Write one [[table]]; lists of tables below a parallel or per-ear element become tables."""
    nests = table.get("id") in (Parallel.id, PerEar.id) or path.endswith(".branch")
    inner = {k: v for k, v in table.items() if nests and k in ("branch", "left", "right", "plugin")}
    lines = [f"[[{path}]]"]
    lines += [f"{_key(key)} = {_inline(v)}" for key, v in table.items() if key not in inner]
    for key, tables in inner.items():
        for entry in tables:
            lines += _table_lines(entry, f"{path}.{key}")
    return lines


def _inline(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        entries = (f"{_key(key)} = {_inline(entry)}" for key, entry in value.items())
        return f"{{{', '.join(entries)}}}"
    return repr(value)


def _quoted(text: str) -> str:
    """Write a text; JSON's escapes are TOML's, but for DEL, which JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    """Write a key, bare where that is allowed."""
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _quoted(key)
