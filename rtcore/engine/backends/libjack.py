# SPDX-License-Identifier: MIT
"""The part of libjack that rtcore needs, bound by ctypes and typed.

Python only sets things up. Nothing that JACK calls back is Python: the process callback is
compiled code whose address is given, and shutdown and xruns are counted by libc's own `sem_post`
on a semaphore of this module. A Python callback would be called on JACK's threads, would wait
there for the GIL, and would crash the process if it came while the interpreter is leaving.

Two rules of libjack stand behind the rest: a process talks to one server at a time (its clients
share one mapping of the server's graph), and no call is sure to return once the server is dead or
stuck, so each call that asks the server something has a time limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import threading
from collections import deque
from collections.abc import Iterator

from rtcore.errors import DeviceError

HANDLE, TEXT, ADDRESS = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p


class LatencyRange(ctypes.Structure):
    """`jack_latency_range_t`: least and greatest latency in frames."""

    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


# name: (result, arguments)
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    # the server's name is a variadic fourth argument
    "jack_client_open": (HANDLE, (TEXT, ctypes.c_int, ctypes.POINTER(ctypes.c_int))),
    "jack_client_close": (ctypes.c_int, (HANDLE,)),
    "jack_get_client_name": (TEXT, (HANDLE,)),
    "jack_activate": (ctypes.c_int, (HANDLE,)),
    "jack_deactivate": (ctypes.c_int, (HANDLE,)),
    "jack_set_process_callback": (ctypes.c_int, (HANDLE, ADDRESS, ADDRESS)),
    "jack_set_buffer_size_callback": (ctypes.c_int, (HANDLE, ADDRESS, ADDRESS)),
    "jack_set_freewheel_callback": (ctypes.c_int, (HANDLE, ADDRESS, ADDRESS)),
    "jack_set_latency_callback": (ctypes.c_int, (HANDLE, ADDRESS, ADDRESS)),
    "jack_set_xrun_callback": (ctypes.c_int, (HANDLE, ADDRESS, ADDRESS)),
    "jack_on_shutdown": (None, (HANDLE, ADDRESS, ADDRESS)),
    "jack_port_register": (HANDLE, (HANDLE, TEXT, TEXT, ctypes.c_ulong, ctypes.c_ulong)),
    "jack_port_by_name": (HANDLE, (HANDLE, TEXT)),
    "jack_port_name": (TEXT, (HANDLE,)),
    "jack_port_connected": (ctypes.c_int, (HANDLE,)),
    "jack_port_get_latency_range": (None, (HANDLE, ctypes.c_int, ctypes.POINTER(LatencyRange))),
    "jack_port_set_latency_range": (None, (HANDLE, ctypes.c_int, ctypes.POINTER(LatencyRange))),
    "jack_get_ports": (ctypes.POINTER(TEXT), (HANDLE, TEXT, TEXT, ctypes.c_ulong)),
    "jack_connect": (ctypes.c_int, (HANDLE, TEXT, TEXT)),
    "jack_disconnect": (ctypes.c_int, (HANDLE, TEXT, TEXT)),
    "jack_get_sample_rate": (ctypes.c_uint32, (HANDLE,)),
    "jack_get_buffer_size": (ctypes.c_uint32, (HANDLE,)),
    "jack_is_realtime": (ctypes.c_int, (HANDLE,)),
    "jack_cpu_load": (ctypes.c_float, (HANDLE,)),
    "jack_set_freewheel": (ctypes.c_int, (HANDLE, ctypes.c_int)),
    "jack_free": (None, (ADDRESS,)),
    "jack_set_error_function": (None, (ADDRESS,)),
    "jack_set_info_function": (None, (ADDRESS,)),
}


@functools.cache
def load() -> ctypes.CDLL:
    """Load libjack once, with typed functions and without its chatter.

    Returns
    -------
    ctypes.CDLL
        The library; its functions release the GIL while they run.

    Raises
    ------
    DeviceError
        If libjack is not installed.
    """
    name = ctypes.util.find_library("jack") or "libjack.so.0"
    try:
        library = ctypes.CDLL(name)
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
    except (OSError, AttributeError) as error:
        raise DeviceError(
            f"backend jack: libjack cannot be used ({error}); install it with "
            "`apt install libjack-jackd2-0 jackd2`, or choose the portaudio or timer backend"
        ) from None
    _hush(library)
    return library


def symbol(name: str) -> int:
    """Give the address of a function of libjack, for compiled code to call.

    Parameters
    ----------
    name : str
        Such as ``jack_port_get_buffer`` or ``jack_get_cycle_times``, which are safe on the
        audio thread.

    Returns
    -------
    int
        Its address in this process; another process has another one.

    Raises
    ------
    DeviceError
        If libjack is missing or has no such function.
    """
    try:
        return address_of(load()[name])
    except AttributeError:
        raise DeviceError(
            f"backend jack: this libjack has no function {name}; update the JACK library"
        ) from None


def address_of(function: object) -> int:
    """Give the address of a function that ctypes found."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


# --- messages ---------------------------------------------------------------------------------

_messages: deque[str] = deque(maxlen=20)
_listening = threading.Lock()


@ctypes.CFUNCTYPE(None, ctypes.c_char_p)
def _note(message: bytes | None) -> None:
    _messages.append((message or b"").decode(errors="replace"))


def _hush(library: ctypes.CDLL) -> None:
    """Send the library's messages nowhere: it would print them on stdout and stderr."""
    # Any C function that takes a string and does nothing with it will do. A Python function
    # would be called from JACK's own threads.
    nothing = address_of(ctypes.CDLL(None).strlen)
    library.jack_set_error_function(nothing)
    library.jack_set_info_function(nothing)


def hush() -> bool:
    """Silence libjack in this process if there is one, before PortAudio makes it talk.

    Returns
    -------
    bool
        Whether there is a libjack.
    """
    try:
        load()
    except DeviceError:
        return False
    return True


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Collect the messages that libjack utters during a control call; they fill the list."""
    said: list[str] = []
    with _listening:
        library = load()
        _messages.clear()
        library.jack_set_error_function(address_of(_note))
        try:
            yield said
        finally:
            _hush(library)
            said.extend(_messages)


def messages() -> list[str]:
    """Give the last messages that libjack uttered during a control call, oldest first."""
    return list(_messages)


# --- counting without Python ------------------------------------------------------------------


class Tally:
    """A native word that JACK counts up by itself.

    JACK is given libc's `sem_post` as the callback and this semaphore as its argument: one
    atomic add on whatever thread it is, no GIL, and nothing that could outlive the interpreter.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._words = (ctypes.c_int64 * 8)()  # a sem_t has 32 bytes on Linux
        self.address = ctypes.addressof(self._words)
        self._libc.sem_init(ctypes.c_void_p(self.address), 0, 0)

    @property
    def callback(self) -> int:
        """Address of the function to register, which wants `address` as its argument."""
        return address_of(self._libc.sem_post)

    @property
    def count(self) -> int:
        """How often it was called."""
        value = ctypes.c_int()
        self._libc.sem_getvalue(ctypes.c_void_p(self.address), ctypes.byref(value))
        return value.value
