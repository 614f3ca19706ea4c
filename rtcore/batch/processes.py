# SPDX-License-Identifier: MIT
"""Worker processes that come through everything: death, Ctrl-C, and the loss of their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import FrameType

from rtcore.batch.crew import Crew, Reports
from rtcore.batch.interrupts import held_back
from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.batch.tasks import Order, Packed, Report, do, failure
from rtcore.errors import DeviceError

__all__ = ["Processes"]

_DIED = DeviceError(
    "the process that worked on it died; a plugin crashed, or memory ran out: "
    "try it alone with --jobs 1"
)


class Processes(Crew):
    """Processes of this machine.

    One that dies takes the whole pool with it, and nobody can tell whose job killed it: then
    each job that was under way is tried again in a process of its own.
    """

    group_s, largest_group = 0.05, 8

    def __init__(self, order: Order, workers: int) -> None:
        self._order, self._count = order, workers
        self._pool, self._broken = self._hire(workers), False
        super().__init__(order, self._pool)

    @property
    def workers(self) -> int:
        """Processes."""
        return self._count

    def _submitted(self, packed: list[Packed]) -> Reports:
        """Give tasks to the pool; one that is broken is noticed when its jobs are collected."""
        try:
            return self._pool.submit(_tasks, packed)
        except BrokenProcessPool as error:
            lost = Reports()
            lost.set_exception(error)
            return lost

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        ended = self._those_that_ended()
        if any(isinstance(future.exception(), BrokenProcessPool) for future in ended):
            yield from self._again(ended, ledger)
            return
        for future in ended:
            yield from self._outcomes(self._under_way.pop(future), future, ledger)

    def _again(self, ended: list[Reports], ledger: Ledger) -> Iterator[Outcome]:
        """Do what was under way one by one, then go on with a new pool."""
        while len(ended) < len(self._under_way):  # with the pool they all end
            ended += self._those_that_ended()
        known, self._under_way = self._under_way, {}
        lost = [f for f in known if isinstance(f.exception(), BrokenProcessPool)]
        self._broken = True
        for future in lost:
            for job in known[future]:
                yield from self._alone(job, ledger)
        self._pool.shutdown()
        self._pool = self._hire(self._count)
        for future, jobs in known.items():
            if future not in lost:
                yield from self._outcomes(jobs, future, ledger)

    def _alone(self, job: Job, ledger: Ledger) -> Iterator[Outcome]:
        """Do a job while no other is under way, in the process of the one before if it lives."""
        with held_back():
            if self._broken:
                self._pool, self._broken = self._hire(1), False
            future = self._submitted([(pickle.dumps(job.task), job.outputs)])
            self._under_way[future] = [job]  # so that Ctrl-C ends it
        self._broken = isinstance(future.exception(), BrokenProcessPool)
        del self._under_way[future]
        if self._broken:
            yield failure(job, str(_DIED), _DIED.exit_code, ledger)
        else:
            yield from self._outcomes([job], future, ledger)

    def dismiss(self) -> None:
        """Let the workers go; those that are in the middle of a job (Ctrl-C) end it cleanly."""
        if self._under_way:
            for process in list((self._pool._processes or {}).values()):  # noqa: SLF001
                process.terminate()  # public only in Python 3.14: terminate_workers
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _hire(self, workers: int) -> ProcessPoolExecutor:
        import multiprocessing

        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, spawn, _begin, (self._order,))


class _Dismissed(BaseException):
    """The run was ended while this process worked."""


_order: Order | None = None
_working = False
_asked_s = 0.0
_UNWINDING_S = 1.0
_TRIES = 3
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_MOST_KEPT_BYTES = 2**27


def _begin(order: Order) -> None:
    """Prepare a worker process."""
    global _order  # noqa: PLW0603 - the initialiser of a pool has no other way to leave it
    _order = order
    # Ctrl-C reaches all processes of a terminal; the first one says what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _keep_memory()


def _keep_memory() -> None:
    """Let the C library keep what is freed for the next array, where it is glibc.

    It gives large blocks back to the system, which fills each page with zeros when it is asked
    again: a tenth of a short job.
    """
    with contextlib.suppress(OSError, AttributeError):
        tell = ctypes.CDLL(None).mallopt
        tell(_M_MMAP_THRESHOLD, _MOST_KEPT_BYTES // 4)
        tell(_M_TRIM_THRESHOLD, _MOST_KEPT_BYTES)


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


def _tasks(packed: list[Packed]) -> list[Report]:
    """Do tasks in a worker."""
    global _working  # noqa: PLW0603 - a signal's handler has no other way to know
    _working = True
    try:
        assert _order is not None, "a process of the pool begins with _begin()"
        return do(_order, packed)
    except _Dismissed:
        os._exit(1)
    finally:
        _working = False
