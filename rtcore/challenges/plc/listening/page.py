# SPDX-License-Identifier: MIT
"""Write a comparison as one HTML file: tables, a chart, and clips to listen to.

It needs nothing else: no network, no font. Without scripts the sounds play as well; with them,
one can switch between systems in the middle of a word.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcore._version import __version__
from rtcore.challenges.plc.bootstrap import Interval
from rtcore.challenges.plc.compare import FEWEST, Comparison, Difference
from rtcore.challenges.plc.evaluate import ClipScore
from rtcore.challenges.plc.listening.excerpts import Excerpt
from rtcore.challenges.plc.score_files import COLUMNS
from rtcore.challenges.plc.scores import MEASURES
from rtcore.challenges.plc.traces import write_text
from rtcore.errors import DeviceError, RtcoreError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rtcore.latency.report.drawing import Drawing

__all__ = ["render_page", "write_page"]

_MINUS = "\N{MINUS SIGN}"
_NONE = "\N{EN DASH}"
_SIGNS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}
_HEADLINES = tuple(measure.columns[0].key for measure in MEASURES.values())


def write_page(path: Path, text: str) -> None:
    """Write a page, which is whole or not there.

    Raises
    ------
    RtcoreError
        Where it cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        what = f"the page cannot be written ({error.strerror}); choose another place for it"
        raise RtcoreError(f"{path}: {what}") from error


def render_page(
    comparison: Comparison,
    excerpts: Sequence[Excerpt],
    how: Mapping[str, str],
    *,
    remarks: Sequence[str] = (),
    command: str = "",
) -> str:
    """Give the text of a page.

    Parameters
    ----------
    comparison : Comparison
        What the tables say.
    excerpts : sequence of Excerpt
        The clips to listen to.
    how : mapping
        Measure to how it was obtained.
    remarks : sequence of str
        What else a reader must know.
    command : str
        What to type to repeat it.

    Raises
    ------
    DeviceError
        Where matplotlib or jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup

        from rtcore.latency.report.drawing import draw
    except ImportError as error:
        what = "the page needs matplotlib and jinja2, which cannot be used"
        raise DeviceError(f"{what} ({error}); run `pip install matplotlib jinja2`") from error
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = _own("listening.js")
    chart: Drawing = draw(
        "means",
        "Means and their intervals",
        "Each point is a mean over the clips; its line is the 95 % bootstrap interval over clips. "
        "Systems whose lines overlap may still differ on the same clips: see the differences.",
        lambda figure, small: _chart(figure, comparison, small),
        _chart_height(comparison),
    )
    wide, narrow = Markup(chart.wide), Markup(chart.narrow)  # noqa: S704 - drawn, and escaped
    return environment.from_string(_own("listening.html.j2")).render(
        style=Markup(_report_style() + _own("listening.css")),  # noqa: S704 - rtcore's own files
        script=Markup(script),  # noqa: S704
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        chart={**vars(chart), "wide": wide, "narrow": narrow},
        systems=comparison.systems,
        columns=[COLUMNS[key] for key in comparison.columns],
        clips=len(comparison.clips),
        fewest=FEWEST,
        means=[_means_row(comparison, system) for system in comparison.systems],
        differences=[_differences(comparison, other) for other in comparison.systems],
        how=[(MEASURES[name].columns[0].label, text) for name, text in how.items()],
        cards=[_card(comparison, one) for one in excerpts],
        remarks=remarks,
        command=command,
        date=dt.datetime.now(dt.UTC).astimezone().strftime("%d %B %Y, %H:%M %Z"),
        version=__version__,
    )


# -- rows -----------------------------------------------------------------------------------------


def _means_row(comparison: Comparison, system: str) -> dict[str, Any]:
    cells = []
    for key in comparison.columns:
        found = {name: comparison.means[name][key] for name in comparison.systems}
        means = [one.mean for one in found.values() if one is not None]
        own = found[system]
        best = max(means, default=0.0) if COLUMNS[key].higher_is_better else min(means, default=0.0)
        cells.append({**_cell(own, key), "best": own is not None and own.mean == best})
    return {"system": system, "cells": cells}


def _differences(comparison: Comparison, other: str) -> dict[str, Any]:
    """Give the table of what all other systems score more than one of them."""
    rows = [
        {
            "system": system,
            "cells": [
                _difference(comparison.difference(system, other, key), key)
                for key in comparison.columns
            ],
        }
        for system in comparison.systems
        if system != other
    ]
    return {"other": other, "rows": rows}


def _difference(found: Difference | None, key: str) -> dict[str, str]:
    if found is None:
        return {"mean": _NONE, "bounds": "", "verdict": "open", "sign": "", "better": ""}
    return {
        **_cell(found.mean, key, signed=True),
        "verdict": found.verdict,
        "sign": _SIGNS.get(found.verdict, ""),
        "better": f"better on {100.0 * found.better:.0f} %",
    }


def _cell(found: Interval | None, key: str, *, signed: bool = False) -> dict[str, str]:
    if found is None:
        return {"mean": _NONE, "bounds": ""}
    digits = COLUMNS[key].digits
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f"{_number(found.low, digits)} to {_number(found.high, digits)}"
    return {"mean": _number(found.mean, digits, signed=signed), "bounds": bounds}


def _number(value: float, digits: int, *, signed: bool = False) -> str:
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", _MINUS)


# -- clips ----------------------------------------------------------------------------------------


def _card(comparison: Comparison, one: Excerpt) -> dict[str, Any]:
    scores = {
        system: next(score for score in found if score.name == one.name)
        for system, found in comparison.scores.items()
    }
    first = next(iter(scores.values()))
    facts = [f"{one.seconds:.1f} s at {one.sample_rate} Hz"]
    if first.loss_rate is not None and first.longest is not None:
        facts.append(f"{100.0 * first.loss_rate:.1f} % lost")
        facts.append(f"longest burst {20 * first.longest} ms")
    if one.begin_s > 0.0:
        facts.append(f"heard from {one.begin_s:.1f} s on, where most was lost")
    return {
        "name": one.name,
        "facts": facts,
        "seconds": one.seconds,
        "top_khz": f"{one.sample_rate / 2000.0:g} kHz",
        "bursts": [{"at": 1000.0 * at, "long": 1000.0 * long} for at, long in one.bursts],
        "takes": [
            {
                **vars(take),
                "scores": _take_scores(scores[take.title]) if take.system else [],
            }
            for take in one.takes
        ],
    }


def _take_scores(score: ClipScore) -> list[dict[str, str]]:
    rows = []
    for key in _HEADLINES:
        value = score.scores.get(key)
        if value is None:
            continue
        column = COLUMNS[key]
        unit = f" {column.unit}" if column.unit else ""
        rows.append({"label": column.label, "value": f"{_number(value, column.digits)}{unit}"})
    return rows


# -- the chart ------------------------------------------------------------------------------------


def _charted(comparison: Comparison) -> list[str]:
    return [key for key in _HEADLINES if key in comparison.columns]


def _chart_height(comparison: Comparison) -> float:
    panels = len(_charted(comparison))
    return -(-panels // 3) * (0.9 + 0.28 * len(comparison.systems))


def _chart(figure: Figure, comparison: Comparison, small: bool) -> None:
    """Draw a panel for each measure, a line for each system."""
    from rtcore.latency.report.drawing import COLOURS, INK

    keys = _charted(comparison)
    across = 1 if small else min(3, len(keys))
    down = -(-len(keys) // across)
    if small:
        figure.set_figheight(len(keys) * (0.9 + 0.28 * len(comparison.systems)))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[len(keys) :]:
        axis.remove()
    for k, key in enumerate(keys):
        axis, column = axes[k], COLUMNS[key]
        for row, system in enumerate(comparison.systems):
            found = comparison.means[system][key]
            if found is None:
                continue
            colour = COLOURS[row % len(COLOURS)]
            if found.low is not None and found.high is not None:
                axis.plot([found.low, found.high], [row, row], color=colour, lw=2.2)
            axis.plot([found.mean], [row], "o", color=colour, ms=5.5)
        axis.set_ylim(len(comparison.systems) - 0.5, -0.5)
        names = comparison.systems if k % across == 0 else [""] * len(comparison.systems)
        axis.set_yticks(range(len(comparison.systems)), [_short(name) for name in names])
        unit = f", {column.unit}" if column.unit else ""
        side = "" if column.higher_is_better else " (less is better)"
        axis.set_title(f"{column.label}{unit}{side}", fontsize=9.5, color=INK, loc="left")
        axis.margins(x=0.12)


def _short(name: str, longest: int = 18) -> str:
    return name if len(name) <= longest else f"\N{HORIZONTAL ELLIPSIS}{name[1 - longest :]}"


# -- files ----------------------------------------------------------------------------------------


def _own(name: str) -> str:
    folder = resources.files("rtcore.challenges.plc.listening") / "templates"
    return (folder / name).read_text("utf-8")


def _report_style() -> str:
    """Give the style of rtcore's reports, which this page shares."""
    folder = resources.files("rtcore.latency.report") / "templates"
    return (folder / "report.css").read_text("utf-8")
