# SPDX-License-Identifier: MIT
"""Sounds to keep in files, and the error of a file that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore.errors import AudioFileError

RATE = 44100


def noise(frames: int = 5000, channels: int = 2, seed: int = 1) -> np.ndarray:
    """Give noise of almost full scale, (channels, frames)."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, frames))


def refuses(match: str):
    """Expect the sentence for a file."""
    return pytest.raises(AudioFileError, match=match)
