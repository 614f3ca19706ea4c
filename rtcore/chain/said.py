# SPDX-License-Identifier: MIT
"""What a session log is told about a change; nothing is prepared where nobody listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.chain.chain import Chain
    from rtcore.chain.stream import Stream


def say_values(stream: Stream, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Bring the new values of a plugin to a form that a log can hold."""
    from rtcore.chain.export import plain

    if stream.on_event is None:
        return {}
    try:
        return {key: plain(value, f"{path}.{key}") for key, value in values.items()}
    except ConfigError:  # a log of words is better than none
        return {key: repr(value) for key, value in values.items()}


def say_chain(stream: Stream, other: Chain) -> dict[str, Any]:
    """Describe the chain that takes over."""
    from rtcore.chain.export import config_from_chain

    if stream.on_event is None:
        return {}
    try:
        return config_from_chain(other)
    except ConfigError as error:
        return {"plugin": [], "not_written": str(error)}
