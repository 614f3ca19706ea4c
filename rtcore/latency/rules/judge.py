# SPDX-License-Identifier: MIT
"""Judge a measurement by a rule.

Each convention counts something else; :mod:`rtcore.latency.rules.facts` says how each number
follows from what was measured.

``future samples``
    The largest look-ahead with the output as it stands.
``frame + look-ahead``
    What must be waited for, with the gathering of a frame.
``frame + stride + look-ahead``
    The same, and a hop.
``offset without buffering``
    What must be waited for, but for the hop that is gathered anyway.
``beyond the packet``
    How many samples of later packets are known. Packets begin with the file. A change at sample n
    may show from the first sample of n's packet on, and not before.

A rule is broken where a limit is exceeded, where the output depends on the whole file, and where
what a system declares is not what was measured. Where a term is missing the verdict is open,
unless the known terms alone are too much. Whatever was measured, a rule whose text could not be
read is never said to be kept or broken: `holds` says what would follow from what is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from rtcore.latency.result import Measurement
from rtcore.latency.rules.facts import (
    NO_COMPUTE,
    NO_HOP,
    Cost,
    Facts,
    Number,
    contradictions,
)
from rtcore.latency.rules.schema import Rule
from rtcore.latency.rules.verdict import Criterion, Saying, Term, Verdict

NO_BORDER = (
    "too few positions at the start of a packet were tried: let packets begin with the file, and "
    "try more --positions"
)
_SEVERAL = 8


@dataclass
class _Case:
    """A rule, a measurement, and what has been found so far."""

    rule: Rule
    facts: Facts
    terms: list[Term] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def compare(self, name: str, number: Number, limit_ms: Fraction | None = None) -> None:
        """Hold samples against a limit."""
        rate = self.facts.rate
        limit = self.rule.limit.in_ms(rate) if limit_ms is None else limit_ms
        most = int(limit * rate / 1000)
        holds = False if number.samples > most else (True if number.known else None)
        if holds is None:
            self.missing.append(number.note)
        ms = self.facts.ms(number.samples)
        self.criteria.append(Criterion(name, number.samples, ms, most, float(limit), holds))


def judge(rule: Rule, measurement: Measurement) -> Verdict:
    """Say whether a system keeps a rule.

    Parameters
    ----------
    rule : Rule
        See :func:`rtcore.latency.rules.find_rule`.
    measurement : Measurement
        Of the system.

    Returns
    -------
    Verdict
        With every term, how it was obtained, and the reason in words.
    """
    case = _judged(rule, Facts(measurement))
    faults = contradictions(measurement)
    if measurement.lookahead.whole_file:
        faults.insert(0, f"the output depends on the whole file ({measurement.lookahead.cause})")
    broken = [str(c) for c in case.criteria if c.holds is False]
    holds: bool | None = True
    if faults or broken:
        holds = False
    elif case.missing or (measurement.kind == "pairs" and _could_break(case)):
        holds = None  # a round of pairs brackets the look-ahead, and may leave the limit open
    saying: Saying = {True: "pass", False: "fail", None: "unverified"}[holds]  # type: ignore[assignment]
    if rule.status == "unread":
        saying = "unverified"
    return Verdict(
        name=rule.name,
        title=rule.title,
        verdict=saying,
        holds=holds,
        terms=(*case.terms, *_declarations(case.facts)),
        criteria=tuple(case.criteria),
        reason=_reason(case, faults, broken, holds),
        source="; ".join(rule.source),
        status=rule.status,
        definition=" ".join(rule.definition.split()),
    )


def judge_all(rules: Iterable[Rule], measurement: Measurement) -> list[Verdict]:
    """Judge a system by several rules, in their order."""
    return [judge(rule, measurement) for rule in rules]


def _judged(rule: Rule, facts: Facts) -> _Case:
    """Make the comparisons that a rule asks for."""
    case = _Case(rule, facts)
    {
        "future samples": _future,
        "frame + look-ahead": _framed,
        "frame + stride + look-ahead": _framed,
        "offset without buffering": _offset,
        "beyond the packet": _packet,
    }[rule.convention](case)
    if rule.unshifted_limit_ms is not None:
        ahead = Number(facts.ahead, "measured")
        limit = Fraction(str(rule.unshifted_limit_ms))
        case.compare("the look-ahead with the output as it stands", ahead, limit)
    _computing(case)
    return case


def _common(case: _Case, *, ahead_counts: bool = False) -> None:
    """Show look-ahead, delay and what remains of the look-ahead once the delay is taken out."""
    facts = case.facts
    late = facts.delay
    case.terms.append(facts.term("look-ahead", _ahead(facts), counts=ahead_counts))
    case.terms.append(facts.term("delay", late))
    if late.known:
        note = "look-ahead + delay"
        rest = Number(facts.ahead + late.samples, "derived", note)
        case.terms.append(facts.term("aligned look-ahead", rest))


def _ahead(facts: Facts) -> Number:
    whole = facts.measurement.lookahead.whole_file
    return Number(facts.ahead, "measured", "at least: the whole file counts" if whole else "")


def _future(case: _Case) -> None:
    _common(case, ahead_counts=True)
    case.compare("the look-ahead", _ahead(case.facts))


def _framed(case: _Case) -> None:
    facts = case.facts
    total, stride = facts.framed, facts.hop
    with_stride = case.rule.convention == "frame + stride + look-ahead"
    case.terms.extend(_split(facts))
    case.terms.append(facts.term("stride", stride, counts=with_stride))
    _common(case)
    if with_stride:
        note = "; ".join(dict.fromkeys(n.note for n in (total, stride) if not n.known))
        known = total.known and stride.known
        total = Number(total.samples + stride.samples, "derived", note, known)
    case.compare(case.rule.convention, total)


def _split(facts: Facts) -> list[Term]:
    """Divide the sum into the declared frame and the rest, where a frame is declared."""
    total, frame = facts.framed, facts.measurement.declared.frame_samples
    if frame is None or not total.known or total.samples < frame:
        return [facts.term("frame + look-ahead", total, counts=True)]
    ahead = Number(
        total.samples - frame, total.how, f"frame + look-ahead, less the frame: {total.note}"
    )
    first = Number(frame, "declared")
    return [
        facts.term("frame", first, counts=True),
        facts.term("look-ahead after the frame", ahead, counts=True),
    ]


def _offset(case: _Case) -> None:
    facts = case.facts
    case.terms.append(facts.term("offset without buffering", facts.offset, counts=True))
    case.terms.append(facts.term("hop that is gathered anyway", facts.buffered))
    _common(case)
    most = case.rule.limit.in_samples(facts.rate)
    offset = facts.offset
    if not facts.buffered.known and offset.samples > most:
        # A hop taken off would make it less: how much less is open.
        case.terms[0] = Term(case.terms[0].name, None, None, "missing", NO_HOP, counts=True)
        case.missing.append(NO_HOP)
        limit = float(case.rule.limit.in_ms(facts.rate))
        case.criteria.append(Criterion(case.rule.convention, None, None, most, limit, None))
    else:
        case.compare("the offset without buffering", offset)


def _packet(case: _Case) -> None:
    facts, packet = case.facts, case.rule.packet_samples
    assert packet is not None
    seen = [(p.at, p.first) for p in facts.measurement.lookahead.positions if p.first is not None]
    known = [at // packet * packet - first for at, first in seen]
    # Whatever the positions: no sample of a packet is further from its end than this.
    least = facts.ahead - packet + 1
    worst = max([least, min(facts.ahead, 0), *known])
    proved = facts.ahead <= 0 or worst > 0 or _borders(seen, packet) >= _wanted(facts, packet)
    note = "samples of later packets that are known; negative where there is room"
    number = Number(worst, "measured", note if proved else NO_BORDER, known=proved)
    case.terms.append(facts.term("look-ahead beyond the packet", number, counts=True))
    case.terms.append(facts.term("packet", Number(packet, "declared", "by the rule")))
    _common(case)
    case.compare("the look-ahead beyond the packet", number)
    if facts.rate not in (case.rule.sample_rates or (facts.rate,)):
        rates = ", ".join(map(str, case.rule.sample_rates))
        case.missing.append(f"packets have {packet} samples at {rates} Hz: measure at that rate")


def _borders(seen: Iterable[tuple[int, int]], packet: int) -> int:
    """Count the borders between packets across which nothing was known."""
    after = [(-(-at // packet) * packet, first) for at, first in seen]
    return len({border for border, first in after if border <= first})


def _wanted(facts: Facts, packet: int) -> int:
    """Say how many borders must be seen: one, if all are alike."""
    return 1 if facts.period is not None and packet % facts.period == 0 else _SEVERAL


def _computing(case: _Case) -> None:
    """Hold the computing time against its limit, or add it to the total."""
    rule, facts = case.rule.compute, case.facts
    if rule.rule == "none":
        return
    stride = facts.hop
    if rule.rule == "below packet":
        assert case.rule.packet_samples is not None
        stride = Number(case.rule.packet_samples, "declared")
    added = rule.rule == "part of the total"
    cost = facts.cost(rule.statistic, stride.samples) if stride.known else None
    if cost is None:
        note = NO_COMPUTE if stride.known else stride.note
        case.terms.append(Term("computing", None, None, "missing", note, added))
    else:
        case.terms.append(Term("computing", None, cost.ms, cost.how, cost.note, added))
    if cost is None or not cost.known:
        case.missing.append(stride.note if not stride.known else NO_COMPUTE)
    if added:
        _add(case, cost)
        return
    limit = rule.limit_ms if rule.limit_ms is not None else facts.ms(stride.samples)
    found = None if cost is None else cost.ms
    holds = None if cost is None or not cost.known else cost.ms < limit
    name = f"the computing time ({rule.statistic})"
    case.criteria.append(Criterion(name, None, found, None, limit, holds, strict=True))


def _add(case: _Case, cost: Cost | None) -> None:
    """Make computing time part of the total."""
    first = case.criteria[0]
    if first.ms is None or first.samples is None or first.limit_ms is None:
        return
    limit = case.rule.limit.in_ms(case.facts.rate)
    exact = Fraction(first.samples * 1000, case.facts.rate)
    counted = cost is not None and cost.known
    total = exact + (Fraction(cost.ms) if cost is not None and counted else 0)
    holds = False if total > limit else (first.holds if counted else None)
    name = f"{first.name} + computing" if counted else f"{first.name} without computing"
    samples = None if counted else first.samples
    case.criteria[0] = Criterion(name, samples, float(total), None, float(limit), holds)


def _declarations(facts: Facts) -> list[Term]:
    """Show what a system declares beside what was measured."""
    said = facts.measurement.declared
    names = {
        "declared frame": said.frame_samples,
        "declared hop": said.hop_samples,
        "declared future": said.future_samples,
        "declared latency": said.latency_samples,
        "declared look-ahead": said.implied_lookahead_samples,
    }
    return [
        facts.term(name, Number(samples, "declared"))
        for name, samples in names.items()
        if samples is not None
    ]


def _reason(case: _Case, faults: list[str], broken: list[str], holds: bool | None) -> str:
    """Say in words why, the decisive things first."""
    if holds is False:
        parts = [*faults, *broken]
    elif holds is None:
        parts = [*dict.fromkeys(case.missing), *(str(c) for c in case.criteria if c.ms is not None)]
    else:
        parts = [str(c) for c in case.criteria]
    if case.rule.status == "unread":
        known = {True: "is kept", False: "is broken", None: "cannot be judged"}[holds]
        parts.insert(0, f"the rule's own text could not be read; the limit as far as known {known}")
    parts += _remarks(case)
    return "; ".join(parts)


def _could_break(case: _Case) -> bool:
    """Say whether what the positions leave open would break what they keep."""
    facts = case.facts
    upper = facts.measurement.lookahead.upper_samples
    if upper is None or upper <= facts.measurement.lookahead.samples:
        return False
    held = [c.holds for c in case.criteria]
    then = [c.holds for c in _judged(case.rule, Facts(facts.measurement, upper)).criteria]
    return any(a is not False and b is False for a, b in zip(held, then, strict=True))


def _remarks(case: _Case) -> list[str]:
    """Say what may have been missed, and what is unusual."""
    seen, facts = case.facts.measurement.lookahead, case.facts
    found: list[str] = []
    if _could_break(case):
        what = f"a look-ahead of up to {seen.upper_samples} samples could have been missed"
        pairs = facts.measurement.kind == "pairs"
        remedy = "add a round of files with --make-pairs" if pairs else "give a larger --budget"
        found.append(f"{what} ({remedy})")
    if not seen.deterministic:
        what = f"two runs on one input differ by up to {seen.noise_floor:.2g}"
        found.append(f"{what}, so what shows less than that was not seen")
    rates = case.rule.sample_rates
    if rates and facts.rate not in rates and case.rule.convention != "beyond the packet":
        wanted = " or ".join(map(str, rates))
        found.append(f"measured at {facts.rate} Hz, the challenge's sounds have {wanted} Hz")
    return found
