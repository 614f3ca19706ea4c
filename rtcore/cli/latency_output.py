# SPDX-License-Identifier: MIT
"""What ``rtcore latency`` prints: tables for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from rtcore.cli.output import print_prose, print_table
from rtcore.latency.difference import NOISE_MARGIN
from rtcore.latency.result import Compute, Delay, Lookahead, Measurement, Timing
from rtcore.latency.rules import (
    COLUMNS,
    TERM_COLUMNS,
    Verdict,
    table_rows,
    term_rows,
)
from rtcore.latency.rules.verdict import amount

_AS_IT_STANDS = "look-ahead, output as it stands"
_ALIGNED = "look-ahead, delay taken out"
_FOUR_DIGITS = 1000.0
_PERCENTILES = ("p50", "p95", "p99", "p99.9", "max")


def as_dict(measurement: Measurement, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Give everything that was found, as JSON knows it.

    Parameters
    ----------
    measurement : Measurement
        What was measured.
    verdicts : sequence of Verdict
        What the rules say.
    """
    ahead, rate = measurement.lookahead, measurement.sample_rate
    return {
        "system": measurement.name,
        "kind": measurement.kind,
        "sample_rate": rate,
        "channels": measurement.channels,
        "declared": asdict(measurement.declared),
        "lookahead_samples": ahead.samples,
        "lookahead_ms": 1000.0 * ahead.samples / rate,
        "aligned_lookahead_samples": measurement.aligned_lookahead_samples,
        "latency_samples": None if measurement.delay is None else measurement.delay.samples,
        "whole_file": ahead.whole_file,
        "cause": ahead.cause,
        "lookahead": _ahead_dict(ahead),
        "delay": _delay_dict(measurement.delay),
        "compute": _compute_dict(measurement.compute),
        "rules": [verdict.to_dict() for verdict in verdicts],
    }


def _ahead_dict(ahead: Lookahead) -> dict[str, Any]:
    found = asdict(ahead)
    positions = found.pop("positions")
    return {
        **found,
        "deterministic": ahead.deterministic,
        "exact": ahead.exact,
        "positions_tested": len(positions),
        "signals": sorted({position["signal"] for position in positions}),
    }


def _delay_dict(delay: Delay | None) -> dict[str, Any] | None:
    if delay is None:
        return None
    kept = ("samples", "confidence", "method", "by")
    return {key: value for key, value in asdict(delay).items() if key in kept}


def _compute_dict(compute: Compute | None) -> dict[str, Any] | None:
    if compute is None:
        return None
    return {
        "how": compute.how,
        "block_samples": compute.block_samples,
        "deadline_ms": compute.deadline_ms,
        "seconds": compute.seconds,
        "notes": list(compute.notes),
        **_timing_dict(compute.idle),
        "hogged": None if compute.hogged is None else _timing_dict(compute.hogged),
    }


def _timing_dict(timing: Timing) -> dict[str, Any]:
    found = asdict(timing)
    del found["histogram"]
    return {**found, "ms": dict(timing.ms), "plugins": [dict(plugin) for plugin in timing.plugins]}


def print_measurement(
    measurement: Measurement, verdicts: Sequence[Verdict], *, terms: bool
) -> None:
    """Print tables.

    Parameters
    ----------
    measurement : Measurement
        What was measured.
    verdicts : sequence of Verdict
        What the rules say.
    terms : bool
        Whether to show every term of every rule.
    """
    plural = "s" if measurement.channels > 1 else ""
    click.echo(
        f"{measurement.name} ({measurement.kind}, {measurement.sample_rate} Hz, "
        f"{measurement.channels} channel{plural})\n"
    )
    print_table(("", "measured", "declared"), list(_facts(measurement)))
    click.echo()
    for sentence in (*_origins(measurement), *coverage(measurement)):
        print_prose(sentence, hanging="  ")
    _print_compute(measurement.compute)
    click.echo()
    print_table(COLUMNS[:-1], [row[:-1] for row in table_rows(verdicts)])
    click.echo()
    for clause, names in clauses(verdicts):
        print_prose(f"{', '.join(names)}: {clause}", hanging="  ")
    if terms:
        _print_terms(verdicts)


def clauses(verdicts: Sequence[Verdict]) -> list[tuple[str, list[str]]]:
    """Give each clause of the reasons once, with the rules that it is said of."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        for clause in verdict.reason.split("; "):
            found.setdefault(clause, []).append(verdict.name)
    return list(found.items())


def _print_terms(verdicts: Sequence[Verdict]) -> None:
    """Print every term of every rule, then each note on them once."""
    rows = shared_once(term_rows(verdicts), len(verdicts))
    click.echo()
    print_table(TERM_COLUMNS[:-1], [row[:-1] for row in rows])
    click.echo()
    for term, note in dict.fromkeys((row[1], row[-1]) for row in rows if row[-1]):
        print_prose(f"{term}: {note}", hanging="  ")


def shared_once(rows: Sequence[tuple[Any, ...]], rules: int) -> list[tuple[Any, ...]]:
    """Show a term that is the same for all of several rules once, after the others."""
    count = Counter(row[1:] for row in rows)
    shared = {term for term, times in count.items() if rules > 1 and times == rules}
    own = [row for row in rows if row[1:] not in shared]
    return own + [("all", *term) for term in count if term in shared]


def _facts(m: Measurement) -> list[tuple[str, str, str]]:
    rate, said, ahead = m.sample_rate, m.declared, m.lookahead
    implied, late = said.implied_lookahead_samples, m.delay
    at_least = "at least " if ahead.whole_file else ""
    measured = "unknown" if late is None else _time(late.samples, rate)
    rows = [
        (_AS_IT_STANDS, at_least + _time(ahead.samples, rate), _time(implied, rate)),
        ("delay of the output", measured, _time(said.latency_samples, rate)),
    ]
    aligned = m.aligned_lookahead_samples
    if aligned is not None and not ahead.whole_file:
        own = None
        if implied is not None and said.latency_samples is not None:
            own = implied + said.latency_samples
        rows.append((_ALIGNED, _time(aligned, rate), _time(own, rate)))
    if ahead.hop_samples is not None:
        rows.append(("period of the look-ahead", _time(ahead.hop_samples, rate), "-"))
    return rows


def _origins(m: Measurement) -> Iterator[str]:
    """Say in sentences what the figures rest on."""
    if m.lookahead.cause:
        yield f"Look-ahead: {m.lookahead.cause}."
    if m.delay is not None:
        yield f"Delay: confidence {m.delay.confidence:.2f}; {m.delay.method}."


def _time(samples: float | None, rate: int) -> str:
    if samples is None:
        return "-"
    if samples == int(samples):
        return amount(int(samples), 1000.0 * samples / rate)
    return f"{samples:.2f} samples ({1000.0 * samples / rate:.3f} ms)"


def coverage(measurement: Measurement) -> list[str]:
    """Say in sentences what was tried, and what could have been missed."""
    ahead = measurement.lookahead
    signals = {position.signal for position in ahead.positions}
    tried = f"{len(ahead.positions)} positions tried in {ahead.runs} runs"
    low, high = ahead.scanned
    found = [f"{tried}, with {len(signals)} kinds of sound, densely from {low} to {high}."]
    if not ahead.deterministic:
        found.append(
            f"Two runs on one sound differ by up to {ahead.noise_floor:.2g}: differences up to "
            f"{NOISE_MARGIN * ahead.noise_floor:.2g} count as none."
        )
    if ahead.whole_file:
        return found
    if not ahead.exact:
        found.append(
            f"Between positions that were tried, up to {ahead.gap_samples} samples apart, it could "
            f"be up to {ahead.upper_samples} samples; {_how_to_try_more(measurement)}."
        )
    if ahead.period_samples > 1:
        found.append(
            f"None of {ahead.period_samples} positions in a row looks further ahead; what recurs "
            "less often than that could have been missed."
        )
    return found


def _how_to_try_more(measurement: Measurement) -> str:
    if measurement.kind == "pairs":
        return f"add a round of files with --make-pairs {measurement.name}"
    return "give a larger --budget to try them"


def _print_compute(compute: Compute | None) -> None:
    if compute is None:
        return
    click.echo()
    block = (
        "whole sounds"
        if compute.block_samples is None
        else (f"blocks of {compute.block_samples} samples, due every {compute.deadline_ms:.3f} ms")
    )
    rows: list[tuple[Any, ...]] = []
    for name, timing in (("idle", compute.idle), ("busy", compute.hogged)):
        if timing is not None:
            rows.append((name, *_cells(timing)))
            rows.extend(
                (f"  {plugin['id']}", *(_ms(plugin, key) for key in _PERCENTILES), "", "")
                for plugin in timing.plugins
            )
    columns = ("", *_PERCENTILES, "late", "RTF")
    busy = "" if compute.hogged is None else "; busy: beside a busy thread"
    print_prose(f"computing time in ms ({compute.how}, {compute.seconds:g} s, {block}{busy})")
    print_table(columns, rows)
    for note in compute.notes:
        print_prose(f"({note})", hanging=" ")


def _cells(timing: Timing) -> tuple[Any, ...]:
    times = (_ms(timing.ms, key) for key in _PERCENTILES)
    return (*times, f"{timing.late} of {timing.blocks}", f"{timing.rtf:.3g}")


def _ms(found: Any, key: str) -> str:
    value = found.get(key)
    if value is None:
        return "-"
    if value < 1.0:
        return f"{value:.4f}"  # the clock tells no more
    return f"{value:.4g}" if value < _FOUR_DIGITS else f"{value:.0f}"
