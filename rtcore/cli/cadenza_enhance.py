# SPDX-License-Identifier: MIT
"""``rtcore cadenza enhance``: a set's songs remixed and amplified for its listeners."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.batch_options import BatchChoice, batch_options, follow, tell_plan
from rtcore.cli.cadenza_set import set_options
from rtcore.cli.clipped import ClippedTally
from rtcore.cli.output import json_option

if TYPE_CHECKING:
    from rtcore.challenges.cadenza.enhance import EnhanceSettings

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("root", type=_PATH, metavar="SET")
@click.argument("target", type=_PATH, metavar="OUT")
@set_options("listeners", "at_mic")
@click.option(
    "--separator",
    default="hdemucs",
    show_default=True,
    metavar="NAME",
    help="hdemucs, openunmix, onnx:BUNDLE, oracle (the true stems) or none.",
)
@click.option("--weights", type=_PATH, metavar="FILE", help="Of the network; torch's own cache "
              "by default.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="For the network: cpu, cuda, ..")
@click.option("--compressor", is_flag=True, help="Let the official compressor follow NAL-R.")
@click.option("--soft-clip", is_flag=True, help="Bend loud samples by a tanh before they clip.")
@click.option("--causal", is_flag=True, help="Look at nothing more than 5 ms ahead.")
@click.option("--compat", is_flag=True, help="Keep the official fade at the end of short songs.")
@click.option("--small-test", is_flag=True, help="Only every fifteenth pair, as the official one.")
@batch_options("pairs")
@json_option
def enhance(
    root: Path,
    target: Path,
    where: dict[str, Any],
    batch: BatchChoice,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Write OUT/<scene>_<listener>_remix.flac for each scene and listener of SET.

    Each song is taken apart, its stems get the scene's gains, the new mix is made as loud as the
    old one and amplified for the listener (NAL-R), and written with 32 kHz and 16 bits. SET is the
    folder with metadata and audio. Files that an earlier run made of the same input are skipped.

    \b
    rtcore cadenza enhance cadenza_data/ out/
    rtcore cadenza enhance cadenza_data/ out/ --separator openunmix --split valid
    rtcore cadenza enhance cadenza_data/ out/ --separator onnx:my-model --causal
    """
    from rtcore.challenges.cadenza.enhance import Run
    from rtcore.challenges.cadenza.layout import find_set

    found = find_set(root, **where)
    pairs = batch.share(found.pairs(small_test=options.pop("small_test")))
    run = Run(found, target, pairs, _settings(options), again=batch.again, shard=batch.shard)
    if batch.dry_run:
        tell_plan(run.jobs(), run.ledger(), batch.unit, as_json=as_json)
        return
    outcomes = run.outcomes(workers=batch.processes, scheduler=batch.scheduler)
    tally = follow(outcomes, ClippedTally(batch.unit), "enhancing", len(pairs))
    tally.tell(target, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)


def _settings(options: dict[str, Any]) -> EnhanceSettings:
    from rtcore.challenges.cadenza.enhance import EnhanceSettings
    from rtcore.challenges.cadenza.separators import SeparatorChoice

    name, weights = options["separator"], options["weights"]
    choice = SeparatorChoice(name, weights, options["device"], options["compat"])
    rest = {name: options[name] for name in ("compressor", "soft_clip", "causal")}
    return EnhanceSettings(separator=choice, **rest)
