# SPDX-License-Identifier: MIT
"""``rtcore cadenza evaluate`` and ``merge``: the official scores, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
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
from rtcore.cli.cadenza_set import PATH, set_options
from rtcore.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from rtcore.batch import Job
    from rtcore.challenges.cadenza.evaluate import PairScore
    from rtcore.challenges.cadenza.layout import CadenzaSet
    from rtcore.challenges.people import Pair


@click.command()
@click.argument("root", type=PATH, metavar="ROOT")
@click.argument("folder", type=PATH, metavar="OUT")
@set_options("listeners", "at_mic")
@click.option("--to", "target", type=PATH, metavar="FOLDER", help="[default: OUT/scores]")
@click.option("--small-test", is_flag=True, help="Every 15th pair, the official small test.")
@click.option("--seeded/--unseeded", default=True, help="Seed HAAQI's noise by the scene's id.")
@click.option("--unprocessed", type=PATH, metavar="FOLDER",
              help="Score mixtures with NAL-R alone too; kept here for other systems.")  # fmt: skip
@batch_options("pairs")
@json_option
def evaluate(
    root: Path, folder: Path, where: dict[str, Any], batch: BatchChoice, as_json: bool, **how: Any
) -> None:
    r"""Score OUT, which `rtcore cadenza enhance` has written, with the official HAAQI.

    Writes scores.csv with the official header, and scores.json, which says how they came about.
    A share (--shard 2/4) is the official batch: scores_2-4.csv, to be joined by `merge`. Pairs
    that were scored before are skipped; a bad one is reported and the rest goes on.

    \b
    rtcore cadenza evaluate cadenza_data/ out/
    rtcore cadenza evaluate cadenza_data/ out/ --small-test --unprocessed unprocessed/
    rtcore cadenza evaluate cadenza_data/ out/ --shard 1/4
    """
    from rtcore.challenges.cadenza.evaluate import answers_folder, score_of
    from rtcore.challenges.cadenza.layout import find_set
    from rtcore.challenges.cadenza.score_files import how_scored, table_name, write_scores

    found = find_set(root, where.pop("split"), **where)
    asked = found.pairs(small_test=how["small_test"])
    pairs = batch.share(asked)
    answers, target = answers_folder(folder), how["target"] or folder / "scores"
    places: list[tuple[Path | None, Path]] = [(answers, target)]
    if how["unprocessed"] is not None:
        places.append((None, how["unprocessed"]))
    means, tallies, written = {}, [], []
    for source, place in places:
        tally = _scored(found, pairs, source, place, how["seeded"], batch, as_json)
        if tally is None:
            continue
        scores = {outcome.name: score_of(outcome) for outcome in tally.good}
        if batch.shard is None:  # a table of its own; else --limit leaves out no row that is known
            others = [pair for pair in asked if pair.name not in scores]
            scores |= _known(found, others, source, place, how["seeded"])
        rows = [scores[pair.name] for pair in asked if pair.name in scores]
        made: dict[str, Any] | None = {"system": "the mixture with NAL-R alone"}
        if source:
            made = _made_with(answers, rows)
        about = how_scored(made, seeded=how["seeded"])
        failed = {outcome.name: outcome.error for outcome in tally.failed}
        written += write_scores(place / table_name(batch.shard), rows, about, failed)
        tallies.append((place, tally))
        means["unprocessed" if source is None else folder.name] = rows
    if not batch.dry_run:
        _tell(means, tallies, written, as_json)
    click.get_current_context().exit(max((tally.exit_code for _, tally in tallies), default=0))


def _made_with(answers: Path, rows: Sequence[PairScore]) -> dict[str, Any]:
    """Say what the answers that were scored are made with; warn where that is not one system."""
    from rtcore.challenges.cadenza.evaluate import SUFFIX
    from rtcore.challenges.cadenza.side_car import SIDE_CAR
    from rtcore.challenges.provenance import attributed, made_with

    systems = made_with(answers, (f"{row.scene}_{row.listener}{SUFFIX}" for row in rows))
    warn_of_mixture(answers, systems)
    return attributed(told_beside(answers / SIDE_CAR), "chain_hash", systems)


def _scored(
    found: CadenzaSet,
    pairs: Sequence[Pair],
    answers: Path | None,
    target: Path,
    seeded: bool,
    batch: BatchChoice,
    as_json: bool,
) -> Tally | None:
    """Score all pairs; None where it was only asked what would be done."""
    from rtcore.batch import Ledger, run_jobs
    from rtcore.batch.ledger import made_folder
    from rtcore.challenges.cadenza.evaluate import PAIRS, score, score_jobs

    jobs = list(score_jobs(found, pairs, answers, target / PAIRS, seeded=seeded))
    if batch.dry_run:
        tell_plan(jobs, Ledger(target / PAIRS, batch.shard), batch.unit, as_json=as_json)
        return None
    ledger = Ledger(made_folder(target / PAIRS), batch.shard)
    with ledger.writing():
        if batch.again:
            ledger.forget()
        to_do = [job for job in jobs if ledger.result(job) is None]
        workers = min(batch.processes, max(1, len(to_do)))
        _tell_estimate(to_do, workers)
        outcomes = run_jobs(jobs, score, ledger, workers=workers, scheduler=batch.scheduler)
        return follow(outcomes, Tally(batch.unit), "scoring", len(jobs))


def _tell_estimate(to_do: Sequence[Job], workers: int) -> None:
    """Say how long it will take, from a measurement of this machine."""
    from rtcore.challenges.cadenza.evaluate import seconds_to_score
    from rtcore.challenges.cadenza.haaqi import measured_speed

    seconds = seconds_to_score(to_do)
    if not seconds:
        return
    speed = measured_speed()
    estimate_s = seconds * speed / workers
    guess = f"{estimate_s / 60:.0f} min" if estimate_s > 90.0 else f"{estimate_s:.0f} s"
    what = f"HAAQI takes {speed:.1f} s for a second of one ear's sound here, and there are "
    what += f"{seconds:.0f} s to do in {workers} process{'es' * (workers > 1)}"
    click.echo(f"{what}: about {guess}", err=True)


def _known(
    found: CadenzaSet, pairs: Sequence[Pair], answers: Path | None, target: Path, seeded: bool
) -> dict[str, PairScore]:
    """Give the scores that earlier runs have found, and that still hold."""
    from rtcore.batch import Ledger
    from rtcore.challenges.cadenza.evaluate import PAIRS, PairScore, score_jobs

    ledger = Ledger(target / PAIRS)
    scored = [pair for pair in pairs if (target / PAIRS / f"{pair.name}.json").exists()]
    jobs = score_jobs(found, scored, answers, target / PAIRS, seeded=seeded)
    results = {job.name: ledger.result(job) for job in jobs}
    return {name: PairScore(**result) for name, result in results.items() if result}


def _tell(
    means: dict[str, list[PairScore]],
    tallies: Sequence[tuple[Path, Tally]],
    written: Sequence[Path],
    as_json: bool,
) -> None:
    """Print the means, and what was written."""
    from rtcore.challenges.cadenza.score_files import means as means_of

    for place, tally in tallies:
        tally.tell_failures(place)
    if as_json:
        print_json({
            "files": written,
            "means": {name: means_of(rows) for name, rows in means.items()},
            "runs": [tally.as_dict(place) for place, tally in tallies],
        })  # fmt: skip
        return
    table = [
        (name, len(rows), *(_rounded(value) for value in means_of(rows).values()))
        for name, rows in means.items()
    ]
    print_table(("HAAQI", "pairs", "left", "right", "mean"), table)
    for place, tally in tallies:
        click.echo(f"{place}: {tally.counts()}{tally.speed()}")
    click.echo(f"written: {', '.join(str(path) for path in written)}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@click.command()
@click.argument("folder", type=PATH, metavar="SCORES")
@json_option
def merge(folder: Path, as_json: bool) -> None:
    r"""Join scores_1-N.csv to scores_N-N.csv of a folder to scores.csv, as the official code does.

    \b
    rtcore cadenza merge out/scores
    """
    from rtcore.challenges.cadenza.score_files import means as means_of
    from rtcore.challenges.cadenza.score_files import merge_batches

    path, scores = merge_batches(folder)
    means = means_of(scores)
    if as_json:
        print_json({"file": path, "pairs": len(scores), "means": means})
        return
    row = ("merged", len(scores), *(_rounded(value) for value in means.values()))
    print_table(("HAAQI", "pairs", "left", "right", "mean"), [row])
    click.echo(f"written: {path}, {path.with_suffix('.json')}")
