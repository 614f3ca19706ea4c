# SPDX-License-Identifier: MIT
"""Side inputs while an engine plays: logged, played again bit for bit, never torn."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from sounds import noise
from steered import WIDE, Hopped, Shown, Steered
from waiting import PATIENCE_S

from rtcore import Chain, ConfigError
from rtcore.chain import config
from rtcore.engine import Engine, FileBackend, Memory, TimerBackend
from rtcore.replay import Replay, read_session

RATE = 48000


def replayed(path, x, sizes):
    """Play a recorded input through the chain and the changes of a log."""
    log = read_session(path)
    chain = log.config.build()
    replay = Replay(log, chain)
    pieces, at = [], 0
    while at < x.shape[1]:
        piece = x[:, at : at + sizes[len(pieces) % len(sizes)]]
        replay.prepare(at + piece.shape[1])
        pieces.append(chain.process(piece))
        at += piece.shape[1]
    return np.concatenate(pieces, axis=1)


@pytest.fixture
def known_plugins(monkeypatch):
    """Let session logs name the plugins of these tests."""
    kinds = {kind.id: kind for kind in (Steered, Hopped)}
    monkeypatch.setattr(config, "find", kinds.__getitem__)


@pytest.mark.usefixtures("known_plugins")
def test_replay_is_exact(tmp_path):
    """Vectors fed live, on time and late, before and behind a swap, are heard again exactly."""
    path, rng = tmp_path / "session.jsonl", np.random.default_rng(5)
    output, heard = Memory(), Memory()
    chain = Chain([Steered()])
    chain.process(noise(2, 64).astype(np.float32))
    chain.feed("gains", (0.75, -0.5))
    chain.process(noise(2, 64).astype(np.float32))
    live = Engine(
        chain, TimerBackend(noise(2, RATE)), output=output, recorded_input=heard, log=path
    )
    with live:
        frame = 0
        for turn in range(12):
            late = rng.integers(-300, 900)
            # In order, also where a busy machine let the stream stand still meanwhile.
            frame = max(int(chain.stream.position + late), frame)
            live.feed("gains", rng.normal(size=2), at_frame=frame if turn % 3 else None)
            time.sleep(0.03)
            if turn == 5:
                fresh = Chain([Hopped()])
                fresh.feed("gains", (0.1, 0.2))
                live.swap(fresh)
        assert live.wait(PATIENCE_S)
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events.count("feed") >= 11
    assert np.array_equal(output.samples, replayed(path, heard.samples, (512,)))
    assert np.array_equal(output.samples, replayed(path, heard.samples, (4999, 1, 64)))


@pytest.mark.usefixtures("known_plugins")
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"input": "gain", "values": [1.0, 2.0]}, r"line 2.*'gain' is no side input"),
        ({"input": "gains", "values": [1.0]}, r"line 2.*takes vectors of 2 numbers"),
        ({"input": "gains"}, r"line 2: values"),
    ],
)
def test_bad_logs(tmp_path, line, sentence):
    """A log whose vectors do not fit is refused, naming the line."""
    path = tmp_path / "log.jsonl"
    chain = {"sample_rate": RATE, "channels": 2, "plugin": [{"id": "t_steered"}]}
    lines = [{"event": "session", "chain": chain}, {"event": "feed", "frame": 0, **line}]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ConfigError, match=sentence):
        replayed(path, noise(2, 100), (50,))


def test_never_torn():
    """Fed from a thread as fast as it goes, a vector is whole, and none overtakes another."""
    output, done = Memory(), threading.Event()
    chain = Chain([Shown()])
    engine = Engine(chain, FileBackend(noise(2, 20 * RATE)), output=output)
    fed = []

    def feed():
        while not done.is_set():
            level = float(len(fed) + 1)
            if engine.feed("level", np.full(WIDE, level)):
                fed.append(level)

    thread = threading.Thread(target=feed)
    with engine:
        thread.start()
        assert engine.wait(PATIENCE_S)
        done.set()
        thread.join()
    low, high = output.samples
    assert np.array_equal(low, high)
    assert (np.diff(low) >= 0).all()
    found = engine.stats()["plugins"][0]["sides"]["level"]
    assert found["applied"] > 0
    assert found["fed"] == found["applied"] + found["waiting"] == len(fed)
    assert low[-1] == found["applied"]
