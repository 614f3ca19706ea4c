# SPDX-License-Identifier: MIT
"""Means of scores: over all clips, by burst stratum, and by loss-rate cell within a stratum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtcore.challenges.plc.bootstrap import Interval, interval
from rtcore.challenges.plc.bursts import CELLS, STRATA, loss_cells
from rtcore.challenges.plc.evaluate import ClipScore

__all__ = ["Group", "columns_of", "summarise"]

_OTHERS = ("over 1000 ms", "nothing lost")


@dataclass(frozen=True)
class Group:
    """Clips that belong together, and the means of their scores.

    Attributes
    ----------
    kind : str
        ``"all"``, ``"stratum"`` or ``"cell"``.
    stratum : str
        Of the longest burst; empty for all.
    cell : int or None
        Number within the stratum, from 1, by loss rate.
    clips : int
        How many there are.
    loss : tuple of three floats, or None
        Lowest, mean and highest loss rate, 0 to 1.
    means : dict
        Column to its mean with the interval; None where no clip has a value.
    """

    kind: str
    stratum: str
    cell: int | None
    clips: int
    loss: tuple[float, float, float] | None
    means: dict[str, Interval | None]

    @property
    def label(self) -> str:
        """What people call it."""
        if self.kind == "all":
            return "all clips"
        return self.stratum if self.cell is None else f"{self.stratum}, cell {self.cell}"


def columns_of(scores: Iterable[ClipScore]) -> tuple[str, ...]:
    """List the columns that any clip has, in their order."""
    return tuple(dict.fromkeys(key for score in scores for key in score.scores))


def summarise(scores: Sequence[ClipScore], *, seed: int = 0, cells: int = CELLS) -> list[Group]:
    """Give the means of scores with 95 % bootstrap intervals.

    Parameters
    ----------
    scores : sequence of ClipScore
        Of all clips.
    seed : int
        Of the bootstrap.
    cells : int
        Loss-rate cells in each stratum; with fewer clips each gets a cell of its own.

    Returns
    -------
    list of Group
        All clips, then each stratum followed by its cells.
    """
    columns = columns_of(scores)
    groups = [_group("all", "", None, scores, columns, seed)]
    for stratum in (*(s.name for s in STRATA), *_OTHERS):
        members = [score for score in scores if score.stratum == stratum]
        if not members:
            continue
        groups.append(_group("stratum", stratum, None, members, columns, seed))
        if stratum == "nothing lost":
            continue
        numbers = loss_cells([score.loss_rate or 0.0 for score in members], cells)
        for cell in range(int(numbers.max()) + 1):
            inner = [members[k] for k in np.flatnonzero(numbers == cell)]
            groups.append(_group("cell", stratum, cell + 1, inner, columns, seed))
    return groups


def _group(
    kind: str,
    stratum: str,
    cell: int | None,
    scores: Sequence[ClipScore],
    columns: Sequence[str],
    seed: int,
) -> Group:
    rates = [score.loss_rate for score in scores if score.loss_rate is not None]
    loss = (min(rates), float(np.mean(rates)), max(rates)) if rates else None
    means = {key: interval([s.scores.get(key) for s in scores], seed=seed) for key in columns}
    return Group(kind, stratum, cell, len(scores), loss, means)
