# SPDX-License-Identifier: MIT
"""A little set, made once, and a command line in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import empty_home, invoke

from rtcore.challenges.clarity.mini import MiniSettings, make_mini

DATA = Path(__file__).parents[4] / "shared/fixtures/claritychallenge/clarity/tests/test_data"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Stand in an empty folder, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with empty_home(tmp_path, monkeypatch) as work:
        yield work


@pytest.fixture
def rtcore(home):
    """Run the command line in this process."""
    return invoke


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A set of two scenes for two listeners each."""
    folder = tmp_path_factory.mktemp("clarity") / "mini"
    make_mini(folder, MiniSettings(scenes=2, seconds=0.8, snr_db=(6.0, 9.0)))
    return folder


@pytest.fixture
def mini(home, made_once):
    """A copy of that set, to be spoilt."""
    shutil.copytree(made_once, home / "mini")
    return home / "mini" / "clarity_data"


@pytest.fixture
def official():
    """The challenge's own test files."""
    if not (DATA / "recipes/cec2/baseline/eval_signals").is_dir():
        pytest.skip("the challenge's test files are not in ../shared")
    return DATA
