# SPDX-License-Identifier: MIT
"""How long a change over the network takes, and what thousands a second do to the sound.

A server in a process of its own plays a hearing aid on the timer.  Phases without and with
changes take turns; in each, one client asks in lockstep (its round trips are timed) while, in the
loaded ones, another process sends `--rate` changes a second.  Late blocks and the server's memory
are read from outside.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _common import arguments, table, write_json

from rtcore.remote.client import Client

PATH = "plugin/gain/gain_db"
SERVE = ["-m", "rtcore", "serve", "--backend", "timer", "-i", "speech"]
CHAIN = ["-p", "nalr:audiogram=N3", "-p", "compressor", "-p", "gain", "-p", "limiter"]
FREE = ["--control", "127.0.0.1:*", "--telemetry", "127.0.0.1:*"]
PULSE_S = 0.01
WARM_UP_S = 1.0


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Serve; give the address and the process's number."""
    command = [sys.executable, *SERVE, *CHAIN, *FREE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"control tcp://(\S+),", process.stdout.readline())
        assert found is not None
        try:
            yield found[1], process.pid
        finally:
            process.terminate()


def hammer(address: str, rate: int, quit_asked: Any, done: Any) -> None:
    """Send changes at a steady rate, in pulses, and collect all answers."""
    with Client(address, timeout_s=30.0) as client:
        pulse, sent, begun = max(1, round(rate * PULSE_S)), 0, time.perf_counter()
        while not quit_asked.is_set():
            for k in range(pulse):
                last = client.post("set", values={PATH: -0.01 * ((sent + k) % 1000)})
            sent += pulse
            client.collect(last)
            time.sleep(max(0.0, begun + sent / rate - time.perf_counter()))
        done.put((sent, time.perf_counter() - begun))


def memory_kb(process: int) -> int:
    """Give the resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) if found else 0


def cpu_s(process: int) -> float:
    """Give the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def phase(
    client: Client, address: str, process: int, rate: int, seconds: float
) -> dict[str, float]:
    """Measure one phase."""
    context = multiprocessing.get_context("spawn")
    quit_asked, done = context.Event(), context.Queue()
    other = context.Process(target=hammer, args=(address, rate, quit_asked, done))
    if rate:
        other.start()
        time.sleep(WARM_UP_S)  # its interpreter starts
    used_s, begun = cpu_s(process), time.perf_counter()
    before, trips, end = client.ask("stats")["stats"], [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        client.set({"plugin/limiter/release_ms": 100.0})
        trips.append(time.perf_counter() - start)
        time.sleep(0.002)
    after = client.ask("stats")["stats"]
    core = (cpu_s(process) - used_s) / (time.perf_counter() - begun)
    sent, taken_s = 0, 1.0
    if rate:
        quit_asked.set()
        sent, taken_s = done.get(timeout=60)
        other.join()
    blocks = after["blocks"] - before["blocks"]
    cuts = statistics.quantiles(trips, n=100)
    return {
        "changes / s": round(sent / taken_s),
        "server % of a core": 100.0 * core,
        "round trips": len(trips),
        "p50 ms": 1e3 * cuts[49],
        "p99 ms": 1e3 * cuts[98],
        "late %": 100.0 * (after["late"]["total"] - before["late"]["total"]) / max(blocks, 1),
    }


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__, repeats=3, seconds=5.0, rate=10000)
    rows: list[dict[str, Any]] = []
    with server() as (address, process), Client(address, timeout_s=30.0) as client:
        for _ in range(options.repeats):
            for name, rate in (("idle", 0), ("loaded", options.rate)):
                found = phase(client, address, process, rate, options.seconds)
                rows.append({"phase": name, **found, "server MB": memory_kb(process) / 1024})
    table(rows, f"changes over loop-back, {os.cpu_count()} cores")
    write_json(options.json, {"shows": (__doc__ or "").splitlines()[0], "rows": rows})


if __name__ == "__main__":
    main()
