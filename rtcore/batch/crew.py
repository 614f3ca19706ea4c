# SPDX-License-Identifier: MIT
"""Worker processes that come through everything: death, Ctrl-C, and the loss of their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any

from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.errors import DeviceError, RtcoreError

__all__ = ["Crew", "failure"]


class Crew:
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
        """Whether enough jobs are under way."""
        return len(self._under_way) >= 2 * self._workers

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
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
                    yield failure(job, _DIED, ledger)
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


_DIED = DeviceError(
    "the process that worked on it died; a plugin crashed, or memory ran out: "
    "try it alone with --jobs 1"
)


def failure(job: Job, error: BaseException, ledger: Ledger) -> Outcome:
    """Say why a job failed, and take away what an earlier run left in its place."""
    sentence, exit_code = _sentence(error)
    removed = ledger.remove_stale(job)
    return Outcome(job.name, "failed", sentence, exit_code, removed=removed)


def _sentence(error: BaseException) -> tuple[str, int]:
    """Give what is said of an error, and its exit code."""
    if isinstance(error, RtcoreError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error}; mend that and run it again", 3
    what = f"this is a mistake in rtcore or in a plugin ({type(error).__name__}: {error})"
    return f"{what}; report it with this file", 70


def _outcome(job: Job, future: Future[dict[str, Any]], ledger: Ledger) -> Outcome:
    """Read a job's end."""
    error = future.exception()
    if error is not None:
        return failure(job, error, ledger)
    ledger.add(job, future.result())
    return Outcome(job.name, "done", result=future.result())


class _Dismissed(BaseException):
    """The run was ended while this process worked."""


_working = False
_asked_s = 0.0
_UNWINDING_S = 1.0
_TRIES = 3


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
    global _asked_s  # noqa: PLW0603 - a signal's handler has no other way to know
    now_s, first = time.monotonic(), _asked_s == 0.0
    # The pool asks again as soon as the first worker has gone; unwinding must not be disturbed.
    if not first and now_s - _asked_s < _UNWINDING_S:
        return
    _asked_s = now_s
    if first:
        threading.Thread(target=_insist, daemon=True).start()
    if _working:
        raise _Dismissed
    os._exit(1)


def _insist() -> None:
    """Ask again where code in C that had called Python swallowed the exception."""
    for _ in range(_TRIES):
        time.sleep(1.1 * _UNWINDING_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
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
