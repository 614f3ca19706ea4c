# SPDX-License-Identifier: MIT
"""Sound devices as PortAudio sees them, found by index or by a piece of their name.

PortAudio lists its devices once, when it starts. `renew` starts it again: the usual way as long
as all went well, and with a second, private copy of the library after the JACK server died.
For then `Pa_AbortStream`, `Pa_CloseStream` and `Pa_Terminate` hang or abort the process (the last
one even when no stream was ever opened), so that the first copy must never be closed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rtcore.engine.backends import libjack
from rtcore.engine.backends.bounded import bounded
from rtcore.engine.backends.jackclient import JackClient
from rtcore.errors import DeviceError, NoSuchDeviceError, did_you_mean

Kind = Literal["duplex", "input", "output"]

_lock = threading.RLock()
_lost_libraries: list[Any] = []  # kept: dropping the last reference would unload a library
_wounded = False  # a stream was lost, so the present library may no longer be closed
_watcher: JackClient | None = None
_before_leaving: list[Callable[[], object]] = []

LEAVE_S = 2.0
SETTLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Device:
    """One device of one host API.

    Attributes
    ----------
    index : int
        PortAudio's number; it may change when devices come and go.
    name, host_api : str
        Such as ``system`` and ``JACK Audio Connection Kit``.
    input_channels, output_channels : int
        Greatest channel counts; 0 where a direction is missing.
    sample_rate : float
        Default rate in Hz.
    input_latency_low_s, input_latency_high_s, output_latency_low_s, output_latency_high_s : float
        Default latencies in seconds, for a robust (high) and an eager (low) stream.
    default_input, default_output : bool
        Whether it is what one gets without asking.
    """

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate: float
    input_latency_low_s: float
    input_latency_high_s: float
    output_latency_low_s: float
    output_latency_high_s: float
    default_input: bool = False
    default_output: bool = False

    @property
    def full_name(self) -> str:
        """Name and host API, as the search sees them."""
        return f"{self.name}, {self.host_api}"

    def can(self, kind: Kind) -> bool:
        """Whether the device has channels for this kind of stream."""
        ins, outs = self.input_channels > 0, self.output_channels > 0
        return {"input": ins, "output": outs, "duplex": ins and outs}[kind]

    def as_dict(self) -> dict[str, Any]:
        """Give plain numbers, strings and booleans, for JSON."""
        return asdict(self)


# --- the library ------------------------------------------------------------------------------


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a moment: ALSA and JACK print there from C."""
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed, so nothing can be printed
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def portaudio() -> Any:
    """Import sounddevice, which starts PortAudio, without their noise.

    Returns
    -------
    module
        `sounddevice`.

    Raises
    ------
    DeviceError
        If PortAudio or sounddevice is missing.
    """
    with _lock:
        libjack.hush()  # PortAudio's JACK part would print on stdout
        try:
            with quiet_stderr():
                import sounddevice
        except ImportError:
            raise DeviceError(
                "backend portaudio: the Python package sounddevice is missing; install it with "
                "`pip install sounddevice`"
            ) from None
        except OSError as error:
            raise DeviceError(
                f"backend portaudio: PortAudio cannot be loaded ({error}); install it with "
                "`apt install libportaudio2`, or choose the jack or timer backend"
            ) from None
        except Exception as error:  # noqa: BLE001 - PortAudioError is not imported yet
            raise DeviceError(
                f"backend portaudio: PortAudio does not start ({error}); check the sound system, "
                "or choose the jack or timer backend"
            ) from None
        _take_over(sounddevice)
        return sounddevice


@functools.cache
def _take_over(sd: Any) -> None:
    """Take sounddevice's exit handler into our hands, and watch the server from now on."""
    atexit.unregister(sd._exit_handler)  # noqa: SLF001 - the private door
    atexit.register(_leave)
    _watch(sd)


def _watch(sd: Any) -> None:
    """Open an idle JACK client of our own that learns of the server's death.

    PortAudio has such a client too, but tells nobody; and whether it is dead decides whether
    `Pa_Terminate` is needed or deadly.
    """
    global _watcher  # noqa: PLW0603 - there is one PortAudio per process
    _watcher = None
    if any(api["name"].startswith("JACK") for api in sd.query_hostapis()):
        with contextlib.suppress(DeviceError):
            _watcher = JackClient("rtcore-watcher")


def _leave() -> None:
    """Close PortAudio when the process ends, unless that would hang or abort it.

    With a living JACK server it must be closed: JACK's thread would run on into the libraries'
    destructors and crash. With a dead one it must not.
    """
    for close in _before_leaving:
        with contextlib.suppress(Exception):
            close()
    if _watcher is not None and not is_wounded():
        time.sleep(
            SETTLE_S
        )  # a server that dies together with us is only known to be dead a little later
    with contextlib.suppress(Exception):  # OutOfTime, or no new thread may be had this late
        if not is_wounded():
            bounded(portaudio()._exit_handler, LEAVE_S)  # noqa: SLF001 - the private door
    if _watcher is not None:
        with contextlib.suppress(Exception):
            _watcher.close(LEAVE_S)


def before_leaving(close: Callable[[], object]) -> None:
    """Have a function called at exit, before PortAudio is closed."""
    if close not in _before_leaving:
        _before_leaving.append(close)


def mark_lost() -> None:
    """Note that a stream was lost: this copy of PortAudio is never again asked to close."""
    global _wounded  # noqa: PLW0603 - there is one PortAudio per process
    _wounded = True


def is_wounded() -> bool:
    """Whether PortAudio lost a stream or its server, and was not renewed since."""
    return _wounded or (_watcher is not None and _watcher.lost)


def renew() -> None:
    """Start PortAudio afresh, so that it sees the devices of now.

    No stream may be open, except lost ones. After a loss the old library is left alone, with its
    threads and its memory, and a private copy of it takes its place; that costs some 200 kB each
    time.

    Raises
    ------
    DeviceError
        If PortAudio does not start again.
    """
    global _wounded  # noqa: PLW0603 - there is one PortAudio per process
    with _lock:
        sd = portaudio()
        wounded = is_wounded()
        if _watcher is not None:
            _watcher.close()  # first: closing a dead client beside a living one crashes libjack
        try:
            if wounded:
                _replace(sd)
                _wounded = False
            else:
                sd._terminate()  # noqa: SLF001 - the private door
                sd._initialize()  # noqa: SLF001 - it silences stderr by itself
        except (OSError, sd.PortAudioError) as error:
            raise DeviceError(
                f"backend portaudio: PortAudio does not start again ({error}); "
                "restart the program, or choose the jack backend"
            ) from None
        _watch(sd)


def _replace(sd: Any) -> None:
    """Let sounddevice use a fresh copy of the PortAudio library, with variables of its own."""
    fresh = sd._ffi.dlopen(_private_copy(_library_path()))  # noqa: SLF001 - the private door
    _lost_libraries.append(sd._lib)  # noqa: SLF001
    sd._lib = fresh  # noqa: SLF001
    sd._initialized = 0  # noqa: SLF001
    sd._initialize()  # noqa: SLF001


def _library_path() -> str:
    """Find the file that the loaded PortAudio came from."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        name = line.split(maxsplit=5)[-1]
        if "libportaudio" in name and "memfd" not in name:
            return name
    raise OSError("the loaded libportaudio has no file")


def _private_copy(path: str) -> str:
    """Copy a library into anonymous memory; the loader takes it for another library.

    The descriptor stays open on purpose: its number makes the name unique.
    """
    content = Path(path).read_bytes()
    descriptor = os.memfd_create("libportaudio-copy", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return f"/proc/self/fd/{descriptor}"


# --- the list ---------------------------------------------------------------------------------


def list_devices() -> list[Device]:
    """List all devices of all host APIs.

    Returns
    -------
    list of Device
        In PortAudio's order; empty on a machine without sound.

    Raises
    ------
    DeviceError
        If PortAudio or sounddevice is missing.
    """
    sd = portaudio()
    apis = sd.query_hostapis()
    default_in, default_out = _defaults(sd, apis)
    return [
        Device(
            index=index,
            name=info["name"],
            host_api=apis[info["hostapi"]]["name"],
            input_channels=info["max_input_channels"],
            output_channels=info["max_output_channels"],
            sample_rate=info["default_samplerate"],
            input_latency_low_s=info["default_low_input_latency"],
            input_latency_high_s=info["default_high_input_latency"],
            output_latency_low_s=info["default_low_output_latency"],
            output_latency_high_s=info["default_high_output_latency"],
            default_input=index == default_in,
            default_output=index == default_out,
        )
        for index, info in enumerate(sd.query_devices())
    ]


def _defaults(sd: Any, apis: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Give the indices of the default devices, -1 where there is none.

    PortAudio's default is that of its first host API, which may have no device at all while
    JACK has one: then the first host API that has a default counts.
    """
    chosen: list[int] = []
    for column, direction in enumerate(("input", "output")):
        wished = sd.default.device[column]
        found = [a[f"default_{direction}_device"] for a in apis]
        first = next((i for i in found if i >= 0), -1)
        chosen.append(wished if isinstance(wished, int) and wished >= 0 else first)
    return chosen[0], chosen[1]


def find_device(
    which: int | str | None, kind: Kind, devices: Iterable[Device] | None = None
) -> Device:
    """Find one device.

    Parameters
    ----------
    which : int, str or None
        Index (also as a string of digits), a piece of the name or of ``name, host API`` in any
        case, or None for the default device.
    kind : {"duplex", "input", "output"}
        What the device must be able to do.
    devices : iterable of Device, optional
        Where to search; `list_devices` when absent.

    Raises
    ------
    NoSuchDeviceError
        If no device of that name or index fits, or several do.
    DeviceError
        If none was named and there is none.
    """
    known = list(list_devices() if devices is None else devices)
    able = [d for d in known if d.can(kind)]
    if not able:
        have = "no sound device" if not known else f"no {kind} device"
        missing = DeviceError if which is None else NoSuchDeviceError
        named = "device" if which is None else f"device '{which}'"
        raise missing(
            f"{named}: {have} was found; plug one in or start the sound server, or choose the "
            "timer backend, which needs none"
        )
    if which is None:
        return _default(able, kind)
    if isinstance(which, int) or which.strip().isdigit():
        return _by_index(int(which), kind, known, able)
    return _by_name(which, kind, known, able)


def _default(able: list[Device], kind: Kind) -> Device:
    wants_in, wants_out = kind != "output", kind != "input"
    for device in able:
        if (device.default_input or not wants_in) and (device.default_output or not wants_out):
            return device
    return able[0]


def _by_index(index: int, kind: Kind, known: list[Device], able: list[Device]) -> Device:
    for device in able:
        if device.index == index:
            return device
    for device in known:
        if device.index == index:
            raise NoSuchDeviceError(_cannot(device, kind))
    choices = ", ".join(str(d.index) for d in able)
    raise NoSuchDeviceError(
        f"device {index}: there is no such index; `rtcore devices` lists them "
        f"(for {kind}: {choices})"
    )


def _by_name(wanted: str, kind: Kind, known: list[Device], able: list[Device]) -> Device:
    word = wanted.strip().casefold()
    for fits in (
        lambda d: word in (d.name.casefold(), d.full_name.casefold()),
        lambda d: word in d.full_name.casefold(),
    ):
        found = [d for d in able if fits(d)]
        if len(found) == 1:
            return found[0]
        if found:
            names = "; ".join(f"{d.index} = {d.full_name}" for d in found)
            raise NoSuchDeviceError(
                f"device '{wanted}': {len(found)} devices fit ({names}); give more of the name, "
                "or the index"
            )
    for device in known:
        if word in device.full_name.casefold():
            raise NoSuchDeviceError(_cannot(device, kind))
    hint = did_you_mean(word, [d.name.casefold() for d in able])
    for device in able:  # show it as the device spells it
        hint = hint.replace(f"'{device.name.casefold()}'", f"'{device.name}'")
    raise NoSuchDeviceError(
        f"device '{wanted}': no {kind} device has this in its name{hint}; `rtcore devices` lists "
        "them"
    )


def _cannot(device: Device, kind: Kind) -> str:
    return (
        f"device '{device.full_name}': it has {device.input_channels} inputs and "
        f"{device.output_channels} outputs, so it cannot be used for {kind}; choose another, or "
        "give input and output devices apart"
    )
