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

if TYPE_CHECKING:
    from rtcore.latency.result import Declared
    from rtcore.latency.systems.base import System

_PATH = click.Path(path_type=Path)
_SECONDS = {"s": 1.0, "ms": 1e-3}


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
            "--command", metavar="'CMD {in} {out}'", help="A program that works on files."
        ),
        click.option("--callable", "function", metavar="MODULE:NAME", help="A Python function."),
        click.option("--onnx", type=_PATH, metavar="MODEL.onnx", help="A streaming ONNX model."),
        click.option(
            "--make-pairs", type=_PATH, metavar="DIR", help="Write sounds to process elsewhere."
        ),
        click.option(
            "--judge", "judge_pairs", type=_PATH, metavar="DIR", help="Judge what came of them."
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0, min_open=True),
            default=120.0,
            show_default=True,
            help="Seconds that one call of --command may take.",
        ),
        click.option(
            "--subtype", default="FLOAT", show_default=True, help="Of the files for a command."
        ),
        click.option("--window", type=DURATION, help="Samples of each call of --onnx."),
        click.option("--onnx-input", metavar="NAME", help="The model's input for sound."),
        click.option("--onnx-output", metavar="NAME", help="The model's output of sound."),
        click.option(
            "--onnx-state",
            "onnx_states",
            multiple=True,
            metavar="IN=OUT",
            help="An input that takes over an output.",
        ),
        click.option(
            "--onnx-constant",
            "onnx_constants",
            multiple=True,
            metavar="NAME=VALUE",
            help="An input that stays as it is.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


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
    if len(named) + choice.given > 1:
        what = "name one system: a chain, --command, --callable, --onnx or --judge"
        raise click.UsageError(what)
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
        window=window.samples(rate) if window else None,
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
