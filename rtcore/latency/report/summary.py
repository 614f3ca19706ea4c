# SPDX-License-Identifier: MIT
"""A measurement in words: the headline, the reasons, the main figures and their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtcore.latency.report.wording import finite, known_delay, number
from rtcore.latency.result import Measurement
from rtcore.latency.rules.verdict import Verdict


@dataclass(frozen=True)
class Fact:
    """A tile of the summary."""

    label: str
    value: str
    note: str


def headline(measurement: Measurement, verdicts: Sequence[Verdict]) -> str:
    """Say the verdict in a few words.

    Parameters
    ----------
    measurement : Measurement
        What was measured.
    verdicts : sequence of Verdict
        May be empty.

    Returns
    -------
    str
        Such as ``Breaks 2 of 7 rules: looks at the whole file``.
    """
    count = len(verdicts)
    broken = sum(verdict.verdict == "fail" for verdict in verdicts)
    unverified = sum(verdict.verdict == "unverified" for verdict in verdicts)
    whole = measurement.lookahead.whole_file
    if not count:
        return "Looks at the whole file" if whole else "Measured; no rule was asked for"
    rules = f"{count} rule{'s' * (count != 1)}"
    tail = f"; {unverified} {'is' if unverified == 1 else 'are'} unverified" if unverified else ""
    if broken:
        why = ": looks at the whole file" if whole else ""
        return f"Breaks {broken} of {rules}{why}{tail}"
    if not unverified:
        return "Keeps the one rule asked for" if count == 1 else f"Keeps all {rules}"
    if unverified == count:
        return "Nothing could be verified" if count > 1 else "The rule could not be verified"
    return f"Keeps {count - unverified} of {rules}{tail}"


def tone(verdicts: Sequence[Verdict]) -> str:
    """Give the gravest verdict, or ``none``."""
    said = {verdict.verdict for verdict in verdicts}
    return next((tone for tone in ("fail", "unverified", "pass") if tone in said), "none")


def reasons(measurement: Measurement, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Say what was found, and why rules are broken: each reason once, with its rules."""
    cause = measurement.lookahead.cause
    if cause:
        yield cause
    broken = [verdict for verdict in verdicts if verdict.verdict == "fail"]
    same: dict[str, list[str]] = {}
    for verdict in broken:
        for clause in verdict.reason.split("; "):
            remark = clause.startswith("measured at ")  # true, but no reason
            said = bool(cause) and cause.rstrip(".") in clause
            if clause and not remark and not said:
                same.setdefault(clause, []).append(verdict.title)
    for clause, titles in same.items():
        every = len(titles) == len(broken) > 1
        yield f"{'All that are broken' if every else ' and '.join(titles)}: {clause}"


def duration(value: float | None, rate: int) -> str:
    """Write a count of samples with its duration."""
    if value is None:
        return "unknown"
    return f"{number(value)} sample{'s' * (value != 1)} ({number(1000.0 * value / rate)} ms)"


def _milliseconds(samples: float, rate: int) -> str:
    return f"{number(1000.0 * samples / rate, fixed=True)} ms"


def facts(measurement: Measurement) -> Iterator[Fact]:
    """Give the main figures."""
    ahead, rate = measurement.lookahead, measurement.sample_rate
    least = "at least " if ahead.whole_file else ""
    note = "the whole file" if ahead.whole_file else "with the output as it stands in the file"
    if ahead.samples < 0:
        note = "the output follows the input: a pure delay"
    value = f"{least}{_milliseconds(ahead.samples, rate)}"
    yield Fact("Look-ahead", value, f"{number(ahead.samples)} samples, {note}")
    delay, late = measurement.delay, known_delay(measurement)
    if delay is None or late is None:
        yield Fact("Delay", "unknown", "it could not be measured")
    else:
        note = f"{number(late)} samples, {confidence(delay.confidence)}"
        yield Fact("Delay", _milliseconds(late, rate), note)
        aligned = ahead.samples + late
        note = f"{number(aligned)} samples, once the delay is taken out"
        yield Fact("Aligned look-ahead", f"{least}{_milliseconds(aligned, rate)}", note)
    yield _compute_fact(measurement)
    if ahead.deterministic:
        yield Fact("Repeatable", "yes", "two runs gave the same samples")
    else:
        floor = f"two runs differ by up to {number(ahead.noise_floor)} of full scale"
        yield Fact("Repeatable", "no", floor)


def _compute_fact(measurement: Measurement) -> Fact:
    compute = measurement.compute
    if compute is None:
        return Fact("Compute", "not measured", "not asked for, or not possible here")
    share = compute.idle.rtf
    if finite(share):
        percent = f"{number(100.0 * share, 1)} % of real time"
    else:
        percent = "unknown"
    late = f"{number(compute.idle.late)} of {number(compute.idle.blocks)} blocks late"
    return Fact("Compute", percent, late if compute.how == "paced" else f"{compute.how}, unpaced")


def confidence(value: float) -> str:
    """Say how far a delay can be trusted."""
    if not finite(value):
        return "confidence unknown"
    word = "high" if value >= 0.9 else "fair" if value >= 0.6 else "low"
    return f"confidence {word} ({number(value)})"


def missed(measurement: Measurement) -> Iterator[str]:
    """Say how far the look-ahead can be trusted."""
    ahead, rate = measurement.lookahead, measurement.sample_rate
    first, last = (number(value) for value in ahead.scanned)
    gap = (
        "every sample" if ahead.gap_samples <= 1 else f"one in {number(ahead.gap_samples)} samples"
    )
    count, runs = len(ahead.positions), number(ahead.runs)
    yield (
        f"The system ran {runs} times, for {number(count)} position{'s' * (count != 1)}; between "
        f"samples {first} and {last} {gap} was tried."
    )
    if ahead.hop_samples == 1:
        yield "The look-ahead is the same at all positions."
    elif ahead.hop_samples:
        yield f"The look-ahead recurs every {duration(ahead.hop_samples, rate)}."
    if ahead.whole_file:
        yield "The output depends on the whole file, so the look-ahead is what was seen, at least."
    elif ahead.exact:
        yield f"Within that stretch the look-ahead is exactly {duration(ahead.samples, rate)}."
    elif ahead.upper_samples is not None:
        yield (
            f"Between the positions it can be no more than {duration(ahead.upper_samples, rate)}."
        )
    else:
        yield "Nothing can be said about the stretches between the positions."
    if ahead.period_samples < 1:
        yield "No stretch was scanned without a gap, so what recurs could have been missed."
        return
    yield (
        f"What recurs at least every {duration(ahead.period_samples, rate)} was seen. Something "
        "rarer, or something that only other sounds call forth, could have been missed."
    )
