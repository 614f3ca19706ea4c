# SPDX-License-Identifier: MIT
"""``rtcore clarity make-mini``, ``build`` and ``render``: sets of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.batch_options import BatchChoice, Tally, batch_options, follow, tell_plan
from rtcore.cli.clarity_set import PATH
from rtcore.cli.output import json_option, print_json, progress
from rtcore.errors import ConfigError


@click.command("make-mini")
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--speech", type=PATH, metavar="FOLDER", help="Sounds of talkers.  [default: made "
              "from nothing]")  # fmt: skip
@click.option("--noise", type=PATH, metavar="FOLDER", help="Sounds of noise.  [default: made from "
              "nothing]")  # fmt: skip
@click.option("--scenes", type=click.IntRange(1, 1000), default=3, show_default=True)
@click.option("--listeners", type=click.IntRange(1, 4), default=2, show_default=True,
              help="For each scene.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.5, 60.0), default=2.0, show_default=True,
              help="Of speech in each scene.")  # fmt: skip
@click.option("--snr", default="0,10", show_default=True, metavar="LOW,HIGH",
              help="Target over interferers at the better ear, in dB.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--rooms", is_flag=True, help="Also what `build` and `render` need: 4 MB a scene.")
@json_option
def make_mini(folder: Path, as_json: bool, snr: str, **options: Any) -> None:
    r"""Make a little set in the format of CEC2 in the new folder DIR.

    It has all lists and sounds of a real one: targets and interferers in a room, at the microphones
    of a head that is computed from formulas, and four listeners. The same seed gives the same
    bytes.

    \b
    rtcore clarity make-mini mini/
    rtcore clarity make-mini mini/ --speech my-talkers/ --noise my-noises/ --scenes 20
    rtcore clarity make-mini mini/ --rooms
    """
    from rtcore.challenges.clarity.mini import MiniSettings
    from rtcore.challenges.clarity.mini import make_mini as make

    speech, noise = options.pop("speech"), options.pop("noise")
    settings = MiniSettings(snr_db=_range(snr), **options)
    with progress("making", settings.scenes, "scenes") as advance:
        scenes = make(folder, settings, speech=speech, noise=noise, on_scene=advance)
    pairs = len(scenes) * settings.listeners
    if as_json:
        print_json({"folder": folder, "scenes": [s.scene for s in scenes], "pairs": pairs})
        return
    click.echo(f"{folder}: {len(scenes)} scenes, {pairs} pairs of scene and listener")
    click.echo(f"next: rtcore clarity enhance {folder} out/")


def _range(text: str) -> tuple[float, float]:
    """Read ``-6,6``."""
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        what = f"'{text}' is no range; write the lower and the higher ratio, such as -6,6"
        raise ConfigError("--snr", what) from None
    if not -60.0 <= low <= high <= 60.0:
        raise ConfigError("--snr", f"must lie within -60,60, the lower first, got {text}")
    return low, high


@click.command()
@click.argument("root", type=PATH, metavar="SET")
@click.option("--split", "names", multiple=True, type=click.Choice(["train", "dev", "demo"]),
              help="Which part; several go in this order.  [default: train, dev]")  # fmt: skip
@click.option("--scenes", type=click.IntRange(1), help="How many of each.  [default: the "
              "challenge's 6000, 2500, 100]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--again", is_flag=True, help="Draw lists that are there already.")
@json_option
def build(
    root: Path, names: tuple[str, ...], scenes: int | None, seed: int, again: bool, as_json: bool
) -> None:
    r"""Draw rooms and scenes of CEC2 into SET/metadata, with pyclarity's own builder.

    SET is clarity_data with the challenge's core package. The same seed and the same parts in the
    same order give the official lists. With fewer rooms than the challenge has, they are used
    over and over.

    \b
    rtcore clarity build clarity_data/
    rtcore clarity build clarity_data/ --split dev --scenes 50
    """
    from dataclasses import replace

    from rtcore.challenges.clarity import build as work
    from rtcore.challenges.clarity.layout import set_root

    root = set_root(root)
    chosen = [work.with_rooms_of(root, work.SPLITS[name]) for name in names or ("train", "dev")]
    splits = [replace(split, scenes=scenes or split.scenes) for split in chosen]
    with progress("drawing", len(splits), "parts") as advance:
        settings = work.BuildSettings(seed=seed, heads=work.heads_of(root))
        counts = work.build(root, splits, settings, again=again, on_split=advance)
    if as_json:
        print_json({"folder": root / "metadata", "scenes": counts})
        return
    for name, count in counts.items():
        told = f"{count} scenes" if count else "was there already; --again draws it anew"
        click.echo(f"scenes.{name}.json: {told}")


@click.command()
@click.argument("root", type=PATH, metavar="SET")
@click.option("--split", default="dev", show_default=True, metavar="NAME")
@click.option("--list", "list_at", type=PATH, metavar="FILE",
              help="Of the scenes.  [default: metadata/scenes.SPLIT.json in SET]")  # fmt: skip
@click.option("--hoa-irs", type=PATH, metavar="FOLDER", help="[default: SPLIT/rooms/HOA_IRs]")
@click.option("--hrirs", type=PATH, metavar="FOLDER", help="[default: hrir/HRIRs_MAT]")
@click.option("--to", "target", type=PATH, metavar="FOLDER", help="[default: SPLIT/scenes]")
@batch_options("scenes")
@json_option
def render(
    root: Path, split: str, list_at: Path | None, batch: BatchChoice, as_json: bool, **options: Any
) -> None:
    r"""Render scenes of CEC2 to the microphones, with pyclarity's own renderer.

    SET is clarity_data with the core package and the HOA impulse responses. Each scene gives 14
    files. Scenes that were rendered from the same files are skipped.

    \b
    rtcore clarity render clarity_data/ --split dev --jobs 8
    rtcore clarity render clarity_data/ --split train --shard 3/100
    """
    from dataclasses import replace

    from rtcore.batch import Ledger
    from rtcore.batch.ledger import made_folder
    from rtcore.challenges.clarity import render as work
    from rtcore.challenges.clarity.layout import set_root

    root = set_root(root)
    given = {"hoa_irs": options["hoa_irs"], "hrirs": options["hrirs"], "scenes": options["target"]}
    given = {key: path for key, path in given.items() if path is not None}
    places = replace(work.places_of(root, split), **given)
    found = work.scenes_of(list_at or root / "metadata" / f"scenes.{split}.json")
    scenes = batch.share(found)
    settings = work.RenderSettings()
    if batch.dry_run:
        jobs = work.render_jobs(scenes, places, settings)
        tell_plan(jobs, Ledger(places.scenes, batch.shard), batch.unit, as_json=as_json)
        return
    ledger = Ledger(made_folder(places.scenes), batch.shard)
    with ledger.writing():
        if batch.again:
            ledger.forget()
        outcomes = work.render(
            scenes, places, ledger, settings,
            workers=batch.processes, scheduler=batch.scheduler,
        )  # fmt: skip
        tally = follow(outcomes, Tally(batch.unit), "rendering", len(scenes))
    tally.tell(places.scenes, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)
