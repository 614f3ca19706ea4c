# SPDX-License-Identifier: MIT
"""Search for the position of the largest look-ahead, and prove what was not missed.

Let f(n) be the first output sample that differs when the input differs from sample n on. A later
change can only show later, so f never falls. Between two tried positions a < b nothing can
therefore look further ahead than (b - 1) - f(a): an interval whose bound is no more than what was
already seen needs no further experiments. For a system that works in hops f is a staircase, and
the proof takes a few experiments a hop; for one that works sample by sample it takes all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rtcore.latency.prober import Budget, Prober

_FIRST_SPLITS = 16


def edge_of(prober: Prober, signal: str, at: int, high: int, budget: Budget) -> int:
    """Find the last position whose change shows at the same output sample as that of `at`.

    There the look-ahead of that output sample is whole: earlier positions show a part of it.
    """
    (wanted,) = prober.first(signal, [at], budget)
    step, low = 1, at
    while low + step < high and not budget.spent:
        (found,) = prober.first(signal, [low + step], budget)
        if found != wanted:
            break
        low += step
        step *= 2
    beyond = min(low + step, high)
    while beyond - low > 1 and not budget.spent:
        middle = (low + beyond) // 2
        (found,) = prober.first(signal, [middle], budget)
        low, beyond = (middle, beyond) if found == wanted else (low, middle)
    return low


def scan(prober: Prober, signal: str, low: int, high: int, budget: Budget) -> None:
    """Try positions from `low` to `high` until nothing larger can hide, or the budget is spent.

    The interval in which most can hide is halved first, so that what is left open when the budget
    ends is spread evenly.
    """
    grid = np.unique(np.linspace(low, high, _FIRST_SPLITS + 1, dtype=int)).tolist()
    silent = prober.frames
    best, heap = _open(grid, prober.first(signal, grid, budget), silent)
    at_once = max(1, prober.system.at_once)
    while heap and -heap[0][0] > best and not budget.spent:
        taken = [heapq.heappop(heap)]
        while len(taken) < at_once and heap and -heap[0][0] > best:
            taken.append(heapq.heappop(heap))
        middles = [(a + b) // 2 for _, a, b, _, _ in taken]
        found = prober.first(signal, middles, budget)
        for (_, a, b, fa, fb), c, fc in zip(taken, middles, found, strict=True):
            best = max(best, _ahead(c, fc, silent))
            for part in ((a, c, fa, fc), (c, b, fc, fb)):
                _push(heap, *part, silent)


_Interval = tuple[int, int, int, int, int]


def _ahead(at: int, first: int, silent: int) -> int:
    """Give the look-ahead, or less than any where the change does not show at all."""
    return at - first if first < silent else -silent


def _open(ats: Sequence[int], firsts: Sequence[int], silent: int) -> tuple[int, list[_Interval]]:
    heap: list[_Interval] = []
    for (a, fa), (b, fb) in pairwise(zip(ats, firsts, strict=True)):
        _push(heap, a, b, fa, fb, silent)
    return max(_ahead(a, fa, silent) for a, fa in zip(ats, firsts, strict=True)), heap


def _push(heap: list[_Interval], a: int, b: int, fa: int, fb: int, silent: int) -> None:
    if b - a > 1 and fa < silent:
        heapq.heappush(heap, (-(b - 1 - fa), a, b, fa, fb))


@dataclass(frozen=True)
class Coverage:
    """What the tried positions prove.

    Attributes
    ----------
    upper : int
        No position between the first and the last looks further ahead.
    scanned : (int, int)
        First and last position.
    gap : int
        The largest distance between neighbours between which more could hide.
    stretch : int
        Samples of the longest stretch in which nothing can hide.
    hop : int or None
        The period with which the look-ahead recurs in that stretch.
    """

    upper: int
    scanned: tuple[int, int]
    gap: int
    stretch: int
    hop: int | None


def coverage(tried: Sequence[tuple[int, int]], best: int) -> Coverage:
    """Tell what the tried positions prove.

    Parameters
    ----------
    tried : sequence of (int, int)
        Position and first differing output sample, at least one; in any order.
    best : int
        The largest look-ahead that was seen.
    """
    ordered = sorted(set(tried))
    upper, gap = best, 1
    run = longest = [ordered[0]]
    for (a, fa), (b, fb) in pairwise(ordered):
        bound = b - 1 - fa
        if b - a > 1 and bound > best:
            upper, gap, run = max(upper, bound), max(gap, b - a), []
        run.append((b, fb))
        if run[-1][0] - run[0][0] > longest[-1][0] - longest[0][0]:
            longest = run
    low, high = ordered[0][0], ordered[-1][0]
    stretch = longest[-1][0] - longest[0][0] + 1
    return Coverage(upper, (low, high), gap, stretch, _period(longest))


def _period(run: Sequence[tuple[int, int]]) -> int | None:
    """Find the period of the look-ahead where all of it is known: tried, or between equals."""
    low = run[0][0]
    ahead = np.zeros(run[-1][0] - low + 1, np.int64)
    known = np.zeros(ahead.size, bool)
    for (a, fa), (b, fb) in pairwise(run):
        upto = b if fa == fb else a + 1
        ahead[a - low : upto - low] = np.arange(a, upto) - fa
        known[a - low : upto - low] = True
    ahead[-1], known[-1] = run[-1][0] - run[-1][1], True
    ends = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    pieces = [ahead[first:last] for first, last in ends.reshape(-1, 2)]
    worst = max(int(piece.max()) for piece in pieces)
    # A piece that lacks the worst case would show a shorter period than the true one.
    part = max((piece for piece in pieces if worst in piece), key=len)
    for period in range(1, part.size // 2 + 1):
        if part[period] == part[0] and np.array_equal(part[period:], part[:-period]):
            return period
    return None
