# SPDX-License-Identifier: MIT
"""A model that fails does not stop the sound: dry at the same latency, without a click."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from bundles import RATE, adding_up, chain_of, fragile, noise, one_stage, passing, played
from click.testing import CliRunner

from rtcore.cli import main
from rtcore.engine import Engine, TimerBackend
from rtcore.onnx.choice import VARIABLE

HOP, HOPS, FADE = 128, 60, 80  # 5 ms at 16 kHz
FAIL, NAN = 1.0, -1.0
STATE = {"x": "hop", "s": {"state": "s_next"}}


@pytest.fixture(params=["native", "python"])
def folder(request, tmp_path, monkeypatch):
    """Make a bundle of a model that fails as its input says, run in either way."""
    monkeypatch.setenv(VARIABLE, request.param)
    fragile(tmp_path / "model.onnx", HOP)
    return one_stage(tmp_path, STATE, {"y": "hop"}, hop=HOP)


def planted(hops, what, channels=1):
    """Make sound on whose first channel the model fails in some hops."""
    x = np.clip(noise(HOP * HOPS, channels, level=0.1), -0.5, 0.5)
    x[0, [hop * HOP + HOP // 2 for hop in hops]] = what
    return x


def sums(x):
    """Give what the model would give, from a fresh state."""
    state, out = np.zeros(HOP, np.float32), []
    for k in range(0, x.size, HOP):
        state = state * np.float32(0.9) + x[k : k + HOP]
        out.append(state)
    return np.concatenate(out)


def model_of(chain):
    """Give the plugin that plays."""
    return chain.nodes[0].node.plugin


@pytest.mark.parametrize("what", [FAIL, NAN])
def test_a_hop_that_fails_is_dry(folder, what):
    """Good hops are untouched, one that fails is the input, and the model begins afresh."""
    x = planted([20], what)
    chain = chain_of(folder)
    y = played(chain, x)[0]
    bad, after = 20 * HOP, 21 * HOP
    assert np.array_equal(sums(x[0, :bad]), y[:bad])
    assert np.array_equal(x[0, bad + FADE : after], y[bad + FADE : after])
    assert np.array_equal(
        sums(x[0, after:])[FADE:], y[after + FADE : x.shape[1]]
    )  # NaN left its state
    faults = model_of(chain).faults
    assert (1, int(what == NAN)) == (faults["hops"], faults["not_finite"])
    assert (faults["reason"] is None) == (what == NAN)
    if what == FAIL:
        assert "Gather" in faults["reason"]
    assert 0 == chain.stats()[0]["faults"]


@pytest.mark.parametrize("what", [FAIL, NAN])
def test_no_click(folder, what):
    """Where the source changes, the sound steps no farther than the sources and the fade do."""
    t = np.arange(HOP * HOPS) / RATE
    x = (0.2 * np.sin(2 * np.pi * 100.0 * t)).astype(np.float32)[None]
    x[0, HOP // 2 :: HOP] = 0.0
    clean = played(chain_of(folder), x)[0]
    steepest = max(np.abs(np.diff(clean)).max(), np.abs(np.diff(x)).max())
    planted_x, at = x.copy(), [20 * HOP + HOP // 2, 40 * HOP + HOP // 2]
    planted_x[0, at] = what
    y = played(chain_of(folder), planted_x)[0]
    # The planted sample itself is a click of the input, which dry sound keeps.
    steps = np.abs(np.diff(np.delete(y, at)))
    assert steps.max() <= 2 * steepest + 2 * np.abs(clean).max() / FADE


def test_channels_fail_alone(folder):
    """Each channel has a model of its own: one fails, the other goes on bit for bit."""
    x = planted([10, 11, 30], NAN, channels=2)
    chain = chain_of(folder, channels=2)
    y = played(chain, x)
    assert np.array_equal(sums(x[1]), y[1, : x.shape[1]])
    assert 3 == model_of(chain).faults["hops"]


@pytest.mark.parametrize("what", [FAIL, NAN])
@pytest.mark.parametrize("placement", ["inline", "worker"])
def test_a_long_failure_stays_dry(folder, what, placement):
    """However long a model fails the dry sound goes on, and it is heard again as soon as it can."""
    bad, good = 2 * RATE // HOP, 40
    x = np.clip(noise(HOP * (bad + good)), -0.5, 0.5)
    x[0, HOP // 2 : bad * HOP : HOP] = what
    chain = chain_of(folder, placement=placement)
    y = played(chain, x)[0]
    assert np.array_equal(x[0, FADE : bad * HOP], y[FADE : bad * HOP])
    again = sums(x[0, bad * HOP :])
    assert np.array_equal(again[FADE:], y[bad * HOP + FADE : x.shape[1]])
    stats = chain.stats()[0]
    assert [0, False, bad] == [stats["faults"], stats["muted"], stats["failures"]]
    chain.render(planted([], 0))  # which begins with a reset
    assert 0 == chain.stats()[0]["failures"]


@pytest.mark.parametrize("placement", ["inline", "worker"])
def test_an_engine_says_so(folder, placement):
    """The user hears once that a model fails, and statistics count the hops."""
    told = []
    x = planted([20, 21, 40], FAIL)
    chain = chain_of(folder, placement=placement)
    backend = TimerBackend(x, block_frames=64)
    with Engine(chain, backend, on_message=told.append) as engine:
        assert engine.wait(60)
    told = [line for line in told if " fails, and its input is heard where it does: " in line]
    assert 1 == len(told)
    assert "Gather" in told[0]
    assert 3 == engine.stats()["plugins"][0]["failures"]


def test_a_file_says_so(folder, tmp_path):
    """A file in which a model failed is written, with a warning and exit code 1."""
    soundfile.write(tmp_path / "in.wav", planted([20, 40], NAN)[0], RATE, "FLOAT")
    files = [str(tmp_path / "in.wav"), str(tmp_path / "out.wav")]
    done = CliRunner().invoke(main, ["process", *files, "-p", f"model:bundle={folder}"])
    assert 1 == done.exit_code
    assert "failed in 2 hops, and its input is heard there: the model gave NaN" in done.output
    assert soundfile.info(tmp_path / "out.wav").frames >= HOP * HOPS


def test_worker_equals_inline(folder):
    """On a worker the same hops are dry, with the same samples, only later."""
    x = planted([3, 20, 21, 22, 40], NAN, channels=2)
    x[1, 50 * HOP + HOP // 2] = FAIL
    inline, worker = chain_of(folder, channels=2), chain_of(folder, channels=2, placement="worker")
    assert worker.latency_frames > inline.latency_frames
    assert np.array_equal(played(inline, x)[:, : HOP * HOPS], played(worker, x)[:, : HOP * HOPS])
    assert model_of(inline).faults == model_of(worker).faults


def test_frames_are_whole_before_the_model_is_heard_again(tmp_path):
    """With overlapping frames the dry sound stays, late as declared, until frames are whole."""
    window, lag = 4 * HOP, 3 * HOP
    fragile(tmp_path / "model.onnx", window)
    frame = {"window": window, "analysis": "sqrt-hann", "synthesis": "sqrt-hann"}
    one_stage(
        tmp_path, {"x": "frame", "s": {"state": "s_next"}}, {"y": "frame"}, hop=HOP, latency=lag,
        frame={"window": window}, id="frames",
    )  # fmt: skip
    passing(tmp_path / "pass" / "model.onnx", window)
    one_stage(tmp_path / "pass", {"x": "frame"}, {"y": "frame"}, hop=HOP, latency=lag, frame=frame)
    x = noise(HOP * HOPS, level=0.05)
    x[0, 20 * HOP] = FAIL  # the middle of the frame that ends with hop 21
    chain = chain_of(tmp_path)
    y = played(chain, x)[0]
    assert 1 == model_of(chain).faults["hops"]
    dry = np.concatenate([np.zeros(lag, np.float32), x[0]])
    start, end = 21 * HOP + FADE, (22 + 6) * HOP
    assert np.array_equal(dry[start:end], y[start:end])
    assert not np.array_equal(dry[end : end + HOP], y[end : end + HOP])


def test_input_beyond_float32(tmp_path):
    """Sound of float64 that no float32 holds is limited before it becomes infinite."""
    adding_up(tmp_path / "model.onnx", HOP)
    one_stage(tmp_path, STATE, {"y": "hop"}, hop=HOP)
    chain = chain_of(tmp_path, dtype="float64")
    x = np.full((1, HOP * 10), 1e300)
    y = played(chain, x)
    assert np.isfinite(y).all()
    assert [0, 0] == [chain.stats()[0]["faults"], model_of(chain).faults["hops"]]
