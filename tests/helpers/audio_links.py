# SPDX-License-Identifier: MIT
"""Senders and receivers of sound, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys

import numpy as np
from waiting import PATIENCE_S, reaches

from rtcore.synth import endless

#: Deep enough for a machine that does other things as well.
DEPTH_MS = 300
_ATTEMPTS = 4


def free_port():
    """Give a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(*words, cwd, prefix=()):
    """Start a command."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "rtcore", *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """End a command as Ctrl-C does; give what it told."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert 0 == process.returncode, err
    return json.loads(out)


@contextlib.contextmanager
def sending(port, *words, cwd, rate=16000, packet_ms=20, prefix=(), address="127.0.0.1"):
    """Send white noise as float32 meanwhile."""
    process = started(
        "send", f"{address}:{port}", "--backend", "timer", "-i", "noise", "--rate", rate,
        "--packet-ms", packet_ms, "--encoding", "float32", "--json", *words,
        cwd=cwd, prefix=prefix,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def receiving(port, *words, cwd, prefix=(), address="127.0.0.1"):
    """Start a receiver that plays without a device."""
    return started(
        "receive", f"{address}:{port}", "--backend", "timer", "--depth-ms", DEPTH_MS, "--json",
        "--wait", PATIENCE_S, *words, cwd=cwd, prefix=prefix,
    )  # fmt: skip


def received(port, *words, cwd, **more):
    """Receive to the end; give what was told."""
    process = receiving(port, *words, cwd=cwd, **more)
    try:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
    assert 0 == process.returncode, err
    return json.loads(out)


def undisturbed(port, *words, cwd, **more):
    """Receive again while the machine stood still for longer than the depth; give what was told.

    A rule that is broken at all times is broken the last time as well.
    """
    for _ in range(_ATTEMPTS):
        told = received(port, *words, cwd=cwd, **more)
        network = told["network"]
        if not any(network[key] for key in ("late", "restarts", "gap_s")):
            break
    return told


def noise(packets, packet, rate=16000):
    """Give what a sender sends, (packets, packet)."""
    source = endless("noise", rate)
    seconds = -(-packets * packet // rate)
    sound = np.concatenate([next(source)[0] for _ in range(seconds)]).astype(np.float32)
    return sound[: packets * packet].reshape(packets, packet)


def begins(path):
    """Wait until a recording has begun (it has its temporary name while it is written)."""
    assert reaches(lambda: list(path.parent.glob(f".*{path.stem}*")) or path.exists())


def sounds(folder):
    """Wait until a recording that is being written in a folder holds more than silence."""
    header = 200

    def heard():
        return any(
            part.read_bytes()[header:].strip(b"\0") for part in folder.glob(".rtcore-*.part")
        )

    assert reaches(heard)
