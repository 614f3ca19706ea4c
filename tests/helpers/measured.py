# SPDX-License-Identifier: MIT
"""Measurements made by hand, to see what rules say of them."""

from __future__ import annotations

from dataclasses import replace

from rtcore.latency.result import (
    Compute,
    Declared,
    Delay,
    Lookahead,
    Measurement,
    Position,
    Timing,
)
from rtcore.latency.rules import find_rule, judge

RATES = [16000, 32000, 44100, 48000]


def measured(
    ahead,
    late=0,
    *,
    rate=48000,
    hop=None,
    upper=None,
    confidence=1.0,
    whole_file=False,
    cause="by hand",
    noise_floor=0.0,
    positions=(),
    compute=None,
    **declared,
):
    """Give a measurement of a system that looks `ahead` and is `late`; `hop` as it was seen."""
    lookahead = Lookahead(
        samples=ahead,
        upper_samples=ahead if upper is None else upper,
        whole_file=whole_file,
        cause=cause,
        noise_floor=noise_floor,
        positions=tuple(Position(at, first, "noise") for at, first in positions),
        scanned=(0, 1000),
        gap_samples=1,
        hop_samples=hop,
        period_samples=1000,
        runs=1,
    )
    delay = None if late is None else Delay(float(late), confidence, "impulse")
    said = Declared(**{f"{key}_samples": value for key, value in declared.items()})
    return Measurement("by hand", "callable", rate, 1, said, lookahead, delay, compute)


def stft(window, hop, frames_ahead=0, *, late=0, rate=48000, **more):
    """Give the measurement of an STFT with `frames_ahead` future frames, with its output `late`."""
    ahead = window - 1 + frames_ahead * hop - late
    return measured(ahead, late, rate=rate, hop=hop, **more)


def costs(block, p95, *, rate=48000, most=None, p999=None, rtf=None):
    """Give computing times: of blocks of `block` samples, or of whole files where it is None."""
    most = p95 if most is None else most
    p999 = most if p999 is None else p999
    ms = {"p50": p95 / 2, "p95": p95, "p99": p999, "p99.9": p999, "max": most}
    duration = None if block is None else 1000.0 * block / rate
    rtf = (p95 / 2 / duration if duration else 0.1) if rtf is None else rtf
    how = "whole file" if block is None else "paced"
    return Compute(how, block, duration, 60.0, Timing(1000, ms, rtf, 0))


def with_hop(measurement, hop):
    """Let a system declare its hop."""
    return replace(measurement, declared=replace(measurement.declared, hop_samples=hop))


def says(rule, measurement):
    """Give the verdict of a rule that has a name."""
    return judge(find_rule(rule), measurement)


def term(verdict, name):
    """Give a term of a verdict."""
    return next(t for t in verdict.terms if t.name == name)
