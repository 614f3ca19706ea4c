# SPDX-License-Identifier: MIT
"""What the engine wants of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from rtcore.chain import Chain
from rtcore.engine.native import MAX_DEVICE_CHANNELS, NativeEngine
from rtcore.errors import DeviceError


class Backend(ABC):
    """Calls the compiled block function, in time with something.

    The engine calls ``open``, ``start`` and ``close`` from one control thread, again and again
    where a device is lost and comes back.
    """

    name: ClassVar[str]
    #: Whether somebody may be listening: then the output ends in the safety limiter.
    live: ClassVar[bool] = True
    #: Whether it keeps time.
    paced: ClassVar[bool] = True

    def sample_rate(self) -> float | None:
        """Give the device's sample rate in Hz, or ``None`` where any will do."""
        return None

    def check_blocks(self, chain: Chain, block_frames: int) -> None:
        """Refuse blocks that are not what the chain was promised; 0 stands for blocks of any size.

        Raises
        ------
        DeviceError
            With both numbers.
        """
        promised = chain.table.graph.block_frames
        if promised > 1 and (block_frames == 0 or block_frames % promised):
            size = f"has {block_frames} frames" if block_frames else "may have any size"
            msg = (
                f"backend {self.name}: the chain was promised blocks of a multiple of {promised} "
                f"frames, but a block {size}; set block_frames to match, or build the chain "
                "without it"
            )
            raise DeviceError(msg)

    def check_channels(self, inputs: int, outputs: int) -> None:
        """Refuse more device channels than the engine has words for.

        Raises
        ------
        DeviceError
            With both numbers.
        """
        if max(inputs, outputs) > MAX_DEVICE_CHANNELS:
            msg = (
                f"backend {self.name}: a device is used with at most {MAX_DEVICE_CHANNELS} "
                f"channels each way, got {inputs} in and {outputs} out; ask for fewer channels"
            )
            raise DeviceError(msg)

    @abstractmethod
    def open(self, engine: NativeEngine) -> None:
        """Connect to the device.

        Raises
        ------
        DeviceError
            Where it is absent or refuses.
        """

    @abstractmethod
    def start(self) -> None:
        """Let blocks come."""

    @abstractmethod
    def lost(self) -> str | None:
        """Say how the device was lost, or ``None`` while it is there."""

    def finished(self) -> bool:
        """Say whether the source has ended and everything was played."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Stop the blocks and let go of the device; never hangs, may be called twice."""

    def audio_thread(self) -> int | None:
        """Give the id of the system's thread that plays, where it is ours and keeps time."""
        return None

    def latency_frames(self) -> dict[str, int]:
        """Give what the host API says about the device's own latency."""
        return {}

    def xruns(self) -> int:
        """Give the number of xruns that the host API reported."""
        return 0

    def renew(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare for opening again after a loss."""
