# SPDX-License-Identifier: MIT
"""What is handed in is what the rules ask for, and nothing else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
from cadenza_sets import made
from command_line import empty_home, invoke

FRAMES = 19361  # 0.6 s at 32 kHz, and NAL-R's tail


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a set of two pairs."""
    return made(tmp_path_factory.mktemp("cadenza") / "mini")


@pytest.fixture
def answers(whole, tmp_path, monkeypatch):
    """Stand beside a set and good answers to it; give the answers."""
    with empty_home(tmp_path, monkeypatch) as work:
        shutil.copytree(whole.places.root, work / "mini")
        (work / "out").mkdir()
        paths = [work / "out" / f"{pair.name}_remix.flac" for pair in whole.pairs()]
        for path in paths:
            answer(path)
        yield paths


def answer(path, frames=FRAMES, rate=32000, channels=2, peak=0.5, **options):
    """Write an answer."""
    x = np.random.default_rng(0).uniform(-peak, peak, (frames, channels))
    soundfile.write(path, x, rate, **({"subtype": "PCM_16"} | options))


def test_good(answers):
    """Good answers are copied, bit for bit, and nothing else is in the package."""
    (answers[0].parent / "scores").mkdir()
    done = invoke("cadenza", "package", "mini", "out", "E042")
    assert 0 == done.exit_code, done.output
    package = answers[0].parents[1] / "E042"
    assert sorted(path.name for path in answers) == sorted(p.name for p in package.iterdir())
    assert all(path.read_bytes() == (package / path.name).read_bytes() for path in answers)
    assert "2 files, ready to be handed in" in done.output


@pytest.mark.parametrize("target", ["file", "file/E042"])
def test_a_file_in_the_way(answers, target):
    """It is told, as bad input."""
    (answers[0].parents[1] / "file").write_text("mine")
    done = invoke("cadenza", "package", "mini", "out", target)
    assert 2 == done.exit_code
    assert f"error: {target}: the folder cannot be made" in done.stderr


def test_official_folder(answers):
    """The official enhanced_signals within a folder is found."""
    (answers[0].parent).rename(answers[0].parents[1] / "enhanced_signals")
    assert 0 == invoke("cadenza", "package", "mini", ".").exit_code


BAD = [
    (lambda path: path.unlink(), "no such file"),
    (lambda path: answer(path, rate=44100), "PCM_16, 44100 Hz, channels: 2 where FLAC PCM_16"),
    (lambda path: answer(path, channels=1), "32000 Hz, channels: 1 where FLAC PCM_16"),
    (lambda path: answer(path, subtype="PCM_24"), "is FLAC PCM_24"),
    (lambda path: answer(path, format="WAV"), "is WAV PCM_16"),
    (lambda path: answer(path, frames=19000), "has 19000 frames where the music asks for 1904"),
    (lambda path: answer(path, frames=20000), "has 20000 frames where the music asks for 1904"),
    (lambda path: path.write_bytes(path.read_bytes()[:5000]), "_remix.flac"),
    (lambda path: path.with_suffix(".txt").write_text("3"), "has a side-car with a factor"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD)
def test_bad(answers, spoil, words):
    """A missing or wrong answer is told with its name; nothing is packed and the exit code is 1."""
    spoil(answers[1])
    done = invoke("cadenza", "package", "mini", "out", "E042")
    assert 1 == done.exit_code
    assert answers[1].name in done.stderr
    assert words in done.stderr
    assert "1 good, 1 missing or wrong" in done.output
    assert not (answers[0].parents[1] / "E042").exists()


def test_extra(answers):
    """A file that nobody asked for is told."""
    answer(answers[0].parent / "scene_99999_L0001_remix.flac")
    done = invoke("cadenza", "package", "mini", "out", "--json")
    assert 1 == done.exit_code
    assert ["scene_99999_L0001_remix.flac"] == json.loads(done.stdout)["extra"]


def test_other_files(answers):
    """What is handed in as it is has nothing else in it; what is copied from may have."""
    folder = answers[0].parent
    (folder / "notes.txt").write_text("mine")
    (folder / "copies").mkdir()
    (folder / "copy.FLAC").write_bytes(answers[0].read_bytes())
    done = invoke("cadenza", "package", "mini", "out", "--json")
    assert (1, ["copies", "copy.FLAC", "notes.txt"]) == (
        done.exit_code, json.loads(done.stdout)["extra"])  # fmt: skip
    (folder / "copy.FLAC").unlink()
    assert 0 == invoke("cadenza", "package", "mini", "out", "E042").exit_code
    assert len(answers) == len(list((folder.parent / "E042").iterdir()))


def test_clipped(answers):
    """Samples at full scale are counted for each file; they break no rule."""
    x = np.full((FRAMES, 2), 0.1)
    x[100:103, 0], x[200, 1] = 1.0, -1.0
    soundfile.write(answers[1], x, 32000, subtype="PCM_16")
    done = invoke("cadenza", "package", "mini", "out", "--json")
    assert 0 == done.exit_code, done.output
    assert {answers[1].name: 4} == json.loads(done.stdout)["clipped"]


def test_strange_package(answers):
    """A package that holds other files is refused."""
    package = answers[0].parents[1] / "E042"
    package.mkdir()
    (package / "notes.txt").write_text("mine")
    done = invoke("cadenza", "package", "mini", "out", package)
    assert 2 == done.exit_code
    assert "has 1 other files (notes.txt)" in done.stderr
