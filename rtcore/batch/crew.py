# SPDX-License-Identifier: MIT
"""Those who do jobs for a run: the processes of this machine, or anybody's executor."""

from __future__ import annotations

import contextlib
import pickle
import queue
from collections.abc import Iterator
from concurrent.futures import Executor, Future

from rtcore.batch.interrupts import held_back
from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.batch.tasks import Order, Report, concluded, do, failure
from rtcore.errors import DeviceError

__all__ = ["Crew"]


class Crew:
    """A :class:`concurrent.futures.Executor` with a few more jobs under way than it has workers.

    Parameters
    ----------
    order : Order
        What all jobs have in common.
    executor : Executor
        It must carry a module's own functions to its workers; it is not shut down.
    """

    def __init__(self, order: Order, executor: Executor) -> None:
        self._order, self._executor = order, executor
        self._under_way: dict[Future[Report], Job] = {}
        self._ended: queue.SimpleQueue[Future[Report]] = queue.SimpleQueue()

    @property
    def workers(self) -> int:
        """How many do jobs at the same time, at least one."""
        return max(1, int(getattr(self._executor, "_max_workers", 1)))

    @property
    def full(self) -> bool:
        """Whether enough jobs are under way."""
        return len(self._under_way) >= 2 * self.workers

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        return bool(self._under_way)

    def take(self, job: Job) -> None:
        """Give a job to the executor."""
        task = pickle.dumps(job.task)
        with held_back():
            self._note(self._executor.submit(do, self._order, task, job.outputs), job)

    def _note(self, future: Future[Report], job: Job) -> None:
        """Remember a job that was given away; how it ends is told in a queue."""
        self._under_way[future] = job
        future.add_done_callback(self._ended.put)

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        for future in self._those_that_ended():
            yield self._outcome(self._under_way.pop(future), future, ledger)

    def _those_that_ended(self, timeout_s: float | None = None) -> list[Future[Report]]:
        """Wait for one job to end, or not for longer; give all that have, as they were given."""
        ended = set()
        with contextlib.suppress(queue.Empty):
            ended.add(self._ended.get(timeout=timeout_s))
            while True:
                ended.add(self._ended.get_nowait())
        return [future for future in self._under_way if future in ended]

    def dismiss(self) -> None:
        """Take back the jobs that nobody has begun."""
        for future in self._under_way:
            future.cancel()

    def _outcome(self, job: Job, future: Future[Report], ledger: Ledger) -> Outcome:
        """Read a job's end; a good worker reports its errors, so that any other is its own."""
        error = future.exception()
        if error is None:
            return concluded(job, future.result(), ledger)
        what = f"no worker could do it ({type(error).__name__}: {error})"
        strange = DeviceError(f"{what}; see that all of them have the same packages")
        return failure(job, str(strange), strange.exit_code, ledger)
