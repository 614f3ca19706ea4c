# SPDX-License-Identifier: MIT
"""Tell from the outputs of a measurement elsewhere what the system does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rtcore.latency.delay import delay_between
from rtcore.latency.difference import (
    NOISE_MARGIN,
    explain_whole_file,
    first_difference,
    first_sound,
    level_db,
    noise_floor,
)
from rtcore.latency.lookahead import summarise
from rtcore.latency.pairs_folder import OUT, File, Outputs, place_of
from rtcore.latency.result import Delay, Lookahead, Position
from rtcore.latency.system import SystemFaultError

#: Where in the sounds the change lies that must not show at their start.
LATE = 0.94
_NEAR_START = 0.02
_LOUD = "noise"  # the other sounds are too quiet to tell noise from chaos
_USELESS_DB = -20.0
_COARSE_FORMATS = {"PCM_16": "16 bits", "PCM_S8": "8 bits", "PCM_U8": "8 bits"}


@dataclass(frozen=True)
class _Compared:
    """What the outputs for one pair of sounds show."""

    floor: float
    positions: tuple[Position, ...]
    whole: File | None


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
    return _with_precision(found, outputs.subtypes)


def _compare(outputs: Outputs, signal: str) -> _Compared:
    """Compare the outputs for one pair of sounds with that for its base."""
    references = [outputs.output(file) for file in outputs.of("reference", signal)]
    base, floor = references[0], noise_floor(references)
    level = level_db(floor, base)
    if signal == _LOUD and floor > 0.0 and level > _USELESS_DB:
        raise SystemFaultError(
            f"{outputs.folder / OUT}: two outputs for one sound differ by {level:.0f} dB re the "
            "output; let the system start afresh for each file, and give its random numbers a seed"
        )
    late = round(LATE * outputs.manifest.frames)
    begin = first_sound(base)
    near = (begin if begin <= late else 0) + _NEAR_START * outputs.manifest.frames
    positions, whole = [], None
    for file in sorted(outputs.of("position", signal), key=place_of):
        first = first_difference(base, outputs.output(file), NOISE_MARGIN * floor)
        positions.append(Position(place_of(file), first, signal))
        if file.at == late and first is not None and first <= near:
            whole = file
    return _Compared(floor, tuple(positions), whole)


def _depends_on_all(
    outputs: Outputs, positions: Sequence[Position], floor: float, whole: Mapping[str, File]
) -> Lookahead:
    """Sum up where the end of an input changes the start of its output."""
    signal = _LOUD if _LOUD in whole else next(iter(whole))
    before = outputs.output(outputs.of("reference", signal)[0])
    after = outputs.output(whole[signal])
    ats = [p.at for p in positions]
    return Lookahead(
        samples=max(p.lookahead for p in positions if p.lookahead is not None),
        upper_samples=None,
        whole_file=True,
        # Half of what is before the change: no ordinary look-ahead reaches that far.
        cause=explain_whole_file(before, after, place_of(whole[signal]) // 2),
        noise_floor=floor,
        positions=tuple(positions),
        scanned=(min(ats), max(ats)),
        gap_samples=max(ats) - min(ats),
        hop_samples=None,
        period_samples=0,
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


def most_telling(positions: Iterable[Position]) -> str:
    """Name the sounds that were tried most among those that show the largest look-ahead."""
    seen = [(p.lookahead, p.signal) for p in positions if p.lookahead is not None]
    best = max(ahead for ahead, _ in seen)
    counts = {name: [s for _, s in seen].count(name) for ahead, name in seen if ahead == best}
    return max(counts, key=lambda name: (counts[name], name))


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
