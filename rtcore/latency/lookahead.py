# SPDX-License-Identifier: MIT
"""Measure how far a system looks ahead: feed it two sounds that part, see where its outputs do.

This is the perturbation test by which causality is defined: "the output at time t must not use
input samples later than t + 5 ms" (Clarity and Cadenza challenges) holds if and only if no change
after t + 5 ms changes the output at t.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtcore.latency.difference import level_db, rounding_of
from rtcore.latency.prober import Budget, Prober, spread
from rtcore.latency.result import Lookahead, Position
from rtcore.latency.scan import coverage, edge_of, scan
from rtcore.latency.signals import PAIRS
from rtcore.latency.systems.base import System, SystemFaultError
from rtcore.latency.whole_file import (
    PLAINEST,
    depends_on_all,
    grows,
    late_position,
    shows_at_start,
    whole_file,
)

#: Positions of the dense scan, by default.
POSITIONS = 20_000
#: Time that it may take, by default, in s.
BUDGET_S = 30.0
_RUNS_A_POSITION = 2
_LEAST_S = 1.0
_LONGEST_S = 60.0
_GROW = 4
_COARSE = 4
_FAR = 0.02  # of the sound: look-ahead that may come from its length
_FAINT_DB = -100.0  # no 16-bit file could show it
_MARGIN = 0.12
_PACKET, _BORDERS = 512, 10  # the music PLC challenge looks at the borders of packets


def measure_lookahead(
    system: System,
    *,
    positions: int = POSITIONS,
    budget_s: float = BUDGET_S,
    duration_s: float | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Lookahead:
    """Measure the look-ahead by perturbation.

    Parameters
    ----------
    system : System
        What is measured.
    positions : int
        Width of the stretch in which every position is tried, or proved to need no trial. A
        look-ahead that recurs less often can be missed.
    budget_s : float
        Ends the search for more; what it then leaves open is told.
    duration_s : float, optional
        Length of the sounds; at least 1 s and the scanned stretch by default. Sounds are made
        longer by themselves where the start of the output changes with the end of the input.
    seed : int
        Of the sounds and positions.
    progress : function, optional
        Called with the number of runs just made.

    Returns
    -------
    Lookahead
        With every position that was tried.

    Raises
    ------
    SystemFaultError
        Where the system fails, or its output cannot be compared.
    """
    budget = Budget.of(_RUNS_A_POSITION * positions + 500, budget_s)
    declared = system.declared.implied_lookahead_samples or 0
    least = max(_LEAST_S * system.sample_rate, 1.5 * positions, 8.0 * declared)
    frames = round(least if duration_s is None else duration_s * system.sample_rate)
    prober = Prober(system, frames, seed, progress)
    found = _measured(prober, positions, budget, budget_s)
    return replace(found, faulty_samples=prober.faulty[0])


def _measured(prober: Prober, positions: int, budget: Budget, budget_s: float) -> Lookahead:
    """Find out, one after the other, what the output depends on."""
    seed = prober.seed
    _try_everywhere(prober, seed)
    prober = _above_rounding(prober)
    prober, whole = _long_enough(prober, budget_s)
    if whole is not None:
        return _depends_on_all(prober, whole)
    _refuse_deafness(prober)
    grown = _grows(prober)
    if grown is not None:
        return grown
    within = _search(prober, positions, budget, seed)
    more = _how_much(prober)
    found = summarise(prober.positions, prober.floor, prober.runs, within=within)
    return replace(found, cause=found.cause + more)


def summarise(
    positions: Sequence[Position],
    noise_floor: float,
    runs: int,
    *,
    within: tuple[int, int] | None = None,
) -> Lookahead:
    """Tell what experiments on sounds of one length show, where no whole file decides.

    Parameters
    ----------
    positions : sequence of Position
        At least one in which the outputs differ.
    noise_floor : float
        Largest difference between runs on the same input.
    runs : int
        How often the system ran.
    within : (int, int), optional
        First and last position of the stretch for which a proof is wanted; all by default.
    """
    best = max(p.lookahead for p in positions if p.lookahead is not None)
    signal = most_telling(positions)
    low, high = within or (0, max(p.at for p in positions))
    tried = [(p.at, p.first) for p in _seen(positions, signal) if low <= p.at <= high]
    proof = coverage(tried, best)
    return Lookahead(
        samples=best,
        upper_samples=proof.upper,
        whole_file=False,
        cause=_in_words(best),
        noise_floor=noise_floor,
        positions=tuple(positions),
        scanned=proof.scanned,
        gap_samples=proof.gap,
        hop_samples=proof.hop,
        period_samples=proof.stretch,
        runs=runs,
    )


def _in_words(best: int) -> str:
    if best < 0:
        late = "1 sample" if best == -1 else f"{-best} samples"
        return f"the output is {late} later than the latest input that it depends on"
    if best == 0:
        return "no output sample depends on a later input sample"
    ahead = "1 sample" if best == 1 else f"{best} samples"
    return f"an output sample depends on input {ahead} later"


@dataclass(frozen=True)
class _Seen:
    """A position whose change shows in the output."""

    at: int
    first: int
    signal: str

    @property
    def ahead(self) -> int:
        return self.at - self.first


def _seen(positions: Iterable[Position], signal: str | None = None) -> list[_Seen]:
    return [
        _Seen(p.at, p.first, p.signal)
        for p in positions
        if p.first is not None and signal in (None, p.signal)
    ]


def most_telling(positions: Sequence[Position]) -> str:
    """Name the sounds that were tried most among those that show the largest look-ahead."""
    seen = _seen(positions)
    best = max(p.ahead for p in seen)
    shown = {p.signal for p in seen if p.ahead == best}
    counts = {name: sum(p.signal == name for p in seen) for name in shown}
    return max(shown, key=lambda name: (counts[name], name))


def _try_everywhere(prober: Prober, seed: int) -> None:
    """Try every pair at a few positions all over the sound."""
    ats = _coarse(prober.frames, seed)
    for name in PAIRS:
        prober.first(name, ats)


def _coarse(frames: int, seed: int) -> list[int]:
    ats = spread(round(_MARGIN * frames), round(0.9 * frames), _COARSE, seed)
    return [*dict.fromkeys((*ats, late_position(frames)))]


def _shows_inside(prober: Prober) -> bool:
    """Say whether changes show well before the end, so that there is room to search."""
    first = round(_MARGIN * prober.frames)
    return any(p.ahead >= first - _last(prober) // 2 for p in _seen(prober.positions))


def _last(prober: Prober) -> int:
    """Give the last position whose change shows before the end of the sound."""
    late = max((p.ahead for p in _seen(prober.positions)), default=0)
    return round((1.0 - _MARGIN) * prober.frames) + min(late, 0)


def _whole_file(prober: Prober) -> Position | None:
    """Give the experiment in which a late change of the input shows at the start, if one does."""
    late = late_position(prober.frames)
    found = [p for p in prober.positions if p.at == late]
    return next((p for p in found if _at_start(prober, p)), None)


def _at_start(prober: Prober, position: Position) -> bool:
    begin = prober.reference(position.signal).sounds_from
    return shows_at_start(position, begin, prober.frames)


def _long_enough(prober: Prober, patience_s: float) -> tuple[Prober, Position | None]:
    """Make the sounds longer until changes show inside them, or whatever the length, at the start.

    A claim about the whole file may not rest on a short sound, so this has time of its own: each
    length may take `patience_s`.

    Returns
    -------
    prober : Prober
        The same, or one with longer sounds that were tried everywhere.
    whole : Position or None
        The experiment that shows a dependence on the whole file.
    """
    longest = round(_LONGEST_S * prober.system.sample_rate)
    since = time.monotonic()
    whole = _whole_file(prober)
    while whole is not None or not _shows_inside(prober):
        frames = min(_GROW * prober.frames, longest)
        if frames <= prober.frames or time.monotonic() - since > patience_s:
            break
        since = time.monotonic()
        prober = prober.longer(frames)
        if whole is not None:  # one pair of sounds tells whether it is still so
            prober.first(whole.signal, [late_position(frames)])
        if whole is None or _whole_file(prober) is None:
            _try_everywhere(prober, prober.seed)
        whole = _whole_file(prober)
    return prober, whole


def _grows(prober: Prober) -> Lookahead | None:
    """Say whether the look-ahead grows with the sound, by a longer one at the same places."""
    far = _furthest(prober)
    if far is None or (far.lookahead or 0) < _FAR * prober.frames:
        return None
    ats = _coarse(prober.frames, prober.seed)
    longer = prober.longer(_GROW * prober.frames)
    longer.first(far.signal, [_GROW * at for at in ats])
    known = {(p.at, p.signal): p for p in prober.positions}
    near = [known[at, far.signal] for at in ats]
    cause = grows(near, prober.frames, longer.positions, _GROW)
    if not cause:
        prober.runs = longer.runs
        return None
    positions = (*longer.earlier, *longer.positions)
    return whole_file(cause, positions=positions, noise_floor=longer.floor, runs=longer.runs)


def _above_rounding(prober: Prober) -> Prober:
    """Begin again above the rounding of a system whose furthest look-ahead may be rounding alone.

    A causal filter that is computed by an FFT of the whole file changes each of its samples, by a
    few units in the last place, with each sample of the file.

    Returns
    -------
    Prober
        The same where what differs first differs by more.
    """
    whole = _whole_file(prober)
    far = whole or _furthest(prober)
    if far is None or far.first is None:
        return prober
    before, after = prober.reference(far.signal).output, prober.output(far.signal, far.at)
    limit = rounding_of(before, after, single=whole is not None)
    if not (np.abs(after - before)[:, far.first] <= limit).all():
        return prober
    prober = prober.above(limit)
    _try_everywhere(prober, prober.seed)
    return prober


def _furthest(prober: Prober) -> Position | None:
    """Give the experiment that shows the largest look-ahead, if it shows any."""
    shown = [p for p in prober.positions if p.lookahead is not None and p.lookahead > 0]
    return max(shown, key=lambda p: p.lookahead or 0, default=None)


def _how_much(prober: Prober) -> str:
    """Say what rounding was left out, or that what looks ahead is faint; empty for most."""
    if prober.rounding > 0.0:
        return (
            f"; changes of up to {prober.rounding:.2g} show earlier and count as none: they are "
            "rounding, as of an FFT of the whole file, or the far end of a filter's tail"
        )
    far = _furthest(prober)
    if far is None or far.first is None:
        return ""
    before, after = prober.reference(far.signal).output, prober.output(far.signal, far.at)
    part = float(np.nanmax(np.abs(after - before)[:, far.first], initial=0.0))
    level = level_db(part, np.stack((before, after)))
    return f", which changes it by {level:.0f} dB re the output's peak" if level < _FAINT_DB else ""


def _refuse_deafness(prober: Prober) -> None:
    """Refuse a system whose output does not change with its input."""
    if not _shows_inside(prober):
        seconds = prober.frames / prober.system.sample_rate
        what = (
            f"no change of its input shows in its output within {seconds:.3g} s; see that it "
            "gives sound at all"
        )
        raise SystemFaultError(f"{prober.system.name}: {what}")


def _depends_on_all(prober: Prober, shown: Position) -> Lookahead:
    late = late_position(prober.frames)
    prober.first(PLAINEST, [late])
    found = [p for p in prober.positions if p.at == late and _at_start(prober, p)]
    plain = next((p for p in found if p.signal == PLAINEST), shown)
    return depends_on_all(
        prober.reference(plain.signal).output,
        prober.output(plain.signal, plain.at),
        plain.at,
        positions=(*prober.earlier, *prober.positions),
        noise_floor=prober.floor,
        runs=prober.runs,
    )


def _search(prober: Prober, width: int, budget: Budget, seed: int) -> tuple[int, int]:
    """Look for the largest look-ahead, with each pair of sounds that shows more than the last.

    Returns
    -------
    (int, int)
        First and last position of the last dense scan.
    """
    searched: dict[str, tuple[int, int]] = {}
    while (signal := _most_promising(prober)) not in searched:
        searched[signal] = _search_with(prober, signal, width, budget)
        at = max(_seen(prober.positions), key=lambda p: p.ahead).at
        more = spread(round(_MARGIN * prober.frames), _last(prober), _COARSE, seed + len(searched))
        for name in PAIRS:
            if name not in searched:
                # On silence a single sample may stay one, where other sounds show a frame's edge.
                prober.first(name, [at, at + 1, at + 2, *more], budget)
    return searched[signal]


def _most_promising(prober: Prober) -> str:
    """Name the first of the sounds that show the largest look-ahead so far."""
    best = dict.fromkeys(PAIRS, -prober.frames)
    for p in _seen(prober.positions):
        best[p.signal] = max(best[p.signal], p.ahead)
    return max(PAIRS, key=lambda name: best[name])


def _search_with(prober: Prober, signal: str, width: int, budget: Budget) -> tuple[int, int]:
    """Prove a hop around the best position, then as wide a stretch as asked for; give that."""
    last = _last(prober)
    at = max(_seen(prober.positions, signal), key=lambda p: (p.at < last, p.ahead)).at
    edge = edge_of(prober, signal, min(at, last - 1), last, budget)
    here, after = prober.first(signal, [edge, edge + 1], budget)
    hop = max(prober.system.declared.hop_samples or 0, after - here, 32)
    first = round(_MARGIN * prober.frames)
    borders = range(-(-first // _PACKET) * _PACKET, last, _PACKET)
    prober.first(signal, list(borders[:_BORDERS]), budget)
    for wide in (2 * hop + 1, width):
        low = min(max(first, edge - wide // 2), max(first, last - wide))
        high = min(low + wide, last)
        scan(prober, signal, low, high, budget)
    return low, high
