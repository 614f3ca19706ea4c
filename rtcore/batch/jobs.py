# SPDX-License-Identifier: MIT
"""Run jobs that each make one file: on all cores, not done twice, one that fails stops no other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rtcore.batch.crew import Crew, failure
from rtcore.batch.ledger import Job, Ledger, Outcome, fingerprint

__all__ = ["Job", "Ledger", "Outcome", "fingerprint", "run_jobs", "usable_cores"]


def usable_cores() -> int:
    """Count the processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


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
    crew = Crew(workers, setup, work)
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
        return failure(job, error, ledger)
    ledger.add(job, result)
    return Outcome(job.name, "done", result=result)
