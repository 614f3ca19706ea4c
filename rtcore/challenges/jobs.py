# SPDX-License-Identifier: MIT
"""Jobs that each make one file: on all cores, not done twice, one that fails stops no other.

A *ledger* beside the outputs says what each was made from. It is a file of JSON lines to which a
line is added after an output has got its name, so that whatever ends a run, even ``kill -9`` or
the power, at worst some outputs are made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from rtcore.errors import AudioFileError, RtcoreError

__all__ = ["Job", "Ledger", "Outcome", "fingerprint", "run_jobs", "usable_cores"]

LEDGER, LOCK = ".rtcore-jobs.jsonl", ".rtcore-jobs.lock"
#: Files under a temporary name, as the Writer calls them.
_PARTS = ".rtcore-*.part"


@dataclass(frozen=True)
class Job:
    """One file to be made.

    Attributes
    ----------
    name : str
        What people call it; no two jobs of a run share one.
    output : Path
        The file.
    key : str
        Fingerprint of all that the file depends on; where it is empty the job is always done.
    task : object
        What the worker function gets; it must pickle.
    """

    name: str
    output: Path
    key: str
    task: Any


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    name : str
        Of the job.
    status : str
        ``"done"``, ``"skipped"`` or ``"failed"``.
    error : str
        Why it failed, in a sentence.
    exit_code : int
        0, or what the error calls for: 2 bad input, 1 a check failed, 3 the environment.
    result : dict
        What the worker function gave, now or in an earlier run.
    """

    name: str
    status: str
    error: str = ""
    exit_code: int = 0
    result: dict[str, Any] = field(default_factory=dict)


def fingerprint(*parts: bytes | str | Path) -> str:
    """Give a fingerprint of texts, bytes and the contents of files.

    Raises
    ------
    AudioFileError
        Where a file cannot be read.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = _content(part)
        else:
            data = part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def usable_cores() -> int:
    """Count the processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class Ledger:
    """What the files of a folder were made from.

    Parameters
    ----------
    folder : Path
        Of the outputs; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / LEDGER
        self._entries = dict(_entries(self._path))
        self._file: TextIO | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for this run, and sweep up what a killed one left.

        Raises
        ------
        AudioFileError
            Where another run writes into the same folder.
        """
        with (self.folder / LOCK).open("w") as lock:
            _hold(lock, self.folder)
            self._entries = dict(_entries(self._path))
            for part in self.folder.glob(_PARTS):
                part.unlink(missing_ok=True)
            with self._path.open("a", encoding="utf-8") as self._file:
                if _torn(self._path):
                    self._file.write("\n")
                yield
        self._file = None

    def result(self, job: Job) -> dict[str, Any] | None:
        """Give what an earlier run said of a job, if its output is still that run's."""
        entry = self._entries.get(job.output.name)
        if entry is None or not job.key or entry.get("key") != job.key:
            return None
        if entry.get("file") != _stamp(job.output):
            return None
        result = entry.get("result")
        return result if isinstance(result, dict) else {}

    def forget(self) -> None:
        """Let all jobs be done again in this run."""
        self._entries.clear()

    def add(self, job: Job, result: dict[str, Any]) -> None:
        """Remember a job whose output has its name."""
        assert self._file is not None, "the ledger is only written to within writing()"
        stamp = _stamp(job.output)
        entry = {"name": job.output.name, "key": job.key, "file": stamp, "result": result}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def run_jobs(
    jobs: Iterable[Job],
    work: Callable[[Any], dict[str, Any]],
    ledger: Ledger,
    *,
    workers: int = 1,
    setup: tuple[Callable[..., None], tuple[Any, ...]] | None = None,
) -> Iterator[Outcome]:
    """Do all jobs whose output is not there yet.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as they are needed; it may raise nothing but what should end the run.
    work : function
        A module's own function: makes the output of a task, and gives what to remember.
    ledger : Ledger
        Within its ``writing()``.
    workers : int
        Processes, made by the method "spawn"; 1 works in this one.
    setup : tuple of function and arguments, optional
        Called once in each process before its first task.

    Yields
    ------
    Outcome
        One for each job, as they end.
    """
    waiting = deque[Job]()
    feed = _unfinished(jobs, ledger, waiting)
    if workers == 1:
        if setup is not None:
            setup[0](*setup[1])
        for found in feed:
            yield found if found is not None else _alone(waiting.popleft(), work, ledger)
        return
    crew = _Crew(workers, setup, work)
    try:
        for found in feed:
            if found is not None:
                yield found
                continue
            crew.take(waiting.popleft())
            while crew.full:
                yield from crew.collect(ledger)
        while crew.busy:
            yield from crew.collect(ledger)
    finally:
        crew.dismiss()


def _unfinished(
    jobs: Iterable[Job], ledger: Ledger, waiting: deque[Job]
) -> Iterator[Outcome | None]:
    """Give outcomes of what was done before; None for a job that is put to those waiting."""
    for job in jobs:
        earlier = ledger.result(job)
        if earlier is not None:
            yield Outcome(job.name, "skipped", result=earlier)
        else:
            waiting.append(job)
            yield None


def _alone(job: Job, work: Callable[[Any], dict[str, Any]], ledger: Ledger) -> Outcome:
    """Do a job in this process."""
    try:
        result = work(job.task)
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the rest
        return _failure(job, error)
    ledger.add(job, result)
    return Outcome(job.name, "done", result=result)


def _failure(job: Job, error: BaseException) -> Outcome:
    """Say why a job failed."""
    if isinstance(error, RtcoreError):
        return Outcome(job.name, "failed", str(error), error.exit_code)
    if isinstance(error, OSError):
        return Outcome(job.name, "failed", f"{error}; mend that and run it again", 3)
    what = f"this is a mistake in rtcore or in a plugin ({type(error).__name__}: {error})"
    return Outcome(job.name, "failed", f"{what}; report it with this file", 70)


class _Crew:
    """Worker processes, with a few jobs more under way than there are workers.

    A worker that dies takes the whole pool with it, and nobody can tell whose job killed it: then
    each job that was under way is tried again in a process of its own.
    """

    def __init__(
        self,
        workers: int,
        setup: tuple[Callable[..., None], tuple[Any, ...]] | None,
        work: Callable[[Any], dict[str, Any]],
    ) -> None:
        self._workers, self._setup, self._work = workers, setup, work
        self._pool = self._hire(workers)
        self._under_way: dict[Future[dict[str, Any]], Job] = {}

    @property
    def full(self) -> bool:
        return len(self._under_way) >= 2 * self._workers

    @property
    def busy(self) -> bool:
        return bool(self._under_way)

    def take(self, job: Job) -> None:
        """Give a job to the pool; a pool that is broken is noticed when its jobs are collected."""
        try:
            self._under_way[self._pool.submit(_task, self._work, job.task)] = job
        except BrokenProcessPool as error:
            lost: Future[dict[str, Any]] = Future()
            lost.set_exception(error)
            self._under_way[lost] = job

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        ended, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in ended):
            yield from self._again(ledger)
            return
        for future in ended:
            yield _outcome(self._under_way.pop(future), future, ledger)

    def _again(self, ledger: Ledger) -> Iterator[Outcome]:
        """Do what was under way one by one, then go on with a new pool."""
        wait(self._under_way)
        suspects, self._under_way = self._under_way, {}
        for future, job in suspects.items():
            if isinstance(future.exception(), BrokenProcessPool):
                self._pool = self._hire(1)
                future = self._pool.submit(_task, self._work, job.task)  # noqa: PLW2901
                wait([future])
                if isinstance(future.exception(), BrokenProcessPool):
                    what = "the process that worked on it died; a plugin crashed, or memory ran out"
                    yield Outcome(job.name, "failed", f"{what}: try it alone with --jobs 1", 3)
                    continue
                self._pool.shutdown()
            yield _outcome(job, future, ledger)
        self._pool = self._hire(self._workers)

    def dismiss(self) -> None:
        """Let the workers go; those that are in the middle of a job (Ctrl-C) end it cleanly."""
        if self._under_way:
            for process in list((self._pool._processes or {}).values()):  # noqa: SLF001
                process.terminate()  # public only in Python 3.14: terminate_workers
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _hire(self, workers: int) -> ProcessPoolExecutor:
        import multiprocessing

        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, spawn, _begin, (self._setup,))


def _outcome(job: Job, future: Future[dict[str, Any]], ledger: Ledger) -> Outcome:
    """Read a job's end."""
    error = future.exception()
    if error is not None:
        return _failure(job, error)
    ledger.add(job, future.result())
    return Outcome(job.name, "done", result=future.result())


class _Dismissed(BaseException):
    """The run was ended while this process worked."""


_working = False


def _begin(setup: tuple[Callable[..., None], tuple[Any, ...]] | None) -> None:
    """Prepare a worker process."""
    # Ctrl-C reaches all processes of a terminal; the first one says what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if setup is not None:
        setup[0](*setup[1])


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Unwind what is under way, so that no half-written file stays, or go at once."""
    if _working:
        raise _Dismissed
    os._exit(1)


def _leave_with_parent() -> None:
    """Wait for the first process to die, even by ``kill -9``, which would leave this one idle."""
    import multiprocessing
    from multiprocessing.connection import wait as wait_for

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _task(work: Callable[[Any], dict[str, Any]], task: Any) -> dict[str, Any]:
    """Do one task in a worker."""
    global _working  # noqa: PLW0603 - a signal's handler has no other way to know
    _working = True
    try:
        return work(task)
    except _Dismissed:
        os._exit(1)
    finally:
        _working = False


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # whoever needs the file says that it is missing
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}; check its name and its rights"
        raise AudioFileError(f"{path}: {what}") from error


def _stamp(path: Path) -> list[int] | None:
    """Give what tells a file from one that was changed since."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a ledger; lines that were torn by the end of a run count for nothing."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            yield str(entry["name"]), dict(entry)


def _torn(path: Path) -> bool:
    data = path.read_bytes()
    return bool(data) and not data.endswith(b"\n")


def _hold(lock: TextIO, folder: Path) -> None:
    """Lock a folder; the system unlocks it however the process ends."""
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what = "another run writes into this folder; wait for it or name another folder"
        raise AudioFileError(f"{folder}: {what}") from None
    except OSError:
        return  # some network file systems know no locks
