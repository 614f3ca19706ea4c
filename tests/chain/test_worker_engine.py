# SPDX-License-Identifier: MIT
"""Workers under an engine: live with slow ones, waited for on files, abandoned where they hang."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from sounds import noise
from waiting import reaches
from workers import HOP, OPEN, Inline, Planted, gate_of, steepest, worker_of

from rtcore import Chain, StreamError
from rtcore.engine import Engine, FileBackend, Memory, TimerBackend

RATE = 48000


def tone(seconds):
    """A tone for two ears."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.array([0.5 * np.sin(2 * np.pi * f * t) for f in (440.0, 350.0)], np.float32)


def played(chain, backend, **options):
    """Play to the end; give output and statistics."""
    output = Memory()
    with Engine(chain, backend, output=output, **options) as engine:
        assert engine.wait(120)
    return output.samples, engine.stats()


class TestFiles:
    def test_equals_offline(self):
        """The file backend waits for the worker: its samples are those of one call of render."""
        x = noise(2, 24010)
        expected = Chain([Planted()]).render(x)
        y, stats = played(Chain([Planted()]), FileBackend(x, block_frames=64))
        assert np.array_equal(expected, y[:, : expected.shape[1]])
        assert 0 == stats["plugins"][0]["worker"]["late"]["total"]

    def test_slow(self):
        """That holds for a worker that is slower than the sound."""
        x = noise(2, HOP * 20)
        expected = Chain([Inline()]).render(x)
        y, stats = played(Chain([Planted(sleep_s=0.003)]), FileBackend(x, block_frames=64))
        assert np.array_equal(expected, y[:, HOP : HOP + expected.shape[1]])
        assert 0 == stats["plugins"][0]["worker"]["late"]["total"]

    def test_after_a_session(self):
        """What an engine played live can go on offline, where the worker is waited for."""
        chain = Chain([Planted()])
        played(chain, TimerBackend(tone(0.2), block_frames=64))
        chain.reset()
        before = worker_of(chain).stats()["late"]["total"]
        x = noise(2, 5000)
        assert np.array_equal(Chain([Planted()]).process(x), chain.process(x))
        assert before == worker_of(chain).stats()["late"]["total"]


class TestLive:
    @pytest.mark.parametrize("way", ["conceal", "dry", "silence"])
    @pytest.mark.parametrize("slower", [2, 10])
    def test_slow(self, way, slower):
        """With a worker that is too slow the sound goes on, as late as it was declared."""
        x = tone(1.0)
        chain = Chain([Planted(sleep_s=slower * HOP / RATE, worker_late=way)], block_frames=HOP)
        y, stats = played(chain, TimerBackend(x, block_frames=HOP))
        assert steepest(y) < 2 * steepest(x)
        worker = stats["plugins"][0]["worker"]
        # Nothing but the first hop of all, or after a reset, can be on time.
        assert worker["late"]["total"] > 0.9 * worker["hops"] > 800
        assert worker["late"]["total"] * HOP == worker["concealed_frames"]
        assert HOP == chain.latency_frames == stats["latency"]["chain_frames"]

    def test_changes_under_load(self):
        """Updates, redesigns and swaps reach a worker that is behind, without a click."""
        x = tone(2.0)
        chain = Chain([Planted(sleep_s=0.004)], block_frames=HOP)
        output = Memory()
        with Engine(chain, TimerBackend(x, block_frames=HOP), output=output) as engine:
            for turn in range(8):
                time.sleep(0.1)
                engine.update("t_worker", gain=0.9 + 0.1 * (turn % 2))
                if turn % 2:
                    engine.update("t_worker", plan=(0,) * (turn + 1))
                if turn % 3 == 1:
                    fresh = Chain([Planted(sleep_s=0.001 * (turn % 4))], block_frames=HOP)
                    engine.swap(fresh)
            assert engine.wait(60)
        assert [] == engine._hung
        assert not engine.stats()["plugins"][0]["worker"]["abandoned"]
        steps = np.abs(np.diff(output.samples, axis=1)).max(axis=0)
        assert [] == np.flatnonzero(steps > 2 * steepest(x)).tolist(), steps.max()

    def test_resets_under_load(self):
        """Each reset lets a worker that is behind begin with what is played now."""
        chain = Chain([Planted(sleep_s=0.002)], block_frames=HOP)
        with Engine(chain, TimerBackend(tone(1.0), block_frames=HOP)) as engine:
            for turn in range(5):
                frame = chain.stream.position + 2400
                chain.reset()
                assert reaches(lambda frame=frame: chain.stream.position > frame), turn
            assert engine.wait(60)
        stats = engine.stats()["plugins"][0]
        assert (0, False) == (stats["worker"]["resets"], stats["muted"])
        # After each the first hop of all was on time or the only one that could be.
        assert stats["worker"]["late"]["total"] < stats["worker"]["hops"] + 1

    def test_blocks_longer_than_the_allowance(self):
        """Where no worker could be in time, a sentence says so once."""
        told = []
        chain = Chain([Planted()])
        played(chain, TimerBackend(tone(0.5), block_frames=256), on_message=told.append)
        told = [line for line in told if "its worker is allowed" in line]
        assert 1 == len(told)
        assert "blocks of 256 frames are longer than the 48" in told[0]

    def test_statistics(self):
        """The counts stand beside the plugin's times, and what is counted since the start too."""
        chain = Chain([Planted(sleep_s=0.01)], block_frames=HOP)
        played(chain, TimerBackend(tone(0.3), block_frames=HOP))
        gate_of(chain)[0] = OPEN
        _, stats = played(chain, TimerBackend(tone(0.1), block_frames=HOP))
        worker = json.loads(json.dumps(stats))["plugins"][0]["worker"]
        assert 0 < worker["late"]["since_start"] < worker["late"]["total"]
        assert worker["hop_ms"]["p50"] >= 9.0


class TestHanging:
    @pytest.mark.parametrize("kind", [TimerBackend, FileBackend])
    def test_abandoned_at_stop(self, kind):
        """A worker that hangs holds up neither the sound nor the stop, and that is reported."""
        chain = Chain([Planted()], block_frames=HOP)
        gate_of(chain)[0] = 20
        told = []
        engine = Engine(chain, kind(block_frames=HOP), on_message=told.append).start()
        assert reaches(lambda: worker_of(chain).settled_hops == 20)
        worker_of(chain).hurry()
        assert reaches(lambda: worker_of(chain).stats()["late"]["total"] > 10)
        engine.stop()
        assert "stopped" == engine.state
        sentence = "plugin[0].t_worker: its worker hung and was abandoned"
        assert engine.stop_reason.startswith("stopped by the user; ")
        assert sentence in engine.stop_reason
        assert sentence in told[-1]
        assert engine.stats()["plugins"][0]["worker"]["abandoned"]
        with pytest.raises(StreamError, match="hung and was abandoned; build the chain anew"):
            chain.process(noise(2, HOP))
        thread = worker_of(chain)._thread
        gate_of(chain)[0] = OPEN
        thread.join(30)
        assert not thread.is_alive()

    def test_logged(self, tmp_path):
        """The session log has a line about it, and can still be replayed."""
        chain = Chain([Planted()], block_frames=HOP)
        gate_of(chain)[0] = 5
        log = tmp_path / "session.jsonl"
        engine = Engine(chain, TimerBackend(block_frames=HOP), log=log).start()
        assert reaches(lambda: worker_of(chain).settled_hops == 5)
        assert reaches(lambda: not worker_of(chain).idle)
        engine.stop()
        gate_of(chain)[0] = OPEN
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        events = [(line["event"], line.get("plugin")) for line in lines]
        assert ("abandoned", "plugin[0].t_worker") in events

    def test_a_stall_of_seconds(self):
        """A worker that hangs for a while comes back, after a reset and without a click."""
        x = tone(4.0)
        chain = Chain([Planted()], block_frames=HOP)
        output = Memory()
        with Engine(chain, TimerBackend(x, block_frames=HOP), output=output) as engine:
            assert reaches(lambda: worker_of(chain).settled_hops > 100)
            gate_of(chain)[0] = 0
            assert reaches(lambda: worker_of(chain).stats()["resets"] >= 1)
            gate_of(chain)[0] = OPEN
            assert engine.wait(60)
        stats = engine.stats()["plugins"][0]["worker"]
        assert stats["late"]["longest_run"] >= worker_of(chain).most_waiting
        assert stats["hops"] > stats["late"]["total"]
        assert not stats["abandoned"]
        assert steepest(output.samples) < 2 * steepest(x)

    @pytest.mark.parametrize("how", ["engine", "chain"])
    def test_the_process_can_end(self, how):
        """A program whose worker hangs ends with its own exit status."""
        script = """
            import sys
            sys.path.insert(0, sys.argv[1])
            import numpy as np
            from rtcore import Chain
            from rtcore.engine import Engine, TimerBackend
            from waiting import reaches
            from workers import HOP, Planted, gate_of, worker_of

            chain = Chain([Planted()], block_frames=HOP)
            gate_of(chain)[0] = 3
            worker = worker_of(chain)
            if sys.argv[2] == "engine":
                engine = Engine(chain, TimerBackend(block_frames=HOP)).start()
                assert reaches(lambda: worker.settled_hops == 3)
                assert reaches(lambda: not worker.idle)
            else:
                worker.give_up_s = 0.1
                chain.process(np.zeros((2, 1000 * HOP), np.float32))
            print("the end", flush=True)
            sys.exit(5)
        """
        helpers = str(Path(sys.modules["workers"].__file__).parent)
        command = [sys.executable, "-c", textwrap.dedent(script), helpers, how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ("the end\n", "", 5) == (done.stdout, done.stderr, done.returncode)
