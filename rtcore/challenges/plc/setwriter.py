# SPDX-License-Identifier: MIT
"""Write the clips and tables of a set, in the layout of either year."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import write
from rtcore.batch.ledger import LOCK, held, made_folder
from rtcore.challenges.plc.bursts import CELLS, STRATA, bursts_of
from rtcore.challenges.plc.draw import MIX, Drawn
from rtcore.challenges.plc.layout import CLEAN, LOSSY, META
from rtcore.challenges.plc.meta import table_text
from rtcore.challenges.plc.sources import Piece
from rtcore.challenges.plc.traces import TRACE_SUFFIX, packet_frames, write_text, write_trace
from rtcore.errors import ConfigError

__all__ = ["LAYOUTS", "Layout", "Made", "MakeSettings", "SetWriter", "whole_folder"]

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


class SetWriter:
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
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside the target that takes its name at the end, or disappears.

    What a killed run has left of it goes first.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "is there already; name a new folder, or delete this one first"
        raise ConfigError(str(target), what)
    if target.resolve() == Path.cwd():
        raise ConfigError(str(target), "is the folder you are in; name a new folder in it")
    whole = target.resolve()
    made_folder(target.parent)  # what is in the way has its own name, not that of a draft
    part = made_folder(whole.with_name(f".rtcore-{whole.name}.part"))
    with held(part, target):
        try:
            for left in part.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name != LOCK:
                    left.unlink()
            yield part
            (part / LOCK).unlink()
            os.replace(part, whole)  # noqa: PTH105 - Path.replace refuses an empty folder elsewhere
        finally:
            shutil.rmtree(part, ignore_errors=True)
