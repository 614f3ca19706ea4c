# SPDX-License-Identifier: MIT
"""The memory of an instance: nothing overlaps, all lies where native code wants it."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtcore.onnx.opcodes import Op
from rtcore.onnx.program import Memory, Placed, Region, Steps, Wiring

KINDS = [np.float32, np.float64, np.float16, np.int64, np.int32, np.bool_]
shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)


@given(tensors=st.lists(st.tuples(shapes, st.sampled_from(KINDS)), min_size=1, max_size=8))
def test_tensors_lie_apart_and_aligned(tensors):
    """Tensors of any type begin at 64 bytes, hold their first value, and share nothing."""
    memory = Memory()
    placed = [memory.tensor(shape, np.dtype(kind), 1.0) for shape, kind in tensors]
    array = memory.initial()
    views = [one.view(array) for one in placed]
    for (shape, kind), one, view in zip(tensors, placed, views, strict=True):
        assert (shape, np.dtype(kind)) == (view.shape, view.dtype)
        assert 0 == one.region.at * 4 % 64
        assert (view == 1).all()
    for a, b in itertools.combinations(views, 2):
        assert not np.shares_memory(a, b)


def test_states_take_turns():
    """In odd calls a state's two places are exchanged; nothing else moves."""
    kind = np.dtype(np.float32)
    a, b, x, y = (Placed(Region(16 * k, 4), (4,), kind) for k in range(4))
    wiring = Wiring({"s": a, "x": x}, {"n": b, "y": y}, {"s": "n"})
    assert ({"s": a, "x": x}, {"n": b, "y": y}) == wiring.of(0)
    assert ({"s": b, "x": x}, {"n": a, "y": y}) == wiring.of(1)
    assert wiring.of(0) == (wiring.inputs, wiring.outputs)
    assert [b, y, a] == wiring.given()


def test_copied_states_stay():
    """A state that is copied keeps its place in all calls."""
    kind = np.dtype(np.float32)
    a, b = (Placed(Region(16 * k, 4), (4,), kind) for k in range(2))
    wiring = Wiring({"s": a}, {"n": b}, copied={"s": "n"})
    assert wiring.of(0) == wiring.of(1)


def test_jumps_land_behind():
    """A jump leads to the row that is added next."""
    steps = Steps()
    jump = steps.add(Op.UNLESS_HEARD)
    steps.add(Op.RUN, 0)
    steps.land(jump)
    steps.add(Op.FILL, 0, count=4)
    rows = steps.array()
    assert (2, int(Op.FILL)) == (rows[jump][1], rows[2][0])
