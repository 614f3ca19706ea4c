# SPDX-License-Identifier: MIT
"""Compare systems on the clips that all of them have concealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcore.challenges.plc.bootstrap import Interval, interval
from rtcore.challenges.plc.evaluate import ClipScore
from rtcore.challenges.plc.score_files import COLUMNS
from rtcore.challenges.plc.summary import columns_of
from rtcore.challenges.plc.traces import PACKETS_PER_SECOND
from rtcore.errors import ConfigError

__all__ = ["FEWEST", "Comparison", "Difference", "compare", "system_names"]

#: With fewer clips, all better by chance is likelier than one in twenty: 2 / 2^5.
FEWEST = 6


@dataclass(frozen=True)
class Difference:
    """What a system scores more than another, over the same clips.

    Attributes
    ----------
    system, other : str
        Whose value the difference is: ``system - other``.
    column : str
        Of the scores.
    mean : Interval
        Over the differences clip by clip, which makes its interval a paired one.
    better : float
        Share of the clips on which `system` is better; equal ones count half.
    """

    system: str
    other: str
    column: str
    mean: Interval
    better: float

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` where the interval lies on one side of 0, else ``"open"``.

        It is open too with fewer than :data:`FEWEST` clips.
        """
        low, high = self.mean.low, self.mean.high
        if low is None or high is None or low <= 0.0 <= high or self.mean.count < FEWEST:
            return "open"
        return "better" if (low > 0.0) == COLUMNS[self.column].higher_is_better else "worse"

    def turned(self) -> Difference:
        """Give the same, seen from the other system."""
        low, high = self.mean.low, self.mean.high
        mean = Interval(
            self.mean.count,
            -self.mean.mean,
            None if high is None else -high,
            None if low is None else -low,
        )
        return Difference(self.other, self.system, self.column, mean, 1.0 - self.better)


@dataclass(frozen=True)
class Comparison:
    """Systems side by side.

    Attributes
    ----------
    systems : tuple of str
        In the user's order.
    columns : tuple of str
        What was scored.
    clips : tuple of str
        Those that all systems have.
    scores : dict
        System to its scores, in the order of the clips.
    means : dict
        System to column to the mean.
    differences : tuple of Difference
        Of every pair, the later system minus the earlier one.
    left_out : dict
        System to the clips it has and another lacks.
    unlike : tuple of str
        Clips that are longer in one system than in another by more than a packet: these are not
        the same clips, whatever their names say, and they are left out.
    """

    systems: tuple[str, ...]
    columns: tuple[str, ...]
    clips: tuple[str, ...]
    scores: dict[str, tuple[ClipScore, ...]]
    means: dict[str, dict[str, Interval | None]]
    differences: tuple[Difference, ...]
    left_out: dict[str, tuple[str, ...]]
    unlike: tuple[str, ...] = ()

    def difference(self, system: str, other: str, column: str) -> Difference | None:
        """Give what one system scores more than another; None where no clip has both values."""
        for found in self.differences:
            if found.column != column:
                continue
            if (found.system, found.other) == (system, other):
                return found
            if (found.other, found.system) == (system, other):
                return found.turned()
        return None


def compare(scores: Mapping[str, Sequence[ClipScore]], *, seed: int = 0) -> Comparison:
    """Compare systems on the clips that all of them have.

    Parameters
    ----------
    scores : mapping
        System to the scores of its clips.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ConfigError
        Where no clip is common to all.
    """
    by_name = {system: {s.name: s for s in found} for system, found in scores.items()}
    systems = tuple(by_name)
    first = by_name[systems[0]]
    shared = tuple(name for name in first if all(name in found for found in by_name.values()))
    if not shared:
        what = "no clip has a score in all of them; name folders made from the same set"
        raise ConfigError(", ".join(systems), what)
    unlike = tuple(n for n in shared if _lengths_differ([found[n] for found in by_name.values()]))
    clips = tuple(name for name in shared if name not in unlike)
    if not clips:
        what = f"their clips share names ({', '.join(shared[:3])}), but none has one length in all "
        raise ConfigError(", ".join(systems), f"{what}of them; name folders made from the same set")
    common = {system: tuple(found[name] for name in clips) for system, found in by_name.items()}
    columns = columns_of([score for found in common.values() for score in found])
    means = {
        system: {key: interval([s.scores.get(key) for s in found], seed=seed) for key in columns}
        for system, found in common.items()
    }
    left_out = {
        system: tuple(name for name in found if name not in shared)
        for system, found in by_name.items()
    }
    differences = tuple(_differences(systems, columns, common, seed))
    return Comparison(systems, columns, clips, common, means, differences, left_out, unlike)


def _lengths_differ(scores: Sequence[ClipScore]) -> bool:
    """Tell whether sounds of one name are longer than each other by more than a packet."""
    lengths_s = [score.frames / score.sample_rate for score in scores]
    return max(lengths_s) - min(lengths_s) > 1.0 / PACKETS_PER_SECOND


def _differences(
    systems: Sequence[str],
    columns: Sequence[str],
    scores: Mapping[str, Sequence[ClipScore]],
    seed: int,
) -> Iterator[Difference]:
    """Give the differences of all pairs."""
    pairs = [(a, b) for k, a in enumerate(systems) for b in systems[k + 1 :]]
    for other, system in pairs:
        for key in columns:
            both = [
                (theirs, ours)
                for old, new in zip(scores[other], scores[system], strict=True)
                if (theirs := old.scores.get(key)) is not None
                and (ours := new.scores.get(key)) is not None
            ]
            mean = interval([ours - theirs for theirs, ours in both], seed=seed)
            if mean is None:
                continue
            sign = 1.0 if COLUMNS[key].higher_is_better else -1.0
            wins = [0.5 + 0.5 * _sign(sign * (ours - theirs)) for theirs, ours in both]
            yield Difference(system, other, key, mean, sum(wins) / len(wins))


def _sign(value: float) -> float:
    return float(value > 0.0) - float(value < 0.0)


def system_names(folders: Sequence[Path]) -> list[str]:
    """Give each folder the shortest name that tells it from the others.

    Raises
    ------
    ConfigError
        Where a folder is named twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    for k, own in enumerate(parts):
        if own in parts[:k]:
            raise ConfigError(str(folders[k]), "is named twice; name each folder once")
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]
