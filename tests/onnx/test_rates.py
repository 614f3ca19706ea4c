# SPDX-License-Identifier: MIT
"""Models in streams of other rates, cut anyhow, on workers, from silence: the same, as declared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bundles import RATE, adding_up, chain_of, dense, noise, one_stage, passing, played
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.latency.delay import measure_delay
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.systems.base import ChainSystem
from rtcore.onnx.choice import VARIABLE
from rtcore.onnx.rates import plan_rates

HOP, WINDOW = 80, 320
RATES = [8000, 16000, 32000, 44100, 48000]
STATE = {"x": "hop", "s": {"state": "s_next"}}


@pytest.fixture
def summing(tmp_path):
    """Make a model with states."""
    adding_up(tmp_path / "sums" / "model.onnx", HOP)
    return one_stage(tmp_path / "sums", STATE, {"y": "hop"}, hop=HOP)


@pytest.fixture
def framed(tmp_path):
    """Make a model that passes frames, put together under windows."""
    passing(tmp_path / "frames" / "model.onnx", WINDOW)
    windows = {"window": WINDOW, "analysis": "hann"}
    return one_stage(
        tmp_path / "frames", {"x": "frame"}, {"y": "frame"}, hop=WINDOW // 2,
        latency=WINDOW // 2, lookahead=WINDOW - 1, frame=windows,
    )  # fmt: skip


@pytest.mark.parametrize("placement", ["inline", "worker"])
@pytest.mark.parametrize("rate", RATES)
def test_declared_latency_is_measured(framed, rate, placement):
    """The whole latency, with both filters and all gathering, is the declared one."""
    chain = chain_of(framed, sample_rate=rate, placement=placement)
    delay = measure_delay(ChainSystem(chain, "frames"))
    assert abs(delay.samples - chain.latency_frames) <= 0.5
    assert delay.confidence > 0.5


@pytest.mark.parametrize("rate", RATES)
def test_declared_look_ahead_is_measured(framed, rate):
    """No output depends on more of the future than declared, and hardly less is true."""
    dense(framed / "model.onnx", {"x": WINDOW}, {"y": WINDOW})  # each sample feels all others
    chain = chain_of(framed, sample_rate=rate)
    found = measure_lookahead(ChainSystem(chain, "frames"), positions=400, duration_s=0.4)
    aligned = found.samples + chain.latency_frames
    assert chain.lookahead_frames * 0.8 <= aligned <= chain.lookahead_frames


@pytest.mark.parametrize("rate", RATES)
def test_sound_passes(framed, rate):
    """A model that passes its frames passes the sound, but for what 16 kHz cannot carry."""
    chain = chain_of(framed, sample_rate=rate)
    t = np.arange(rate) / rate
    x = (0.3 * np.sin(2 * np.pi * 440.0 * t))[None].astype(np.float32)
    y = chain.render(x)[:, chain.latency_frames :]
    inner = slice(rate // 10, rate - rate // 10)
    np.testing.assert_allclose(y[0, inner], x[0, inner], atol=3e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", RATES)
def test_any_cutting(summing, rate, dtype):
    """Blocks of any sizes give the bits of one block."""
    chain = chain_of(summing, sample_rate=rate, channels=2, dtype=dtype)
    x = noise(6000, channels=2).astype(dtype)
    whole = chain.render(x)

    @settings(max_examples=15, deadline=None)
    @given(sizes=st.lists(st.integers(1, 900), min_size=1, max_size=10))
    def holds(sizes):
        chain.reset()
        parts, at = [], 0
        while at < x.shape[1]:
            size = sizes[len(parts) % len(sizes)]
            parts.append(chain.process(x[:, at : at + size]))
            at += size
        assert np.array_equal(whole, np.concatenate([*parts, chain.flush()], axis=1))

    holds()


@pytest.mark.parametrize("rate", RATES)
def test_two_channels_are_two_models(summing, rate):
    """Stereo is two independent monos."""
    x = noise(4000, channels=2)
    both = chain_of(summing, sample_rate=rate, channels=2).render(x)
    for c in range(2):
        assert np.array_equal(both[c], chain_of(summing, sample_rate=rate).render(x[c : c + 1])[0])


@pytest.mark.parametrize("placement", ["inline", "worker"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_reset_is_a_fresh_start(summing, rate, placement):
    """After a reset nothing is remembered, wherever it came in a hop."""
    chain = chain_of(summing, sample_rate=rate, placement=placement)
    x = noise(5000)
    fresh = chain.process(x)
    for frames in (1, 333, 5000):
        chain.process(noise(frames, seed=frames))
        chain.reset()
        assert np.array_equal(fresh, chain.process(x))
        chain.reset()


@pytest.mark.parametrize("how", ["native", "python"])
@pytest.mark.parametrize("rate", RATES)
def test_worker_equals_inline(summing, rate, how, monkeypatch):
    """On a worker the samples are the same, later by what is declared."""
    monkeypatch.setenv(VARIABLE, how)
    x = noise(9000, channels=2)
    inline, worker = (
        chain_of(summing, sample_rate=rate, channels=2, placement=p) for p in ("inline", "worker")
    )
    later = worker.latency_frames - inline.latency_frames
    assert later > 0
    a, b = inline.render(x), worker.render(x)
    assert np.array_equal(a, b[:, later : later + a.shape[1]])
    assert not b[:, :later].any()


@pytest.mark.parametrize("rate", RATES)
def test_native_equals_python(summing, rate, monkeypatch):
    """Both ways to run the model give the same bits."""
    x, found = noise(6000), []
    for how in ("native", "python"):
        monkeypatch.setenv(VARIABLE, how)
        found.append(chain_of(summing, sample_rate=rate).render(x))
    assert np.array_equal(*found)


@pytest.mark.parametrize("rate", RATES)
def test_losses_at_other_rates(tmp_path, rate):
    """A hop of the model is lost where any of its sound never came."""
    passing(tmp_path / "model.onnx", HOP)
    one_stage(tmp_path, {"x": {"feature": "lost", "repeat": HOP}}, {"y": "hop"}, hop=HOP)
    chain = chain_of(tmp_path, sample_rate=rate)
    packet = rate // 50
    x, lost = np.ones((1, packet * 20), np.float32), np.zeros(20, bool)
    lost[[5, 12]] = True
    y = played(chain, x, lost=lost, packet=packet)[0]
    told = np.round(y).astype(int)
    assert abs(told.sum() - 2 * packet) <= 4 * rate * HOP / RATE + 200


def fits(delay, samples, hop, hops=4000):
    """Tell whether hops carried through with this delay never run dry."""
    gathered, ready = 0, delay
    for _ in range(hops):
        gathered += samples
        ready += gathered // hop * hop
        gathered %= hop
        if ready < samples:
            return False
        ready -= samples
    return True


@given(
    stream=st.sampled_from([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]),
    own=st.sampled_from([8000, 16000, 24000, 44100, 48000]),
    hop=st.integers(1, 600),
)
@settings(deadline=None, max_examples=60)
def test_the_delay_is_the_least(stream, own, hop):
    """A sample less runs dry, and no other hop of the stream would be faster."""
    plan = plan_rates(stream, own, hop)
    assert plan.frames * own == plan.samples * stream
    assert fits(plan.delay_samples, plan.samples, hop)
    assert plan.delay_samples == 0 or not fits(plan.delay_samples - 1, plan.samples, hop)
    up, down = own // math.gcd(own, stream), stream // math.gcd(own, stream)
    total = plan.frames - 1 + plan.delay_samples * plan.ratio
    for times in range(1, 2 * math.lcm(hop, up) // up + 1):
        gathering = hop - math.gcd(hop, times * up)
        assert total <= times * down - 1 + gathering * plan.ratio or stream == own
