# SPDX-License-Identifier: MIT
"""Branches and ears: aligned in time, added with their gains, whatever stands in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import Facts, Late, Mono, Scale, Smear, Step, Wide, hop_class, in_pieces, noise

from rtcore import Chain, ConfigError, Parallel, ParameterError, PerEar, Plugin, Prepared, kernel

_HOP = hop_class(32)
SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)


def late(x, frames):
    """Delay a signal, keeping its length."""
    return np.concatenate([np.zeros((x.shape[0], frames), x.dtype), x], axis=1)[:, : x.shape[1]]


class Ahead(Plugin):
    """Claim to look ahead."""

    id = "t_ahead"

    def prepare(self, spec):
        return Prepared(latency_frames=0, lookahead_frames=7, tail_frames=3)

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class TestParallel:
    @given(delays=st.lists(st.integers(0, 90), min_size=1, max_size=4), sizes=SIZES)
    @settings(max_examples=30)
    def test_branches_meet_in_time(self, delays, sizes):
        """Branches of any latency are added as if all had the longest."""
        branches = [[Late(frames=d)] if d else [] for d in delays]
        gains_db = [-6.0 * k for k in range(len(delays))]
        chain = Chain([Parallel(*branches, gains_db=gains_db)], channels=2, dtype="float64")
        x = noise(2, 1000, dtype="float64")
        longest = max(delays)
        assert (longest, longest) == (chain.latency_frames, chain.tail_frames)
        expected = late(x, longest) * sum(10 ** (g / 20) for g in gains_db)
        assert np.allclose(expected, in_pieces(chain, x, sizes), atol=1e-12)

    def test_a_single_dry_branch_is_transparent(self):
        """One branch with nothing in it changes no bit."""
        x = noise(3, 500)
        assert np.array_equal(x, Chain([Parallel([])], channels=3).process(x))

    def test_order_does_not_matter_for_the_input(self):
        """Every branch hears the same input, also where several are dry and something follows."""
        chain = Chain(
            [Step(factor=2.0), Parallel([], [Step(factor=10.0)], [], [Smear(pole=0.0)]), Step()],
            channels=2,
            dtype="float64",
        )
        x = noise(2, 300, dtype="float64")
        assert np.allclose(2 * x * 13, chain.process(x), atol=1e-12)

    def test_nested(self):
        """Branches may branch again."""
        inner = Parallel([Late(frames=5)], [Step(factor=3.0)])
        chain = Chain([Parallel([inner, Step(factor=2.0)], [], [Late(frames=20)])], channels=1)
        x = noise(1, 200)
        assert 20 == chain.latency_frames
        assert np.allclose(late(x, 20) * (2 * 4 + 1 + 1), chain.process(x), atol=1e-5)
        assert "plugin[0].parallel.branch[0].plugin[0].parallel.branch[1].plugin[0].t_step" in [
            placed.path for placed in chain.nodes
        ]

    def test_re_blocked_branches(self):
        """A branch with hops is met by the dry sound at its latency."""
        chain = Chain([Parallel([_HOP(), _HOP()], [])], channels=1)
        x = noise(1, 640)
        y = chain.process(x)
        assert 62 == chain.latency_frames
        wet = Chain([_HOP(), _HOP()], channels=1).process(x)
        assert np.allclose(wet + late(x, 62), y, atol=1e-6)

    def test_updates_reach_a_branch(self):
        """A plugin in a branch is found by its id or by its place."""
        chain = Chain([Parallel([Step(factor=0.0)], [Scale(factor=0.0)])], channels=1)
        chain.update("t_step", factor=5.0)
        chain.update("plugin[0].parallel.branch[1].plugin[0].t_scale", factor=1.0)
        y = chain.process(np.ones((1, 1000)))[0]
        assert 6.0 == y[-1]

    def test_facts_add_up(self):
        """Latency is the longest, look-ahead the furthest, and a branch that waits rings longer."""
        chain = Chain([Late(frames=4), Parallel([Late(frames=10)], [Ahead()]), Ahead()])
        assert (14, 14, 4 + (3 + 10) + 3) == (
            chain.latency_frames,
            chain.lookahead_frames,
            chain.tail_frames,
        )

    @pytest.mark.parametrize("widths", [([Mono()], []), ([], [Mono()])])
    def test_widths_must_agree(self, widths):
        """Branches of different widths cannot be added; the place and the widths are named."""
        with pytest.raises(ConfigError, match=r"plugin\[0\].parallel: .*equal channel counts.*got"):
            Chain([Parallel(*widths)], channels=2)

    def test_widths_may_change_together(self):
        """Branches that all give another width are good."""
        chain = Chain([Parallel([Wide()], [Wide()])], channels=1)
        assert np.array_equal([[2.0], [-2.0]], chain.process(np.ones((1, 1))))

    def test_refusals(self):
        """No branch at all, or gains of another number, are refused."""
        with pytest.raises(ParameterError, match="needs at least one branch"):
            Parallel()
        with pytest.raises(ParameterError, match="one gain for each of the 2 branches, got 1"):
            Parallel([], [], gains_db=[0.0])


class TestPerEar:
    @given(left=st.integers(0, 60), right=st.integers(0, 60), sizes=SIZES)
    @settings(max_examples=20)
    def test_ears_meet_in_time(self, left, right, sizes):
        """Each ear has its own plugins, and no ear is later than the other."""
        ears = [
            [Late(frames=d), Step(factor=f)] if d else [Step(factor=f)]
            for d, f in ((left, 2.0), (right, 3.0))
        ]
        chain = Chain([PerEar(left=ears[0], right=ears[1])], channels=2)
        x = noise(2, 700)
        expected = late(x, max(left, right)) * np.float32([[2], [3]])
        assert np.array_equal(expected, in_pieces(chain, x, sizes))

    def test_an_empty_ear_is_dry(self):
        """An ear without plugins hears the input."""
        x = noise(2, 100)
        y = Chain([PerEar(left=[Step(factor=0.0)])]).process(x)
        assert np.array_equal(x * np.float32([[0], [1]]), y)
        assert np.array_equal(x, Chain([PerEar()]).process(x))

    def test_ears_that_widen(self):
        """An ear may give more channels than one."""
        x = noise(2, 50)
        y = Chain([PerEar(left=[Wide()])]).process(x)
        assert np.array_equal([x[0], -x[0], x[1]], y)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_needs_two_channels(self, channels):
        """Ears need a stereo stream."""
        with pytest.raises(
            ConfigError, match=f"needs 2 channels, got {channels}; set channels = 2"
        ):
            Chain([PerEar()], channels=channels)

    def test_inside_branches(self):
        """Ears in branches and branches in ears."""
        chain = Chain([Parallel([PerEar(left=[Parallel([], [Step(factor=4.0)])])], [])])
        x = noise(2, 64)
        assert np.allclose(x * np.float32([[6], [2]]), chain.process(x), atol=1e-6)


class TestFaultsInBranches:
    def test_a_failing_plugin_is_named_by_its_place(self):
        """What goes wrong while a chain is built names the place in it."""

        class Bad(Step):
            """Refuse to be prepared."""

            id = "t_bad"

            def prepare(self, spec):
                raise ParameterError("factor", "is bad today, wait")

        place = r"plugin\[1\].parallel.branch\[1\].plugin\[0\].t_bad.factor: is bad today"
        with pytest.raises(ConfigError, match=place):
            Chain([Step(), Parallel([], [Bad()])])

    def test_the_context_is_the_same_in_all_branches(self):
        """Every branch is told the same position and flags."""
        chain = Chain([Parallel([Facts()], [Facts()], gains_db=[0.0, 0.0])], channels=3)
        y = chain.process(np.zeros((3, 100)), lost=True)
        assert np.array_equal(2 * np.arange(100), y[0])
        assert {2.0} == set(y[1])
