# SPDX-License-Identifier: MIT
"""``rtcore models verify`` finds states of one form that were exchanged."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bundles import one_stage
from hypothesis import given
from hypothesis import strategies as st
from small_models import FLOAT, constant, node, save

from rtcore.latency.bundle_states import _is_only, _matching, pairings
from rtcore.models import find_bundle
from rtcore.onnx.runner import LoadedBundle

HOP, HIDDEN = 32, 8
VECTOR, STATE = (FLOAT, [1, HOP]), (FLOAT, [1, 1, HIDDEN])


def leaks(path):
    """Two states that know nothing of each other: a fast and a slow leak."""
    nodes = [
        node("Mul", "a fast", "a_kept"), node("Add", "a_kept x", "a_next"),
        node("Mul", "b slow", "b_kept"), node("Add", "b_kept x", "b_next"),
        node("Sub", "a_next b_next", "y"),
    ]  # fmt: skip
    inputs = dict.fromkeys(("x", "a", "b"), VECTOR)
    outputs = dict.fromkeys(("y", "a_next", "b_next"), VECTOR)
    save(path, nodes, inputs, outputs, [constant("fast", 0.5), constant("slow", 0.9)])


def last_frames(path):
    """Two layers that each remember the frame before: no next state depends on its own."""
    nodes = [
        node("Add", "x a", "u"), node("Tanh", "u", "t"), node("Add", "t b", "y"),
        node("Identity", "x", "a_next"), node("Identity", "t", "b_next"),
    ]  # fmt: skip
    inputs = dict.fromkeys(("x", "a", "b"), VECTOR)
    save(path, nodes, inputs, dict.fromkeys(("y", "a_next", "b_next"), VECTOR))


def layers(path):
    """Three recurrent layers, one behind the other."""
    rng = np.random.default_rng(0)
    constants = [
        constant("one", [1], np.int64), constant("zero", [0], np.int64),
        constant("out", rng.normal(size=(HIDDEN, HOP))),
    ]  # fmt: skip
    nodes, source = [node("Unsqueeze", "x zero", "x3")], "x3"
    for k, width in enumerate((HOP, HIDDEN, HIDDEN)):
        constants.append(constant(f"w{k}", 0.3 * rng.normal(size=(1, 3 * HIDDEN, width))))
        constants.append(constant(f"r{k}", 0.3 * rng.normal(size=(1, 3 * HIDDEN, HIDDEN))))
        nodes.append(node("GRU", f"{source} w{k} r{k} _ _ h{k}", f"a{k} n{k}", hidden_size=HIDDEN))
        nodes.append(node("Squeeze", f"a{k} one", f"s{k}"))
        source = f"s{k}"
    nodes += [node("Squeeze", f"{source} zero", "flat"), node("MatMul", "flat out", "y")]
    inputs = {"x": VECTOR, **dict.fromkeys(("h0", "h1", "h2"), STATE)}
    save(path, nodes, inputs, {"y": VECTOR, **dict.fromkeys(("n0", "n1", "n2"), STATE)}, constants)


def lstm(path):
    """Two states of one form, both of which depend on both."""
    rng = np.random.default_rng(0)
    constants = [
        constant("one", [1], np.int64), constant("zero", [0], np.int64),
        constant("out", rng.normal(size=(HIDDEN, HOP))),
        constant("w", 0.3 * rng.normal(size=(1, 4 * HIDDEN, HOP))),
        constant("r", 0.3 * rng.normal(size=(1, 4 * HIDDEN, HIDDEN))),
    ]  # fmt: skip
    nodes = [
        node("Unsqueeze", "x zero", "x3"),
        node("LSTM", "x3 w r _ _ h c", "all h_out c_out", hidden_size=HIDDEN),
        node("Squeeze", "all one", "s"), node("Squeeze", "s zero", "flat"),
        node("MatMul", "flat out", "y"),
    ]  # fmt: skip
    inputs = {"x": VECTOR, "h": STATE, "c": STATE}
    save(path, nodes, inputs, {"y": VECTOR, "h_out": STATE, "c_out": STATE}, constants)


def claim(folder, make, **states):
    """Make a bundle with these states and give what is said of their pairing."""
    make(folder / "model.onnx")
    sources = {taken: {"state": given} for taken, given in states.items()}
    one_stage(folder, {"x": "hop", **sources}, {"y": "hop"}, hop=HOP)
    (found,) = pairings(LoadedBundle(find_bundle(str(folder)), {}))
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_layers(tmp_path, order):
    """Of all pairings of three layers' states one holds."""
    found = claim(tmp_path, layers, **{f"h{k}": f"n{n}" for k, n in enumerate(order)})
    assert (order == (0, 1, 2)) is found.holds
    right = 'write h0 = { state = "n0" }, h1 = { state = "n1" }, h2 = { state = "n2" }'
    assert ("" if found.holds else right) == found.note


def test_states_apart(tmp_path):
    """States that know nothing of each other are told apart as well."""
    assert claim(tmp_path, leaks, a="a_next", b="b_next").holds is True
    assert claim(tmp_path, leaks, a="b_next", b="a_next").holds is False


def test_one_for_two(tmp_path):
    """Two states that take over one output leave another that nobody takes."""
    found = claim(tmp_path, leaks, a="a_next", b="a_next")
    assert (False, "nobody takes over b_next, which has the same form") == (found.holds, found.note)


@pytest.mark.parametrize(("make", "states"), [(lstm, ("h", "c")), (last_frames, ("a", "b"))])
def test_what_cannot_be_told(tmp_path, make, states):
    """Where several pairings would do, or none, it stays open, and only names raise doubts."""
    one, two = states
    ends = {lstm: "_out", last_frames: "_next"}[make]
    right = {one: one + ends, two: two + ends}
    found = claim(tmp_path, make, **right)
    assert (None, False) == (found.holds, "look exchanged" in found.note)
    found = claim(tmp_path, make, **{one: right[two], two: right[one]})
    assert (None, True) == (found.holds, "look exchanged" in found.note)


def test_states_of_different_forms(tmp_path):
    """A state that is alone in its form cannot be exchanged, and nothing is said of it."""
    from small_models import gru

    gru(tmp_path / "model.onnx", HIDDEN, HOP)
    sources = {"x": "hop", "h": {"state": "h_out"}}
    one_stage(tmp_path, sources, {"mask": "hop"}, hop=HOP)
    assert [] == list(pairings(LoadedBundle(find_bundle(str(tmp_path)), {})))


@given(st.integers(1, 5).flatmap(lambda n: st.lists(
    st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n
)))  # fmt: skip
def test_matchings(rows):
    """A pairing is found where there is one, and known as the only one, as by trying all."""
    depends = np.array(rows)
    size = range(len(rows))
    every = [p for p in itertools.permutations(size) if all(depends[k, p[k]] for k in size)]
    best = _matching(depends)
    assert (best is not None) == bool(every)
    if best is not None:
        assert tuple(best) in every
        assert _is_only(depends, best) == (len(every) == 1)
