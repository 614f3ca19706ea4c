# SPDX-License-Identifier: MIT
"""Priority for the threads that carry packets: below the audio's, above ordinary programs'.

A packet is late where the thread that sends or takes it has to wait for a processor; on a machine
with more to do than processors that was the only cause of late packets that loop-back showed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from rtcore.engine.privileges import WORKER_PRIORITY, Note, request_fifo

NETWORK_PRIORITY = WORKER_PRIORITY - 1
_TASKS = Path("/proc/self/task")
_IO_THREAD = "ZMQbg"


def prefer_network() -> Note | None:
    """Put the calling thread and ZeroMQ's own ones under SCHED_FIFO, where that is allowed.

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
                with contextlib.suppress(OSError):
                    if (task / "comm").read_text("ascii", "replace").startswith(_IO_THREAD):
                        request_fifo(int(task.name), NETWORK_PRIORITY)
    return note
