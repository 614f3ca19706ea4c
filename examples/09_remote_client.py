# SPDX-License-Identifier: MIT
"""Steer an engine in another process with nothing but ZeroMQ and JSON, as any language can.

The class below is all that a client needs: a DEALER or REQ socket, one JSON object for each
request, a session, and a number that counts up. docs/protocol.md lists the verbs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from typing import Any

import zmq

from rtcore.engine.backends.devices import list_devices


class RemoteEngine:
    """A whole client in thirty lines, without rtcore."""

    def __init__(self, address: str) -> None:
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.connect(address)
        self.head = {"rtcore": 1, "id": 0}
        self.head["session"] = self.ask("hello")["session"]

    def ask(self, verb: str, **words: Any) -> dict[str, Any]:
        """Send one request, wait for its answer."""
        self.head["id"] += 1
        self.socket.send_json({**self.head, "verb": verb, **words})
        answer = self.socket.recv_json()
        if not answer["ok"]:
            raise RuntimeError(answer["error"]["sentence"])
        return answer

    def watch(self, topic: str) -> Any:
        """Subscribe to telemetry; give one message after the other."""
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.connect(self.ask("subscribe")["telemetry"])
        socket.subscribe(topic)
        while True:
            yield json.loads(socket.recv_multipart()[1])


def arguments() -> argparse.Namespace:
    """Read the command line that all examples have."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-l", "--list-devices", action="store_true", help="list them and leave")
    parser.add_argument("--backend", choices=("auto", "portaudio", "jack", "timer"), default="auto")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to play")
    given = parser.parse_args()
    if given.list_devices:
        parser.exit(message="\n".join(f"{d.index} {d.full_name}" for d in list_devices()) + "\n")
    return given


def main() -> None:
    """Serve an engine in a second process and steer it from here."""
    given = arguments()
    backend = "timer" if given.backend == "auto" and not list_devices() else given.backend
    command = [sys.executable, "-m", "rtcore", "serve", "--backend", backend, "-p", "gain"]
    command += ["--control", "127.0.0.1:*", "--telemetry", "127.0.0.1:*"]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **quiet) as server:  # noqa: S603 - words of our own
        engine = RemoteEngine(re.match(r"control (\S+),", server.stdout.readline())[1])
        engine.ask("set", values={"plugin/gain/gain_db": -6.0})
        print("gain is", engine.ask("get", path="plugin/gain/gain_db")["value"], "dB")
        for stats in engine.watch("stats"):
            if stats["seconds"] >= given.seconds:
                break
        server.terminate()
    print(f"{stats['state']}, {stats['blocks']} blocks, {stats['late']['total']} late")


main()
