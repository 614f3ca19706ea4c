# SPDX-License-Identifier: MIT
"""``rtcore clarity evaluate``: the official HASPI of all pairs, on all cores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.batch_options import (
    BatchChoice,
    Tally,
    batch_options,
    follow,
    tell_plan,
    told_beside,
    warn_of_mixture,
)
from rtcore.cli.clarity_enhance import SIDE_CAR
from rtcore.cli.clarity_set import PATH, Where, set_options
from rtcore.cli.output import json_option, print_json

if TYPE_CHECKING:
    from rtcore.challenges.clarity.evaluate import PairScore
    from rtcore.challenges.clarity.layout import ClaritySet

_HOUR_S, _MINUTE_S = 3600.0, 60.0


@click.command()
@click.argument("source", type=PATH, metavar="SET")
@click.argument("target", type=PATH, metavar="OUT")
@click.option("--unprocessed/--no-unprocessed", "plain", default=True,
              help="Score what the front microphones hear, too.")  # fmt: skip
@click.option("--keep", type=PATH, metavar="FOLDER", help="Where scores of unprocessed scenes are "
              "kept for the next system.  [default: the user's cache]")  # fmt: skip
@set_options
@batch_options("pairs")
@json_option
def evaluate(
    source: Path, target: Path, where: Where, batch: BatchChoice, as_json: bool, **options: Any
) -> None:
    r"""Score OUT/enhanced_signals with HASPI v2 of the better ear, as the official code does.

    Writes OUT/si.csv and OUT/si_unproc.csv as the official code writes them, and OUT/si.json with
    how they came about. Seeds, reference level and calibration (100 dB SPL for an RMS of 1) are the
    official ones. Outputs of 32 kHz are brought to the reference's rate first. Pairs that were
    scored before are skipped.

    \b
    rtcore clarity evaluate clarity_data/ out/ --split dev
    rtcore clarity evaluate mini/ out/ --no-unprocessed --jobs 2
    """
    from rtcore.batch import Ledger
    from rtcore.batch.ledger import made_folder
    from rtcore.batch.locks import alone
    from rtcore.challenges.clarity import evaluate as work
    from rtcore.challenges.clarity.score_files import write_scores

    found, chosen = where.find(source)
    pairs = batch.share(chosen)
    folder, system = target / work.PAIRS, target / found.edition.folder
    keep = (options["keep"] or work.unprocessed_folder()) if options["plain"] else None
    scorer, scores_each = work.make_scorer(found.people, keep), 2 if options["plain"] else 1
    work.check_system(system)
    ledger = Ledger(folder if batch.dry_run else made_folder(folder), batch.shard)
    if batch.dry_run:
        if batch.again:
            ledger.forget()
        jobs = list(work.score_jobs(found, pairs, system, ledger, scorer))
        needed_s = work.seconds_needed(jobs, ledger, scores=scores_each)
        tell_plan(jobs, ledger, batch.unit, as_json=as_json, core_seconds=needed_s)
        if not as_json:
            click.echo(f"about {_time(needed_s)} of one core")
        return
    with ledger.writing():
        if batch.again:
            ledger.forget()
        jobs = list(work.score_jobs(found, pairs, system, ledger, scorer))
        if not as_json:
            _tell_time(work.seconds_needed(jobs, ledger, scores=scores_each), batch)
        outcomes = work.evaluate(
            jobs, scorer, ledger, workers=batch.processes, scheduler=batch.scheduler
        )
        tally = follow(outcomes, Tally(batch.unit), "scoring", len(pairs))
        with alone(folder):
            # Read anew: other shares may have ended meanwhile, and --again means this run's pairs.
            known, good = Ledger(folder, batch.shard), tally.good
            scores = work.known_scores(found, system, known, good, scorer)
            about = _about(target, found, scores, missing=len(found.pairs) - len(scores))
            written = write_scores(target, scores, about)
    tally.tell_failures(folder)
    if as_json:
        print_json({**tally.as_dict(target), "written": written, **about, **work.means(scores)})
    else:
        click.echo(f"{target}: {tally.counts()}{tally.speed()}")
        _tell(scores, len(found.pairs), written)
    click.get_current_context().exit(tally.exit_code)


def _tell_time(needed_s: float, batch: BatchChoice) -> None:
    """Say how long it will take, where that is worth saying."""
    if needed_s < 5.0:
        return
    if batch.scheduler is not None:
        click.echo(f"about {_time(needed_s)} of one core of this kind")
        return
    cores = batch.processes
    rest = f", {_time(needed_s / cores)} with {cores} processes" if cores > 1 else ""
    click.echo(f"about {_time(needed_s)} of one core{rest}")


def _time(seconds: float) -> str:
    if seconds >= _HOUR_S:
        return f"{seconds / _HOUR_S:.1f} hours"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds >= 2 * _MINUTE_S else f"{seconds:.0f} s"


def _about(
    target: Path, found: ClaritySet, scores: list[PairScore], *, missing: int
) -> dict[str, Any]:
    """Say how scores came about."""
    from rtcore import __version__
    from rtcore.challenges.clarity import haspi
    from rtcore.machine import machine

    made = _made_with(target, found, scores)
    return {
        "score": "HASPI v2, better ear, by pyclarity",
        "rtcore": __version__,
        "scored_with": haspi.scored_with(),
        "seed": "last eight decimal digits of the scene's MD5, set before each pair of ears",
        "db_spl_at_rms_1": haspi.LEVEL_DB_SPL,
        "challenge": found.edition.name,
        "pairs_missing": missing,
        "chain_sha256": made.get("chain_sha256"),
        "compat": made.get("compat"),
        "enhanced_with": {key: made.get(key) for key in ("rtcore", "chain", "mics", "align")},
        **({"made_with": made["made_with"]} if "made_with" in made else {}),
        "sample_rates": sorted({score.sample_rate for score in scores}),
        "machine": machine(),
    }


def _made_with(target: Path, found: ClaritySet, scores: list[PairScore]) -> dict[str, Any]:
    """Say what the outputs that were scored are made with; warn where that is not one system."""
    from rtcore.challenges.clarity.layout import OUTPUT
    from rtcore.challenges.provenance import attributed, made_with

    folder = target / found.edition.folder
    names = (OUTPUT.format(scene=score.scene, listener=score.listener) for score in scores)
    systems = made_with(folder, names, "sample_rate_in")
    warn_of_mixture(folder, systems)
    return attributed(told_beside(target / SIDE_CAR), "chain_sha256", systems)


def _tell(scores: list[PairScore], asked: int, written: list[Path]) -> None:
    from rtcore.challenges.clarity.evaluate import means

    late = [score for score in scores if score.resampled_to is not None]
    if late:
        rates = ", ".join(f"{rate} Hz" for rate in sorted({s.sample_rate for s in late}))
        click.echo(f"{len(late)} outputs of {rates} were scored at {late[0].resampled_to} Hz")
    found = means(scores)
    if found["haspi_mean"] is not None:
        click.echo(f"HASPI of the better ear: {found['haspi_mean']:.4f} (mean of {len(scores)})")
    if found["haspi_unprocessed_mean"] is not None:
        reused = sum(score.unprocessed_reused for score in scores)
        of = f"; {reused} of them from earlier runs" if reused else ""
        click.echo(f"unprocessed:             {found['haspi_unprocessed_mean']:.4f}{of}")
    if len(scores) < asked:
        click.echo(f"{asked - len(scores)} of {asked} pairs have no score yet")
    click.echo("written: " + ", ".join(str(path) for path in written))
