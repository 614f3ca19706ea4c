# SPDX-License-Identifier: MIT
"""The Clarity flow survives what happens to long runs: kills, bad inputs, full disks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import flow_faults
import numpy as np
import pytest
import soundfile
from flow_faults import Flow, done
from rights import without_privileges

pytest.importorskip("clarity.evaluator.haspi.haspi", reason="pyclarity is not installed")

FILES = ("mix_CH1", "target_CH1", "target_anechoic_CH1")


def flow(out="out"):
    """Give the commands of the flow, and where they write."""
    return Flow(
        ("clarity", "enhance", "mini", str(out)),
        ("clarity", "evaluate", "mini", str(out), "--no-unprocessed"),
        Path(out) / "enhanced_signals",
        "_HA-output.wav",
        Path(out) / "scores",
        Path(out) / "si.csv",
    )


@pytest.fixture
def many(mini):
    """Fifty good scenes, which are one under many names, for a listener each."""
    folder = mini / "dev/scenes"
    names = [f"S{7001 + k:05d}" for k in range(50)]
    for name in names:
        for kind in FILES:
            os.link(folder / f"S06001_{kind}.wav", folder / f"{name}_{kind}.wav")
    heard = {name: [f"L{1 + k % 4:04d}"] for k, name in enumerate(names)}
    (mini / "metadata/scenes_listeners.dev.json").write_text(json.dumps(heard))
    return mini


@pytest.fixture
def unheard(monkeypatch):
    """Score without HASPI."""
    flow_faults.cheap_scores(monkeypatch.setattr)


def test_killed_in_the_middle(many, unheard):
    """After kill -9 the next run does the rest: no row is lost, none is there twice."""
    flow_faults.survives_kill(flow(), 50)


def test_bad_scenes_among_good_ones(many, unheard, rtcore):
    """A truncated sound, a NaN, a missing sound and listener are told; fifty others are done."""
    folder = many / "dev/scenes"
    for name in ("S09001", "S09002"):
        for kind in FILES:
            (folder / f"{name}_{kind}.wav").write_bytes(
                (folder / f"S06001_{kind}.wav").read_bytes()
            )
    whole = (folder / "S09001_mix_CH1.wav").read_bytes()
    (folder / "S09001_mix_CH1.wav").write_bytes(whole[: len(whole) // 2])
    x, rate = soundfile.read(folder / "S09002_mix_CH1.wav")
    x[99, 0] = np.nan
    soundfile.write(folder / "S09002_mix_CH1.wav", x, rate, subtype="FLOAT")
    path = many / "metadata/scenes_listeners.dev.json"
    bad = {"S09001": ["L0001"], "S09002": ["L0001"], "S09003": ["L0001"], "S06002": ["L9999"]}
    path.write_text(json.dumps(bad | json.loads(path.read_text())))
    told = done(*flow().enhance, "--jobs", 1, code=1)
    assert (50, 4) == (told["done"], told["failed"])
    why = {one["name"]: one["error"] for one in told["pairs"] if one["status"] == "failed"}
    assert "S09001_mix_CH1.wav: is truncated" in why["S09001_L0001"]
    assert "S09002_mix_CH1.wav" in why["S09002_L0001"]
    assert "only finite samples can be processed" in why["S09002_L0001"]
    assert "S09003_mix_CH1.wav: there is no such file" in why["S09003_L0001"]
    assert "scenes_listeners.dev.json: S06002[0]: names the listener 'L9999'" in why["S06002_L9999"]
    assert 50 == len(flow().outputs())
    spoilt = flow().answers / "S07007_L0003_HA-output.wav"
    spoilt.write_bytes(spoilt.read_bytes()[:3000])
    told = done(*flow().evaluate, "--jobs", 1, code=1)
    assert (49, 5) == (told["done"], told["failed"])
    run = rtcore(*flow().evaluate, "--jobs", 1)
    assert 1 == run.exit_code
    assert "49 skipped, 5 failed" in run.stdout
    for name in ("S07007_L0003", "S09001_L0001", "S09002_L0001", "S09003_L0001"):
        assert f"{name}_HA-output.wav: " in run.stderr
    assert "names the listener 'L9999'" in run.stderr
    assert [1] * 49 == list(flow().rows().values())


def test_two_runs_and_an_end(many, unheard):
    """Two runs never share a folder, and Ctrl-C leaves nothing half-written."""
    flow_faults.keeps_others_out(flow(), 50)


def test_full_disk(many, unheard, home):
    """What finds no room fails by name, and is made when there is room again."""
    path = many / "metadata/scenes_listeners.dev.json"
    path.write_text(json.dumps(dict(list(json.loads(path.read_text()).items())[:6])))
    flow_faults.survives_full_disk(flow("disk"), home / "disk", 6, 700)


@pytest.mark.parametrize(
    ("spoilt", "rights", "sentence"),
    [
        ("out", 0o555, "out/enhanced_signals: the folder cannot be made (Permission denied)"),
        ("out/enhanced_signals", 0o555, "out/enhanced_signals: the folder is not writable"),
        ("out/enhanced_signals/.rtcore-jobs.lock", 0o444, "lock: cannot be opened (Permission"),
    ],
)
def test_no_right_to_write(mini, spoilt, rights, sentence):
    """Where nothing may be written one sentence says so before anything is done."""
    Path("out/enhanced_signals").mkdir(parents=True)
    Path("out/enhanced_signals/.rtcore-jobs.lock").touch()
    if spoilt == "out":
        shutil.rmtree("out/enhanced_signals")
    Path(spoilt).chmod(rights)
    words = [*without_privileges(), sys.executable, "-m", "rtcore", *flow().enhance, "--jobs", "2"]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (2, "") == (run.returncode, run.stdout)
    assert (1, True) == (run.stderr.count("error:"), sentence in run.stderr), run.stderr
    Path(spoilt).chmod(0o755)
    assert [] == list(Path("out").rglob("*.wav"))


@pytest.mark.xdist_group("dask")
def test_a_worker_dies(mini, home):
    """One process, two, and a cluster that loses its worker write the same bits."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    flow_faults.survives_dead_worker(flow, home / "dask", 4, 1)


@pytest.mark.xdist_group("dask")
def test_a_worker_dies_scoring(many, unheard, home):
    """A cluster that loses its worker while it scores writes the table of one process."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    flow_faults.survives_dead_scorer(flow, home / "dask", 50)
