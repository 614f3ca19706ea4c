# SPDX-License-Identifier: MIT
"""A live session, with all that was turned while it played, is played again bit for bit."""

from __future__ import annotations

import json
import random
import threading
import time

import numpy as np
import pytest
from sounds import noise
from waiting import PATIENCE_S

from rtcore import Chain, Parallel
from rtcore.chain.records import Command
from rtcore.engine import Engine, FileBackend, Memory, TimerBackend
from rtcore.plugins import NALR, Compressor, Delay, Gain, SoftClip
from rtcore.replay import Replay, read_session

RATE = 48000


def first(dtype):
    return Chain([Gain(gain_db=-3.0), NALR(audiogram="N3"), Compressor()], dtype=dtype)


def second(dtype):
    return Chain([Parallel([], [Delay(), Gain()], gains_db=[0, -6]), SoftClip()], dtype=dtype)


def turn_everything(engine, dtype, seed):
    """Change parameters, settings, flags and chains at odd moments."""
    rng = random.Random(seed)
    chain = engine.chain

    def pause():
        time.sleep(rng.uniform(0.005, 0.06))

    for _ in range(4):
        engine.update("gain", gain_db=rng.uniform(-20, 0))
        pause()
        engine.update("compressor", threshold=rng.uniform(0.01, 0.5), attenuation=rng.uniform(0, 1))
        flags = rng.randrange(4)
        chain.stream.send(Command.FLAGS, flags, say={"event": "flags", "flags": flags})
        pause()
    engine.update("nalr", audiogram=rng.choice(["N1", "N2", "S1"]))
    pause()
    chain.reset()
    pause()
    engine.swap(second(dtype))
    engine.update("gain", gain_db=-10.0)
    pause()
    engine.update("softclip", at_frame=chain.stream.position + 3001)
    engine.swap(first(dtype))
    engine.update("gain", gain_db=rng.uniform(-20, 0))


@pytest.mark.parametrize(("dtype", "seed"), [("float32", 1), ("float64", 2)])
def test_replay_is_exact(tmp_path, dtype, seed):
    """Live on the timer, and offline from the log and the recorded input: the same bits."""
    path = tmp_path / "session.jsonl"
    output, heard = Memory(), Memory()
    source = noise(2, int(1.5 * RATE), seed=seed)
    second(dtype)  # so that nothing is compiled while it plays
    live = Engine(first(dtype), TimerBackend(source), output=output, recorded_input=heard, log=path)
    with live:
        turn_everything(live, dtype, seed)
        assert live.wait(PATIENCE_S)
    assert np.array_equal(output.samples, replayed(path, heard.samples, (512,)))
    assert np.array_equal(output.samples, replayed(path, heard.samples, (4999, 1, 64)))


def replayed(path, x, sizes):
    """Play a recorded input through the chain and the changes of a log."""
    log = read_session(path)
    chain = log.config.build()
    replay = Replay(log, chain)
    pieces, at = [], 0
    while at < x.shape[1]:
        size = sizes[len(pieces) % len(sizes)]
        piece = x[:, at : at + size]
        replay.prepare(at + piece.shape[1])
        pieces.append(chain.process(piece))
        at += size
    return np.concatenate(pieces, axis=1)


class TestLog:
    def lines(self, path):
        return [json.loads(line) for line in path.read_text().splitlines()]

    def test_what_it_says(self, tmp_path):
        """The first line describes the chain; each change stands at the frame where it fell."""
        path = tmp_path / "log.jsonl"
        chain = Chain([Gain(gain_db=-6.0)])
        chain.process(noise(2, 100))  # frames are counted from the session's start
        sent = threading.Event()

        def source():
            yield noise(2, 10_000)
            sent.wait(PATIENCE_S)
            yield noise(2, 10_000)

        engine = Engine(chain, FileBackend(source()), log=path)
        with engine:
            other = Chain([Gain(gain_db=-1.0), SoftClip()])
            engine.update("gain", at_frame=15000, gain_db=-12.0)
            engine.swap(other, at_frame=17000)
            sent.set()
            assert engine.wait(PATIENCE_S)
        session, update, swap = self.lines(path)
        assert ("session", -6.0) == (session["event"], session["chain"]["plugin"][0]["gain_db"])
        expected = {"frame": 15000, "event": "update", "plugin": "plugin[0].gain"}
        assert {**expected, "values": {"gain_db": -12.0}} == update
        assert (17000, "swap") == (swap["frame"], swap["event"])
        assert ["gain", "softclip"] == [table["id"] for table in swap["chain"]["plugin"]]

    def test_only_a_whole_log_has_its_name(self, tmp_path):
        """While a session goes on its log has another name; a failed start leaves none."""
        path = tmp_path / "log.jsonl"
        with Engine(Chain([Gain()]), TimerBackend(), log=path):
            assert not path.exists()
        assert [path] == list(tmp_path.iterdir())
