# SPDX-License-Identifier: MIT
"""The memory of one engine, at fixed addresses while its callback may run."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.engine.inlet import Inlet
from rtcore.engine.inlet_block import inlet_address
from rtcore.engine.records import ENGINE, LEVEL, STATS
from rtcore.engine.safety import Safety
from rtcore.kernels.histogram import Histogram
from rtcore.rings import Ring

_CAPACITY = 1024
MAX_DEVICE_CHANNELS = 64
_CLOCK_BYTES = 64


class NativeEngine:
    """What the compiled block function works on.

    Parameters
    ----------
    chain : Chain
        What plays; its stream is used in place.
    safety : Safety
        The last stage before the ears.
    paced : bool
        False to run as fast as possible.
    """

    def __init__(self, chain: Chain, safety: Safety, *, paced: bool) -> None:
        real = chain.spec.dtype
        promised = chain.table.graph.block_frames
        capacity = max(promised, _CAPACITY - _CAPACITY % promised)  # cuts keep the promise
        widest = max(chain.channels_in, chain.channels_out, 2)
        self.chain = chain
        self.real = real
        self.histograms = {name: Histogram() for name in ("interval", "busy", "slack")}
        self.stats = np.zeros(1, STATS)
        for name, histogram in self.histograms.items():
            self.stats[name] = histogram.address
        self.levels_in = np.zeros(chain.channels_in, LEVEL)
        self.levels_out = np.zeros(chain.channels_out, LEVEL)
        self.safety = safety.record(chain.sample_rate, real)
        self._arrays: dict[str, np.ndarray[Any, Any]] = {
            "inputs": np.zeros(chain.channels_in, np.uint64),
            "outputs": np.zeros(chain.channels_out, np.uint64),
            "silence": np.zeros(capacity * MAX_DEVICE_CHANNELS, real),
            "result": np.zeros(chain.channels_out * capacity, real),
            "interleaved": np.zeros(widest * capacity, real),
            "safety": self.safety,
            "stats": self.stats,
            "levels_in": self.levels_in,
            "levels_out": self.levels_out,
            "clock": np.zeros(_CLOCK_BYTES, np.uint8),
            "ports_in": np.zeros(2 * MAX_DEVICE_CHANNELS, np.uint64),
            "ports_out": np.zeros(2 * MAX_DEVICE_CHANNELS, np.uint64),
        }
        self.record = np.zeros(1, ENGINE)
        for name, array in self._arrays.items():
            self.record[name] = array.ctypes.data
        self.record["paced"] = int(paced)
        self.record["sample_rate"] = chain.sample_rate
        self.record["capacity"] = capacity
        self.record["stream"] = chain.stream.address
        self.record["chain_in"] = chain.channels_in
        self.record["chain_out"] = chain.channels_out
        self._taps: dict[str, Ring] = {}

    @property
    def address(self) -> np.uint64:
        """Where compiled code finds the engine."""
        return np.uint64(self.record.ctypes.data)

    @property
    def ports_in(self) -> np.ndarray[Any, Any]:
        """Words for device inputs."""
        return self._arrays["ports_in"]

    @property
    def ports_out(self) -> np.ndarray[Any, Any]:
        """Words for device outputs."""
        return self._arrays["ports_out"]

    def tap(self, name: str, capacity_frames: int) -> Ring:
        """Open a tap, ``tap_in`` or ``tap_out``; before the callback runs."""
        channels = self.chain.channels_in if name == "tap_in" else self.chain.channels_out
        ring = Ring((self.real, (channels,)), capacity_frames)
        self._taps[name] = ring
        self.record[name] = ring.address
        return ring

    def take_packets(self, inlet: Inlet) -> None:
        """Play packets in place of a device's input; before the callback runs."""
        self.record["inlet"] = inlet.address
        self.record["play_inlet"] = inlet_address(self.real)

    def begin_session(self) -> None:
        """Forget what was counted since the device was last opened."""
        self.record["stop"] = 0
        self.record["done"] = 0
        self.stats["late_since_start"] = 0
        self.stats["late_run"] = 0
        self.stats["last_start_ns"] = 0
        for placed in self.chain.nodes:
            if placed.node.worker is not None:
                placed.node.worker.begin_session()

    def clock(self) -> tuple[int, int]:
        """Give the frames played, and the monotonic time in ns at which the last block began.

        The time is 0 before the first block.
        """
        while True:
            begun_ns = int(self.stats["last_start_ns"][0])
            frames = int(self.stats["frames"][0])
            if begun_ns == int(self.stats["last_start_ns"][0]):
                return frames, begun_ns

    def set_volume(self, target: float, seconds: float) -> None:
        """Send the volume towards a target at a rate of full scale in ``seconds``."""
        self.safety["volume_step"] = 1.0 / max(1.0, seconds * self.chain.sample_rate)
        self.safety["volume_target"] = target
