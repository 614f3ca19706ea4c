# SPDX-License-Identifier: MIT
"""Those who do jobs for a run: the processes of this machine, or anybody's executor."""

from __future__ import annotations

import contextlib
import math
import pickle
import queue
from collections.abc import Iterator
from concurrent.futures import Executor, Future

from rtcore.batch.interrupts import held_back
from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.batch.tasks import Order, Packed, Report, concluded, do, failure
from rtcore.errors import DeviceError

__all__ = ["Crew", "Reports"]

_FORGETTING, _SHORTEST_S = 0.8, 1e-6
#: Of the tasks that were submitted together.
Reports = Future[list[Report]]


class Crew:
    """A :class:`concurrent.futures.Executor` with a few more jobs under way than it has workers.

    Parameters
    ----------
    order : Order
        What all jobs have in common.
    executor : Executor
        It must carry a module's own functions to its workers; it is not shut down.
    """

    #: Short jobs are given away in groups that take about so long, and at most so many at once.
    #: Nobody is told of any of a group before all of it is done.
    group_s, largest_group = 0.0, 1

    def __init__(self, order: Order, executor: Executor) -> None:
        self._order, self._executor = order, executor
        self._gathered: list[Job] = []
        self._under_way: dict[Reports, list[Job]] = {}
        self._ended: queue.SimpleQueue[Reports] = queue.SimpleQueue()
        self._job_s = math.inf  # how long one takes

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
        return bool(self._under_way or self._gathered)

    def take(self, job: Job) -> None:
        """Give a job to the executor, with a few others where jobs are short."""
        self._gathered.append(job)
        enough = min(self.largest_group, self.group_s / self._job_s)
        if len(self._gathered) >= enough or len(self._under_way) < self.workers:
            self._send()

    def _send(self) -> None:
        """Give away what is gathered."""
        jobs, self._gathered = self._gathered, []
        if jobs:
            self._give(jobs)

    def _give(self, jobs: list[Job]) -> None:
        packed = [(pickle.dumps(job.task), job.outputs) for job in jobs]
        with held_back():
            future = self._submitted(packed)
            self._under_way[future] = jobs
            future.add_done_callback(self._ended.put)  # how it ends is told in a queue

    def _submitted(self, packed: list[Packed]) -> Reports:
        """Hand tasks to the executor."""
        return self._executor.submit(do, self._order, packed)

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        for future in self._those_that_ended():
            yield from self._outcomes(self._under_way.pop(future), future, ledger)

    def _those_that_ended(self, timeout_s: float | None = None) -> list[Reports]:
        """Wait for one to end, or not for longer; give all that have, as they were given."""
        if not self.full:  # no more jobs come, or none that could join those gathered
            self._send()
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

    def _outcomes(self, jobs: list[Job], future: Reports, ledger: Ledger) -> Iterator[Outcome]:
        """Read how jobs ended; a good worker reports its errors, so that any other is its own."""
        error = future.exception()
        if error is not None:
            yield from [self._undone(job, error, ledger) for job in jobs]
            return
        found = future.result()
        for job in jobs[len(found) :]:  # they were not as short as those before
            self._give([job])
        # All are remembered before the first is told: whoever is told may end the run.
        yield from [self._concluded(*pair, ledger) for pair in zip(jobs, found, strict=False)]

    def _concluded(self, job: Job, found: Report, ledger: Ledger) -> Outcome:
        """Remember how a job ended, and how long such jobs take: the longest lately."""
        if not found.error:
            before_s = 0.0 if self._job_s == math.inf else _FORGETTING * self._job_s
            self._job_s = max(found.seconds, before_s, _SHORTEST_S)
        return concluded(job, found, ledger)

    def _undone(self, job: Job, error: BaseException, ledger: Ledger) -> Outcome:
        """Say why nobody could do a job."""
        what = f"no worker could do it ({type(error).__name__}: {error})"
        strange = DeviceError(f"{what}; see that all of them have the same packages")
        return failure(job, str(strange), strange.exit_code, ledger)
