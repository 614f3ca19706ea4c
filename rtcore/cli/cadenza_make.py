# SPDX-License-Identifier: MIT
"""``rtcore cadenza make-mini``, ``scenes`` and ``at-mic``: what the official generators make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.batch_options import BatchChoice, Tally, batch_options, follow, tell_plan
from rtcore.cli.cadenza_set import PATH, set_options
from rtcore.cli.output import json_option, print_json, warn


@click.command("make-mini")
@click.argument("target", type=PATH, metavar="DIR")
@click.option("--stems", type=PATH, metavar="FOLDER", help="Of your own; a band by default.")
@click.option("--tracks", type=click.IntRange(1, 1000), default=2, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5, 600.0), default=3.0, show_default=True,
              help="Of each track.")  # fmt: skip
@click.option("--scenes", type=click.IntRange(1, 9), default=1, show_default=True,
              help="Of each track.")  # fmt: skip
@click.option("--listeners", type=click.IntRange(1, 4), default=2, show_default=True,
              help="Of each scene.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
def make_mini(target: Path, stems: Path | None, as_json: bool, **options: Any) -> None:
    r"""Make a little set in DIR, whole and valid, to try every command in a minute.

    It has music, impulse responses of a round head, gains, positions, listeners, scenes, and the
    music at the microphones. Without --stems a band made from nothing plays. The same seed gives
    the same bytes.

    \b
    rtcore cadenza make-mini mini/
    rtcore cadenza make-mini mini/ --stems musdb18hq/train --tracks 5 --seconds 10
    """
    from rtcore.challenges.cadenza.mini import MiniSettings
    from rtcore.challenges.cadenza.mini import make_mini as make

    counts = make(target, MiniSettings(**options), stems)
    if as_json:
        print_json({"target": target, **counts})
        return
    made = f"{counts['tracks']} tracks, {counts['scenes']} scenes, {counts['pairs']} pairs"
    click.echo(f"{target}: {made} of scene and listener")
    click.echo(f"next: rtcore cadenza enhance {target} out/ --separator oracle")


@click.command()
@click.argument("root", type=PATH, metavar="ROOT")
@set_options("listeners")
@click.option("--per-track", type=click.IntRange(1), default=4, show_default=True,
              help="Scenes of each track.")  # fmt: skip
@click.option("--per-scene", type=click.IntRange(1), default=2, show_default=True,
              help="Listeners of each scene.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Also over other scenes that are there.")
@json_option
def scenes(root: Path, where: dict[str, Any], as_json: bool, **options: Any) -> None:
    r"""Draw scenes for each track, and listeners for each scene, as the official generator does.

    Same seeds, same ids: ROOT/metadata/scenes.SPLIT.json and scene_listeners.SPLIT.json get the
    same bytes. Gains, positions, tracks and listeners are read from ROOT/metadata.

    \b
    rtcore cadenza scenes cadenza_data/
    rtcore cadenza scenes cadenza_data/ --per-track 8 --overwrite
    """
    from rtcore.challenges.cadenza.layout import find_places
    from rtcore.challenges.cadenza.scenes import write_scenes

    places = find_places(root, where.pop("split") or "train", **where)
    drawn, heard, written = write_scenes(places, **options)
    pairs = sum(len(names) for names in heard.values())
    if as_json:
        print_json({"scenes": len(drawn), "pairs": pairs, "written": written})
        return
    for path in (places.scenes, places.scene_listeners):
        click.echo(f"{path}: {'written' if path in written else 'is there already, the same'}")
    click.echo(f"{len(drawn)} scenes, {pairs} pairs of scene and listener")


@click.command("at-mic")
@click.argument("root", type=PATH, metavar="ROOT")
@set_options("music", "hrtf", "at_mic")
@batch_options("files")
@json_option
def at_mic(root: Path, where: dict[str, Any], batch: BatchChoice, as_json: bool) -> None:
    r"""Bring the music of all scenes to the microphones, as the official generator does.

    Each of a song's five files is filtered with the impulse responses of both loudspeakers, then
    brought to the loudness (LUFS) that it had before, and written with 16 bits into
    ROOT/audio/at_mic_music. ROOT/metadata/at_mic_music.SPLIT.json lists the songs.

    \b
    rtcore cadenza at-mic cadenza_data/
    rtcore cadenza at-mic cadenza_data/ --music musdb18hq --jobs 8
    """
    from rtcore.batch import Ledger, run_jobs
    from rtcore.batch.ledger import made_folder
    from rtcore.challenges.cadenza.at_mic import at_mic_jobs, make_file, write_songs
    from rtcore.challenges.cadenza.layout import find_places

    places = find_places(root, where.pop("split"), **where)
    jobs = batch.share(list(at_mic_jobs(places)))
    if batch.dry_run:
        tell_plan(jobs, Ledger(places.at_mic, batch.shard), batch.unit, as_json=as_json)
        return
    ledger = Ledger(made_folder(places.at_mic), batch.shard)
    write_songs(places)
    with ledger.writing():
        if batch.again:
            ledger.forget()
        workers = min(batch.processes, max(1, len(jobs)))
        outcomes = run_jobs(jobs, make_file, ledger, workers=workers, scheduler=batch.scheduler)
        tally = follow(outcomes, Tally(batch.unit), "to the microphones", len(jobs))
    _warn_of_files(tally)
    tally.tell(places.at_mic, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)


def _warn_of_files(tally: Tally) -> None:
    """Say which files are silent or were clipped."""
    for outcome in tally.good:
        if outcome.result.get("silent"):
            warn(f"{outcome.name} has no loudness and became silence, as the official code does it")
        elif outcome.result.get("clipped"):
            warn(f"{outcome.name}: {outcome.result['clipped']} samples were clipped")
