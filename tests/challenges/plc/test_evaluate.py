# SPDX-License-Identifier: MIT
"""``rtcore plc evaluate``: scores of a folder, group by group, restartable, whatever is in it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from rtcore.audiofile import write
from rtcore.challenges.plc.distances import log_spectral_distance, si_sdr
from rtcore.challenges.plc.evaluate import ClipScore
from rtcore.challenges.plc.pairing import find_heard
from rtcore.challenges.plc.summary import summarise
from rtcore.challenges.plc.traces import write_trace
from rtcore.errors import ConfigError

RATE, PACKET = 16000, 320
OURS = ["--measures", "lsd,si-sdr"]
#: Longest burst of each clip in packets: one of each stratum, one too long, one without loss.
BURSTS = {"1": 2, "2": 8, "3": 20, "9": 60, "10": 0}


def make_set(folder, rate=RATE):
    """Write a set in the layout of 2022 and what a poor concealer made of it."""
    for inner in ("set/lossy_signals", "set/clean_signals", "out"):
        (folder / inner).mkdir(parents=True)
    for seed, (name, burst) in enumerate(BURSTS.items()):
        rng = np.random.default_rng(seed)
        lost = np.zeros(80, bool)
        lost[10 : 10 + burst] = True
        clean = rng.normal(0.0, 0.1, 80 * rate // 50)
        lossy = np.where(np.repeat(lost, rate // 50), 0.0, clean)
        heard = lossy + rng.normal(0.0, 0.01, len(clean))
        for inner, x in (("set/lossy_signals", lossy), ("set/clean_signals", clean)):
            write(folder / inner / f"{name}.wav", x, rate, subtype="PCM_16")
        write(folder / "out" / f"{name}.wav", heard, rate, subtype="PCM_16")
        write_trace(folder / f"set/lossy_signals/{name}_is_lost.txt", lost)


@pytest.fixture
def scored(home):
    """Stand where there is a set and a folder of concealed clips."""
    make_set(home)
    return home


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def evaluated(rtcore, *args):
    result = rtcore("plc", "evaluate", "out", *OURS, "--jobs", 1, *args)
    return result, json.loads(result.stdout) if "--json" in args else None


class TestFiles:
    def test_one_row_a_clip(self, scored, rtcore):
        """The csv has each clip's numbers, trace and stratum, and who computed them."""
        result, _ = evaluated(rtcore, "--trace", "set")
        assert 0 == result.exit_code, result.stderr
        rows = rows_of(scored / "out/scores/scores.csv")
        assert list(BURSTS) == [row["name"] for row in rows]
        strata = ["to 120 ms", "120 to 320 ms", "320 to 1000 ms", "over 1000 ms", "nothing lost"]
        assert strata == [row["stratum"] for row in rows]
        assert ["40", "160", "400", "1200", "0"] == [row["longest_ms"] for row in rows]
        assert all("lsd: rtcore" in row["scored_with"] for row in rows)
        heard = {one.name: one for one in find_heard(scored / "out", None, scored / "set").sounds}
        from rtcore.challenges.plc.evaluate import load_pair

        x, clean, rate = load_pair(heard["2"])
        assert f"{si_sdr(clean, x)}" == rows[1]["si_sdr_db"]
        assert f"{log_spectral_distance(clean, x, rate)}" == rows[1]["lsd_db"]

    def test_summary_and_json(self, scored, rtcore):
        """Means stand for all clips, for each stratum and each cell, with their intervals."""
        _, told = evaluated(rtcore, "--trace", "set", "--json", "--plot", "png")
        groups = rows_of(scored / "out/scores/summary.csv")
        kinds = [(row["group"], row["stratum"], row["clips"]) for row in groups]
        assert ("all", "", "5") == kinds[0]
        assert ("stratum", "to 120 ms", "1") in kinds
        assert ("cell", "over 1000 ms", "1") in kinds
        assert float(groups[0]["lsd_db_low95"]) <= float(groups[0]["lsd_db"])
        written = json.loads((scored / "out/scores/scores.json").read_text())
        assert {"scored_with", "machine", "summary", "clips"} == set(written)
        assert 5 == len(written["clips"])
        assert told["done"] == 5
        assert (scored / "out/scores/scores.png").read_bytes().startswith(b"\x89PNG")

    def test_the_plot_without_traces(self, scored, rtcore):
        """Without traces the plot shows how the scores spread; the file is a whole SVG."""
        result, _ = evaluated(rtcore, "--reference", "set/clean_signals")
        assert 0 == result.exit_code, result.stderr
        svg = (scored / "out/scores/scores.svg").read_text()
        assert svg.rstrip().endswith("</svg>")
        assert not list((scored / "out/scores").glob(".rtcore-*.part"))


class TestRestart:
    def test_nothing_twice(self, scored, rtcore):
        """What was scored is skipped; a changed sound, trace or clean sound is scored again."""
        evaluated(rtcore, "--trace", "set")
        _, told = evaluated(rtcore, "--trace", "set", "--json")
        assert (0, 5) == (told["done"], told["skipped"])
        write(scored / "out/2.wav", np.full(80 * PACKET, 0.1), RATE, subtype="PCM_16")
        write_trace(scored / "set/lossy_signals/3_is_lost.txt", np.ones(80, bool))
        clean = np.random.default_rng(9).normal(0, 0.1, 80 * PACKET)
        write(scored / "set/clean_signals/9.wav", clean, RATE, subtype="PCM_16")
        _, told = evaluated(rtcore, "--trace", "set", "--json")
        assert (3, 2) == (told["done"], told["skipped"])
        _, told = evaluated(rtcore, "--trace", "set", "--json", "--again")
        assert (5, 0) == (told["done"], told["skipped"])

    def test_processes_give_the_same(self, scored, rtcore):
        """Two processes find the numbers of one."""
        evaluated(rtcore, "--trace", "set", "--to", "one")
        result = rtcore(
            "plc", "evaluate", "out", *OURS, "--trace", "set", "--to", "two", "--jobs", 2
        )
        assert 0 == result.exit_code, result.stderr
        for name in ("scores.csv", "summary.csv"):
            assert (scored / "one" / name).read_bytes() == (scored / "two" / name).read_bytes()


class TestBadInput:
    def test_bad_clips_are_told_and_the_rest_goes_on(self, scored, rtcore):
        """Each bad clip gets its sentence, the good ones their scores; the exit code is 2."""
        write(scored / "out/1.wav", np.zeros((2, 80 * PACKET)), RATE)
        write(scored / "out/2.wav", np.zeros(70 * PACKET), RATE)
        write(scored / "out/3.wav", np.zeros(80 * 160), 8000)
        (scored / "out/9.wav").write_bytes(b"RIFF nothing")
        write(scored / "out/11.wav", np.zeros(80 * PACKET), RATE)
        result, told = evaluated(rtcore, "--trace", "set", "--json")
        assert 2 == result.exit_code
        errors = {one["name"]: one["error"] for one in told["failures"]}
        assert {"1", "2", "3", "9", "11"} == set(errors)
        assert "has 2 channels" in errors["1"]
        assert "has 22400 frames, and its clean sound" in errors["2"]
        assert "has 8000 Hz, and its clean sound" in errors["3"]
        assert "there is no clean sound named 11" in errors["11"]
        assert ["10"] == [row["name"] for row in rows_of(scored / "out/scores/scores.csv")]
        assert 5 == result.stderr.count("error: ")

    def test_another_sets_trace(self, scored, rtcore):
        """A trace of another length is not taken for the clip's."""
        write_trace(scored / "set/lossy_signals/1_is_lost.txt", np.zeros(50, bool))
        result, told = evaluated(rtcore, "--trace", "set", "--json")
        assert 2 == result.exit_code
        assert "and its trace" in told["failures"][0]["error"]

    def test_too_short(self, home, rtcore):
        """Less than a quarter of a second has no score."""
        (home / "out").mkdir()
        write(home / "out/a.wav", np.zeros(1000), RATE)
        result, _ = evaluated(rtcore, "--reference", "out")
        assert 2 == result.exit_code
        assert "is shorter than 0.25 s" in result.stderr

    def test_missing_outputs_are_told(self, scored, rtcore):
        """Clips of the set that were never concealed do not go unnoticed."""
        (scored / "out/3.wav").unlink()
        result, _ = evaluated(rtcore, "--trace", "set")
        assert 0 == result.exit_code
        assert "out has no sound of 1 clips of the set (3)" in result.stderr

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["nowhere"], "there is no such folder"),
            (["set"], "holds no .wav or .flac files"),
            (["out", "--reference", "nowhere"], "name the folder of the clean sounds"),
            (["out", "--trace", "nowhere"], "there is no such folder or csv"),
            (["out", "--measures", "pesq"], "compares with the clean sound"),
            (["out", "--reference", "out", *OURS, "--to", "out/1.wav"], "is a file"),
        ],
    )
    def test_refused(self, scored, rtcore, args, words):
        """What cannot be scored at all is refused with a sentence."""
        result = rtcore("plc", "evaluate", *args)
        assert 2 == result.exit_code
        assert words in result.stderr

    def test_names_must_be_clear(self, scored):
        """Two sounds of one name, here or among the clean ones, are not guessed between."""
        for inner in ("deep/a", "deep/b"):
            (scored / inner).mkdir(parents=True)
            write(scored / inner / "1.wav", np.zeros(8000), RATE)
        found = find_heard(scored / "out", scored / "deep")
        assert "several clean sounds of its name" in str(found.sounds[0].fault)
        write(scored / "out/1.flac", np.zeros(8000), RATE)
        with pytest.raises(ConfigError, match=r"holds both 1\.flac and 1\.wav"):
            find_heard(scored / "out")


class TestSummary:
    def test_cells_hold_equally_many(self):
        """A stratum's clips are shared among its cells by loss rate, lowest first."""
        scores = [
            ClipScore(str(k), {"lsd_db": float(k)}, packets=100, lost=k + 1, longest=1,
                      stratum="to 120 ms")
            for k in range(28)
        ]  # fmt: skip
        groups = summarise(scores, cells=14)
        cells = [group for group in groups if group.kind == "cell"]
        assert [2] * 14 == [group.clips for group in cells]
        assert list(range(1, 15)) == [group.cell for group in cells]
        assert [2.0 * k + 0.5 for k in range(14)] == [g.means["lsd_db"].mean for g in cells]
        assert (0.01, 0.02) == (cells[0].loss[0], cells[0].loss[2])

    def test_a_missing_value_does_not_count(self):
        """A clip without a value is left out of that mean alone."""
        scores = [ClipScore("a", {"x": 1.0, "y": None}), ClipScore("b", {"x": 3.0, "y": 5.0})]
        everything = summarise(scores)[0]
        assert (2, 2.0) == (everything.means["x"].count, everything.means["x"].mean)
        assert (1, 5.0) == (everything.means["y"].count, everything.means["y"].mean)
