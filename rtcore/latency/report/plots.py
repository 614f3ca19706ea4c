# SPDX-License-Identifier: MIT
"""The figures of a latency report, drawn from a measurement and its verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.latency.report.bars import budget, instant
from rtcore.latency.report.drawing import BAD, COLOURS, INK, LINE, Drawing, draw
from rtcore.latency.report.wording import finite, known_delay, number
from rtcore.latency.result import Compute, Delay, Measurement, Timing
from rtcore.latency.rules.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_MOST_POINTS = 3000


def figures(measurement: Measurement, verdicts: Sequence[Verdict]) -> list[Drawing]:
    """Draw all that there is something to draw of.

    Parameters
    ----------
    measurement : Measurement
        With or without delay and compute.
    verdicts : sequence of Verdict
        May be empty.

    Returns
    -------
    list of Drawing
        In the order in which they are read.
    """
    budgets = budget(verdicts)
    drawings = [] if budgets is None else [budgets]
    drawings.append(instant(measurement, verdicts))
    if measurement.lookahead.positions:
        drawings.append(_positions(measurement, verdicts))
        ahead = measurement.lookahead
        if (ahead.hop_samples or 0) > 1 and not ahead.whole_file:
            drawings.append(_phases(measurement, verdicts))
    compute = measurement.compute
    if compute is not None and (compute.idle.histogram or _histogram(compute.hogged)):
        drawings.append(_blocks(compute))
    if (
        known_delay(measurement) is not None
        and measurement.delay
        and _response(measurement.delay)[0].size
    ):
        drawings.append(_group_delay(measurement.delay, measurement.sample_rate))
    return drawings


# -- positions ------------------------------------------------------------------------------------


def _limits(measurement: Measurement, verdicts: Sequence[Verdict]) -> dict[int, list[str]]:
    """Give the look-ahead, as it stands, at which the room of each rule ends, and their titles."""
    found: dict[int, list[str]] = {}
    for verdict in verdicts:
        for k, criterion in enumerate(verdict.criteria):
            at = _end_of_room(criterion, measurement.lookahead.samples, first=k == 0)
            if at is not None and verdict.title not in found.setdefault(at, []):
                found[at].append(verdict.title)
    return found


def _end_of_room(criterion: Criterion, ahead: int, *, first: bool) -> int | None:
    """Give the largest look-ahead that still keeps a limit; None where that cannot be said."""
    found, limit = criterion.samples, criterion.limit_samples
    if found is None or limit is None:
        return None
    if found in (ahead, max(ahead, 0)):
        return limit
    # Any sum that is not cut off at zero grows with the look-ahead, sample by sample.
    return max(ahead, 0) + limit - found if first and found > 0 else None


def _seen(measurement: Measurement) -> dict[str, np.ndarray[Any, Any]]:
    """Give (position, look-ahead) rows for each kind of sound, where a difference was seen."""
    found: dict[str, list[tuple[int, int]]] = {}
    for position in measurement.lookahead.positions:
        if position.lookahead is not None:
            found.setdefault(position.signal, []).append((position.at, position.lookahead))
    return {signal: np.array(rows, float) for signal, rows in found.items()}


def _positions(measurement: Measurement, verdicts: Sequence[Verdict]) -> Drawing:
    caption = (
        "Each dot is one experiment: two sounds that are equal up to this position, and how far "
        "before it their outputs begin to differ. Where there are too many for dots, lines span "
        "what was seen. Dashed lines show where the room of the rules ends."
    )
    label = "position at which the sounds begin to differ, in samples"
    title, seen = "Look-ahead at each position", _seen(measurement)
    return _scatter("positions", title, caption, measurement, verdicts, seen, label)


def _phases(measurement: Measurement, verdicts: Sequence[Verdict]) -> Drawing:
    hop = measurement.lookahead.hop_samples or 1
    seen = {}
    for signal, rows in _seen(measurement).items():
        folded = rows.copy()
        folded[:, 0] %= hop
        seen[signal] = folded
    caption = (
        f"The same experiments, laid over one another every {hop} samples, the period with which "
        "the look-ahead recurs: a system that works in blocks looks furthest at one phase of them."
    )
    label = f"position modulo {hop} samples"
    title = "Look-ahead over the phase of the block"
    return _scatter("phases", title, caption, measurement, verdicts, seen, label)


def _scatter(
    name: str,
    title: str,
    caption: str,
    measurement: Measurement,
    verdicts: Sequence[Verdict],
    seen: dict[str, np.ndarray[Any, Any]],
    label: str,
) -> Drawing:
    limits = _limits(measurement, verdicts)
    points = np.concatenate([*seen.values(), np.zeros((0, 2))])
    low, high = _extent(points[:, 1], limits)

    def paint(figure: Figure, small: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        most = (_MOST_POINTS // (2 if small else 1)) // max(len(seen), 1)
        for k, (signal, rows) in enumerate(seen.items()):
            size = (8.0, 6.2, 4.8, 3.6, 2.4, 1.4)[min(k, 5)]
            _dots(axes, _spans(rows, most), size, COLOURS[k % len(COLOURS)])
            axes.plot([], [], "o", color=COLOURS[k % len(COLOURS)], markersize=5, label=signal)
        _limit_lines(axes, limits, (low, high), small)
        axes.set_ylim(low, high)
        axes.margins(x=0.02)
        axes.autoscale_view(scaley=False)
        axes.set_xlabel(label.partition(",")[0] if small else label)
        axes.set_ylabel("look-ahead in samples")
        axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_locator(
            MaxNLocator(5 if small else 9, steps=[1, 2, 5, 10], integer=True)
        )
        axes.xaxis.set_major_formatter(lambda value, _position: number(value))
        axes.yaxis.set_major_formatter(lambda value, _position: number(value))
        rate = measurement.sample_rate / 1000.0
        both: Any = (lambda samples: samples / rate, lambda ms: ms * rate)
        right = axes.secondary_yaxis("right", functions=both)
        right.set_ylabel("in ms")
        if seen:
            figure.legend(loc="outside lower center", ncols=2 if small else 3)
        else:
            axes.text(0.5, 0.5, "no difference was seen", transform=axes.transAxes, ha="center")

    return draw(name, title, caption, paint, 3.9)


def _extent(values: np.ndarray[Any, Any], limits: Iterable[int]) -> tuple[float, float]:
    """Choose what to show: all that was seen, the limits not far off, and the next one above."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    size = max(high, -low, 64.0)
    above = min((limit for limit in limits if limit >= high), default=0)
    reach = max(1.6 * size, min(above, 6.0 * size) + 1)
    near = [limit for limit in limits if -reach < limit < reach]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.08 * max(high - low, 4.0)
    return low - margin, high + 1.6 * margin


def _limit_lines(
    axes: Axes, limits: Mapping[int, list[str]], span: tuple[float, float], small: bool
) -> None:
    """Draw the limits; lines that lie too close for words of their own share those of the top."""
    axes.axhline(0.0, color=INK, linewidth=0.9)
    room, most = 0.07 * (span[1] - span[0]), 30 if small else 80
    groups: list[tuple[int, list[str]]] = []
    last = -math.inf
    for at, titles in sorted(limits.items()):
        if not span[0] < at < span[1]:
            continue
        axes.axhline(at, color=BAD, linewidth=1.3, linestyle=(0, (5, 3)))
        near = groups.pop()[1] if at - last < room else []
        groups.append((at, [*titles, *near]))
        last = at
    where: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "bottom", "ha": "left"}
    for at, titles in groups:
        first, others = titles[0], len(set(titles)) - 1
        first = first if len(first) <= most else first[: most - 1].rstrip() + "…"
        more = f" and {others} more" if others else ""
        axes.text(0.01, at, f"{first}{more}", color=BAD, fontsize=8.5, **where)


def _spans(rows: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """Give (position, least, most) for each point, or for each column where they are too many."""
    if len(rows) <= most:
        return np.column_stack((rows, rows[:, 1]))
    columns = most // 4
    left, width = rows[:, 0].min(), max(float(np.ptp(rows[:, 0])), 1.0)
    column = np.minimum((rows[:, 0] - left) / width * columns, columns - 1).astype(int)
    least, largest = np.full(columns, np.inf), np.full(columns, -np.inf)
    np.minimum.at(least, column, rows[:, 1])
    np.maximum.at(largest, column, rows[:, 1])
    middle = left + (np.arange(columns) + 0.5) * width / columns
    return np.column_stack((middle, least, largest))[np.isfinite(least)]


def _dots(axes: Axes, spans: np.ndarray[Any, Any], size: float, colour: str) -> None:
    """Draw round dots, or lines, as one path: far shorter in a file than an element for each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices = np.repeat(spans[:, :2], 2, axis=0)
    vertices[1::2, 1] = spans[:, 2]
    path = Path(vertices, np.tile([Path.MOVETO, Path.LINETO], len(spans)))
    path.should_simplify = False
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, linewidth=size, capstyle="round")
    )
    axes.update_datalim(vertices)


# -- time and frequency ---------------------------------------------------------------------------


def _histogram(timing: Timing | None) -> tuple[tuple[float, int], ...]:
    return () if timing is None else timing.histogram


def _binned(
    buckets: Sequence[tuple[float, int]], edges: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    counts = np.zeros(len(edges) - 1)
    for edge, count in buckets:
        if finite(edge) and edge > 0 and count > 0:
            where = int(np.searchsorted(edges, edge, side="left")) - 1
            counts[min(max(where, 0), len(counts) - 1)] += count
    return counts


def _blocks(compute: Compute) -> Drawing:
    runs = [("with nothing beside it", compute.idle, COLOURS[0])]
    if compute.hogged is not None and compute.hogged.histogram:
        runs.append(("beside a Python thread that holds the GIL", compute.hogged, COLOURS[1]))
    times = [edge for _, run, _ in runs for edge, _ in run.histogram if finite(edge) and edge > 0]
    deadline = compute.deadline_ms if finite(compute.deadline_ms) else None
    ends = [*times, *([deadline] if deadline else [])] or [1.0]
    edges = np.geomspace(0.8 * min(ends), 1.6 * max(ends), 70)
    # Below one lies the floor of a logarithmic scale.
    steps = [
        (label, np.maximum(_binned(r.histogram, edges), 0.5), colour) for label, r, colour in runs
    ]

    def paint(figure: Figure, small: bool) -> None:
        axes = figure.subplots()
        for k, (label, heights, colour) in enumerate(steps):
            if k == 0:
                axes.stairs(heights, edges, baseline=0.5, fill=True, color=colour, label=label)
            else:
                axes.stairs(heights, edges, baseline=0.5, color=colour, linewidth=1.8, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.5, 4.0 * max(2.0, *(float(heights.max()) for _, heights, _ in steps)))
        axes.set_xlim(edges[0], edges[-1])
        axes.xaxis.set_major_formatter(lambda value, _position: number(value, 3))
        axes.yaxis.set_major_formatter(lambda value, _position: number(value))
        axes.xaxis.set_minor_formatter("")
        if deadline:
            axes.axvline(deadline, color=BAD, linewidth=1.6, linestyle=(0, (5, 3)))
            where: dict[str, Any] = {
                "transform": axes.get_xaxis_transform(),
                "va": "top",
                "ha": "right",
            }
            axes.text(deadline * 0.97, 0.99, f"deadline {number(deadline)} ms", color=BAD, **where)
        what = "a block" if compute.how == "paced" else "a run"
        axes.set_xlabel(f"time of {what} in ms, logarithmic")
        axes.set_ylabel("how many, logarithmic")
        figure.legend(loc="outside lower center", ncols=1 if small else 2)

    caption = (
        "How long the work took, and how often. What lies right of the deadline comes too late "
        "and is heard as a gap; single slow blocks at the right decide, not the bulk."
        if deadline
        else "How long the work took, and how often; whole files have no deadline."
    )
    return draw("blocks", "Time spent on the work", caption, paint, 3.5)


def _response(delay: Delay) -> tuple[np.ndarray[Any, Any], ...]:
    """Give frequency, group delay and coherence where all are numbers."""
    size = min(len(delay.frequency_hz), len(delay.group_delay_samples))
    trust = delay.coherence[:size] if len(delay.coherence) >= size else (1.0,) * size
    table = np.array([delay.frequency_hz[:size], delay.group_delay_samples[:size], trust], float)
    good = np.isfinite(table).all(axis=0)
    return tuple(table[:, good])


def _group_delay(delay: Delay, sample_rate: int) -> Drawing:
    frequency, group, trust = _response(delay)
    order = np.argsort(frequency, kind="stable")
    step = max(1, len(order) // 800)
    frequency, group, trust = (row[order][::step] for row in (frequency, group, trust))
    sure = trust >= 0.5
    kept = group[sure] if sure.any() else group
    middle = np.percentile(kept, [1, 99])
    pad = max(1.0, 0.3 * float(middle[1] - middle[0]))

    def paint(figure: Figure, small: bool) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot(frequency, group, color=LINE, linewidth=1.0)
        upper.plot(frequency, np.where(sure, group, np.nan), color=COLOURS[0], linewidth=1.8)
        if finite(delay.samples):
            upper.axhline(delay.samples, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
            where: dict[str, Any] = {
                "transform": upper.get_yaxis_transform(),
                "va": "bottom",
                "ha": "right",
            }
            upper.text(0.99, delay.samples, f"delay {number(delay.samples)}", color=INK, **where)
        ends = [middle[0], middle[1], *([delay.samples] if finite(delay.samples) else [])]
        upper.set_ylim(min(ends) - pad, max(ends) + pad)
        upper.set_ylabel("group delay" if small else "group delay in samples")
        lower.plot(frequency, np.clip(trust, 0.0, 1.0), color=COLOURS[2], linewidth=1.4)
        lower.set_ylim(-0.05, 1.05)
        lower.set_ylabel("coherence")
        lower.set_xlabel("frequency in Hz, logarithmic")
        positive = frequency[frequency > 0]
        if positive.size > 1:
            lower.set_xscale("log")
            lower.set_xlim(max(20.0, float(positive[0])), max(40.0, sample_rate / 2))
            lower.xaxis.set_major_formatter(lambda value, _position: number(value))
            lower.xaxis.set_minor_formatter("")

    caption = (
        "How late each frequency comes out. Where the coherence, below, is under one half the "
        "output is no delayed input there, and the line is drawn pale: noise, distortion or "
        "silence."
    )
    return draw("groupdelay", "Group delay over frequency", caption, paint, 3.9)
