# SPDX-License-Identifier: MIT
"""Run the examples, on the timer: no sound card is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("0*.py"))


def run(example: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an example as a reader does, in an empty folder."""
    command = [sys.executable, str(example), *words]
    environment = {**os.environ, "XDG_DATA_HOME": str(cwd / "data")}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    """Each example plays for a second, says something and leaves without a complaint."""
    done = run(example, "--backend", "timer", "--seconds", "1", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_has_the_common_options(example, tmp_path):
    """Each example has fewer than 80 lines and lists the devices when asked."""
    assert len(example.read_text("utf-8").splitlines()) < 80
    assert 0 == run(example, "--list-devices", cwd=tmp_path).returncode


@pytest.mark.parametrize("name", ["05_replay.py", "06_live_equals_offline.py"])
def test_example_finds_no_difference(name, tmp_path):
    """What an example plays live equals what it plays offline."""
    done = run(FOLDER / name, "--backend", "timer", "--seconds", "1", cwd=tmp_path)
    assert " 0 samples differ" in done.stdout
