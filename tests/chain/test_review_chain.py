# SPDX-License-Identifier: MIT
"""Changes from several sides at once: each of these crashed, clicked or lied before."""

import gc
import threading

import numpy as np
import pytest

from rtcore import Chain, Plugin, StreamError, kernel
from rtcore.plugins import NALR, Gain

RATE = 48000


def make(*plugins, channels=1):
    """Build a chain for 48 kHz."""
    return Chain(list(plugins), sample_rate=RATE, channels=channels)


def sine(frames, amplitude=0.1):
    """Make a 200 Hz sine."""
    return (amplitude * np.sin(2 * np.pi * 200 * np.arange(frames) / RATE)).astype(np.float32)


class Where(Plugin):
    """Say where in the stream each hop begins."""

    id = "where"
    hop_frames = 32

    @kernel
    def process(x, y, ctx):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = ctx.position


def test_a_chain_with_queued_changes_can_take_over():
    """What was queued there takes effect, and its memory outlives it."""
    main, other = make(NALR(), Gain()), make(NALR(), Gain())
    main.process(sine(1000))
    other.update("nalr", audiogram="N5")
    other.update("gain", gain_db=-40.0)
    main.swap(other)
    del other
    gc.collect()
    heard = main.process(sine(RATE))
    wanted = make(NALR(audiogram="N5"), Gain(gain_db=-40.0)).process(sine(RATE))
    level = np.abs(wanted[-RATE // 2 :]).max()
    assert abs(np.abs(heard[-RATE // 2 :]).max() - level) < 0.02 * level


def test_changes_for_later_frames_cannot_go_over():
    """They would be lost, so the swap is refused."""
    main, other = make(Gain()), make(Gain())
    other.update("gain", gain_db=-6.0, at_frame=1000)
    with pytest.raises(StreamError, match="later frames"):
        main.swap(other)


def test_settings_from_two_threads():
    """Two threads may redesign one plugin while a third feeds the chain."""
    chain = make(NALR())
    stop = threading.Event()

    def turn(names):
        for k in range(12):
            chain.update("nalr", audiogram=names[k % 2])
        stop.set()

    threads = [threading.Thread(target=turn, args=(n,)) for n in (("N1", "N6"), ("N3", "S2"))]
    for thread in threads:
        thread.start()
    while not stop.is_set() or any(thread.is_alive() for thread in threads):
        assert np.isfinite(chain.process(sine(480))).all()
    for thread in threads:
        thread.join()


def test_a_change_within_a_fade_waits_for_its_end():
    """Dragging a slider gives one fade after another, never a step."""
    chain = make(NALR(audiogram="N1"))
    x = sine(RATE)
    pieces = [chain.process(x[:4800])]
    chain.update("nalr", audiogram="N6")
    pieces.append(chain.process(x[4800:5200]))
    chain.update("nalr", audiogram="N1")
    pieces.append(chain.process(x[5200:]))
    heard = np.concatenate(pieces)
    fresh = make(NALR(audiogram="N6")).process(x)
    assert np.abs(np.diff(heard)).max() < 1.1 * np.abs(np.diff(fresh[2400:])).max()
    assert np.allclose(heard[-4800:], make(NALR(audiogram="N1")).process(x)[-4800:], atol=1e-6)


def test_a_swap_within_a_swap_waits_for_its_end():
    """The same for whole chains."""
    chain = make(Gain(gain_db=0.0))
    ones = np.full(RATE, 0.5, np.float32)
    pieces = [chain.process(ones[:4800])]
    chain.swap(make(Gain(gain_db=-60.0)))
    pieces.append(chain.process(ones[:240]))
    chain.swap(make(Gain(gain_db=0.0)))
    pieces.append(chain.process(ones[:20000]))
    # the first fade is hastened to 5 ms, 240 frames; cut off it would make a step of 0.45
    assert np.abs(np.diff(np.concatenate(pieces))).max() < 1.25 * 0.5 / 240


def test_two_threads_cannot_feed_one_chain():
    """The second one is refused, or comes when the first is done; frames are never lost."""
    chain = make(NALR())
    x = sine(RATE)
    refused = []

    def feed():
        for _ in range(20):
            try:
                chain.process(x)
            except StreamError:
                refused.append(1)

    threads = [threading.Thread(target=feed) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chain.stream.position == (60 - len(refused)) * RATE


def test_a_cross_fade_of_huge_samples_stays_finite():
    """The difference of two finite numbers may not be one."""
    chain = make(Gain(gain_db=0.0))
    x = np.full(9600, 3e38, np.float32)
    chain.process(x[:10])
    chain.swap(make(Invert()))
    assert np.isfinite(chain.process(x)).all()


class Invert(Plugin):
    """Turn the wave upside down."""

    id = "invert"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = -x[c, i]


def test_a_hop_knows_its_own_position():
    """The position is that of the hop, however the stream is cut."""
    x = np.zeros(1024, np.float32)
    whole = make(Where()).process(x)
    chain = make(Where())
    pieces = np.concatenate([chain.process(x[k : k + 7]) for k in range(0, 1024, 7)])
    assert np.array_equal(whole, pieces)
    assert 64.0 == whole[31 + 64]
