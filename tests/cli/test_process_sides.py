# SPDX-License-Identifier: MIT
"""``rtcore process --side``: vectors from files, and a sentence for every file that is none."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
import steered

from rtcore import Chain
from rtcore.audiofile import info, read

VECTORS = np.random.default_rng(4).normal(size=(9, 2))


@pytest.fixture(autouse=True)
def steered_plugins(home, monkeypatch, tmp_path):
    """Let the command find the plugins of these tests."""
    del home  # which clears the search path first
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(steered.__file__, folder / "steered.py")
    monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(folder))


def test_equals_the_chain(rtcore, sound):
    """The file holds what the chain plays with the same vectors, at their own rate or another."""
    np.save("gains.npy", VECTORS)
    head = info(sound)
    for rate in (None, 400.0):
        words = [] if rate is None else ["--side-rate", rate]
        result = rtcore(
            "process", sound, "out.wav", "-p", "t_steered", "--side", "gains=gains.npy",
            "--subtype", "FLOAT", *words,
        )  # fmt: skip
        assert 0 == result.exit_code, result.stderr
        chain = Chain([steered.Steered()], sample_rate=head.sample_rate, channels=head.channels)
        chain.feed("gains", VECTORS, at_frame=0, rate_hz=rate)
        assert np.array_equal(chain.process(read(sound, "float32")[0]), read("out.wav")[0])


def damaged():
    """Write files of all kinds that hold no vectors; give each with a word of its sentence."""
    np.save("wide.npy", np.zeros((3, 5)))
    np.save("nan.npy", np.full((3, 2), np.nan))
    np.save("none.npy", np.zeros((0, 2)))
    np.save("deep.npy", np.zeros((3, 2, 2)))
    np.save("text.npy", np.array([["a", "b"]]))
    np.save("objects.npy", np.array([{}], dtype=object))
    np.savez("archive.npy.npz", a=np.zeros((3, 2)))
    np.save("good.npy", VECTORS)
    with open("good.npy", "rb") as file:  # noqa: PTH123 - a few bytes of it
        content = file.read()
    for name, part in {
        "short": content[:140],
        "header": content[:40],
        "huge": content.replace(b"(9, 2)", b"(99999999999, 2)")[:128],
        "junk": b"hello",
        "empty": b"",
    }.items():
        with open(f"{name}.npy", "wb") as file:  # noqa: PTH123 - as above
            file.write(part)
    with zipfile.ZipFile("zip.npy", "w") as archive:
        archive.writestr("a", "b")
    return {
        "wide": "takes vectors of 2 numbers, got an array of shape (3, 5)",
        "nan": "not finite",
        "none": "must hold an array of shape (vectors, width), got (0, 2)",
        "deep": "must hold an array of shape (vectors, width), got (3, 2, 2)",
        "text": "takes numbers",
        "there_is_none": "there is no such file of vectors",
        **dict.fromkeys(
            ("objects", "archive.npy.npz", "short", "header", "huge", "junk", "empty", "zip"),
            "cannot be read as vectors",
        ),
    }


def test_bad_files(rtcore, sound):
    """A file that is damaged, foreign or of another shape is refused, and nothing is written."""
    for name, sentence in damaged().items():
        file = name if "." in name else f"{name}.npy"
        result = rtcore("process", sound, "no.wav", "-p", "t_steered", "--side", f"gains={file}")
        assert 2 == result.exit_code, name
        assert sentence in result.stderr, name
        assert file in result.stderr
        assert "pickle" not in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--side", "gain=good.npy"], "'gain' is no side input of this chain (did you mean 'gain"),
        (["--side", "gains"], "is no NAME=FILE"),
        (["--side", "gains=good.npy", "--side", "gains=good.npy"], "is given twice"),
        (["--side", "gains=good.npy", "--replay", "log.jsonl"], "a session tells its own vectors"),
        (["--side", "gains=good.npy", "--side-rate", "nan"], "nan is no number"),
        (["--side", "gains=good.npy", "--side-rate", "0"], "is not in the range"),
    ],
)
def test_wrong_use(rtcore, sound, words, sentence):
    """Options that cannot be are refused with a sentence."""
    np.save("good.npy", VECTORS)
    result = rtcore("process", sound, "no.wav", "-p", "t_steered", *words)
    assert 2 == result.exit_code
    assert sentence in result.stderr


def test_one_sound(rtcore, sound):
    """One file of vectors belongs to one sound."""
    np.save("good.npy", VECTORS)
    words = ["-p", "t_steered", "--side", "gains=good.npy"]
    result = rtcore("process", sound, sound, "folder", *words)
    assert 2 == result.exit_code
    assert "--side belongs to one sound" in result.stderr


def test_too_many_vectors(rtcore, sound):
    """Vectors that begin after the end are a warning; too many at once are refused."""
    np.save("many.npy", np.zeros((40000, 2)))
    words = ["process", sound, "out.wav", "-p", "t_steered", "--side", "gains=many.npy"]
    result = rtcore(*words)
    assert 0 == result.exit_code
    assert "of the vectors of --side gains begin after the end of the sound" in result.stderr
    result = rtcore(*words, "--side-rate", 384000)
    assert 2 == result.exit_code
    assert "follow one another too fast" in result.stderr


def test_shown(rtcore):
    """A plugin's side inputs are shown with the rest of what it declares."""
    shown = rtcore("plugins", "show", "t_steered").output
    row = next(line for line in shown.splitlines() if line.startswith("gains"))
    assert row.split() == ["gains", "2", "1,", "-1,", "...", "100", "0.01"]
    entry = json.loads(rtcore("plugins", "show", "t_steered", "--json").output)
    assert entry["side_inputs"]["gains"]["width"] == 2
