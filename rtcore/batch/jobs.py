# SPDX-License-Identifier: MIT
"""Run jobs that each make one file: on all cores, not done twice, one that fails stops no other."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

from rtcore.batch.crew import Crew
from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.batch.tasks import Order, Setup, Work, concluded, report
from rtcore.batch.threads import pinned_environment, pinned_threads

__all__ = ["run_jobs", "usable_cores"]


def usable_cores() -> int:
    """Count the processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def run_jobs(
    jobs: Iterable[Job],
    work: Work,
    ledger: Ledger,
    *,
    workers: int = 1,
    setup: Setup | None = None,
    scheduler: str | Executor | None = None,
) -> Iterator[Outcome]:
    """Do all jobs whose output is not there yet.

    Whoever does them, each process has one thread for BLAS, OpenMP and PyTorch, so that the
    outputs are the same, bit for bit, from one process, many, or a cluster of like processors.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as they are needed; it may raise nothing but what should end the run.
    work : function
        A module's own function: makes the output of a task, and gives what to remember, as far
        as JSON knows it.
    ledger : Ledger
        Within its ``writing()``.
    workers : int
        Processes, made by the method "spawn"; 1 works in this one.
    setup : tuple of function and arguments, optional
        Called once in each process before its first task.
    scheduler : str or Executor, optional
        Address of a Dask scheduler whose workers do the jobs, or any executor that carries a
        module's functions to its workers; `workers` counts for nothing then.

    Yields
    ------
    Outcome
        One for each job, as they end.

    Raises
    ------
    DeviceError
        Where a Dask scheduler does not answer, or a worker of its cannot do these jobs.
    TypeError
        Where `work` or `setup` cannot be sent to another process.
    """
    waiting = deque[Job]()
    feed = _unfinished(jobs, ledger, waiting)
    if workers == 1 and scheduler is None:
        yield from _here(feed, waiting, work, ledger, setup)
        return
    with pinned_environment():
        crew = _crew(_order(work, setup, ledger, scheduler), workers, scheduler)
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


def _here(
    feed: Iterator[Outcome | None],
    waiting: deque[Job],
    work: Work,
    ledger: Ledger,
    setup: Setup | None,
) -> Iterator[Outcome]:
    """Do jobs in this process."""
    with pinned_threads():
        if setup is not None:
            setup[0](*setup[1])
    for found in feed:
        if found is not None:
            yield found
            continue
        job = waiting.popleft()
        with pinned_threads():
            made = report(work, job.task, job.outputs)
        yield concluded(job, made, ledger)


def _order(
    work: Work, setup: Setup | None, ledger: Ledger, scheduler: str | Executor | None
) -> Order:
    """Pack what the workers need."""
    try:
        content = pickle.dumps((work, setup))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        what = "the worker function and what sets it up go to other processes, and these cannot"
        raise TypeError(f"{what} ({error}); take a module's own functions") from error
    if isinstance(scheduler, str) and work.__module__ == "__main__":
        what = f"{work.__qualname__} stands in a script, which the workers of a cluster do not see"
        raise TypeError(f"{what}; move it to a module that is installed there")
    return Order(content, ledger.folder.absolute())


def _crew(order: Order, workers: int, scheduler: str | Executor | None) -> Crew:
    """Choose who does the jobs."""
    if isinstance(scheduler, Executor):
        return Crew(order, scheduler)
    if scheduler is not None:
        from rtcore.batch.cluster import Cluster

        return Cluster(order, scheduler)
    from rtcore.batch.processes import Processes

    return Processes(order, workers)


def _unfinished(
    jobs: Iterable[Job], ledger: Ledger, waiting: deque[Job]
) -> Iterator[Outcome | None]:
    """Give outcomes of what was done before; None for a job that is put to those waiting."""
    for job in jobs:
        earlier = ledger.result(job)
        if earlier is not None:
            yield Outcome(job.name, "skipped", result=earlier)
        else:
            ledger.begin(job)
            waiting.append(job)
            yield None
