# SPDX-License-Identifier: MIT
"""Scores are the official ones, are not made twice, and say how they came about."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
from cadenza_sets import config, made, official
from command_line import empty_home, invoke

from rtcore.challenges.cadenza import evaluate as scoring

pytest.importorskip("clarity", reason="pyclarity gives the scores: install the extra")

HEADER = ["scene", "song", "listener", "left_score", "right_score", "score"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a set of two pairs, and the answers of two systems to it."""
    folder = tmp_path_factory.mktemp("cadenza")
    found = made(folder / "mini")
    for name in ("oracle", "none"):
        enhance = ("cadenza", "enhance", found.places.root, folder / name, "--separator", name)
        done = invoke(*enhance, "--jobs", 1)
        assert 0 == done.exit_code, done.output
    return found


@pytest.fixture
def home(tmp_path, monkeypatch, whole):
    """Stand in a folder with copies of the set and the answers."""
    with empty_home(tmp_path, monkeypatch) as work:
        scores = shutil.ignore_patterns("scores")
        shutil.copytree(whole.places.root.parent, work, dirs_exist_ok=True, ignore=scores)
        yield work


@pytest.fixture
def unheard(monkeypatch):
    """Score without HAAQI, by what can be told apart; count how often."""
    scored = []

    def told(processed, reference, listener, *, seed):
        scored.append(listener.id)
        return float(np.mean(np.square(processed))), float(np.mean(np.square(reference)))

    monkeypatch.setattr(scoring, "haaqi", told)
    monkeypatch.setattr("rtcore.challenges.cadenza.haaqi.measured_speed", lambda: 0.5)
    return scored


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture(scope="module")
def tables(whole):
    """Score both systems' first answer, and give the tables."""
    root, folder = whole.places.root, whole.places.root.parent
    for name in ("oracle", "none"):
        done = invoke("cadenza", "evaluate", root, folder / name, "--jobs", 1, "--limit", 1)
        assert 0 == done.exit_code, done.output
        assert "HAAQI takes" in done.stderr
    return {name: rows(folder / name / "scores" / "scores.csv") for name in ("oracle", "none")}


class TestOfficial:
    """HAAQI itself, once for each system."""

    def test_same_scores(self, whole, tables, tmp_path, monkeypatch):
        """The official evaluation gives the first pair, its small test, the same scores."""
        evaluation = official("baseline.evaluate")
        answers = whole.places.root.parent / "oracle"
        (tmp_path / "enhanced_signals").symlink_to(answers)
        monkeypatch.chdir(tmp_path)
        evaluation.run_calculate_aq.__wrapped__(config(whole, evaluate={"small_test": True}))
        theirs, ours = rows(tmp_path / "scores.csv"), tables["oracle"]
        assert theirs[0] == ours[0] == HEADER
        assert [row[:3] for row in theirs] == [row[:3] for row in ours]
        expected = np.array([row[3:] for row in theirs[1:]], float)
        assert np.allclose(expected, np.array([row[3:] for row in ours[1:]], float), 0, 1e-9)

    def test_true_stems_beat_none(self, tables):
        """Who knows the stems hears what was asked for: `oracle` beats `none`."""
        oracle, none = (
            np.mean([float(row[-1]) for row in tables[name][1:]]) for name in ("oracle", "none")
        )
        assert 0.0 < none < oracle < 1.0

    def test_side_car(self, whole, tables):
        """Beside the table stands how it came about."""
        text = (whole.places.root.parent / "oracle" / "scores" / "scores.json").read_text()
        about = json.loads(text)
        assert "0.9.0" == about["versions"]["pyclarity"]
        assert 1 == about["rows"]
        assert about["mean"]["score"] == pytest.approx(
            np.mean([float(row[-1]) for row in tables["oracle"][1:]])
        )
        assert "65 dB SPL" in about["calibration"]
        assert about["answers"]["separator"] is not None
        assert {"compat": False, "causal": False}.items() <= about["answers"].items()
        assert 64 == len(about["answers"]["chain_hash"])


class TestRuns:
    """What is scored, and what is not."""

    def test_not_twice(self, home, unheard):
        """A second run skips all; an answer that changed is scored again, alone."""
        for expected in (2, 2):
            done = invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1)
            assert 0 == done.exit_code, done.output
            assert expected == len(unheard)
        first = min((home / "none").glob("*.flac"))
        x, rate = soundfile.read(first)
        soundfile.write(first, 0.5 * x, rate, subtype="PCM_16")
        invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1)
        assert 3 == len(unheard)
        assert 3 == len(rows(home / "none" / "scores" / "scores.csv"))

    def test_limit_keeps_rows(self, home, unheard):
        """A run of fewer pairs scores those, and the table keeps the rows that still hold."""
        words = ("cadenza", "evaluate", "mini", "none", "--jobs", 1)
        assert 0 == invoke(*words).exit_code
        assert 0 == invoke(*words, "--again", "--limit", 1).exit_code
        assert 3 == len(unheard)
        assert 3 == len(rows(home / "none" / "scores" / "scores.csv"))
        max((home / "none").glob("*.flac")).unlink()
        assert 0 == invoke(*words, "--limit", 1).exit_code
        assert 2 == len(rows(home / "none" / "scores" / "scores.csv"))

    def test_two_systems_in_one_folder(self, home, unheard):
        """Answers of two systems are credited to none, and that is said."""
        words = ("cadenza", "enhance", "mini", "oracle", "--jobs", 1)
        assert 0 == invoke(*words, "--separator", "none", "--limit", 1).exit_code
        done = invoke("cadenza", "evaluate", "mini", "oracle", "--jobs", 1)
        assert "mixes what 2 systems have made (1 and 1 outputs)" in done.stderr
        told = json.loads((home / "oracle/scores/scores.json").read_text())["answers"]
        assert (None, [1, 1]) == (told["chain_hash"], list(told["made_with"].values()))
        assert 0 == invoke(*words, "--separator", "none").exit_code
        done = invoke("cadenza", "evaluate", "mini", "oracle", "--jobs", 1)
        assert "mixes" not in done.stderr
        told = json.loads((home / "oracle/scores/scores.json").read_text())["answers"]
        assert ["none"] == told["separator"]

    @pytest.mark.parametrize("frames", [100, 4000, 40000])
    def test_answers_of_another_length(self, home, unheard, frames):
        """What is shorter or longer than the music is no answer to it."""
        first = min((home / "oracle").glob("*.flac"))
        soundfile.write(first, np.full((frames, 2), 0.1), 32000, subtype="PCM_16")
        done = invoke("cadenza", "evaluate", "mini", "oracle", "--jobs", 1)
        assert 1 == done.exit_code
        assert f"{first.name}: has {frames} frames where the music asks for" in done.stderr

    def test_unprocessed_once(self, home, unheard):
        """The mixtures are scored for the first system, and found ready by the second."""
        for name, expected in (("oracle", 4), ("none", 6)):
            done = invoke(
                "cadenza", "evaluate", "mini", name, "--jobs", 1, "--unprocessed", "floor"
            )
            assert 0 == done.exit_code, done.output
            assert expected == len(unheard)
        floor, none = (rows(home / name / "scores.csv") for name in ("floor", "none/scores"))
        assert [row[:3] for row in floor] == [row[:3] for row in none]
        both = (np.array([row[3:] for row in table[1:]], float) for table in (floor, none))
        assert np.allclose(*both, rtol=1e-5)  # no separator does nothing but NAL-R

    def test_one_fails(self, home, unheard):
        """A missing answer is told, the others have their rows, and the exit code is 1."""
        gone = min((home / "none").glob("*.flac"))
        gone.unlink()
        done = invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1, "--json")
        assert 1 == done.exit_code
        assert gone.name in done.stderr
        assert 2 == len(rows(home / "none" / "scores" / "scores.csv"))
        about = json.loads((home / "none" / "scores" / "scores.json").read_text())
        assert [gone.name.removesuffix("_remix.flac")] == list(about["failed"])

    def test_side_cars_factor(self, home, unheard):
        """A factor beside an answer counts, as for the official reader."""
        answer = min((home / "none").glob("*.flac"))
        plain = scoring.read_answer(answer)
        answer.with_suffix(".txt").write_text("2.5")
        assert np.array_equal(plain * np.float32(2.5), scoring.read_answer(answer))
        answer.with_suffix(".txt").write_text("loud")
        done = invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1)
        assert "must hold the factor" in done.stderr

    def test_wrong_rate(self, home, unheard):
        """An answer of another rate is refused by a sentence that names both rates."""
        answer = min((home / "none").glob("*.flac"))
        soundfile.write(answer, np.zeros((100, 2)), 44100, subtype="PCM_16")
        done = invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1)
        assert f"{answer.name}: has a sample rate of 44100 Hz where 32000 Hz" in done.stderr

    def test_dry_run(self, home, unheard):
        """With --dry-run nothing is scored or written."""
        done = invoke("cadenza", "evaluate", "mini", "none", "--dry-run")
        assert "2 pairs to do, 0 done already" in done.output
        assert not unheard
        assert not (home / "none" / "scores").exists()


def score_batches():
    """Score two batches into a folder."""
    for share in ("1/2", "2/2"):
        options = ("--jobs", 1, "--to", "p", "--shard", share)
        assert 0 == invoke("cadenza", "evaluate", "mini", "none", *options).exit_code


class TestBatches:
    """Shares are the official batches."""

    def test_merged(self, home, unheard):
        """Two batches, merged, hold what one run holds, in the official order of batches."""
        invoke("cadenza", "evaluate", "mini", "none", "--jobs", 1, "--to", "all")
        score_batches()
        done = invoke("cadenza", "merge", "p")
        assert 0 == done.exit_code, done.output
        assert rows(home / "all" / "scores.csv") == rows(home / "p" / "scores.csv")
        assert "2 batches" == json.loads((home / "p" / "scores.json").read_text())["merged"]

    def test_same_file_as_official(self, home, unheard, monkeypatch):
        """The official merge of the same batches writes the same rows."""
        score_batches()
        invoke("cadenza", "merge", "p")
        ours = rows(home / "p" / "scores.csv")
        merging = official("baseline.merge_batches_results")
        monkeypatch.chdir(home / "p")
        from omegaconf import OmegaConf

        merging.join_batches.__wrapped__(OmegaConf.create({"evaluate": {"batch_size": 2}}))
        assert rows(home / "p" / "scores.csv") == ours

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda p: (p / "scores_2-2.csv").unlink(), "lacks batch 2 of 2"),
            (lambda p: (p / "scores_1-3.csv").write_text("x"), "batches of 2 and of 3"),
            (lambda p: (p / "scores_2-2.csv").write_text("a,b\n"), "does not begin with scene,"),
            (lambda p: shutil.copy(p / "scores_1-2.csv", p / "scores_2-2.csv"), "twice"),
            (
                lambda p: (p / "scores_2-2.csv").write_text(",".join(HEADER) + "\na,b,c,1,x,2\n"),
                "line 2: must hold three names and three numbers",
            ),
            (
                lambda p: (p / "scores_2-2.json").write_text('{"seed": "none"}'),
                "scored in different ways",
            ),
        ],
    )
    def test_refused(self, home, unheard, spoil, words):
        """Batches that are missing, foreign, damaged or doubled are refused in a sentence."""
        score_batches()
        spoil(home / "p")
        done = invoke("cadenza", "merge", "p")
        assert 2 == done.exit_code
        assert words in done.stderr
