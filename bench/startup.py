# SPDX-License-Identifier: MIT
"""Show how long it takes from starting a program to its first sound.

Each figure is the median over processes of their own, started in turns.  *first sound* is the time
from the start of the process until the first block of 64 frames has come out of nalr, compressor
and limiter: cold with an empty cache of compiled code, warm with the code kept from before.  For
the warm start follows where the time goes: its phases, and the imports of each package as
``python -X importtime`` tells them (which makes them slower by itself).
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _common import arguments, table, write_json

HELP_S, WARM_S = 0.3, 1.0  # the targets

FIRST_SOUND = """
import time
begin = time.monotonic_ns()
import json
import numpy as np
from rtcore import Chain
from rtcore.plugins import NALR, Compressor, Limiter
imported = time.monotonic_ns()
elements = [NALR(), Compressor(), Limiter()]
chain = Chain(elements, sample_rate=44100, channels=2, max_frames=64)
built = time.monotonic_ns()
chain.process(np.zeros((2, 64), np.float32))
print(json.dumps([begin, imported, built, time.monotonic_ns()]))
"""
PHASES = ("start Python", "import", "build the chain", "first block")
PACKAGES = ("numba", "llvmlite", "numpy", "scipy", "rtcore")


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def whole(command: list[str]) -> Callable[[], list[float]]:
    """Make a function that gives how long a command takes, from start to end."""

    def run() -> list[float]:
        start = time.monotonic_ns()
        subprocess.run(command, capture_output=True, check=True)
        return [(time.monotonic_ns() - start) / 1e9]

    return run


def first_sound() -> list[float]:
    """Give the seconds of each phase until the first block; CLOCK_MONOTONIC is the system's."""
    times = [time.monotonic_ns()]
    times += json.loads(python(FIRST_SOUND).stdout)
    return [(b - a) / 1e9 for a, b in itertools.pairwise(times)]


def cold() -> list[float]:
    """Give the phases of a start with an empty cache."""
    before = os.environ.get("RTCORE_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RTCORE_CACHE_DIR"] = folder
        try:
            return first_sound()
        finally:
            os.environ.pop("RTCORE_CACHE_DIR")
            if before is not None:
                os.environ["RTCORE_CACHE_DIR"] = before


def command_line() -> list[str]:
    """Give the command `rtcore` of this Python."""
    script = Path(sys.executable).with_name("rtcore")
    return [str(script)] if script.exists() else [sys.executable, "-m", "rtcore"]


def measure(starts: int, cold_starts: int) -> dict[str, list[list[float]]]:
    """Start everything in turns; give the phases of each start."""
    runs: dict[str, Callable[[], list[float]]] = {
        "python -c pass": whole([sys.executable, "-c", "pass"]),
        "import rtcore": whole([sys.executable, "-c", "import rtcore"]),
        "rtcore --help": whole([*command_line(), "--help"]),
        "import numba": whole([sys.executable, "-c", "import numba"]),
        "first sound, warm": first_sound,
    }
    found: dict[str, list[list[float]]] = {name: [] for name in runs}
    for run in runs.values():  # files into memory, code into the cache
        run()
    for _ in range(starts):
        for name, run in runs.items():
            found[name].append(run())
    if cold_starts:
        found["first sound, cold"] = [cold() for _ in range(cold_starts)]
    return found


def imports() -> dict[str, float]:
    """Give the milliseconds that each package takes to import, without what it imports itself."""
    spent: collections.Counter[str] = collections.Counter()
    for line in python(FIRST_SOUND, "-X", "importtime").stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():  # the head is no number
            package = parts[2].strip().partition(".")[0]
            spent[package if package in PACKAGES else "other"] += int(parts[0])
    return {name: microseconds / 1e3 for name, microseconds in spent.most_common()}


def row(name: str, starts: list[list[float]]) -> dict[str, Any]:
    """Tell the times of one thing."""
    totals = [sum(phases) for phases in starts]
    limit = {"rtcore --help": HELP_S, "first sound, warm": WARM_S}.get(name)
    median = statistics.median(totals)
    return {
        "what": name,
        "median s": median,
        "min s": min(totals),
        "max s": max(totals),
        "starts": len(totals),
        "target": "-" if limit is None else f"{limit} s {'met' if median < limit else 'missed'}",
    }


def phases_of(starts: list[list[float]]) -> Mapping[str, float]:
    """Give the median of each phase in milliseconds."""
    medians = [1e3 * statistics.median(values) for values in zip(*starts, strict=True)]
    return dict(zip(PHASES, medians, strict=True))


def main() -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RTCORE_CACHE_DIR", folder)  # the user's own stays as it is
        options = arguments(__doc__, repeats=9, cold=2)
        found = measure(options.repeats, options.cold)
        rows = [row(name, starts) for name, starts in found.items()]
        phases = {
            name: phases_of(starts) for name, starts in found.items() if name.startswith("first")
        }
        spent = imports()
    table(rows, "from starting a program")
    table([{"": name, **parts} for name, parts in phases.items()], "phases, ms")
    table([spent], "imports of the warm start by package, ms")
    figures = {"shows": (__doc__ or "").splitlines()[0], "rows": rows, "phases_ms": phases}
    write_json(options.json, {**figures, "imports_ms": spent})


if __name__ == "__main__":
    main()
