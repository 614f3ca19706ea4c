# SPDX-License-Identifier: MIT
"""A client of a JACK server: ports, callbacks, connections, and a farewell that cannot hang."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from rtcore.engine.backends.bounded import OutOfTime, bounded
from rtcore.engine.backends.libjack import LatencyRange, Tally, heard, load
from rtcore.errors import DeviceError, did_you_mean

Direction = Literal["input", "output"]

CONTROL_S = 5.0  # longest wait for an answer of the server
CLOSE_S = 2.0
#: How long libjack's threads are let alone after a server's death.
MOURN_S = 0.25

_AUDIO = b"32 bit float mono audio"
_IS_INPUT, _IS_OUTPUT, _IS_PHYSICAL = 0x1, 0x2, 0x4
_NO_START_SERVER, _SERVER_NAME = 0x01, 0x04
_SERVER_FAILED, _VERSION_ERROR = 0x10, 0x400
_ALREADY_CONNECTED = 17  # EEXIST

# Everything that JACK may still touch stays referenced: clients until they are closed, and
# forever those whose closing did not come back.
_open: set[JackClient] = set()
_abandoned: list[JackClient] = []


@dataclass(frozen=True, slots=True)
class JackPort:
    """One audio port (float32, mono) of a client.

    Attributes
    ----------
    name : str
        Full name, such as ``rtcore:in_1``.
    handle : int
        Address of the `jack_port_t`, for `jack_port_get_buffer` in compiled code.
    direction : {"input", "output"}
        ``input`` receives sound from other clients.
    """

    name: str
    handle: int
    direction: Direction


class JackClient:
    """A client of a running JACK server. It never starts a server.

    Set callbacks, register ports, then `activate` and connect. When the server goes away,
    `lost` turns true, every other call raises `DeviceError`, and `close` still returns within
    its time; open a new client to go on.

    Parameters
    ----------
    name : str
        Wished name; the server makes it unique (see the attribute `name`).
    server : str, optional
        Server's name; ``JACK_DEFAULT_SERVER`` or ``default`` when absent.
    timeout_s : float
        Longest wait for the server's answer, here and in each later call.

    Raises
    ------
    DeviceError
        If libjack is missing, no server runs, or it does not answer in time.
    """

    def __init__(
        self, name: str = "rtcore", server: str | None = None, *, timeout_s: float = CONTROL_S
    ) -> None:
        self.server = server
        self.timeout_s = timeout_s
        self._library = load()
        self._lost, self._xruns = Tally(), Tally()
        self._kept: list[object] = []
        self._lock = threading.Lock()
        self._handle: int | None = _open_client(name, server, timeout_s)
        _open.add(self)
        lib, handle = self._library, self._handle
        lib.jack_on_shutdown(handle, self._lost.callback, self._lost.address)
        lib.jack_set_xrun_callback(handle, self._xruns.callback, self._xruns.address)
        self.name: str = lib.jack_get_client_name(handle).decode()
        self._rate = int(lib.jack_get_sample_rate(handle))
        self._block = int(lib.jack_get_buffer_size(handle))

    @classmethod
    def open(cls, name: str = "rtcore", server: str | None = None) -> Self:
        """Open a client (the same as calling the class)."""
        return cls(name, server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what the client knows ------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether the server died or threw the client out; stays true."""
        return self._lost.count > 0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._handle is None

    @property
    def xruns(self) -> int:
        """How many xruns the server reported since the client was opened."""
        return self._xruns.count

    @property
    def sample_rate(self) -> int:
        """The server's sample rate in Hz, fixed for its lifetime."""
        return self._rate

    @property
    def block_frames(self) -> int:
        """The server's block in frames as it is now: any client may change it."""
        with self._lock:
            if self._handle is not None and not self.lost:
                self._block = int(self._library.jack_get_buffer_size(self._handle))
            return self._block

    @property
    def realtime(self) -> bool:
        """Whether the server runs its clients with real-time priority."""
        return bool(self._library.jack_is_realtime(self._alive()))

    @property
    def cpu_load(self) -> float:
        """The server's own figure of its load, from 0 to 1."""
        return float(self._library.jack_cpu_load(self._alive())) / 100.0

    def wait_lost(self, timeout_s: float) -> bool:
        """Wait until the client is lost, at most `timeout_s`; return whether it is."""
        deadline = time.monotonic() + timeout_s
        while not self.lost and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.lost

    def keep(self, *objects: object) -> None:
        """Hold references to what the callbacks use, for as long as JACK may call them."""
        self._kept.extend(objects)

    # --- set-up ---------------------------------------------------------------------------

    def register(self, name: str, direction: Direction) -> JackPort:
        """Make an audio port (float32, mono) with a short name such as ``in_1``."""
        flag = _IS_INPUT if direction == "input" else _IS_OUTPUT
        handle = self._ask(
            lambda lib, me: lib.jack_port_register(me, name.encode(), _AUDIO, flag, 0),
            f"register port {name}",
        )
        if not handle:
            raise DeviceError(
                f"backend jack: port {name} cannot be registered; the name is taken or the "
                "server has no ports left, so choose another name or raise jackd's --port-max"
            )
        full = self._library.jack_port_name(handle).decode()
        return JackPort(full, handle, direction)

    def register_ports(self, inputs: int, outputs: int) -> tuple[list[JackPort], list[JackPort]]:
        """Make ports ``in_1`` … and ``out_1`` …; return inputs and outputs."""
        ins = [self.register(f"in_{k + 1}", "input") for k in range(inputs)]
        outs = [self.register(f"out_{k + 1}", "output") for k in range(outputs)]
        return ins, outs

    def set_process_callback(self, address: int, argument: int = 0) -> None:
        """Register compiled code ``int32 (uint32 frames, void* argument)`` for each block."""
        self._set("jack_set_process_callback", address, argument)

    def set_buffer_size_callback(self, address: int, argument: int = 0) -> None:
        """Register compiled code ``int32 (uint32 frames, void* argument)`` for a new block size."""
        self._set("jack_set_buffer_size_callback", address, argument)

    def set_freewheel_callback(self, address: int, argument: int = 0) -> None:
        """Register compiled code ``void (int32 starting, void* argument)``."""
        self._set("jack_set_freewheel_callback", address, argument)

    def set_latency_callback(self, address: int, argument: int = 0) -> None:
        """Register compiled code ``void (int32 mode, void* argument)`` that sets port latencies."""
        self._set("jack_set_latency_callback", address, argument)

    def activate(self) -> None:
        """Start the callbacks. Ports can be connected from now on."""
        self._check(self._ask(lambda lib, me: lib.jack_activate(me), "activate"), "activate")

    def deactivate(self) -> None:
        """Stop the callbacks and drop all connections; no callback runs after this returns."""
        self._check(self._ask(lambda lib, me: lib.jack_deactivate(me), "deactivate"), "deactivate")

    def freewheel(self, on: bool) -> None:
        """Let the server run as fast as it can, without a device, or go back to real time."""
        self._check(
            self._ask(lambda lib, me: lib.jack_set_freewheel(me, int(on)), "freewheel"),
            "switch freewheeling",
        )

    # --- connections ----------------------------------------------------------------------

    def ports(self, direction: Direction | None = None, *, physical: bool = False) -> list[str]:
        """List the names of all clients' audio ports.

        Parameters
        ----------
        direction : {"input", "output"}, optional
            Only ports of this direction, seen from their owner: a microphone is an ``output``.
        physical : bool
            Only the sound card's.
        """
        flags = {None: 0, "input": _IS_INPUT, "output": _IS_OUTPUT}[direction]
        flags |= _IS_PHYSICAL if physical else 0
        lib = self._library
        found = lib.jack_get_ports(self._alive(), None, _AUDIO, flags)
        names: list[str] = []
        while found and found[len(names)] is not None:
            names.append(found[len(names)].decode())
        if found:
            lib.jack_free(found)
        return names

    def connect(self, source: str | JackPort, destination: str | JackPort) -> None:
        """Connect an output port to an input port; connected already is good as well."""
        a, b = _name(source), _name(destination)
        rc = self._ask(lambda lib, me: lib.jack_connect(me, a.encode(), b.encode()), "connect")
        if rc not in (0, _ALREADY_CONNECTED):
            raise DeviceError(self._why_not(a, b))

    def disconnect(self, source: str | JackPort, destination: str | JackPort) -> None:
        """Undo `connect`."""
        a, b = _name(source), _name(destination)
        rc = self._ask(
            lambda lib, me: lib.jack_disconnect(me, a.encode(), b.encode()), "disconnect"
        )
        self._check(rc, f"disconnect {a} from {b}")

    def connect_physical(
        self, inputs: Sequence[JackPort], outputs: Sequence[JackPort]
    ) -> list[tuple[str, str]]:
        """Connect input ports to the sound card's microphones and output ports to its speakers.

        They are paired in order; what finds no partner stays unconnected. A single output goes
        to the first two loudspeakers, because sound in one ear is not what mono means.

        Returns
        -------
        list of (str, str)
            The connections made, as (source, destination).
        """
        capture = self.ports("output", physical=True)
        playback = self.ports("input", physical=True)
        wanted = [(c, p.name) for c, p in zip(capture, inputs, strict=False)]
        if len(outputs) == 1:
            wanted += [(outputs[0].name, p) for p in playback[:2]]
        else:
            wanted += [(p.name, s) for p, s in zip(outputs, playback, strict=False)]
        for source, destination in wanted:
            self.connect(source, destination)
        return wanted

    # --- latencies ------------------------------------------------------------------------

    def latency_frames(
        self, port: JackPort | str, mode: Literal["capture", "playback"]
    ) -> tuple[int, int]:
        """Ask how far a port is from the sound card.

        Parameters
        ----------
        port : JackPort or str
            A port of any client.
        mode : {"capture", "playback"}
            Distance back to the microphone, or onward to the loudspeaker.

        Returns
        -------
        (int, int)
            Least and greatest latency in frames over all paths.
        """
        span = LatencyRange()
        self._library.jack_port_get_latency_range(
            self._port_handle(port), int(mode == "playback"), ctypes.byref(span)
        )
        return int(span.min), int(span.max)

    def _port_handle(self, port: JackPort | str) -> int:
        me = self._alive()
        if isinstance(port, JackPort):
            return port.handle
        handle = self._library.jack_port_by_name(me, port.encode())
        if not handle:
            raise DeviceError(
                f"backend jack: there is no port '{port}'{did_you_mean(port, self.ports())}; "
                "`jack_lsp` lists the ports"
            )
        return int(handle)

    # --- the end --------------------------------------------------------------------------

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Leave the server. Safe to call twice, and after the server died.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        bool
            False when libjack did not come back: the client is then abandoned, with all that
            its callbacks use kept in memory, and the caller goes on.
        """
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is None:
            return self not in _abandoned
        if self.lost:  # closing ends libjack's thread wherever it is, also where it holds a lock:
            # one of the C library's, while it words an error; setlocale() then hangs for ever
            time.sleep(MOURN_S)
        try:
            bounded(lambda: self._library.jack_client_close(handle), timeout_s)
        except OutOfTime:
            _abandoned.append(self)
        _open.discard(self)
        return self not in _abandoned

    # --- helpers --------------------------------------------------------------------------

    def _alive(self) -> int:
        """Give the handle, or say why there is none that may be used."""
        if self._handle is None:
            raise DeviceError("backend jack: the client is closed; open a new one")
        if self.lost:
            raise DeviceError(
                f"backend jack: {_called(self.server)} went away; start it again and reopen"
            )
        return self._handle

    def _ask(self, function: Callable[[ctypes.CDLL, int], Any], what: str) -> Any:
        """Ask the server something, within the time limit."""
        me = self._alive()
        try:
            return bounded(lambda: function(self._library, me), self.timeout_s)
        except OutOfTime:
            raise DeviceError(
                f"backend jack: {_called(self.server)} did not answer within "
                f"{self.timeout_s:g} s ({what}); restart it and reopen"
            ) from None

    def _check(self, rc: int, what: str) -> None:
        if rc:
            self._alive()  # a dead server is the better reason
            raise DeviceError(
                f"backend jack: cannot {what} (code {rc}); look into the server's own messages"
            )

    def _set(self, function: str, address: int, argument: int) -> None:
        rc = getattr(self._library, function)(self._alive(), address, argument)
        self._check(rc, f"{function} once the client is active")

    def _why_not(self, source: str, destination: str) -> str:
        known = self.ports()
        for name in (source, destination):
            if name not in known:
                hint = did_you_mean(name, known)
                return f"backend jack: there is no port '{name}'{hint}; `jack_lsp` lists the ports"
        return (
            f"backend jack: cannot connect {source} to {destination}; a connection goes from an "
            "output port to an input port of active clients"
        )


def _name(port: str | JackPort) -> str:
    return port.name if isinstance(port, JackPort) else port


def _called(server: str | None) -> str:
    return f"the JACK server '{server}'" if server else "the JACK server"


def _open_client(name: str, server: str | None, timeout_s: float) -> int:
    """Open a client and return its handle, or raise `DeviceError`."""
    library = load()
    for client in list(_open):  # closing a dead client beside a living one crashes libjack
        if client.lost:
            client.close()
    status = ctypes.c_int()
    options = _NO_START_SERVER | (_SERVER_NAME if server else 0)
    rest = (server.encode(),) if server else ()

    def call() -> int | None:
        handle: int | None = library.jack_client_open(
            name.encode(), options, ctypes.byref(status), *rest
        )
        return handle

    def close(handle: int | None) -> None:
        if handle:
            library.jack_client_close(handle)

    with heard() as said:
        try:
            handle: int | None = bounded(call, timeout_s, too_late=close)
        except OutOfTime:
            raise DeviceError(
                f"backend jack: {_called(server)} did not answer within {timeout_s:g} s; "
                "it is stuck, so end it and start it again"
            ) from None
    if not handle:
        raise DeviceError(_refusal(status.value, server, said))
    return handle


def _refusal(status: int, server: str | None, said: Sequence[str]) -> str:
    """Explain why the server refused, from the status bits and what libjack said."""
    if status & _VERSION_ERROR:
        return (
            f"backend jack: {_called(server)} and libjack speak different protocol versions; "
            "install both from the same JACK release"
        )
    if status & _SERVER_FAILED:
        return (
            f"backend jack: {_called(server)} is not running; start it, for example with "
            "`jackd -d alsa` or through PipeWire, or choose the portaudio or timer backend"
        )
    last = f": {said[-1]}" if said else ""
    return (
        f"backend jack: {_called(server)} refused the client (status {status:#x}{last}); "
        "look into the server's own messages"
    )


@atexit.register
def _close_all() -> None:
    """Close what is still open before the interpreter frees the code that JACK calls."""
    for client in list(_open):
        with contextlib.suppress(RuntimeError):  # no new thread may be had this late
            client.close(1.0)
