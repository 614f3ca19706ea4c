# SPDX-License-Identifier: MIT
"""Scores are of the system that they are credited to, and nothing is scored twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtcore.audiofile import read, write
from rtcore.challenges.clarity import haspi

ENHANCED = Path("out/enhanced_signals")
EVALUATE = ("clarity", "evaluate", "mini", "out", "--jobs", 1)
FIRST = "S06001_L0001_HA-output.wav"


@pytest.fixture
def heard(monkeypatch):
    """Score without HASPI, and list what was scored."""
    scored = []

    def score(reference, x, rate, listener, seed):
        scored.append(listener.id)
        return haspi.Haspi(0.25, 0.5)

    monkeypatch.setattr(haspi, "better_ear_haspi", score)
    monkeypatch.setattr(haspi, "scored_with", lambda: {"pyclarity": "none"})
    return scored


@pytest.fixture
def enhanced(rtcore, mini, heard):
    """Outputs of the baseline, and how to make others."""

    def enhance(*words):
        run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, *words)
        assert 0 == run.exit_code, run.output
        return json.loads(Path("out/enhance.json").read_text())["chain_sha256"]

    enhance.first = enhance()
    return enhance


def test_two_systems_in_one_folder(rtcore, enhanced):
    """Outputs of two systems are credited to none, and that is said; of one to that one."""
    assert 0 == rtcore(*EVALUATE, "--no-unprocessed").exit_code
    assert enhanced.first == json.loads(Path("out/si.json").read_text())["chain_sha256"]
    second = enhanced("-p", "gain", "--limit", 1)
    run = rtcore(*EVALUATE, "--no-unprocessed")
    assert "mixes what 2 systems have made" in run.stderr
    about = json.loads(Path("out/si.json").read_text())
    assert (None, {enhanced.first: 3, second: 1}) == (about["chain_sha256"], about["made_with"])
    enhanced("-p", "gain")
    run = rtcore(*EVALUATE, "--no-unprocessed")
    assert "mixes" not in run.stderr
    assert second == json.loads(Path("out/si.json").read_text())["chain_sha256"]


def test_a_run_that_did_nothing(rtcore, enhanced):
    """A run that was ended before its first output leaves the scores with those who earned them."""
    about = json.loads(Path("out/enhance.json").read_text())
    Path("out/enhance.json").write_text(json.dumps(about | {"chain_sha256": "0" * 64}))
    assert 0 == rtcore(*EVALUATE, "--no-unprocessed").exit_code
    assert enhanced.first == json.loads(Path("out/si.json").read_text())["chain_sha256"]


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"chain_sha256": ', b"\xff\xfe{}"])
def test_a_damaged_side_car(rtcore, enhanced, content):
    """The ledger still tells the system; the rest is not known, until enhance writes it anew."""
    Path("out/enhance.json").write_bytes(content)
    run = rtcore(*EVALUATE, "--no-unprocessed")
    assert 0 == run.exit_code
    assert "enhance.json: is damaged, so the scores cannot say how" in run.stderr
    about = json.loads(Path("out/si.json").read_text())
    assert (enhanced.first, None) == (about["chain_sha256"], about["compat"])
    assert enhanced.first == enhanced()
    assert "is damaged" not in rtcore(*EVALUATE, "--no-unprocessed").stderr


def test_scenes_that_come_to_be_asked_for(rtcore, enhanced, heard):
    """Unprocessed scenes are added to what is scored; without them nothing is scored again."""
    for words, scored in ((["--no-unprocessed"], 4), ([], 4), (["--no-unprocessed"], 0), ([], 0)):
        heard.clear()
        run = rtcore(*EVALUATE, *words)
        assert 0 == run.exit_code, run.output
        assert scored == len(heard)
    assert 5 == len(Path("out/si_unproc.csv").read_text().splitlines())


def test_the_estimate_is_of_what_is_to_be_done(rtcore, enhanced):
    """It counts pairs whose outputs have changed, and those that were told to be done again."""

    def plan(*words):
        return json.loads(rtcore(*EVALUATE, "--dry-run", "--json", *words).stdout)

    assert 4 == len(plan()["to_do"])
    seconds = plan()["core_seconds"]
    assert pytest.approx(seconds / 2) == plan("--no-unprocessed")["core_seconds"]
    assert 0 == rtcore(*EVALUATE, "--no-unprocessed").exit_code
    assert pytest.approx(seconds / 2) == plan()["core_seconds"]
    assert (4, 0) == (
        len(plan("--no-unprocessed")["done"]),
        plan("--no-unprocessed")["core_seconds"],
    )
    assert pytest.approx(seconds) == plan("--again")["core_seconds"]
    enhanced("-p", "gain", "--limit", 1)
    assert ["S06001_L0001"] == plan("--no-unprocessed")["to_do"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x: x[:1], "has 1 channels, and an output two, the left and the right ear's"),
        (lambda x: x[:, :30000], "lasts 0.680 s, and its scene 1.3"),
        (lambda x: np.pad(x, ((0, 0), (0, 6000))), "longer by a filter's tail"),
    ],
)
def test_outputs_of_another_form(rtcore, enhanced, spoil, said):
    """An output for one ear, a short one and a long one have no score."""
    x, rate = read(ENHANCED / FIRST)
    write(ENHANCED / FIRST, spoil(x), rate, subtype="PCM_16")
    run = rtcore(*EVALUATE, "--no-unprocessed", "--limit", 1)
    assert 1 == run.exit_code
    assert f"{FIRST}: " in run.stderr
    assert said in run.stderr


def test_what_haspi_cannot_score(rtcore, enhanced, monkeypatch):
    """A metric that fails is told with the file, and is no mistake of rtcore's."""

    def fails(*_):
        raise IndexError("index 0 is out of bounds")

    monkeypatch.setattr(haspi, "better_ear_haspi", fails)
    run = rtcore(*EVALUATE, "--no-unprocessed", "--limit", 1)
    assert 1 == run.exit_code
    assert f"{FIRST}: HASPI has no score for 1.3" in run.stderr
    assert "is out of bounds); it is too short, or silent" in run.stderr


def test_a_damaged_output_and_a_package(rtcore, enhanced):
    """It is a fault among the others, and the folder is there for the next attempt."""
    whole = (ENHANCED / FIRST).read_bytes()
    (ENHANCED / FIRST).write_bytes(whole[:5000])
    words = ("clarity", "package", "mini", "out", "TEAM", "--archive", "zip")
    run = rtcore(*words, "--json")
    assert 1 == run.exit_code
    told = json.loads(run.stdout)
    assert (1, 3, None) == (told["failed"], told["converted"], told["archive"])
    assert "is truncated" in told["faults"][0]
    assert "lacks 1 of 4 outputs" in told["faults"][1]
    assert not Path("TEAM").exists()
    assert "TEAM was taken away again" in rtcore(*words).stdout
    (ENHANCED / FIRST).write_bytes(whole)
    assert 0 == rtcore(*words).exit_code


def test_a_scene_of_another_rate(rtcore, mini):
    """It fails alone, and its sentence names the file."""
    path = mini / "dev/scenes/S06001_mix_CH1.wav"
    write(path, read(path)[0], 48000, subtype="PCM_16")
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1)
    assert 1 == run.exit_code
    assert f"{path.relative_to(Path.cwd())}: the baseline: is for 44100 Hz" in run.stderr
    assert "2 done, 0 skipped, 2 failed" in run.stdout


@pytest.mark.parametrize("heard", [{"../../S09999": ["L0001"]}, {"S06001": ["../L0001"]}])
def test_ids_are_no_paths(rtcore, mini, heard):
    """An id that leads elsewhere is refused before anything is written."""
    (mini / "metadata/scenes_listeners.dev.json").write_text(json.dumps(heard))
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1)
    assert 2 == run.exit_code
    assert "which is a path and no name; files are called after it" in run.stderr
    assert not Path("out").exists()


def test_microphones(rtcore, mini):
    """Those at the ear-drums are warned of; a pair that is named twice is told as that."""
    words = ("clarity", "enhance", "mini", "out", "--jobs", 1, "--limit", 1, "--mics")
    run = rtcore(*words, "0", "-p", "gain")
    assert 0 == run.exit_code
    assert "warning: --mics 0 is close to the ear-drums" in run.stderr
    assert "'1,1' names a pair twice" in rtcore(*words, "1,1").stderr


def test_a_dry_run_refuses_what_the_run_will(rtcore, enhanced):
    """Outputs that no run has written stop the dry run as well."""
    (ENHANCED / ".rtcore-jobs.jsonl").unlink()
    words = ("clarity", "enhance", "mini", "out", "--dry-run")
    assert "has not written" in rtcore(*words).stderr
    assert "4 pairs to do" in rtcore(*words, "--again").stdout
