# SPDX-License-Identifier: MIT
"""Refuse an output in which a plugin was muted, or a model replaced by the dry sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcore.errors import CheckFailed

if TYPE_CHECKING:
    from rtcore.chain import Chain

__all__ = ["FaultWatch"]


class FaultWatch:
    """Listens to what a chain says of itself while it plays.

    Parameters
    ----------
    chain : Chain
        Its events come here from now on.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._faults: list[dict[str, Any]] = []
        chain.stream.on_event = self._keep

    def _keep(self, event: dict[str, Any]) -> None:
        if event["event"] == "fault":
            self._faults.append(event)

    def clear(self) -> None:
        """Forget what was heard, before the next file."""
        self._faults.clear()

    def check(self) -> None:
        """Refuse what was played since, where something failed; the chain is of no use then.

        Raises
        ------
        CheckFailed
            Where a plugin gave NaN or Inf and was muted, or a model failed.
        """
        self._chain.stream.poll()
        if self._faults:
            fault = self._faults[0]
            place = f"{fault['plugin']} gave {fault['what']} at frame {fault['frame']}"
            raise CheckFailed(f"{place} and was muted, so nothing was written; mend that plugin")
        for placed in self._chain.nodes:
            faults = getattr(placed.node.plugin, "faults", None) or {}
            if faults.get("hops"):
                what = f"the model of {placed.path} failed in {faults['hops']} hops"
                reason = faults.get("reason") or "it gave NaN or Inf"
                raise CheckFailed(f"{what} ({reason}), so nothing was written; mend that model")
