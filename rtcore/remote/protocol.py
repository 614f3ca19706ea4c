# SPDX-License-Identifier: MIT
"""From a request's bytes to an answer's: sessions, order, verbs.  Knows no socket.

A session is made by ``hello``, belongs to one connection, and takes each number once, in rising
order: what was recorded and is sent again, on whatever connection, is refused and changes nothing.
"""

from __future__ import annotations

import functools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtcore.errors import RemoteError, RtcoreError, SessionError
from rtcore.remote import messages, paths
from rtcore.remote.messages import VERSION
from rtcore.remote.player import Player
from rtcore.remote.presets import Presets

MAX_SESSIONS = 1024


@dataclass
class Session:
    """Who asks, on which connection, and the last number that was taken."""

    connection: bytes
    last: int


@dataclass
class Counts:
    """What came in."""

    answered: int = 0
    refused: int = 0
    mistakes: int = 0


@dataclass
class Desk:
    """Answers requests.

    Parameters
    ----------
    player : Player
        What is steered.
    presets : Presets
        Where chains are saved.
    telemetry : mapping
        What ``subscribe`` answers: where telemetry is published, and its topics.
    on_mistake : function, optional
        Called with the exception where an answer was rtcore's own mistake.
    """

    player: Player
    presets: Presets
    telemetry: dict[str, Any] = field(default_factory=dict)
    on_mistake: Callable[[BaseException], None] = lambda _error: None
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Begin without sessions."""
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def answer(self, body: bytes, connection: bytes = b"") -> bytes:
        """Do what one request asks for; see :meth:`answers`."""
        return self.answers([(body, connection)])[0]

    def answers(self, requests: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Do what requests ask for, in their order, and say what came of each.  Never raises.

        New values of live parameters that come one after the other are checked one by one and
        handed to the chain together: thousands in a second then cost little.

        Parameters
        ----------
        requests : sequence
            The body of each, one frame, whatever it holds; and ZeroMQ's routing id, which says
            what connection it came from.

        Returns
        -------
        list of bytes
            A JSON object for each: ``{"rtcore": 1, "id": .., "ok": true, ..}``, or with ``"ok":
            false`` and ``"error": {"kind": .., "sentence": ..}``.
        """
        given: list[bytes] = []
        aimed: list[tuple[int, messages.Set]] = []
        for place, (body, connection) in enumerate(requests):
            given.append(self._one(body, connection, place, given, aimed))
        self._flush(given, aimed)
        return given

    def _one(
        self,
        body: bytes,
        connection: bytes,
        place: int,
        given: list[bytes],
        aimed: list[tuple[int, messages.Set]],
    ) -> bytes:
        number: int | None = None

        def work() -> dict[str, Any]:
            nonlocal number
            table = messages.read_json(body)
            number = _number_of(table)
            request = messages.request_of(table)
            if not isinstance(request, messages.Hello):
                self._check_session(request, connection)
            if isinstance(request, messages.Set) and self.player.aim(request.values):
                aimed.append((place, request))
                return {}
            self._flush(given, aimed)
            return self._do(request, connection)

        return self._written(work, lambda: number)

    def _flush(self, given: list[bytes], aimed: list[tuple[int, messages.Set]]) -> None:
        """Let the values that were gathered take effect; where that fails, one by one."""
        requests, aimed[:] = list(aimed), []
        try:
            self.player.flush()
        except Exception:  # noqa: BLE001 - whose values it was is found out below
            self.counts.answered -= len(requests)
            for place, request in requests:
                given[place] = self._written(
                    functools.partial(self._set, request.values), functools.partial(int, request.id)
                )

    def _set(self, values: Mapping[str, Any]) -> dict[str, Any]:
        self.player.write(values)
        return {}

    def _written(
        self, work: Callable[[], dict[str, Any]], number: Callable[[], int | None]
    ) -> bytes:
        """Do some work; write what came of it."""
        try:
            said = work()
            self.counts.answered += 1
            return messages.write({"rtcore": VERSION, "id": number(), "ok": True, **said})
        except RtcoreError as error:
            self.counts.refused += 1
            return refusal(number(), type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - a plugin of anybody's may fail in any way
            self.counts.mistakes += 1
            self.on_mistake(error)
            what = f"the server could not do that ({type(error).__name__}: {error})"
            return refusal(number(), "Mistake", what)

    def _do(self, request: messages.Request, connection: bytes) -> dict[str, Any]:
        if isinstance(request, messages.Hello):
            return self._hello(request.id, connection)
        match request:
            case messages.Plain():
                return self._plain(request.verb)
            case messages.Get():
                return {"path": request.path, "value": self.player.read(request.path)}
            case messages.Set():
                return self._set(request.values)
            case messages.Load():
                self.player.load(request.chain)
            case messages.Restore():
                shot = request.snapshot
                switches = {"bypass": shot.bypass, "mute": shot.mute}
                self.player.restore(shot.chain, shot.volume_db, bypassed=shot.bypassed, **switches)
            case messages.Switch():
                turn = self.player.bypass if request.verb == "bypass" else self.player.mute
                turn(on=request.on)
            case messages.Preset():
                self._preset(request.verb, request.name)
        return {}

    def _hello(self, number: int, connection: bytes) -> dict[str, Any]:
        from rtcore import __version__

        token = secrets.token_urlsafe(16)
        self._sessions[token] = Session(connection, number)
        while len(self._sessions) > MAX_SESSIONS:  # the one that was silent for longest
            self._sessions.popitem(last=False)
        return {"session": token, "server": __version__, **self.telemetry}

    def _check_session(self, request: Any, connection: bytes) -> None:
        session = self._sessions.get(request.session)
        if session is None or session.connection != connection:
            msg = "session: this connection has no such session; say hello and take the new one"
            raise SessionError(msg)
        if request.id <= session.last:
            msg = (
                f"id: number {request.id} came before or too late (the last was {session.last}); "
                "count upwards, and send nothing twice"
            )
            raise SessionError(msg)
        session.last = request.id
        self._sessions.move_to_end(request.session)

    def _plain(self, verb: str) -> dict[str, Any]:
        player = self.player
        match verb:
            case "list":
                return {"plugins": paths.describe(player.chain), "paths": list(paths.ENGINE)}
            case "snapshot":
                return {"snapshot": player.snapshot()}
            case "presets":
                return {"presets": self.presets.names()}
            case "subscribe":
                return dict(self.telemetry)
            case "stats":
                if player.engine is None:
                    raise RemoteError("the engine was not started yet, so nothing was counted")
                return {"stats": player.engine.stats()}
            case "start":
                player.start()
            case "stop":
                player.stop()
            case "reopen":
                player.reopen()
        return player.summary()

    def _preset(self, verb: str, name: str) -> None:
        match verb:
            case "save":
                self.presets.save(name, self.player.chain)
            case "recall":
                self.player.take(self.presets.read(name))
            case _:
                self.presets.remove(name)


def _number_of(table: Any) -> int | None:
    """Give a request's number, for the answer, even where nothing else about it is right."""
    number = table.get("id") if isinstance(table, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def refusal(number: int | None, kind: str, sentence: str) -> bytes:
    """Write the answer to a request that was refused."""
    error = {"kind": kind, "sentence": sentence}
    return messages.write({"rtcore": VERSION, "id": number, "ok": False, "error": error})
