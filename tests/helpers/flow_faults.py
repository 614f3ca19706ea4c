# SPDX-License-Identifier: MIT
"""What may happen to a flow over a set: it is killed, its disk runs full, its workers die.

Run as a program it is the command line, with scores that cost nothing: for runs that are killed.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke
from dask_cluster import DaskCluster
from waiting import PATIENCE_S, reaches

from rtcore.batch.ledger import LEDGER

_DRAFTS = (".rtcore-*.part", ".rtcore-*.part.*", ".rtcore-*.tmp")


@dataclass(frozen=True)
class Flow:
    """Commands of a challenge over a set, and where they write.

    Attributes
    ----------
    enhance, evaluate : tuple of str
        The words, to which more are added.
    answers, suffix : Path, str
        Folder of the outputs, and how they end.
    scores, table : Path
        Folder of the pairs' scores, and the list of all of them.
    """

    enhance: tuple[str, ...]
    evaluate: tuple[str, ...]
    answers: Path
    suffix: str
    scores: Path
    table: Path

    def outputs(self) -> dict[str, bytes]:
        """Read all outputs."""
        return {path.name: path.read_bytes() for path in self.answers.glob(f"*{self.suffix}")}

    def scored(self) -> list[Path]:
        """List the scores of single pairs."""
        return list(self.scores.glob("*.json"))

    def rows(self) -> Counter[tuple[str, str]]:
        """Count the rows of the table for each scene and listener."""
        with self.table.open(newline="") as stream:
            found = list(csv.DictReader(stream))
        return Counter((row["scene"], row["listener"]) for row in found)

    def check(self, pairs: int) -> None:
        """All there, none twice, nothing half-written."""
        assert pairs == len(self.outputs())
        assert [1] * pairs == list(_entries(self.answers).values())
        assert [1] * pairs == list(_entries(self.scores).values())
        assert [1] * pairs == list(self.rows().values())
        for path in self.scored():
            assert json.loads(path.read_text())
        assert [] == half_written(self.answers)
        assert [] == half_written(self.scores.parent)


def done(*words: object, code: int = 0) -> dict[str, Any]:
    """Run a command in this process; give what it told as JSON."""
    result = invoke(*words, "--json")
    assert code == result.exit_code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told if "done" in told else told["runs"][0]


def half_written(folder: Path) -> list[str]:
    """Name what was not written to its end."""
    return [path.name for draft in _DRAFTS for path in folder.rglob(draft)]


def _entries(folder: Path) -> Counter[str]:
    """Count the lines of a ledger for each job; all of them must be whole."""
    lines = [json.loads(line) for line in (folder / LEDGER).read_text().splitlines()]
    return Counter(line["name"] for line in lines if "name" in line)


def _begun(*words: object, when: Callable[[], bool]) -> subprocess.Popen[str]:
    """Start a command, and wait until something is so."""
    running = subprocess.Popen(
        [sys.executable, __file__, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert reaches(lambda: when() or running.poll() is not None)
    assert running.poll() is None, running.communicate()
    return running


def killed(*words: object, when: Callable[[], bool]) -> None:
    """Start a command, and kill it and all its processes as soon as something is so."""
    running = _begun(*words, when=when)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=PATIENCE_S)


def keeps_others_out(flow: Flow, pairs: int) -> None:
    """A second run into a folder is refused; Ctrl-C ends the first with a sentence, and cleanly."""
    for words, made in ((flow.enhance, flow.outputs), (flow.evaluate, flow.scored)):
        running = _begun(*words, "--jobs", 1, when=lambda made=made: len(made()) >= 2)
        os.kill(running.pid, signal.SIGSTOP)
        second = invoke(*words, "--jobs", 1)
        os.kill(running.pid, signal.SIGCONT)
        os.kill(running.pid, signal.SIGINT)
        told = running.communicate(timeout=PATIENCE_S)[0]
        assert 2 == second.exit_code, second.output
        assert "another run writes into" in second.stderr
        assert 130 == running.returncode, told
        assert "interrupted; nothing half-written was left behind" in told
        assert 2 <= len(made()) < pairs
        assert [] == half_written(flow.answers)
        assert not flow.table.exists()
        if words is flow.enhance:
            done(*words, "--jobs", 1)


def survives_kill(flow: Flow, pairs: int) -> None:
    """Kill -9 in the middle of either command: the next run does the rest, and nothing twice."""
    killed(*flow.enhance, "--jobs", 2, when=lambda: len(flow.outputs()) >= 3)
    begun = flow.outputs()
    assert 3 <= len(begun) < pairs
    told = done(*flow.enhance, "--jobs", 1)
    assert (pairs, 0) == (told["done"] + told["skipped"], told["failed"])
    assert 1 <= told["skipped"] <= len(begun)
    assert begun.items() <= flow.outputs().items()
    killed(*flow.evaluate, "--jobs", 1, when=lambda: len(flow.scored()) >= 3)
    assert 3 <= len(flow.scored()) < pairs
    assert not flow.table.exists()
    told = done(*flow.evaluate, "--jobs", 1)
    assert (pairs, 0) == (told["done"] + told["skipped"], told["failed"])
    assert told["skipped"] >= 2
    flow.check(pairs)


@contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[Callable[[int], object]]:
    """Mount a disk of some KiB on a new folder; give what resizes it. Skip where none may."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let its root mount a disk")
    try:
        yield lambda kib: subprocess.run(
            ["mount", "-o", f"remount,size={kib}k", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def survives_full_disk(flow: Flow, disk: Path, pairs: int, room_kib: int) -> None:
    """Outputs and scores that find no room fail by name; with room again they are made."""
    with small_disk(disk, room_kib) as resize:
        first = invoke(*flow.enhance, "--jobs", 1)
        assert 1 == first.exit_code, first.output
        assert "the disk is full" in first.stderr
        assert 0 < len(flow.outputs()) < pairs
        assert [] == half_written(disk)
        resize(64_000)
        assert pairs == len(done(*flow.enhance, "--jobs", 1)["pairs"])
        (disk / "filler").write_bytes(bytes(8192))
        used = os.statvfs(disk)
        resize((used.f_blocks - used.f_bfree) * used.f_frsize // 1024)
        second = invoke(*flow.evaluate, "--jobs", 1)
        assert second.exit_code in (2, 3), second.output
        assert 1 == second.stderr.count("error:")
        assert f"error: {disk.name}/" in second.stderr
        assert not flow.table.exists()
        assert [] == half_written(disk)
        resize(64_000)
        assert pairs == done(*flow.evaluate, "--jobs", 1)["done"]
        flow.check(pairs)


def survives_dead_worker(
    flow: Callable[[str], Flow], folder: Path, pairs: int, scored: int
) -> None:
    """One process, two and a cluster give the same bits, though a worker of it is killed."""
    one, two, many = flow("one"), flow("two"), flow("many")
    done(*one.enhance, "--jobs", 1)
    done(*two.enhance, "--jobs", 2)
    folder.mkdir()
    with DaskCluster(folder) as dask:
        first = dask.add_worker()
        where = ("--scheduler", dask.address)
        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(done, *many.enhance, *where)
            assert reaches(lambda: many.outputs() or running.done())
            first.kill()
            first.wait()
            dask.add_worker()
            told = running.result(timeout=PATIENCE_S)
        assert (pairs, 0) == (told["done"], told["failed"])
        assert pairs == len(one.outputs())
        assert one.outputs() == two.outputs() == many.outputs()
        tables = []
        for way, how in ((one, ("--jobs", 1)), (two, ("--jobs", 2)), (many, where)):
            assert scored == done(*way.evaluate, *how, "--limit", scored)["done"]
            tables.append(way.table.read_bytes())
        assert [tables[0]] * 3 == tables


def survives_dead_scorer(flow: Callable[[str], Flow], folder: Path, pairs: int) -> None:
    """A worker that is killed while a cluster scores loses no row and changes no score."""
    one, many = flow("one"), flow("many")
    for way in (one, many):
        done(*way.enhance, "--jobs", 1)
    done(*one.evaluate, "--jobs", 1)
    folder.mkdir()
    cheaply = ("--preload", "cheap_scores")
    with DaskCluster(folder) as dask, ThreadPoolExecutor(1) as beside:
        first = dask.add_worker(*cheaply)
        running = beside.submit(done, *many.evaluate, "--scheduler", dask.address)
        assert reaches(lambda: len(many.scored()) >= 3 or running.done())
        first.kill()
        first.wait()
        begun = len(many.scored())
        dask.add_worker(*cheaply)
        told = running.result(timeout=PATIENCE_S)
    assert 3 <= begun < pairs
    assert (pairs, 0) == (told["done"], told["failed"])
    many.check(pairs)
    assert one.table.read_bytes() == many.table.read_bytes()


def cheap(*sounds: np.ndarray) -> tuple[float, float]:
    """Give two scores that depend on all samples, after a while."""
    time.sleep(0.05)
    check = zlib.crc32(b"".join(np.ascontiguousarray(x).tobytes() for x in sounds))
    return (check % 1000) / 1000.0, (check // 1000 % 1000) / 1000.0


def cheap_scores(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let both flows score as :func:`cheap` does."""
    from rtcore.challenges.cadenza import evaluate, haaqi
    from rtcore.challenges.clarity import haspi

    put(haspi, "better_ear_haspi", lambda r, x, *_: haspi.Haspi(*cheap(r, x)))
    put(evaluate, "haaqi", lambda x, r, *_, **__: cheap(r, x))
    put(haaqi, "measured_speed", lambda: 0.1)


if __name__ in ("__main__", "__mp_main__"):  # in worker processes, too
    cheap_scores()
if __name__ == "__main__":
    from rtcore.cli import main

    # A shell that runs the tests behind `&` lets all of them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
