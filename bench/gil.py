# SPDX-License-Identifier: MIT
# ruff: noqa: ANN001, ANN201, ARG002, D102, N805, RUF012 - the plugin in here is written as any is
"""Measure whether a busy Python thread disturbs the sound.

Blocks of 64 frames at 48 kHz, without a sound card: a hearing aid's chain in rtcore on JACK's
dummy driver and on rtcore's own timer, and beside them an ordinary Python callback of
sounddevice, which only copies, over the same JACK server. Each runs in a process of its own
through phases that are in turns idle and hogged: then a second Python thread counts as fast as it
can, and so holds the interpreter's lock all the time.

One definition for all three: a block is late when it begins more than two periods after the one
before; blocks that never came are missing. The share of late blocks of a phase is the larger of
the two counts (a missing block makes the next one late) by the number of blocks that belong into
the phase. The verdict goes by medians over the phases, because a virtual machine is late by
itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _common import table, write_json

from rtcore import Chain, Plugin, Prepared, kernel
from rtcore.engine.privileges import request_fifo
from rtcore.latency.timing.hog import hog

RATE, BLOCK = 48000, 64
PERIOD_NS = BLOCK * 1_000_000_000 // RATE
SERVER = os.environ.get("JACK_DEFAULT_SERVER", f"rtcore-bench-{os.getpid()}")
SETTLE_S = 0.5
PATHS = ("rtcore on JACK", "rtcore on the timer", "Python callback on JACK")
NATIVE_RISE = 1.0  # percentage points
PYTHON_SHARE = 20.0  # %


class Stamp(Plugin):
    """Note when each block begins."""

    id = "stamp"
    state = {"count": "i8"}
    buffers = {"stamps": "i8[:]"}

    def prepare(self, spec):
        """Make room for an hour."""
        return Prepared(buffers={"stamps": np.zeros(3600 * RATE // BLOCK, np.int64)})

    @kernel
    def process(x, y, ctx, state, stamps):
        if state.count < stamps.size:
            stamps[state.count] = ctx.time_ns
            state.count += 1
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


def native(path: str) -> Iterator[np.ndarray]:
    """Start a hearing aid's chain on a backend; give its stamps, which go on growing."""
    from rtcore.engine import Engine, JackBackend, TimerBackend
    from rtcore.plugins import NALR, Compressor

    chain = Chain([Stamp(), NALR(audiogram="N3"), Compressor()], sample_rate=RATE)
    backend = JackBackend(SERVER) if "JACK" in path else TimerBackend(block_frames=BLOCK)
    with Engine(chain, backend):
        node = chain.nodes[0].node
        while True:
            yield node.buffer("stamps")[: int(node.record["count"][0])]


def python() -> Iterator[np.ndarray]:
    """Start a stream whose callback is a Python function that copies, and notes the time."""
    import sounddevice

    stamps = np.zeros(3600 * RATE // BLOCK, np.int64)
    count = 0

    def callback(indata: Any, outdata: Any, _frames: int, _time: Any, _status: Any) -> None:
        nonlocal count
        stamps[count] = time.monotonic_ns()
        count += 1
        outdata[:] = indata

    with sounddevice.Stream(samplerate=RATE, blocksize=BLOCK, channels=2, callback=callback):
        while True:
            yield stamps[:count]


def phase(stamps: Iterator[np.ndarray], seconds: float, hogged: bool) -> dict[str, Any]:
    """Run one phase and count its blocks."""
    with hog() if hogged else contextlib.nullcontext():
        time.sleep(SETTLE_S)
        begin = time.monotonic_ns()
        time.sleep(seconds)
        end = time.monotonic_ns()
        seen = np.array(next(stamps))
    inside = seen[(seen >= begin) & (seen < end)]
    expected = (end - begin) / PERIOD_NS
    gaps = np.diff(inside)
    late = int((gaps > 2 * PERIOD_NS).sum())
    missing = max(0, round(expected - inside.size))
    p50, p99, worst = (
        (float(q) / 1e6 for q in np.percentile(gaps, [50, 99, 100])) if gaps.size else (0.0,) * 3
    )
    return {
        "phase": "hog" if hogged else "idle",
        "blocks": int(inside.size),
        "expected": round(expected),
        "late": late,
        "missing": missing,
        "late %": 100.0 * max(late, missing) / expected,
        "p50_ms": p50,
        "p99_ms": p99,
        "max_ms": worst,
    }


def run_path(path: str, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Run all phases of one path in this process."""
    stamps = python() if path.startswith("Python") else native(path)
    next(stamps)
    try:
        return [phase(stamps, seconds, hogged) for _ in range(rounds) for hogged in (False, True)]
    finally:
        stamps.close()  # type: ignore[attr-defined]


def in_child(path: str, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Run one path in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        words = ["--child", path, "--seconds", str(seconds), "--rounds", str(rounds)]
        child = subprocess.run(
            [sys.executable, __file__, *words, "--json", str(result)],
            env={**os.environ, "JACK_DEFAULT_SERVER": SERVER, "JACK_NO_START_SERVER": "1"},
            stderr=subprocess.PIPE,
            check=False,
        )
        if child.returncode != 0:
            sys.exit(f"{path}: {child.stderr.decode(errors='replace')}")
        return json.loads(result.read_text())


def may_be_realtime() -> bool:
    """Say whether the system grants real-time priority, which JACK asks for by default."""
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(request_fifo(threading.get_native_id()))
    )
    thread.start()
    thread.join()
    return answers == [None]


@contextlib.contextmanager
def jack_server(realtime: bool) -> Iterator[None]:
    """Run a JACK server with the dummy driver, and end it by its id."""
    priority = "--realtime --realtime-priority 70" if realtime else "--no-realtime"
    words = f"-n {SERVER} -S {priority} -d dummy -r {RATE} -p {BLOCK}".split()
    command = ["jackd", *words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not list(Path("/dev/shm").glob(f"jack_{SERVER}_*_0")):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit("jackd does not start; install jackd2, or end other JACK servers")
            time.sleep(0.05)
        time.sleep(0.3)
        yield
    finally:
        server.terminate()
        server.wait(10)


def verdict(phases: dict[str, list[dict[str, Any]]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Give the medians of each path, and what is not as it should be."""
    rows, wrong = [], []
    for path, results in phases.items():
        idle, hogged = (
            statistics.median(r["late %"] for r in results if r["phase"] == kind)
            for kind in ("idle", "hog")
        )
        rise = hogged - idle
        rows.append({"path": path, "idle %": idle, "hog %": hogged, "rise": rise})
        if path.startswith("rtcore") and rise > NATIVE_RISE:
            wrong.append(f"{path}: under the hog late blocks rise by {rise:.2f} percentage points")
        if path.startswith("Python") and hogged < PYTHON_SHARE:
            wrong.append(
                f"{path}: only {hogged:.1f} % late under the hog; the hog has no teeth here"
            )
    return rows, wrong


def main() -> int:
    """Run all paths, print the phases and the medians, and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of idle and hog (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    parser.add_argument("--child", choices=PATHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        options.json.write_text(
            json.dumps(run_path(options.child, options.seconds, options.rounds))
        )
        return 0
    paths = PATHS
    if shutil.which("jackd") is None:
        print("No jackd: only the timer is measured; on Debian: apt-get install jackd2")
        paths = (PATHS[1],)
    phases = {}
    realtime = may_be_realtime()
    print(f"JACK and rtcore's timer run {'with' if realtime else 'without'} real-time priority")
    with jack_server(realtime) if len(paths) > 1 else contextlib.nullcontext():
        for path in paths:
            phases[path] = in_child(path, options.seconds, options.rounds)
    for path, results in phases.items():
        table(results, title=f"{path}: {BLOCK} frames at {RATE // 1000} kHz")
    rows, wrong = verdict(phases)
    table(rows, title="Median share of late blocks")
    write_json(
        options.json, {"realtime": realtime, "phases": phases, "medians": rows, "failed": wrong}
    )
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
