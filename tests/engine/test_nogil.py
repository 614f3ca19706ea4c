# SPDX-License-Identifier: MIT
"""No Python keeps blocks from coming, however it clings to the GIL; figures: ``bench/gil.py``."""

from __future__ import annotations

import ctypes
import sys

import pytest
from sounds import Smear
from waiting import reaches

from rtcore import Chain
from rtcore.engine import Engine, JackBackend, TimerBackend

HELD_S = 0.5


def blocks_while_held(engine):
    """Keep the GIL for a while without a break; give how many blocks came meanwhile.

    A library that is called through `PyDLL` does not let go of the GIL, and until the interval
    is over no other thread may ask for it: a callback in Python would not be called once.
    """
    hold, blocks = ctypes.PyDLL(None).usleep, engine._native.stats["blocks"]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0 * HELD_S)
    try:
        before = int(blocks[0])
        hold(int(1e6 * HELD_S))
        return int(blocks[0]) - before
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.live
@pytest.mark.parametrize("kind", ["jack", "timer"])
def test_blocks_come_without_the_gil(jack_server, kind):
    """While one thread holds the GIL for half a second, hundreds of blocks are played."""
    backend = JackBackend() if kind == "jack" else TimerBackend(block_frames=64)
    with Engine(Chain([Smear()]), backend) as engine:
        assert reaches(lambda: engine.stats()["blocks"] > 20)
        # 375 blocks last so long; a crowded machine takes some of anybody's.
        assert blocks_while_held(engine) > 100
