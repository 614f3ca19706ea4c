# SPDX-License-Identifier: MIT
"""A Dask cluster on this machine: processes that tests start and kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

HELPERS = Path(__file__).parent


class DaskCluster:
    """A scheduler, and workers without a nanny, so that one that is killed stays dead.

    Parameters
    ----------
    folder : Path
        For its files.
    allowed_failures : int
        How many workers may die of a job before it is given up.
    """

    def __init__(self, folder: Path, allowed_failures: int = 3) -> None:
        self.folder = folder
        self._allowed = str(allowed_failures)
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        told = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", told
        )
        self.address = json.loads(_awaited(told))["address"]
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def add_worker(self, *words: object) -> subprocess.Popen[bytes]:
        """Start a worker; it comes when it comes."""
        own = ("--nthreads", 1, "--no-nanny", "--local-directory", self.folder)
        self.workers.append(self._start("worker", self.address, *own, *words))
        return self.workers[-1]

    def _start(self, kind: str, *words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, "--no-dashboard"]
        env = {**os.environ, "PYTHONPATH": str(HELPERS)}
        env |= {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
        env["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = self._allowed
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, *map(str, words)], stdout=log, stderr=log, env=env, cwd=self.folder
            )


def _awaited(path: Path, within_s: float = 60.0) -> str:
    """Wait for a file that is whole."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if path.exists() and path.read_text().rstrip().endswith("}"):
            return path.read_text()
        time.sleep(0.02)
    raise TimeoutError(path)
