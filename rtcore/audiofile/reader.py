# SPDX-License-Identifier: MIT
"""Read audio files as planar blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtcore.audiofile import riff
from rtcore.audiofile.limits import (
    BLOCK_FRAMES,
    MAX_CHANNELS,
    check_sample_rate,
    checked_peak,
)
from rtcore.errors import AudioFileError

if TYPE_CHECKING:
    import soundfile

_UNKNOWN_FRAMES = 2**62  # a streamed FLAC or WAV does not know its length; libsndfile says 2^63-1
_SIZE_CHECKED = ("WAV", "WAVEX", "RF64")  # whose headers cannot promise more than the file holds


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes
    ----------
    sample_rate : int
        In Hz, from 1,000 to 384,000.
    channels : int
        From 1 to 64.
    frames : int or None
        Samples per channel; None where only the end of the file tells (a stream, an MP3).
    format, subtype : str
        libsndfile's names, such as ``"WAV"`` and ``"PCM_16"``.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int | None
    format: str
    subtype: str

    @property
    def duration_s(self) -> float | None:
        """Duration in seconds, where the header tells it."""
        return None if self.frames is None else self.frames / self.sample_rate


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Read and check a file's header.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or anything else that libsndfile reads.

    Returns
    -------
    AudioInfo
        Rate, channels, frames and format.

    Raises
    ------
    AudioFileError
        If there is no such file, it is not audio, it is truncated or empty, or its rate or number
        of channels is out of range.
    """
    with _opened(Path(path)) as (_, header):
        return header


def blocks(
    path: str | os.PathLike[str], frames: int = BLOCK_FRAMES, dtype: str = "float32"
) -> Iterator[np.ndarray]:
    """Read a file block by block.

    Parameters
    ----------
    path : path-like
        The file. Its header is checked at once, its samples as they are read.
    frames : int
        Frames in each block; the last may be shorter.
    dtype : {"float32", "float64"}
        Of the samples. Integers of b bits are divided by 2**(b-1): exact for up to 24 bits.

    Returns
    -------
    iterator of numpy.ndarray, shape (channels, frames)
        Contiguous, a new one each time.

    Raises
    ------
    AudioFileError
        As `info` does, and while reading if a sample is NaN or infinite or if the samples end
        before the header says so.
    """
    _check_dtype(dtype)
    if frames < 1:
        raise ValueError(f"frames: must be at least 1, got {frames}")
    return _blocks(info(path).path, frames, dtype)


def read(path: str | os.PathLike[str], dtype: str = "float64") -> tuple[np.ndarray, int]:
    """Read a whole file.

    Parameters
    ----------
    path : path-like
        The file.
    dtype : {"float32", "float64"}
        Of the samples.

    Returns
    -------
    samples : numpy.ndarray, shape (channels, frames)
        Full scale is 1.
    sample_rate : int
        In Hz.

    Raises
    ------
    AudioFileError
        As `blocks` does.
    """
    _check_dtype(dtype)
    with _opened(Path(path)) as (sound, header):
        parts = _decoded(sound, header, BLOCK_FRAMES, dtype)
        if header.frames is None or header.format not in _SIZE_CHECKED:
            return np.concatenate(list(parts), axis=1), header.sample_rate
        samples, position = np.empty((header.channels, header.frames), dtype), 0
        for part in parts:
            samples[:, position : position + part.shape[1]] = part
            position += part.shape[1]
    return samples, header.sample_rate


def _check_dtype(dtype: str) -> None:
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: must be 'float32' or 'float64', got {dtype!r}")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[soundfile.SoundFile, AudioInfo]]:
    """Open a file for reading, with its header checked."""
    import soundfile

    with ExitStack() as stack:
        with _sentences(path):
            _check_source(path)
            file = stack.enter_context(path.open("rb", buffering=0))
            source = riff.readable(file, path)
            sound = stack.enter_context(soundfile.SoundFile(source, closefd=False))
        header = _checked(path, sound)
        # soundfile seeks before and after each read, which takes as long as the reading, and fails
        # at the end of a FLAC without a length.
        sound._info.seekable = 0  # noqa: SLF001 - it has no public way to read on only
        yield sound, header


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn the errors of the system and of libsndfile into sentences."""
    import soundfile

    try:
        yield
    except OSError as error:
        raise AudioFileError(
            f"{path}: cannot be read: {error.strerror or error}; check its name and its rights"
        ) from error
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".") or "no reason given"
        raise AudioFileError(
            f"{path}: is not audio that libsndfile can read ({reason}); convert it to WAV or FLAC"
        ) from error


def _check_source(path: Path) -> None:
    """Refuse what is no file."""
    if not path.exists():
        raise AudioFileError(f"{path}: there is no such file; check its name and folder")
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder; name an audio file in it")
    if not path.is_file():
        raise AudioFileError(f"{path}: is not a regular file; copy the sound into one first")


def _checked(path: Path, sound: soundfile.SoundFile) -> AudioInfo:
    """Give the header of an open file if it is within rtcore's limits."""
    if sound.channels > MAX_CHANNELS:
        raise AudioFileError(
            f"{path}: has {sound.channels} channels, and at most {MAX_CHANNELS} can be processed; "
            "split it into several files"
        )
    check_sample_rate(path, sound.samplerate)
    if sound.frames <= 0:
        raise AudioFileError(f"{path}: holds no samples; record or export it again")
    known = sound.frames < _UNKNOWN_FRAMES and sound.format != "MP3"
    frames = sound.frames if known else None
    return AudioInfo(path, sound.samplerate, sound.channels, frames, sound.format, sound.subtype)


def _blocks(path: Path, frames: int, dtype: str) -> Iterator[np.ndarray]:
    """Open a file, and read and check block after block."""
    with _opened(path) as (sound, header):
        yield from _decoded(sound, header, frames, dtype)


def _decoded(
    sound: soundfile.SoundFile, header: AudioInfo, frames: int, dtype: str
) -> Iterator[np.ndarray]:
    """Read and check block after block of an open file."""
    position = 0
    while (block := _next_block(sound, header, position, frames, dtype)) is not None:
        yield block
        position += block.shape[1]
    if position < (header.frames or 1):
        raise _truncated(header, position)


def _next_block(
    sound: soundfile.SoundFile, header: AudioInfo, position: int, frames: int, dtype: str
) -> np.ndarray | None:
    """Decode one block, or give None at the end."""
    import soundfile

    from rtcore.audiofile.pcm16 import decode

    if header.frames is not None:
        frames = min(frames, header.frames - position)
    if frames == 0:
        return None
    whole = header.subtype == "PCM_16"  # compiled code makes real numbers of these in less time
    try:
        samples = sound.read(frames, "int16" if whole else dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _truncated(header, position) from error
    if not len(samples):
        return None
    if whole:
        return decode(samples, dtype)
    block = np.ascontiguousarray(samples.T)
    checked_peak(header.path, block, position)
    return block


def _truncated(header: AudioInfo, position: int) -> AudioFileError:
    """Say how far a file could be read."""
    promise = "" if header.frames is None else f" of the {header.frames} that its header promises"
    return AudioFileError(
        f"{header.path}: is truncated or damaged: it could be read for {position} frames{promise}; "
        "copy or download it again"
    )
