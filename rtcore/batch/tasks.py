# SPDX-License-Identifier: MIT
"""What a worker does: one task after the other, and a report of each that travels anywhere.

The same code runs in this process, in processes of this machine, and on the machines of a cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rtcore.batch.fingerprints import stamp
from rtcore.batch.ledger import Job, Ledger, Outcome, Stamps
from rtcore.batch.locks import LOCK
from rtcore.batch.threads import pin_threads
from rtcore.errors import DeviceError, RtcoreError

__all__ = [
    "Order",
    "Packed",
    "Report",
    "Setup",
    "Work",
    "concluded",
    "do",
    "failure",
    "report",
    "set_up",
]

#: Makes the outputs of a task, and gives what to remember.
Work = Callable[[Any], dict[str, Any]]
#: A function and its arguments, called once in each process before its first task.
Setup = tuple[Callable[..., None], tuple[Any, ...]]
#: What must be the same on all machines: where plugins and models are looked for.
_VARIABLES = ("RTCORE_PLUGIN_PATH", "RTCORE_MODEL_PATH", "RTCORE_ONNX", "RTCORE_DEBUG")


def _version() -> str:
    from rtcore import __version__

    return __version__


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


@dataclass(frozen=True)
class Order:
    """What all jobs of a run have in common.

    Attributes
    ----------
    content : bytes
        The worker function, and the one that sets it up with its arguments, if any: pickled, so
        that a process can read them when it knows where plugins lie.
    folder : Path
        Of the outputs, which every worker must see.
    cwd : Path
        Where the run was started: relative paths in tasks are meant from there.
    token, version, environment
        Of this run, of rtcore, and what of the environment decides over plugins and models.
    """

    content: bytes
    folder: Path
    cwd: Path = field(default_factory=Path.cwd)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: str = field(default_factory=_version)
    environment: dict[str, str] = field(default_factory=_environment)


@dataclass(frozen=True)
class Report:
    """What became of a task; plain values, which any executor can carry.

    Attributes
    ----------
    result : dict
        What the worker function gave, as JSON knows it.
    stamps : list
        Of the outputs, in the eyes of the machine that has made them.
    error, exit_code
        Why it failed; an empty text and 0 where it did not.
    seconds : float
        How long it took.
    """

    result: dict[str, Any] = field(default_factory=dict)
    stamps: Stamps = field(default_factory=list)
    error: str = ""
    exit_code: int = 0
    seconds: float = 0.0


def report(work: Work, task: Any, outputs: tuple[Path, ...]) -> Report:
    """Do a task; whatever goes wrong becomes a sentence."""
    try:
        # What a later run reads from the ledger shall be what this one tells.
        result = json.loads(json.dumps(work(task)))
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the rest
        if os.environ.get("RTCORE_DEBUG"):
            traceback.print_exc()
        return Report(error=_sentence(error), exit_code=_exit_code(error))
    stamps = [stamp(path) for path in outputs]
    for path, found in zip(outputs, stamps, strict=True):
        if found is None:
            what = f"this is a mistake in rtcore or in a plugin (nothing was written to {path})"
            return Report(error=f"{what}; report it with this file", exit_code=70)
    return Report(result, stamps)


#: The run for which this process is set up, if any, and its worker function; threads of a
#: cluster's worker take turns.
_ready: tuple[str, Work] | None = None
_turn = threading.Lock()


_LONG_S = 1.0
#: A pickled task, and its outputs.
Packed = tuple[bytes, tuple[Path, ...]]


def do(order: Order, packed: Sequence[Packed]) -> list[Report]:
    """Do tasks of a run in whichever process this is; it is set up first, once.

    Those that are left when a second has gone by are given back: they are not as short as those
    were by which they were put together.
    """
    with _turn, contextlib.ExitStack() as stack:
        try:
            stack.enter_context(contextlib.chdir(_folder_of_run(order)))
            work = set_up(order)
        except Exception as error:  # noqa: BLE001 - reported with each job
            return [Report(error=_sentence(error), exit_code=_exit_code(error))] * len(packed)
        found, begun_s = list[Report](), time.monotonic()
        for task, outputs in packed:
            found.append(_done(work, task, outputs))
            if time.monotonic() - begun_s > _LONG_S:
                break
        return found


def _done(work: Work, task: bytes, outputs: tuple[Path, ...]) -> Report:
    begun_s = time.perf_counter()
    try:
        content = pickle.loads(task)  # noqa: S301 - from the process that runs this one
    except Exception as error:  # noqa: BLE001 - reported with its job
        return Report(error=_sentence(error), exit_code=_exit_code(error))
    return replace(report(work, content, outputs), seconds=time.perf_counter() - begun_s)


def set_up(order: Order) -> Work:
    """Make this process ready for a run, once; give the worker function.

    Raises
    ------
    DeviceError
        Where this machine cannot do its jobs.
    """
    global _ready  # noqa: PLW0603 - it is the process that is set up
    if _ready is not None and _ready[0] == order.token:
        return _ready[1]
    check_machine(order)
    os.environ.update(order.environment)
    pin_threads()
    work: Work
    setup: Setup | None
    work, setup = pickle.loads(order.content)  # noqa: S301 - from the process that runs this one
    if setup is not None:
        setup[0](*setup[1])
    pin_threads()  # also what was loaded for it
    _ready = (order.token, work)
    return work


_SHARED = "use folders that all machines share"


def check_machine(order: Order) -> None:
    """Refuse a machine that has another rtcore, or does not see the folder of the outputs.

    Raises
    ------
    DeviceError
        With the machine's name.
    """
    import platform

    place = f"the worker {platform.node()}"
    if _version() != order.version:
        what = f"has rtcore {_version()}, and this run was started with {order.version}"
        raise DeviceError(f"{place} {what}; install the same on all machines")
    if not (order.folder / LOCK).exists():
        raise DeviceError(f"{place} does not see {order.folder}; {_SHARED}")


def _folder_of_run(order: Order) -> Path:
    """Give the folder in which the run was started; where it is not there nothing else will do."""
    if not order.cwd.is_dir():
        import platform

        raise DeviceError(f"the worker {platform.node()} does not see {order.cwd}; {_SHARED}")
    return order.cwd


def concluded(job: Job, found: Report, ledger: Ledger) -> Outcome:
    """Remember a job that is done; say why one failed."""
    if found.error:
        return failure(job, found.error, found.exit_code, ledger)
    try:
        ledger.add(job, found.result, found.stamps)
    except RtcoreError as error:
        return Outcome(job.name, "failed", str(error), error.exit_code)
    return Outcome(job.name, "done", result=found.result)


def failure(job: Job, sentence: str, exit_code: int, ledger: Ledger) -> Outcome:
    """Say why a job failed, and take away what an earlier run left in its place."""
    removed = ledger.remove_stale(job)
    return Outcome(job.name, "failed", sentence, exit_code, removed=removed)


def _sentence(error: BaseException) -> str:
    """Give what is said of an error."""
    if isinstance(error, RtcoreError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error}; mend that and run it again"
    what = f"this is a mistake in rtcore or in a plugin ({type(error).__name__}: {error})"
    return f"{what}; report it with this file"


def _exit_code(error: BaseException) -> int:
    if isinstance(error, RtcoreError):
        return error.exit_code
    return 3 if isinstance(error, OSError) else 70
