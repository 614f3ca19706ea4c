# SPDX-License-Identifier: MIT
"""All checks in their order, and a way to run them that no check can break."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rtcore.doctor.machine import Machine
from rtcore.doctor.record import Judgement, unknown

_LONGEST = 400  # letters of a line

Look = Callable[[Machine], Judgement | list[Judgement]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes
    ----------
    topic : str
        The heading that it stands under.
    name : str
        What it is called where it fails.
    look : function
        Takes a Machine and gives one judgement, or several.
    """

    topic: str
    name: str
    look: Look


def all_checks() -> list[Check]:
    """List all checks but the self-test."""
    from rtcore.doctor import memory, privileges, processors, software, sound, system

    topics: dict[str, dict[str, Look]] = {
        "privileges": privileges.CHECKS,
        "processor": processors.CHECKS,
        "system": {**system.CHECKS, **memory.CHECKS},
        "sound": sound.CHECKS,
        "software": software.CHECKS,
    }
    return [Check(t, name, look) for t, checks in topics.items() for name, look in checks.items()]


def examine(machine: Machine, checks: Iterable[Check]) -> Iterator[tuple[str, Judgement]]:
    """Run checks; one that fails becomes a judgement "unknown" with the reason.

    Yields
    ------
    (str, Judgement)
        The topic, and what was found.
    """
    for check in checks:
        try:
            found = check.look(machine)
        except Exception as error:  # noqa: BLE001 - a check may fail in any way, the doctor may not
            reason = _line(f"{type(error).__name__}: {error}")[:200]
            found = unknown(check.name, f"could not be found out ({reason})")
        for judgement in found if isinstance(found, list) else [found]:
            found_line, remedy_line = _line(judgement.found), _line(judgement.remedy)
            yield check.topic, replace(judgement, found=found_line, remedy=remedy_line)


def _line(text: str) -> str:
    """Bring a text that may quote a file onto one line, without control codes."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_LONGEST]
