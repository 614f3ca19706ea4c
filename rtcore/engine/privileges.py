# SPDX-License-Identifier: MIT
"""Ask the system for what live sound likes to have; do without where it says no.

Real-time priority, locked memory and a processor that does not doze make late blocks rarer. None
of them is needed to play, so a refusal is never an error: it becomes a `Note`, one line that says
what is missing and how to get it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# Below the sound server's own threads, above everything that is not sound.
PRIORITY = 50
# Below any thread that a device waits for (JACK gives its clients 5 by default), and still above
# everything that is not sound.
WORKER_PRIORITY = 4
SWITCH_INTERVAL_S = 1e-4
DMA_LATENCY = Path("/dev/cpu_dma_latency")

_LIMITS = "/etc/security/limits.d/audio.conf"
_CAP_IPC_LOCK = 14
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the system did not grant.

    Attributes
    ----------
    what : str
        What is missing and what follows from it.
    remedy : str
        How to get it.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def request_fifo(thread_id: int, priority: int = PRIORITY) -> Note | None:
    """Put a native thread under SCHED_FIFO, so that ordinary programs cannot delay it.

    Parameters
    ----------
    thread_id : int
        The kernel's number of the thread (``gettid``); 0 is the calling thread.
    priority : int
        1 to 99.

    Returns
    -------
    Note or None
        None when it was granted.
    """
    try:
        # RESET_ON_FORK: a process started from this thread must not inherit the priority
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(thread_id, policy, os.sched_param(priority))
    except AttributeError:
        return Note("no real-time priority on this system", "late blocks may be more frequent")
    except PermissionError:
        return Note(
            "no real-time priority: blocks may be late when other programs are busy",
            f"put '@audio - rtprio 70' into {_LIMITS}, join the group audio and log in again",
        )
    except ProcessLookupError:
        return Note(f"no real-time priority: thread {thread_id} has ended", "start again")
    except OSError as error:
        return Note(
            f"no real-time priority {priority} ({error.strerror})", "choose one from 1 to 99"
        )
    return None


def lock_memory() -> Note | None:
    """Keep the process's memory from being swapped out, now and in future.

    Pages are locked as they are first touched, so address space that is only reserved (thread
    stacks, arenas) costs nothing. Under a limit nothing is locked at all: with future pages
    locked, the first allocation above the limit would fail.

    Returns
    -------
    Note or None
        None when it was granted.
    """
    refused = Note(
        "memory is not locked: swapping may interrupt the sound",
        f"put '@audio - memlock unlimited' into {_LIMITS}, join the group audio and log in again",
    )
    if not _may_lock_all():
        return refused
    try:
        rc = ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    except AttributeError:
        return refused
    return refused if rc else None


def unlock_memory() -> None:
    """Undo `lock_memory`."""
    ctypes.CDLL(None).munlockall()


def _may_lock_all() -> bool:
    """Whether locking is free of a limit: by an unlimited memlock or by CAP_IPC_LOCK."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    masks = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(masks) and bool(int(masks[0], 16) >> _CAP_IPC_LOCK & 1)


def hold_awake(path: Path = DMA_LATENCY) -> tuple[int | None, Note | None]:
    """Ask the processor not to enter deep sleep, from which it takes long to wake.

    Parameters
    ----------
    path : Path
        The kernel's file for it.

    Returns
    -------
    (int or None, Note or None)
        A file descriptor, to be kept open as long as the wish holds; or why there is none.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, Note(
            f"deep sleep of the processor cannot be ruled out: {path} does not exist",
            "nothing to do in a container; elsewhere enable CPU idle control in the kernel",
        )
    except OSError as error:
        return None, _may_doze(path, error)
    try:
        os.write(descriptor, struct.pack("i", 0))
    except OSError as error:
        os.close(descriptor)
        return None, _may_doze(path, error)
    return descriptor, None


def _may_doze(path: Path, error: OSError) -> Note:
    return Note(
        f"deep sleep of the processor is not ruled out: {path}: {error.strerror}",
        'a udev rule KERNEL=="cpu_dma_latency", GROUP="audio", MODE="0660" allows it',
    )


# --- live mode ----------------------------------------------------------------------------------

_lock = threading.Lock()
_depth = 0
_before: tuple[bool, float, bool] = (True, 0.005, True)


class LiveMode:
    """What holds for the whole process while sound plays; a context manager, and nestable.

    Python's garbage collection stops (what lives so far is frozen first), threads that want the
    GIL get it within 0.1 ms instead of 5, memory is locked and the processor kept awake, as far
    as the system allows. The last one to leave restores what was before the first came.

    Parameters
    ----------
    memory : bool
        Whether to lock memory.
    awake : bool
        Whether to keep the processor from deep sleep.

    Attributes
    ----------
    notes : list of Note
        What was not granted.
    """

    def __init__(self, *, memory: bool = True, awake: bool = True) -> None:
        self.memory, self.awake = memory, awake
        self.notes: list[Note] = []
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        _enter()
        if self.memory:
            self._add(lock_memory())
        if self.awake:
            self._descriptor, note = hold_awake()
            self._add(note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _leave(unlock=self.memory)

    def request_fifo(self, thread_id: int, priority: int = PRIORITY) -> None:
        """Ask for real-time priority and note a refusal."""
        self._add(request_fifo(thread_id, priority))

    def _add(self, note: Note | None) -> None:
        if note is not None and note not in self.notes:
            self.notes.append(note)


def _enter() -> None:
    global _depth, _before  # noqa: PLW0603 - the interpreter has one collector
    with _lock:
        _depth += 1
        if _depth > 1:
            return
        ours = gc.get_freeze_count() == 0  # else somebody froze before, and may want it so
        _before = (gc.isenabled(), sys.getswitchinterval(), ours)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.collect()
        if ours:
            gc.freeze()
        gc.disable()


def _leave(*, unlock: bool) -> None:
    global _depth  # noqa: PLW0603 - the interpreter has one collector
    with _lock:
        _depth -= 1
        if _depth > 0:
            return
        enabled, interval_s, ours = _before
        sys.setswitchinterval(interval_s)
        if ours:
            gc.unfreeze()
        if enabled:
            gc.enable()
        if unlock:
            unlock_memory()
