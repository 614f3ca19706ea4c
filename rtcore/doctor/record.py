# SPDX-License-Identifier: MIT
"""What the doctor says: one judgement for each thing looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The four words of a judgement."""

    GOOD = "good"
    IMPROVE = "could be better"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fix:
    """A shell command that mends something; the doctor prints it and never runs it.

    Attributes
    ----------
    command : str
        One line for a POSIX shell.
    root : bool
        Whether it needs root (it then begins with, or contains, ``sudo``).
    login : bool
        Whether it takes effect at the next log-in only.
    reboot : bool
        Whether it takes effect at the next start of the machine only.
    lasts : bool
        False where it is forgotten when the machine or the sound server starts again.
    """

    command: str
    root: bool = False
    login: bool = False
    reboot: bool = False
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about one thing, and what to do about it.

    Attributes
    ----------
    name : str
        The thing, such as ``real-time priority``.
    status : Status
        How good it is for sound in real time.
    found : str
        What was found, in one line.
    remedy : str
        What to do, in one line; empty where nothing needs to be done.
    fixes : tuple of Fix
        The same as commands.
    impossible : bool
        Whether it makes real-time sound impossible, so that the command leaves with 1.
    figures : dict
        Numbers behind the words, for JSON.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""
    fixes: tuple[Fix, ...] = ()
    impossible: bool = False
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        return asdict(self) | {"status": self.status.value}


def good(name: str, found: str, **figures: Any) -> Judgement:
    """Judge something as it should be."""
    return Judgement(name, Status.GOOD, found, figures=figures)


def improve(name: str, found: str, remedy: str, *fixes: Fix, **figures: Any) -> Judgement:
    """Judge something that costs late blocks now and then."""
    return Judgement(name, Status.IMPROVE, found, remedy, fixes, figures=figures)


def bad(
    name: str, found: str, remedy: str, *fixes: Fix, impossible: bool = False, **figures: Any
) -> Judgement:
    """Judge something that will be heard."""
    return Judgement(name, Status.BAD, found, remedy, fixes, impossible, figures)


def unknown(name: str, found: str, remedy: str = "", **figures: Any) -> Judgement:
    """Say that something could not be found out."""
    return Judgement(name, Status.UNKNOWN, found, remedy, figures=figures)
