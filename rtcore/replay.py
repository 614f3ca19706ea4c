# SPDX-License-Identifier: MIT
"""Play a recorded session again: the same changes at the same frames.

A session log is JSON lines.  The first one describes the chain that the session began with; the
others say what was done to it and the frame at which it took effect::

    {"event": "session", "rtcore": "0.1.0", "chain": {"sample_rate": 48000, "plugin": [...], ...}}
    {"frame": 9600, "event": "update", "plugin": "plugin[0].gain", "values": {"gain_db": -3.0}}
    {"frame": 12800, "event": "flags", "flags": 1}
    {"frame": 19200, "event": "swap", "chain": {"plugin": [...], ...}}
    {"frame": 24000, "event": "bypass", "plugin": "plugin[0].gain", "on": true}
    {"frame": 28800, "event": "reset", "plugin": "*"}
    {"frame": 32000, "event": "feed", "input": "lips", "values": [0.5, -0.25, ...]}

Other events are reports (a plugin that was muted, a lost device) and change nothing.
"""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtcore.chain import Chain
from rtcore.chain.config import ChainConfig, parse
from rtcore.chain.records import Command
from rtcore.chain.sides import find_side
from rtcore.errors import ConfigError, ParameterError, PluginError, StreamError
from rtcore.hearing._schemas import first_problem
from rtcore.sides import vectors_of

__all__ = ["Replay", "SessionLog", "read_session"]


class _Line(BaseModel):
    """What all lines have in common; further keys are for people."""

    model_config = ConfigDict(strict=True, extra="ignore")

    event: str


class _Session(_Line):
    chain: dict[str, Any]


class _Update(_Line):
    frame: int = Field(ge=0)
    plugin: str
    values: dict[str, Any]


class _Flags(_Line):
    frame: int = Field(ge=0)
    flags: int = Field(ge=0, lt=2**31)


class _Reset(_Line):
    frame: int = Field(ge=0)
    plugin: str = "*"


class _Swap(_Line):
    frame: int = Field(ge=0)
    chain: dict[str, Any]
    sides: dict[str, list[float]] = {}  # what was fed to that chain before
    bypassed: list[str] = []


class _Bypass(_Line):
    frame: int = Field(ge=0)
    plugin: str
    on: bool
    values: dict[str, Any] = {}  # with which it comes back


class _Feed(_Line):
    frame: int = Field(ge=0)
    input: str
    values: list[float]


_Action = _Update | _Flags | _Reset | _Swap | _Bypass | _Feed
_ACTIONS: dict[str, type[_Action]] = {
    "update": _Update,
    "flags": _Flags,
    "reset": _Reset,
    "swap": _Swap,
    "bypass": _Bypass,
    "feed": _Feed,
}


@dataclass(frozen=True)
class SessionLog:
    """A session that was recorded.

    Attributes
    ----------
    config : ChainConfig
        The chain that it began with.
    actions : tuple
        (line number, what was done) in the order in which it took effect.
    path : Path
        Where it was read.
    """

    config: ChainConfig
    actions: tuple[tuple[int, _Action], ...]
    path: Path


class Replay:
    """Does to one chain what a session did to its own.

    Parameters
    ----------
    log : SessionLog
        What to do.
    chain : Chain
        At the beginning of its stream.
    """

    def __init__(self, log: SessionLog, chain: Chain) -> None:
        self._log = log
        self._chain = chain
        self._left = deque(log.actions)

    def prepare(self, until_frame: int) -> None:
        """Queue what takes effect before a frame; call it before that stretch is played.

        Raises
        ------
        ConfigError
            Where the chain has no such plugin or refuses a value, naming the line.
        """
        while self._left and self._left[0][1].frame < until_frame:
            line, action = self._left.popleft()
            try:
                self._do(action)
            except (ParameterError, ConfigError, PluginError, StreamError) as error:
                raise ConfigError(_at(self._log.path, line), str(error)) from error

    def _do(self, action: _Action) -> None:
        chain, frame = self._chain, action.frame
        if isinstance(action, _Update):
            chain.update(action.plugin, at_frame=frame, **action.values)
        elif isinstance(action, _Flags):
            chain.stream.send(Command.FLAGS, action.flags, at_frame=frame)
        elif isinstance(action, _Reset):
            step = -1 if action.plugin == "*" else chain.find(action.plugin)
            chain.stream.send(Command.RESET, step, at_frame=frame)
        elif isinstance(action, _Feed):
            self._feed(action)
        elif isinstance(action, _Bypass):
            if action.values:
                chain.update(action.plugin, **action.values)
            chain.bypass(action.plugin, on=action.on, at_frame=frame)
        else:
            words = {"dtype": str(chain.spec.dtype), "listeners": chain.spec.listeners}
            fresh = parse(action.chain).override(**words).build()
            for name, values in action.sides.items():
                fresh.feed(name, values)
            for place in action.bypassed:
                fresh.bypass(place)
            chain.swap(fresh, at_frame=frame)

    def _feed(self, action: _Feed) -> None:
        stream = self._chain.stream
        # One that only a chain on its way out reads still has its place in the stream.
        slot = stream.sides.find(action.input) or find_side(self._chain.nodes, action.input)
        vectors = vectors_of(action.input, slot.declared.width, action.values)
        if not stream.feed(slot, vectors, np.array([action.frame])):
            what = f"more than {slot.capacity} vectors for '{action.input}' follow one another"
            raise StreamError(f"{what} too fast; they cannot be played again")


def read_session(path: str | os.PathLike[str]) -> SessionLog:
    """Read and check a session log.

    Raises
    ------
    ConfigError
        Naming the file, the line and what is wrong in it.
    """
    file = Path(path)
    lines = _lines(file)
    number, header = next(lines, (1, {}))
    session = _checked(_Session, header, _at(file, number))
    if session.event != "session":
        what = f"a session log begins with the event 'session', got '{session.event}'"
        raise ConfigError(_at(file, number), f"{what}; name a log that rtcore wrote")
    try:
        config = parse(session.chain)
    except (ConfigError, PluginError) as error:
        raise ConfigError(_at(file, number), f"chain: {error}") from error
    return SessionLog(config, tuple(_actions(file, lines)), file)


def _actions(file: Path, lines: Any) -> Any:
    """Give the lines that change something, in the order of their frames.

    A swap that had to wait for the end of a cross-fade is logged at the frame at which it was due,
    behind vectors that were taken meanwhile; else a log is in order.
    """
    latest = {True: 0, False: 0}
    found = []
    for number, content in lines:
        event = _checked(_Line, content, _at(file, number)).event
        if event not in _ACTIONS:
            continue
        action = _checked(_ACTIONS[event], content, _at(file, number))
        fed = isinstance(action, _Feed)
        if action.frame < latest[fed]:
            what = f"frame {action.frame} follows frame {latest[fed]}"
            raise ConfigError(_at(file, number), f"{what}; a log is in order of frames")
        latest[fed] = action.frame
        found.append((number, action))
    return sorted(found, key=lambda line: line[1].frame)


def _lines(file: Path) -> Any:
    """Read JSON lines with their numbers."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(str(file), "there is no such session log; check its name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(str(file), f"cannot be read ({reason}); name a session log") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, _json(line, _at(file, number))


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"is not JSON ({error}); record the session again") from None


def _checked(model: type[Any], content: Any, where: str) -> Any:
    """Check one line against its model."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        key, what = first_problem(error)
        raise ConfigError(f"{where}: {key}" if key else where, what) from None


def _at(file: Path, line: int) -> str:
    return f"{file}, line {line}"
