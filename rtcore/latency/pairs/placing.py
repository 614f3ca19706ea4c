# SPDX-License-Identifier: MIT
"""Where to part the sounds when all experiments of a round must be chosen before the first runs.

A first round has to serve every system: its positions lie all over a stretch, and spread over the
phases of any hop that is no longer. What a round found places the next one, by the argument of
:mod:`rtcore.latency.scan`: the first differing output sample never falls, so more can hide only
between two neighbours whose outputs part late enough.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Tried = Sequence[tuple[int, int]]
Stretch = tuple[int, int]

_CANDIDATES = 16
_HOPS_TRIED = 256
_UNKNOWN_WIDTH = 512
_ENOUGH = 3


def spread_over_hops(low: int, width: int, count: int, seed: int = 0) -> list[int]:
    """Choose positions whose remainders are spread by every hop up to the width.

    Of several stratified draws (one position in each of `count` equal parts) the one is taken in
    which the worst hop fares best: evenly spaced positions would meet few phases of a hop that
    divides their distance.

    Parameters
    ----------
    low, width : int
        The stretch, in samples.
    count : int
        Positions, at least 1; no more than `width` are given.
    seed : int
        Of the draws.
    """
    if count >= width:
        return list(range(low, low + width))
    rng = np.random.default_rng([seed, width, count])
    edges = np.linspace(0, width, count + 1).astype(int)
    common = [64, 128, 160, 220, 256, 320, 441, 480, 512, 1024, 2048]
    hops = np.unique([*common, *np.geomspace(2, max(width, 2), _HOPS_TRIED).astype(int)])
    draws = [rng.integers(edges[:-1], edges[1:]) for _ in range(_CANDIDATES)]
    best = min(draws, key=lambda draw: _worst_gap(draw, hops[hops <= width]))
    return [low + int(at) for at in best]


def _worst_gap(ats: np.ndarray, hops: np.ndarray) -> float:
    """Give the largest gap between phases, in units of the smallest that is possible."""
    worst = 0.0
    for hop in hops.tolist():
        phases = np.unique(ats % hop)
        gap = int(np.diff(np.append(phases, phases[0] + hop)).max())
        worst = max(worst, gap / max(1.0, hop / ats.size))
    return worst


def over_hop(low: int, hop: int, count: int) -> list[int]:
    """Give every phase of a hop, or as many of them, evenly, as may be."""
    return [low + int(at) for at in np.unique(np.linspace(0, hop - 1, min(count, hop)).round())]


def hop_seen(tried: Tried) -> int | None:
    """Tell the hop of a system whose outputs part at whole hops only; None where they do not."""
    firsts = sorted({first for _, first in tried})
    if len(firsts) < _ENOUGH:
        return None
    hop = math.gcd(*(b - a for a, b in pairwise(firsts)))
    folded = sorted((at % hop, first - at // hop * hop) for at, first in tried)
    rising = all(a[1] <= b[1] for a, b in pairwise(folded)) and folded[-1][1] <= folded[0][1] + hop
    return hop if hop > 1 and rising else None


def next_round(
    tried: Tried,
    best: int,
    count: int,
    *,
    room: Stretch,
    last: Stretch | None = None,
    hop: int | None = None,
) -> tuple[Stretch, list[int]]:
    """Choose the stretch to prove, and the positions to try in it.

    Parameters
    ----------
    tried : sequence of (int, int)
        Positions and the first output samples that differ, of one pair of sounds.
    best : int
        The largest look-ahead that was seen.
    count : int
        Positions to choose, at most.
    room : (int, int)
        Outside of it no position may lie.
    last : (int, int), optional
        Stretch that the last round was made to prove, for the same pair of sounds.
    hop : int, optional
        Of the system, where these experiments do not show it.

    Returns
    -------
    stretch : (int, int)
        First and last position.
    ats : list of int
        New positions.
    """
    hop = hop_seen(tried) or hop
    top = [at for at, first in tried if at - first == best]
    if last and any(last[0] <= at <= last[1] for at in top):
        more = 0 if _open(tried, best, last) else max(count, hop or 0)
        stretch = (last[0], last[1] + more)
    else:
        stretch = _around(tried, _best_known(tried, top), count, hop)
    while True:
        stretch = (max(stretch[0], room[0]), min(stretch[1], room[1]))
        ats = _choose(tried, best, count, stretch, hop)
        if ats or stretch[1] >= room[1]:
            return stretch, ats
        stretch = (stretch[0], stretch[1] + max(count, hop or 0))


def _choose(tried: Tried, best: int, count: int, stretch: Stretch, hop: int | None) -> list[int]:
    """Choose new positions that do most to prove a stretch."""
    known = sorted({*tried, *_recurring(tried, hop, stretch)})
    real = {at for at, _ in tried}
    wanted = [at for at in _needed(known, stretch) if at not in real][:count]
    more = _cut(_open(known, best, stretch), count - len(wanted))
    return sorted({*wanted, *more} - real)


def _around(tried: Tried, at: int, count: int, hop: int | None) -> Stretch:
    """Choose a stretch that holds the largest look-ahead and, where it is known, a whole hop."""
    firsts = dict(tried)
    if hop is not None:
        folded = {n % hop: f - n // hop * hop for n, f in tried}
        turn = at // hop * hop
        later = [(n, f) for n, f in [*_shift(folded, turn), *_shift(folded, turn + hop)] if n > at]
        end = min((n for n, f in later if f > firsts[at]), default=at + hop)
        return end - hop, end
    if len({n - f for n, f in tried}) == 1:  # sample by sample: only trying all proves anything
        return at, at + count - 1
    return at - _UNKNOWN_WIDTH // 2, at + _UNKNOWN_WIDTH // 2


def _shift(folded: dict[int, int], by: int) -> list[tuple[int, int]]:
    return [(at + by, first + by) for at, first in folded.items()]


def _recurring(tried: Tried, hop: int | None, stretch: Stretch) -> list[tuple[int, int]]:
    """Move what was found by whole hops into the stretch: what must hold if the hop is right."""
    if hop is None:
        return []
    low, high = stretch
    return [
        (at + turn * hop, first + turn * hop)
        for at, first in tried
        for turn in range(-((at - low) // hop), (high - at) // hop + 1)
    ]


def _best_known(tried: Tried, top: Sequence[int]) -> int:
    """Choose the position whose next neighbour is nearest."""
    ats = sorted(at for at, _ in tried)
    after = dict(pairwise(ats))
    return min(top, key=lambda at: (after.get(at, math.inf) - at, at))


def _open(known: Tried, best: int, stretch: Stretch) -> list[Stretch]:
    """Give the parts of a stretch, between two neighbours, in which more than the best can hide."""
    low, high = stretch
    ordered = [*sorted(known), (high + 1, high + 1)]
    parts = (
        (max(a, low - 1), min(b, high + 1), fa) for (a, fa), (b, _) in pairwise(ordered) if a < high
    )
    return [(a, b) for a, b, fa in parts if b - a > 1 and b - 1 - fa > best]


def _needed(known: Tried, stretch: Stretch) -> list[int]:
    """Give what a proof in this stretch stands on: its ends, and both sides of each step."""
    inside = [(at, first) for at, first in known if stretch[0] <= at <= stretch[1]]
    steps = [at for a, b in pairwise(inside) if a[1] < b[1] for at in (a[0], b[0])]
    return list(dict.fromkeys((*stretch, *steps)))


def _cut(intervals: Sequence[Stretch], count: int) -> list[int]:
    """Cut intervals by so many positions that the largest piece becomes as small as can be."""
    parts = [(-(b - a), a, b, 1) for a, b in intervals]
    heapq.heapify(parts)
    for _ in range(count if parts else 0):
        size, a, b, pieces = parts[0]
        if -size <= 1:
            break
        heapq.heapreplace(parts, ((b - a) // -(pieces + 1), a, b, pieces + 1))
    return [
        a + (b - a) * piece // pieces for _, a, b, pieces in parts for piece in range(1, pieces)
    ]
