# SPDX-License-Identifier: MIT
"""``rtcore plc make``: sets in the challenges' formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import json_option, print_json, print_table, progress, warn
from rtcore.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from rtcore.challenges.plc.fitting import Fit
    from rtcore.challenges.plc.loss_models import LossModel
    from rtcore.challenges.plc.make import Made, MakeSettings

_PATH = click.Path(path_type=Path)
_FITTED = "markov3"


@click.command()
@click.argument("speech", type=_PATH, metavar="CLEAN")
@click.argument("target", type=_PATH, metavar="OUT")
@click.option("--layout", type=click.Choice(["2022", "2024"]), default="2022", show_default=True)
@click.option("--traces", type=_PATH, metavar="FOLDER", help="Real traces, or a 2024 csv.")
@click.option("--fit", type=_PATH, metavar="FOLDER", help="Draw from a model fitted to these.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="KIND:P,Q,..",
    help="gilbert:p,q, gilbert-elliott:p,q,g,b or markov3:a,b,c,d; with --fit the kind alone.",
)
@click.option("--blind", is_flag=True, help="Keep the clean sound apart from the set.")
@click.option("--clips", type=click.IntRange(1, 1_000_000), help="All that CLEAN gives by default.")
@click.option("--seconds", metavar="S|S-S", help="Of a clip.  [default: 10; 2024: 10-15]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--strata",
    default="3,2,1",
    show_default=True,
    metavar="A,B,C|natural",
    help="Shares of clips whose longest burst is up to 120, 320 and 1000 ms.",
)
@click.option(
    "--cells",
    type=click.IntRange(1, 1000),
    default=14,
    show_default=True,
    help="Loss-rate cells in each stratum.",
)
@click.option("--peak-db", type=click.FloatRange(-120, 0), help="[default: as it is; 2024: -6]")
@click.option("--dry-run", is_flag=True, help="Show the losses that would be drawn, and leave.")
@json_option
def make(speech: Path, target: Path, as_json: bool, **options: Any) -> None:
    r"""Make a challenge's set from a folder of clean speech.

    Packets of 20 ms are set to zero where a trace says that they were lost. The same seed gives
    the same bytes, and OUT/manifest.json says how the set was made. OUT appears when it is whole.

    \b
    rtcore plc make speech/ set/ --traces blind/lossy_signals
    rtcore plc make speech/ set/ --model gilbert:0.05,0.33 --clips 200
    rtcore plc make speech/ set/ --fit blind/ --layout 2024 --blind
    """
    from rtcore.challenges.plc.make import MakeSettings, make_set
    from rtcore.challenges.plc.sources import clean_files

    settings = MakeSettings(
        layout=options["layout"],
        blind=options["blind"],
        clips=options["clips"],
        seconds=_seconds(options["seconds"]),
        seed=options["seed"],
        mix=_mix(options["strata"]),
        cells=options["cells"],
        peak_db=options["peak_db"],
    )
    losses, about, fits = _losses(options)
    if options["dry_run"]:
        _tell_plan(losses, fits, settings, len(clean_files(speech)), as_json)
        return
    if not as_json:
        _tell_fits(fits)
    with progress("making", settings.clips, "clips") as advance:
        made = make_set(speech, target, losses, settings, about=about, on_clip=advance)
    _tell(made, target, as_json)


def _losses(
    options: dict[str, Any],
) -> tuple[list[tuple[str, np.ndarray]] | list[LossModel], dict[str, Any], list[Fit]]:
    """Read where losses come from; give also what the manifest says, and fits to be shown."""
    from rtcore.challenges.plc.loss_models import parse_model
    from rtcore.challenges.plc.make import fitted, read_traces

    traces, fit, models = options["traces"], options["fit"], options["models"]
    given = [traces is not None, fit is not None, bool(models) and fit is None]
    if sum(given) != 1:
        what = "say which packets are lost: --traces FOLDER, --fit FOLDER or --model"
        raise click.UsageError(f"{what} gilbert:0.05,0.33 (one of them)")
    if traces is not None:
        found = read_traces(traces)
        return found, {"traces": traces.name, "count": len(found)}, []
    if fit is None:
        parsed = [parse_model(text) for text in models]
        return parsed, {"models": [str(model) for model in parsed]}, []
    if len(models) > 1:
        raise click.UsageError("with --fit name one kind of --model")
    kind = models[0] if models else _FITTED
    if ":" in kind:
        what = "with --fit name the kind alone, such as --model gilbert; its numbers are found"
        raise click.UsageError(what)
    found = read_traces(fit)
    chosen = fitted(found, kind)[0]
    others = [f for f in fitted(found, None) if f.model.kind != kind] if options["dry_run"] else []
    about = {"fitted_to": fit.name, "count": len(found), "fit": chosen.as_dict()}
    return [chosen.model], about, [chosen, *others]


def _seconds(text: str | None) -> tuple[float, float] | None:
    """Read ``10`` or ``10-15``."""
    if text is None:
        return None
    low, _, high = text.partition("-")
    try:
        span = float(low), float(high or low)
    except ValueError:
        what = f"'{text}' is no duration; write 10, or 10-15 for a range"
        raise ConfigError("--seconds", what) from None
    if not 2.0 <= span[0] <= span[1] <= 3600.0:
        what = f"must lie between 2 and 3600, the shorter first, got {text}"
        raise ConfigError("--seconds", f"{what}; write 10, or 10-15")
    return span


def _mix(text: str) -> tuple[float, ...] | None:
    """Read shares such as ``3,2,1``."""
    if text == "natural":
        return None
    try:
        shares = tuple(float(word) for word in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 3 or not all(0.0 <= share < 1e9 for share in shares) or not any(shares):
        what = f"needs three shares such as 3,2,1, or the word natural, got '{text}'"
        raise ConfigError("--strata", what)
    return shares


def _tell_plan(
    losses: list[tuple[str, np.ndarray]] | list[LossModel],
    fits: list[Fit],
    settings: MakeSettings,
    files: int,
    as_json: bool,
) -> None:
    """Show what would be drawn."""
    from rtcore.challenges.plc.make import strata_of

    strata, dropped = strata_of(losses, settings)
    if as_json:
        facts = {"files": files, "strata": strata, "dropped": dropped}
        print_json({**facts, "fits": [found.as_dict() for found in fits]})
        return
    _tell_fits(fits)
    columns = ["longest burst", "traces", "lowest loss", "median loss", "highest loss"]
    print_table(columns, [list(row.values()) for row in strata])
    if dropped:
        click.echo(f"{dropped} traces are not used: nothing is lost, or more than 1000 ms in a row")
    click.echo(f"{files} files of clean speech")


def _tell_fits(fits: list[Fit]) -> None:
    """Show fitted models beside their traces."""
    for found in fits:
        click.echo(f"{found.model}  (log likelihood {found.log_likelihood:.4f} a packet, "
                   f"BIC {found.bic:.1f})")  # fmt: skip
    if not fits:
        return
    shares = [found.shares[1] for found in fits]
    rows: list[list[Any]] = [
        ["loss rate", *_row(fits[0].loss_rate[0], [f.loss_rate[1] for f in fits])],
        ["mean burst", *_row(fits[0].mean_burst[0], [f.mean_burst[1] for f in fits])],
    ]
    for k, seen in enumerate(fits[0].shares[0]):
        last = k + 1 == len(fits[0].shares[0])
        name = f"bursts of {k + 1}{' or more' if last else ''}"
        rows.append([name, *_row(seen, [share[k] for share in shares])])
    rows.append(["distance", 0.0, *[round(found.distance, 4) for found in fits]])
    print_table(["", "traces", *[found.model.kind for found in fits]], rows)


def _row(seen: float, modelled: list[float]) -> list[float]:
    return [round(value, 4) for value in (seen, *modelled)]


def _tell(made: Made, target: Path, as_json: bool) -> None:
    """Say what was made."""
    share = 100.0 * made.lost / max(1, made.packets)
    if as_json:
        facts = {"target": target, "clips": made.clips, "seconds": made.seconds}
        print_json({**facts, "loss_rate": share / 100.0, "strata": dict(made.strata),
                    "notes": made.notes})  # fmt: skip
        return
    click.echo(f"{target}: {made.clips} clips, {made.seconds:.1f} s, {share:.1f} % lost")
    for name, count in made.strata.items():
        click.echo(f"  longest burst {name}: {count}")
    for note in made.notes:
        warn(note)
