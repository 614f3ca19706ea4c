# SPDX-License-Identifier: MIT
"""The benchmark of full-band speech scores rtcore's methods, and what others published."""

from __future__ import annotations

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
RATE, PACKET = 48000, 960
MISSING = [p for p in ("speechmos", "pesq", "pystoi") if importlib.util.find_spec(p) is None]


def run(*options):
    here = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    command = [sys.executable, str(BENCH / "plc_full_band.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=here)


def test_without_speech_it_says_what_it_needs():
    """Run as it is, it names the options."""
    done = run()
    assert 2 == done.returncode
    assert "name --speech, --published or both" in done.stderr


def test_another_rate_is_refused(tmp_path):
    """A sound that is not at 48 kHz is named."""
    write(tmp_path / "low.wav", speech_like(1.0, 16000), 16000)
    done = run("--speech", tmp_path)
    assert 1 == done.returncode
    assert "low.wav: must be mono at 48000 Hz" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (rtcore[plc])")
def test_what_others_published_stands_beside_ours(tmp_path):
    """A published method that is perfect has no distance; ours lies between it and silence."""
    clean = speech_like(3.0, RATE, rms=0.05, seed=1)[: 150 * PACKET]
    lost = np.zeros(150, bool)
    lost[20::10] = lost[21::10] = True
    for kind, sound in (("clean", clean), ("lossy", clean * ~np.repeat(lost, PACKET)),
                        ("Ideal", clean)):  # fmt: skip
        write(tmp_path / f"a_{kind}.wav", sound.astype(np.float32), RATE, subtype="FLOAT")
    file = tmp_path / "figures.json"
    done = run("--published", tmp_path, "--json", file)
    assert 0 == done.returncode, done.stderr
    scores = json.loads(file.read_text())["published"]["scores"]
    assert {"clean", "plc-zero", "plc-pitch", "plc", "plc-wb, gaps", "plc-wb, all", "Ideal"} == set(
        scores
    )
    distance = {name: rows[0]["lsd_db"] for name, rows in scores.items()}
    assert 0.0 == distance["Ideal"] == distance["clean"]
    assert 0.0 < distance["plc"] < distance["plc-zero"]
    assert scores["plc"][0]["pesq_wb"] > scores["plc-zero"][0]["pesq_wb"]
