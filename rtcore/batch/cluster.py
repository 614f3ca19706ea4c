# SPDX-License-Identifier: MIT
"""A Dask cluster that does jobs: workers may come, go and die while it works."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rtcore.batch.crew import Crew
from rtcore.batch.ledger import Job, Ledger, Outcome
from rtcore.batch.tasks import Order, check_machine, failure
from rtcore.errors import DeviceError

__all__ = ["Cluster"]

_log = logging.getLogger(__name__)
_ANSWER_S = 30.0
_LOOK_S = 1.0


class Cluster(Crew):
    """The workers of a Dask scheduler.

    A worker that dies is no harm: its jobs go to others. One that takes a worker with it each
    time is given up, after as many workers as Dask's ``distributed.scheduler.allowed-failures``
    says (3). While there is no worker the run waits, since a queue may take its time to start one.

    Parameters
    ----------
    order : Order
        What all jobs have in common.
    address : str
        Of the scheduler: ``tcp://host:8786``.

    Raises
    ------
    DeviceError
        Where Dask is not installed, no scheduler answers, or a worker cannot do this run's jobs.
    """

    def __init__(self, order: Order, address: str) -> None:
        self._address = address
        # What its client has to say of a scheduler that is gone is said here, in one sentence.
        self._chatter = logging.getLogger("distributed.client")
        self._level = self._chatter.level
        self._chatter.setLevel(logging.CRITICAL)
        self._client = _connected(address)
        self._count, self._looked_s = 0, -_LOOK_S
        self._waiting = self._threaded = False
        try:
            self._client.run(check_machine, order)
            super().__init__(order, self._client.get_executor(pure=False))
        except BaseException:
            self._client.close(timeout=_ANSWER_S)
            raise

    @property
    def workers(self) -> int:
        """Worker processes that there are now, at least one."""
        if time.monotonic() - self._looked_s >= _LOOK_S:
            self._look()
        return max(1, self._count)

    def collect(self, ledger: Ledger) -> Iterator[Outcome]:
        """Wait for at least one job to end."""
        while not (ended := self._those_that_ended(_LOOK_S)):
            self._look()
        if any(future.cancelled() for future in ended):
            raise self._lost()
        for future in ended:
            yield from self._outcomes(self._under_way.pop(future), future, ledger)

    def dismiss(self) -> None:
        """Take back the jobs that nobody has begun, and leave the cluster."""
        with contextlib.suppress(Exception):  # the scheduler may be gone
            super().dismiss()
        with contextlib.suppress(Exception):
            self._client.close(timeout=_ANSWER_S)
        self._chatter.setLevel(self._level)

    def _undone(self, job: Job, error: BaseException, ledger: Ledger) -> Outcome:
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            died = DeviceError(
                "all workers that tried it died; a plugin crashed, or memory ran out: "
                "try it alone with --jobs 1"
            )
            return failure(job, str(died), died.exit_code, ledger)
        return super()._undone(job, error, ledger)

    def _look(self) -> None:
        """Count the workers, and say what stands in the way."""
        if self._client.status != "running":
            raise self._lost()
        try:
            threads: dict[str, int] = self._client.nthreads()
        except Exception as error:
            raise self._lost() from error
        self._count, self._looked_s = len(threads), time.monotonic()
        if not threads and not self._waiting:
            how = f"dask worker {self._address} --nthreads 1"
            _say(f"there is no worker at {self._address}; waiting for one: {how}")
        self._waiting = not threads
        if not self._threaded and any(count > 1 for count in threads.values()):
            self._threaded = True
            what = f"a worker at {self._address} has {max(threads.values())} threads, and does one"
            _say(f"{what} job at a time; start one worker for each core, with --nthreads 1")

    def _lost(self) -> DeviceError:
        what = f"{self._address}: the Dask scheduler is gone; start it and the run again, which "
        return DeviceError(f"{what}goes on where it ended")


def _connected(address: str) -> Any:
    """Connect to a scheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise DeviceError("Dask is not installed; install it: pip install 'rtcore[dask]'") from None
    try:
        with ThreadPoolExecutor(1) as beside:  # this thread may have a loop of its own
            beside.submit(asyncio.run, _answers(address)).result()
        return Client(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        what = f"{address}: no Dask scheduler answers there; start one with: dask scheduler"
        raise DeviceError(what) from error


async def _answers(address: str) -> None:
    """Try an address; a client that finds nobody is closed only minutes later, with a traceback."""
    from distributed import Security
    from distributed.comm.core import connect

    known = Security().get_connection_args("client")
    comm = await connect(address, timeout=_ANSWER_S, **known)
    await comm.close()


def _say(sentence: str) -> None:
    _log.warning("warning: %s", sentence)
