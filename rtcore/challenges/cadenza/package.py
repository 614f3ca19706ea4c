# SPDX-License-Identifier: MIT
"""Make the folder that is handed in, and check all that the rules say of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtcore.audiofile import blocks, info
from rtcore.batch.ledger import made_folder
from rtcore.challenges.cadenza.evaluate import SUFFIX, read_factor
from rtcore.challenges.cadenza.layout import CadenzaSet
from rtcore.challenges.cadenza.lengths import check_length
from rtcore.challenges.cadenza.metadata import MIXTURE, SUBMISSION_RATE_HZ
from rtcore.challenges.cadenza.side_car import SIDE_CAR
from rtcore.challenges.people import Pair
from rtcore.errors import ConfigError, RtcoreError

__all__ = ["Checked", "check_answer", "check_folder", "copy_answers"]

_FULL_SCALE = 32767.0 / 32768.0
_STEREO = 2
_SCORES = "scores"  # the folder that `evaluate` makes beside the answers


@dataclass
class Checked:
    """What was found.

    Attributes
    ----------
    good : list of Path
        Answers that may be handed in, in the official order.
    problems : dict
        Name of an answer to what is wrong with it.
    extra : list of str
        Files that no scene and listener ask for.
    clipped : dict
        Name of an answer to how many of its samples are at full scale, where there are any.
    """

    good: list[Path] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    clipped: dict[str, int] = field(default_factory=dict)


def check_folder(
    found: CadenzaSet, pairs: Sequence[Pair], answers: Path, *, as_it_is: bool = True
) -> Iterator[Checked]:
    """Check a folder of answers.

    Parameters
    ----------
    found : CadenzaSet
        What was asked for.
    pairs : sequence of Pair
        All that must be there.
    answers : Path
        The folder.
    as_it_is : bool
        It is handed in itself, so that any other file is one too many, and not sounds alone.

    Yields
    ------
    Checked
        The same object after each answer, and once more at the end.
    """
    checked = Checked()
    lengths: dict[Path, int] = {}
    for pair in pairs:
        path = answers / f"{pair.name}{SUFFIX}"
        try:
            mixture = found.request(pair).file(MIXTURE)
            if mixture not in lengths:
                lengths[mixture] = info(mixture).frames or 0
            clipped = check_answer(path, lengths[mixture])
        except RtcoreError as error:
            checked.problems[path.name] = str(error)
        else:
            checked.good.append(path)
            if clipped:
                checked.clipped[path.name] = clipped
        yield checked
    wanted = {f"{pair.name}{SUFFIX}" for pair in pairs}
    there = {path.name for path in answers.iterdir() if _counts(path, sounds=not as_it_is)}
    checked.extra = sorted(there - wanted)
    yield checked


def _counts(path: Path, *, sounds: bool) -> bool:
    """Whether something in the folder counts: a sound, or all that is not rtcore's own."""
    if sounds:
        return path.suffix.lower() in {".flac", ".wav"}
    return not path.name.startswith(".") and path.name not in {SIDE_CAR, _SCORES}


def check_answer(path: Path, mixture_frames: int) -> int:
    """Check one answer.

    Parameters
    ----------
    path : Path
        The file.
    mixture_frames : int
        Of what it answers to, at 44.1 kHz.

    Returns
    -------
    int
        How many samples are at full scale, where they were clipped most likely.

    Raises
    ------
    AudioFileError
        Where it is missing or damaged.
    ConfigError
        Where the rules forbid it.
    """
    header = info(path)
    found = (
        f"{header.format} {header.subtype}, {header.sample_rate} Hz, channels: {header.channels}"
    )
    wanted = f"FLAC PCM_16, {SUBMISSION_RATE_HZ} Hz, channels: {_STEREO}"
    if found != wanted:
        raise ConfigError(str(path), f"is {found} where {wanted} are handed in; make it again")
    if read_factor(path) is not None:
        what = "has a side-car with a factor, which the rules know nothing of; clip in place of it"
        raise ConfigError(str(path), what)
    frames = clipped = 0
    for block in blocks(path):
        frames += block.shape[-1]
        clipped += int(np.count_nonzero(np.abs(block) >= _FULL_SCALE))
    check_length(path, frames, mixture_frames)
    return clipped


def copy_answers(checked: Checked, target: Path) -> None:
    """Copy what may be handed in into a new folder; files get their names when they are whole.

    Raises
    ------
    ConfigError
        Where the folder has other files in it, which would be handed in as well.
    AudioFileError
        Where the folder cannot be made.
    """
    names = {path.name for path in checked.good}
    there = {path.name for path in target.iterdir()} if target.is_dir() else set()
    strange = sorted(there - names)
    if strange:
        what = f"has {len(strange)} other files ({', '.join(strange[:3])}); name a new folder"
        raise ConfigError(str(target), what)
    made_folder(target)
    for path in checked.good:
        draft = target / f".rtcore-{path.name}.part"
        try:
            shutil.copyfile(path, draft)
            draft.replace(target / path.name)
        finally:
            draft.unlink(missing_ok=True)
