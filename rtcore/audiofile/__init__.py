# SPDX-License-Identifier: MIT
"""Read and write audio files: planar blocks in, whole files or nothing out.

Samples are ``(channels, frames)`` arrays, as everywhere in rtcore. What libsndfile does silently
is an error here: a file shorter than its header says, a full disk, a sample that is no number.
Every failure is an :class:`~rtcore.errors.AudioFileError` of one sentence, and a file that could
not be finished leaves nothing behind.
"""

from __future__ import annotations

from rtcore.audiofile.limits import (
    FORMATS,
    MAX_CHANNELS,
    MAX_SAMPLE_RATE_HZ,
    MIN_SAMPLE_RATE_HZ,
    Format,
)
from rtcore.audiofile.reader import AudioInfo, blocks, info, read
from rtcore.audiofile.writer import Writer, write

__all__ = [
    "FORMATS",
    "MAX_CHANNELS",
    "MAX_SAMPLE_RATE_HZ",
    "MIN_SAMPLE_RATE_HZ",
    "AudioInfo",
    "Format",
    "Writer",
    "blocks",
    "info",
    "read",
    "write",
]
