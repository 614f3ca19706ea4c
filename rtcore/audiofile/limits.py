# SPDX-License-Identifier: MIT
"""What may be read and written: formats, rates, channels, samples, names."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcore.errors import AudioFileError, did_you_mean

MAX_CHANNELS = 64
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 384_000
BLOCK_FRAMES = 65536  # libsndfile's Vorbis encoder overflows its stack on much longer writes


@dataclass(frozen=True)
class Format:
    """A container: its name in libsndfile, the subtypes it takes, the first one by default."""

    name: str
    subtypes: tuple[str, ...]
    max_channels: int = MAX_CHANNELS


_PCM = ("PCM_16", "PCM_24", "PCM_32")
FORMATS = {
    ".wav": Format("WAV", ("FLOAT", "DOUBLE", *_PCM, "PCM_U8")),
    ".rf64": Format("RF64", ("FLOAT", "DOUBLE", *_PCM, "PCM_U8")),
    ".flac": Format("FLAC", ("PCM_24", "PCM_16", "PCM_S8"), max_channels=8),
    ".ogg": Format("OGG", ("VORBIS", "OPUS")),
}


def check_sample_rate(path: Path, sample_rate: int) -> None:
    """Refuse rates outside of what a chain is made for."""
    if not MIN_SAMPLE_RATE_HZ <= sample_rate <= MAX_SAMPLE_RATE_HZ:
        raise AudioFileError(
            f"{path}: the sample rate is {sample_rate} Hz, and it must lie between "
            f"{MIN_SAMPLE_RATE_HZ} and {MAX_SAMPLE_RATE_HZ}; resample the sound"
        )


def checked_peak(path: Path, block: np.ndarray, position: int) -> float:
    """Give the largest magnitude; refuse NaN and infinity, naming the first frame that holds one.

    Parameters
    ----------
    block : ndarray of float32 or float64, shape (channels, frames)
        Contiguous, writable.
    position : int
        Of its first frame in the file.
    """
    from rtcore.audiofile.pcm16 import magnitude

    peak = magnitude(block)
    if math.isfinite(peak):
        return peak
    finite = np.isfinite(block)
    frame = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, frame]))
    raise AudioFileError(
        f"{path}: frame {position + frame} of channel {channel} is {block[channel, frame]}; "
        "only finite samples can be processed, so mend or cut it out"
    )


def format_of(path: Path) -> Format:
    """Choose the container by the file's suffix."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AudioFileError(
            f"{path}: cannot tell a format from the suffix {suffix!r}"
            f"{did_you_mean(suffix, FORMATS)}; use one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]


def subtype_of(path: Path, container: Format, subtype: str | None) -> str:
    """Choose the subtype, checked against the container."""
    name = container.subtypes[0] if subtype is None else subtype.upper()
    if name not in container.subtypes:
        raise AudioFileError(
            f"{path}: {container.name} cannot hold the subtype {subtype!r}"
            f"{did_you_mean(name, map(str.lower, container.subtypes))}; "
            f"use one of {', '.join(container.subtypes)}"
        )
    return name


def check_channels(path: Path, container: Format, channels: int) -> None:
    """Refuse more channels than rtcore or the container can hold."""
    if not 1 <= channels <= container.max_channels:
        raise AudioFileError(
            f"{path}: {container.name} is written with 1 to {container.max_channels} channels, "
            f"got {channels}; write WAV or fewer channels"
        )


def check_target(path: Path, source: Path | None) -> None:
    """Refuse a name that cannot or should not become a file."""
    try:
        _check_folder(path)
        is_source = source is not None and path.samefile(source)
    except FileNotFoundError:
        is_source = False
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be written: {error}; choose another name") from error
    if is_source:
        raise AudioFileError(
            f"{path}: is the input itself, which would be overwritten; choose another name"
        )


def _check_folder(path: Path) -> None:
    """Refuse a folder that cannot hold the file."""
    folder = path.parent
    if not folder.exists():
        raise AudioFileError(f"{path}: the folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise AudioFileError(f"{path}: {folder} is not a folder; choose another one")
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder; name a file in it")
    if not os.access(folder, os.W_OK):
        raise AudioFileError(
            f"{path}: the folder {folder} is not writable; choose another one or change its rights"
        )
