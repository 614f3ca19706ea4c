# SPDX-License-Identifier: MIT
"""The engine: a chain, a backend, and the state machine that keeps them together."""

from __future__ import annotations

import atexit
import contextlib
import enum
import math
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from rtcore.chain import Chain
from rtcore.engine.backends.base import Backend
from rtcore.engine.complaints import Complaints
from rtcore.engine.feed import Recorder, Sink, as_rtcore_error
from rtcore.engine.inlet import Inlet
from rtcore.engine.log import SessionLog
from rtcore.engine.native import NativeEngine
from rtcore.engine.privileges import WORKER_PRIORITY, LiveMode
from rtcore.engine.safety import FADE_IN_S, PANIC_S, HowlWatch, Safety
from rtcore.engine.stats import read_stats
from rtcore.errors import DeviceError, RtcoreError, StreamError

_POLL_S = 0.02
_TAP_AHEAD_S = 10.0
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_HOWL_DB = -20.0
_HOWL_S = 0.05
_SILENT = 1e-6  # -120 dB: what decibels call silence


class State(enum.Enum):
    """Where an engine is in its life."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    REOPENING = "reopening"
    FAILED = "failed"
    STOPPED = "stopped"


_ENDED = (State.STOPPED, State.FAILED)
_playing: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop what still plays before the interpreter frees the memory that native threads use."""
    for engine in list(_playing):
        with contextlib.suppress(Exception):  # the others must be stopped too
            engine.stop("the program has ended")


class Engine:
    """Plays a chain through a backend.

    Parameters
    ----------
    chain : Chain
        Prepared for the backend's sample rate; float32 for a device.
    backend : Backend
        :class:`~rtcore.engine.TimerBackend`, ``FileBackend``, ``JackBackend`` or
        ``PortAudioBackend``.
    safety : Safety, optional
        The last stage before the ears; on by default where the backend is live.
    output, recorded_input : path or Sink, optional
        What goes out, and what came in, is written there as well.
    log : path, optional
        Session log: every change at its frame, for ``rtcore process --replay``.
    on_message : function, optional
        Called from the control thread with sentences for the user.
    reopen_for_s : float
        How long a lost device is waited for.
    inlet : Inlet, optional
        Packets that are played in place of the backend's input.

    Raises
    ------
    StreamError
        Where another engine plays this chain.
    DeviceError
        Where the chain's type does not suit the backend.

    Examples
    --------
    >>> with Engine(chain, TimerBackend("speech.wav"), output="out.wav") as engine:
    ...     engine.wait()
    """

    def __init__(
        self,
        chain: Chain,
        backend: Backend,
        *,
        safety: Safety | None = None,
        output: str | Path | Sink | None = None,
        recorded_input: str | Path | Sink | None = None,
        log: str | Path | None = None,
        on_message: Callable[[str], None] | None = None,
        reopen_for_s: float = 3600.0,
        inlet: Inlet | None = None,
    ) -> None:
        if backend.live and chain.spec.dtype.itemsize != 4:
            msg = (
                f"backend {backend.name}: devices play float32, the chain is "
                f"{chain.spec.dtype}; set dtype = 'float32'"
            )
            raise DeviceError(msg)
        self.chain = chain
        self.backend = backend
        self.safety = safety if safety is not None else Safety(enabled=backend.live)
        self.stop_reason = ""
        self.reopened = 0
        self._native = NativeEngine(chain, self.safety, paced=backend.paced)
        self.inlet = inlet
        if inlet is not None:
            self._take_packets(inlet)
        self._message = on_message or (lambda _text: None)
        self._reopen_for_s = reopen_for_s
        self._state = State.IDLE
        self._changed = threading.Condition()
        self._quit = threading.Event()
        self._control: threading.Thread | None = None
        self._volume = float(self._native.safety["volume_target"][0])
        self._muted = False
        self._howl = HowlWatch()
        self._recordings: list[tuple[str, str | Path | Sink]] = [
            (tap, target)
            for tap, target in (("tap_out", output), ("tap_in", recorded_input))
            if target is not None
        ]
        self._recorders: list[Recorder] = []
        self._writers: list[Any] = []
        self._log = SessionLog(log, chain) if log is not None else None
        self._live = LiveMode(memory=backend.live, awake=backend.live)
        self._live_held = False
        self._hung: list[str] = []  # sentences about workers that were abandoned
        self._complaints = Complaints(self._message)
        self.error: RtcoreError | None = None

    def _take_packets(self, inlet: Inlet) -> None:
        if not self.backend.paced:
            what = f"backend {self.backend.name}: packets come in real time"
            raise DeviceError(f"{what}; play them with one that keeps time, such as timer")
        inlet.attach(self.chain)
        self._native.take_packets(inlet)

    # --- life ---------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``idle``, ``starting``, ``running``, ``reopening``, ``failed`` or ``stopped``."""
        return self._state.value

    def clock(self) -> tuple[int, int]:
        """Give the frames played, and the monotonic time in ns at which the last block began."""
        return self._native.clock()

    @property
    def notes(self) -> list[str]:
        """What the system did not grant, one line each."""
        return [str(note) for note in self._live.notes]

    def _go(self, state: State, reason: str = "") -> None:
        with self._changed:
            self._state = state
            if reason:
                self.stop_reason = reason
            self._changed.notify_all()

    def start(self) -> Self:
        """Open the device and let the sound begin.

        Raises
        ------
        RtcoreError
            Where that fails; the engine is then ``failed`` and everything is closed again.
        """
        if self._state is not State.IDLE:
            msg = f"the engine is {self.state}; make a new one to play again"
            raise StreamError(msg)
        if self.chain._owner is not None:  # noqa: SLF001 - the two belong together
            user = "another chain" if isinstance(self.chain._owner, Chain) else "another engine"  # noqa: SLF001 - as above
            msg = f"{user} plays this chain; build a second chain from the same elements"
            raise StreamError(msg)
        self.chain._owner = self  # noqa: SLF001 - the two belong together
        self._go(State.STARTING)
        _playing.add(self)
        try:
            self._begin()
        except BaseException as error:
            with contextlib.suppress(Exception):  # the first error is what the user must hear of
                self._close_all(keep_files=False)
            self._go(State.FAILED, str(error))
            raise
        self._control = threading.Thread(target=self._watch, name="rtcore-control", daemon=True)
        self._control.start()
        return self

    def _begin(self) -> None:
        self.chain.restart(self)  # so that a session can be played again from its log
        self.chain.stream.measure()
        if self._log is not None:
            self._log.open()
            for name, values in self.chain.stream.sides.held().items():
                self._log.write({"frame": 0, "event": "feed", "input": name, "values": values})
        self.chain.stream.on_event = self._on_event
        ahead = max(int(_TAP_AHEAD_S * self.chain.sample_rate), 4096)
        for tap, target in self._recordings:
            ring = self._native.tap(tap, ahead)
            self._recorders.append(Recorder(ring, self._sink(tap, target)))
        if self.backend.paced:
            self.chain.stream.on_thread = self._prefer_worker
        self.chain.stream.wake()
        self.backend.open(self._native)
        self._native.begin_session()
        for recorder in self._recorders:
            recorder.start()
        self._live.__enter__()
        self._live_held = True
        self.backend.start()
        thread = self.backend.audio_thread()
        if thread is not None:
            self._live.request_fifo(thread)
        self._go(State.RUNNING)

    def _prefer_worker(self, thread: int) -> None:
        self._live.request_fifo(thread, WORKER_PRIORITY)

    def _sink(self, tap: str, target: str | Path | Sink) -> Sink:
        if not isinstance(target, (str, Path)):
            return target
        from rtcore import audiofile

        channels = self.chain.channels_in if tap == "tap_in" else self.chain.channels_out
        writer = audiofile.Writer(target, int(self.chain.sample_rate), channels)
        self._writers.append(writer)
        writer.__enter__()
        return writer

    def stop(self, reason: str = "stopped by the user") -> None:
        """End the sound, close the device and finish the recordings. May be called twice."""
        self._quit.set()
        if self._control is not None and self._control is not threading.current_thread():
            self._control.join()
        if self._state is State.IDLE:  # it owns nothing yet: the chain may be another engine's
            self._go(State.STOPPED, reason)
        elif self._state not in _ENDED:
            self._finish(State.STOPPED, reason)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the engine ends by itself.

        Returns
        -------
        bool
            False when the time ran out first.

        Raises
        ------
        RtcoreError
            Where it failed.
        """
        with self._changed:
            ended = self._changed.wait_for(lambda: self._state in _ENDED, timeout)
        if self.error is not None:
            raise self.error
        return ended

    def __enter__(self) -> Self:
        """Start, unless that was done."""
        return self.start() if self._state is State.IDLE else self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _watch(self) -> None:
        """Run the control thread: events, losses, howling, the end."""
        while not self._quit.wait(_POLL_S):
            try:
                if self._look():
                    return
            except Exception as error:  # noqa: BLE001 - else nobody would hear of it
                self.error = as_rtcore_error(error)
                if self._state not in _ENDED:
                    with contextlib.suppress(Exception):  # the first error counts
                        self._finish(State.FAILED, str(self.error))
                return

    def _look(self) -> bool:
        """Look once; say whether the engine has ended."""
        self.chain.stream.poll()
        self.chain.stream.tend()
        for recorder in self._recorders:
            if recorder.error is not None:
                raise as_rtcore_error(recorder.error)
        reason = self.backend.lost()
        if reason is not None:
            self._reopen(reason)
            return self._state in _ENDED
        if self.backend.finished():
            self._finish(State.STOPPED, "the input has ended")
            return True
        if self.backend.live and self.safety.enabled:
            self._watch_for_howling()
        self._complaints.of_failures(self.chain)
        if self.backend.paced:
            longest = int(self._native.stats["largest_block"][0])
            self._complaints.of_blocks(self.chain, longest)
        return False

    # --- losing a device ----------------------------------------------------------------------

    def _reopen(self, reason: str) -> None:
        if not self.backend.live:
            raise DeviceError(reason)
        self._go(State.REOPENING, reason)
        self._message(f"{reason}; waiting for it to come back")
        self.backend.close()
        self._native.safety["volume"] = 0.0  # fade in again, whatever ramp was going on
        self._native.set_volume(0.0 if self._muted else self._volume, FADE_IN_S)
        give_up = time.monotonic() + self._reopen_for_s
        tries = 0
        while not self._quit.wait(_BACK_OFF_S[min(tries, len(_BACK_OFF_S) - 1)]):
            tries += 1
            try:
                self.backend.renew()
                self.backend.open(self._native)
                self._native.begin_session()
                self.backend.start()
            except DeviceError as error:
                self.backend.close()
                if time.monotonic() > give_up:
                    msg = (
                        f"{reason}, and did not come back within {self._reopen_for_s:g} s ({error})"
                    )
                    raise DeviceError(msg) from error
                continue
            self.reopened += 1
            self._go(State.RUNNING)
            self._message(
                f"the device is back after {tries} {'try' if tries == 1 else 'tries'}; playing on"
            )
            return

    def _finish(self, state: State, reason: str) -> None:
        try:
            self._close_all(keep_files=state is State.STOPPED)
        except BaseException as error:
            self.error = self.error or as_rtcore_error(error)
            self._go(State.FAILED, str(self.error))
            raise
        self._go(state, "; ".join([reason, *self._hung]))

    def _rest(self) -> None:
        """Stop the workers, and say which of them hang."""
        if self.chain._owner is not self:  # noqa: SLF001 - the two belong together
            return
        stream = self.chain.stream
        stream.on_thread = None
        for place in stream.rest():
            self._on_event({"frame": stream.position, "event": "abandoned", "plugin": place})

    def _close_all(self, *, keep_files: bool) -> None:
        """Close everything, whatever fails on the way; raise the first error at the end."""
        errors: list[BaseException] = []

        def attempt(step: Callable[..., object], *arguments: object) -> None:
            try:
                step(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

        self.chain.stream.hurry()
        attempt(self.backend.close)
        attempt(self._rest)
        attempt(self._live_exit)
        for recorder in self._recorders:
            attempt(recorder.stop)
        failed = next((r.error for r in self._recorders if r.error is not None), None)
        for writer in self._writers:
            if keep_files and failed is None:
                attempt(writer.__exit__, None, None, None)
            else:
                cause = failed or DeviceError("the engine failed")
                attempt(writer.__exit__, type(cause), cause, None)
        self._writers.clear()
        if self.chain._owner is self:  # noqa: SLF001 - the two belong together
            attempt(self.chain.stream.poll)
            self.chain.stream.on_event = None
            self.chain._owner = None  # noqa: SLF001 - as above
        if self._log is not None:
            attempt(self._log.close)
        _playing.discard(self)
        if failed is not None and keep_files:
            self.error = as_rtcore_error(failed)
        if errors:
            raise errors[0]

    def _live_exit(self) -> None:
        if self._live_held:
            self._live_held = False
            self._live.__exit__(None, None, None)

    # --- while it plays -----------------------------------------------------------------------

    def update(self, which: int | str, *, at_frame: int = -1, **settings: Any) -> None:
        """Change a plugin's parameters; see :meth:`rtcore.Chain.update`."""
        self.chain.update(which, at_frame=at_frame, **settings)

    def feed(
        self, name: str, vectors: Any, *, at_frame: Any = None, rate_hz: float | None = None
    ) -> int:
        """Hand vectors to a side input; see :meth:`rtcore.Chain.feed`."""
        return self.chain.feed(name, vectors, at_frame=at_frame, rate_hz=rate_hz)

    def swap(self, chain: Chain, *, at_frame: int = -1) -> None:
        """Cross-fade to another chain; see :meth:`rtcore.Chain.swap`."""
        self.chain.swap(chain, at_frame=at_frame)

    def panic(self, *, on: bool = True) -> None:
        """Be silent within 5 ms; ``on=False`` lets the sound fade in again over a second."""
        if not self.safety.enabled:
            msg = (
                "the safety stage is off (--unsafe, or a backend without a listener), so "
                "there is no panic key"
            )
            raise StreamError(msg)
        self._muted = on
        self._native.set_volume(0.0 if on else self._volume, PANIC_S if on else FADE_IN_S)

    @property
    def volume_target_db(self) -> float:
        """Where the volume is going, in dB: what was asked for, not a ramp on its way there."""
        return 20.0 * math.log10(max(self._volume, _SILENT))

    def set_volume_db(self, volume_db: float) -> None:
        """Turn the volume of the last stage, 0 dB at most, over a second for full scale.

        While the panic key holds, this is the volume that comes back when it is let go.
        """
        self._volume = float(10.0 ** (min(volume_db, 0.0) / 20.0))
        if not self._muted:
            self._native.set_volume(self._volume, FADE_IN_S)

    def _watch_for_howling(self) -> None:
        frames = int(self._native.stats["frames"][0])
        pressed = int(self._native.safety["pressed_frames"][0])
        if self._howl.howls(frames, pressed, self.chain.sample_rate) and not self._muted:
            self._howl = HowlWatch()
            # A howl in the middle of a fade-in must not become louder than it is.
            now = max(float(self._native.safety["volume"][0]), _SILENT)
            volume_db = min(self.volume_target_db + _HOWL_DB, 20.0 * math.log10(now))
            self.set_volume_db(volume_db)
            self._native.set_volume(self._volume, _HOWL_S)  # a howl hurts: turn it down at once
            self._message(
                f"howling: turned down to {volume_db:.0f} dB; move the microphone away from "
                "the loudspeaker"
            )

    def _on_event(self, event: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.write(event)
        if event["event"] == "fault":
            self._message(
                f"{event['plugin']} gave {event['what']} at frame {event['frame']} and is muted"
            )
        if event["event"] == "abandoned":
            sentence = (
                f"{event['plugin']}: its worker hung and was abandoned; its memory is kept until "
                "the program ends"
            )
            self._hung.append(sentence)
            self._message(sentence)

    def stats(self) -> dict[str, Any]:
        """Give everything that was counted, as JSON-able numbers."""
        return {
            "state": self.state,
            "stop_reason": self.stop_reason,
            "backend": self.backend.name,
            "sample_rate": self.chain.sample_rate,
            "reopened": self.reopened,
            "device_xruns": self.backend.xruns(),
            "latency": {
                "chain_frames": self.chain.latency_frames,
                "chain_ms": round(1e3 * self.chain.latency_s, 3),
                "device_frames": self.backend.latency_frames(),
            },
            **read_stats(self._native),
            **({"inlet": self.inlet.counts()} if self.inlet is not None else {}),
        }
