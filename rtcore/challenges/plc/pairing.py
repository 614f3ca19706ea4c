# SPDX-License-Identifier: MIT
"""Find for each concealed sound its clean sound and its trace."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rtcore.challenges import provenance
from rtcore.challenges.plc.layout import CLEAN, Clip, find_set, natural
from rtcore.errors import ConfigError, RtcoreError

__all__ = ["Heard", "HeardSet", "find_heard", "made_with"]

_SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True)
class Heard:
    """A sound to be scored.

    Attributes
    ----------
    name : str
        Of its file, without the suffix.
    sound : Path
        What a listener hears.
    clean : Path or None
        What it should sound like.
    clip : Clip or None
        Its place in the set it was made from, with its trace.
    fault : RtcoreError or None
        Why it cannot be scored.
    """

    name: str
    sound: Path
    clean: Path | None = None
    clip: Clip | None = None
    fault: RtcoreError | None = None


@dataclass(frozen=True)
class HeardSet:
    """The sounds of a folder.

    Attributes
    ----------
    folder : Path
        As the user named it.
    sounds : tuple of Heard
        In the order of their numbers.
    missing : tuple of str
        Clips of the set of which there is no sound here.
    compares, traced : bool
        Whether clean sounds, and traces, were named.
    """

    folder: Path
    sounds: tuple[Heard, ...]
    missing: tuple[str, ...] = ()
    compares: bool = False
    traced: bool = False


def find_heard(folder: Path, reference: Path | None = None, traces: Path | None = None) -> HeardSet:
    """Find the sounds of a folder, each with its clean sound and its trace.

    Parameters
    ----------
    folder : Path
        With ``.wav`` or ``.flac`` files, such as ``rtcore plc conceal`` writes.
    reference : Path, optional
        A folder that has the clean sounds in it or below it, under the same names. Without it
        those of the set `traces` are taken, where it has them.
    traces : Path, optional
        A set, as :func:`~rtcore.challenges.plc.layout.find_set` takes it.

    Raises
    ------
    ConfigError
        Where there is nothing to be found.
    """
    files = _sounds(folder)
    if not files:
        what = "holds no .wav or .flac files; name the folder of the concealed clips"
        raise ConfigError(str(folder), what)
    clips: dict[str, Clip] = {}
    if traces is not None:
        clips = {Path(clip.name).stem: clip for clip in find_set(traces).clips}
    cleans = _clean_sounds(reference) if reference is not None else {}
    if reference is None:
        cleans = {name: [clip.clean] for name, clip in clips.items() if clip.clean is not None}
    compares = reference is not None or bool(cleans)
    sounds = tuple(
        _heard(name, file, cleans if compares else None, clips if traces is not None else None)
        for name, file in files.items()
    )
    missing = tuple(sorted(clips.keys() - files.keys(), key=natural))
    return HeardSet(folder, sounds, missing, compares, traces is not None)


def made_with(found: HeardSet) -> dict[str, int]:
    """Count the sounds of a folder by the chain that `plc conceal` made them with.

    Returns
    -------
    dict
        As :func:`rtcore.challenges.provenance.made_with` gives it.
    """
    names = (heard.sound.name for heard in found.sounds)
    return provenance.made_with(found.folder, names, "sample_rate")


def _heard(
    name: str, file: Path, cleans: dict[str, list[Path]] | None, clips: dict[str, Clip] | None
) -> Heard:
    """Put together what belongs to a sound."""
    fault: RtcoreError | None = None
    found = cleans.get(name, []) if cleans is not None else []
    clip = clips.get(name) if clips is not None else None
    if cleans is not None and not found:
        what = f"there is no clean sound named {name}; add it, or take this one away"
        fault = ConfigError(str(file), what)
    elif len(found) > 1:
        places = " and ".join(str(path) for path in found[:3])
        what = f"there are several clean sounds of its name ({places}); name the folder of one"
        fault = ConfigError(str(file), what)
    elif clips is not None and clip is None:
        what = f"the set has no clip {name}; name the set that it was made from"
        fault = ConfigError(str(file), what)
    return Heard(name, file, found[0] if len(found) == 1 else None, clip, fault)


def _sounds(folder: Path) -> dict[str, Path]:
    """List the sounds of a folder by name."""
    if not folder.is_dir():
        what = "there is no such folder; name the folder of the concealed clips"
        raise ConfigError(str(folder), what)
    found: dict[str, Path] = {}
    for file in sorted(_audio(folder.iterdir()), key=lambda path: natural(path.name)):
        if file.stem in found:
            what = f"holds both {found[file.stem].name} and {file.name}; take one of them away"
            raise ConfigError(str(folder), what)
        found[file.stem] = file
    return found


def _clean_sounds(folder: Path) -> dict[str, list[Path]]:
    """List clean sounds by name: those of the folder, of its clean_signals, or all below."""
    if not folder.is_dir():
        what = "there is no such folder; name the folder of the clean sounds"
        raise ConfigError(str(folder), what)
    files = list(_audio(folder.iterdir()))
    if not files and (folder / CLEAN).is_dir():
        files = list(_audio((folder / CLEAN).iterdir()))
    if not files:
        below = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
        files = list(_audio(below))
    if not files:
        what = "holds no .wav or .flac files; name the folder of the clean sounds"
        raise ConfigError(str(folder), what)
    found: dict[str, list[Path]] = {}
    for file in sorted(files):
        found.setdefault(file.stem, []).append(file)
    return found


def _audio(paths: Iterable[Path]) -> Iterable[Path]:
    return (p for p in paths if p.suffix.lower() in _SUFFIXES and p.is_file())
