# SPDX-License-Identifier: MIT
"""One chain, one input: every backend gives the same samples, and those are the offline ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sounds import Late, Mono, Noise, Scale, Smear, Step, Wide, hop_class, noise
from waiting import reaches
from workers import Planted, worker_of

from rtcore import Chain, DeviceError, StreamError
from rtcore.engine import (
    Engine,
    FileBackend,
    JackBackend,
    Memory,
    Safety,
    TimerBackend,
)
from rtcore.engine.backends.jackclient import JackClient

RATE = 48000
OFF = Safety(enabled=False)


def build(channels=2, **options):
    """A chain with memory, latency, a tail and hops."""
    return Chain(
        [Scale(factor=0.7), Smear(pole=0.6), hop_class(48)(), Late(frames=100)],
        channels=channels,
        **options,
    )


def played(chain, backend, **options):
    """Play to the end; give output, input and statistics."""
    output, heard = Memory(), Memory()
    with Engine(chain, backend, output=output, recorded_input=heard, **options) as engine:
        assert engine.wait(60)
    assert "stopped" == engine.state
    return output.samples, heard.samples, engine.stats()


class TestEquality:
    @pytest.mark.parametrize("kind", [FileBackend, TimerBackend])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_without_a_device(self, kind, dtype):
        """File and timer give what one call of render gives, tail included."""
        x = noise(2, 24010, dtype=dtype)
        y, heard, stats = played(build(dtype=dtype), kind(x, block_frames=64))
        assert np.array_equal(build(dtype=dtype).render(x), y)
        assert np.array_equal(x, heard[:, :24010])
        assert (0, 0) == (stats["input_dry_frames"], stats["recorder_lost_frames"])

    @pytest.mark.parametrize("block", [1, 7, 480, 5000])
    def test_any_block(self, block):
        """The size of the blocks changes no sample."""
        x = noise(2, 9001)
        y = played(build(), FileBackend(x, block_frames=block))[0]
        assert np.array_equal(build().render(x), y)

    def test_promised_blocks(self):
        """With promised blocks the last one is filled up with silence."""
        x = noise(2, 1000)
        chain = Chain([hop_class(48)()], channels=2, block_frames=48)
        assert 0 == chain.latency_frames
        y, _, stats = played(chain, FileBackend(x, block_frames=96))
        assert 1008 == y.shape[1]
        assert 0 == stats["plugins"][0]["faults"]

    def test_a_used_chain_starts_anew(self):
        """What a chain played before is not heard, and its positions begin at 0 again."""
        x = noise(2, 3000)
        chain = build()
        chain.process(noise(2, 777, seed=3), lost=True)
        assert np.array_equal(build().render(x), played(chain, FileBackend(x))[0])
        assert np.array_equal(build().render(x), played(chain, FileBackend(x))[0])

    def test_no_tail(self):
        """Without its tail the output is as long as the input."""
        x = noise(2, 3000)
        y = played(build(), FileBackend(x, tail=False))[0]
        assert np.array_equal(build().render(x, tail=False), y)

    def test_long_input(self):
        """A source longer than the rings goes through without loss, as fast as it can."""
        x = noise(1, 2_000_000)
        y, heard, stats = played(Chain([Step(factor=2.0)], channels=1), FileBackend(x))
        assert np.array_equal(2 * x, y)
        assert np.array_equal(x, heard)
        assert 0 == stats["recorder_lost_frames"]

    def test_sources(self):
        """A mono source feeds every channel; a generator may give blocks of any size."""
        x = noise(1, 1000)
        assert np.array_equal(np.tile(x, (2, 1)), played(Chain([]), FileBackend(x))[0])
        pieces = (x[:, k : k + 333] for k in range(0, 1000, 333))
        assert np.array_equal(x, played(Chain([], channels=1), FileBackend(pieces))[0])

    def test_a_source_that_breaks_off(self):
        """An error of the source ends the engine with that reason."""

        def broken():
            yield np.zeros((1, 100_000))
            raise OSError("the disk is gone")

        engine = Engine(Chain([], channels=1), TimerBackend(broken()))
        with pytest.raises(DeviceError, match="the disk is gone"), engine:
            engine.wait(20)
        assert "failed" == engine.state


@pytest.fixture
def player(jack_server):
    """An engine that plays noise, the same at the same frame, through JACK."""
    backend = JackBackend(inputs=0, connect=False, client_name="player")
    with Engine(Chain([Noise()]), backend, safety=OFF) as engine:
        yield engine


def freewheel_until(engine, frames):
    """Let JACK run free until an engine has played so much."""
    start = engine.stats()["frames"]
    assert reaches(lambda: engine.stats()["frames"] - start > frames)


def join(source, target):
    """Connect the ports of two engines, in order."""
    for out, into in zip(source.backend.outputs, target.backend.inputs, strict=False):
        target.backend.client.connect(out.name, into.name)


def sounding(x):
    """Give the stretch in which no channel is silent: from the last connection on."""
    at = [np.flatnonzero(channel) for channel in x]
    return x[:, max(k[0] for k in at) : min(k[-1] for k in at) + 1]


def noise_from(piece, channels=2):
    """Give the player's noise where a piece of it begins, however long it has played."""
    player, frames = Chain([Noise()], channels=channels), piece.shape[1]
    whole = np.zeros((channels, 0), np.float32)
    for _ in range(100):
        whole = np.hstack([whole[:, -frames:], player.process(np.zeros((channels, 4_000_000)))])
        for k in np.flatnonzero(whole[0, :-frames] == piece[0, 0]):
            if np.array_equal(whole[:, k : k + 50], piece[:, :50]):
                return whole[:, k : k + frames]
    pytest.fail("the recorded sound is not what was played")


@pytest.mark.live
class TestJack:
    def test_freewheel_equals_offline(self, player):
        """Known noise through two clients' ports: what came in and went out is exact."""
        output, heard = Memory(), Memory()
        backend = JackBackend(connect=False, client_name="tested")
        engine = Engine(build(), backend, safety=OFF, output=output, recorded_input=heard)
        with engine:
            backend.freewheel(on=True)
            player.backend._engine.record["paced"] = 0
            join(player, engine)
            freewheel_until(engine, 2 * RATE)
            stats = engine.stats()
            backend.freewheel(on=False)
        assert 0 == stats["recorder_lost_frames"]
        piece = sounding(heard.samples)[:, :RATE]
        assert np.array_equal(noise_from(piece), piece)
        reference = build().render(heard.samples, tail=False)
        assert np.array_equal(reference, output.samples)
        assert np.array_equal(
            reference[:, :RATE],
            played(build(), FileBackend(heard.samples[:, :RATE], tail=False))[0],
        )
        live = played(build(), TimerBackend(heard.samples[:, :RATE], tail=False))[0]
        assert np.array_equal(reference[:, :RATE], live)

    def test_freewheel_waits_for_workers(self, player):
        """Where JACK runs free a worker that is too slow for real time is never late."""
        chain = Chain([Planted(sleep_s=0.002)])
        backend = JackBackend(connect=False, client_name="tested")
        with Engine(chain, backend, safety=OFF) as engine:
            backend.freewheel(on=True)
            player.backend._engine.record["paced"] = 0
            assert reaches(lambda: engine._native.record["paced"][0] == 0)
            freewheel_until(engine, 4800)
            before = worker_of(chain).stats()
            freewheel_until(engine, 9600)
            after = worker_of(chain).stats()
            backend.freewheel(on=False)
        assert after["hops"] - before["hops"] > 150
        assert before["late"] == after["late"]

    def test_a_live_run_reproduces(self, player):
        """In real time as well, what went out is what the recorded input gives offline."""
        output, heard = Memory(), Memory()
        backend = JackBackend(connect=False, client_name="tested")
        engine = Engine(build(), backend, safety=OFF, output=output, recorded_input=heard)
        with engine:
            join(player, engine)
            assert reaches(lambda: engine.stats()["frames"] > RATE)
        assert np.array_equal(build().render(heard.samples, tail=False), output.samples)
        assert heard.samples.any()

    @pytest.mark.parametrize(("chain", "inputs", "outputs"), [(0, 1, 2), (1, 2, 1)])
    def test_channel_counts(self, player, chain, inputs, outputs):
        """One microphone feeds both ears; one chain channel goes to both loudspeakers."""
        made = [Chain([Wide(), Step()], channels=1), Chain([Mono(), Step()])][chain]
        backend = JackBackend(
            inputs=1 if chain == 0 else 2, outputs=2, connect=False, client_name="tested"
        )
        with Engine(made, backend, safety=OFF) as engine:
            listener = Memory()
            ears = JackBackend(connect=False, client_name="ears")
            with Engine(Chain([]), ears, safety=OFF, output=listener) as other:
                join(player, engine)
                join(engine, other)
                assert reaches(lambda: other.stats()["frames"] > RATE // 2)
        left, right = sounding(listener.samples)[:, 6400:-6400]
        sign = -1 if chain == 0 else 1
        assert np.array_equal(left, sign * right)

    def test_one_microphone_for_two_ears(self, player):
        """A stereo chain with one input port hears it in both channels."""
        output = Memory()
        backend = JackBackend(inputs=1, connect=False, client_name="tested")
        with Engine(Chain([]), backend, safety=OFF, output=output) as engine:
            join(player, engine)
            assert reaches(lambda: engine.stats()["frames"] > RATE // 4)
        assert output.samples.any()
        assert np.array_equal(output.samples[0], output.samples[1])

    def test_wrong_rate(self, jack_server):
        """A chain for another rate is refused with both rates and the remedy."""
        engine = Engine(Chain([], sample_rate=44100), JackBackend())
        with pytest.raises(
            DeviceError, match="server runs at 48000 Hz, the chain at 44100 Hz; use"
        ):
            engine.start()
        assert "failed" == engine.state
        assert engine.chain._owner is None

    def test_promised_blocks(self, jack_server):
        """A promise that the server's blocks do not keep is refused."""
        engine = Engine(Chain([], block_frames=48), JackBackend())
        with pytest.raises(DeviceError, match="multiple of 48 frames, but a block has 64 frames"):
            engine.start()

    def test_no_server(self, jack_name):
        """Without a server the engine fails with a sentence and leaves nothing behind."""
        import gc

        engine = Engine(Chain([]), JackBackend())
        with pytest.raises(DeviceError, match="is not running; start it"):
            engine.start()
        assert ("failed", True) == (engine.state, gc.isenabled())
        assert engine.stop_reason.startswith("backend jack: ")


@pytest.mark.live
class TestPortAudio:
    """In processes of their own: PortAudio holds on to the server that it met first."""

    def run(self, python, call):
        process = python(f"import pa_runs; pa_runs.{call}")
        out, err = process.communicate(timeout=120)
        assert (0, "") == (process.returncode, err)
        return json.loads(out)

    def test_blocks_are_delivered_whole(self, jack_server, python):
        """A frame counter through PortAudio and JACK: blocks come whole, in order, and most do."""
        report = self.run(python, "count()")
        assert [] == report["torn"]
        assert report["increasing"]
        assert report["alike"]
        assert report["whole"] > 300

    @pytest.mark.parametrize("kind", ["duplex", "input", "output"])
    def test_directions(self, jack_server, python, kind):
        """Duplex, input only and output only: a live run reproduces bit for bit offline."""
        report = self.run(python, f"reproduce({kind!r})")
        assert {"equal": True, "state": "stopped", "reason": "stopped by the user"} == report

    @pytest.mark.parametrize(("ins", "outs"), [(1, 2), (2, 1), (1, 1)])
    def test_channel_counts(self, jack_server, python, ins, outs):
        """Devices may have other channel counts than the chain."""
        assert [ins, outs] == self.run(python, f"channels({ins}, {outs})")

    def test_refusals(self, jack_server, python):
        """A device that does not exist and a promise that cannot be kept fail with a sentence."""
        unknown, promised = self.run(python, "refusals()")
        assert "'nonesuch': no output device" in unknown
        assert "multiple of 48 frames, but a block has 64 frames" in promised


class TestLife:
    def test_states(self):
        """An engine is idle, then running, then stopped, and says why."""
        engine = Engine(Chain([]), TimerBackend())
        seen = [engine.state]
        with engine:
            seen.append(engine.state)
            assert not engine.wait(0.05)
        assert ["idle", "running", "stopped"] == [*seen, engine.state]
        assert "stopped by the user" == engine.stop_reason
        engine.stop()

    def test_the_end_of_the_input(self):
        """An engine whose source ends stops by itself and says so."""
        engine = Engine(Chain([]), FileBackend(np.zeros((2, 100))))
        with engine:
            assert engine.wait(20)
            assert "stopped" == engine.state
        assert "the input has ended" == engine.stop_reason

    def test_only_once(self):
        """An engine that was started cannot be started again."""
        engine = Engine(Chain([]), FileBackend(np.zeros((2, 100))))
        with (
            engine,
            pytest.raises(StreamError, match=r"the engine is (running|stopped); make a new"),
        ):
            engine.start()
        with pytest.raises(StreamError, match="the engine is stopped; make a new one"):
            engine.start()

    def test_one_engine_a_chain(self):
        """A chain that an engine plays can neither be played nor processed elsewhere."""
        chain = Chain([])
        with Engine(chain, TimerBackend()):
            with pytest.raises(StreamError, match="another engine plays this chain"):
                Engine(chain, TimerBackend()).start()
            with pytest.raises(StreamError, match="an engine plays this chain"):
                chain.process(np.zeros((2, 10)))
            with pytest.raises(StreamError, match="but an engine plays it"):
                Chain([]).swap(chain)
        assert (2, 10) == chain.process(np.zeros((2, 10))).shape

    def test_devices_play_float32(self):
        """A float64 chain is refused by live backends before anything is opened."""
        with pytest.raises(DeviceError, match="devices play float32, the chain is float64; set"):
            Engine(Chain([], dtype="float64"), JackBackend())

    def test_a_failed_start_leaves_no_trace(self, tmp_path):
        """Where a start fails the chain is free and the interpreter as before."""
        import gc
        import sys

        interval = sys.getswitchinterval()

        class Fails(TimerBackend):
            def start(self):
                raise DeviceError("no start today")

        chain = Chain([])
        engine = Engine(chain, Fails(), output=tmp_path / "out.wav")
        with pytest.raises(DeviceError, match="no start today"):
            engine.start()
        assert ("failed", True, interval) == (engine.state, gc.isenabled(), sys.getswitchinterval())
        assert [] == list(tmp_path.iterdir())
        assert chain._owner is None

    def test_a_recording_that_fails(self):
        """A recorder that cannot write ends the engine with the reason."""

        class Full:
            def write(self, samples):
                raise OSError(28, "No space left on device")

        engine = Engine(Chain([]), TimerBackend(), output=Full())
        with pytest.raises(DeviceError, match="No space left on device"), engine:
            engine.wait(20)
        assert "failed" == engine.state

    def test_an_unforeseen_error(self):
        """Whatever goes wrong in the control thread is heard of."""

        class Odd(TimerBackend):
            def lost(self):
                raise ZeroDivisionError("oops")

        engine = Engine(Chain([]), Odd())
        with pytest.raises(DeviceError, match="ZeroDivisionError: oops"), engine:
            engine.wait(20)
        assert "failed" == engine.state


def test_ports_are_named(jack_server):
    """The engine's ports carry its client's name."""
    with (
        Engine(Chain([]), JackBackend(client_name="mine", connect=False)),
        JackClient("look") as look,
    ):
        names = look.ports()
    assert {"mine:in_1", "mine:in_2", "mine:out_1", "mine:out_2"} <= set(names)


def test_real_time_priority_is_asked_for():
    """The timer's thread gets real-time priority, or the engine notes that it does not."""
    import os

    with Engine(Chain([]), TimerBackend()) as engine:
        granted = os.sched_getscheduler(engine.backend.audio_thread()) & 7 == os.SCHED_FIFO
        refused = any("real-time priority" in note for note in engine.notes)
    assert granted != refused
    with Engine(Chain([]), FileBackend(np.zeros((2, 10)))) as engine:
        assert engine.backend.audio_thread() is None
