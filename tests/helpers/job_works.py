# SPDX-License-Identifier: MIT
"""Work for the runner of jobs: functions of a module, as worker processes need them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from rtcore.audiofile import Writer
from rtcore.batch import Job, Ledger, run_jobs
from rtcore.errors import CheckFailed

RATE, FRAMES = 16000, 4000


def number_of(path: Path) -> int:
    """Give the number in a file's name."""
    return int(path.stem)


def write_slowly(task: tuple[Path, float]) -> dict[str, int]:
    """Write a file in four parts with a wait after each."""
    path, wait_s = task
    value = number_of(path) / 1000.0
    with Writer(path, RATE, 1, subtype="PCM_16") as out:
        for _ in range(4):
            out.write(np.full(FRAMES // 4, value))
            time.sleep(wait_s / 4)
    return {"number": number_of(path), "process": os.getpid()}


def odd_ones_fail(task: tuple[Path, float]) -> dict[str, int]:
    """Fail for every third number: by a check, by the system, by a slip."""
    number = number_of(task[0])
    if number % 3 == 2:
        raise (CheckFailed("too loud"), OSError(28, "No space left"), KeyError("slip"))[number // 3]
    return write_slowly(task)


def fourth_one_dies(task: tuple[Path, float]) -> dict[str, int]:
    """Kill the process that works on number 4."""
    if number_of(task[0]) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_slowly(task)


def jobs_in(folder: Path, count: int, wait_s: float = 0.0, key: str = "k") -> list[Job]:
    """List jobs for numbered files."""
    paths = [folder / f"{k}.wav" for k in range(count)]
    return [Job(path.name, path, f"{key}{path.name}", (path, wait_s)) for path in paths]


def main() -> None:
    """Run jobs: FOLDER COUNT WAIT_S WORKERS; print a line for each as it ends."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    ledger = Ledger(folder)
    with ledger.writing():
        jobs = jobs_in(folder, count, float(sys.argv[3]))
        for outcome in run_jobs(jobs, write_slowly, ledger, workers=int(sys.argv[4])):
            print(outcome.name, outcome.status, outcome.result.get("process"), flush=True)


if __name__ == "__main__":
    main()
