# SPDX-License-Identifier: MIT
"""Folders of outputs: nothing of the user's is lost, and nothing stale stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.challenges.plc.traces import write_trace

LOST = np.array([0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0], bool)
HOLD = ["-p", "hold-last"]


def make_clip(folder, name, rate=16000):
    """Write a lossy sound; give the trace's digits."""
    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(3).integers(1, 20000, len(LOST) * rate // 50).astype(np.int16)
    x[np.repeat(LOST, rate // 50)] = 0
    soundfile.write(folder / f"{name}.wav", x, rate, subtype="PCM_16")
    return " ".join("1" if gone else "0" for gone in LOST)


@pytest.fixture
def set22(home):
    """Write a set of 2022 with two clips."""
    for name in (1, 2):
        make_clip(home / "set22/lossy_signals", name)
        write_trace(home / f"set22/lossy_signals/{name}_is_lost.txt", LOST)
    return home / "set22"


@pytest.fixture
def set24(home):
    """Write a set of 2024 with two clips, in a folder of any name."""
    rows = [
        f"{name}.wav,48000,14,{make_clip(home / 'set24/noisy', name, 48000)}" for name in (1, 2)
    ]
    (home / "set24/val_meta.csv").write_text("\n".join(["file,rate,packets,trace", *rows]))
    return home / "set24"


class TestUsersFiles:
    """What the user has is not overwritten unasked."""

    def test_foreign_sounds(self, rtcore, set22):
        """A folder with sounds of the clips' names that are no outputs is refused, or forced."""
        Path("mine").mkdir()
        Path("mine/2.wav").write_bytes(b"dear")
        result = rtcore("plc", "conceal", set22, "mine", *HOLD)
        assert 2 == result.exit_code
        assert "mine: holds 1 files with the clips' names (2.wav) that" in result.stderr
        assert [b"dear"] == [p.read_bytes() for p in Path("mine").iterdir()]
        assert 0 == rtcore("plc", "conceal", set22, "mine", *HOLD, "--again").exit_code
        assert b"dear" != Path("mine/2.wav").read_bytes()

    def test_other_files_do_not_matter(self, rtcore, set22):
        """A folder with something else in it is used, and that stays."""
        Path("mine").mkdir()
        Path("mine/notes.txt").write_text("dear")
        assert 0 == rtcore("plc", "conceal", set22, "mine", *HOLD).exit_code
        assert "dear" == Path("mine/notes.txt").read_text()

    @pytest.mark.parametrize("source", ["set22", "set24", "set24/val_meta.csv"])
    def test_the_set_itself(self, rtcore, set22, set24, source):
        """Outputs in the set's own folder would be taken for lossy sounds."""
        target = Path(source.partition("/")[0])
        result = rtcore("plc", "conceal", source, target, *HOLD)
        assert 2 == result.exit_code
        assert f"{target}: is the set itself" in result.stderr
        assert [] == list(target.glob("*.wav"))

    def test_outputs_in_the_set(self, rtcore, set24):
        """Outputs in a folder within a 2024 set do not become part of it."""
        for target in ("set24/first", "set24/second"):
            result = rtcore("plc", "conceal", set24, target, *HOLD)
            assert "2 done, 0 skipped, 0 failed" in result.stdout, result.stderr
        pair = [Path(f"set24/{name}/1.wav").read_bytes() for name in ("first", "second")]
        assert pair[0] == pair[1]

    @pytest.mark.parametrize("command", ["conceal", "evaluate"])
    def test_a_file_in_the_way(self, rtcore, set22, command):
        """A folder that cannot be made is told in a sentence."""
        Path("file").touch()
        words = [set22, "file/out"]
        if command == "evaluate":
            words = [set22 / "lossy_signals", "--to", "file/out", "--measures", "plcmos"]
            pytest.importorskip("speechmos")
        result = rtcore("plc", command, *words)
        assert 2 == result.exit_code
        assert "the folder cannot be made (Not a directory)" in result.stderr


class TestStaleOutputs:
    """A failed clip leaves no older output behind that was made from something else."""

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_removed(self, rtcore, set22, jobs):
        """The output of a trace that is wrong now goes, and that is said; the other stays."""
        rtcore("plc", "conceal", set22, "out", *HOLD)
        before = Path("out/1.wav").read_bytes()
        (set22 / "lossy_signals/2_is_lost.txt").write_text("0\n")
        result = rtcore("plc", "conceal", set22, "out", *HOLD, "--jobs", jobs)
        assert 2 == result.exit_code
        assert "1 older outputs of clips that failed now (2.wav) were removed" in result.stderr
        assert ["1.wav"] == [p.name for p in Path("out").glob("*.wav")]
        assert before == Path("out/1.wav").read_bytes()
        told = rtcore("plc", "conceal", set22, "out", *HOLD, "--json")
        assert [False] == [c["removed"] for c in json.loads(told.stdout)["clips"] if c["error"]]

    def test_the_same_again(self, rtcore, set22, monkeypatch):
        """An output made of the same things stays where making it once more fails."""
        rtcore("plc", "conceal", set22, "out", *HOLD)
        before = Path("out/2.wav").read_bytes()

        def full(*args, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("rtcore.challenges.plc.concealer.write", full)
        words = ["plc", "conceal", set22, "out", *HOLD, "--again", "--jobs", 1]
        result = rtcore(*words)
        assert 3 == result.exit_code
        assert "removed" not in result.stderr
        assert before == Path("out/2.wav").read_bytes()

    def test_what_was_changed_by_hand(self, rtcore, set22):
        """A file that a user has put in an output's place is the user's."""
        rtcore("plc", "conceal", set22, "out", *HOLD)
        Path("out/2.wav").write_bytes(b"dear")
        (set22 / "lossy_signals/2_is_lost.txt").unlink()
        result = rtcore("plc", "conceal", set22, "out", *HOLD)
        assert 2 == result.exit_code
        assert b"dear" == Path("out/2.wav").read_bytes()


class TestMixedOutputs:
    """A folder in which two chains' outputs lie is told before it is scored."""

    def test_two_chains(self, rtcore, set22):
        """After a run with a limit it is warned of; after the whole run it is not."""
        score = ["--reference", set22 / "lossy_signals", "--measures", "lsd", "--jobs", 1]
        rtcore("plc", "conceal", set22, "out", *HOLD)
        rtcore("plc", "conceal", set22, "out", "-p", "plc-zero", "--limit", 1)
        mixed = rtcore("plc", "evaluate", "out", *score)
        assert 0 == mixed.exit_code, mixed.stderr
        assert "out mixes what 2 chains have concealed (1 and 1 clips)" in mixed.stderr
        rtcore("plc", "conceal", set22, "out", "-p", "plc-zero")
        assert "mixes" not in rtcore("plc", "evaluate", "out", *score).stderr

    def test_two_rates(self, rtcore, set22):
        """One chain for clips of two rates is one chain."""
        make_clip(set22 / "lossy_signals", 3, 48000)
        write_trace(set22 / "lossy_signals/3_is_lost.txt", LOST)
        rtcore("plc", "conceal", set22, "out", *HOLD)
        score = ["--reference", set22 / "lossy_signals", "--measures", "lsd", "--jobs", 1]
        result = rtcore("plc", "evaluate", "out", *score)
        assert "3 done" in result.stdout
        assert "mixes" not in result.stderr


class TestTables:
    """A csv that is damaged is told, and not what would be missing without one."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no row names a .wav file"),
            ("file,trace\n1.wav,0010\n", "no column holds traces"),
            ("file,trace\n1.wav,0 1\n\xe9\n".encode("latin-1"), "is no text in UTF-8"),
        ],
    )
    def test_damaged(self, rtcore, set24, text, words):
        """The csv's own fault is the sentence."""
        (set24 / "noisy").rename(set24 / "lossy_signals")
        (set24 / "val_meta.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        result = rtcore("plc", "conceal", set24, "out", *HOLD)
        assert 2 == result.exit_code
        assert result.stderr.startswith(f"error: {set24}/val_meta.csv: ")
        assert words in result.stderr
        again = rtcore("plc", "conceal", set24, "out", *HOLD, "--from-zeros")
        assert "2 done" in again.stdout

    def test_other_tables_do_not_matter(self, rtcore, set22):
        """A csv of something else in a 2022 set is not read."""
        (set22 / "notes.csv").write_text("a,b\n1,2\n")
        assert 0 == rtcore("plc", "conceal", set22, "out", *HOLD).exit_code


def test_a_pipe_is_no_trace(rtcore, set22):
    """A pipe under a trace's name is told, instead of waiting for someone to write into it."""
    trace = set22 / "lossy_signals/2_is_lost.txt"
    trace.unlink()
    os.mkfifo(trace)
    result = rtcore("plc", "conceal", set22, "out", *HOLD)
    assert 2 == result.exit_code
    assert f"{trace}: is not a regular file" in result.stderr
    assert ["1.wav"] == [p.name for p in Path("out").glob("*.wav")]


def test_a_device_is_no_trace(rtcore, set22):
    """A device without an end is not read to its end."""
    trace = set22 / "lossy_signals/2_is_lost.txt"
    trace.unlink()
    trace.symlink_to("/dev/zero")
    result = rtcore("plc", "conceal", set22, "out", *HOLD)
    assert f"{trace}: is not a regular file" in result.stderr
    shutil.rmtree("out")
