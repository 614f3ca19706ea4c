# SPDX-License-Identifier: MIT
"""Telemetry: what is counted and what happens, published on a thread of its own.

A subscriber that reads too slowly, or not at all, loses messages once its queue is full; the
publisher never waits for it, and the audio thread knows nothing of either.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import zmq

from rtcore.remote import messages

if TYPE_CHECKING:
    from rtcore.engine import Engine

#: Messages that wait for a slow subscriber; it loses what comes when so many do.
HIGH_WATER = 64
_EVENTS_KEPT = 1000
_LOOK_S = 0.05


def statistics(
    engine: Engine,
    *,
    bypass: bool = False,
    mute: bool = False,
    control: Mapping[str, int] | None = None,
    network: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give a message of the topic ``stats``, whoever publishes it.

    Parameters
    ----------
    engine : Engine
        That plays.
    bypass, mute : bool
        Whether it is bypassed or muted.
    control : mapping, optional
        Requests answered, refused and failed; none at all where nobody can steer it.
    network : mapping, optional
        What a receiver of packets counted, where the engine plays them.
    """
    nobody = {"answered": 0, "refused": 0, "mistakes": 0}
    return {
        **engine.stats(),
        "bypass": bypass,
        "mute": mute,
        "safety": engine.safety.enabled,
        "control": dict(control or nobody),
        **({} if network is None else {"network": dict(network)}),
    }


class Publisher:
    """Publishes what functions answer, at a steady pace, and events as they come.

    Each message has two frames: the topic, and a JSON object with ``seq`` (which counts up by one
    for each message of that topic: a gap tells a subscriber what it lost) and ``time_s`` (of the
    server's monotonic clock).

    Parameters
    ----------
    socket : zmq.Socket
        A bound PUB socket; from now on only this object's thread uses it.
    every_s : float
        Time between two messages of a topic.
    sources : mapping
        Topic to a function that gives a mapping, or None while there is nothing to tell.
    """

    def __init__(
        self,
        socket: Any,
        every_s: float,
        sources: dict[str, Callable[[], dict[str, Any] | None]],
    ) -> None:
        self._socket = socket
        self._every_s = every_s
        self._sources = dict(sources)
        self._events: collections.deque[dict[str, Any]] = collections.deque(maxlen=_EVENTS_KEPT)
        self._seq: collections.Counter[str] = collections.Counter()
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtcore-telemetry", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def tell(self, event: dict[str, Any]) -> None:
        """Publish an event soon, under the topic ``event``; from any thread, never waits."""
        self._events.append(event)

    def close(self) -> None:
        """Publish what waits, and end the thread."""
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            ends = self._quit.is_set()
            for event in self._gathered():
                self._send("event", event)
            if time.monotonic() >= due:
                due = max(due + self._every_s, time.monotonic())
                for topic, source in self._sources.items():
                    self._ask(topic, source)
            if ends:
                return
            self._quit.wait(min(_LOOK_S, max(due - time.monotonic(), 0.001)))

    def _gathered(self) -> list[dict[str, Any]]:
        """Take the events that wait; new values that come one after the other become one event."""
        found: list[dict[str, Any]] = []
        for _ in range(len(self._events)):
            event = self._events.popleft()
            if event["event"] == "set" and found and found[-1]["event"] == "set":
                values = {**found[-1]["values"], **event["values"]}
                found[-1] = {"event": "set", "values": values}
            else:
                found.append(event)
        return found

    def _ask(self, topic: str, source: Callable[[], dict[str, Any] | None]) -> None:
        try:
            told = source()
        except Exception as error:  # noqa: BLE001 - telemetry may fail, the rest goes on
            told = {"not_told": f"{type(error).__name__}: {error}"}
        if told is not None:
            self._send(topic, told)

    def _send(self, topic: str, told: dict[str, Any]) -> None:
        self._seq[topic] += 1
        body = {"seq": self._seq[topic], "time_s": round(time.monotonic(), 4), **told}
        # Not to wait is PUB's nature; NOBLOCK says it once more.
        self._socket.send_multipart([topic.encode(), messages.write(body)], zmq.NOBLOCK)
