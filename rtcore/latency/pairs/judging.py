# SPDX-License-Identifier: MIT
"""Tell from the outputs of a measurement elsewhere what the system does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rtcore.latency.delay import delay_between
from rtcore.latency.difference import (
    NOISE_MARGIN,
    faulty_samples,
    first_difference,
    first_sound,
    level_db,
    noise_floor,
)
from rtcore.latency.lookahead import most_telling, summarise
from rtcore.latency.pairs.folder import OUT, File, Outputs, place_of
from rtcore.latency.result import Delay, Lookahead, Position
from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.whole_file import PLAINEST, depends_on_all, late_position, shows_at_start

_USELESS_DB = -20.0
_COARSE_FORMATS = {"PCM_16": "16 bits", "PCM_S8": "8 bits", "PCM_U8": "8 bits"}


@dataclass(frozen=True)
class _Compared:
    """What the outputs for one pair of sounds show."""

    floor: float
    positions: tuple[Position, ...]
    whole: File | None
    faulty: int


def judged(outputs: Outputs) -> Lookahead:
    """Compare all outputs with their references.

    Raises
    ------
    SystemFaultError
        Where runs on one sound differ much, or no change shows anywhere.
    """
    signals = dict.fromkeys(file.signal for file in outputs.of("reference"))
    compared = {signal: _compare(outputs, signal) for signal in signals}
    positions = [p for one in compared.values() for p in one.positions]
    if all(p.first is None for p in positions):
        raise SystemFaultError(
            f"{outputs.folder / OUT}: no change of the input shows in any output; see that the "
            "system gives sound at all, or make longer sounds with --duration"
        )
    floor = max(one.floor for one in compared.values())
    whole = {signal: one.whole for signal, one in compared.items() if one.whole is not None}
    if whole:
        found = _depends_on_all(outputs, positions, floor, whole)
    else:
        runs = len(outputs.manifest.files)
        found = summarise(positions, floor, runs, within=_proved(outputs, positions))
    faulty = max(one.faulty for one in compared.values())
    return _with_precision(replace(found, faulty_samples=faulty), outputs.subtypes)


def _compare(outputs: Outputs, signal: str) -> _Compared:
    """Compare the outputs for one pair of sounds with that for its base."""
    references = [outputs.output(file) for file in outputs.of("reference", signal)]
    base, floor = references[0], noise_floor(references)
    level = level_db(floor, base)
    if signal == PLAINEST and floor > 0.0 and level > _USELESS_DB:
        raise SystemFaultError(
            f"{outputs.folder / OUT}: two outputs for one sound differ by {level:.0f} dB re the "
            "output; let the system start afresh for each file, and give its random numbers a seed"
        )
    frames, begin = outputs.manifest.frames, first_sound(base)
    positions, whole, faulty = [], None, faulty_samples(base)
    for file in sorted(outputs.of("position", signal), key=place_of):
        output = outputs.output(file)
        faulty = max(faulty, faulty_samples(output))
        first = first_difference(base, output, NOISE_MARGIN * floor)
        positions.append(Position(place_of(file), first, signal))
        late = file.at == late_position(frames)
        if late and shows_at_start(positions[-1], begin, frames):
            whole = file
    return _Compared(floor, tuple(positions), whole, faulty)


def _depends_on_all(
    outputs: Outputs, positions: Sequence[Position], floor: float, whole: Mapping[str, File]
) -> Lookahead:
    """Sum up where the end of an input changes the start of its output."""
    signal = PLAINEST if PLAINEST in whole else next(iter(whole))
    return depends_on_all(
        outputs.output(outputs.of("reference", signal)[0]),
        outputs.output(whole[signal]),
        place_of(whole[signal]),
        positions=positions,
        noise_floor=floor,
        runs=len(outputs.manifest.files),
    )


def _proved(outputs: Outputs, positions: Sequence[Position]) -> tuple[int, int] | None:
    """Give the stretch that the last round was to prove, if it was for the right sounds."""
    last = outputs.manifest.rounds[-1]
    shown = (
        p.first is not None and p.signal == last.signal and last.low <= p.at <= last.high
        for p in positions
    )
    mine = most_telling(positions) == last.signal
    return (last.low, last.high) if mine and any(shown) else None


def _with_precision(found: Lookahead, subtypes: set[str]) -> Lookahead:
    """Tell where the format of the outputs hides what is small."""
    coarse = sorted({_COARSE_FORMATS[name] for name in subtypes if name in _COARSE_FORMATS})
    if not coarse:
        return found
    more = f"the outputs have {' or '.join(coarse)}, which hides any smaller difference"
    return replace(found, cause=f"{found.cause}; {more}")


def delay_of(outputs: Outputs) -> Delay | None:
    """Measure the delay with the probe that shows it best."""
    delays = [
        delay_between(
            outputs.input(file), outputs.output(file), sample_rate=outputs.manifest.sample_rate
        )
        for file in outputs.of("delay")
    ]
    best = max(delays, key=lambda delay: delay.confidence, default=None)
    return best if best is not None and best.confidence > 0.0 else None
