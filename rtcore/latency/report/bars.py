# SPDX-License-Identifier: MIT
"""The bars of a latency report: each rule's budget, and what lies around an output sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcore.latency.report.drawing import (
    BAD,
    COLOURS,
    DOUBT,
    GOOD,
    INK,
    MUTED,
    PAPER,
    Drawing,
    draw,
)
from rtcore.latency.report.wording import finite, known_delay, number
from rtcore.latency.result import Measurement
from rtcore.latency.rules.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour and sign of each verdict.
STATUS = {"pass": (GOOD, "✓"), "fail": (BAD, "✗"), "unverified": (DOUBT, "?")}
#: What a term's name contains, to the colour that it has in all figures; the first that fits.
_COLOURS = {
    "compute": COLOURS[6],
    "computing": COLOURS[6],
    "processing": COLOURS[6],
    "delay": COLOURS[4],
    "stride": COLOURS[2],
    "hop": COLOURS[2],
    "look-ahead": COLOURS[3],
    "future": COLOURS[3],
    "frame": COLOURS[0],
    "offset": COLOURS[1],
}
_AT_LEAST = "at least "


@dataclass(frozen=True)
class _Row:
    """A horizontal bar: a line of words above pieces of a length, each from a start.

    Where there is little room, the state is only told by its sign, the first letter.
    """

    label: str
    value: str
    state: str
    pieces: tuple[tuple[float, float, str], ...]
    limit: float | None = None
    colour: str = INK


def budget(verdicts: Sequence[Verdict]) -> Drawing | None:
    """Stack each rule's terms against its limit; None where no rule has one.

    Parameters
    ----------
    verdicts : sequence of Verdict
        One bar for each comparison that they make.
    """
    rows = [
        _budget_row(verdict, criterion, first=k == 0)
        for verdict in verdicts
        for k, criterion in enumerate(verdict.criteria)
        if finite(criterion.limit_ms)
    ]
    if not rows:
        return None
    longest = max(row.limit or 0.0 for row in rows)
    pieces = [piece for row in rows for piece in row.pieces]
    furthest = max((start + length for start, length, _ in pieces), default=0.0)
    right = 1.12 * max(longest, min(furthest, 2.0 * longest), 1e-3)
    left = min([0.0, *(start for start, _, _ in pieces)])
    terms = [t for v in verdicts for t in v.terms if t.counts and finite(t.ms) and t.ms]
    key: dict[str, str] = {}
    for term in terms:
        key.setdefault(_colour(term.name), term.name.removesuffix(" after the frame"))

    def paint(figure: Figure, small: bool) -> None:
        axes = figure.subplots()
        _bars(axes, rows, (max(left, -right), right), small)
        axes.set_xlabel("milliseconds")
        _key(figure, [(name, colour) for colour, name in key.items()], small)

    caption = (
        "The terms that each rule adds up, end to end, and its limit as an upright line. A bar "
        "that reaches past its line breaks the rule; an arrow at its end means that it goes on "
        "outside the picture. A rule can also be broken for another reason, which the table names."
    )
    return draw("budget", "The budget of each rule", caption, paint, 1.0 + 0.56 * len(rows))


def _colour(name: str) -> str:
    return next((colour for word, colour in _COLOURS.items() if word in name.lower()), COLOURS[7])


def _budget_row(verdict: Verdict, criterion: Criterion, *, first: bool) -> _Row:
    """Draw the first comparison with its terms, further ones in one piece."""
    terms = [t for t in verdict.terms if t.counts and finite(t.ms) and t.ms] if first else []
    parts = [(float(term.ms or 0.0), _colour(term.name)) for term in terms]
    if not parts and finite(criterion.ms) and criterion.ms:
        parts = [(criterion.ms, _colour(criterion.name))]
    pieces, end, below = [], 0.0, 0.0
    for length, colour in parts:
        if length > 0:
            pieces.append((end, length, colour))
            end += length
        else:
            below += length
            pieces.append((below, -length, colour))
    state = verdict.verdict if first else _state(criterion)
    colour, sign = STATUS.get(state, (INK, ""))
    than = "under" if criterion.strict else "of"
    value = f"{number(criterion.ms)} {than} {number(criterion.limit_ms)} ms"
    label = verdict.title if first else f"  and {criterion.name}"
    return _Row(label, value, f"{sign} {state}", tuple(pieces), criterion.limit_ms, colour)


def _state(criterion: Criterion) -> str:
    return {True: "pass", False: "fail", None: "unverified"}[criterion.holds]


def instant(measurement: Measurement, verdicts: Sequence[Verdict]) -> Drawing:
    """Place everything in time around the moment at which an output sample is due.

    Parameters
    ----------
    measurement : Measurement
        With or without delay and compute.
    verdicts : sequence of Verdict
        Their limits are drawn as lines.
    """
    rows = list(_instant_rows(measurement))
    limits = sorted({v.limit for v in verdicts if finite(v.limit)})
    starts = [start for row in rows for start, _, _ in row.pieces]
    ends = [start + length for row in rows for start, length, _ in row.pieces]
    nearest = next((limit for limit in limits if limit > 0), 1.0)
    most = max([4.0 * nearest, *limits])
    right = 1.1 * min(max([*ends, nearest]), 2.0 * most)
    left = 1.05 * max(min([*starts, -0.08 * right]), -2.0 * most)

    def paint(figure: Figure, small: bool) -> None:
        axes = figure.subplots()
        _bars(axes, rows, (left, right), small)
        axes.axvline(0.0, color=INK, linewidth=1.2)
        shown = [limit for limit in limits if 0 < limit < right]
        for limit in shown:
            axes.axvline(limit, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0.5)
        at = axes.get_xaxis_transform()
        words = [(0.0, "now", INK), *((limit, f"{number(limit)} ms", MUTED) for limit in shown)]
        apart, last = 0.16 if small else 0.08, -math.inf
        for x, word, colour in words:
            if (x - last) / (right - left) > apart:
                axes.text(x, 1.0, word, transform=at, ha="center", va="bottom", color=colour)
                last = x
        axes.set_xlabel("milliseconds before and after an output sample is due")

    caption = (
        "Zero is the moment of an output sample, as it stands in the file. What reaches to the "
        "right needs sound that is still to come; dashed lines are the limits of the rules. "
        "The aligned look-ahead begins where the sound itself lies in the input. A frame is drawn "
        "at its worst phase, compute from zero on for comparison."
    )
    return draw("instant", "Around one output sample", caption, paint, 1.1 + 0.5 * len(rows))


def _instant_rows(measurement: Measurement) -> Iterator[_Row]:
    declared, rate = measurement.declared, measurement.sample_rate / 1000.0
    if declared.frame_samples:
        yield _frame_row(measurement, rate)
    if declared.hop_samples:
        hop = declared.hop_samples / rate
        yield _Row("Stride, declared", f"{number(hop)} ms", "", ((0.0, hop, _COLOURS["stride"]),))
    ahead = measurement.lookahead
    least = _AT_LEAST if ahead.whole_file else ""
    colour = BAD if ahead.whole_file else _COLOURS["look-ahead"]
    piece = (min(ahead.samples / rate, 0.0), abs(ahead.samples / rate), colour)
    yield _Row("Look-ahead, measured", least + _both(ahead.samples, rate), "", (piece,))
    delay = known_delay(measurement)
    if delay is not None:
        late = delay / rate
        piece = (min(-late, 0.0), abs(late), _COLOURS["delay"])
        yield _Row("Delay, measured", _both(delay, rate), "", (piece,))
        samples = ahead.samples + delay
        piece = (min(-late, ahead.samples / rate), abs(samples) / rate, COLOURS[5])
        text = least + _both(samples, rate)
        yield _Row("Aligned look-ahead", text, "", (piece,))
    compute = measurement.compute
    if compute is not None and compute.how == "paced":
        known = [key for key in ("p99.9", "p99", "max") if finite(compute.idle.ms.get(key))]
        if known:
            ms = compute.idle.ms[known[0]]
            piece = (0.0, ms, _COLOURS["compute"])
            yield _Row(f"Compute, {known[0]} of a block", f"{number(ms)} ms", "", (piece,))


def _frame_row(measurement: Measurement, rate: float) -> _Row:
    declared = measurement.declared
    length, future = declared.frame_samples or 0, declared.future_samples or 0
    start = ((declared.implied_lookahead_samples or 0) - future - length + 1) / rate
    pieces = [(start, length / rate, _COLOURS["frame"])]
    text = f"{number(length / rate)} ms"
    if future:
        pieces.append((start + length / rate, future / rate, COLOURS[1]))
        text += f" + {number(future / rate)} ms of future"
    return _Row("Frame, declared", text, "", tuple(pieces))


def _both(samples: float, rate: float) -> str:
    return f"{number(samples)} samples, {number(samples / rate)} ms"


def _bars(axes: Axes, rows: Sequence[_Row], span: tuple[float, float], small: bool) -> None:
    """Draw rows from the top down; what leaves the span ends in an arrow."""
    from matplotlib.transforms import blended_transform_factory

    left, right = span
    at = blended_transform_factory(axes.transAxes, axes.transData)
    for k, row in enumerate(rows):
        y = -float(k)
        for start, length, colour in row.pieces:
            low, high = max(start, left), min(start + length, right)
            if high > low:
                axes.barh(y, high - low, 0.3, low, color=colour, zorder=2)
            for edge, sign in ((right, "▶"), (left, "◀")):
                if start < edge < start + length:
                    axes.text(edge, y, sign, ha="center", va="center", color=colour, zorder=4)
        if row.limit is not None:
            axes.plot([row.limit] * 2, [y - 0.25, y + 0.25], color=INK, linewidth=2.2, zorder=3)
        value = f"{row.value}  {row.state[:1] if small else row.state}".rstrip()
        room = (56 if small else 110) - len(value)
        name = row.label if len(row.label) <= room else row.label[: room - 1].rstrip() + "…"
        _words(axes, (0.0, y + 0.3), name, INK, at, small)
        _words(axes, (1.0, y + 0.3), value, row.colour, at, small)
    axes.set_xlim(left, right)
    axes.set_ylim(-len(rows) + 0.6, 0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _words(
    axes: Axes, place: tuple[float, float], text: str, colour: str, at: Any, small: bool
) -> None:
    """Write above a bar, at the left or the right end; lines behind the words give way."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
    side = "left" if place[0] == 0.0 else "right"
    size = 8.0 if small else 9.5
    axes.text(
        *place, text, color=colour, ha=side, va="bottom", fontsize=size, bbox=box, transform=at
    )


def _key(figure: Figure, entries: Iterable[tuple[str, str]], small: bool) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=name) for name, colour in entries]
    if patches:
        columns = 2 if small else 5
        figure.legend(handles=patches, loc="outside lower center", ncols=columns)
