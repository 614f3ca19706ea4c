# SPDX-License-Identifier: MIT
"""Make what is handed in, and check it: names, rate, bits, channels, length, clipping.

CEC2 asks for WAV files of 16 bits and 32 kHz, one for each pair, in a folder with the team's name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import Writer, info, read
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity.layout import OUTPUT, ClaritySet
from rtcore.challenges.clarity.lengths import check_length
from rtcore.challenges.people import Pair
from rtcore.challenges.resampling import resampled
from rtcore.errors import AudioFileError, ConfigError

__all__ = ["SUBMISSION_HZ", "Checked", "check_folder", "make_submission"]

SUBMISSION_HZ = 32000
_SUBTYPE = "PCM_16"
_FULL = 32767.0 / 32768.0


@dataclass
class Checked:
    """What a folder is like.

    Attributes
    ----------
    folder : Path
        Of the submission.
    files : int
        How many of the pairs have a good file.
    faults : list of str
        Why it would be refused, a sentence each.
    clipped : dict
        File name to how many samples stand at full scale.
    """

    folder: Path
    files: int = 0
    faults: list[str] = field(default_factory=list)
    clipped: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give all of it for programs."""
        return {
            "folder": self.folder,
            "files": self.files,
            "faults": self.faults,
            "clipped": self.clipped,
        }


def name_of(pair: Pair) -> str:
    """Give the file name of a pair."""
    return OUTPUT.format(scene=pair.scene, listener=pair.listener)


def make_submission(
    pairs: list[Pair], source: Path, target: Path, *, on_file: Callable[[int], None] | None = None
) -> tuple[dict[str, int], list[str]]:
    """Copy outputs into a new folder; those of another rate or type are converted.

    Parameters
    ----------
    pairs : list of Pair
        What is handed in.
    source : Path
        The folder of the outputs.
    target : Path
        A folder that does not exist yet or is empty; it is named by the team's id.
    on_file : function, optional
        Called with 1 for each pair.

    Returns
    -------
    counts : dict of str to int
        How many files were ``copied``, ``converted``, ``missing`` and ``failed``.
    faults : list of str
        Why those failed, a sentence each.

    Raises
    ------
    ConfigError
        Where the target holds something.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "is there already; name a new folder, or check this one with --check"
        raise ConfigError(str(target), what)
    made_folder(target)
    counts = {"copied": 0, "converted": 0, "missing": 0, "failed": 0}
    faults = []
    for pair in pairs:
        try:
            counts[_hand_in(source / name_of(pair), target / name_of(pair))] += 1
        except AudioFileError as error:  # the others are looked at as well
            counts["failed"] += 1
            faults.append(str(error))
        if on_file is not None:
            on_file(1)
    return counts, faults


def take_away(folder: Path) -> None:
    """Remove a submission that was just made and would be refused, so that the next can be made.

    Raises
    ------
    AudioFileError
        Where that may not be.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        what = f"cannot be removed ({error.strerror or error}); remove it by hand"
        raise AudioFileError(f"{folder}: {what}") from error


def _hand_in(source: Path, target: Path) -> str:
    """Bring one file over; say how."""
    if not source.is_file():
        return "missing"
    header = info(source)
    if (header.sample_rate, header.subtype) == (SUBMISSION_HZ, _SUBTYPE):
        part = target.with_name(f".rtcore-{target.name}.part")
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return "copied"
    x, rate = read(source, "float64")
    y = resampled(x, rate, SUBMISSION_HZ)
    with Writer(target, SUBMISSION_HZ, len(y), subtype=_SUBTYPE) as out:
        out.write(y)
    return "converted"


def check_folder(
    found: ClaritySet,
    pairs: list[Pair],
    folder: Path,
    *,
    on_file: Callable[[int], None] | None = None,
) -> Checked:
    """Check a submission.

    Parameters
    ----------
    found : ClaritySet
        The set; the lengths of its mixes bound those of the outputs.
    pairs : list of Pair
        What must be there, and nothing else.
    folder : Path
        The submission.
    on_file : function, optional
        Called with 1 for each pair.

    Raises
    ------
    ConfigError
        Where there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(str(folder), "is no folder of outputs; check its name")
    checked = Checked(folder)
    wanted = {name_of(pair) for pair in pairs}
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".rtcore-")}
    missing, extra = sorted(wanted - present), sorted(present - wanted)
    if missing:
        what = f"lacks {len(missing)} of {len(wanted)} outputs ({', '.join(missing[:3])})"
        _note(checked, f"{folder}: {what}; make them")
    if extra:
        what = f"has {len(extra)} files that nobody asked for ({', '.join(extra[:3])})"
        _note(checked, f"{folder}: {what}; take them away")
    for pair in pairs:
        path = folder / name_of(pair)
        if path.name in present:
            _check_file(path, found.signals.mix(pair.scene, 1), checked)
        if on_file is not None:
            on_file(1)
    return checked


def _check_file(path: Path, mix: Path, checked: Checked) -> None:
    """Check one output."""
    try:
        header = info(path)
        x, rate = read(path, "float64")
        scene_s = info(mix).duration_s or 0.0
    except AudioFileError as error:
        _note(checked, str(error))
        return
    clipped = int(np.count_nonzero((x >= _FULL) | (x <= -1.0)))
    if clipped:
        checked.clipped[path.name] = clipped
    facts = [
        (rate == SUBMISSION_HZ, f"{rate} Hz", f"{SUBMISSION_HZ} Hz"),
        (header.subtype == _SUBTYPE, header.subtype, "16 bits (PCM_16)"),
        (header.format == "WAV", header.format, "WAV"),
        (len(x) == 2, f"{len(x)} channels", "two channels"),
    ]
    wrong = [(has, wants) for good, has, wants in facts if not good]
    for has, wants in wrong:
        _note(checked, f"{path}: has {has}, and {wants} are asked for; make it again")
    try:
        check_length(path, x.shape[1] / rate, scene_s)
    except AudioFileError as error:
        _note(checked, str(error))
        return
    checked.files += not wrong


def _note(checked: Checked, fault: str) -> None:
    """Keep why a submission would be refused."""
    checked.faults.append(fault)


def archive(folder: Path, kind: str) -> Path:
    """Pack a submission into ``<team>.zip`` or ``<team>.tar`` beside it; give the file.

    Raises
    ------
    AudioFileError
        Where it cannot be written.
    """
    try:
        made = shutil.make_archive(str(folder), kind, folder.parent, folder.name)
    except OSError as error:
        what = f"cannot be packed ({error.strerror or error}); free some space"
        raise AudioFileError(f"{folder}: {what}") from error
    return Path(made)
