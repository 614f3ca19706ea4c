# SPDX-License-Identifier: MIT
"""Priority for the threads that carry packets: below the audio's, above ordinary programs'.

A packet is late where the thread that sends or takes it has to wait for a processor; on a machine
with more to do than processors that was the only cause of late packets that loop-back showed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rtcore.engine.privileges import WORKER_PRIORITY, Note, request_fifo

NETWORK_PRIORITY = WORKER_PRIORITY - 1
_TASKS = Path("/proc/self/task")


def prefer_network() -> Note | None:
    """Put this process's ordinary threads under SCHED_FIFO, where that is allowed.

    All of them: ZeroMQ's own carry packets, and any of Python's that holds the interpreter's lock
    while it waits for a processor keeps the thread that takes packets waiting as well.  Threads
    that have a real-time priority already keep it.

    Returns
    -------
    Note or None
        What was not granted.
    """
    note = request_fifo(0, NETWORK_PRIORITY)
    if note is None:
        # ZeroMQ's own option for it ends the process where the system refuses.
        with contextlib.suppress(OSError):
            for task in _TASKS.iterdir():
                with contextlib.suppress(OSError):  # it may have ended meanwhile
                    if os.sched_getscheduler(int(task.name)) == os.SCHED_OTHER:
                        request_fifo(int(task.name), NETWORK_PRIORITY)
    return note
