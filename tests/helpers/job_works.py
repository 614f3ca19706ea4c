# SPDX-License-Identifier: MIT
"""Work for the runner of jobs: functions of a module, as worker processes need them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtcore.audiofile import Writer
from rtcore.batch import Job, Ledger, Shard, run_jobs, tasks
from rtcore.batch.tasks import Report
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


def first_ones_fail(task: tuple[Path, float]) -> dict[str, int]:
    """Fail at once for the first twelve."""
    if number_of(task[0]) < 12:
        raise CheckFailed("too loud")
    return write_slowly(task)


def seventieth_one_dies(task: tuple[Path, float]) -> dict[str, int]:
    """Kill the process that works on number 70."""
    if number_of(task[0]) == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_slowly(task)


def first_of(function: Callable[..., list[Report]], *arguments: object) -> list[Report]:
    """Give the first report alone."""
    return function(*arguments)[:1]


def do_impatiently(order: tasks.Order, packed: list[tasks.Packed]) -> list[Report]:
    """Do tasks as if each had taken long."""
    tasks._LONG_S = 0.0
    return tasks.do(order, packed)


def multiply(task: tuple[Path, float]) -> dict[str, float]:
    """Write what BLAS cuts up among threads, where it may have several."""
    x = np.random.default_rng(number_of(task[0])).normal(size=(300, 900))
    y = (x @ x.T) / 3000.0
    with Writer(task[0], RATE, 1, subtype="DOUBLE") as out:
        out.write(np.clip(y.reshape(1, -1), -1.0, 1.0))
    return {"sum": float(y.sum()), "at": [number_of(task[0]), (1, 2)]}


def threads(task: tuple[Path, float]) -> dict[str, list[int]]:
    """Tell how many threads each library has, loaded before or only now."""
    import scipy.linalg
    from threadpoolctl import threadpool_info

    scipy.linalg.svd(np.eye(3))
    write_slowly(task)
    return {"threads": [int(found["num_threads"]) for found in threadpool_info()]}


def writes_nothing(_task: tuple[Path, float]) -> dict[str, int]:
    """Forget to write."""
    return {}


def gives_no_json(task: tuple[Path, float]) -> dict[str, object]:
    """Give what no ledger can hold."""
    write_slowly(task)
    return {"samples": np.zeros(3)}


def in_pairs(task: tuple[Path, Path]) -> dict[str, int]:
    """Write two files."""
    for path in task:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    return {}


def set_value(value: int) -> None:
    """Prepare this process."""
    if value < 0:
        raise CheckFailed(f"no value of {value}")
    _value.append(value)


def tell_value(task: tuple[Path, float]) -> dict[str, object]:
    """Tell what the process was prepared with, and where it stands."""
    write_slowly(task)
    return {"values": list(_value), "process": os.getpid(), "folder": str(Path.cwd())}


_value: list[int] = []


def kills_its_process(task: tuple[Path, float]) -> dict[str, int]:
    """Kill whichever process works on number 1."""
    if number_of(task[0]) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_slowly(task)


def copy_louder(inputs: list[Path], outputs: list[Path], *, gain: float) -> dict[str, float]:
    """Work of a named job: one file louder, or none."""
    if gain < 0.0:
        outputs[0].write_bytes(b"half")
        raise CheckFailed("no gain below nothing")
    if gain > 0.0:
        outputs[0].write_bytes(inputs[0].read_bytes() * round(gain))
    return {"gain": gain}


def jobs_in(folder: Path, count: int, wait_s: float = 0.0, key: str = "k") -> list[Job]:
    """List jobs for numbered files."""
    paths = [folder / f"{k}.wav" for k in range(count)]
    return [Job(path.name, path, f"{key}{path.name}", (path, wait_s)) for path in paths]


def main() -> None:
    """Run jobs: FOLDER COUNT WAIT_S WORKERS [SHARD]; print a line for each as it ends."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    shard = Shard.parse(sys.argv[5]) if len(sys.argv) > 5 else None
    ledger = Ledger(folder, shard)
    with ledger.writing():
        jobs = jobs_in(folder, count, float(sys.argv[3]))
        jobs = jobs if shard is None else shard.take(jobs)
        for outcome in run_jobs(jobs, write_slowly, ledger, workers=int(sys.argv[4])):
            print(outcome.name, outcome.status, outcome.result.get("process"), flush=True)


if __name__ == "__main__":
    main()
