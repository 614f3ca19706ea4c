# SPDX-License-Identifier: MIT
"""The JACK backend: libjack itself, with a compiled process callback."""

from __future__ import annotations

from typing import ClassVar

from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.jackclient import JackClient, JackPort
from rtcore.engine.backends.libjack import symbol
from rtcore.engine.callbacks import jack_address
from rtcore.engine.native import NativeEngine
from rtcore.errors import DeviceError


class JackBackend(Backend):
    """Live through a running JACK server.

    Parameters
    ----------
    server : str, optional
        Its name; ``JACK_DEFAULT_SERVER`` or ``default`` when absent.
    inputs, outputs : int, optional
        Ports to register; as many as the chain has channels when absent.
    connect : bool
        Whether ports are connected to the sound card's.
    client_name : str
        Wished name among JACK's clients.
    """

    name: ClassVar[str] = "jack"

    def __init__(
        self,
        server: str | None = None,
        *,
        inputs: int | None = None,
        outputs: int | None = None,
        connect: bool = True,
        client_name: str = "rtcore",
    ) -> None:
        self.server = server
        self._wished = (inputs, outputs)
        self._connect = connect
        self._client_name = client_name
        self.client: JackClient | None = None
        self.inputs: list[JackPort] = []
        self.outputs: list[JackPort] = []
        self._xruns_before = 0

    def sample_rate(self) -> float | None:
        """Ask the server."""
        if self.client is not None and not self.client.lost:
            return float(self.client.sample_rate)
        with JackClient(self._client_name, self.server) as client:
            return float(client.sample_rate)

    def open(self, engine: NativeEngine) -> None:
        """Register ports and the callback."""
        client = JackClient(self._client_name, self.server)
        try:
            self._prepare(client, engine)
        except BaseException:
            client.close()
            raise
        self.client = client
        self._engine = engine

    def _prepare(self, client: JackClient, engine: NativeEngine) -> None:
        chain = engine.chain
        if client.sample_rate != chain.sample_rate:
            msg = (
                f"backend jack: the server runs at {client.sample_rate} Hz, the chain at "
                f"{chain.sample_rate:g} Hz; "
                f"use --rate {client.sample_rate}, or restart the server at the chain's rate"
            )
            raise DeviceError(msg)
        self.check_blocks(chain, client.block_frames)
        ins = chain.channels_in if self._wished[0] is None else self._wished[0]
        outs = chain.channels_out if self._wished[1] is None else self._wished[1]
        self.check_channels(ins, outs)
        self.inputs, self.outputs = client.register_ports(ins, outs)
        engine.record["device_in"], engine.record["device_out"] = ins, outs
        for words, ports in ((engine.ports_in, self.inputs), (engine.ports_out, self.outputs)):
            for k, port in enumerate(ports):
                words[2 * k] = port.handle
        engine.record["get_buffer"] = symbol("jack_port_get_buffer")
        client.keep(engine, chain)
        client.set_process_callback(jack_address(), int(engine.address))

    def start(self) -> None:
        """Activate, and connect to the sound card."""
        client = self._alive()
        client.activate()
        if self._connect:
            client.connect_physical(self.inputs, self.outputs)

    def freewheel(self, *, on: bool) -> None:
        """Let the server run as fast as it can, or go back to real time."""
        self._engine.record["paced"] = int(not on)
        self._alive().freewheel(on)

    def _alive(self) -> JackClient:
        if self.client is None:
            msg = "backend jack: not open; start the engine first"
            raise DeviceError(msg)
        return self.client

    def lost(self) -> str | None:
        """Say whether the server went away."""
        if self.client is not None and self.client.lost:
            return "the JACK server went away"
        return None

    def close(self) -> None:
        """Leave the server, within bounded time."""
        if self.client is not None:
            self._engine.record["stop"] = 1  # no callback waits for a recorder any more
            self._xruns_before += self.client.xruns
            self.client.close()
        self.client = None

    def latency_frames(self) -> dict[str, int]:
        """Give the greatest latency from the microphone, and to the loudspeaker."""
        if self.client is None or self.client.lost:
            return {}
        found = {}
        if self.inputs:
            found["capture"] = max(self.client.latency_frames(p, "capture")[1] for p in self.inputs)
        if self.outputs:
            found["playback"] = max(
                self.client.latency_frames(p, "playback")[1] for p in self.outputs
            )
        return found

    def xruns(self) -> int:
        """Give what the server reported, over all reopenings."""
        return self._xruns_before + (self.client.xruns if self.client is not None else 0)
