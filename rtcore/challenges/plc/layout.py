# SPDX-License-Identifier: MIT
"""Find the clips of a set, in the layouts of 2022 and 2024, with or without clean sound.

2022 (``train``, ``val``, ``blind``): ``lossy_signals/<n>.wav`` with ``<n>_is_lost.txt`` beside it,
``clean_signals/<n>.wav`` in all but blind sets. 2024: a csv with a column of traces, and the
sounds in its folder or below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcore.batch.ledger import LEDGER
from rtcore.challenges.plc.check import check_trace, empty_packets, fit_trace
from rtcore.challenges.plc.meta import MetaRow, has_traces, parse_digits, read_meta
from rtcore.challenges.plc.traces import TRACE_SUFFIX, packet_frames, read_trace
from rtcore.errors import ConfigError

__all__ = ["CLEAN", "LOSSY", "META", "Clip", "ClipSet", "find_set", "natural"]

LOSSY, CLEAN = "lossy_signals", "clean_signals"
#: The csv of a 2024 set, as the challenge calls it.
META = "val_meta.csv"
_CLEAN_WORDS = ("clean", "reference")


@dataclass(frozen=True)
class Clip:
    """One lossy sound and where its trace stands.

    Attributes
    ----------
    name : str
        The file's name, such as ``54.wav``; the output gets the same.
    sound : Path
        The lossy sound.
    trace : str
        What errors call the trace: a file, or a csv and the line in it.
    digits : str or None
        The trace as a csv has it; None where it is a file.
    clean : Path or None
        The clean sound, where the set has it.
    """

    name: str
    sound: Path
    trace: str
    digits: str | None = None
    clean: Path | None = None

    def lost(self) -> np.ndarray:
        """Read the trace as it stands: True for each lost packet."""
        if self.digits is not None:
            return parse_digits(self.digits, self.trace)
        return read_trace(self.trace)

    def lost_in(
        self, x: np.ndarray, sample_rate: int, *, check: bool = True, from_zeros: bool = False
    ) -> np.ndarray:
        """Read the trace and hold it against the sound.

        Parameters
        ----------
        x : array, shape (channels, frames)
            The lossy sound.
        sample_rate : int
            In Hz.
        check : bool
            Whether to refuse a trace that disagrees with the packets of zeros in the sound.
        from_zeros : bool
            Take the packets of zeros for the lost ones, and read no trace.

        Returns
        -------
        numpy.ndarray of bool
            An entry for each packet, a partial one at the end too.

        Raises
        ------
        ConfigError
            Where the trace is missing, damaged, too short, too long or for another file.
        """
        packet = packet_frames(sample_rate, str(self.sound))
        if from_zeros:
            return empty_packets(x, packet)
        lost = fit_trace(self.lost(), x.shape[1], packet, str(self.sound), self.trace)
        if check:
            check_trace(x, lost, packet, str(self.sound), self.trace)
        return lost


@dataclass(frozen=True)
class ClipSet:
    """The clips of a set.

    Attributes
    ----------
    path : Path
        As the user named it.
    layout : str
        ``"2022"`` or ``"2024"``.
    folder : Path
        Where the sounds lie; the csv's folder in a 2024 set.
    clips : tuple of Clip
        In the order of their numbers.
    """

    path: Path
    layout: str
    folder: Path
    clips: tuple[Clip, ...]

    @property
    def blind(self) -> bool:
        """Whether the set has no clean sound."""
        return all(clip.clean is None for clip in self.clips)


def find_set(path: Path, *, untraced: bool = False) -> ClipSet:
    """Find the clips of a set.

    Parameters
    ----------
    path : Path
        A folder of sounds with their traces beside them, the folder above ``lossy_signals``, a
        folder with a 2024 csv, or that csv.
    untraced : bool
        Take a folder with sounds alone for a set, too.

    Raises
    ------
    ConfigError
        Where it is none of these, with what was found instead.
    """
    if path.is_file() and path.suffix.lower() != ".csv":
        what = "is neither a folder nor a csv; name the clip's folder, or play this one file with"
        raise ConfigError(str(path), f"{what} `rtcore process --trace`")
    if path.is_file():
        return _of_csv(path, path)
    if not path.is_dir():
        what = "there is no such folder or csv; name a PLC set"
        raise ConfigError(str(path), what)
    found = _in_folder(path)
    if found is not None:
        if not untraced:
            _check_table(found)
        return found
    if untraced and _files(path, ".wav"):
        return _of_folder(path, path)
    inner = [entry.name for entry in _folders(path) if _in_folder(entry) is not None]
    if inner:
        what = f"holds several sets ({', '.join(inner[:8])}); name one of them"
        raise ConfigError(str(path), what)
    lacks = f"no .wav files with *{TRACE_SUFFIX} beside them, no {LOSSY}/ and no csv with traces"
    raise ConfigError(str(path), f"is no PLC set: there are {lacks}; name another folder")


def natural(name: str) -> tuple[list[int | str], str]:
    """Sort 9.wav before 10.wav."""
    parts = re.split(r"(\d+)", name)
    numbers = [int(part) if k % 2 else part.lower() for k, part in enumerate(parts)]
    return numbers, name


def _in_folder(folder: Path) -> ClipSet | None:
    """Look for a set in one folder; None where there is none."""
    tables = [file for file in _files(folder, ".csv") if has_traces(file)]
    if len(tables) > 1:
        names = ", ".join(file.name for file in tables)
        what = f"holds several csv files with traces ({names}); name one of them"
        raise ConfigError(str(folder), what)
    if tables:
        return _of_csv(folder, tables[0])
    lossy = folder / LOSSY
    sounds = lossy if lossy.is_dir() else folder
    has_sounds = bool(_files(sounds, ".wav"))
    has_traces_beside = any(sounds.glob(f"*{TRACE_SUFFIX}"))
    if has_traces_beside or (has_sounds and (sounds is lossy or folder.name == LOSSY)):
        return _of_folder(folder, sounds)
    return None


def _check_table(found: ClipSet) -> None:
    """Tell what is wrong with a csv where no sound has a trace beside it, instead of that."""
    if found.layout == "2024" or any(found.folder.glob(f"*{TRACE_SUFFIX}")):
        return
    tables = sorted(_files(found.path, ".csv"), key=lambda file: file.name != META)
    for table in tables[:1]:
        read_meta(table)


def _of_folder(path: Path, sounds: Path) -> ClipSet:
    """List a 2022 set: sounds without a trace, and traces without a sound, are told later."""
    names = {file.stem: file for file in _files(sounds, ".wav")}
    for file in sounds.glob(f"*{TRACE_SUFFIX}"):
        stem = file.name.removesuffix(TRACE_SUFFIX)
        names.setdefault(stem, sounds / f"{stem}.wav")
    clean = sounds.parent / CLEAN
    clips = []
    for stem in sorted(names, key=natural):
        sound = names[stem]
        reference = clean / sound.name if sounds.name == LOSSY else None
        found = reference if reference is not None and reference.is_file() else None
        trace = str(sounds / f"{stem}{TRACE_SUFFIX}")
        clips.append(Clip(sound.name, sound, trace, clean=found))
    return ClipSet(path, "2022", sounds, tuple(clips))


def _of_csv(path: Path, table: Path) -> ClipSet:
    """List a 2024 set; sounds are looked for in the csv's folder and below."""
    rows = read_meta(table)
    lossy, clean = _below(table.parent)
    clips: dict[str, Clip] = {}
    for row in rows:
        name = row.name.replace("\\", "/").rsplit("/", 1)[-1]
        where = f"{table}, line {row.line}"
        if name in clips:
            what = f"{name} stands in the list a second time; keep one of the rows"
            raise ConfigError(where, what)
        sound = _sound(row, name, table.parent, lossy, where)
        clips[name] = Clip(name, sound, where, row.trace, clean.get(name))
    return ClipSet(path, "2024", table.parent, tuple(clips.values()))


def _below(folder: Path) -> tuple[dict[str, list[Path]], dict[str, Path]]:
    """Sort all sounds below a folder by name into lossy ones and clean ones.

    What runs of rtcore have concealed into folders there is neither.
    """
    lossy: dict[str, list[Path]] = {}
    clean: dict[str, Path] = {}
    concealed = {ledger.parent for ledger in folder.rglob(LEDGER)}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() != ".wav" or not file.is_file() or file.parent in concealed:
            continue
        above = file.parent.relative_to(folder).as_posix().lower()
        if any(word in above for word in _CLEAN_WORDS):
            clean.setdefault(file.name, file)
        else:
            lossy.setdefault(file.name, []).append(file)
    return lossy, clean


def _sound(row: MetaRow, name: str, folder: Path, lossy: dict[str, list[Path]], where: str) -> Path:
    """Choose the sound that a row means."""
    found = lossy.get(name, [])
    as_written = [file for file in found if file == folder / row.name]
    if len(found) > 1 and not as_written:
        as_written = [file for file in found if file.parent.name == LOSSY]
    if len(found) > 1 and len(as_written) != 1:
        places = " and ".join(str(file.parent) for file in found[:3])
        what = f"there are several files {name}, in {places}; leave the lossy one there"
        raise ConfigError(where, what)
    return (as_written or found or [folder / name])[0]


def _files(folder: Path, suffix: str) -> list[Path]:
    return [f for f in sorted(folder.iterdir()) if f.suffix.lower() == suffix and f.is_file()]


def _folders(folder: Path) -> Iterator[Path]:
    yield from (entry for entry in sorted(folder.iterdir()) if entry.is_dir())
