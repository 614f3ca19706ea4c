# SPDX-License-Identifier: MIT
"""Each benchmark runs, short, and writes what it promises; no time is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"

# Options that make it short, the JSON's tables, and some columns of each table.
SHORT = {
    "chain": (
        ["--seconds", "0.05", "--repeats", "1"],
        {
            "nalr + compressor": {"block", "rtcore inside ms", "pyclarity / inside"},
            "fir": {"block", "pedalboard / rtcore, inside", "lfilter / rtcore, Python"},
            "compressor": {"block", "pedalboard / rtcore, inside", "pedalboard / rtcore, Python"},
        },
    ),
    "clarity_enhance": (
        ["--seconds", "0.5", "--scenes", "1", "--more", "7", "--repeats", "1"],
        {
            "one core": {"what", "ms / scene", "x real time"},
            "processes": {"processes", "scenes / s", "times one"},
        },
    ),
    "denormals": (
        ["--seconds", "0.02", "--repeats", "1"],
        {"rows": {"dtype", "plugin", "tail / noise, with", "tail / noise, without"}},
    ),
    "fir": (
        ["--repeats", "1"],
        {"rows": {"dtype", "block", "% of peak", "pedalboard / chain", "lfilter / chain"}},
    ),
    "inference": (
        ["--seconds", "0.03", "--repeats", "1"],
        {"rows": {"model", "load", "way", "run p50 us", "ready p99 us", "late %"}},
    ),
    "paced": (
        ["gain", "hearing_aid", "--seconds", "0.1"],
        {"rows": {"name", "block_samples", "idle", "declared", "measured"}},
    ),
    "remote_control": (
        ["--repeats", "1", "--seconds", "0.5", "--rate", "500"],
        {"rows": {"phase", "changes / s", "p99 ms", "late %", "server MB"}},
    ),
    "startup": (
        ["--repeats", "1", "--cold", "0"],
        {"rows": {"what", "median s", "min s", "starts", "target"}},
    ),
}


def run(name, *options):
    """Run a benchmark as `make bench` does; give what it prints."""
    here = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, str(BENCH / f"{name}.py"), *options],
        capture_output=True,
        text=True,
        check=False,
        env=here,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(SHORT))
def test_figures(name, tmp_path):
    """It writes tables, columns, machine and versions as promised, and prints them whole."""
    options, tables = SHORT[name]
    file = tmp_path / "figures.json"
    printed = run(name, *options, "--json", str(file))
    written = json.loads(file.read_text())
    for table, columns in tables.items():
        assert written[table], table
        assert all(columns <= set(row) for row in written[table])
    assert {"processor", "cores", "load_average", "python", "packages"} <= set(written["machine"])
    assert {"rtcore", "numpy", "numba"} <= set(written["machine"]["packages"])
    assert written["shows"]
    assert printed.strip()
    assert "…" not in printed  # a table that goes to a file is as wide as it needs to be


@pytest.mark.parametrize("script", sorted(BENCH.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_script_asks_one_question_and_runs_without_arguments(script):
    """`make bench` runs each script as it is; its first line says what it shows."""
    text = run(script.stem, "--help")
    assert "--json" in text
    assert script.read_text().split('"""')[1].strip().endswith(".")
