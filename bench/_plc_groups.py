# SPDX-License-Identifier: MIT
"""Compare methods on the same clips: by burst stratum and by loss-rate cell within each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rtcore.challenges.plc.bootstrap import Interval, interval
from rtcore.challenges.plc.bursts import STRATA, bursts_of, loss_cells, stratum_of

__all__ = ["COLUMNS", "Group", "Scores", "differences", "groups", "means", "plain", "written"]

COLUMNS = {"plcmos_v2": "PLCMOS v2", "pesq_wb": "PESQ-WB", "stoi": "STOI"}

#: For each clip its measures; None where a method cannot play it.
Scores = Sequence[Mapping[str, float | None] | None]


@dataclass(frozen=True)
class Group:
    """Clips that belong together.

    Attributes
    ----------
    stratum : str
        Of their longest burst; empty for all clips.
    cell : int or None
        Number by loss rate within the stratum, from 1; None for all of it.
    members : tuple of int
        Which of the clips.
    loss : tuple of float
        Lowest and highest loss rate among them, 0 to 1.
    """

    stratum: str
    cell: int | None
    members: tuple[int, ...]
    loss: tuple[float, float]

    @property
    def label(self) -> str:
        """What people call it."""
        if not self.stratum:
            return "all clips"
        if self.cell is None:
            return self.stratum
        low, high = (100.0 * rate for rate in self.loss)
        return f"{self.stratum}, {low:.0f}-{high:.0f} % lost"


def groups(traces: Sequence[np.ndarray], cells: int) -> list[Group]:
    """Sort clips by their traces: all, then each stratum followed by its cells.

    Parameters
    ----------
    traces : sequence of array of bool
        One for each clip.
    cells : int
        Of equally many clips, in each stratum.
    """
    rates = [bursts_of(lost).loss_rate for lost in traces]

    def group(stratum: str, cell: int | None, members: Sequence[int]) -> Group:
        inside = [rates[k] for k in members]
        return Group(stratum, cell, tuple(int(k) for k in members), (min(inside), max(inside)))

    found = [group("", None, range(len(traces)))]
    for number, stratum in enumerate(STRATA):
        members = np.array([k for k, lost in enumerate(traces) if stratum_of(lost) == number], int)
        if not members.size:
            continue
        found.append(group(stratum.name, None, members))
        inner = loss_cells([rates[k] for k in members], cells)
        parts = (members[inner == cell] for cell in range(int(inner.max()) + 1))
        found += [group(stratum.name, k + 1, part) for k, part in enumerate(parts)]
    return found


def means(scores: Scores, group: Group) -> dict[str, Interval | None]:
    """Give a method's mean of each measure over a group, with its interval."""
    inside = [scores[k] or {} for k in group.members]
    return {key: interval([found.get(key) for found in inside]) for key in COLUMNS}


def differences(ours: Scores, theirs: Scores, group: Group) -> dict[str, Interval | None]:
    """Give the mean of ours minus theirs, clip by clip, with its paired interval.

    Clips that only one of the two can play are left out.
    """
    pairs = [(ours[k] or {}, theirs[k] or {}) for k in group.members]
    return {key: interval([_minus(a.get(key), b.get(key)) for a, b in pairs]) for key in COLUMNS}


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def written(found: Interval | None, *, signed: bool = False) -> str:
    """Write an interval for people."""
    if found is None:
        return ""
    mean = f"{found.mean:+.3f}" if signed else f"{found.mean:.3f}"
    return mean if found.low is None else f"{mean} [{found.low:.3f}, {found.high:.3f}]"


def plain(found: Mapping[str, Interval | None]) -> dict[str, Any]:
    """Write intervals for programs."""
    return {key: None if value is None else asdict(value) for key, value in found.items()}
