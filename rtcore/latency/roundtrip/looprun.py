# SPDX-License-Identifier: MIT
"""One run of the round trip: an engine that plays the probe and records what comes in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from rtcore.chain import Chain
from rtcore.engine import Engine, Safety
from rtcore.engine.backends.base import Backend
from rtcore.errors import DeviceError, ParameterError
from rtcore.latency.roundtrip.loopback import (
    Echo,
    Probe,
    Sound,
    Tape,
    decibels,
    find_probe,
    order_for,
    probe_sound,
)

Way = Literal["device", "loop", "ports"]

MOST_DBFS = -12.0  # what the engine's own safety stage lets through without a calibration
_PROBE_SHARE = 0.4
_POLL_S = 0.01
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Setup:
    """How a round trip is measured.

    Parameters
    ----------
    sample_rate : float
        In Hz.
    channel, input_channel : int
        The device's channels, from 0.
    seconds : float
        How long each run listens; two thirds of it is the longest delay that can be found.
    level_dbfs : float
        Greatest sample of the probe, at most :data:`MOST_DBFS`.
    settle_s : float
        How long the device plays silence before the probe.
    way : {"device", "loop", "ports"}
        Whether sound leaves the computer, goes from our own port to our own port, or through
        other programs' ports.
    """

    sample_rate: float
    channel: int = 0
    input_channel: int = 0
    seconds: float = 1.0
    level_dbfs: float = -20.0
    settle_s: float = 0.2
    way: Way = "device"

    def __post_init__(self) -> None:
        if self.level_dbfs > MOST_DBFS:
            raise ParameterError(
                "level_dbfs",
                f"the probe is at most {MOST_DBFS:g} dBFS, so that it hurts nobody, got "
                f"{self.level_dbfs:g}; turn up the amplifier or the input's gain instead",
            )

    @property
    def channels(self) -> int:
        """Of the chain: a second one tells whether a plug is in the wrong socket."""
        least = 2 if self.way == "device" else 1
        return max(self.channel + 1, self.input_channel + 1, least)

    @property
    def order(self) -> int:
        """Of the probe."""
        return order_for(int(_PROBE_SHARE * self.seconds * self.sample_rate))

    @property
    def wave(self) -> Sound:
        """The probe."""
        return probe_sound(self.order, float(10.0 ** (self.level_dbfs / 20.0)))

    @property
    def window_frames(self) -> int:
        """How much is listened to from the probe's first frame on."""
        return max(int(self.seconds * self.sample_rate), 2 * self.wave.size)

    def chain(self, period_frames: int = 0) -> Chain:
        """Make the source of the probe."""
        probe = Probe(
            order=self.order,
            peak=float(10.0 ** (self.level_dbfs / 20.0)),
            channel=self.channel,
            period_frames=period_frames,
        )
        return Chain([probe], sample_rate=self.sample_rate, channels=self.channels)


@dataclass(frozen=True)
class Reported:
    """What the host API says of the device's latency, in frames."""

    capture_frames: int
    playback_frames: int
    source: str

    @property
    def total_frames(self) -> int:
        """Both together."""
        return self.capture_frames + self.playback_frames


@dataclass(frozen=True)
class Run:
    """One start of the engine.

    Attributes
    ----------
    echo : Echo or None
        The probe that came back, if it did.
    block_frames : tuple of int
        The shortest and the longest block.
    reported : Reported or None
        What the host API says.
    xruns : int
        That the host API counted meanwhile.
    heard_peaks_dbfs : tuple of float
        Greatest sample of each input channel after the probe began.
    elsewhere : int or None
        The input channel, from 0, on which the probe came back instead.
    """

    echo: Echo | None
    block_frames: tuple[int, int]
    reported: Reported | None
    xruns: int
    heard_peaks_dbfs: tuple[float, ...]
    elsewhere: int | None = None


class Session:
    """An engine that plays the probe and records what comes in.

    Parameters
    ----------
    backend : Backend
        Not open; used once.
    setup : Setup
        How it is measured.
    period_s : float
        From one probe to the next; 0 for one only.
    connect : function, optional
        Called with the engine once it plays, to connect ports.
    """

    def __init__(
        self,
        backend: Backend,
        setup: Setup,
        *,
        period_s: float = 0.0,
        connect: Callable[[Engine], None] | None = None,
    ) -> None:
        self.setup = setup
        self.period_frames = round(period_s * setup.sample_rate)
        self.heard, self.sent = Tape(), Tape()
        self._connect = connect
        # No fade-in and no limiter here, which would change the probe: what sounds is the probe
        # alone, whose own peak is bounded and which nothing that comes in can make louder.
        self.engine = Engine(
            setup.chain(self.period_frames),
            backend,
            safety=Safety(enabled=False),
            output=self.sent,
            recorded_input=self.heard,
            reopen_for_s=0.0,
        )

    def __enter__(self) -> Self:
        """Start, connect, wait until the device has settled, and let the probe begin."""
        self.engine.start()
        try:
            if self._connect is not None:
                self._connect(self.engine)
            self.wait(self.heard.frames + round(self.setup.settle_s * self.setup.sample_rate))
            self.reported = reported(self.engine.backend, self.setup)
            self.begin = self._begin()
        except BaseException:
            self.engine.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Give the device back."""
        self.engine.stop()

    def _begin(self) -> int:
        """Let the probe sound; give the frame in which it began."""
        asked = self.sent.frames
        self.engine.update(0, go=1.0)
        while True:
            # The change reached the audio thread within a block; the recorder follows.
            self.wait(self.sent.frames + 1)
            sounding = np.flatnonzero(self.sent.cut(asked, self.sent.frames)[self.setup.channel])
            if sounding.size:
                self.sent.stop_keeping()
                return asked + int(sounding[0])

    def wait(self, frames: int) -> None:
        """Wait until so many frames were recorded.

        Raises
        ------
        DeviceError
            Where the device goes away or stands still, or the recorder is too slow.
        """
        need_s = max(frames - self.heard.frames, 0) / self.setup.sample_rate
        give_up = time.monotonic() + 2.0 * need_s + _PATIENCE_S
        while min(self.heard.frames, self.sent.frames) < frames:
            self._check()
            if time.monotonic() > give_up:
                raise DeviceError(
                    f"backend {self.engine.backend.name}: the device stands still: it gave "
                    f"{self.heard.frames} of {frames} frames in time; look whether another "
                    "program holds it, and start it again"
                )
            time.sleep(_POLL_S)
        self._check()

    def _check(self) -> None:
        engine = self.engine
        if engine.state != "running" or engine.reopened:
            if engine.error is not None:
                raise engine.error
            raise DeviceError(
                f"backend {engine.backend.name}: the device was lost during the measurement "
                f"({engine.stop_reason}); start it and measure again"
            )
        lost = int(engine.stats()["recorder_lost_frames"])
        if lost:
            raise DeviceError(
                f"the recorder lost {lost} frames, so nothing can be measured: this machine is "
                "too busy; end other programs and measure again"
            )

    def run(self) -> Run:
        """Listen to one probe."""
        setup = self.setup
        stop = self.begin + setup.window_frames
        self.wait(stop)
        heard = self.heard.cut(self.begin, stop)
        stats = self.engine.stats()
        echo = find_probe(setup.wave, heard[setup.input_channel], setup.sample_rate)
        elsewhere = None
        if echo is None:
            others = [c for c in range(heard.shape[0]) if c != setup.input_channel]
            found = [c for c in others if find_probe(setup.wave, heard[c], setup.sample_rate)]
            elsewhere = found[0] if found else None
        smallest, largest = stats["block_frames"]
        return Run(
            echo=echo,
            block_frames=(int(smallest), int(largest)),
            reported=self.reported,
            xruns=int(stats["device_xruns"]),
            heard_peaks_dbfs=tuple(decibels(float(np.abs(c).max())) for c in heard),
            elsewhere=elsewhere,
        )


def reported(backend: Backend, setup: Setup) -> Reported | None:
    """Ask the host API how late it believes the device to be."""
    from rtcore.engine.backends.jack import JackBackend

    if isinstance(backend, JackBackend) and backend.client is not None:
        ports = backend.inputs[setup.input_channel], backend.outputs[setup.channel]
        capture = backend.client.latency_frames(ports[0], "capture")[1]
        playback = backend.client.latency_frames(ports[1], "playback")[1]
        return Reported(capture, playback, "JACK port latencies")
    said = backend.latency_frames()
    if "capture" not in said or "playback" not in said:
        return None
    source = f"{backend.name} stream latencies"
    return Reported(said["capture"], said["playback"], source)
