# SPDX-License-Identifier: MIT
"""``rtcore clarity enhance``: a set's scenes through a hearing aid, for each listener."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.batch_options import BatchChoice, batch_options, follow, tell_plan
from rtcore.cli.clarity_set import PATH, Where, set_options
from rtcore.cli.clipped import ClippedTally
from rtcore.cli.output import json_option, warn
from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.challenges.clarity.aid import Aid
    from rtcore.challenges.clarity.enhance import Enhancer
    from rtcore.challenges.clarity.layout import ClaritySet, Edition
    from rtcore.challenges.people import Pair

SIDE_CAR = "enhance.json"


@click.command()
@click.argument("source", type=PATH, metavar="SET")
@click.argument("target", type=PATH, metavar="OUT")
@click.option("-c", "--chain", type=PATH, metavar="CHAIN.toml",
              help="The hearing aid.  [default: the challenge's baseline]")  # fmt: skip
@click.option("-p", "--plugin", "plugins", multiple=True, metavar="ID[:KEY=VALUE,..]",
              help="Plugins in a row instead.")  # fmt: skip
@click.option("--mics", metavar="1,2,3", help="Microphone pairs, as channels in this order.  "
              "[default: 1]")  # fmt: skip
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Of the samples in the "
              "chain.  [default: the chain's; the baseline's is float64]")  # fmt: skip
@click.option("--rate", type=click.Choice(["44100", "32000", "48000"]),
              help="Of the outputs.  [default: the scenes']")  # fmt: skip
@click.option("--align", is_flag=True, help="Take the chain's latency and tail out.")
@click.option("--compat", is_flag=True, help="Let full scale wrap, as the official code does.")
@set_options
@batch_options("pairs")
@json_option
def enhance(
    source: Path, target: Path, where: Where, batch: BatchChoice, as_json: bool, **options: Any
) -> None:
    r"""Write OUT/enhanced_signals/<scene>_<listener>_HA-output.wav for each pair of SET.

    SET is clarity_data or a folder with metadata and scenes, such as `rtcore clarity make-mini`
    makes. In a chain, every setting called audiogram gets each listener in turn, and so does every
    one that says "listener". What an earlier run made of the same input, chain and audiogram is
    skipped; a bad scene is reported and the rest goes on.

    \b
    rtcore clarity enhance clarity_data/ out/ --split dev
    rtcore clarity enhance mini/ out/ -c chain.toml --mics 1,3 --jobs 4
    rtcore clarity enhance mini/ out/ -p nalr -p compressor -p limiter --rate 32000
    """
    from rtcore.batch import Ledger
    from rtcore.challenges.clarity import enhance as work
    from rtcore.challenges.clarity.enhance import Enhancer, EnhanceSettings
    from rtcore.challenges.clarity.layout import OUTPUT
    from rtcore.challenges.foreign import check_foreign

    found, chosen = where.find(source)
    pairs = batch.share(chosen)
    edition = found.edition
    settings = EnhanceSettings(
        sample_rate=int(options["rate"]) if options["rate"] else None,
        subtype=edition.subtype,
        align=options["align"],
        compat=options["compat"],
    )
    enhancer = Enhancer(_aid(options, edition), found.people, settings)
    folder = target / edition.folder
    if not batch.again:
        names = (OUTPUT.format(scene=pair.scene, listener=pair.listener) for pair in pairs)
        check_foreign(folder, names, "clarity enhance")
    if batch.dry_run:
        jobs = work.enhance_jobs(pairs, found.signals, folder, enhancer)
        ledger = Ledger(folder, batch.shard)
        if batch.again:
            ledger.forget()
        tell_plan(jobs, ledger, batch.unit, as_json=as_json)
        return
    ledger = Ledger(work.check_target(folder, found), batch.shard)
    with ledger.writing():
        if batch.again:
            ledger.forget()
        _write_side_car(target, enhancer, found, pairs)
        outcomes = work.enhance(
            found, pairs, folder, enhancer, ledger,
            workers=batch.processes, scheduler=batch.scheduler,
        )  # fmt: skip
        tally = follow(outcomes, ClippedTally(batch.unit), "enhancing", len(pairs))
    tally.tell(folder, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)


def _aid(options: dict[str, Any], edition: Edition) -> Aid:
    """Read what the hearing aid is."""
    from rtcore.chain.config import load, parse
    from rtcore.challenges.clarity.aid import Aid, baseline
    from rtcore.cli.chain_options import plugin_table

    chain, plugins = options["chain"], options["plugins"]
    if chain is not None and plugins:
        raise click.UsageError("give -c CHAIN or -p PLUGIN, not both")
    own = chain is None and not plugins
    if own:
        config = baseline(edition)
    elif chain is not None:
        config = load(chain)
    else:
        config = parse({"plugin": [plugin_table(text) for text in plugins]})
    mics = _mics(options["mics"]) or (edition.mics if own else edition.mics[:1])
    mean = own and len(mics) > 1
    return Aid(config.override(dtype=options["dtype"]), mics, mean=mean)


def _mics(text: str | None) -> tuple[int, ...]:
    """Read ``1,2,3``."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(word in ("0", "1", "2", "3") for word in words):
        what = f"'{text}' names no microphone pairs; there are 1 (front), 2 and 3 (rear), and 0"
        raise ConfigError("--mics", f"{what}, close to the ear-drums, which no aid may hear")
    if len(set(words)) < len(words):
        raise ConfigError("--mics", f"'{text}' names a pair twice; name each once")
    if "0" in words:
        warn("--mics 0 is close to the ear-drums, which no entry of the challenge may hear")
    return tuple(int(word) for word in words)


def _write_side_car(target: Path, enhancer: Enhancer, found: ClaritySet, pairs: list[Pair]) -> None:
    """Say beside the outputs what they are made with: first, for a run may be killed."""
    from rtcore.challenges.clarity.enhance import side_car, warm_up
    from rtcore.challenges.forms import write_json

    rate = warm_up(enhancer, pairs, found.signals)
    if rate is not None:
        write_json(target / SIDE_CAR, side_car(enhancer, found, rate))
