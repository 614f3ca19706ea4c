# SPDX-License-Identifier: MIT
"""Write scores: a csv of clips, a csv of means, JSON with everything, and a plot."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcore.challenges.plc.bootstrap import Interval
from rtcore.challenges.plc.evaluate import ClipScore
from rtcore.challenges.plc.meta import table_text
from rtcore.challenges.plc.scores import MEASURES, Column
from rtcore.challenges.plc.summary import Group, columns_of
from rtcore.challenges.plc.traces import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLUMNS", "write_scores"]

#: Every column of every measure, by its key.
COLUMNS: dict[str, Column] = {c.key: c for m in MEASURES.values() for c in m.columns}
_HEADLINES = [m.columns[0].key for m in MEASURES.values()]
_COLOURS = ("#2f6fb3", "#d2791b", "#2c8a6b", "#a2417c", "#5a6572")


def write_scores(
    target: Path,
    scores: Sequence[ClipScore],
    groups: Sequence[Group],
    how: Mapping[str, str],
    *,
    plot: str = "svg",
) -> list[Path]:
    """Write ``scores.csv``, ``summary.csv``, ``scores.json`` and ``scores.svg`` or ``.png``.

    Parameters
    ----------
    target : Path
        A folder that exists.
    scores : sequence of ClipScore
        In the order of the rows.
    groups : sequence of Group
        Their means.
    how : mapping
        Measure to how it was obtained, which goes into every file.
    plot : str
        ``"svg"``, ``"png"`` or ``"none"``.

    Returns
    -------
    list of Path
        What was written.
    """
    columns = columns_of(scores)
    with_what = "; ".join(f"{name}: {text}" for name, text in how.items())
    texts = {
        "scores.csv": _clips_text(scores, columns, with_what),
        "summary.csv": _means_text(groups, columns, with_what),
        "scores.json": _json_text(scores, groups, how),
    }
    for name, text in texts.items():
        write_text(target / name, text)
    written = [target / name for name in texts]
    if plot != "none" and scores:
        path = target / f"scores.{plot}"
        path_part = path.with_name(f".rtcore-{path.name}.part")
        try:
            path_part.write_bytes(_plot(scores, groups, with_what, plot))
            path_part.replace(path)
        finally:
            path_part.unlink(missing_ok=True)
        written.append(path)
    return written


def _clips_text(scores: Sequence[ClipScore], columns: Sequence[str], with_what: str) -> str:
    head = ["name", "sample_rate", "frames", "packets", "lost", "loss_rate", "longest_ms"]
    rows = [
        [
            score.name,
            score.sample_rate,
            score.frames,
            _blank(score.packets),
            _blank(score.lost),
            _blank(score.loss_rate),
            "" if score.longest is None else 20 * score.longest,
            score.stratum,
            *(_blank(score.scores.get(key)) for key in columns),
            " / ".join(score.notes),
            with_what,
        ]
        for score in scores
    ]
    return table_text([*head, "stratum", *columns, "notes", "scored_with"], rows)


def _means_text(groups: Sequence[Group], columns: Sequence[str], with_what: str) -> str:
    head = ["group", "stratum", "cell", "clips", "loss_low", "loss_mean", "loss_high"]
    each = [f"{key}{end}" for key in columns for end in ("", "_low95", "_high95", "_count")]
    rows = []
    for group in groups:
        cells: list[Any] = [group.kind, group.stratum, _blank(group.cell), group.clips]
        cells += list(group.loss or ("", "", ""))
        for key in columns:
            found = group.means.get(key)
            cells += _four(found)
        rows.append([*cells, with_what])
    return table_text([*head, *each, "scored_with"], rows)


def _four(found: Interval | None) -> list[Any]:
    if found is None:
        return ["", "", "", 0]
    return [found.mean, _blank(found.low), _blank(found.high), found.count]


def _blank(value: Any) -> Any:
    return "" if value is None else value


def _json_text(scores: Sequence[ClipScore], groups: Sequence[Group], how: Mapping[str, str]) -> str:
    from rtcore.machine import machine

    everything = {
        "scored_with": dict(how),
        "machine": machine(),
        "summary": [asdict(group) for group in groups],
        "clips": [asdict(score) for score in scores],
    }
    return json.dumps(everything, indent=2, default=str) + "\n"


# -- the plot -------------------------------------------------------------------------------------


def _plot(scores: Sequence[ClipScore], groups: Sequence[Group], with_what: str, kind: str) -> bytes:
    """Draw each measure over the loss rate; without traces, how its values spread."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    keys = [key for key in _HEADLINES if any(s.scores.get(key) is not None for s in scores)]
    across = min(3, len(keys)) or 1
    down = math.ceil(len(keys) / across) or 1
    out = io.BytesIO()
    settings: Any = {
        "font.size": 9,
        "svg.hashsalt": "rtcore",
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style must not change it
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(3.4 * across, 2.7 * down + 0.6), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for axis in axes[len(keys) :]:
            axis.remove()
        for axis, key in zip(axes, keys, strict=False):
            _panel(axis, key, scores, groups)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False)
        figure.supxlabel(_wrapped(with_what, 60 * across), fontsize=6, color="#535a66")
        figure.savefig(out, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
    return out.getvalue()


def _panel(axis: Axes, key: str, scores: Sequence[ClipScore], groups: Sequence[Group]) -> None:
    """Draw one measure."""
    column = COLUMNS[key]
    name = f"{column.label} ({column.unit})" if column.unit else column.label
    axis.grid(color="#d5d9e0", linewidth=0.6)
    axis.set_axisbelow(True)
    cells = [g for g in groups if g.kind == "cell" and g.loss and g.means.get(key)]
    if not cells:
        values = [v for s in scores if (v := s.scores.get(key)) is not None]
        axis.hist(values, bins="auto", color=_COLOURS[0])
        axis.set(xlabel=name, ylabel="clips")
        return
    for number, stratum in enumerate(dict.fromkeys(g.stratum for g in cells)):
        found = [(g.loss, g.means[key]) for g in cells if g.stratum == stratum]
        points = [(100.0 * loss[1], i) for loss, i in found if loss is not None and i is not None]
        x, means = [at for at, _ in points], [i.mean for _, i in points]
        below = [i.mean - (i.mean if i.low is None else i.low) for _, i in points]
        above = [(i.mean if i.high is None else i.high) - i.mean for _, i in points]
        axis.errorbar(
            x,
            means,
            [below, above],
            fmt="o-",
            ms=3.5,
            lw=1.2,
            elinewidth=0.8,
            color=_COLOURS[number % len(_COLOURS)],
            label=f"bursts {stratum}",
        )
    axis.set(xlabel="lost packets in %", ylabel=name)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
