# SPDX-License-Identifier: MIT
"""A PortAudio stream whose callback is compiled code.

sounddevice's public streams wrap a Python function. Its private base class also takes a C
function and a C pointer as they are, the door that python-rtmixer uses; sounddevice is therefore
pinned, and a test holds the door.

PortAudio over JACK cannot be closed any more once the server died: `Pa_AbortStream`,
`Pa_CloseStream` and `Pa_Terminate` then hang or abort the process. So a lost stream is *abandoned*:
nothing of PortAudio is called for it again, its memory stays, and
`rtcore.engine.backends.devices.renew` starts a private second copy of PortAudio to go on with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from rtcore.engine.backends.bounded import OutOfTime, bounded
from rtcore.engine.backends.devices import (
    Device,
    Kind,
    before_leaving,
    is_wounded,
    list_devices,
    mark_lost,
    portaudio,
    quiet_stderr,
)
from rtcore.errors import DeviceError

CLOSE_S = 2.0
START_S = 5.0

Latency = float | str | tuple[float | str, float | str]

_open: set[NativePortAudioStream] = set()
_abandoned: list[object] = []  # what PortAudio's threads may still touch, for ever

# PortAudio's error codes that a user can do something about.
_INVALID_CHANNELS, _INVALID_RATE, _INVALID_DEVICE = -9998, -9997, -9996
_BAD_COMBINATION, _UNAVAILABLE, _INVALID_HOST_API = -9993, -9985, -9978
_TOO_BIG, _TOO_SMALL = -9991, -9990


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a stream is opened with.

    Attributes
    ----------
    kind : {"duplex", "input", "output"}
        Directions in use.
    input_device, output_device : int or None
        PortAudio's indices (see `find_device`); None in the direction that is not in use.
    input_channels, output_channels : int
        Channel counts, 0 in the direction that is not in use.
    sample_rate : float
        In Hz.
    block_frames : int
        Frames of each callback; 0 lets PortAudio choose, and vary.
    latency : "low", "high", float or pair
        Wished latency in seconds or in words, for both directions or as (input, output).
    """

    kind: Kind = "duplex"
    input_device: int | None = None
    output_device: int | None = None
    input_channels: int = 2
    output_channels: int = 2
    sample_rate: float = 48000.0
    block_frames: int = 0
    latency: Latency = "low"

    def __post_init__(self) -> None:
        for direction in self.directions:
            device, channels = self.side(direction)
            if device is None or channels < 1:
                raise DeviceError(
                    f"{direction}: a {self.kind} stream needs a device and at least 1 channel, "
                    f"got device {device} and {channels} channels"
                )
        if self.block_frames < 0 or not self.sample_rate > 0:
            raise DeviceError(
                f"stream: block must be 0 or more frames and the rate above 0 Hz, got "
                f"{self.block_frames} and {self.sample_rate:g}"
            )

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions in use, input first."""
        return ("input", "output") if self.kind == "duplex" else (self.kind,)

    def side(self, direction: str) -> tuple[int | None, int]:
        """Give device and channel count of one direction."""
        if direction == "input":
            return self.input_device, self.input_channels
        return self.output_device, self.output_channels

    def arguments(self) -> dict[str, Any]:
        """Give `device` and `channels` as sounddevice wants them."""
        sides = [self.side(d) for d in self.directions]
        if self.kind != "duplex":
            return {"device": sides[0][0], "channels": sides[0][1]}
        return {"device": (sides[0][0], sides[1][0]), "channels": (sides[0][1], sides[1][1])}


class NativePortAudioStream:
    """A PortAudio stream that calls compiled code for each block.

    The callback has the C signature ``int32 (const float* input, float* output, uintp frames,
    const void* times, uintp flags, void* user_data)``; samples are float32 and interleaved,
    ``[frame][channel]``, and the pointer of a direction that is not in use is null. It returns
    0 to go on, 1 to finish, 2 to abort.

    Parameters
    ----------
    callback : int
        Address of the compiled callback.
    user_data : int
        Address handed to it.
    settings : StreamSettings
        Directions, devices, channels, rate, block and latency.
    keep : tuple
        Objects to hold while PortAudio may use them (the compiled function, its memory).

    Raises
    ------
    DeviceError
        If a device is absent, busy, or cannot do what is asked.
    """

    def __init__(
        self,
        callback: int,
        user_data: int,
        settings: StreamSettings,
        *,
        keep: tuple[object, ...] = (),
    ) -> None:
        if is_wounded():
            raise DeviceError(
                "backend portaudio: PortAudio lost its sound server; renew it before opening again"
            )
        self.settings = settings
        self._keep = keep
        self._started = self._abandoned = False
        self._stream: Any = _open_stream(callback, user_data, settings)
        # PortAudio may be renewed beside us; this stream belongs to this copy
        self._sd, self._lib = portaudio(), portaudio()._lib  # noqa: SLF001
        self._pointer = self._stream._ptr  # noqa: SLF001
        latency = self._stream.latency
        pair = {"input": (latency, 0.0), "output": (0.0, latency), "duplex": latency}
        self.input_latency_s, self.output_latency_s = (float(s) for s in pair[settings.kind])
        self.sample_rate = float(self._stream.samplerate)
        _open.add(self)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the stream was closed or abandoned."""
        return self._stream is None

    @property
    def active(self) -> bool:
        """Whether PortAudio is calling the callback."""
        return self._stream is not None and self._lib.Pa_IsStreamActive(self._pointer) == 1

    @property
    def finished(self) -> bool:
        """Whether the stream ended by itself: the device was lost, or the callback said stop.

        The compiled callback knows whether it returned something else than 0; if not, the
        device was lost, and the stream must be abandoned, not closed.
        """
        return self._abandoned or (not self.closed and self._started and not self.active)

    @property
    def cpu_load(self) -> float:
        """PortAudio's own figure of the share of time spent in the callback, from 0 up."""
        return 0.0 if self._stream is None else float(self._lib.Pa_GetStreamCpuLoad(self._pointer))

    def start(self) -> None:
        """Start the callbacks."""
        if self._stream is None:
            raise DeviceError("backend portaudio: the stream is closed; open a new one")
        try:
            with quiet_stderr():
                code = bounded(lambda: self._lib.Pa_StartStream(self._pointer), START_S)
                self._sd._check(code)  # noqa: SLF001
        except OutOfTime:
            self.abandon()
            raise DeviceError(
                f"backend portaudio: {_names(self.settings)} did not start within {START_S:g} s; "
                "check the sound server, or choose another device"
            ) from None
        except self._sd.PortAudioError as error:
            raise DeviceError(_explain(error, self.settings, [])) from None
        self._started = True

    def stop(self) -> bool:
        """Stop the callbacks after what is queued was played; False if the stream was lost."""
        if self._stream is None or self.finished:
            return not self.finished
        self._started = False
        return self._within(self._lib.Pa_StopStream)

    def close(self, *, lost: bool | None = None) -> bool:
        """Stop and close, or abandon a stream that was lost. Safe to call twice.

        Parameters
        ----------
        lost : bool, optional
            Whether the device was lost; when absent, a stream that ended by itself counts as
            lost. A caller whose callback ended the stream on purpose passes False.

        Returns
        -------
        bool
            False when the stream had to be abandoned.
        """
        if self._stream is None:
            return not self._abandoned
        if self.finished if lost is None else lost:
            self.abandon()
            return False
        with quiet_stderr():
            good = self._within(self._lib.Pa_StopStream) and self._within(self._lib.Pa_CloseStream)
        if good:
            self._forget()
        return good

    def abandon(self) -> None:
        """Leave the stream as it is, for ever: nothing of PortAudio is called for it again."""
        if self._stream is None:
            return
        _abandoned.append((self._stream, self._keep))
        self._abandoned = True
        self._forget()
        mark_lost()

    def _forget(self) -> None:
        self._stream = None
        _open.discard(self)

    def _within(self, function: Callable[[Any], object]) -> bool:
        """Call what may hang; abandon the stream if it does."""
        pointer = self._pointer
        try:
            bounded(lambda: function(pointer), CLOSE_S)
        except OutOfTime:
            self.abandon()
        return not self._abandoned


def _open_stream(callback: int, user_data: int, settings: StreamSettings) -> Any:
    """Go through the private door: a stream base with a C callback and a C pointer."""
    sd = portaudio()
    before_leaving(_close_all)
    devices = list_devices()
    _check(settings, devices)
    base = sd._StreamBase  # noqa: SLF001 - the private door
    stream = base.__new__(base)
    try:
        with quiet_stderr():
            base.__init__(
                stream,
                kind=settings.kind,
                samplerate=settings.sample_rate,
                blocksize=settings.block_frames,
                dtype="float32",
                latency=settings.latency,
                extra_settings=None,
                callback=sd._ffi.cast("PaStreamCallback*", callback),  # noqa: SLF001
                finished_callback=None,  # would be Python on PortAudio's thread
                clip_off=True,
                dither_off=True,
                never_drop_input=None,
                prime_output_buffers_using_stream_callback=None,
                userdata=sd._ffi.cast("void*", user_data),  # noqa: SLF001
                wrap_callback=None,
                **settings.arguments(),
            )
    except sd.PortAudioError as error:
        raise DeviceError(_explain(error, settings, devices)) from None
    return stream


def _check(settings: StreamSettings, devices: list[Device]) -> None:
    """Refuse what the device's own description rules out."""
    known = {d.index: d for d in devices}
    for direction in settings.directions:
        index, channels = settings.side(direction)
        device = known.get(-1 if index is None else index)
        if device is None:
            raise DeviceError(
                f"{direction} device {index}: there is no such device (any more); "
                "`rtcore devices` lists what there is"
            )
        most = device.input_channels if direction == "input" else device.output_channels
        if channels > most:
            raise DeviceError(
                f"{direction} device '{device.full_name}': it has {most} {direction} channels, "
                f"and {channels} were asked for; ask for fewer, or choose another device"
            )


def _names(settings: StreamSettings, devices: list[Device] | None = None) -> str:
    names = {d.index: d.full_name for d in devices or []}
    indices = {settings.side(d)[0] for d in settings.directions}
    return "device " + " and ".join(f"'{names.get(i or 0, i)}'" for i in sorted(indices, key=str))


def _explain(error: Exception, settings: StreamSettings, devices: list[Device]) -> str:
    """Turn PortAudio's error into a sentence with a remedy."""
    code = error.args[1] if len(error.args) > 1 else 0
    who = f"backend portaudio: {_names(settings, devices)}"
    rate, block = f"{settings.sample_rate:g} Hz", f"{settings.block_frames} frames"
    default = ", ".join(
        f"{d.sample_rate:g} Hz"
        for d in devices
        if d.index in (settings.input_device, settings.output_device)
    )
    known = {
        _INVALID_RATE: f"does not run at {rate}; use its own rate ({default})",
        _INVALID_CHANNELS: "does not offer these channel counts; ask for fewer channels",
        _INVALID_DEVICE: "is gone; `rtcore devices` lists what there is",
        _BAD_COMBINATION: "cannot be combined; choose both from one host API",
        _INVALID_HOST_API: "is gone with its sound system; `rtcore devices` lists what there is",
        _UNAVAILABLE: "is busy or gone; end the program that uses it, or choose another device",
        _TOO_BIG: f"does not take blocks of {block}; choose smaller ones, or 0",
        _TOO_SMALL: f"does not take blocks of {block}; choose larger ones, or 0",
    }
    host = f" ({error.args[2][2]})" if len(error.args) > 2 and error.args[2][2] else ""
    return f"{who} " + known.get(
        code, f"failed: {error.args[0]}{host}; check the device, or choose another"
    )


def _close_all() -> None:
    """Close what is still open before the interpreter frees the code that PortAudio calls."""
    for stream in list(_open):
        with contextlib.suppress(Exception):  # no new thread may be had this late
            stream.close()
