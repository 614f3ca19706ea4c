# SPDX-License-Identifier: MIT
"""Choose a trace for each clip: strata in the mix that was asked for, loss-rate cells equally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtcore.challenges.plc.bursts import CELLS, STRATA, bursts_of, loss_cells, stratum_of
from rtcore.challenges.plc.loss_models import LossModel
from rtcore.challenges.plc.traces import PACKETS_PER_SECOND
from rtcore.errors import ConfigError

__all__ = ["MIX", "Drawn", "Pool", "Sampler", "pool_of_models", "pool_of_traces"]

#: The challenge took more traces for shorter bursts; it did not say how many.
MIX = (3.0, 2.0, 1.0)
_BATCH = 1000
_BATCHES = 12
_LONGEST = STRATA[-1].upto


@dataclass(frozen=True)
class Drawn:
    """A trace for a clip.

    Attributes
    ----------
    lost : ndarray of bool
        As many packets as the clip has, or fewer where the trace itself is shorter.
    origin : str
        The file, or the model, that it is from.
    offset : int
        At which of its packets it begins.
    stratum, cell : int
        In which it was drawn.
    """

    lost: np.ndarray
    origin: str
    offset: int
    stratum: int
    cell: int


@dataclass
class Pool:
    """Traces to draw from, sorted by stratum.

    Attributes
    ----------
    strata : list
        For each stratum its traces, with the origin and offset of each.
    without_loss, too_long : int
        Traces that were dropped: nothing was lost, or a burst lasted more than a second.
    """

    strata: list[list[tuple[np.ndarray, str, int]]] = field(
        default_factory=lambda: [[] for _ in STRATA]
    )
    without_loss: int = 0
    too_long: int = 0

    def add(self, lost: np.ndarray, origin: str, offset: int = 0) -> None:
        """Sort a trace in, or drop it."""
        number = stratum_of(lost)
        if number is not None:
            self.strata[number].append((lost, origin, offset))
        elif lost.any():
            self.too_long += 1
        else:
            self.without_loss += 1


def pool_of_traces(traces: Iterable[tuple[str, np.ndarray]], longest_s: float) -> Pool:
    """Cut traces into windows as long as the longest clip, and sort these."""
    window = max(1, round(longest_s * PACKETS_PER_SECOND))
    pool = Pool()
    for name, lost in traces:
        for start in range(0, len(lost), window):
            piece = lost[start : start + window]
            if start and len(piece) < 2 * _LONGEST:
                continue  # the end of a long trace is no trace of its own
            pool.add(piece, name, start)
    return pool


def pool_of_models(models: Sequence[LossModel], longest_s: float, rng: np.random.Generator) -> Pool:
    """Draw as many traces from each model, until the strata can fill their cells or are rare."""
    window = max(1, round(longest_s * PACKETS_PER_SECOND))
    pool = Pool()
    for _ in range(_BATCHES):
        for model in models:
            for lost in model.generate(_BATCH // len(models) + 1, window, rng):
                pool.add(lost, str(model))
        if all(len(stratum) >= 10 * CELLS for stratum in pool.strata):
            break
    return pool


class Sampler:
    """Draws traces: at each step the stratum that is furthest behind, cells in turn.

    Parameters
    ----------
    pool : Pool
        What there is.
    mix : sequence of float or None
        Shares of the three strata; as they come in the pool where None.
    rng : numpy.random.Generator
        Orders the traces within their cells.
    cells : int
        Loss-rate cells in each stratum.

    Attributes
    ----------
    absent : list of str
        Strata that were asked for and of which there is no trace.
    """

    def __init__(
        self, pool: Pool, mix: Sequence[float] | None, rng: np.random.Generator, cells: int = CELLS
    ) -> None:
        sizes = np.array([len(stratum) for stratum in pool.strata], float)
        wanted, here = sizes if mix is None else np.asarray(mix, float), sizes > 0.0
        absent = (wanted > 0.0) & ~here
        self.absent = [s.name for s, a in zip(STRATA, absent, strict=True) if a]
        self._shares = np.where(here, wanted, 0.0)
        if not self._shares.sum():
            what = f"no trace fits the strata wanted ({', '.join(self.absent)})"
            found = f"{pool.without_loss} have no loss and {pool.too_long} a burst of over a second"
            raise ConfigError("", f"{what}: {found}; give other traces, another model or --strata")
        self._shares /= self._shares.sum()
        self.counts = np.zeros(len(STRATA), int)
        self._rng = rng
        self._cells = [_by_cell(stratum, cells, rng) for stratum in pool.strata]

    def draw(self, packets: int) -> Drawn:
        """Draw a trace for a clip of so many packets."""
        behind = self._shares * (self.counts.sum() + 1) - self.counts
        number = int(np.argmax(np.where(self._shares > 0.0, behind, -np.inf)))
        cells = self._cells[number]
        turn, round_ = self.counts[number] % len(cells), self.counts[number] // len(cells)
        self.counts[number] += 1
        cell, members = cells[turn]
        lost, origin, offset = members[round_ % len(members)]
        start = self._window(lost, packets)
        return Drawn(lost[start : start + packets], origin, offset + start, number, cell)

    def _window(self, lost: np.ndarray, packets: int) -> int:
        """Choose where a longer trace begins, so that its longest burst stays whole."""
        if len(lost) <= packets:
            return 0
        marks = np.concatenate([[False], lost, [False]]).astype(np.int8)
        edges = np.flatnonzero(np.diff(marks))
        widest = int(np.argmax(edges[1::2] - edges[::2]))
        first, end = int(edges[2 * widest]), int(edges[2 * widest + 1])
        low, high = max(0, end - packets), min(first, len(lost) - packets)
        return low + int(self._rng.random() * (max(low, high) - low + 1))


def _by_cell(
    stratum: list[tuple[np.ndarray, str, int]], cells: int, rng: np.random.Generator
) -> list[tuple[int, list[tuple[np.ndarray, str, int]]]]:
    """Sort a stratum's traces into its cells, all in a random order."""
    numbers = loss_cells([bursts_of(lost).loss_rate for lost, _, _ in stratum], cells)
    members: dict[int, list[tuple[np.ndarray, str, int]]] = {}
    for k in np.argsort(rng.random(len(stratum)), kind="stable"):
        members.setdefault(int(numbers[k]), []).append(stratum[k])
    order = sorted(members)
    return [(order[k], members[order[k]]) for k in np.argsort(rng.random(len(order)))]
