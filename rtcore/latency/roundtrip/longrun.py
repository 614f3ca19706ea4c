# SPDX-License-Identifier: MIT
"""A long run of the round trip: how its delay drifts, and the device's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtcore.engine import Engine
from rtcore.engine.backends.base import Backend
from rtcore.latency.roundtrip.drift import Slope, clock_slope, slope
from rtcore.latency.roundtrip.loopback import find_probe
from rtcore.latency.roundtrip.looprun import Session, Setup

_FRONT_S = 0.02
_DRIFT_JUMP_FRAMES = 2.0
_RESOLUTION_FRAMES = 2e-3


@dataclass(frozen=True)
class Drift:
    """What a long run showed.

    Attributes
    ----------
    seconds : float
        How long it was.
    delays : tuple of (float, float)
        Time in seconds since the first probe, delay in frames.
    delay : Slope or None
        How the delay drifts: input and output have clocks of their own where it does.
    clock : Slope or None
        The device's clock against the system's monotonic one, positive where it is fast.
    missed : int
        Probes that were not found.
    late_blocks, xruns : int
        Gaps in the stream, by the engine's and by the host API's count. Each may set a clock back;
        with many of them `clock` is None.
    """

    seconds: float
    delays: tuple[tuple[float, float], ...]
    delay: Slope | None
    clock: Slope | None
    missed: int
    late_blocks: int
    xruns: int


def measure_drift(
    backend: Backend,
    setup: Setup,
    seconds: float,
    *,
    connect: Callable[[Engine], None] | None = None,
    passed: Callable[[float], object] = lambda _seconds: None,
) -> Drift:
    """Play the probe again and again, and see how delay and clock drift.

    Parameters
    ----------
    backend : Backend
        Not open; used once.
    setup : Setup
        How it is measured.
    seconds : float
        How long.
    connect : function, optional
        Called with the engine once it plays, to connect ports.
    passed : function, optional
        Called now and then with the seconds since the last call.

    Raises
    ------
    DeviceError
        Where the device fails.
    """
    window_s = setup.window_frames / setup.sample_rate
    period_s = max(window_s + _FRONT_S, min(1.0, seconds / 20.0))
    delays: list[tuple[float, float]] = []
    stamps: list[tuple[int, int]] = []
    missed = 0
    with Session(backend, setup, period_s=period_s, connect=connect) as session:
        rate, period = setup.sample_rate, session.period_frames
        for k in range(max(1, int(seconds / period_s))):
            start = session.begin + k * period
            _collect(session, start + setup.window_frames, stamps)
            heard = session.heard.cut(start, start + setup.window_frames)
            echo = find_probe(setup.wave, heard[setup.input_channel], rate)
            if echo is None:
                missed += 1
            else:
                delays.append((k * period / rate, echo.frames))
            session.heard.forget(start + setup.window_frames)
            passed(period_s)
        stats = session.engine.stats()
    at, late = np.array(delays).reshape(-1, 2).T
    frames, time_ns = np.array(stamps, np.int64).reshape(-1, 2).T
    return Drift(
        seconds=round(len(delays) * period_s, 3),
        delays=tuple(delays),
        delay=slope(
            at,
            late / rate,
            jump_s=_DRIFT_JUMP_FRAMES / rate,
            resolution_s=_RESOLUTION_FRAMES / rate,
        ),
        clock=clock_slope(frames, time_ns, sample_rate=rate, block_frames=stats["block_frames"][1]),
        missed=missed,
        late_blocks=int(stats["late"]["total"]),
        xruns=int(stats["device_xruns"]),
    )


def _collect(session: Session, frames: int, stamps: list[tuple[int, int]]) -> None:
    """Wait for frames, and note when the blocks began meanwhile."""
    stats = session.engine._native.stats[0]  # noqa: SLF001 - the two belong together
    while session.heard.frames < frames:
        session.wait(min(frames, session.heard.frames + 1))
        blocks = int(stats["blocks"])
        stamp = int(stats["frames"]) - int(stats["last_frames"]), int(stats["last_start_ns"])
        if blocks == int(stats["blocks"]):  # else the audio thread wrote in between
            stamps.append(stamp)
