# SPDX-License-Identifier: MIT
"""On a worker a plugin gives what it gives inline, later by a latency that is declared."""

from __future__ import annotations

import gc
import json
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import hop_class, noise, reverse
from waiting import reaches
from workers import HOP, Device, Inline, Planted, worker_of

from rtcore import Chain, Parallel, Plugin, PluginError, Setting
from rtcore.chain import node as node_module
from rtcore.chain.node import Node
from rtcore.chain.reblock import minimum_delay_frames
from rtcore.plugin import Spec

RATE = 48000.0
_HOPS = (1, 7, 32, 48)


def worker_class(hop):
    """Make a plugin on a worker that reverses hops of a number of frames."""
    kind = {"id": f"t_away{hop}", "hop_frames": hop, "process": reverse, "placement": "worker"}
    return type("Away", (Plugin,), kind)


_INLINE = {hop: hop_class(hop) for hop in _HOPS}
_AWAY = {hop: worker_class(hop) for hop in _HOPS}


def in_pieces(chain, x, sizes):
    """Play a sound in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < x.shape[1]:
        size = sizes[turn % len(sizes)]
        pieces.append(chain.process(x[:, at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(pieces, axis=1)


def later(y, frames):
    """Delay a sound, and keep its length."""
    return np.concatenate([np.zeros_like(y[:, :frames]), y[:, : y.shape[1] - frames]], axis=1)


class TestOffline:
    @settings(deadline=None, max_examples=40)
    @given(
        hop=st.sampled_from(_HOPS),
        sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6),
        channels=st.integers(1, 3),
        dtype=st.sampled_from(["float32", "float64"]),
    )
    def test_any_chunking(self, hop, sizes, channels, dtype):
        """Whatever the chunks, the samples are those of the inline plugin, one hop later."""
        x = noise(channels, 1500, seed=hop, dtype=dtype)
        inline = Chain([_INLINE[hop]()], channels=channels, dtype=dtype)
        away = Chain([_AWAY[hop]()], channels=channels, dtype=dtype)
        assert hop == away.latency_frames - inline.latency_frames
        expected = later(in_pieces(inline, x, sizes), hop)
        assert np.array_equal(expected, in_pieces(away, x, sizes))
        assert 0 == worker_of(away).stats()["late"]["total"]

    @settings(deadline=None, max_examples=40)
    @given(
        sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5),
        aims=st.lists(st.tuples(st.integers(0, 1900), st.floats(-2, 2)), max_size=5),
        seed=st.integers(0, 99),
    )
    def test_changes_under_way(self, sizes, aims, seed):
        """Changed parameters reach the same hops, and move along the same ramps."""
        x = noise(2, 2000, seed=seed)
        chains = [Chain([kind()]) for kind in (Inline, Planted)]
        for chain in chains:
            for frame, gain in sorted(aims):
                chain.update(0, gain=gain, at_frame=frame)
        inline, away = (in_pieces(chain, x, sizes) for chain in chains)
        assert np.array_equal(later(inline, HOP), away)

    @pytest.mark.parametrize("stops", [(500,), (1, 49, 700), (HOP, 2 * HOP)])
    def test_resets(self, stops):
        """After a reset the sound is a new one, wherever the old one was."""
        x = noise(2, 1500)
        chains = [Chain([kind(gain=0.5)]) for kind in (Inline, Planted)]
        for begin, end in zip((0, *stops), (*stops, 1500), strict=True):
            inline, away = (chain.process(x[:, begin:end]) for chain in chains)
            assert np.array_equal(later(inline, HOP), away)
            for chain in chains:
                chain.reset()

    def test_reset_on_the_way_to_a_gain(self):
        """A reset in the middle of a ramp ends it, and the next one begins from its target."""
        x = noise(1, 600)
        chains = [Chain([kind()], channels=1) for kind in (Inline, Planted)]
        for chain in chains:
            chain.process(x)
            chain.update(0, gain=3.0)
            chain.process(x[:, :50])
            chain.reset()
            chain.update(0, gain=-1.0)
        inline, away = (chain.process(x) for chain in chains)
        assert np.array_equal(later(inline, HOP), away)

    def test_many_resets(self):
        """Resets that come before any sound does leave nothing behind."""
        x = noise(1, 600)
        chain = Chain([Planted()], channels=1)
        for _ in range(3000):
            chain.process(x[:, :60])
            chain.reset()
        expected = Chain([Planted()], channels=1).process(x)
        assert np.array_equal(expected, chain.process(x))
        assert 0 == worker_of(chain).stats()["late"]["total"]

    def test_lost_hops(self):
        """The processor hears which hops were lost, as it does inline."""
        x = noise(1, 64)
        outputs = []
        for kind in (Inline, Planted):
            chain = Chain([kind()], channels=1)
            pieces = [chain.process(x, lost=k in (2, 3, 9)) for k in range(20)]
            outputs.append(np.concatenate(pieces, axis=1))
        assert np.array_equal(later(outputs[0], HOP), outputs[1])
        assert np.count_nonzero(outputs[1] == 0.125) > 2

    def test_tail(self):
        """The end of the sound comes out with the tail."""
        x = noise(2, 1000)
        inline, away = (Chain([kind()]).render(x) for kind in (Inline, Planted))
        assert away.shape[1] == inline.shape[1] + HOP
        assert np.array_equal(inline, away[:, HOP:])

    def test_redesign(self):
        """A setting changes under a cross-fade, which begins once the new processor has sound."""
        chain = Chain([Planted()], channels=1)
        ones = np.ones((1, 4800), np.float32)
        chain.process(ones)
        chain.update(0, plan=(0, 0))
        assert np.abs(chain.process(ones) - 1.0).max() < 0.005  # the filter's own onset

    def test_swap(self):
        """A chain takes over once its workers have sound: a steady sound stays steady."""
        chain = Chain([Planted()], channels=1)
        ones = np.ones((1, 9600), np.float32)
        chain.process(ones)
        chain.swap(Chain([Planted(worker_allowance_s=0.08)], channels=1))
        assert np.abs(chain.process(ones) - 1.0).max() < 0.005  # the filter's own onset
        assert 3840 + HOP - 1 == chain.latency_frames


class TestLatency:
    @pytest.mark.parametrize(
        ("hop", "block"), [(48, 64), (64, 48), (7, 32), (32, 7), (48, 48), (1, 64), (480, 64)]
    )
    def test_least_allowance(self, hop, block, monkeypatch):
        """With one block's allowance an instant worker is never late, with one frame less it is."""
        for allowance in (block, block - 1):
            monkeypatch.setattr(node_module, "allowance_frames", lambda *_, a=allowance: a or 0)
            chain = Chain([worker_class(hop)()], channels=1, block_frames=block)
            device = Device(chain)
            assert minimum_delay_frames(hop, block) + allowance == chain.latency_frames
            for _ in range(3 * hop + 3):
                device.block(np.ones((1, block), np.float32))
                assert reaches(lambda d=device: d.worker.idle)
            late = device.worker.stats()["late"]["total"]
            assert (late == 0) == (allowance == block)

    @pytest.mark.parametrize(
        ("allowance_s", "block", "expected"),
        [(None, 1, 48), (None, 64, 64), (0.01, 1, 480), (0.002, 64, 96)],
    )
    def test_declared(self, allowance_s, block, expected):
        """The allowance is a hop, or what the plugin says, and stands in every latency."""
        plugin = Planted(worker_allowance_s=allowance_s)
        chain = Chain([plugin], block_frames=block)
        least = minimum_delay_frames(HOP, block)
        assert expected == worker_of(chain).allowance_frames
        assert (least + expected, least + expected) == (chain.latency_frames, chain.tail_frames)

    def test_branches_meet(self):
        """A branch on a worker meets the dry one in time."""
        chain = Chain([Parallel([worker_class(1)()], [])], channels=1)
        x = noise(1, 900)
        assert np.array_equal(later(2 * x, chain.latency_frames), chain.process(x))
        assert 1 == chain.latency_frames

    def test_it_cannot_change_while_it_plays(self):
        """A setting that would change the latency is refused while it plays."""
        chain = Chain([Planted()])
        with pytest.raises(Exception, match="would change the latency from 95 to 527"):
            chain.update(0, worker_allowance_s=0.01)


class Choice(Planted):
    """A plugin whose user chooses where it runs."""

    id = "t_choice"
    placement = Setting("inline", choices=("inline", "worker"))


class TestDeclarations:
    @pytest.mark.parametrize(("where", "latency"), [("inline", 47), ("worker", 95)])
    def test_as_a_setting(self, where, latency):
        """Where a plugin runs may be its user's choice."""
        assert latency == Chain([Choice(placement=where)]).latency_frames

    @pytest.mark.parametrize(
        ("declared", "sentence"),
        [
            ({"placement": "elsewhere"}, "placement must be 'inline' or 'worker', got 'elsewhere'"),
            ({"hop_frames": None}, "a worker takes hops of a fixed size; set hop_frames"),
            ({"worker_allowance_s": 0.0}, "must be a time from 0 to 10 s, or None"),
            ({"worker_allowance_s": "fast"}, "or None for one hop, got 'fast'"),
            ({"worker_allowance_s": 0.001}, r"must be one block at least \(64 frames\), got 48"),
            ({"worker_late": "loud"}, "worker_late must be one of conceal, dry, silence, got"),
        ],
    )
    def test_refused(self, declared, sentence):
        """What cannot be gives a sentence that names the plugin and the attribute."""
        kind = type("Wrong", (worker_class(48),), declared)
        spec = Spec(RATE, 1, 64, np.dtype(np.float32))
        with pytest.raises(PluginError, match=f"plugin 't_away48': .*{sentence}"):
            Node(kind(), spec, 64)

    def test_stats(self):
        """The counts stand in the chain's statistics, and can be written as JSON."""
        chain = Chain([_INLINE[48](), Planted()])
        chain.process(noise(2, 48 * 20))
        inline, away = json.loads(json.dumps(chain.stats()))
        assert inline["worker"] is None
        assert "plugin[1].t_worker" == away["place"]
        counts = away["worker"]
        assert (48, 48, 19) == (counts["hop_frames"], counts["allowance_frames"], counts["hops"])
        assert {"total": 0, "since_start": 0, "longest_run": 0} == counts["late"]


def worker_threads():
    """Count the threads of workers."""
    return sum(t.name.startswith("rtcore-worker-t_single") for t in threading.enumerate())


class Single(Planted):
    """A plugin with threads of its own name."""

    id = "t_single"


class TestThreads:
    def test_none_before_it_plays(self):
        """A thread is started with the first sound, and ends with the chain."""
        chain = Chain([Single(), Single()])
        assert 0 == worker_threads()
        chain.process(noise(2, 100))
        assert 2 == worker_threads()
        del chain
        gc.collect()
        assert reaches(lambda: worker_threads() == 0)

    @pytest.mark.parametrize("swapped", [False, True])
    def test_changed_before_it_plays(self, swapped):
        """What is changed before the first sound leaves no worker without its thread."""
        chain = Chain([Planted(), Planted()])
        workers = [placed.node.worker for placed in chain.nodes]
        if swapped:
            chain.swap(Chain([Planted()]))
        else:
            chain.update(0, plan=(0, 0))
        chain.process(noise(2, 4800))
        for worker in [*workers, *(placed.node.worker for placed in chain.nodes)]:
            counts = worker.stats()
            assert counts["hops"] > 40
            assert 0 == counts["late"]["total"]

    def test_rest_and_go_on(self):
        """A chain whose threads have ended goes on with the next sound, as if nothing had been."""
        x = noise(2, 1000)
        expected = Chain([Single()]).process(x)
        chain = Chain([Single()])
        first = chain.process(x[:, :300])
        assert [] == chain.stream.rest()
        assert reaches(lambda: worker_threads() == 0)
        assert np.array_equal(expected, np.concatenate([first, chain.process(x[:, 300:])], axis=1))

    def test_replaced_nodes_leave(self):
        """What a redesign replaced ends once its cross-fade is over."""
        chain = Chain([Single()])
        chain.process(noise(2, 100))
        for turn in range(5):
            chain.update(0, plan=(0,) * (turn + 2))
            chain.process(noise(2, 9600))
        gc.collect()
        assert reaches(lambda: worker_threads() == 1)
