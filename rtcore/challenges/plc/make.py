# SPDX-License-Identifier: MIT
"""Make a set in a challenge's format, from any clean speech and any traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.challenges.plc import fitting
from rtcore.challenges.plc.bursts import STRATA, bursts_of
from rtcore.challenges.plc.draw import Pool, Sampler, pool_of_models, pool_of_traces
from rtcore.challenges.plc.layout import natural
from rtcore.challenges.plc.loss_models import LossModel
from rtcore.challenges.plc.meta import has_traces, parse_digits, read_meta
from rtcore.challenges.plc.setwriter import (
    LAYOUTS,
    Made,
    MakeSettings,
    SetWriter,
    whole_folder,
)
from rtcore.challenges.plc.sources import Piece, SkippedSources, clean_files, pieces
from rtcore.challenges.plc.traces import (
    TRACE_SUFFIX,
    packet_frames,
    read_trace,
)
from rtcore.errors import ConfigError

__all__ = ["LAYOUTS", "Made", "MakeSettings", "fitted", "make_set", "read_traces", "strata_of"]


def read_traces(path: Path) -> list[tuple[str, np.ndarray]]:
    """Read all traces of a folder (``*_is_lost.txt``, below it too) or of a csv.

    Returns
    -------
    list of (str, ndarray of bool)
        Name and trace, in the order of the names.

    Raises
    ------
    ConfigError
        Where there is none, or one is damaged.
    """
    if path.is_file() and path.suffix.lower() != ".csv":
        return [(path.name, read_trace(path))]
    files = sorted(path.rglob(f"*{TRACE_SUFFIX}"), key=lambda f: natural(f.as_posix()))
    if files:
        return [(file.relative_to(path).as_posix(), read_trace(file)) for file in files]
    tables = [path] if path.is_file() else [f for f in sorted(path.glob("*.csv")) if has_traces(f)]
    found = [
        (row.name, parse_digits(row.trace, f"{table}, line {row.line}"))
        for table in tables
        for row in read_meta(table)
    ]
    if not found:
        what = f"holds no traces; name a folder with *{TRACE_SUFFIX} files or a 2024 csv"
        raise ConfigError(str(path), what)
    return found


def make_set(
    speech: Path,
    target: Path,
    losses: Sequence[tuple[str, np.ndarray]] | Sequence[LossModel],
    settings: MakeSettings = MakeSettings(),  # noqa: B008 - frozen
    *,
    about: dict[str, Any] | None = None,
    on_clip: Callable[[int], None] | None = None,
) -> Made:
    """Make a set; the folder appears when all of it is there.

    Parameters
    ----------
    speech : Path
        A folder of clean sounds, or one sound.
    target : Path
        A folder that does not exist yet or is empty.
    losses : sequence of (str, ndarray) or of LossModel
        Real traces by name, or models to draw them from.
    settings : MakeSettings
        What the set shall be like.
    about : dict, optional
        What the manifest says about the origin of the losses.
    on_clip : function, optional
        Called with 1 for each clip.

    Raises
    ------
    ConfigError, AudioFileError
        Where the folder is in use, there is no speech, or no trace fits; nothing is left then.
    """
    layout = LAYOUTS[settings.layout]
    seconds = settings.seconds or layout.seconds
    order, choice, cut = (np.random.default_rng([settings.seed, k]) for k in range(3))
    files = clean_files(speech)
    pool = _pool(losses, seconds[1], order)
    sampler = Sampler(pool, settings.mix, choice, settings.cells)
    made, skipped = Made(), SkippedSources()
    with whole_folder(target) as folder:
        writer = SetWriter(folder, settings, layout, made)
        for piece in _enough(files, speech, layout.sample_rate, seconds, cut, skipped, settings):
            packets = len(piece.samples) // packet_frames(layout.sample_rate)
            writer.add(piece, sampler.draw(packets))
            if on_clip is not None:
                on_clip(1)
        if not made.clips:
            reasons = "; ".join(f"{k}: {v}" for k, v in list(skipped.reasons.items())[:3])
            raise ConfigError(str(speech), f"gives no clip; use longer speech ({reasons})")
        _note(made, sampler, skipped, writer, settings)
        writer.close(_manifest(speech, settings, seconds, pool, made, skipped, about))
    return made


def _pool(
    losses: Sequence[tuple[str, np.ndarray]] | Sequence[LossModel],
    longest_s: float,
    rng: np.random.Generator,
) -> Pool:
    """Gather traces to draw from."""
    models = [entry for entry in losses if isinstance(entry, LossModel)]
    if models:
        return pool_of_models(models, longest_s, rng)
    return pool_of_traces([e for e in losses if not isinstance(e, LossModel)], longest_s)


def _enough(
    files: list[Path],
    speech: Path,
    sample_rate: int,
    seconds: tuple[float, float],
    rng: np.random.Generator,
    skipped: SkippedSources,
    settings: MakeSettings,
) -> Iterator[Piece]:
    """Give as many clips as wanted; where the speech ends it begins again, with other traces."""
    wanted = settings.clips
    given = 0
    while True:
        per_file = None if wanted is None else max(1, -(-(wanted - given) // len(files)))
        before = given
        for piece in pieces(
            files, speech, sample_rate=sample_rate, seconds=seconds, rng=rng, skipped=skipped,
            per_file=per_file,
        ):  # fmt: skip
            given += 1
            yield piece
            if given == wanted:
                return
        if wanted is None or given == before:
            return


def _note(
    made: Made,
    sampler: Sampler,
    skipped: SkippedSources,
    writer: SetWriter,
    settings: MakeSettings,
) -> None:
    """Say what is not as it was asked for."""
    for name in sampler.absent:
        made.notes.append(f"no trace has its longest burst in {name}; the other strata fill up")
    if skipped.reasons:
        first = next(iter(skipped.reasons.items()))
        made.notes.append(f"{len(skipped.reasons)} files were not used, such as {': '.join(first)}")
    if writer.upsampled:
        rate = LAYOUTS[settings.layout].sample_rate
        made.notes.append(
            f"{writer.upsampled} clips come from speech of a lower rate than {rate} Hz, "
            "and have no sound above its half"
        )
    if writer.shortened:
        made.notes.append(f"{writer.shortened} clips were cut to the length of their traces")


def _manifest(
    speech: Path,
    settings: MakeSettings,
    seconds: tuple[float, float],
    pool: Pool,
    made: Made,
    skipped: SkippedSources,
    about: dict[str, Any] | None,
) -> dict[str, Any]:
    """Tell everything that the set depends on; no time and no machine, so that it repeats."""
    import scipy

    from rtcore import __version__

    there = {s.name: len(part) for s, part in zip(STRATA, pool.strata, strict=True)}
    return {
        "made_by": f"rtcore {__version__}",
        "libraries": {"numpy": np.__version__, "scipy": scipy.__version__},
        "speech": speech.name,
        "settings": {**asdict(settings), "seconds": seconds},
        "losses": about or {},
        "traces_to_draw_from": {
            **there, "without_loss": pool.without_loss, "bursts_over_1000_ms": pool.too_long,
        },
        "clips": made.clips,
        "seconds": round(made.seconds, 4),
        "loss_rate": round(made.lost / max(1, made.packets), 6),
        "strata": {s.name: made.strata[s.name] for s in STRATA},
        "notes": made.notes,
        "not_used": skipped.reasons,
    }  # fmt: skip


def strata_of(
    losses: Sequence[tuple[str, np.ndarray]] | Sequence[LossModel], settings: MakeSettings
) -> tuple[list[dict[str, Any]], int]:
    """Tell what there is to draw from, by stratum, and how many traces are dropped."""
    seconds = settings.seconds or LAYOUTS[settings.layout].seconds
    pool = _pool(losses, seconds[1], np.random.default_rng([settings.seed, 0]))
    rows = []
    for stratum, members in zip(STRATA, pool.strata, strict=True):
        rates = sorted(bursts_of(lost).loss_rate for lost, _, _ in members) or [float("nan")]
        low, middle, high = (round(float(np.quantile(rates, q)), 4) for q in (0.0, 0.5, 1.0))
        words = {"stratum": stratum.name, "traces": len(members)}
        rows.append({**words, "lowest_loss": low, "median_loss": middle, "highest_loss": high})
    return rows, pool.without_loss + pool.too_long


def fitted(traces: list[tuple[str, np.ndarray]], kind: str | None) -> list[fitting.Fit]:
    """Fit one kind of model to traces, or all kinds, the best bargain first."""
    from rtcore.challenges.plc.loss_models import KINDS

    kinds = list(KINDS) if kind is None else [kind]
    fits = [fitting.fit([lost for _, lost in traces], name) for name in kinds]
    return sorted(fits, key=lambda found: found.bic)
