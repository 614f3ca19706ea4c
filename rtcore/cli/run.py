# SPDX-License-Identifier: MIT
"""``rtcore run``: live, from microphone to headphones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.chain_options import chain_options
from rtcore.cli.live_options import (
    backend_for,
    device_options,
    explain,
    safety_for,
    safety_options,
    source_rate,
)
from rtcore.cli.output import json_option, print_json

_FILE = click.Path(path_type=Path)


@click.command()
@chain_options
@device_options
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after a while.")
@safety_options
@click.option("--watch", "watching", is_flag=True, help="Reload plugin files when they are edited.")
@click.option("--record", type=_FILE, help="Write what goes out to a file.")
@click.option("--record-input", type=_FILE, help="Write what came in to a file.")
@click.option("--log", type=_FILE, help="Write a session log for `rtcore process --replay`.")
@json_option
def run(**options: Any) -> None:
    """Play live: microphone to headphones, through a chain.

    Keys while it plays: q quits, space mutes at once (and again brings the sound back), + and -
    change the volume.  Ctrl-C ends cleanly and prints the summary.
    """
    from rtcore.cli.session import chain_for, compiling_notice, print_summary, watch
    from rtcore.engine import Engine
    from rtcore.engine.reload import PluginWatch

    done = compiling_notice()
    backend = backend_for(options)
    rate = options["rate"] or backend.sample_rate() or source_rate(options)
    chain = chain_for(options["choice"], float(rate), options["channels"])
    safety = safety_for(backend, options)
    engine = Engine(
        chain,
        backend,
        safety=safety,
        output=options["record"],
        recorded_input=options["record_input"],
        log=options["log"],
        on_message=_say,
    )
    with engine:
        done()
        if backend.live and not options["as_json"]:
            explain(engine, options)
        watcher = PluginWatch(engine, _say) if options["watching"] else None
        if watcher is not None:
            watcher.start()
            click.echo("watching the plugins' files", err=True)
        try:
            reason = watch(engine, seconds=options["seconds"], quiet=options["as_json"])
        finally:
            if watcher is not None:
                watcher.stop()
        engine.stop(reason)
    if options["as_json"]:
        print_json(engine.stats())
    else:
        print_summary(engine.stats())


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
