# SPDX-License-Identifier: MIT
"""Those who do jobs for a run: the processes of this machine, or anybody's executor."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

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
        self._under_way[self._executor.submit(do, self._order, task, job.outputs)] = job

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        ended, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        for future in [each for each in self._under_way if each in ended]:  # in their order
            yield self._outcome(self._under_way.pop(future), future, ledger)

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
