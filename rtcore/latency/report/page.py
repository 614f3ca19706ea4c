# SPDX-License-Identifier: MIT
"""Write what the lab found as one HTML file that a person can read.

The file needs nothing else: no script, no network, no font. It follows the light or dark setting
of whoever reads it, can be printed, and reads well aloud.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rtcore._version import __version__
from rtcore.atomicfile import write_whole
from rtcore.errors import DeviceError
from rtcore.latency.report.bars import STATUS
from rtcore.latency.report.plots import figures
from rtcore.latency.report.summary import (
    confidence,
    duration,
    facts,
    headline,
    missed,
    reasons,
    tone,
)
from rtcore.latency.report.wording import known_delay, number
from rtcore.latency.result import Measurement, Position, Timing
from rtcore.latency.rules.verdict import Criterion, Term, Verdict

_KINDS = {
    "chain": "rtcore chain",
    "callable": "Python function",
    "command": "command",
    "onnx": "ONNX model",
    "pairs": "folder of pairs",
}
_NONE = "\N{EN DASH}"
_PERCENTILES = ("p50", "p95", "p99", "p99.9", "max")


def write_report(
    path: str | os.PathLike[str],
    measurement: Measurement,
    verdicts: Sequence[Verdict],
    *,
    command: str,
    machine: Mapping[str, Any],
) -> None:
    """Write a report; a file that is there already is replaced at once or not at all.

    Parameters
    ----------
    path : path-like
        The HTML file to write.
    measurement : Measurement
        What was measured; delay and compute may be missing.
    verdicts : sequence of Verdict
        What the rules say of it; may be empty.
    command : str
        What to type to repeat the measurement.
    machine : mapping
        What the figures hold for: processor, system, packages and so on; values may be texts,
        numbers, lists and mappings.

    Raises
    ------
    DeviceError
        If matplotlib or jinja2 is not installed.
    RtcoreError
        If the file cannot be written.
    """
    text = render_report(measurement, verdicts, command=command, machine=machine)
    write_whole(Path(path), text, "the report")


def render_report(
    measurement: Measurement,
    verdicts: Sequence[Verdict],
    *,
    command: str,
    machine: Mapping[str, Any],
) -> str:
    """Give the text of a report; see :func:`write_report`."""
    try:
        import jinja2
        import matplotlib as mpl  # noqa: F401 - only to know that it is there
        from markupsafe import Markup
    except ImportError as error:
        what = "needs matplotlib and jinja2; install them with `pip install matplotlib jinja2`"
        raise DeviceError(f"--report: {what} ({error})") from error
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    folder = resources.files("rtcore.latency.report") / "templates"
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    style = (folder / "report.css").read_text("utf-8")
    return template.render(
        style=Markup(style),  # noqa: S704 - a file of rtcore's own
        figures=[
            # Matplotlib has escaped what stands in them.
            {**vars(one), "wide": Markup(one.wide), "narrow": Markup(one.narrow)}  # noqa: S704
            for one in figures(measurement, verdicts)
        ],
        command=_lines(command),
        machine=_machine(machine),
        date=dt.datetime.now(dt.UTC).astimezone().strftime("%d %B %Y, %H:%M %Z"),
        version=__version__,
        **_content(measurement, verdicts),
    )


def _content(measurement: Measurement, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Say everything in words and rows."""
    return {
        "m": measurement,
        "kind": _KINDS.get(measurement.kind, measurement.kind),
        "headline": headline(measurement, verdicts),
        "tone": tone(verdicts),
        "reasons": list(reasons(measurement, verdicts)),
        "facts": list(facts(measurement)),
        "rules": [_rule(verdict) for verdict in verdicts],
        "declared": list(_declared(measurement)),
        "sounds": _sounds(measurement.lookahead.positions, measurement.sample_rate),
        "missed": list(missed(measurement)),
        "delay": _delay(measurement),
        "compute": list(_compute(measurement)),
        "percentiles": _PERCENTILES,
    }


# -- rows -----------------------------------------------------------------------------------------


def _rule(verdict: Verdict) -> dict[str, Any]:
    return {
        "title": verdict.title,
        "verdict": verdict.verdict,
        "sign": STATUS.get(verdict.verdict, ("", ""))[1],
        "reason": verdict.reason,
        "definition": verdict.definition,
        "source": verdict.source,
        "link": verdict.source if verdict.source.startswith(("https://", "http://")) else "",
        "terms": [_term(term) for term in verdict.terms if term.counts],
        "beside": [_beside(term) for term in verdict.terms if not term.counts],
        "sums": [_sum(criterion) for criterion in verdict.criteria],
    }


def _term(term: Term) -> dict[str, str]:
    return {
        "name": term.name,
        "samples": _cell(term.samples, 0),
        "ms": _cell(term.ms),
        "how": term.how,
        "note": term.note,
    }


def _beside(term: Term) -> str:
    """Say in a line what a rule asks for without adding it up."""
    parts = [f"{number(term.samples)} samples"] if term.samples is not None else []
    parts += [f"{number(term.ms)} ms"] if term.ms is not None else []
    # The name of a declared term says so itself.
    how = "" if term.name.startswith(f"{term.how} ") else term.how
    origin = "; ".join(filter(None, [how, term.note]))
    return f"{term.name} {', '.join(parts)}".rstrip() + (f" ({origin})" if origin else "")


def _sum(criterion: Criterion) -> dict[str, str]:
    """Give the row of a comparison."""
    state = {True: "pass", False: "fail", None: "unverified"}[criterion.holds]
    limit = _NONE if criterion.limit_ms is None else f"{number(criterion.limit_ms)} ms"
    if criterion.limit_samples is not None:
        limit += f" = {number(criterion.limit_samples)} samples"
    words = {True: "within the limit", False: "over the limit", None: "open"}
    return {
        "name": criterion.name,
        "samples": _cell(criterion.samples, 0),
        "ms": _cell(criterion.ms),
        "limit": f"{'less than' if criterion.strict else 'at most'} {limit}",
        "state": state,
        "sign": STATUS[state][1],
        "word": words[criterion.holds],
    }


def _cell(value: float | None, digits: int = 2) -> str:
    """Write a number for a column: points below one another."""
    if value is None:
        return _NONE
    return number(value, digits, fixed=True)


def _declared(measurement: Measurement) -> Iterator[tuple[str, str]]:
    declared, rate = measurement.declared, measurement.sample_rate
    for label, value in (
        ("Frame", declared.frame_samples),
        ("Stride", declared.hop_samples),
        ("Future it waits for", declared.future_samples),
        ("Delay", declared.latency_samples),
        ("Look-ahead", declared.lookahead_samples),
    ):
        if value is not None:
            yield label, duration(value, rate)
    if declared.lookahead_samples is None and declared.implied_lookahead_samples is not None:
        yield "Look-ahead that follows", duration(declared.implied_lookahead_samples, rate)


def _sounds(positions: Sequence[Position], rate: int) -> list[dict[str, str]]:
    """Sum up the experiments of each kind of sound."""
    groups: dict[str, list[Position]] = {}
    for position in positions:
        groups.setdefault(position.signal, []).append(position)
    rows = []
    for signal, group in groups.items():
        seen = [position for position in group if position.lookahead is not None]
        furthest = max(seen, key=lambda position: position.lookahead or 0, default=None)
        rows.append(
            {
                "signal": signal,
                "count": number(len(group)),
                "seen": number(len(seen)),
                "most": duration(furthest.lookahead, rate) if furthest else "no difference seen",
                "at": number(furthest.at) if furthest else _NONE,
            }
        )
    return rows


def _delay(measurement: Measurement) -> dict[str, Any] | None:
    delay, rate = measurement.delay, measurement.sample_rate
    if delay is None:
        return None
    names = {"impulse": "Impulse", "correlation": "Correlation", "group_delay": "Group delay"}
    late = known_delay(measurement)
    value = "Unknown" if late is None else f"{duration(late, rate)}, {confidence(delay.confidence)}"
    return {
        "value": value,
        "method": delay.method,
        "by": [(names.get(key, key), duration(value, rate)) for key, value in delay.by.items()],
    }


def _compute(measurement: Measurement) -> Iterator[dict[str, Any]]:
    """Give one row for each run, and for each plugin in it."""
    compute = measurement.compute
    if compute is None:
        return
    for label, timing in (("Idle", compute.idle), ("Beside a busy Python thread", compute.hogged)):
        if timing is not None:
            yield _timing(label, timing)
            for plugin in timing.plugins:
                numbers = plugin.get("ms") or plugin.get("busy_ms") or plugin
                name = f"{plugin.get('place', '')} {plugin.get('id', '')}".strip()
                yield {
                    "label": name,
                    "cells": _cells(numbers),
                    "late": "",
                    "rtf": "",
                    "inner": True,
                }


def _timing(label: str, timing: Timing) -> dict[str, Any]:
    late = f"{number(timing.late)} of {number(timing.blocks)}"
    cells = _cells(timing.ms)
    return {"label": label, "cells": cells, "late": late, "rtf": number(timing.rtf), "inner": False}


def _cells(numbers: Mapping[str, Any]) -> list[str]:
    return [_cell(numbers[key], 3) if key in numbers else _NONE for key in _PERCENTILES]


def _machine(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(key).replace("_", " "), _flat(value)) for key, value in machine.items()]


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(inner) for inner in value)
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else str(value)
    return "unknown" if value is None else str(value)


# -- the file -------------------------------------------------------------------------------------


def _finalize(value: Any) -> Any:
    """Make a user's text printable: what cannot be seen is written as an escape."""
    if type(value) is not str:
        return value
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in value
    )


def _lines(command: str) -> list[str]:
    return command.splitlines() or [""]
