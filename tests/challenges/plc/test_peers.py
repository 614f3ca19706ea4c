# SPDX-License-Identifier: MIT
"""The benchmark beside peers runs, and plays every method over its input."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtcore.audiofile import write
from rtcore.synth import speech_like

BENCH = Path(__file__).parents[3] / "bench"
WEIGHTS = Path(__file__).parents[4] / "shared/data/models/plc"
RATE = 16000
OPUS_ML = Path(os.environ.get("RTCORE_OPUS_ML", "/"))
PACKAGE = "node_modules/@wasm-audio-decoders/opus-ml"
MISSING = [p for p in ("speechmos", "pesq", "pystoi") if importlib.util.find_spec(p) is None]


def run(*options):
    here = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    command = [sys.executable, str(BENCH / "plc_peers.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=here)


def loaded(name):
    """Import a module of the benchmarks by its file."""
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_without_speech_it_says_what_it_needs():
    """Run as it is, it names the option and leaves with 0."""
    done = run()
    assert 0 == done.returncode, done.stderr
    assert "--speech FOLDER" in done.stdout


@pytest.fixture
def speech(tmp_path):
    """Three seconds of a talker."""
    (tmp_path / "speech/one").mkdir(parents=True)
    talker = speech_like(3.0, RATE, rms=0.05, seed=1)
    write(tmp_path / "speech/one/a.flac", talker, RATE, subtype="PCM_16")
    return tmp_path / "speech"


def test_an_unknown_method_is_refused(speech):
    """A wrong name is told together with the right ones."""
    done = run("--speech", speech, "--only", "plc-pitch,plcpitch")
    assert 2 == done.returncode
    assert "there is no method plcpitch; there are clean, plc-zero" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (rtcore[plc])")
def test_every_method_has_a_row(speech, tmp_path):
    """Each method that can be had here has its figures, each other one its reason."""
    more = ["--weights", WEIGHTS] if WEIGHTS.is_dir() else []
    file = tmp_path / "figures.json"
    done = run("--speech", speech, "--json", file, *more)
    assert 0 == done.returncode, done.stderr
    figures = json.loads(file.read_text())
    rows = {row["method"]: row for row in figures["rows"]}
    assert {"clean", "plc-zero", "plc-repeat", "plc-pitch"} <= set(rows)
    assert WEIGHTS.is_dir() == ("tplcnet" in rows)
    assert WEIGHTS.is_dir() != ("tplcnet" in figures["skipped"])
    assert "npm install @wasm-audio-decoders/opus-ml" in figures["skipped"]["opus-deep-lace"]
    assert "speechmos" in figures["scored_with"]["plcmos"]
    assert {"processor", "packages"} <= set(figures["machine"])
    assert 4.64 == pytest.approx(rows["clean"]["PESQ-WB"], abs=0.01)
    assert all(row["STOI"] <= rows["clean"]["STOI"] for row in rows.values())


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (rtcore[plc])")
def test_strata_and_a_second_run(speech, tmp_path):
    """Each stratum has its clips and paired leads; a later run takes what it does not play."""
    file = tmp_path / "figures.json"
    asked = ["--speech", speech, "--strata", 1, "--json", file, "--cache", tmp_path / "kept"]
    asked += ["--against", "plc-pitch"]
    done = run(*asked, "--only", "plc-zero,plc-pitch")
    assert 0 == done.returncode, done.stderr
    first = json.loads(file.read_text())
    strata = [g["stratum"] for g in first["groups"] if g["stratum"] and g["cell"] is None]
    assert ["to 120 ms", "120 to 320 ms", "320 to 1000 ms"] == strata
    for group in first["groups"]:
        means = {name: found["plcmos_v2"]["mean"] for name, found in group["means"].items()}
        lead = group["differences"]["plc-zero"]["plcmos_v2"]
        assert group["clips"] == lead["count"]
        assert means["plc-pitch"] - means["plc-zero"] == pytest.approx(lead["mean"])
    done = run(*asked, "--only", "plc-pitch")
    assert 0 == done.returncode, done.stderr
    second = json.loads(file.read_text())
    assert ["plc-zero"] == second["from_cache"]
    assert first["scores"] == second["scores"]
    assert first["groups"] == second["groups"]


@pytest.mark.skipif(ctypes.util.find_library("opus") is None, reason="there is no libopus here")
def test_opus_lies_over_its_input():
    """The codec's delay is taken out, and a lost packet changes nothing before its time."""
    opus = loaded("_opus").Opus(RATE, 32_000)
    x = speech_like(2.0, RATE, rms=0.05, seed=3).astype(np.float32)[: 2 * RATE]
    lost = np.zeros(100, bool)
    y, seconds = opus.play(x, lost)
    assert (x.shape, lost.shape) == (y.shape, seconds.shape)
    lags = np.correlate(y[2000:-2000], x[2200:-2200], "valid")
    assert abs(int(np.argmax(lags)) - 200) <= 8  # the delay itself is some 100 samples
    lost[50:53] = True
    z, _ = opus.play(x, lost)
    changed = np.flatnonzero(z != y)
    assert 49 * 320 <= changed[0] <= 50 * 320


@pytest.mark.skipif(ctypes.util.find_library("opus") is None, reason="there is no libopus here")
def test_without_the_npm_package_the_command_is_named(tmp_path):
    """Where opus-ml is not, or node is not, the reason says what is missing."""
    module = loaded("_opus")
    with pytest.raises(OSError, match=r"npm install|node is not installed"):
        module.DeepOpus(module.Opus(RATE, 32_000), tmp_path, "lace")


DECODER = """
export class OpusMLDecoder {
  constructor(options) { this.ready = Promise.resolve(); this.seen = 0; this.options = options; }
  async reset() { this.seen = 0; }
  decodeFrame(packet) {
    this.seen += 1;
    const sound = new Float32Array(FRAMES).fill(packet.length === 1 ? -this.seen : this.seen);
    return { channelData: [sound], samplesDecoded: FRAMES, errors: ERRORS };
  }
}
"""


def feigned(folder, frames="320", errors="[]"):
    """Put a decoder in the package's place that tells what it was handed."""
    (folder / PACKAGE).mkdir(parents=True)
    about = {"version": "0", "type": "module", "exports": {"default": "./index.js"}}
    (folder / PACKAGE / "package.json").write_text(json.dumps(about))
    text = DECODER.replace("FRAMES", frames).replace("ERRORS", errors)
    (folder / PACKAGE / "index.js").write_text(text)
    return folder


needs_node = pytest.mark.skipif(
    ctypes.util.find_library("opus") is None or shutil.which("node") is None,
    reason="there is no libopus, or no node, here",
)


@needs_node
def test_lost_packets_reach_the_deep_decoder_as_one_byte(tmp_path):
    """Each packet is one call, a lost one has one byte, and each clip begins anew."""
    module = loaded("_opus")
    x = speech_like(0.2, RATE, rms=0.05, seed=3).astype(np.float32)[:3200]
    lost = np.zeros(10, bool)
    lost[[0, 4, 5, 9]] = True
    with module.DeepOpus(module.Opus(RATE, 32_000), feigned(tmp_path), "lace") as deep:
        for _ in range(2):
            y, seconds = deep.play(x, lost)
            assert (x.shape, lost.shape) == (y.shape, seconds.shape)
            told = y[320 - 104 :: 320]  # the first frame of packets 1 to 10, as 104 are taken out
            assert [2, 3, 4, -5, -6, 7, 8, 9, -10, 11] == told.tolist()
            assert -1 == y[0]


@needs_node
@pytest.mark.parametrize(
    ("frames", "errors", "said"),
    [
        ("1920", "[]", r"gave 1920 frames for packet 0, not 320"),
        ("320", '[{ message: "libopus -4" }]', r"packet 0: libopus -4"),
    ],
)
def test_what_goes_wrong_in_the_deep_decoder_is_told(tmp_path, frames, errors, said):
    """A packet that lasts too long, or is refused, ends the method with a reason."""
    module = loaded("_opus")
    folder = feigned(tmp_path, frames, errors)
    with (
        module.DeepOpus(module.Opus(RATE, 32_000), folder, "lace") as deep,
        pytest.raises(OSError, match=said),
    ):
        deep.play(np.ones(3200, np.float32), np.zeros(10, bool))


@needs_node
@pytest.mark.skipif(
    not (OPUS_ML / PACKAGE).is_dir(), reason="RTCORE_OPUS_ML names no folder with opus-ml"
)
@pytest.mark.parametrize("enhancement", ["lace", "nolace"])
def test_deep_opus_lies_over_its_input(enhancement):
    """The delay is taken out, nothing changes before a loss, and a burst is not silent."""
    module = loaded("_opus")
    x = speech_like(2.0, RATE, rms=0.05, seed=3).astype(np.float32)[: 2 * RATE]
    lost = np.zeros(100, bool)
    with module.DeepOpus(module.Opus(RATE, 32_000), OPUS_ML, enhancement) as deep:
        y, _ = deep.play(x, lost)
        lost[50:53] = True
        z, _ = deep.play(x, lost)
    assert abs(module.lag_frames(y, x)) <= 8
    changed = np.flatnonzero(z != y)
    assert 49 * 320 <= changed[0] <= 50 * 320
    assert np.std(z[50 * 320 : 53 * 320]) > 0.2 * np.std(y[50 * 320 : 53 * 320])


@pytest.mark.parametrize("lag", [-40, 0, 3, 104])
def test_the_lag_of_a_moved_sound_is_found(lag):
    """What is moved by so many frames lags by as many."""
    x = np.random.default_rng(5).normal(size=4000)
    assert lag == loaded("_opus").lag_frames(np.roll(x, lag), x)


def test_groups_and_paired_differences():
    """All clips, each stratum, each cell; clips that only one of two methods has do not count."""
    module = loaded("_plc_groups")
    traces = [np.zeros(200, bool) for _ in range(5)]
    for k, length in enumerate([1, 3, 6, 7, 50]):
        traces[k][20 : 20 + length] = True
    found = module.groups(traces, cells=2)
    expected = [
        ("", None, (0, 1, 2, 3, 4)),
        ("to 120 ms", None, (0, 1, 2)),
        ("to 120 ms", 1, (0, 1)),
        ("to 120 ms", 2, (2,)),
        ("120 to 320 ms", None, (3,)),
        ("120 to 320 ms", 1, (3,)),
        ("320 to 1000 ms", None, (4,)),
        ("320 to 1000 ms", 1, (4,)),
    ]
    assert expected == [(group.stratum, group.cell, group.members) for group in found]
    ours = [{"stoi": 0.9}, {"stoi": 0.8}, {"stoi": None}, {"stoi": 0.5}, {}]
    theirs = [{"stoi": 0.7}, None, {"stoi": 0.2}, {"stoi": 0.6}, {"stoi": 0.1}]
    lead = module.differences(ours, theirs, found[0])["stoi"]
    assert 2 == lead.count
    assert 0.05 == pytest.approx(lead.mean)
    assert module.differences(ours, theirs, found[0])["pesq_wb"] is None
