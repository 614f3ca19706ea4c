# SPDX-License-Identifier: MIT
"""What every concealment plugin promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import after_losses, conceal, play

from rtcore import Chain, ParameterError
from rtcore.dsp import longest_fade_frames
from rtcore.host import find
from rtcore.synth import speech_like
from rtcore.testing.case import first_difference

IDS = ["plc-zero", "plc-repeat", "plc-pitch"]
RATES = [8000.0, 16000.0, 44100.0, 48000.0]


def fade_frames(name, rate):
    """Give what a plugin may change behind a loss, as its docstring says."""
    return {"plc-zero": 0, "plc-repeat": round(0.0025 * rate)}.get(name, longest_fade_frames(rate))


@pytest.mark.parametrize("name", IDS)
@settings(max_examples=25)
@given(
    lost=st.lists(st.booleans(), min_size=1, max_size=30),
    rate=st.sampled_from(RATES),
    packet_ms=st.sampled_from([5.0, 10.0, 20.0, 37.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_received_samples_pass_bit_for_bit(name, lost, rate, packet_ms, dtype, seed):
    """Outside of losses and the declared cross-fade behind them nothing is changed."""
    packet = round(rate * packet_ms / 1000.0)
    x = 0.2 * np.random.default_rng(seed).standard_normal((1, packet * len(lost)))
    x = x.astype(dtype)
    y = conceal(find(name)(packet_ms=packet_ms), x, lost, packet, rate=rate)
    kept = after_losses(lost, packet, fade_frames(name, rate))[: x.shape[1]]
    assert x[:, kept].tobytes() == y[:, kept].tobytes()
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", IDS)
@settings(max_examples=15)
@given(
    lost=st.lists(st.booleans(), min_size=4, max_size=16),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8),
    rate=st.sampled_from([16000.0, 48000.0]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_cutting_inside_packets_gives_the_same_bits(name, lost, sizes, rate, dtype):
    """Packets that are fed in pieces give what they give whole."""
    packet = round(rate / 50.0)
    x = speech_like(packet * len(lost) / rate + 0.1, rate)[np.newaxis, : packet * len(lost)]
    x = x.astype(dtype)
    whole = conceal(find(name)(), x, lost, packet, rate=rate)
    cut = conceal(find(name)(), x, lost, packet, rate=rate, sizes=sizes)
    assert first_difference(whole, cut) is None


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("packet_ms", [10.0, 20.0])
def test_zeros_are_taken_for_losses_where_asked(name, packet_ms):
    """The detector finds in a zeroed stream what the flags say."""
    rng = np.random.default_rng(4)
    packet, lost = round(16.0 * packet_ms), rng.random(60) < 0.3
    x = (0.1 * rng.standard_normal((2, packet * 60))).astype(np.float32)
    flagged = conceal(find(name)(packet_ms=packet_ms), x, lost, packet)
    chain = Chain(
        [find(name)(detector="zeros", packet_ms=packet_ms)],
        sample_rate=16000.0,
        block_frames=packet,
    )
    zeroed = x * ~np.repeat(lost, packet)
    assert 0 == chain.latency_frames
    assert flagged.tobytes() == chain.process(zeroed).tobytes()


@pytest.mark.parametrize("name", IDS)
def test_the_detector_declares_a_delay_where_blocks_are_no_packets(name):
    """Blocks of any size cost the gathering of a packet, and the sound is late by just that."""
    x = (0.1 * np.random.default_rng(5).standard_normal((1, 2000))).astype(np.float32)
    chain = Chain([find(name)(detector="zeros")], sample_rate=16000.0, channels=1)
    assert 319 == chain.latency_frames
    assert x[:, :-319].tobytes() == chain.process(x)[:, 319:].tobytes()


@pytest.mark.parametrize("name", IDS)
def test_no_latency(name):
    """Declared are 0 frames, and the very frame that comes goes out."""
    chain = Chain([find(name)()], sample_rate=16000.0, channels=1)
    x = np.zeros((1, 100), np.float32)
    x[0, 37] = 1.0
    assert (0, 0, 0) == (chain.latency_frames, chain.lookahead_frames, chain.tail_frames)
    assert x.tobytes() == chain.process(x).tobytes()


@pytest.mark.parametrize("name", IDS)
def test_a_loss_at_the_start_is_silence(name):
    """Where nothing came before there is nothing to go on with."""
    y = conceal(find(name)(), np.ones((2, 3200)), [True] * 10, 320)
    assert not y.any()


@pytest.mark.parametrize("name", IDS)
def test_silence_goes_on_as_silence(name):
    """A loss in digital silence makes no sound."""
    y = conceal(find(name)(), np.zeros((1, 6400)), [False, True] * 10, 320)
    assert not y.any()


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda r, n: np.sign(r.standard_normal(n)), id="full-scale noise"),
        pytest.param(lambda _, n: np.ones(n), id="DC"),
        pytest.param(lambda _, n: np.where(np.arange(n) % 2, 1.0, -1.0), id="Nyquist"),
        pytest.param(lambda r, n: 1e-37 * r.standard_normal(n), id="next to nothing"),
        pytest.param(lambda r, n: 1e-6 * r.standard_normal(n), id="very soft"),
        pytest.param(lambda _, n: (np.arange(n) % 100 == 0) * 1.0, id="clicks"),
        pytest.param(lambda _, n: np.sin(np.arange(n) * 0.01), id="hum"),
    ],
)
def test_any_sound_gives_finite_and_bounded_samples(name, dtype, sound):
    """Extreme sounds neither blow up nor leave subnormals behind."""
    x = sound(np.random.default_rng(1), 320 * 60)[np.newaxis].astype(dtype)
    lost = [k % 6 > 2 for k in range(60)]
    chain = Chain([find(name)()], sample_rate=16000.0, channels=1, dtype=dtype)
    y = play(chain, x, lost, 320)
    assert np.isfinite(y).all()
    assert 2.5 * np.abs(x).max() >= np.abs(y).max()
    assert 0 == chain.nodes[0].node.subnormals


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_long_bursts_end_in_silence_and_in_the_real_sound(name, seconds):
    """After bursts of seconds the substitute is long silent, and the sound comes back whole."""
    x = speech_like(seconds + 1.0, 16000.0)[np.newaxis]
    burst = round(seconds * 50)
    lost = [*[False] * 20, *[True] * burst, *[False] * 20]
    y = conceal(find(name)(), x[:, : 320 * len(lost)], lost, 320)
    end = 320 * (20 + burst)
    assert not y[:, end - 320 * 10 : end].any()
    assert np.array_equal(x[:, end + 200 : 320 * len(lost)], y[:, end + 200 :])


@pytest.mark.parametrize("name", IDS)
def test_channels_know_nothing_of_one_another(name):
    """Each channel of a stereo stream is what it is alone."""
    rng = np.random.default_rng(8)
    x, lost = 0.1 * rng.standard_normal((2, 320 * 40)), rng.random(40) < 0.3
    both = conceal(find(name)(), x, lost, 320)
    alone = [conceal(find(name)(), x[c : c + 1], lost, 320)[0] for c in range(2)]
    assert np.array_equal(np.stack(alone), both)


@pytest.mark.parametrize("name", IDS)
def test_reset_forgets(name):
    """After a reset a stream gives the same samples again."""
    rng = np.random.default_rng(9)
    x, lost = 0.1 * rng.standard_normal((1, 320 * 20)), rng.random(20) < 0.4
    chain = Chain([find(name)()], sample_rate=16000.0, channels=1, dtype="float64")
    first = play(chain, x, lost, 320)
    chain.reset()
    assert first.tobytes() == play(chain, x, lost, 320).tobytes()


@pytest.mark.parametrize("name", IDS)
def test_chain_file(name):
    """A chain file names the plugin by its id, with hyphens."""
    config = {"plugin": [{"id": name, "detector": "zeros", "packet_ms": 10.0}]}
    chain = Chain.from_config(config, sample_rate=16000, channels=1, block_frames=160)
    assert 160 == chain.nodes[0].node.hop_frames


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("wrong", [{"detector": "ears"}, {"packet_ms": 0.0}])
def test_wrong_settings_are_refused(name, wrong):
    """An unknown detector and a packet of no length are refused by name."""
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        find(name)(**wrong)
