# SPDX-License-Identifier: MIT
"""A busy Python thread does not keep blocks from coming (``bench/gil.py`` measures it well)."""

from __future__ import annotations

import statistics
import threading
import time

import pytest
from sounds import Smear

from rtcore import Chain
from rtcore.engine import Engine, JackBackend, TimerBackend

PHASE_S = 0.5


def hog(stop):
    number = 0
    while not stop.is_set():
        for _ in range(10_000):
            number += 1


def late_share(engine):
    """Give the share of late or missing blocks of a short phase."""
    before, begin = engine.stats(), time.monotonic()
    time.sleep(PHASE_S)
    after, seconds = engine.stats(), time.monotonic() - begin
    blocks = after["blocks"] - before["blocks"]
    expected = seconds * 48000 / 64
    late = after["late"]["total"] - before["late"]["total"]
    return max(late, expected - blocks) / expected


def hogged_share(engine):
    stop = threading.Event()
    thread = threading.Thread(target=hog, args=(stop,), daemon=True)
    thread.start()
    try:
        return late_share(engine)
    finally:
        stop.set()
        thread.join()


@pytest.mark.live
@pytest.mark.parametrize("kind", ["jack", "timer"])
def test_a_hog_does_no_harm(jack_server, kind):
    """With a hog the median share of late blocks rises by far less than a Python callback's."""
    backend = JackBackend() if kind == "jack" else TimerBackend(block_frames=64)
    with Engine(Chain([Smear()]), backend) as engine:
        time.sleep(0.2)
        idle, hogged = [], []
        for _ in range(3):
            idle.append(late_share(engine))
            hogged.append(hogged_share(engine))
    # An ordinary Python callback loses more than half of its blocks; a crowded machine takes
    # some of anybody's.
    print(kind, idle, hogged)
    assert statistics.median(hogged) - statistics.median(idle) < 0.25
