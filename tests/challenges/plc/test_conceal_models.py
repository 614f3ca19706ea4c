# SPDX-License-Identifier: MIT
"""Sets are concealed by ONNX models from bundles, which count among what an output depends on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_models
import soundfile

from rtcore.challenges.plc.traces import write_trace

MANIFEST = """
id = "scaled"
description = "Scale the sound"
licence = "MIT"
sample_rate = 16000
hop = 160
latency = 0
lookahead = 0
[[stage]]
file = "model.onnx"
[stage.inputs]
x = "hop"
[stage.outputs]
y = "hop"
"""


def bundle(folder, kind, factor=0.5):
    """Write a model of one operation on each sample, and its manifest."""
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text(MANIFEST)
    shape = (small_models.FLOAT, [1, 160])
    nodes = [small_models.node(kind, "x factor" if kind == "Mul" else "x", "y")]
    constants = [small_models.constant("factor", factor)] if kind == "Mul" else []
    small_models.save(folder / "model.onnx", nodes, {"x": shape}, {"y": shape}, constants)


@pytest.fixture
def clip(home):
    """Write a clip of even numbers, which can be halved."""
    lost = np.array([0, 1, 0, 0, 1, 0], bool)
    x = (2 * np.random.default_rng(0).integers(1, 9000, 6 * 320)).astype(np.int16)
    x[np.repeat(lost, 320)] = 0
    (home / "in").mkdir()
    soundfile.write("in/1.wav", x, 16000, subtype="PCM_16")
    write_trace("in/1_is_lost.txt", lost)
    return x


def statuses(rtcore):
    result = rtcore("plc", "conceal", "in", "out", "-p", "model:bundle='./half'", "--json")
    return [entry["status"] for entry in json.loads(result.stdout)["clips"]], result


def test_an_edited_model_is_run_again(rtcore, clip):
    """The model conceals, is not run twice, and is run again when its file has changed."""
    bundle(Path("half"), "Mul")
    assert ["done"] == statuses(rtcore)[0]
    assert np.array_equal(clip // 2, soundfile.read("out/1.wav", dtype="int16")[0])
    assert ["skipped"] == statuses(rtcore)[0]
    bundle(Path("half"), "Mul", 0.25)
    assert ["done"] == statuses(rtcore)[0]


def test_a_model_that_fails_fails_its_clip(rtcore, clip):
    """Sound that a failing model left dry is no result: the clip fails with exit code 1."""
    soundfile.write("in/1.wav", -clip, 16000, subtype="PCM_16")
    bundle(Path("half"), "Log")
    names, result = statuses(rtcore)
    assert (["failed"], 1) == (names, result.exit_code)
    assert "1.wav: the model of plugin[0].model failed in" in result.stderr
    assert not Path("out/1.wav").exists()
