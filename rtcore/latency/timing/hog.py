# SPDX-License-Identifier: MIT
"""A busy Python thread, to show what it does to the sound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LAPS = 10_000


@contextmanager
def hog() -> Iterator[None]:
    """Keep the interpreter's lock busy: a thread counts as fast as it can until the block ends."""
    stop = threading.Event()

    def count() -> None:
        number = 0
        while not stop.is_set():
            for _ in range(_LAPS):
                number += 1

    thread = threading.Thread(target=count, name="rtcore-hog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
