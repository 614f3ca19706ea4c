# SPDX-License-Identifier: MIT
"""The clips that concealers are compared on, each with its losses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rtcore.audiofile import read
from rtcore.challenges.plc.bursts import STRATA
from rtcore.challenges.plc.layout import find_set
from rtcore.challenges.plc.loss_models import LossModel, parse_model
from rtcore.challenges.plc.make import MakeSettings, make_set

__all__ = ["PACKET", "RATE", "Clip", "real_clips", "speech_clips", "strata_clips"]

RATE, PACKET = 16000, 320
LOSSES = ("gilbert:0.04,0.5", "gilbert:0.05,0.33", "gilbert:0.04,0.2")
#: Rarer and more frequent losses, and longer bursts, so that each stratum has its loss rates.
MORE_LOSSES = ("gilbert:0.01,0.5", "gilbert:0.15,0.5", "gilbert:0.02,0.1", "gilbert:0.1,0.2")
CLEAN_PACKETS = 5
LONGEST_S = 15


@dataclass(frozen=True)
class Clip:
    """A clip, its losses, and the clean sound where it is known."""

    name: str
    lossy: np.ndarray
    lost: np.ndarray
    clean: np.ndarray | None

    @cached_property
    def digest(self) -> str:
        """What tells it from all others, whatever its name."""
        parts = [self.lossy.astype("<f8").tobytes(), self.lost.tobytes()]
        parts += [] if self.clean is None else [self.clean.astype("<f8").tobytes()]
        return hashlib.sha256(b"|".join(parts)).hexdigest()


def speech_clips(folder: Path, count: int) -> Iterator[Clip]:
    """Take clips of all speakers in turn, and lose packets of them."""
    groups: dict[Path, list[Path]] = {}
    for file in sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav")]):
        groups.setdefault(file.parent, []).append(file)
    deepest = max(map(len, groups.values()), default=0)
    files = [group[k] for k in range(deepest) for group in groups.values() if k < len(group)]
    for number, file in enumerate(files[:count]):
        x, rate = read(file, "float64")
        if rate != RATE or len(x) != 1:
            raise SystemExit(f"{file}: must be mono at {RATE} Hz")
        packets = min(x.shape[1] // PACKET, LONGEST_S * RATE // PACKET)
        clean = x[0, : packets * PACKET]
        lost = gilbert(parse_model(LOSSES[number % len(LOSSES)]), packets, number)
        yield Clip(file.stem, np.where(np.repeat(lost, PACKET), 0.0, clean), lost, clean)


def gilbert(model: LossModel, packets: int, seed: int) -> np.ndarray:
    """Draw a trace whose first 100 ms are clean."""
    lost = model.generate(1, packets, np.random.default_rng(seed))[0].astype(bool)
    lost[:CLEAN_PACKETS] = False
    return lost


def real_clips(folder: Path, clean: Path | None = None, prefix: str = "") -> Iterator[Clip]:
    """Take the clips of a 2022 set with their own traces."""
    for clip in find_set(folder).clips:
        x, rate = read(clip.sound, "float64")
        lost = clip.lost_in(x, rate)
        path = next(iter(sorted(clean.glob(f"{clip.sound.stem}.*"))), None) if clean else clip.clean
        reference = read(path, "float64")[0][0] if path is not None else None
        yield Clip(prefix + clip.sound.stem, x[0], lost, reference)


def strata_clips(
    speech: Path, each: int, cells: int, seed: int, folder: Path
) -> tuple[list[Clip], list[str]]:
    """Make a set as ``rtcore plc make`` does, with as many clips in each burst stratum.

    Parameters
    ----------
    speech : Path
        A folder of clean speech.
    each : int
        Clips a stratum.
    cells : int
        Loss-rate cells in each, from which traces are drawn in turn.
    seed : int
        Of all that is drawn.
    folder : Path
        Where the set is written; it must not exist.

    Returns
    -------
    clips : list of Clip
    notes : list of str
        What is not as it was asked for.
    """
    models = [parse_model(text) for text in (*LOSSES, *MORE_LOSSES)]
    mix = (1.0,) * len(STRATA)
    settings = MakeSettings(clips=each * len(STRATA), seed=seed, mix=mix, cells=cells)
    made = make_set(speech, folder, models, settings)
    return list(real_clips(folder, prefix=f"strata{seed}-")), made.notes
