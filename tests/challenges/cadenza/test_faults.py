# SPDX-License-Identifier: MIT
"""The Cadenza flow survives what happens to long runs: kills, bad inputs, full disks."""

from __future__ import annotations

import shutil
from pathlib import Path

import flow_faults
import numpy as np
import pytest
import soundfile
from cadenza_sets import made, rewritten
from flow_faults import Flow, done

pytest.importorskip("clarity", reason="pyclarity gives the scores: install the extra")
pytest.importorskip("soxr", reason="sounds are brought to 32 kHz by soxr: install the extra")


def flow(out="out"):
    """Give the commands of the flow, and where they write."""
    return Flow(
        ("cadenza", "enhance", "songs", str(out), "--separator", "oracle"),
        ("cadenza", "evaluate", "songs", str(out)),
        Path(out),
        "_remix.flac",
        Path(out) / "scores" / "pairs",
        Path(out) / "scores" / "scores.csv",
    )


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Make three songs, a scene and a listener each, once."""
    return made(tmp_path_factory.mktemp("cadenza") / "songs", tracks=3).places.root


@pytest.fixture
def songs(home, once):
    """Give a copy that may be spoilt, and stand beside it."""
    shutil.copytree(once, home / "songs")
    return home / "songs"


@pytest.fixture
def many(songs):
    """Fifty good scenes of the first song, with a listener each; the others are asked for by none.

    They have the gains of the first scene, so that it is mixed once.
    """
    metadata = songs / "metadata"
    names = [f"scene_{20001 + k}" for k in range(50)]
    rewritten(
        metadata / "scenes.train.json",
        lambda scenes: scenes | dict.fromkeys(names, scenes["scene_10001"]),
    )
    rewritten(
        metadata / "scene_listeners.train.json",
        lambda _: {name: [f"L{1 + k % 4:04d}"] for k, name in enumerate(names)},
    )
    return songs


@pytest.fixture
def unheard(monkeypatch):
    """Score without HAAQI."""
    flow_faults.cheap_scores(monkeypatch.setattr)


def test_killed_in_the_middle(many, unheard):
    """After kill -9 the next run does the rest: no row is lost, none is there twice."""
    flow_faults.survives_kill(flow(), 50)


def test_bad_songs_among_good_ones(many, unheard, rtcore):
    """A truncated song, one with NaN and a missing listener are told; fifty others are done."""
    folders = sorted((many / "audio/at_mic_music/train").iterdir())
    cut, odd = (folder / "mixture.wav" for folder in folders[1:])
    cut.write_bytes(cut.read_bytes()[:9000])
    x, rate = soundfile.read(odd)
    x[99, 0] = np.nan
    soundfile.write(odd, x, rate, subtype="FLOAT")
    bad = {"scene_10002": ["L0001"], "scene_10003": ["L0002"], "scene_10001": ["L9999"]}
    rewritten(many / "metadata/scene_listeners.train.json", lambda heard: bad | heard)
    told = done(*flow().enhance, "--jobs", 1, code=1)
    assert (50, 3) == (told["done"], told["failed"])
    why = {one["name"]: one["error"] for one in told["pairs"] if one["status"] == "failed"}
    assert f"{cut.relative_to(many.parent)}: is truncated" in why["scene_10002_L0001"]
    assert f"{odd.relative_to(many.parent)}: " in why["scene_10003_L0002"]
    assert "only finite samples can be processed" in why["scene_10003_L0002"]
    assert "names the listener 'L9999'" in why["scene_10001_L9999"]
    spoilt = flow().answers / "scene_20007_L0003_remix.flac"
    spoilt.write_bytes(spoilt.read_bytes()[:3000])
    told = done(*flow().evaluate, "--jobs", 1, code=1)
    assert (49, 4) == (told["done"], told["failed"])
    run = rtcore(*flow().evaluate, "--jobs", 1)
    assert 1 == run.exit_code
    assert "49 skipped, 4 failed" in run.stdout
    for name in ("scene_20007_L0003_remix.flac: ", f"{cut.parent.name}/mixture.wav: ", "'L9999'"):
        assert name in run.stderr
    assert [1] * 49 == list(flow().rows().values())


def test_two_runs_and_an_end(many, unheard):
    """Two runs never share a folder, and Ctrl-C leaves nothing half-written."""
    flow_faults.keeps_others_out(flow(), 50)


def test_full_disk(many, unheard, home):
    """What finds no room fails by name, and is made when there is room again."""
    rewritten(
        many / "metadata/scene_listeners.train.json", lambda heard: dict(list(heard.items())[:6])
    )
    flow_faults.survives_full_disk(flow("disk"), home / "disk", 6, 150)


@pytest.mark.xdist_group("dask")
def test_a_worker_dies(songs, home):
    """One process, two, and a cluster that loses its worker write the same bits."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    flow_faults.survives_dead_worker(flow, home / "dask", 3, 1)
