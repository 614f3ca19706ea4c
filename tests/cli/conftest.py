# SPDX-License-Identifier: MIT
"""A command line to try, with a user's folder and sounds of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rtcore.audiofile import write


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Stand in an empty folder, with an empty user's folder and no search path from outside."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("RTCORE_PLUGIN_PATH", raising=False)
    monkeypatch.delenv("RTCORE_DEBUG", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    before = set(sys.modules)
    yield work
    for name in set(sys.modules) - before:
        if name.startswith("rtcore.plugins."):
            del sys.modules[name]


@pytest.fixture
def rtcore(home):
    """Run the command line in this process."""

    def run(*args: object):
        from rtcore.cli import main

        return CliRunner().invoke(main, [str(arg) for arg in args])

    return run


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
