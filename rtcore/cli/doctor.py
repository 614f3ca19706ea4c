# SPDX-License-Identifier: MIT
"""``rtcore doctor``: what decides real-time behaviour here, judged, with remedies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.numbers import Number
from rtcore.cli.output import json_option, print_json
from rtcore.errors import CheckFailed

if TYPE_CHECKING:
    from rtcore.doctor import Judgement

Found = tuple[str, "Judgement"]
_COLOURS = {"good": "green", "could be better": "yellow", "bad": "red", "unknown": "cyan"}


@click.command()
@click.option("--quick", is_flag=True, help="Skip the self-test, which plays for a few seconds.")
@click.option(
    "--seconds",
    type=Number(0.2, 600.0),
    default=3.0,
    show_default=True,
    help="Length of each of the two runs of the self-test.",
)
@click.option("--fix-hints", is_flag=True, help="Print the commands that would help; run none.")
@json_option
def doctor(quick: bool, seconds: float, fix_hints: bool, as_json: bool) -> None:
    """Print and judge what decides real-time behaviour on this machine.

    Each line is good, could be better, bad or unknown; a remedy follows where there is one.
    Leaves with 1 only where real-time sound is impossible: no Linux, no library that reaches a
    sound card, or a self-test in which half of the blocks or more are late, twice.
    """
    found: list[Found] = []
    topic = ""
    for heading, judgement in _examine(seconds=0.0 if quick or fix_hints else seconds):
        found.append((heading, judgement))
        if not (as_json or fix_hints):
            if heading != topic:
                click.echo(f"{'' if not topic else chr(10)}{heading}")
            topic = heading
            _print(judgement)
    if as_json:
        print_json(_as_json(found))
    elif fix_hints:
        _print_fixes(found)
    else:
        click.echo(f"\n{_summary(found)}")
    blocking = [judgement.name for _, judgement in found if judgement.impossible]
    if blocking:
        names = ", ".join(blocking)
        raise CheckFailed(f"real-time sound is impossible here: {names}; see the remedies above")


def _examine(seconds: float) -> Iterator[Found]:
    """Run all checks, and the self-test where it is to last."""
    from rtcore.doctor import Check, Machine, all_checks, examine

    machine, checks = Machine(), all_checks()
    if seconds > 0.0:
        from rtcore.doctor.selftest import self_test

        checks.append(Check("self-test", "self-test", lambda m: self_test(m, seconds)))
    yield from examine(machine, checks)


def _print(judgement: Judgement) -> None:
    word = click.style(f"{judgement.status.value:<15}", fg=_COLOURS[judgement.status.value])
    click.echo(f"  {word}  {judgement.name}: {judgement.found}")
    if judgement.remedy:
        click.echo(f"  {'':<15}  → {judgement.remedy}")


def _counts(found: list[Found]) -> dict[str, int]:
    """Count the judgements of each kind."""
    words = [judgement.status.value for _, judgement in found]
    return {word: words.count(word) for word in _COLOURS}


def _summary(found: list[Found]) -> str:
    text = ", ".join(f"{count} {word}" for word, count in _counts(found).items() if count)
    if any(judgement.fixes for _, judgement in found):
        text += "; rtcore doctor --fix-hints prints commands that help"
    return text


def _as_json(found: list[Found]) -> dict[str, Any]:
    return {
        "possible": not any(judgement.impossible for _, judgement in found),
        "summary": _counts(found),
        "findings": [{"topic": topic, **judgement.as_dict()} for topic, judgement in found],
    }


def _print_fixes(found: list[Found]) -> None:
    """Print a shell script of all commands, each once, with what it needs."""
    click.echo("# Nothing of this was run. Read it, then run the lines that you want.")
    seen: set[str] = set()
    for _, judgement in found:
        fresh = [fix for fix in judgement.fixes if fix.command not in seen]
        if not fresh:
            continue
        click.echo(f"\n# {judgement.name}: {judgement.found}\n# → {judgement.remedy}")
        for fix in fresh:
            seen.add(fix.command)
            notes = [
                text
                for wanted, text in (
                    (fix.root, "needs root"),
                    (fix.login, "takes effect after a new log-in"),
                    (fix.reboot, "takes effect after a restart of the machine"),
                    (not fix.lasts, "until the next restart only"),
                )
                if wanted
            ]
            click.echo(f"# ({', '.join(notes) or 'needs no root'})\n{fix.command}")
    if not seen:
        click.echo("\n# There is nothing that a command could mend.")
