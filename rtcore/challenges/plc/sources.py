# SPDX-License-Identifier: MIT
"""Clean speech in pieces: any folder of sound files becomes clips of about ten seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtcore.audiofile import read
from rtcore.challenges.plc.layout import LOSSY
from rtcore.challenges.plc.traces import packet_frames
from rtcore.errors import AudioFileError, ConfigError

__all__ = ["Piece", "SkippedSources", "clean_files", "pieces", "resampled"]

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".rf64"}
#: What is shorter gets no clip: bursts of up to a second must leave something to hear.
SHORTEST_S = 2.0
_SEARCH_S = 1.0
_SILENCE_DB = -60.0


@dataclass(frozen=True)
class Piece:
    """A clip's clean sound.

    Attributes
    ----------
    samples : ndarray of float64, shape (frames,)
        A whole number of packets of 20 ms.
    source : str
        The file, relative to the folder of speech.
    source_rate : int
        Its sample rate in Hz.
    start_s : float
        Where in it the clip begins.
    """

    samples: np.ndarray
    source: str
    source_rate: int
    start_s: float


@dataclass
class SkippedSources:
    """What was not used, and why: file to reason."""

    reasons: dict[str, str] = field(default_factory=dict)


def clean_files(folder: Path) -> list[Path]:
    """List the sounds in a folder and below, or the one file that was named.

    Folders called ``lossy_signals`` below it hold no clean speech and are passed over.

    Raises
    ------
    ConfigError
        Where there are none.
    """
    if folder.is_file():
        return [folder]
    files = (f for f in folder.rglob("*") if f.suffix.lower() in _SUFFIXES and f.is_file())
    found = [file for file in files if LOSSY not in file.relative_to(folder).parts]
    if not found:
        what = "holds no clean speech" if folder.is_dir() else "there is no such folder"
        remedy = "name a folder with .wav, .flac or .ogg files"
        raise ConfigError(str(folder), f"{what}; {remedy}")
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def pieces(
    files: list[Path],
    folder: Path,
    *,
    sample_rate: int,
    seconds: tuple[float, float],
    rng: np.random.Generator,
    skipped: SkippedSources,
    per_file: int | None = None,
) -> Iterator[Piece]:
    """Cut files into clips, in a random order of the files.

    Parameters
    ----------
    files : list of Path
        The sounds; the first channel is taken of each.
    folder : Path
        To which the names of sources are relative.
    sample_rate : int
        Of the clips in Hz; sounds of another rate are resampled.
    seconds : tuple of float
        Shortest and longest wanted; shorter files are taken whole from two seconds on.
    rng : numpy.random.Generator
        Chooses the order, the lengths and, with `per_file`, the pieces.
    skipped : SkippedSources
        Gets the files that could not be used.
    per_file : int, optional
        At most so many pieces of each file.
    """
    for k in np.argsort(rng.random(len(files)), kind="stable"):
        file = files[k]
        name = file.relative_to(folder).as_posix() if file != folder else file.name
        try:
            x, rate = read(file)
        except AudioFileError as error:
            skipped.reasons[name] = str(error)
            continue
        sound = resampled(x[0], rate, sample_rate)
        spans = list(_spans(sound, sample_rate, seconds, rng))
        order = np.argsort(rng.random(len(spans)), kind="stable")[:per_file]
        loud = [spans[j] for j in sorted(order) if _is_loud(sound[spans[j]])]
        if not loud:
            skipped.reasons[name] = f"holds no {SHORTEST_S:g} s of sound above {_SILENCE_DB:g} dBFS"
        for span in loud:
            yield Piece(sound[span], name, rate, round(span.start / sample_rate, 4))


def resampled(x: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Bring one channel to another rate by SciPy's polyphase filter (linear phase)."""
    if rate == wanted:
        return x
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return resample_poly(x, wanted // common, rate // common)


def _spans(
    x: np.ndarray, sample_rate: int, seconds: tuple[float, float], rng: np.random.Generator
) -> Iterator[slice]:
    """Cut a sound where it is quiet, as the challenge did."""
    packet = packet_frames(sample_rate)
    start = 0
    while (left := len(x) - start) >= SHORTEST_S * sample_rate:
        low, high = seconds
        wanted = round((low + (high - low) * float(rng.random())) * sample_rate)
        length = left
        if left >= wanted + SHORTEST_S * sample_rate:
            length = _quiet_end(x[start:], wanted, sample_rate)
        elif left > high * sample_rate:
            length = wanted
        length -= length % packet
        yield slice(start, start + length)
        start += length


def _quiet_end(x: np.ndarray, wanted: int, sample_rate: int) -> int:
    """Find the quietest 20 ms before the wanted end; give where they begin."""
    packet = packet_frames(sample_rate)
    begin = wanted - min(round(_SEARCH_S * sample_rate), wanted // 4)
    frames = x[begin:wanted]
    energy = np.add.reduceat(frames**2, np.arange(0, len(frames), packet))
    return begin + int(np.argmin(energy)) * packet


def _is_loud(x: np.ndarray) -> bool:
    return bool(len(x)) and 10.0 * math.log10(float(np.mean(x**2)) + 1e-30) > _SILENCE_DB
