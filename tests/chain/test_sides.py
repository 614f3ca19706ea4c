# SPDX-License-Identifier: MIT
"""Side inputs: vectors hold from their frame on, however the stream is cut and wherever they go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import noise
from steered import Hopped, Steered, scaled

from rtcore import (
    Chain,
    ConfigError,
    Parallel,
    ParameterError,
    Plugin,
    PluginError,
    SideInput,
    StreamError,
)
from rtcore.chain.node import Node
from rtcore.chain.sides import Slot
from rtcore.plugin import Spec

RATE = 8000.0
FRAMES = 2000
X = noise(2, FRAMES, seed=1).astype(np.float32)
RNG = np.random.default_rng(2)
VECTORS = RNG.normal(size=(20, 2))
ODD = np.sort(RNG.integers(0, FRAMES, 20))


def chain_of(plugin, **options):
    return Chain([plugin], sample_rate=RATE, channels=2, **options)


def in_pieces(chain, x, sizes=(FRAMES,)):
    """Play a sound in pieces of these sizes, over and over."""
    pieces, at = [], 0
    while at < x.shape[1]:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(chain.process(x[:, at : at + size]))
        at += size
    return np.concatenate(pieces, axis=1)


def counts(chain, name="gains"):
    return chain.stats()[0]["sides"][name]


class TestWhatHolds:
    def test_initial(self):
        """Until something is fed the initial vector holds."""
        assert np.array_equal(chain_of(Steered()).process(X), scaled(X, [], []))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_from_its_frame(self, dtype):
        """Each vector holds from exactly its frame until the next one does."""
        chain = chain_of(Steered(), dtype=dtype)
        assert chain.feed("gains", VECTORS, at_frame=ODD) == 20
        assert np.array_equal(chain.process(X), scaled(X.astype(dtype), VECTORS, ODD))
        assert counts(chain)["applied"] == 20
        assert counts(chain)["late"] == 0

    def test_at_the_declared_rate(self):
        """Vectors fed together follow one another at the declared rate, or at another."""
        for rate, step in ((None, 80), (200.0, 40)):
            chain = chain_of(Steered())
            chain.feed("gains", VECTORS, at_frame=7, rate_hz=rate)
            expected = scaled(X, VECTORS, 7 + step * np.arange(20))
            assert np.array_equal(chain.process(X), expected)

    def test_rates_that_do_not_divide(self):
        """Frames are rounded one by one, so that an odd rate does not drift."""
        chain = Chain([Steered()], sample_rate=44100, channels=2)
        slot = chain.nodes[0].node.slots["gains"]
        frames = slot.frames(10001, 0, 30000 / 1001)
        assert frames[-1] == round(10000 * 44100 * 1001 / 30000)

    def test_newest_at_the_last_frame_of_a_hop(self):
        """A plugin with a hop gets the vector that holds at its hop's last frame."""
        chain = chain_of(Hopped())
        chain.feed("gains", VECTORS[:3], at_frame=[47, 96, 144])
        y = np.concatenate([chain.process(X), chain.flush()], axis=1)[:, 47:]
        # The hops begin at 0, 48, 96, 144: the second is done before frame 96 comes.
        expected = scaled(X, VECTORS[:3], [0, 96, 144])[:, : FRAMES // 48 * 48]
        assert np.array_equal(y[:, : expected.shape[1]], expected)

    def test_next_frame(self):
        """Without a frame a vector holds from the next one on."""
        chain = chain_of(Steered())
        y = [chain.process(X[:, :100])]
        chain.feed("gains", (0.5, 0.25))
        y.append(chain.process(X[:, 100:]))
        assert np.array_equal(np.concatenate(y, axis=1), scaled(X, [(0.5, 0.25)], [100]))

    def test_no_subnormal_numbers(self):
        """A subnormal number counts as zero, as in sound; the caller's array is left alone."""
        chain, fed = chain_of(Steered()), np.array([1e-42, 1.0], np.float32)
        chain.feed("gains", fed)
        fed[1] = 5.0
        assert np.array_equal(chain.process(X), X * np.float32([[0.0], [1.0]]))
        assert fed[0] == np.float32(1e-42)

    def test_whole_blocks(self):
        """Where blocks were promised a vector holds from the next block on."""
        chain = chain_of(Steered(), block_frames=50)
        chain.feed("gains", VECTORS[:1], at_frame=101)
        assert np.array_equal(chain.process(X), scaled(X, VECTORS[:1], [150]))

    def test_two_plugins_one_name(self):
        """All plugins that declare a name get the same vectors."""
        chain = Chain([Parallel([Steered()], [Steered()])], sample_rate=RATE, channels=2)
        chain.feed("gains", VECTORS, at_frame=ODD)
        one = scaled(X, VECTORS, ODD)
        assert np.array_equal(chain.process(X), one + one)


class TestAnyCut:
    @settings(deadline=None, max_examples=40)
    @given(
        sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5),
        frames=st.lists(st.integers(0, FRAMES), min_size=1, max_size=20).map(sorted),
        placement=st.sampled_from([None, "inline", "worker"]),
    )
    def test_same_bits(self, sizes, frames, placement):
        """However the stream is cut, the bits are the same."""

        def play(cut):
            plugin = Steered() if placement is None else Hopped(placement=placement)
            chain = chain_of(plugin)
            chain.feed("gains", VECTORS[: len(frames)], at_frame=frames)
            return in_pieces(chain, X, cut)

        assert np.array_equal(play(sizes), play((FRAMES,)))

    @settings(deadline=None, max_examples=20)
    @given(frames=st.lists(st.integers(0, FRAMES), min_size=1, max_size=20).map(sorted))
    def test_worker_equals_inline(self, frames):
        """Vectors travel with their hops: a worker gives the samples of inline, later."""
        played = []
        for placement in ("inline", "worker"):
            chain = chain_of(Hopped(placement=placement))
            chain.feed("gains", VECTORS[: len(frames)], at_frame=frames)
            y = np.concatenate([chain.process(X), chain.flush()], axis=1)
            played.append(y[:, chain.latency_frames :][:, :FRAMES])
        assert np.array_equal(*played)


class TestLate:
    def test_counted_and_heard_from_the_next_frame(self):
        """A vector whose frame was played holds from the next frame on, and is counted."""
        chain = chain_of(Steered())
        y = [chain.process(X[:, :100])]
        chain.feed("gains", VECTORS[:2], at_frame=[40, 100])
        y.append(chain.process(X[:, 100:]))
        expected = scaled(X, VECTORS[1:2], [100])
        assert np.array_equal(np.concatenate(y, axis=1), expected)
        found = counts(chain)
        assert (found["fed"], found["applied"], found["late"]) == (2, 2, 1)
        assert found["latest_frames"] == 60

    def test_too_late(self):
        """One that is later than was declared is dropped, and counted."""
        chain = chain_of(Steered())  # which allows 10 ms: 80 frames
        chain.process(X[:, :500])
        chain.feed("gains", VECTORS[:2], at_frame=[419, 420])
        assert np.array_equal(chain.process(X[:, 500:]), scaled(X, VECTORS[1:2], [500])[:, 500:])
        assert counts(chain)["dropped"]["too_late"] == 1
        assert counts(chain)["late"] == 1

    def test_full(self):
        """What finds no room is dropped and counted; what found it is not touched."""
        chain = chain_of(Steered())
        slot = chain.nodes[0].node.slots["gains"]
        many = np.repeat(VECTORS[:1], slot.capacity + 5, axis=0)
        many[slot.capacity :] = 9.0
        assert chain.feed("gains", many, at_frame=0, rate_hz=RATE * 1000) == slot.capacity
        assert counts(chain)["dropped"]["full"] == 5
        assert chain.feed("gains", (9.0, 9.0)) == 0
        assert counts(chain)["dropped"]["full"] == 6
        assert np.array_equal(chain.process(X), scaled(X, VECTORS[:1], [0]))
        assert chain.feed("gains", (9.0, 9.0)) == 1

    def test_stats(self):
        """What was fed is what waits, was taken or was dropped."""
        chain = chain_of(Steered())
        chain.feed("gains", VECTORS, at_frame=np.arange(20) * 150)
        chain.process(X)
        found = counts(chain)
        assert (found["applied"], found["waiting"]) == (14, 6)


class TestLife:
    def test_reset_keeps_vectors(self):
        """A reset forgets sound only; what holds goes on, and what waits."""
        chain = chain_of(Steered())
        chain.feed("gains", VECTORS[:2], at_frame=[0, 150])
        chain.process(X[:, :100])
        chain.reset()
        assert np.array_equal(chain.process(X[:, 100:]), scaled(X, VECTORS[:2], [0, 150])[:, 100:])

    def test_restart_forgets_what_waits(self):
        """A new stream has frames of its own; what was fed before the first one is kept."""
        chain = chain_of(Steered())
        chain.feed("gains", VECTORS[:2], at_frame=[10, 5000])
        chain.restart()
        assert np.array_equal(chain.process(X), scaled(X, VECTORS[:1], [10]))
        chain.restart()
        assert counts(chain)["dropped"]["forgotten"] == 1
        chain.feed("gains", VECTORS[2:3], at_frame=0)
        assert np.array_equal(chain.process(X), scaled(X, VECTORS[2:3], [0]))

    @pytest.mark.parametrize("kind", [Steered, Hopped])
    def test_update_goes_on(self, kind):
        """A plugin that is made anew while it plays gets the vector that holds."""
        chain, other = chain_of(kind()), chain_of(kind())
        for one in (chain, other):
            one.feed("gains", VECTORS, at_frame=ODD)
        y = [chain.process(X[:, :480])]
        chain.update(kind.id, twist=1)
        y.append(chain.process(X[:, 480:]))
        if kind is Steered:  # a hop begins anew, so there the fade mixes two delays
            assert np.array_equal(np.concatenate(y, axis=1), other.process(X))
        assert counts(chain)["applied"] == 20

    def test_swap_brings_new_inputs(self):
        """A chain that takes over brings the vectors that were fed to it."""
        chain = Chain([], sample_rate=RATE, channels=2)
        with pytest.raises(ParameterError, match="no plugin in it declares any"):
            chain.feed("gains", VECTORS[0])
        fresh = chain_of(Steered())
        fresh.feed("gains", (0.0, 0.0))
        chain.process(X[:, :100])
        chain.swap(fresh)
        chain.process(X[:, 100:1000])  # longer than the cross-fade
        assert np.array_equal(chain.process(X[:, 1000:]), 0 * X[:, 1000:])
        chain.feed("gains", (1.0, 2.0))
        assert np.array_equal(chain.process(X), X * np.float32([[1.0], [2.0]]))

    def test_swap_goes_on(self):
        """An input that both chains have goes on with what was fed to the first."""
        chain, fresh = chain_of(Steered()), chain_of(Steered())
        chain.feed("gains", VECTORS, at_frame=ODD)
        y = [chain.process(X[:, :300])]
        chain.swap(fresh)
        y.append(chain.process(X[:, 300:]))
        assert np.array_equal(np.concatenate(y, axis=1), scaled(X, VECTORS, ODD))

    def test_swap_refuses_what_waits(self):
        """Vectors for later frames cannot come along: they are for another stream."""
        fresh = chain_of(Steered())
        fresh.feed("gains", VECTORS[0], at_frame=100)
        with pytest.raises(StreamError, match="wait in the chain that takes over"):
            chain_of(Steered()).swap(fresh)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "vectors", "options", "sentence"),
        [
            ("gain", (1, 2), {}, r"'gain' is no side input .*did you mean 'gains'.*it has: gains"),
            ("gains", (1, 2, 3), {}, r"'gains' takes vectors of 2 numbers, got .* shape \(3,\)"),
            ("gains", np.zeros((2, 2, 2)), {}, r"got an array of shape \(2, 2, 2\)"),
            ("gains", ["a", "b"], {}, r"'gains' takes numbers, got <U1"),
            ("gains", (1, np.nan), {}, r"vector 0 holds a number that is not finite"),
            ("gains", [(1, 2), (1e39, 2)], {"at_frame": 0}, r"vector 1 holds .* not finite"),
            ("gains", np.zeros((3, 2)), {}, r"3 vectors need the frame of the first"),
            ("gains", np.zeros((3, 2)), {"at_frame": 0, "rate_hz": 0}, r"need their rate, got 0"),
            ("gains", (1, 2), {"at_frame": -2}, r"at_frame must be a whole number from 0 on"),
            ("gains", (1, 2), {"at_frame": 1.5}, r"at_frame must be a whole number .*got 1\.5"),
            ("gains", np.zeros((2, 2)), {"at_frame": [5, 4]}, r"the frames go back"),
        ],
    )
    def test_sentences(self, name, vectors, options, sentence):
        """What cannot be fed is refused with a sentence, and nothing is fed."""
        chain = chain_of(Steered())
        with pytest.raises((ParameterError, StreamError), match=sentence):
            chain.feed(name, vectors, **options)
        assert counts(chain)["fed"] == 0

    def test_frames_that_go_back(self):
        """A vector for an earlier frame than one that waits is refused."""
        chain = chain_of(Steered())
        chain.feed("gains", VECTORS[0], at_frame=100)
        with pytest.raises(StreamError, match=r"frame 99 comes after frame 100.*in their order"):
            chain.feed("gains", VECTORS[1], at_frame=99)

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ({"width": 0}, r"width must be a whole number from 1 to 65536, got 0"),
            ({"width": True}, r"width must be .*got True"),
            ({"width": 2, "initial": (1.0,) * 3}, r"initial must be one finite number or 2 of"),
            ({"width": 2, "initial": np.inf}, r"initial must be one finite number"),
            ({"width": 2, "initial": "no"}, r"initial must be one finite number"),
            ({"width": 2, "rate_hz": 0.0}, r"rate_hz must be None or a number .*got 0"),
            ({"width": 2, "lateness_s": -1.0}, r"lateness_s must be None or a number"),
        ],
    )
    def test_declarations(self, words, sentence):
        """What cannot be declared is refused when the class is written."""
        with pytest.raises(PluginError, match=sentence):
            SideInput(**words)

    @pytest.mark.parametrize("answer", [{"a": 3}, {"no name": SideInput(1)}, 5, {1: SideInput(1)}])
    def test_answers_of_plugins(self, answer):
        """What a plugin answers is checked before anything is made of it."""
        kind = type("Wrong", (Steered,), {"id": "t_wrong", "sides": lambda _self, _spec: answer})
        with pytest.raises(PluginError, match=r"plugin 't_wrong': sides\(\) must give"):
            chain_of(kind())

    def test_one_name_two_meanings(self):
        """Two plugins that mean different things by one name cannot stand in one chain."""
        other = {"id": "t_other", "side_inputs": {"gains": SideInput(3)}}
        with pytest.raises(ConfigError, match=r"plugin\[1\].*side input 'gains' otherwise than"):
            Chain([Steered(), type("Other", (Steered,), other)()], channels=2)

    def test_too_many(self):
        """A stream has room for so many side inputs; the sentence says what to do."""
        many = {f"s{k}": SideInput(1) for k in range(40)}
        more = {f"t{k}": SideInput(1) for k in range(40)}
        kinds = [
            type(f"Many{k}", (Steered,), {"id": f"t_many{k}", "side_inputs": sides})()
            for k, sides in enumerate((many, more))
        ]
        with pytest.raises(ConfigError, match=r"this stream has had 64 side inputs"):
            Chain(kinds, channels=2)


def test_without_a_chain():
    """A node that no stream feeds reads its initial vectors."""
    node = Node(Steered(), Spec(RATE, 2, 64, np.dtype(np.float32)))
    slot = node.slots["gains"]
    assert isinstance(slot, Slot)
    assert np.array_equal(slot.values, [1.0, -1.0])
    assert node.side_views["values"][0] == slot.values.ctypes.data


def test_plugins_without_side_inputs():
    """A plugin that declares none has none."""
    assert {} == Plugin.sides(Plugin.__new__(Plugin), Spec(RATE, 2, 64, np.dtype(np.float32)))
