# SPDX-License-Identifier: MIT
"""``rtcore audiogram``: hearing losses, and the gain that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.chain_options import ListenerChoice, listener_options
from rtcore.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from rtcore.hearing import Audiogram, Listener


@click.group()
def audiogram() -> None:
    """Show hearing losses and the gain they need."""


@audiogram.command("list")
@listener_options
@json_option
def list_(listener: ListenerChoice, as_json: bool) -> None:
    """List the standard audiograms, or the listeners of --listeners FILE."""
    from rtcore.hearing import BISGAARD, Listener, load_listeners

    if listener.given:
        raise click.UsageError("the list takes only --listeners; see: rtcore audiogram show")
    if listener.listeners is not None:
        people = load_listeners(listener.listeners)
    else:
        people = {name: Listener.both(ear, name) for name, ear in BISGAARD.items()}
    if as_json:
        print_json({name: _entry(person) for name, person in people.items()})
        return
    columns = ["name", "left ear", "right ear", "dB HL at 500 Hz", "1 kHz", "2 kHz", "4 kHz"]
    print_table(columns, [_row(name, person) for name, person in people.items()])


@audiogram.command()
@click.argument("who", required=False)
@listener_options
@json_option
def show(who: str | None, listener: ListenerChoice, as_json: bool) -> None:
    r"""Show the thresholds, the NAL-R gain per octave and the severity of a loss.

    \b
    rtcore audiogram show N3
    rtcore audiogram show L0064 --listeners metadata/listeners.json
    rtcore audiogram show --left 40,30,20 --right 45,35,25 --frequencies 500,1000,4000
    """
    if who is not None and listener.audiogram is not None:
        raise click.UsageError(f"name one listener: {who} or --audiogram {listener.audiogram}")
    choice = ListenerChoice(
        who or listener.audiogram,
        listener.left,
        listener.right,
        listener.frequencies,
        listener.listeners,
    )
    if not choice.given:
        raise click.UsageError("say who listens, such as N3, or give --left and --right")
    person = choice.listener()
    if as_json:
        print_json(_entry(person))
        return
    for side, ear in zip(("left", "right"), person.ears, strict=True):
        _print_ear(person.name, side, ear)
    click.echo("gain: the insertion gain that NAL-R prescribes; a compressor lowers it when loud")


def _print_ear(name: str, side: str, ear: Audiogram) -> None:
    """Print one ear: what was measured, and the gain at each octave."""
    from rtcore.hearing import gain_per_octave

    # Clarity's classes, which a name such as Bisgaard's need not agree with.
    severity = f"{ear.severity} loss by the mean of 2 to 8 kHz"
    title = f"{name}, {side} ear: {severity}" if name else f"{side} ear: {severity}"
    frequencies = [f"{frequency:g}" for frequency, _ in ear]
    print_table(["Hz", *frequencies], [("dB HL", *(f"{level:g}" for _, level in ear))], title)
    gains = gain_per_octave(ear)
    cells = [f"{gain:.1f}" for gain in gains.values()]
    print_table(["Hz", *(f"{frequency:g}" for frequency in gains)], [("gain dB", *cells)])
    click.echo()


def _entry(person: Listener) -> dict[str, Any]:
    """Describe a listener for programs."""
    from rtcore.hearing import gain_per_octave

    ears = {
        side: {
            "frequencies_hz": list(ear.frequencies_hz),
            "levels_db_hl": list(ear.levels_db_hl),
            "severity": ear.severity,
            "nalr_gain_db": {f"{f:g}": round(gain, 3) for f, gain in gain_per_octave(ear).items()},
        }
        for side, ear in zip(("left", "right"), person.ears, strict=True)
    }
    return {"name": person.name, "id": person.id, **ears}


def _row(name: str, person: Listener) -> tuple[str, ...]:
    """Summarise a listener: both ears' severity, and the levels as left/right."""
    levels = [[ear.at(frequency) for ear in person.ears] for frequency in (500, 1000, 2000, 4000)]
    cells = [f"{a:g}" if a == b else f"{a:g}/{b:g}" for a, b in levels]
    return (name, person.left.severity, person.right.severity, *cells)
