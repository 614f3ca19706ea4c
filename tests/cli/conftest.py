# SPDX-License-Identifier: MIT
"""A command line to try, with a user's folder and sounds of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import empty_home, invoke

from rtcore.audiofile import write


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Stand in an empty folder, with an empty user's folder and no search path from outside."""
    with empty_home(tmp_path, monkeypatch) as work:
        yield work


@pytest.fixture
def rtcore(home):
    """Run the command line in this process."""
    return invoke


@pytest.fixture
def rtcore_process(home):
    """Run the command line in a process of its own."""

    def run(*args: object, **options: object):
        command = [sys.executable, "-m", "rtcore", *map(str, args)]
        options = {"capture_output": True, "text": True, **options}
        return subprocess.run(command, check=False, **options)

    return run


@pytest.fixture
def sound(home) -> Path:
    """Write a stereo file: 1.5 s of noise at 44.1 kHz."""
    samples = np.random.default_rng(7).uniform(-0.3, 0.3, (2, 66150))
    write(home / "in.wav", samples, 44100, subtype="PCM_16")
    return home / "in.wav"
