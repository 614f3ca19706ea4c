# SPDX-License-Identifier: MIT
"""The options with which ``rtcore latency`` is told what to measure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.chain_options import ChainChoice
from rtcore.cli.numbers import Number
from rtcore.errors import ParameterError

if TYPE_CHECKING:
    from rtcore.latency.result import Declared
    from rtcore.latency.systems.base import System

_PATH = click.Path(path_type=Path)
_SECONDS = {"s": 1.0, "ms": 1e-3}
_TIMED_S = 0.01  # from here on a limit is said in seconds
#: The shortest that is not nothing; a limit that is below any sample.
ONE_SAMPLE_S = 1e-9
#: Nothing in a system, and no sound, may last longer.
_LONGEST_S = 600.0


@dataclass(frozen=True)
class Duration:
    """A length, in samples or in seconds.

    Attributes
    ----------
    value : float
        Samples, or seconds.
    timed : bool
        Whether `value` is in seconds.
    """

    value: float
    timed: bool

    def samples(self, rate: int) -> int:
        """Give it in samples."""
        return round(self.value * rate) if self.timed else round(self.value)

    def seconds(self, rate: int) -> float:
        """Give it in seconds."""
        return self.value if self.timed else self.value / rate

    def between(self, option: str, rate: int, *, least_s: float = 0.0) -> Duration:
        """Give it back if it lies in a range.

        Parameters
        ----------
        option : str
            Whose value it is.
        rate : int
            In Hz.
        least_s : float
            The least it may be, in s; no less than a sample unless it is 0.

        Raises
        ------
        ParameterError
            Where it is shorter, or longer than ten minutes.
        """
        low = 1 if least_s else 0
        if self.samples(rate) >= low and least_s <= self.seconds(rate) <= _LONGEST_S:
            return self
        least = f"{least_s:g} s" if least_s >= _TIMED_S else f"{low} sample{'s' * (low != 1)}"
        found = f"{self.samples(rate)} samples at {rate} Hz, which is {self.seconds(rate):g} s"
        what = f"must lie between {least} and {_LONGEST_S:g} s, got {found}"
        raise ParameterError(option, f"{what}; write 512 for samples, or 32ms or 0.5s")


class DurationType(click.ParamType):
    """Reads ``512`` as samples, and ``32ms`` or ``0.5s`` as time."""

    name = "samples|ms|s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Duration:
        """Read a duration, or refuse it."""
        if isinstance(value, Duration):
            return value
        found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*(s|ms)?", str(value).strip())
        if found is None or (found[2] is None and "." in found[1]):
            self.fail(
                f"'{value}' is no duration; write 512 for samples, or 32ms or 0.5s", param, ctx
            )
        return Duration(float(found[1]) * _SECONDS.get(found[2], 1.0), found[2] is not None)


DURATION = DurationType()


def system_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a system other than a chain."""
    options = [
        click.option(
            "--command", metavar="'CMD {in} {out}'", help="Measure a program that works on files."
        ),
        click.option(
            "--callable",
            "function",
            metavar="MODULE:NAME",
            help="Measure a Python function, or a class with process(block).",
        ),
        click.option(
            "--onnx", type=_PATH, metavar="MODEL.onnx", help="Measure a streaming ONNX model."
        ),
        click.option(
            "--make-pairs",
            type=_PATH,
            metavar="DIR",
            help="Write sounds for a system that runs elsewhere; again for a further round.",
        ),
        click.option(
            "--judge",
            "judge_pairs",
            type=_PATH,
            metavar="DIR",
            help="Judge the outputs of such a folder.",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=Number(min=0, min_open=True, max=86400),
            default=120.0,
            show_default=True,
            help="Seconds that one call of --command may take.",
        ),
        click.option(
            "--subtype",
            default="FLOAT",
            show_default=True,
            help="Sample format of the files for --command and --make-pairs.",
        ),
        click.option(
            "--window",
            type=DURATION,
            help="How much sound each call of --onnx gets, where that is more than a hop.",
        ),
        click.option(
            "--onnx-input", metavar="NAME", help="The input of --onnx that gets the sound."
        ),
        click.option(
            "--onnx-output", metavar="NAME", help="The output of --onnx that gives the sound."
        ),
        click.option(
            "--onnx-state",
            "onnx_states",
            multiple=True,
            metavar="IN=OUT",
            help="An input of --onnx that takes over an output of the call before.",
        ),
        click.option(
            "--onnx-constant",
            "onnx_constants",
            multiple=True,
            metavar="NAME=VALUE",
            help="An input of --onnx that stays as it is.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _all_for(kinds: set[str], words: str) -> dict[str, set[str]]:
    return {word: kinds for word in words.split()}  # noqa: C420 - a list of pairs, no shared default


_KINDS = ("chain", "command", "function", "onnx", "make_pairs", "judge_pairs")
_MEASURED = set(_KINDS[:4])
#: Which options hold only for some kinds of systems; all others hold for all.
_ONLY = {
    "timeout_s": {"command"},
    "subtype": {"command", "make_pairs"},
    **_all_for({"onnx"}, "window onnx_input onnx_output onnx_states onnx_constants"),
    **_all_for(_MEASURED | {"make_pairs"}, "rate channels seed duration"),
    **_all_for(_MEASURED, "positions budget_s seconds block"),
    **_all_for(_MEASURED | {"judge_pairs"}, "report as_json frame future latency"),
}
_OPTIONS = {"function": "--callable", "judge_pairs": "--judge", "chain": "a chain"}
_SAID_OTHERWISE = {
    "timeout_s": "--timeout",
    "budget_s": "--budget",
    "as_json": "--json",
    "onnx_states": "--onnx-state",
    "onnx_constants": "--onnx-constant",
}


def check_options(
    choice: ChainChoice, options: dict[str, Any], given: Callable[[str], bool]
) -> None:
    """Refuse two systems at once, and options that would be passed over.

    Parameters
    ----------
    choice : ChainChoice
        The chain, where nothing else is named.
    options : dict
        Of the command.
    given : function
        Tells of the name of an option whether it stands on the command line.

    Raises
    ------
    UsageError
        Where there is something to refuse.
    """
    named = [word for word in _KINDS[1:] if options[word] is not None]
    if len(named) + choice.given > 1:
        what = "name one system: a chain, --command, --callable, --onnx, --make-pairs or --judge"
        raise click.UsageError(what)
    kind = named[0] if named else "chain"
    for word, kinds in _ONLY.items():
        if given(word) and kind not in kinds:
            others = " or ".join(_option(one) for one in _KINDS if one in kinds)
            raise click.UsageError(
                f"{_option(word)} has no effect on {_option(kind)}; leave it out, or use it with "
                f"{others}"
            )
    if kind == "make_pairs" and (options["make_pairs"] / "pairs.json").exists():
        for word in ("rate", "channels", "seed", "duration", "hop", "subtype"):
            if given(word):
                raise click.UsageError(
                    f"{_option(word)}: {options['make_pairs']} holds pairs already, and a further "
                    "round of them is as they are; leave it out, or name another folder"
                )


def _option(word: str) -> str:
    """Give the name of an option, or of a kind of system, as users write it."""
    return _OPTIONS.get(word) or _SAID_OTHERWISE.get(word) or f"--{word.replace('_', '-')}"


def make_system(
    choice: ChainChoice,
    options: dict[str, Any],
    rate: int,
    declared: Callable[[int], Declared],
) -> System:
    """Make what the options name.

    Parameters
    ----------
    choice : ChainChoice
        The chain, where nothing else is named.
    options : dict
        Of the command.
    rate : int
        In Hz, where the system does not say itself.
    declared : function
        Gives what the user says of the system, for a sample rate.

    Raises
    ------
    RtcoreError
        Where it cannot be made.
    """
    named = [word for word in ("command", "function", "onnx") if options[word] is not None]
    channels = options["channels"] or 1
    if "command" in named:
        from rtcore.latency.systems.command import CommandSystem

        return CommandSystem(
            options["command"],
            rate,
            channels,
            declared(rate),
            subtype=options["subtype"],
            timeout_s=options["timeout_s"],
        )
    if "function" in named:
        from rtcore.latency.systems.callables import CallableSystem

        target, block = options["function"], options["block"]
        return CallableSystem(target, rate, channels, declared(rate), block=block)
    if "onnx" in named:
        return _onnx(options, rate, channels, declared(rate))
    return _chain(choice, options, rate, declared)


def _onnx(options: dict[str, Any], rate: int, channels: int, declared: Declared) -> System:
    from rtcore.latency.systems.onnx_model import OnnxSystem

    hop, window = options["hop"], options["window"]
    constants = {
        name: _number(name, value)
        for name, value in _assignments("--onnx-constant", options["onnx_constants"]).items()
    }
    return OnnxSystem(
        str(options["onnx"]),
        rate,
        channels,
        declared,
        audio_input=options["onnx_input"],
        audio_output=options["onnx_output"],
        states=_assignments("--onnx-state", options["onnx_states"]),
        constants=constants,
        hop=hop.samples(rate) if hop else None,
        window=window.between("--window", rate, least_s=ONE_SAMPLE_S).samples(rate)
        if window
        else None,
    )


def _assignments(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, value) in zip(texts, pairs, strict=True):
        if not (name and equals and value):
            raise click.UsageError(f"{option} {text}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        what = f"--onnx-constant {name}={value}: '{value}' is no number; write it like sr=16000"
        raise click.UsageError(what) from None


def _chain(
    choice: ChainChoice, options: dict[str, Any], rate: int, declared: Callable[[int], Declared]
) -> System:
    from rtcore.latency.systems.base import ChainSystem

    recipe = choice.recipe(default="N3")
    own = recipe.config.sample_rate if recipe.config is not None else None
    given = options["channels"] or (recipe.config.channels if recipe.config is not None else None)
    config = recipe.config_for(float(options["rate"] or own or rate), given or 2)
    name = str(choice.chain) if choice.chain else " ".join(choice.plugins) or "hearing aid"
    system = ChainSystem(config.build(), name)
    said = {key: v for key, v in asdict(declared(system.sample_rate)).items() if v is not None}
    system.declared = replace(system.declared, **said)
    return system
