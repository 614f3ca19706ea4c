# SPDX-License-Identifier: MIT
"""Make a set in a challenge's format, from any clean speech and any traces."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import write
from rtcore.challenges.plc import fitting
from rtcore.challenges.plc.bursts import CELLS, STRATA, bursts_of
from rtcore.challenges.plc.draw import MIX, Drawn, Pool, Sampler, pool_of_models, pool_of_traces
from rtcore.challenges.plc.layout import CLEAN, LOSSY, META, natural
from rtcore.challenges.plc.loss_models import LossModel
from rtcore.challenges.plc.meta import has_traces, parse_digits, read_meta, table_text
from rtcore.challenges.plc.sources import Piece, SkippedSources, clean_files, pieces
from rtcore.challenges.plc.traces import (
    TRACE_SUFFIX,
    packet_frames,
    read_trace,
    write_text,
    write_trace,
)
from rtcore.errors import ConfigError

__all__ = ["LAYOUTS", "Made", "MakeSettings", "fitted", "make_set", "read_traces", "strata_of"]

MANIFEST, METADATA = "manifest.json", "metadata.csv"
_COLUMNS = (
    "file", "source", "source_rate_hz", "start_s", "seconds", "trace", "trace_offset_packets",
    "packets", "lost", "loss_rate", "bursts", "mean_burst_packets", "longest_burst_ms",
    "stratum", "cell",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """What distinguishes the sets of one year."""

    sample_rate: int
    seconds: tuple[float, float]
    peak_db: float | None


#: 2024: clips of 10 to 15 s at 48 kHz with their peak at -6 dB re full scale.
LAYOUTS = {"2022": Layout(16000, (10.0, 10.0), None), "2024": Layout(48000, (10.0, 15.0), -6.0)}


@dataclass(frozen=True)
class MakeSettings:
    """What a set shall be like.

    Attributes
    ----------
    layout : str
        ``"2022"`` or ``"2024"``.
    blind : bool
        Keep the clean sound and what is known about the losses apart from the set.
    clips : int or None
        How many; as many as the speech gives where None.
    seconds : tuple of float or None
        Shortest and longest clip; the challenge's where None.
    seed : int
        The same seed gives the same bytes.
    mix : tuple of float or None
        Shares of the strata; as they come among the traces where None.
    cells : int
        Loss-rate cells in each stratum.
    peak_db : float or None
        To which each clip is brought; the challenge's where None.
    """

    layout: str = "2022"
    blind: bool = False
    clips: int | None = None
    seconds: tuple[float, float] | None = None
    seed: int = 0
    mix: tuple[float, ...] | None = MIX
    cells: int = CELLS
    peak_db: float | None = None


@dataclass
class Made:
    """What was made.

    Attributes
    ----------
    clips : int
        How many.
    seconds : float
        Their duration in all.
    packets, lost : int
        In all clips.
    strata : dict
        Clips in each stratum.
    notes : list of str
        What is not as it was asked for.
    """

    clips: int = 0
    seconds: float = 0.0
    packets: int = 0
    lost: int = 0
    strata: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


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
    settings: MakeSettings = MakeSettings(),
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
    with _whole_folder(target) as folder:
        writer = _SetWriter(folder, settings, layout, made)
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


class _SetWriter:
    """Writes clips and their tables in a layout."""

    def __init__(self, folder: Path, settings: MakeSettings, layout: Layout, made: Made) -> None:
        self._layout, self._settings, self._made = layout, settings, made
        self._peak_db = layout.peak_db if settings.peak_db is None else settings.peak_db
        self.folder = folder
        self._set = folder / "blind" if settings.blind else folder
        self._reference = folder / "blind_reference" if settings.blind else folder
        for part in (self._set / LOSSY, self._reference / CLEAN):
            part.mkdir(parents=True)
        self._rows: list[tuple[object, ...]] = []
        self._meta: list[tuple[object, ...]] = []
        self.upsampled = 0
        self.shortened = 0

    def add(self, piece: Piece, drawn: Drawn) -> None:
        """Write one clip: clean, lossy and trace."""
        packet = packet_frames(self._layout.sample_rate)
        name = f"{len(self._rows) + 1}.wav"
        lost = drawn.lost
        self.shortened += len(lost) * packet < len(piece.samples)
        self.upsampled += piece.source_rate < self._layout.sample_rate
        clean = self._levelled(piece.samples[: len(lost) * packet])
        lossy = np.where(np.repeat(lost, packet), 0.0, clean)
        for path, samples in ((self._reference / CLEAN, clean), (self._set / LOSSY, lossy)):
            write(path / name, samples, self._layout.sample_rate, subtype="PCM_16", round_=True)
        facts = bursts_of(lost)
        if self._settings.layout == "2022":
            write_trace(self._set / LOSSY / f"{Path(name).stem}{TRACE_SUFFIX}", lost)
        else:
            digits = " ".join("1" if entry else "0" for entry in lost)
            self._meta.append((name, self._layout.sample_rate, len(lost), digits))
        seconds = len(clean) / self._layout.sample_rate
        self._rows.append((
            name, piece.source, piece.source_rate, piece.start_s, round(seconds, 4), drawn.origin,
            drawn.offset, facts.packets, facts.lost, round(facts.loss_rate, 6), facts.bursts,
            round(facts.mean_burst, 4), facts.longest_ms, STRATA[drawn.stratum].name, drawn.cell,
        ))  # fmt: skip
        self._made.clips += 1
        self._made.seconds += seconds
        self._made.packets += facts.packets
        self._made.lost += facts.lost
        self._made.strata[STRATA[drawn.stratum].name] += 1

    def close(self, manifest: dict[str, Any]) -> None:
        """Write the tables and the manifest."""
        write_text(self._reference / METADATA, table_text(_COLUMNS, self._rows))
        if self._meta:
            columns = ("filename", "sample_rate", "packets", "trace")
            write_text(self._set / META, table_text(columns, self._meta))
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        write_text(self.folder / MANIFEST, text)

    def _levelled(self, x: np.ndarray) -> np.ndarray:
        """Bring the peak where the challenge has it; never let it clip."""
        peak = float(np.abs(x).max(initial=0.0))
        full = 32767.0 / 32768.0
        if self._peak_db is not None and peak > 0.0:
            return x * (10.0 ** (self._peak_db / 20.0) / peak)
        return x * (full / peak) if peak > full else x


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside the target that takes its name at the end, or disappears."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "is there already; name a new folder, or delete this one first"
        raise ConfigError(str(target), what)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".rtcore-{secrets.token_hex(6)}.part")
    part.mkdir()
    try:
        yield part
        os.replace(part, target)  # noqa: PTH105 - Path.replace refuses an empty folder elsewhere
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _note(
    made: Made,
    sampler: Sampler,
    skipped: SkippedSources,
    writer: _SetWriter,
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
