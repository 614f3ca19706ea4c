# SPDX-License-Identifier: MIT
"""The benchmark beside peers runs, and plays every method over its input."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtcore.audiofile import write
from rtcore.synth import speech_like

BENCH = Path(__file__).parents[3] / "bench"
WEIGHTS = Path(__file__).parents[4] / "shared/data/models/plc"
RATE = 16000
MISSING = [p for p in ("speechmos", "pesq", "pystoi") if importlib.util.find_spec(p) is None]


def run(*options):
    here = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    command = [sys.executable, str(BENCH / "plc_peers.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=here)


def loaded(name):
    """Import a module of the benchmarks by its file."""
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_speech_it_says_what_it_needs():
    """Run as it is, it names the option and leaves with 0."""
    done = run()
    assert 0 == done.returncode, done.stderr
    assert "--speech FOLDER" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (rtcore[plc])")
def test_every_method_has_a_row(tmp_path):
    """Each method that can be had here has its figures, each other one its reason."""
    (tmp_path / "speech/one").mkdir(parents=True)
    write(
        tmp_path / "speech/one/a.flac",
        speech_like(3.0, RATE, rms=0.05, seed=1),
        RATE,
        subtype="PCM_16",
    )
    more = ["--weights", WEIGHTS] if WEIGHTS.is_dir() else []
    file = tmp_path / "figures.json"
    done = run("--speech", tmp_path / "speech", "--json", file, *more)
    assert 0 == done.returncode, done.stderr
    figures = json.loads(file.read_text())
    rows = {row["method"]: row for row in figures["rows"]}
    assert {"clean", "plc-zero", "plc-repeat", "plc-pitch"} <= set(rows)
    assert WEIGHTS.is_dir() == ("tplcnet" in rows)
    assert WEIGHTS.is_dir() != ("tplcnet" in figures["skipped"])
    assert "speechmos" in figures["scored_with"]["plcmos"]
    assert {"processor", "packages"} <= set(figures["machine"])
    assert 4.64 == pytest.approx(rows["clean"]["PESQ-WB"], abs=0.01)
    assert all(row["STOI"] <= rows["clean"]["STOI"] for row in rows.values())


@pytest.mark.skipif(ctypes.util.find_library("opus") is None, reason="there is no libopus here")
def test_opus_lies_over_its_input():
    """The codec's delay is taken out, and a lost packet changes nothing before its time."""
    opus = loaded("_opus").Opus(RATE, 32_000)
    x = speech_like(2.0, RATE, rms=0.05, seed=3).astype(np.float32)[: 2 * RATE]
    lost = np.zeros(100, bool)
    y, seconds = opus.play(x, lost)
    assert (x.shape, lost.shape) == (y.shape, seconds.shape)
    lags = np.correlate(y[2000:-2000], x[2200:-2200], "valid")
    assert abs(int(np.argmax(lags)) - 200) <= 8  # the delay itself is some 100 samples
    lost[50:53] = True
    z, _ = opus.play(x, lost)
    changed = np.flatnonzero(z != y)
    assert 49 * 320 <= changed[0] <= 50 * 320
