# SPDX-License-Identifier: MIT
"""The priority of a worker's thread: one that hangs must not keep other programs from running."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

#: A hop that takes so long is late whatever happens; its thread then runs as any other.
HANGS_S = 0.5


class Priority:
    """Takes real-time priority from a thread that hangs, and lets it be granted again.

    Attributes
    ----------
    thread : threading.Thread or None
        The worker's.
    """

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._finished, self._since = -1, 0.0
        self._stepped_back = False

    def step_back(self) -> None:
        """Let the thread run as ordinary programs do."""
        self._stepped_back = True
        if self.thread is None or self.thread.native_id is None or not self.thread.is_alive():
            return
        with contextlib.suppress(AttributeError, OSError):
            # Without the second flag, which it was given, only root may do this.
            policy = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(self.thread.native_id, policy, os.sched_param(0))

    def tend(self, finished: int, grant: Callable[[int], None] | None, *, busy: bool) -> None:
        """Look, some times a second, whether the thread goes on.

        Parameters
        ----------
        finished : int
            Hops that it has worked on.
        grant : callable or None
            Asks for real-time priority, given the system's number of the thread.
        busy : bool
            Whether it has a hop to work on.
        """
        now = time.monotonic()
        if finished != self._finished or not busy:
            self._finished, self._since = finished, now
            if self._stepped_back and self.thread is not None and self.thread.is_alive():
                self._stepped_back = False
                if grant is not None and self.thread.native_id is not None:
                    grant(self.thread.native_id)
        elif now - self._since > HANGS_S and not self._stepped_back:
            self.step_back()
