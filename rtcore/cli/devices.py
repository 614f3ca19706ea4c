# SPDX-License-Identifier: MIT
"""``rtcore devices``: what there is to play on."""

from __future__ import annotations

import click

from rtcore.cli.output import json_option, print_json, print_table


@click.command()
@json_option
def devices(as_json: bool) -> None:
    """List the sound devices; their index or a piece of their name goes to run -i and -o."""
    from rtcore.engine.backends.devices import list_devices

    found = list_devices()
    if as_json:
        print_json([device.as_dict() for device in found])
        return
    rows = [
        (
            f"{d.index}{'<' if d.default_input else ''}{'>' if d.default_output else ''}",
            d.name, d.host_api, d.input_channels, d.output_channels, d.sample_rate,
            1e3 * d.input_latency_low_s, 1e3 * d.output_latency_low_s,
        )
        for d in found
    ]  # fmt: skip
    if not rows:
        click.echo(
            "no sound device was found; `rtcore demo` and `rtcore run --backend timer` need none"
        )
        return
    print_table(("index", "name", "host API", "in", "out", "rate Hz", "in ms", "out ms"), rows)
    click.echo(
        "\n< default input, > default output; ms: the device's own account of its low latency"
    )
