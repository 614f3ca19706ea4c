# SPDX-License-Identifier: MIT
"""Streaming: any cut gives the same bits, changes fall on their frame, faults are contained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import Bomb, Facts, Late, Mono, Scale, Smear, Step, Wide, in_pieces, noise, sine

from rtcore import Chain, ParameterError, StreamError
from rtcore.chain.records import Command

FRAMES = 1500
DTYPES = st.sampled_from(["float32", "float64"])
SIZES = st.lists(st.integers(1, 1500), min_size=1, max_size=8)
FEW = settings(max_examples=30)
CHANGES = st.lists(
    st.tuples(st.integers(0, FRAMES - 1), st.floats(-2, 2), st.sampled_from([0, 1, 2])), max_size=6
).map(lambda changes: sorted(changes, key=lambda change: change[0]))


def build(dtype, **options):
    return Chain([Scale(), Smear(), Step()], channels=2, dtype=dtype, **options)


def change(chain, frame, value, which):
    if which == 0:
        chain.update("t_scale", at_frame=frame, factor=value)
    elif which == 1:
        chain.update("t_smear", at_frame=frame, pole=abs(value) / 4)
    else:
        chain.update("t_step", at_frame=frame, factor=value, offset=-value)


class TestCuts:
    @FEW
    @given(
        dtype=DTYPES, sizes=SIZES, changes=CHANGES, longest=st.sampled_from([1, 7, 64, 512, 5000])
    )
    def test_no_cut_changes_a_bit(self, dtype, sizes, changes, longest):
        """Ramps, redesigns and jumps at any frames give the same bits however the stream is cut."""
        x = noise(2, FRAMES, dtype=dtype)
        whole, cut = build(dtype, max_frames=FRAMES), build(dtype, max_frames=longest)
        for chain in (whole, cut):
            for at in changes:
                change(chain, *at)
        assert np.array_equal(whole.process(x), in_pieces(cut, x, sizes))

    @FEW
    @given(dtype=DTYPES, sizes=SIZES, frame=st.integers(0, FRAMES), pole=st.floats(0, 0.99))
    def test_no_cut_changes_a_swap(self, dtype, sizes, frame, pole):
        """The cross-fade to another chain gives the same bits however the stream is cut."""
        x = noise(2, FRAMES, dtype=dtype)
        chains = [build(dtype, max_frames=longest) for longest in (FRAMES, 100)]
        for chain, longest in zip(chains, (300, 17), strict=True):
            other = Chain(
                [Smear(pole=pole), Late(frames=33)], channels=2, dtype=dtype, max_frames=longest
            )
            chain.swap(other, at_frame=frame)
        assert np.array_equal(chains[0].process(x), in_pieces(chains[1], x, sizes))

    def test_position_goes_on(self):
        """The context tells the position of each block's first frame."""
        chain = Chain([Facts()], channels=3)
        y = in_pieces(chain, noise(3, 2000), [1, 700, 13])
        assert np.array_equal(np.arange(2000), y[0])
        assert 2000 == chain.stream.position


class TestCommands:
    def test_a_jump_falls_on_its_frame(self):
        """An unsmoothed parameter changes at exactly the frame that was named."""
        chain = Chain([Step()], channels=1)
        chain.update(0, at_frame=777, factor=3.0)
        assert np.array_equal(
            np.where(np.arange(1000) < 777, 1, 3), chain.process(np.ones((1, 1000)))[0]
        )

    def test_a_ramp_is_linear_and_ends_on_its_target(self):
        """A smoothed parameter moves in equal steps for its smoothing time and then holds."""
        chain = Chain([Scale()], channels=1, dtype="float64")
        chain.update("t_scale", at_frame=100, factor=2.0)
        y = chain.process(np.ones((1, 1000)))[0]
        length = chain.spec.frames(0.004)
        assert np.array_equal(np.ones(100), y[:100])
        assert np.allclose(1 + np.arange(1, length + 1) / length, y[100 : 100 + length], atol=1e-12)
        assert np.array_equal(np.full(900 - length, 2.0), y[100 + length :])

    def test_values_of_one_update_change_together(self):
        """All values of one call take effect at one frame, and make one event."""
        chain = Chain([Step()], channels=1)
        told = []
        chain.stream.on_event = told.append
        chain.update(0, at_frame=5, factor=2.0, offset=1.0)
        assert np.array_equal([1] * 5 + [3] * 5, chain.process(np.ones((1, 10)))[0])
        expected = {"frame": 5, "event": "update", "plugin": "plugin[0].t_step"}
        assert [{**expected, "values": {"factor": 2.0, "offset": 1.0}}] == told

    def test_they_take_effect_in_order(self):
        """A change does not overtake one that was given before it for a later frame."""
        chain = Chain([Step()], channels=1)
        chain.update(0, at_frame=50, factor=2.0)
        chain.update(0, factor=5.0)
        assert np.array_equal([1] * 50 + [5] * 50, chain.process(np.ones((1, 100)))[0])

    def test_too_many_are_refused(self):
        """A flood of changes that nobody plays is refused in one sentence, and nothing is lost."""
        chain = Chain([Step()], channels=1)
        for k in range(4096):
            chain.update(0, factor=float(k))
        with pytest.raises(StreamError, match="4096 changes wait and none is taken"):
            chain.update(0, factor=-1.0)
        with pytest.raises(StreamError, match="changes wait"):
            chain.swap(Chain([Step()], channels=1))
        assert 4095.0 == chain.nodes[0].node.plugin.factor
        assert np.array_equal(np.full(10, 4095), chain.process(np.ones((1, 10)))[0])
        assert 0 == chain.stream.record["events_lost"][0]
        assert 1 == len(chain.stream._kept)

    def test_a_refused_update_changes_nothing(self):
        """Where one value is wrong, none is taken."""
        chain = Chain([Step(), Scale()], channels=1)
        with pytest.raises(ParameterError, match="factor: must be at most 10, got 11"):
            chain.update("t_scale", factor=11)
        with pytest.raises(ParameterError, match=r"'t_scal' is not in the chain.*'t_scale'"):
            chain.update("t_scal", factor=1)
        with pytest.raises(ParameterError, match="there is no number 2; the chain has 2"):
            chain.update(2, factor=1)
        assert 0 == len(chain.stream._commands)

    def test_an_ambiguous_name_is_refused(self):
        """A plugin that stands in the chain twice is named by its place."""
        chain = Chain([Step(), Step()], channels=1)
        with pytest.raises(
            ParameterError, match=r"2 times; name one of plugin\[0\].t_step, plugin\[1\]"
        ):
            chain.update("t_step", factor=2.0)
        chain.update("plugin[1].t_step", factor=2.0)
        assert 2.0 == chain.process(np.ones(1))[0]


class TestFlags:
    def test_lost_reaches_the_kernel(self):
        """A piece that was lost is marked for as long as it is, and no longer."""
        chain = Chain([Facts()], channels=3)
        chain.update(0, at_frame=10**6)  # a change for later must not hold the mark up
        x = np.zeros((3, 100))
        flags = [chain.process(x, lost=lost)[1] for lost in (False, True, True, False)]
        assert [{0.0}, {1.0}, {1.0}, {0.0}] == [set(f) for f in flags]

    def test_flags_may_change_inside_a_block(self):
        """Flags sent for a frame cut the block there."""
        chain = Chain([Facts()], channels=3)
        chain.stream.send(Command.FLAGS, 3, at_frame=40)
        y = chain.process(np.zeros((3, 100)))
        assert np.array_equal([0] * 40 + [3] * 60, y[1])
        assert np.array_equal([40] * 40 + [60] * 60, y[2])


class TestReset:
    @FEW
    @given(dtype=DTYPES, changes=CHANGES, heard=st.integers(0, 3000))
    def test_equals_fresh(self, dtype, changes, heard):
        """After a reset a chain plays as a new one with the same values does."""
        used, x = build(dtype), noise(2, FRAMES, seed=1, dtype=dtype)
        for at in changes:
            change(used, -1, *at[1:])
            used.process(noise(2, heard // 6, dtype=dtype))
        used.reset()
        fresh = Chain([placed.node.plugin for placed in used.nodes], channels=2, dtype=dtype)
        assert np.array_equal(fresh.process(x), used.process(x))

    def test_ends_a_swap(self):
        """No chain that was fading out is heard after a reset."""
        chain = Chain([Late(frames=50)], channels=1)
        chain.process(np.ones((1, 500)))
        chain.swap(Chain([Smear()], channels=1))
        chain.process(np.ones((1, 100)))
        chain.reset()
        assert not chain.process(np.zeros((1, 100))).any()
        assert 1 == len(chain.stream._kept)

    def test_render_starts_anew(self):
        """Rendering twice gives the same, tail included, though changes wait for later frames."""
        chain = Chain([Late(frames=50)], channels=1)
        chain.update(0, at_frame=10**6, frames=50)
        x = noise(1, 200)
        first = chain.render(x)
        assert 250 == first.shape[1]
        assert np.array_equal(x, first[:, 50:])
        assert np.array_equal(first, chain.render(x))
        assert np.array_equal(first[:, :200], chain.render(x, tail=False))

    def test_brings_a_muted_plugin_back(self):
        """A plugin that was muted plays again after a reset."""
        chain = Chain([Bomb(at=10)], channels=1)
        assert 0 == chain.process(np.ones((1, 1000)))[0, -1]
        assert 1 == chain.table.steps[0]["muted"]
        chain.reset()
        assert 0 == chain.table.steps[0]["muted"]


class TestFaults:
    @pytest.mark.parametrize("kind", ["nan", "inf", "status"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_mute_with_a_fade(self, kind, dtype):
        """NaN, Inf and a status mute the plugin within 5 ms without a jump, and are reported."""
        chain = Chain([Bomb(at=500, kind=kind), Smear(pole=0.0)], channels=2, dtype=dtype)
        told = []
        chain.stream.on_event = told.append
        x = np.full((2, 1000), 0.5, dtype)
        y = np.concatenate([chain.process(x[:, k : k + 100]) for k in range(0, 1000, 100)], axis=1)
        fade = chain.spec.frames(0.005)
        assert np.isfinite(y).all()
        assert np.array_equal(x[:, :500], y[:, :500])
        assert np.array_equal(np.zeros((2, 500 - fade)), y[:, 500 + fade :])
        assert np.abs(np.diff(y)).max() <= 0.5 / fade + 1e-6
        what = "status 7" if kind == "status" else "NaN or Inf"
        assert [
            {"frame": 500, "event": "fault", "plugin": "plugin[0].t_bomb", "what": what}
        ] == told
        assert [1, 0] == list(chain.table.steps["faults"])

    @FEW
    @given(at=st.integers(0, 900), sizes=SIZES)
    def test_the_fade_does_not_depend_on_the_cut(self, at, sizes):
        """A plugin that goes wrong at a frame fades from there, however the stream is cut."""
        x = noise(1, 2000)
        one, many = (Chain([Bomb(at=at)], channels=1, max_frames=2000) for _ in range(2))
        assert np.array_equal(one.process(x), in_pieces(many, x, sizes))

    def test_new_settings_bring_it_back(self):
        """A muted plugin that gets other settings is faded in again."""
        chain = Chain([Bomb(at=10)], channels=1)
        x = np.ones((1, 5000))
        chain.process(x)
        chain.update(0, at=10**6)
        y = chain.process(x)[0]
        assert 1.0 == y[-1]
        assert np.abs(np.diff(y)).max() < 0.001

    def test_a_fault_while_fading_out(self):
        """What goes wrong while it fades out is muted with a fade as well, and not reported."""
        chain = Chain([Bomb(at=1000)], channels=1)
        told = []
        chain.stream.on_event = told.append
        chain.update(0, at_frame=900, at=10**6)
        y = chain.process(np.ones((1, 5000)))[0]
        assert np.isfinite(y).all()
        assert np.abs(np.diff(y)).max() < 0.01
        assert ["update"] == [event["event"] for event in told]
        assert 1.0 == y[-1]

    def test_a_fault_in_a_chain_that_fades_out(self):
        """The report names the plugin of the chain in which it stood."""
        chain = Chain([Step(), Bomb(at=1000)], channels=1)
        told = []
        chain.stream.on_event = told.append
        chain.swap(Chain([Smear()], channels=1), at_frame=900)
        chain.process(np.ones((1, 5000)))
        assert ["plugin[1].t_bomb"] == [
            event["plugin"] for event in told if event["event"] == "fault"
        ]

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_bad_input_is_contained(self, bad):
        """NaN and Inf in the input become silence for those samples and poison no state."""
        chain = Chain([Smear()], channels=2)
        x = sine(2, 1000)
        dirty, clean = x.copy(), x.copy()
        dirty[1, 300:310] = bad
        clean[1, 300:310] = 0
        y = chain.process(dirty)
        assert 10 == chain.stream.input_faults
        assert np.array_equal(Chain([Smear()], channels=2).process(clean), y)


class TestShapes:
    def test_one_dimension_stays_one(self):
        """A mono signal may come, and goes, without its channel axis."""
        assert (100,) == Chain([Scale()], channels=1).process(np.zeros(100)).shape
        assert (2, 100) == Chain([Wide()], channels=1).process(np.zeros(100)).shape

    def test_channel_counts_change_inside(self):
        """Plugins may give more or fewer channels than they get."""
        chain = Chain([Mono(), Scale(factor=0.5), Wide()], channels=4)
        x = noise(4, 64)
        y = chain.process(x)
        assert (4, 2) == (chain.channels_in, chain.channels_out)
        assert np.allclose(0.5 * x.sum(axis=0), y[0], atol=1e-6)
        assert np.array_equal(-y[0], y[1])

    def test_nothing_gives_nothing(self):
        """An empty piece is good, and an empty chain gives back what it gets."""
        assert (2, 0) == Chain([Smear()], channels=2).process(np.zeros((2, 0))).shape
        x = noise(2, 10)
        assert np.array_equal(x, Chain([], channels=2).process(x))

    @pytest.mark.parametrize(
        ("x", "sentence"),
        [
            (
                np.zeros((2, 4), np.int16),
                "floating point with full scale 1.0, got int16; divide int16 by 32768",
            ),
            (np.zeros((3, 4)), r"shape \(2, frames\), got \(3, 4\)$"),
            (np.zeros((4, 2)), r"got \(4, 2\); transpose it"),
            (np.zeros(4), r"got \(4,\)"),
        ],
    )
    def test_wrong_samples(self, x, sentence):
        """Samples of the wrong type or shape are refused with the remedy."""
        with pytest.raises(StreamError, match=sentence):
            Chain([Scale()], channels=2).process(x)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (
                {"sample_rate": 768000},
                "sample_rate: must be between 1000 and 384000 Hz, got 768000",
            ),
            ({"channels": 65}, "channels: must be a whole number from 1 to 64, got 65"),
            ({"dtype": "int16"}, "dtype: must be 'float32' or 'float64', got 'int16'"),
        ],
    )
    def test_impossible_streams(self, options, sentence):
        """A stream that cannot be is refused by the name of the key."""
        with pytest.raises(Exception, match=sentence):
            Chain([], **options)
