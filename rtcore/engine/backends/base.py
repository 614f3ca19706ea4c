# SPDX-License-Identifier: MIT
"""What the engine wants of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from rtcore.engine.native import NativeEngine


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

    def latency_frames(self) -> dict[str, int]:
        """Give what the host API says about the device's own latency."""
        return {}

    def xruns(self) -> int:
        """Give the number of xruns that the host API reported."""
        return 0

    def renew(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare for opening again after a loss."""
