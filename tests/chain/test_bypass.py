# SPDX-License-Identifier: MIT
"""Bypass of one plugin while it plays: no click, no other latency, no forgotten value."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain, ConfigError, Parallel
from rtcore.engine.log import SessionLog
from rtcore.host import find
from rtcore.replay import Replay, read_session

RATE, BLOCK = 16000, 160
FADE = 800  # 50 ms


def tone(frames):
    """Give a tone whose steps from sample to sample are small."""
    return (0.5 * np.sin(2 * np.pi * 100.0 / RATE * np.arange(frames))).astype(np.float32)


def played(chain, x, acts):
    """Play a tone in blocks; do something before some of them."""
    heard = []
    for number, begin in enumerate(range(0, x.size, BLOCK)):
        if number in acts:
            acts[number](chain)
        heard.append(chain.process(x[begin : begin + BLOCK]))
    return np.concatenate(heard)


def built(*elements, channels=1):
    """Build a chain."""
    return Chain(elements, sample_rate=RATE, channels=channels)


def test_sound_passes_at_the_same_latency_and_comes_back():
    """Behind the cross-fades what is heard is the delayed input, then the plugin's, bit for bit."""
    x, limiter = tone(16000), find("limiter")
    chain = built(limiter(ceiling_db=-20.0), find("gain")(gain_db=-6.0))
    latency = chain.latency_frames
    assert latency > 0
    y = played(
        chain, x, {30: lambda c: c.bypass("limiter"), 60: lambda c: c.bypass("limiter", on=False)}
    )
    assert latency == chain.latency_frames
    gain_only = built(find("gain")(gain_db=-6.0)).process(x)
    off, on = 30 * BLOCK + FADE + latency, 60 * BLOCK
    assert np.array_equal(gain_only[off - latency : on - latency], y[off:on])
    without = built(limiter(ceiling_db=-20.0), find("gain")(gain_db=-6.0)).process(x)
    assert np.array_equal(without[: 30 * BLOCK], y[: 30 * BLOCK])
    assert np.abs(without[on + 4000 :] - y[on + 4000 :]).max() < 1e-3  # its gain has settled


@pytest.mark.parametrize("delay_ms", [0.0, 5.0, 80.0])
def test_no_click_and_no_hole(delay_ms):
    """What passes is what came before, so nothing at all is heard of the bypass of a delay."""
    x = tone(16000)
    chain = built(find("delay")(delay_ms=delay_ms))
    y = played(chain, x, {40: lambda c: c.bypass(0), 60: lambda c: c.bypass(0, on=False)})
    late = round(delay_ms * RATE / 1000)
    assert np.abs(x[: x.size - late] - y[late:]).max() < 1e-6


def test_it_fades():
    """From a gain of -120 dB the sound rises without a step."""
    chain = built(find("gain")(gain_db=-120.0))
    x = tone(8000)
    y = played(chain, x, {20: lambda c: c.bypass("gain")})
    assert np.abs(np.diff(y)).max() < 1.1 * np.abs(np.diff(x)).max()
    assert np.array_equal(x[20 * BLOCK + FADE :], y[20 * BLOCK + FADE :])


def test_values_given_meanwhile_are_heard_afterwards():
    """A live parameter and a setting that were turned while the plugin was bypassed."""

    def turn(chain):
        chain.update("gain", gain_db=-20.0)
        chain.update("delay", delay_frames=0, delay_ms=0.0)

    chain = built(find("gain")(), find("delay")())
    acts = {
        5: lambda c: [c.bypass("gain"), c.bypass("delay")],
        15: turn,
        20: lambda c: [c.bypass("gain", on=False), c.bypass("delay", on=False)],
    }
    x = tone(8000)
    y = played(chain, x, acts)
    assert np.array_equal(x[10 * BLOCK : 20 * BLOCK], y[10 * BLOCK : 20 * BLOCK])
    assert np.allclose(0.1 * x[-1600:], y[-1600:], atol=1e-6)
    assert [False, False] == [told["bypass"] for told in chain.stats()]


def test_a_setting_that_changes_the_latency_is_refused_while_bypassed():
    """As while it plays; the plugin comes back with what it had."""
    chain = built(find("delay")(delay_frames=8))
    chain.process(tone(160))
    chain.bypass("delay")
    with pytest.raises(ConfigError, match="would change the latency from 8 to 9"):
        chain.update("delay", delay_frames=9)
    assert 8 == chain.nodes[0].node.plugin.delay_frames
    assert 0 == chain.nodes[0].node.subnormals


def test_joints_are_refused():
    """What joins branches cannot be stood in for."""
    chain = built(Parallel([find("gain")()], []))
    with pytest.raises(ConfigError, match="cannot be bypassed alone"):
        chain.bypass("sum")


def test_a_session_with_bypasses_is_played_again(tmp_path):
    """The log says when each plugin was bypassed, and with what values it came back."""
    x = tone(16000)
    chain = built(find("gain")(gain_db=-3.0))
    log = SessionLog(tmp_path / "log.jsonl", chain)
    log.open()
    chain.stream.on_event = log.write
    acts = {
        10: lambda c: c.bypass("gain"),
        20: lambda c: c.update("gain", gain_db=-9.0),
        50: lambda c: c.bypass("gain", on=False),
    }
    expected = played(chain, x, acts)
    chain.stream.poll()
    log.close()
    session = read_session(tmp_path / "log.jsonl")
    again = session.config.build()
    replay = Replay(session, again)
    heard = []
    for begin in range(0, x.size, BLOCK):
        replay.prepare(begin + BLOCK)
        heard.append(again.process(x[begin : begin + BLOCK]))
    assert np.array_equal(expected, np.concatenate(heard))
