# SPDX-License-Identifier: MIT
"""What a rule says of a system, as plain records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

How = Literal["declared", "measured", "derived", "missing"]
Saying = Literal["pass", "fail", "unverified"]


@dataclass(frozen=True)
class Term:
    """One number that a rule asks for.

    Attributes
    ----------
    name : str
        In the rule's words.
    samples : int or None
        None where it is no number of samples, or missing.
    ms : float or None
        The same as a time.
    how : str
        ``declared`` by the system, ``measured``, ``derived`` from both, or ``missing``.
    note : str
        What the number is made of, or how a missing one is given.
    counts : bool
        Whether it is added to the total; the others are shown beside it.
    """

    name: str
    samples: int | None
    ms: float | None
    how: How
    note: str = ""
    counts: bool = False


@dataclass(frozen=True)
class Criterion:
    """One comparison with a limit.

    Attributes
    ----------
    name : str
        What is compared.
    samples, ms : int, float or None
        What was found; at least this much where terms are missing.
    limit_samples, limit_ms : int, float or None
        The largest that is allowed.
    holds : bool or None
        None where missing terms leave it open.
    strict : bool
        Whether the limit itself is already too much.
    """

    name: str
    samples: int | None
    ms: float | None
    limit_samples: int | None
    limit_ms: float | None
    holds: bool | None
    strict: bool = False

    def __str__(self) -> str:
        """Say what was found and what is allowed."""
        if self.ms is None:
            return f"{self.name} is not known"
        relation = {True: "is within", False: "is more than", None: "is so far within"}[self.holds]
        if self.strict and self.holds is False:
            relation = "is not below"
        found = amount(self.samples, self.ms)
        return f"{self.name} of {found} {relation} {amount(self.limit_samples, self.limit_ms)}"


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a system.

    Attributes
    ----------
    name, title : str
        Of the rule.
    verdict : str
        ``pass``, ``fail`` or ``unverified``.
    holds : bool or None
        Whether the limit holds as far as it is known; None where that is open. It differs from
        `verdict` where the text of the rule could not be read.
    terms : tuple of Term
        Every number that the rule asks for, and how it was obtained.
    criteria : tuple of Criterion
        Every comparison; the first is that of `total` and `limit`.
    reason : str
        A sentence or two.
    source, status, definition : str
        Of the rule.
    """

    name: str
    title: str
    verdict: Saying
    holds: bool | None
    terms: tuple[Term, ...]
    criteria: tuple[Criterion, ...]
    reason: str
    source: str = ""
    status: str = ""
    definition: str = ""

    @property
    def total(self) -> float | None:
        """What the rule counts, in ms."""
        return self.criteria[0].ms

    @property
    def limit(self) -> float | None:
        """How much it may be, in ms."""
        return self.criteria[0].limit_ms

    @property
    def total_samples(self) -> int | None:
        """What the rule counts, in samples; None where computing time is part of it."""
        return self.criteria[0].samples

    @property
    def limit_samples(self) -> int | None:
        """How much it may be, in samples, rounded down."""
        return self.criteria[0].limit_samples

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON knows it."""
        return {
            "name": self.name,
            "title": self.title,
            "verdict": self.verdict,
            "holds": self.holds,
            "total_samples": self.total_samples,
            "total_ms": self.total,
            "limit_samples": self.limit_samples,
            "limit_ms": self.limit,
            "reason": self.reason,
            "terms": [asdict(term) for term in self.terms],
            "criteria": [asdict(criterion) for criterion in self.criteria],
            "status": self.status,
            "source": self.source,
        }


#: Headings for :func:`table_rows` and :func:`term_rows`.
COLUMNS = ("rule", "verdict", "total", "limit", "reason")
TERM_COLUMNS = ("rule", "term", "samples", "ms", "how", "note")


def table_rows(verdicts: Iterable[Verdict]) -> list[tuple[str, str, str, str, str]]:
    """Give a row for each verdict, under :data:`COLUMNS`."""
    return [
        (
            v.name,
            v.verdict,
            amount(v.total_samples, v.total),
            amount(v.limit_samples, v.limit),
            v.reason,
        )
        for v in verdicts
    ]


def term_rows(
    verdicts: Iterable[Verdict],
) -> list[tuple[str, str, int | None, float | None, str, str]]:
    """Give a row for each term of each verdict, under :data:`TERM_COLUMNS`."""
    return [
        (v.name, t.name, t.samples, None if t.ms is None else round(t.ms, 3), t.how, t.note)
        for v in verdicts
        for t in v.terms
    ]


def amount(samples: int | None, ms: float | None) -> str:
    """Write a duration for people, such as ``220 samples (4.989 ms)``."""
    if ms is None:
        return "unknown"
    time = f"{round(ms, 3):g} ms"
    if samples is None:
        return time
    return f"{samples} sample{'' if abs(samples) == 1 else 's'} ({time})"
