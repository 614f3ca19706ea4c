# SPDX-License-Identifier: MIT
"""The PortAudio backend: any sound card, with a compiled callback."""

from __future__ import annotations

from typing import ClassVar

from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import Device, Kind, find_device, is_wounded, renew
from rtcore.engine.backends.pa_stream import NativePortAudioStream, StreamSettings
from rtcore.engine.callbacks import portaudio_address
from rtcore.engine.native import NativeEngine

Which = int | str | None


class PortAudioBackend(Backend):
    """Live through PortAudio.

    Parameters
    ----------
    input_device, output_device : int, str or None
        Index, piece of a name, or the default device.
    kind : {"duplex", "input", "output"}
        Directions in use.
    input_channels, output_channels : int, optional
        As many as the chain has, and the device offers, when absent.
    block_frames : int
        Frames of each block; 0 lets the device choose, and vary.
    latency : str or float
        ``"low"``, ``"high"`` or seconds.
    """

    name: ClassVar[str] = "portaudio"

    def __init__(
        self,
        *,
        input_device: Which = None,
        output_device: Which = None,
        kind: Kind = "duplex",
        input_channels: int | None = None,
        output_channels: int | None = None,
        block_frames: int = 64,
        latency: str | float = "low",
    ) -> None:
        self._which = (input_device, output_device)
        self.kind: Kind = kind
        self._channels = (input_channels, output_channels)
        self.block_frames = block_frames
        self._latency = latency
        self.stream: NativePortAudioStream | None = None

    def devices(self) -> tuple[Device | None, Device | None]:
        """Find the input and the output device."""
        wanted: tuple[Kind, Kind] = ("input", "output")
        used = [self.kind in ("duplex", direction) for direction in wanted]
        found: list[Device | None] = [None, None]
        # What was named comes first, so that a wrong name is what is complained about.
        for side in sorted((0, 1), key=lambda k: self._which[k] is None):
            if used[side]:
                found[side] = find_device(self._which[side], wanted[side])
        source, target = found
        return source, target

    def sample_rate(self) -> float | None:
        """Give the device's own rate, the output's where there are two."""
        source, target = self.devices()
        chosen = target or source
        return chosen.sample_rate if chosen else None

    def open(self, engine: NativeEngine) -> None:
        """Open the stream."""
        source, target = self.devices()
        chain = engine.chain
        self.check_blocks(chain, self.block_frames)
        wished_in, wished_out = self._channels
        ins = min(chain.channels_in, source.input_channels) if source else 0
        outs = min(max(chain.channels_out, 2), target.output_channels) if target else 0
        ins = wished_in if source and wished_in else ins
        outs = wished_out if target and wished_out else outs
        self.check_channels(ins, outs)
        settings = StreamSettings(
            kind=self.kind,
            input_device=source.index if source else None,
            output_device=target.index if target else None,
            input_channels=ins,
            output_channels=outs,
            sample_rate=chain.sample_rate,
            block_frames=self.block_frames,
            latency=self._latency,
        )
        engine.record["device_in"], engine.record["device_out"] = ins, outs
        self.stream = NativePortAudioStream(
            portaudio_address(), int(engine.address), settings, keep=(engine, chain)
        )
        self._engine = engine

    def start(self) -> None:
        """Let blocks come."""
        if self.stream is not None:
            self.stream.start()

    def lost(self) -> str | None:
        """Say whether the stream ended by itself."""
        if self.stream is None:
            return None
        if is_wounded() or (self.stream.finished and not self._engine.record["stop"][0]):
            return "the sound device went away"
        return None

    def close(self) -> None:
        """Stop and close, or abandon a lost stream: PortAudio cannot close one without hanging."""
        if self.stream is not None:
            self.stream.close(lost=self.stream.finished and not self._engine.record["stop"][0])
        self.stream = None

    def renew(self) -> None:
        """Start PortAudio afresh, so that it sees the devices of now."""
        renew()

    def latency_frames(self) -> dict[str, int]:
        """Give the latencies that PortAudio reports."""
        if self.stream is None:
            return {}
        rate = self.stream.sample_rate
        return {
            "capture": round(self.stream.input_latency_s * rate),
            "playback": round(self.stream.output_latency_s * rate),
        }
