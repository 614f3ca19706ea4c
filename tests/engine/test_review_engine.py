# SPDX-License-Identifier: MIT
"""What a review of the engine found, so that it does not come back."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from waiting import PATIENCE_S, reaches

from rtcore import Chain, ConfigError, DeviceError, StreamError
from rtcore.cli.session import _act
from rtcore.engine import (
    Engine,
    FileBackend,
    JackBackend,
    Memory,
    PortAudioBackend,
    Safety,
    TimerBackend,
)
from rtcore.engine.core import protect
from rtcore.engine.engine import _playing
from rtcore.engine.log import SessionLog
from rtcore.plugins import Gain

RATE = 48000


def plain(channels=2):
    return Chain([Gain(gain_db=0.0)], sample_rate=RATE, channels=channels)


def played(source, channels=2, **more):
    """Play a source to its end."""
    memory = Memory()
    with Engine(plain(channels), FileBackend(source), output=memory, **more) as engine:
        assert engine.wait(PATIENCE_S)
    return memory.samples, engine


class TestOwnership:
    def test_stop_of_a_refused_engine(self):
        """It leaves the chain to the engine that plays it."""
        chain = plain()
        with Engine(chain, TimerBackend()) as first:
            second = Engine(chain, TimerBackend())
            with pytest.raises(StreamError, match="another engine plays"):
                second.start()
            second.stop()
            assert second.state == "stopped"
            assert chain._owner is first
            assert chain.stream.on_event is not None
            with pytest.raises(StreamError):
                chain.process(np.zeros((2, 64), np.float32))
        assert chain._owner is None

    def test_stop_before_start(self):
        engine = Engine(plain(), TimerBackend())
        engine.stop()
        assert engine.wait(0)
        assert engine.stop_reason == "stopped by the user"

    def test_an_error_while_closing(self, monkeypatch):
        """Everything else is closed, and the error is heard of."""
        chain = plain()
        engine = Engine(chain, TimerBackend()).start()
        close = engine.backend.close

        def broken():
            close()
            raise OSError(5, "broken")

        monkeypatch.setattr(engine.backend, "close", broken)
        with pytest.raises(OSError, match="broken"):
            engine.stop()
        assert engine.state == "failed"
        assert chain._owner is None
        assert engine not in _playing
        assert len(chain.process(np.zeros((2, 64), np.float32))) == 2


class TestSources:
    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            (np.full((2, 4800), 20000, np.int16), "divide int16 by 32768"),
            (np.zeros((4800, 2), np.float32), "transpose it"),
            (np.zeros((1, 2, 64), np.float32), r"shape \(4, frames\)"),
            (np.zeros((2, 4800), np.float32), "has 2 channels and the chain takes 4"),
        ],
    )
    @pytest.mark.parametrize("wrap", [lambda x: x, lambda x: iter([x])])
    def test_unusable(self, source, sentence, wrap):
        """An array is refused at the start, as are the first blocks of anything else."""
        engine = Engine(plain(4), FileBackend(wrap(source)))
        with pytest.raises(StreamError, match=sentence):
            engine.start()
        assert engine.state == "failed"

    @pytest.mark.parametrize("shape", [(1, 640), (640,), (2, 640), (3, 640)])
    def test_usable(self, shape):
        got, _ = played(np.full(shape, 0.25, np.float32))
        assert got.shape == (2, 640)
        assert np.all(got == 0.25)

    def test_a_bad_block_later(self):
        """It ends the engine with its sentence."""
        blocks = itertools.chain(
            [np.zeros((2, 4096))] * 40, [np.zeros((2, 64), np.int16)], [np.zeros((2, 64))]
        )
        engine = Engine(plain(), FileBackend(blocks)).start()
        with pytest.raises((StreamError, DeviceError), match="divide int16"):
            engine.wait(PATIENCE_S)
        engine.stop()

    @pytest.mark.parametrize("backend", [TimerBackend, FileBackend])
    def test_a_source_that_hangs(self, backend):
        """Neither start nor stop hangs with it: both are over before it goes on."""
        release, over = threading.Event(), []

        def hanging():
            yield np.zeros((2, 4096))
            release.wait(PATIENCE_S)
            over.append(True)

        engine = Engine(plain(), backend(hanging())).start()
        assert reaches(lambda: engine.stats()["blocks"] > 0)
        engine.stop()
        assert [] == over
        release.set()

    def test_a_slow_source_starts_soon(self, monkeypatch):
        """A start waits for a quarter of a second of sound, not for ten."""
        monkeypatch.setattr("rtcore.engine.feed._FIRST_S", PATIENCE_S)  # it has not enough sooner
        release, over = threading.Event(), []

        def slow():
            for _ in range(3):
                yield np.zeros((2, 4800))
            release.wait(PATIENCE_S)
            over.append(True)

        with Engine(plain(), TimerBackend(slow())):
            assert [] == over
            release.set()


class TestVolume:
    def test_keys_turn_the_target(self):
        """Not the ramp, which may just have begun."""
        safety = Safety(start_db=-12.0)
        with Engine(plain(), TimerBackend(), safety=safety) as engine:
            for _ in range(3):
                _act(engine, "+", panic=False)
            assert engine.volume_target_db == pytest.approx(-3.0)
            _act(engine, "-", panic=False)
            assert engine.volume_target_db == pytest.approx(-6.0)

    def test_panic_outlasts_the_volume_keys(self):
        with Engine(plain(), TimerBackend(), safety=Safety()) as engine:
            engine.panic()
            engine.set_volume_db(-6.0)
            assert engine._native.safety["volume_target"][0] == 0.0
            engine.panic(on=False)
            assert engine._native.safety["volume_target"][0] == pytest.approx(10 ** (-6 / 20))

    def test_howling_in_a_fade_in(self, monkeypatch):
        """It is turned down from the target, and never up."""
        engine = Engine(plain(), TimerBackend(), safety=Safety())
        for now_db, then_db in ((0.0, -20.0), (-50.0, -50.0)):
            engine.set_volume_db(0.0)
            engine._native.safety["volume"] = 10 ** (now_db / 20)
            monkeypatch.setattr(engine._howl, "howls", lambda *_: True)
            engine._watch_for_howling()
            assert engine.volume_target_db == pytest.approx(then_db)

    def test_fades_in_after_a_loss(self, monkeypatch):
        """Over a second, though the last ramp was a fast one."""
        backend = TimerBackend()
        with Engine(plain(), backend, safety=Safety()) as engine:
            engine._native.set_volume(1.0, 0.005)
            monkeypatch.setattr(TimerBackend, "live", True)
            engine._reopen("gone")
            assert engine._native.safety["volume_step"][0] == pytest.approx(1 / RATE)
            assert engine._native.safety["volume_target"][0] == 1.0


class TestNotFinite:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_levels_and_recording(self, value):
        x = np.full((2, 4800), 0.5, np.float32)
        x[:, 100] = value
        heard = Memory()
        got, engine = played(x, recorded_input=heard)
        x[:, 100] = 0
        assert np.array_equal(heard.samples, x)
        assert np.array_equal(got, x)
        for level in engine.stats()["input"]:
            assert np.isfinite(level["rms_dbfs"])
            assert level["peak_dbfs"] == pytest.approx(-6.0, abs=0.1)
            assert level["clipped_samples"] == 0

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_last_stage(self, value):
        """It becomes 0, and the frames after it are as they were."""
        record = Safety().record(RATE, np.dtype(np.float32))
        record["volume"] = 1.0
        y = np.full((2, 64), 0.125, np.float32)
        y[1, 7] = value
        protect(np.uint64(record.ctypes.data), y)
        expected = np.full((2, 64), 0.125, np.float32)
        expected[1, 7] = 0
        assert np.array_equal(y, expected)
        assert record["limited_frames"][0] == 1


@pytest.mark.parametrize("backend", [JackBackend, PortAudioBackend, TimerBackend])
def test_too_many_device_channels(backend):
    backend().check_channels(64, 64)
    with pytest.raises(DeviceError, match="at most 64 channels each way, got 2 in and 65 out"):
        backend().check_channels(2, 65)


class TestLog:
    class Full:
        """A file on a full disk."""

        def __init__(self, *, when):
            self._when = when

        def write(self, _text):
            if self._when == "write":
                raise OSError(28, "No space left on device")

        def close(self):
            raise OSError(28, "No space left on device")

    @pytest.mark.parametrize("when", ["write", "close"])
    def test_full_disk(self, tmp_path, when):
        log = SessionLog(tmp_path / "session.jsonl", plain())
        log.open()
        log._file.close()
        log._file = self.Full(when=when)
        with pytest.raises(ConfigError, match=r"session\.jsonl.*No space left"):
            log.write({"event": "x"})
            log.close()
        assert list(tmp_path.iterdir()) == []
        log.close()

    def test_engine_with_a_full_disk(self, tmp_path):
        """The chain is free again, and the error is said."""
        chain = plain()
        engine = Engine(chain, TimerBackend(), log=tmp_path / "session.jsonl").start()
        engine._log._file.close()
        engine._log._file = self.Full(when="close")
        with pytest.raises(ConfigError, match="choose another place"):
            engine.stop()
        assert engine.state == "failed"
        assert chain._owner is None
        assert list(tmp_path.iterdir()) == []
