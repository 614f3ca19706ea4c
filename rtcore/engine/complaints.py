# SPDX-License-Identifier: MIT
"""What goes wrong in a chain although the sound goes on: each thing is said once."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from rtcore.chain import Chain
from rtcore.chain.asking import ask_failures
from rtcore.chain.node import Node


class Complaints:
    """Looks at the plugins of a chain that plays; on the control thread.

    Parameters
    ----------
    message : function
        Called with sentences for the user.
    """

    def __init__(self, message: Callable[[str], None]) -> None:
        self._message = message
        self._failing: weakref.WeakSet[Node] = weakref.WeakSet()
        self._too_short: set[str] = set()  # places of workers that no block leaves any time

    def of_failures(self, chain: Chain) -> None:
        """Say of each plugin that it fails and something else is heard."""
        for placed in chain.nodes:
            failures, reason = ask_failures(placed.node.plugin)
            if failures and placed.node not in self._failing:
                self._failing.add(placed.node)
                self._message(
                    f"{placed.path} fails, and its input is heard where it does: {reason}"
                )

    def of_blocks(self, chain: Chain, longest: int) -> None:
        """Say so where blocks are so long that a worker cannot have a result in time."""
        for placed in chain.nodes:
            worker = placed.node.worker
            if worker is None or longest <= worker.allowance_frames:
                continue
            if placed.path not in self._too_short:
                self._too_short.add(placed.path)
                self._message(
                    f"{placed.path}: blocks of {longest} frames are longer than the "
                    f"{worker.allowance_frames} that its worker is allowed, so that it is late; "
                    "set worker_allowance_s to a block at least, or choose smaller blocks"
                )
