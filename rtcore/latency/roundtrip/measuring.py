# SPDX-License-Identifier: MIT
"""The round trip of a sound device: out of the program, through the world, and back into it.

What goes out and what comes in are recorded by the same compiled block function, so that frame n
of the one belongs to frame n of the other. The delay between them is what a live processor's
listener waits for, whatever the host API believes of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rtcore.engine import Engine
from rtcore.engine.backends.base import Backend
from rtcore.errors import DeviceError
from rtcore.latency.roundtrip.longrun import Drift
from rtcore.latency.roundtrip.looprun import Reported, Run, Session, Setup

_SAME_FRAMES = 0.5
_SILENT_DBFS = -100.0
_DOUBTFUL = 0.5
_MS = 1e3


@dataclass(frozen=True)
class Arithmetic:
    """The round trip counted in the device's periods.

    Attributes
    ----------
    period_frames : int or None
        Frames of a block; None where blocks differ in length.
    periods : float or None
        The measured round trip in periods.
    rest_frames : float or None
        What is left over after whole periods: converters, cables, air.
    expected_frames : int or None
        What the round trip must be, where that is known.
    equal : bool or None
        Whether it is that, in every restart.
    rule : str
        Why.
    """

    period_frames: int | None
    periods: float | None
    rest_frames: float | None
    expected_frames: int | None
    equal: bool | None
    rule: str


@dataclass(frozen=True)
class RoundTrip:
    """The round trip over several starts of the engine.

    Attributes
    ----------
    backend : str
        Its name.
    setup : Setup
        How it was measured.
    runs : tuple of Run
        Each start.
    drift : Drift or None
        The long run, where one was asked for.
    """

    backend: str
    setup: Setup
    runs: tuple[Run, ...]
    drift: Drift | None = None

    @property
    def frames(self) -> tuple[float, ...]:
        """What was measured, in each run in which the probe was found."""
        return tuple(run.echo.frames for run in self.runs if run.echo is not None)

    @property
    def spread_frames(self) -> float:
        """The longest less the shortest."""
        return round(max(self.frames) - min(self.frames), 3) if self.frames else 0.0

    @property
    def constant(self) -> bool:
        """Whether every run gave the same, to half a frame."""
        return len(self.frames) == len(self.runs) and self.spread_frames < _SAME_FRAMES

    @property
    def reported(self) -> Reported | None:
        """What the host API says: of the last run, since some learn it late."""
        return self.runs[-1].reported

    @property
    def median_frames(self) -> float:
        """The middle of what was measured."""
        return float(median(self.frames))

    def is_always(self, frames: float) -> bool:
        """Whether every run gave so many frames, to half a frame."""
        same = all(abs(measured - frames) < _SAME_FRAMES for measured in self.frames)
        return same and len(self.frames) == len(self.runs)

    @property
    def arithmetic(self) -> Arithmetic:
        """The round trip in periods."""
        sizes = {size for run in self.runs for size in run.block_frames}
        if len(sizes) != 1:
            return Arithmetic(None, None, None, None, None, "the blocks differ in length")
        period = sizes.pop()
        whole = int(self.median_frames // period)
        rest = round(self.median_frames - whole * period, 3)
        periods = round(self.median_frames / period, 4)
        if self.setup.way == "loop":
            rule = "ports in a loop cost one period: what goes out in one comes in in the next"
            return Arithmetic(period, periods, rest, period, self.is_always(period), rule)
        rule = "whole periods of buffers; the rest is other buffers, converters, cables and air"
        return Arithmetic(period, periods, rest, None, None, rule)

    def notes(self) -> list[str]:
        """Say what makes the figures doubtful, one sentence each."""
        echoes = [run.echo for run in self.runs if run.echo is not None]
        found: list[str] = []
        _note = found.append
        lost = len(self.runs) - len(echoes)
        if lost:
            _note(
                f"the probe did not come back in {lost} of {len(self.runs)} restarts; look for a "
                "loose plug, or raise --level"
            )
        if any(echo.clipped for echo in echoes):
            _note("the input is clipped; turn down its gain, or lower --level")
        again = [late for echo in echoes for late in echo.echoes]
        if again:
            _note(
                f"the probe came back again after {min(again):g} frames: feedback or a second "
                "way, such as direct monitoring; switch that off, for only the first counts here"
            )
        if any(echo.confidence < _DOUBTFUL for echo in echoes):
            _note(
                "the probe hardly stands out of what else came in; raise --level, use a cable, "
                "or switch other sounds off"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Give everything, for JSON."""
        rate = self.setup.sample_rate
        said = self.reported
        return {
            "backend": self.backend,
            "sample_rate": rate,
            "output_channel": self.setup.channel + 1,
            "input_channel": self.setup.input_channel + 1,
            "way": self.setup.way,
            "level_dbfs": self.setup.level_dbfs,
            "frames": self.median_frames,
            "ms": _MS * self.median_frames / rate,
            "constant": self.constant,
            "spread_frames": self.spread_frames,
            "restarts": [_run_dict(run, rate) for run in self.runs],
            "reported": None
            if said is None
            else {
                **asdict(said),
                "total_frames": said.total_frames,
                "difference_frames": self.median_frames - said.total_frames,
            },
            "arithmetic": asdict(self.arithmetic),
            "drift": None if self.drift is None else asdict(self.drift),
            "notes": self.notes(),
        }


def _run_dict(run: Run, rate: float) -> dict[str, Any]:
    told: dict[str, Any] = {"frames": None, "ms": None, "confidence": 0.0}
    if run.echo is not None:
        told |= {**asdict(run.echo), "ms": _MS * run.echo.frames / rate}
    return {**told, "xruns": run.xruns, "heard_peaks_dbfs": run.heard_peaks_dbfs}


def why_nothing(run: Run, setup: Setup) -> str:
    """Say why the probe may not have come back, and what to do."""
    ear = setup.input_channel + 1
    longest_ms = _MS * (setup.window_frames - setup.wave.size) / setup.sample_rate
    peak = run.heard_peaks_dbfs[setup.input_channel]
    if run.elsewhere is not None:
        return (
            f"the probe came back on input {run.elsewhere + 1} and not on input {ear}; give "
            f"--input-channel {run.elsewhere + 1}, or change the plug"
        )
    if peak <= _SILENT_DBFS:
        return (
            f"nothing came back on input {ear}, not even noise; lead output {setup.channel + 1} "
            "to it with a cable (or, over JACK, give --connect loop), and look that it is not "
            "muted in the mixer"
        )
    if peak > -0.01:
        return (
            f"input {ear} is overloaded, and the probe is not to be found in it; turn down its "
            "gain, and look for a feedback loop"
        )
    return (
        f"input {ear} hears something (peak {peak:g} dBFS), but not the probe within "
        f"{longest_ms:.0f} ms; it is too quiet or too late: check the plugs, raise --level or the "
        "input's gain, or listen longer with --seconds"
    )


def measure(
    backends: Callable[[], Backend],
    setup: Setup,
    *,
    restarts: int = 1,
    connect: Callable[[Engine], None] | None = None,
    done: Callable[[Run], object] = lambda _run: None,
) -> tuple[Run, ...]:
    """Measure the round trip, each time with an engine and a stream of its own.

    Parameters
    ----------
    backends : function
        Makes a backend.
    setup : Setup
        How it is measured.
    restarts : int
        How often.
    connect : function, optional
        Called with each engine once it plays, to connect ports.
    done : function, optional
        Called with each result.

    Raises
    ------
    DeviceError
        Where the device fails, or the probe never comes back.
    """
    runs = []
    for _ in range(restarts):
        with Session(backends(), setup, connect=connect) as session:
            runs.append(session.run())
        done(runs[-1])
    if all(run.echo is None for run in runs):
        raise DeviceError(why_nothing(runs[-1], setup))
    return tuple(runs)
