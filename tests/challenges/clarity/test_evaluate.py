# SPDX-License-Identifier: MIT
"""HASPI: the official numbers, files and seeds; restart; and that hearing aids help."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rtcore import Chain
from rtcore.audiofile import read, write
from rtcore.challenges.clarity import haspi
from rtcore.challenges.clarity.score_files import read_scores
from rtcore.errors import ConfigError
from rtcore.hearing import Listener
from rtcore.plugins import NALR
from rtcore.synth import speech_like

pytest.importorskip("clarity.evaluator.haspi.haspi", reason="pyclarity is not installed")


def cut_set(official, frames):
    """Copy the challenge's test scene, cut to its first frames, as the official test does."""
    scenes, outputs = Path("cut/scenes"), Path("out/enhanced_signals")
    for folder in (scenes, outputs, Path("cut/metadata")):
        folder.mkdir(parents=True)
    shutil.copy(official / "metadata/listeners.json", "cut/metadata")
    Path("cut/metadata/scenes_listeners.json").write_text('{"S06001": ["L0064"]}')
    files = {
        "mixed_CH1": official / "scenes/S06001_mixed_CH1.wav",
        "target_CH1": official / "scenes/S06001_target_CH1.wav",
        "target_anechoic_CH1": official / "scenes/S06001_target_anechoic_CH1.wav",
    }
    for name, path in files.items():
        x, rate = read(path)
        write(scenes / f"S06001_{name}.wav", x[:, :frames], rate, subtype="PCM_16")
    name = "S06001_L0064_HA-output.wav"
    x, rate = read(official / "recipes/cec2/baseline/eval_signals" / name)
    write(outputs / name, x[:, :frames], rate, subtype="PCM_16")


def test_the_recorded_scores_of_the_official_test(rtcore, official):
    """The first two seconds give what the official test has recorded, in files like its own."""
    cut_set(official, 88_200)
    run = rtcore("clarity", "evaluate", "cut", "out", "--jobs", 1, "--json")
    assert 0 == run.exit_code, run.stderr
    pair = ("S06001", "L0064")
    assert pytest.approx(0.745459815729705, abs=1e-7) == read_scores(Path("out/si.csv"))[pair]
    plain = read_scores(Path("out/si_unproc.csv"))[pair]
    assert pytest.approx(0.981990966133383, abs=1e-7) == plain
    lines = Path("out/si.csv").read_bytes().split(b"\r\n")
    assert (b"scene,listener,haspi", b"") == (lines[0], lines[-1])
    about = json.loads(Path("out/si.json").read_text())
    assert (1, 100.0, "0.9.0") == (
        about["pairs"], about["db_spl_at_rms_1"], about["scored_with"]["pyclarity"]
    )  # fmt: skip


def test_the_whole_fixture_gives_pyclaritys_score(official):
    """The official output scores what pyclarity gave for the same call and seed."""
    scenes = official / "scenes"
    anechoic, rate = read(scenes / "S06001_target_anechoic_CH1.wav")
    target, _ = read(scenes / "S06001_target_CH1.wav")
    x, _ = read(official / "recipes/cec2/baseline/eval_signals/S06001_L0064_HA-output.wav")
    left, right = [40, 30, 20, 50, 60, 65, 80, 75], [40, 35, 30, 50, 60, 75, 80, 80]
    listener = Listener.from_levels(left, right)
    seed = haspi.scene_seed("S06001")
    assert 50854399 == seed
    score = haspi.better_ear_haspi(
        haspi.scaled_reference(anechoic, target), x, rate, listener, seed
    )
    assert pytest.approx(0.008895349559, abs=1e-9) == score.better


def test_the_same_call_of_pyclarity_gives_the_same_bits():
    """Better-ear HASPI as pyclarity computes it, seeded before the left ear only."""
    from clarity.evaluator.haspi.haspi import haspi_v2_be
    from clarity.utils.audiogram import Audiogram
    from clarity.utils.audiogram import Listener as Other

    reference = np.stack([speech_like(0.6, 44100, seed=s) for s in (1, 2)])
    x = reference + 0.01 * np.random.default_rng(3).normal(size=reference.shape)
    person = Listener.from_levels([20] * 8, [40, 35, 30, 50, 60, 75, 80, 80])
    ears = [
        Audiogram(np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)) for ear in person.ears
    ]
    np.random.seed(7)  # noqa: NPY002 - what pyclarity draws from
    expected = haspi_v2_be(*reference, *x, 44100, Other(*ears))
    assert expected == haspi.better_ear_haspi(reference, x, 44100, person, 7).better


def test_the_reference_gets_the_targets_level():
    """The official formula, bit for bit, over the whole file and for each ear."""
    rng = np.random.default_rng(0)
    anechoic, target = rng.normal(size=(5001, 2)), rng.normal(size=(4000, 2)) * [0.1, 0.3]
    expected = anechoic * np.mean(target**2, axis=0) ** 0.5 / np.mean(anechoic**2, axis=0) ** 0.5
    assert np.array_equal(expected, haspi.scaled_reference(anechoic.T, target.T).T)


@pytest.mark.parametrize("name", ["N4", "N5"])
def test_nalr_helps_those_who_hear_badly(name):
    """NAL-R makes aligned speech at 65 dB SPL plainer with a moderate to severe loss."""
    x = speech_like(0.8, 44100, seed=5)
    assert pytest.approx(0.0178) == np.sqrt(np.mean(x**2))
    person = Listener.standard(name)
    ears = np.stack([x, x])
    aided = Chain([NALR(audiogram=person)], sample_rate=44100, dtype="float64").render(ears)
    plain, helped = (
        haspi.better_ear_haspi(ears, y, 44100, person, 1).better for y in (ears, aided)
    )
    assert plain + 0.01 < helped


def test_the_whole_flow_on_a_little_set(rtcore, mini):
    """Enhance and evaluate give scores; the next system takes the unprocessed ones over."""
    words = ("--jobs", 1, "--scene", "S06001", "--limit", 1)
    assert 0 == rtcore("clarity", "enhance", "mini", "a", *words).exit_code
    run = rtcore("clarity", "evaluate", "mini", "a", *words)
    assert 0 == run.exit_code, run.stderr
    assert "HASPI of the better ear: " in run.stdout
    assert "3 of 4 pairs have no score yet" in run.stdout
    about = json.loads(Path("a/si.json").read_text())
    made = json.loads(Path("a/enhance.json").read_text())
    assert made["chain_sha256"] == about["chain_sha256"]
    assert about["compat"] is False
    again = json.loads(rtcore("clarity", "evaluate", "mini", "a", *words, "--json").stdout)
    assert (0, 1) == (again["done"], again["skipped"])

    assert 0 == rtcore("clarity", "enhance", "mini", "b", *words, "--rate", 32000, "-p", "nalr",
                       ).exit_code  # fmt: skip
    run = rtcore("clarity", "evaluate", "mini", "b", *words)
    assert "1 outputs of 32000 Hz were scored at 44100 Hz" in run.stdout
    assert "1 of them from earlier runs" in run.stdout
    assert Path("a/si_unproc.csv").read_bytes() == Path("b/si_unproc.csv").read_bytes()


def test_shares_and_repeats_lose_no_row(rtcore, mini, monkeypatch):
    """A list has the rows of all runs: of shares that began before others ended, and of --again."""
    from rtcore.challenges.clarity import evaluate as work

    monkeypatch.setattr(haspi, "better_ear_haspi", lambda *_: haspi.Haspi(0.25, 0.5))
    assert 0 == rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, "-p", "gain").exit_code
    words = ("clarity", "evaluate", "mini", "out", "--no-unprocessed", "--jobs", 1)
    real = work.evaluate

    def with_the_other_share(*given, **how):
        yield from real(*given, **how)
        monkeypatch.setattr(work, "evaluate", real)
        assert 0 == rtcore(*words, "--shard", "2/2").exit_code

    monkeypatch.setattr(work, "evaluate", with_the_other_share)
    assert 0 == rtcore(*words, "--shard", "1/2").exit_code
    assert 4 == len(read_scores(Path("out/si.csv")))
    assert 0 == rtcore(*words, "--scene", "S06001", "--again").exit_code
    assert 4 == len(read_scores(Path("out/si.csv")))


def test_what_is_missing_is_told(rtcore, mini):
    """No outputs at all end the run; one that is missing fails alone."""
    run = rtcore("clarity", "evaluate", "mini", "out", "--jobs", 1)
    assert 2 == run.exit_code
    assert "is no folder of outputs; make them with `rtcore clarity enhance`" in run.stderr
    Path("out/enhanced_signals").mkdir(parents=True)
    run = rtcore("clarity", "evaluate", "mini", "out", "--jobs", 1)
    assert 1 == run.exit_code
    assert "S06001_L0001_HA-output.wav: there is no such file" in run.stderr
    assert "scene,listener,haspi" == Path("out/si.csv").read_text().strip()


def test_the_published_means(official):
    """The challenge's own lists have the means of its report."""
    folder = official.parents[1] / "recipes/cec2/baseline/exp"
    means = [np.mean(list(read_scores(folder / n).values())) for n in ("si.csv", "si_unproc.csv")]
    assert pytest.approx([0.24916056696691588, 0.1615031355980593], abs=1e-12) == means


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "does not begin with scene,listener,haspi"),
        ("scene,listener,haspi\nS1,L1\n", "line 2: is no scene, listener and score: S1,L1"),
        ("scene,listener,haspi\nS1,L1,x\n", "line 2: is no scene, listener and score: S1,L1,x"),
    ],
)
def test_lists_of_another_form_are_refused(tmp_path, text, said):
    """What is no list of scores is told with its line."""
    path = tmp_path / "si.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_scores(path)
    assert said in str(error.value)


def test_a_silent_ear_of_the_reference_is_told():
    """There is no level to be matched then."""
    with pytest.raises(Exception, match="is silent in one ear"):
        haspi.scaled_reference(np.zeros((2, 10)), np.ones((2, 10)))
