# SPDX-License-Identifier: MIT
"""What a rule says, and the TOML files that say it: rtcore's own and those of users."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rtcore.errors import ConfigError, did_you_mean
from rtcore.tomlfile import read_form

#: What is counted, see :mod:`rtcore.latency.rules.judge`.
Convention = Literal[
    "future samples",
    "frame + look-ahead",
    "frame + stride + look-ahead",
    "offset without buffering",
    "beyond the packet",
]
#: How much computing time may be: nothing is said, it must end within a stride or a packet, or it
#: is added to the rest.
ComputeRule = Literal["none", "below stride", "below packet", "part of the total"]
Statistic = Literal["p50", "p95", "p99", "p99.9", "max"]
#: ``primary``: the organisers' own text was read; ``secondary``: another's text about it;
#: ``unread``: neither decides, so that no verdict is given.
Status = Literal["primary", "secondary", "unread"]

EVERY = "all"

_Text = Annotated[str, Field(min_length=1, max_length=5000)]
_Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
_Rate = Annotated[int, Field(ge=1000, le=768000)]
_Positive = Annotated[float, Field(gt=0, le=100000, allow_inf_nan=False)]
_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)


class Limit(BaseModel):
    """The largest allowed number.

    Attributes
    ----------
    value : float
        Which still keeps the rule.
    unit : str
        ``ms`` or ``samples``.
    """

    model_config = _STRICT

    value: float = Field(ge=0, le=10_000_000, allow_inf_nan=False)
    unit: Literal["ms", "samples"]

    def in_ms(self, sample_rate: int) -> Fraction:
        """Give the limit in ms, without rounding."""
        value = Fraction(str(self.value))
        return value if self.unit == "ms" else value * 1000 / sample_rate

    def in_samples(self, sample_rate: int) -> int:
        """Give the largest whole number of samples within the limit."""
        return int(self.in_ms(sample_rate) * sample_rate / 1000)


class ComputeLimit(BaseModel):
    """What a rule says of computing time.

    Attributes
    ----------
    rule : str
        See :data:`ComputeRule`.
    statistic : str
        Which of the measured times counts.
    limit_ms : float or None
        In place of the duration of a stride or packet.
    """

    model_config = _STRICT

    rule: ComputeRule = "none"
    statistic: Statistic = "p95"
    limit_ms: _Positive | None = None


class Rule(BaseModel):
    """A published limit.

    Attributes
    ----------
    name : str
        By which it is called.
    title : str
        For people.
    aliases : tuple of str
        Other names.
    editions : tuple of str
        Of the challenge for which it holds.
    convention : str
        See :data:`Convention`.
    limit : Limit
        Of what the convention counts.
    unshifted_limit_ms : float or None
        Limit of the look-ahead with the output as it stands, beside the other.
    packet_samples : int or None
        For the convention ``beyond the packet``.
    compute : ComputeLimit
        Limit of computing time.
    sample_rates : tuple of int
        Of the challenge's sounds, in Hz; empty where any will do.
    definition : str
        What the rule says, in few words.
    source : tuple of str
        Where it is written.
    status : str
        See :data:`Status`.
    notes : str
        What else one should know.
    """

    model_config = _STRICT

    name: _Word
    title: _Text
    aliases: Annotated[tuple[_Word, ...], Field(strict=False)] = ()
    editions: Annotated[tuple[_Text, ...], Field(strict=False)] = ()
    convention: Convention
    limit: Limit
    unshifted_limit_ms: _Positive | None = None
    packet_samples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    compute: ComputeLimit = ComputeLimit()
    sample_rates: Annotated[tuple[_Rate, ...], Field(strict=False)] = ()
    definition: _Text
    source: Annotated[tuple[_Text, ...], Field(strict=False, min_length=1)]
    status: Status
    notes: Annotated[str, Field(max_length=5000)] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        packets = self.convention == "beyond the packet" or self.compute.rule == "below packet"
        if packets and self.packet_samples is None:
            raise ValueError("a rule about packets needs packet_samples")
        if self.name == EVERY or EVERY in self.aliases:
            raise ValueError(f"a rule cannot be called {EVERY}, which stands for every rule")
        return self


@cache
def _shipped() -> tuple[Rule, ...]:
    folder = resources.files(__package__ or "rtcore.latency.rules")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(_rule(file, file.name) for file in files)


def load_rules() -> list[Rule]:
    """Read the rules that come with rtcore, by name."""
    return list(_shipped())


def load_rule(path: str | os.PathLike[str]) -> Rule:
    """Read a rule of the user's own.

    Parameters
    ----------
    path : path
        A TOML file with the keys of :class:`Rule`.

    Raises
    ------
    ConfigError
        Naming the file and the key, what was found there and what is wanted.
    """
    return _rule(Path(path), os.fspath(path))


def find_rule(name: str) -> Rule:
    """Find a rule by its name, one of its other names, or the path of its file.

    Parameters
    ----------
    name : str
        Such as ``clarity``, ``CEC2`` or ``rules/mine.toml``.

    Raises
    ------
    ConfigError
        Where there is no such rule, or its file says something impossible.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    for rule in _shipped():
        if wanted == rule.name or wanted in rule.aliases:
            return rule
    if wanted.endswith(".toml") or os.sep in name:
        return load_rule(name)
    names = [rule.name for rule in _shipped()]
    known = [*names, EVERY, *(alias for rule in _shipped() for alias in rule.aliases)]
    there = f"there are {', '.join(names)}, {EVERY}, and TOML files of your own"
    raise ConfigError("--rule", f"no rule is called {name!r}{did_you_mean(wanted, known)}; {there}")


def find_rules(names: Iterable[str]) -> list[Rule]:
    """Find several rules, each once; ``all`` stands for those that come with rtcore.

    Raises
    ------
    ConfigError
        As :func:`find_rule`.
    """
    found: dict[str, Rule] = {}
    for name in names:
        some = _shipped() if name.strip().lower() == EVERY else (find_rule(name),)
        for rule in some:
            if found.setdefault(rule.name, rule) != rule:
                what = f"two different rules are called {rule.name!r}; give one another name"
                raise ConfigError("--rule", what)
    return list(found.values())


def _rule(file: Path | Traversable, name: str) -> Rule:
    return read_form(file, name, Rule, what="a rule")
