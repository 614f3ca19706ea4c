# SPDX-License-Identifier: MIT
"""What challenges call frame, stride, look-ahead and offset, from what was measured.

Let R be the largest look-ahead with the output as it stands, D the delay of the output and H the
hop. An STFT with window W, hop H and L future frames whose output is aligned (D = 0) has in its
worst phase R = W - 1 + L H. Where its output is D later, R falls by D, so that

    frame + look-ahead  =  W + L H  =  D + R + 1

however the system is aligned. That holds down to R = 0: an output that knows nothing later (R < 0)
is not late for the sake of a frame, but by a delay that counts for itself, so R counts as 0 then
and NAL-R's 221 taps (R = 0, D = 110) have 111.

A block of H samples must be gathered before it can be processed. Whether that is part of the
sum depends on what the scan has seen:

* The look-ahead recurs with a period: the blocks show in the output, R contains the gathering (or
  D does, where a host has re-blocked it), and the sum is whole: ``max(D + max(R, 0) + 1, H)``.
* It is the same at all positions: the system works sample by sample, and what gathers blocks is
  whatever runs it, which the files do not show: ``D + max(R, 0) + H``.
* Nothing is known of a period: ``D + max(R + 1, H)``, the least that fits.

The *offset without buffering* is the same sum without the hop that must be gathered anyway: W - H
plus L H for the STFT, none for overlap-save, k - 1 for a kernel of k taps. A hop
longer than the one that was seen is not taken off, or else anybody could declare a long one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rtcore.latency.result import Compute, Measurement
from rtcore.latency.rules.schema import Statistic
from rtcore.latency.rules.verdict import How, Term

TRUSTED = 0.5
"""Least confidence with which a measured delay counts."""

_TOLERANCE = 1
_PERCENT = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}

NO_HOP = "no hop is known: give it with --hop, or try more --positions"
NO_DELAY = (
    "the delay could not be measured: give it with --latency, or the frame with --frame and what "
    "it waits for with --future"
)
NO_COMPUTE = (
    "no computing time per block was measured: give a system that can be fed block by block, and "
    "long enough --seconds"
)


@dataclass(frozen=True)
class Number:
    """Some samples and where they come from; `known` False where they are only a lower bound."""

    samples: int
    how: How
    note: str = ""
    known: bool = True


@dataclass(frozen=True)
class Cost:
    """Computing time of a block, in ms; `known` False where a mean stands for a percentile."""

    ms: float
    how: How
    note: str
    known: bool = True


class Facts:
    """The terms of a measurement.

    Parameters
    ----------
    measurement : Measurement
        What was found out.
    ahead : int, optional
        A look-ahead in place of the measured one, to see what a larger one would mean.
    """

    def __init__(self, measurement: Measurement, ahead: int | None = None) -> None:
        self.measurement = measurement
        self.rate = measurement.sample_rate
        self.ahead = measurement.lookahead.samples if ahead is None else ahead

    def ms(self, samples: int) -> float:
        """Turn samples into ms."""
        return 1000.0 * samples / self.rate

    def term(self, name: str, number: Number, *, counts: bool = False) -> Term:
        """Make a line of the table."""
        samples, note = number.samples, number.note
        if not number.known:
            return Term(name, None, None, "missing", note, counts)
        return Term(name, samples, self.ms(samples), number.how, note, counts)

    @cached_property
    def delay(self) -> Number:
        """D: measured, else as declared."""
        found, said = self.measurement.delay, self.measurement.declared.latency_samples
        sure = "" if found is None else f"confidence {found.confidence:.2f}"
        if found is not None and found.confidence >= TRUSTED:
            return Number(round(found.samples), "measured", sure)
        if said is not None:
            return Number(said, "declared", f"measured with too little confidence; {sure}".strip())
        if found is not None:
            note = f"{sure}, which is too little; {NO_DELAY}"
            return Number(round(found.samples), "measured", note, known=False)
        return Number(max(-self.ahead, 0), "missing", NO_DELAY, known=False)

    @cached_property
    def period(self) -> int | None:
        """The period with which the look-ahead was seen to recur; 1 where it is constant."""
        return self.measurement.lookahead.hop_samples

    @cached_property
    def hop(self) -> Number:
        """H: declared, else seen, else the block that was timed, else a single sample."""
        said = self.measurement.declared.hop_samples
        compute = self.measurement.compute
        if said is not None:
            return Number(said, "declared")
        if self.period is not None and self.period > 1:
            return Number(self.period, "measured", "period of the look-ahead")
        if compute is not None and compute.block_samples is not None:
            return Number(compute.block_samples, "measured", "the block that was timed")
        if self.period == 1:
            return Number(1, "measured", "the look-ahead is the same at all positions")
        return Number(1, "missing", NO_HOP, known=False)

    @cached_property
    def framed(self) -> Number:
        """Frame + look-ahead; see the head of this file."""
        late, hop, ahead = self.delay, self.hop, self.ahead
        if not late.known:
            return self._framed_as_declared or Number(
                max(ahead + 1, 1), "missing", late.note, known=False
            )
        if self.period == 1:
            samples, formula = late.samples + max(ahead, 0) + hop.samples, "D + R + H"
        elif self.period is not None:
            samples, formula = max(late.samples + max(ahead, 0) + 1, hop.samples), "D + R + 1"
        else:
            samples, formula = late.samples + max(ahead + 1, hop.samples), "D + max(R + 1, H)"
        # No hop is longer than its frame, so one is needed only where no frame settles the sum.
        frame = self.measurement.declared.frame_samples
        if not hop.known and (frame is None or ahead + 1 < frame):
            return Number(samples, "missing", hop.note, known=False)
        note = f"{formula}; D: delay, R: look-ahead (0 where negative), H: hop"
        return Number(samples, "derived", note)

    @property
    def _framed_as_declared(self) -> Number | None:
        said = self.measurement.declared
        if said.frame_samples is None:
            return None
        samples = said.frame_samples + (said.future_samples or 0)
        return Number(samples, "declared", "the delay could not be measured")

    @cached_property
    def buffered(self) -> Number:
        """The hop that is gathered anyway: as seen; as declared where that is less, or unseen."""
        if self.period is None:
            return self.hop
        if self.hop.how == "declared" and self.hop.samples < self.period:
            return self.hop
        return Number(self.period, "measured", "period of the look-ahead")

    @cached_property
    def offset(self) -> Number:
        """The offset without buffering; no more than this where the hop is not known."""
        late, off = self.delay, self.buffered.samples
        if not late.known:
            declared = self._framed_as_declared
            least = self.ahead + 1 if declared is None else declared.samples
            how: How = "missing" if declared is None else "declared"
            return Number(max(least - off, 0), how, late.note, known=declared is not None)
        if self.period is None:
            samples = late.samples + max(self.ahead + 1 - off, 0)
        else:
            samples = max(late.samples + max(self.ahead, 0) + 1 - off, 0)
        note = "D + R + 1 - H; D: delay, R: look-ahead (0 where negative), H: hop"
        return Number(samples, "derived", note)

    def cost(self, statistic: Statistic, samples: int) -> Cost | None:
        """Give the time that `samples` samples take to compute, None where none was measured.

        Where blocks of another size were timed: longer ones in proportion; of shorter ones either
        all cost the same, and their mean in proportion counts, or the one that completes the hop
        does all the work, and then a correspondingly higher percentile of them counts. The larger
        of the two is taken.
        """
        compute = self.measurement.compute
        if compute is None:
            return None
        mean = compute.idle.rtf * self.ms(samples)
        block = compute.block_samples
        if block is None:
            note = f"mean over the whole file, no {statistic} of blocks; {NO_COMPUTE}"
            return Cost(mean, "derived", note, known=False)
        if block == samples:
            note = f"{statistic} of {compute.idle.blocks} blocks of {block} samples"
            return Cost(compute.idle.ms[statistic], "measured", note)
        note = f"from blocks of {block} samples, for {samples}"
        if block > samples:
            ms = compute.idle.ms[statistic] * samples / block
            return Cost(ms, "derived", f"{statistic} {note}")
        share = block / samples
        finest = _percentile(compute, 100.0 - (100.0 - _PERCENT[statistic]) * share)
        return Cost(max(mean, compute.idle.ms[finest]), "derived", f"mean or {finest} {note}")


def _percentile(compute: Compute, percent: float) -> str:
    """Name the smallest percentile that was measured and is at least this high."""
    return next(k for k, v in _PERCENT.items() if v >= percent - 1e-9 and k in compute.idle.ms)


def contradictions(measurement: Measurement) -> list[str]:
    """Say where a system is not what it declares to be; nothing where it is, or declares nothing.

    A look-ahead may be a sample shorter than declared (the edge of a window has no weight), and a
    sample longer where two runs are not equal. A delay may differ by a sample, and counts only
    where it was measured with some confidence.
    """
    found = [_faulty(measurement), _lookahead_differs(measurement), _latency_differs(measurement)]
    return [sentence for sentence in [*found, _hop_differs(measurement)] if sentence]


def _faulty(m: Measurement) -> str:
    count = m.lookahead.faulty_samples
    if not count:
        return ""
    return f"its output holds NaN or infinite samples, {count} in one sound"


def _trusted_delay(m: Measurement) -> int | None:
    return m.latency_samples if m.delay is not None and m.delay.confidence >= TRUSTED else None


def _lookahead_differs(m: Measurement) -> str:
    said = m.declared.implied_lookahead_samples
    if said is None or m.lookahead.whole_file:
        return ""
    late = _trusted_delay(m)
    open_delay = m.declared.lookahead_samples is None and m.declared.latency_samples is None
    # A frame alone says nothing of where the output stands.
    possible = {said, said - late} if open_delay and late is not None else {said}
    seen = m.lookahead.samples
    more = 0 if m.lookahead.deterministic else _TOLERANCE
    if any(-_TOLERANCE <= seen - value <= more for value in possible):
        return ""
    return f"the declared look-ahead is {said} samples, and {seen} were measured"


def _latency_differs(m: Measurement) -> str:
    said, late = m.declared.latency_samples, _trusted_delay(m)
    if said is None or late is None or abs(said - late) <= _TOLERANCE:
        return ""
    return f"the declared latency is {said} samples, and {late} were measured"


def _hop_differs(m: Measurement) -> str:
    said, seen = m.declared.hop_samples, m.lookahead.hop_samples
    if said is None or seen is None or not m.lookahead.deterministic:
        return ""
    # Several hops can be processed at once, and slower rhythms can lie on top of the hop.
    slower = seen % said == 0 and not _steps_of(m, seen)
    if said % seen == 0 or slower:
        return ""
    return f"the declared hop is {said} samples, and the look-ahead recurs every {seen}"


def _steps_of(m: Measurement, period: int) -> bool:
    """Say whether the output is renewed only once a period: whether the look-ahead spans it."""
    ahead: dict[str, list[int]] = {}
    for p in m.lookahead.positions:
        if p.lookahead is not None:
            ahead.setdefault(p.signal, []).append(p.lookahead)
    telling = max(ahead.values(), key=max, default=[0])
    return max(telling) - min(telling) + 1 >= period
