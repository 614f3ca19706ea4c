# SPDX-License-Identifier: MIT
"""What the concealment plugins share: how a lost packet is known."""

from __future__ import annotations

from typing import Any, Final

from rtcore.kernels import helper
from rtcore.kernels.context import Flag
from rtcore.plugin import Plugin, Setting, Spec

__all__ = ["LOST", "Concealing", "packet_lost"]

#: ``Flag.LOST`` as a plain number, which compiled code can use.
LOST: Final = int(Flag.LOST)


class Concealing(Plugin):
    """Base of plugins that go on with the sound where a packet is lost.

    Its state has ``zeros``, which :meth:`initial_state` fills in, for :func:`packet_lost`.
    """

    conceals = True
    detector = Setting(
        "flag",
        choices=("flag", "zeros"),
        doc="lost are frames flagged so, or also packets whose samples are all 0",
    )
    packet_ms = Setting(20.0, type=float, min=1.0, max=1000.0, unit="ms", doc="length of a packet")
    state = {"zeros": "i8"}  # noqa: RUF012 - a declaration, read once

    def packet_frames(self, spec: Spec) -> int:
        """Give the length of a packet in frames of the stream, at least 1."""
        return max(1, spec.frames(self.packet_ms / 1000.0))

    def hop(self, spec: Spec) -> int | None:
        """Take whole packets where each must be looked at before it is heard."""
        return self.packet_frames(spec) if self.detector == "zeros" else None

    def tail_frames(self, substitute_frames: int) -> int:
        """Give the frames for which it sounds on behind the input.

        Parameters
        ----------
        substitute_frames : int
            How long a substitute is heard at most.

        Returns
        -------
        int
            0, unless the silence behind the input counts as lost.
        """
        return substitute_frames if self.detector == "zeros" else 0

    def initial_state(self) -> dict[str, int]:
        """Give the state's first values."""
        return {"zeros": int(self.detector == "zeros")}


@helper
def packet_lost(x: Any, flags: int, zeros: int) -> bool:
    """Tell whether a block is lost.

    Parameters
    ----------
    x : ndarray, shape (channels, frames)
        The block; a whole packet where `zeros` is 1.
    flags : int
        Of the block's context.
    zeros : int
        1 where a block counts as lost, too, whose samples are all exactly 0.

    Returns
    -------
    bool
    """
    if flags & LOST:
        return True
    if zeros == 0:
        return False
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            if x[c, i] != 0.0:
                return False
    return True
