# SPDX-License-Identifier: MIT
"""An ``rtcore serve`` in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager

from waiting import PATIENCE_S, reaches

_FREE = ("--control", "127.0.0.1:*", "--telemetry", "127.0.0.1:*")


class Served:
    """A server that runs: where it listens, and its process."""

    def __init__(self, process, control, telemetry):
        self.process = process
        self.control = control
        self.telemetry = telemetry

    def alive(self):
        """Tell whether it still runs."""
        return self.process.poll() is None


@contextmanager
def served(folder, *words, where=_FREE, chain=("-p", "gain", "-p", "compressor")):
    """Start a server on the timer with a folder of its own; end it as Ctrl-C does."""
    command = [sys.executable, "-m", "rtcore", "serve", "--backend", "timer", *chain]
    command += ["--presets", folder / "presets", "--every", "0.05", *where, *words]
    out, err = folder / "served.out", folder / "served.err"
    with out.open("w") as said, err.open("w") as complained:
        process = subprocess.Popen(
            list(map(str, command)), cwd=folder, env={**os.environ}, stdout=said, stderr=complained
        )
    try:
        ready = reaches(lambda: process.poll() is not None or "telemetry" in out.read_text())
        found = re.search(r"control (\S+), telemetry (\S+)", out.read_text())
        assert ready, err.read_text()
        assert found, err.read_text()
        yield Served(process, *found.groups())
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    assert "Traceback" not in err.read_text()
    assert process.returncode == 0, err.read_text()
