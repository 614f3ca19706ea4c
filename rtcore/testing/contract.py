# SPDX-License-Identifier: MIT
"""Run all checks over a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rtcore.errors import RtcoreError
from rtcore.plugin import Plugin
from rtcore.testing import checks, clicks
from rtcore.testing.allocations import count_allocations
from rtcore.testing.case import Case, Finding
from rtcore.testing.isolated import as_question, check_isolated

#: The promises about sound, by name; each is checked in every stream that a plugin takes.
CHECKS: dict[str, Callable[[Case], Iterator[str]]] = {
    "described": checks.described,
    "chunking": checks.chunking,
    "latency": checks.latency,
    "tail": checks.tail,
    "silence": checks.silence,
    "subnormals": checks.subnormals,
    "finite": checks.finite,
    "reset": checks.reset,
    "input": checks.input_untouched,
    "clicks": clicks.clicks,
}


def allowed_cases(
    plugin_class: type[Plugin],
    settings: Mapping[str, Any] | None = None,
    *,
    sample_rate: float = 48000.0,
) -> tuple[list[Case], list[Finding]]:
    """Try a plugin with one and two channels in both real types.

    Parameters
    ----------
    plugin_class : type
        The plugin.
    settings : mapping, optional
        Values of its parameters and settings; its defaults where absent.
    sample_rate : float
        In Hz.

    Returns
    -------
    cases : list of Case
        The streams that it takes.
    findings : list of Finding
        Why it takes none, or why it does not take both real types alike.
    """
    cases: list[Case] = []
    refusals: list[Finding] = []
    for channels in (1, 2):
        both = []
        for dtype in ("float32", "float64"):
            case = Case(plugin_class, dtype, channels, dict(settings or {}), sample_rate)
            try:
                case.chain()
            except RtcoreError as error:
                refusals.append(Finding(plugin_class.id, "prepares", str(case), str(error)))
            else:
                both.append(case)
        cases += both
    # To want two channels is no fault; to play in single precision only is one.
    one_sided = [r for r in refusals if any(str(r.stream)[8:] == str(c)[8:] for c in cases)]
    return cases, one_sided if cases else refusals


def check_plugin(
    plugin_class: type[Plugin],
    settings: Mapping[str, Any] | None = None,
    *,
    sample_rate: float = 48000.0,
    only: Iterable[str] | None = None,
    allocations: bool = True,
) -> list[Finding]:
    """Check everything that a plugin promises, in every stream that it takes.

    Parameters
    ----------
    plugin_class : type
        The plugin.
    settings : mapping, optional
        Values of its parameters and settings; its defaults where absent.
    sample_rate : float
        In Hz.
    only : iterable of str, optional
        Names of :data:`CHECKS`; all by default.
    allocations : bool
        Whether to count allocations too, in a process of its own (about 2 s).

    Returns
    -------
    list of Finding
        Empty where every promise is kept.

    Notes
    -----
    Where everything is checked, and the class can be imported by name, this is done in another
    process: a kernel that leaves its arrays may crash.
    """
    if only is None and allocations:
        question = as_question(plugin_class, settings or {}, sample_rate)
        if question is not None:
            return check_isolated(plugin_class.id, question)
    return check_here(
        plugin_class, settings, sample_rate=sample_rate, only=only, allocations=allocations
    )


def check_here(
    plugin_class: type[Plugin],
    settings: Mapping[str, Any] | None = None,
    *,
    sample_rate: float = 48000.0,
    only: Iterable[str] | None = None,
    allocations: bool = True,
) -> list[Finding]:
    """Check as :func:`check_plugin` does, in this process."""
    cases, findings = allowed_cases(plugin_class, settings, sample_rate=sample_rate)
    for name in CHECKS if only is None else only:
        for case in cases:
            broken = [Finding(plugin_class.id, name, str(case), w) for w in CHECKS[name](case)]
            findings += broken
            if broken:
                break  # the same mistake in the next stream teaches nothing
    if allocations and cases:
        findings += _allocations(plugin_class.id, cases)
    return findings


def _allocations(plugin_id: str, cases: list[Case]) -> list[Finding]:
    try:
        counts = count_allocations(cases)
    except RtcoreError as error:
        return [Finding(plugin_id, "allocations", "", str(error))]
    return [
        Finding(
            plugin_id,
            "allocations",
            str(case),
            f"allocates memory {count} times in 200 blocks; declare a buffer, fill it in prepare()",
        )
        for case, count in zip(cases, counts, strict=True)
        if count
    ][:1]
