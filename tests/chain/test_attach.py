# SPDX-License-Identifier: MIT
"""A plugin chooses its hop, and hands the addresses of its buffers to code of its own."""

from __future__ import annotations

import gc
import re
import weakref
from typing import ClassVar

import numpy as np
import pytest
from numba import carray
from sounds import noise, reverse, reversed_hops

from rtcore import Attached, Chain, ParameterError, Plugin, PluginError, Prepared, Setting, kernel
from rtcore.chain.node import Node
from rtcore.kernels.abi import pointer
from rtcore.plugin import Spec

SPEC = Spec(48000.0, 1, 64, np.dtype(np.float32))


class Chosen(Plugin):
    """Reverse hops of a length in milliseconds."""

    id = "t_chosen_hop"
    hop_ms = Setting(1.0, min=0.0)
    process = reverse

    def hop(self, spec):
        """Give no hop for 0 ms."""
        return spec.frames(self.hop_ms / 1e3) or None

    def prepare(self, spec):
        """Remember what was said about the blocks."""
        self.prepared_for = spec.max_frames
        return Prepared()


@kernel
def weigh(x, y, state):
    weights = carray(pointer(np.uintp(state.table), np.float64), (2,))
    for i in range(x.shape[1]):
        weights[1] += 1.0  # memory of the plugin's, reached through its address alone
        y[0, i] = x[0, i] * weights[0] + weights[1]


class Keeper:
    """Something native that must stay alive."""


class Giver(Plugin):
    """Reach a buffer through an address that was handed over."""

    id = "t_giver"
    state: ClassVar = {"table": "i8", "kind": "i8"}
    buffers: ClassVar = {"memory": "f8[:]"}
    process = weigh
    answer = None

    def prepare(self, spec):
        """Give the weights."""
        del spec
        return Prepared(state={"kind": 3}, buffers={"memory": np.array([2.0, 0.0])})

    def attach(self, buffers):
        """Hand over the address, and write what a reset must restore."""
        if self.answer is not None:
            return self.answer()
        memory = buffers["memory"]
        assert 0 == memory.ctypes.data % 64
        assert [2.0, 0.0] == memory.tolist()
        memory[1] = 100.0
        self.kept = Keeper()
        return Attached({"table": memory.ctypes.data}, self.kept)


def handing(answer):
    """Make a plugin whose `attach` gives an answer, or raises."""
    return type("Handing", (Giver,), {"answer": lambda _self: answer()})()


def choosing(answer):
    """Make a plugin whose `hop` gives an answer, or raises."""
    return type("Choosing", (Chosen,), {"hop": lambda _self, _spec: answer()})()


def fail(error):
    raise error


@pytest.mark.parametrize(("hop_ms", "hop"), [(1.0, 48), (0.5, 24), (0.0, None)])
def test_hop_of_an_instance(hop_ms, hop):
    """The instance decides its hop from its settings and the stream's rate."""
    x = noise(1, 480)
    chain = Chain([Chosen(hop_ms=hop_ms)], channels=1)
    node = chain.nodes[0].node
    assert (hop, hop or 512) == (node.hop_frames, node.plugin.prepared_for)
    assert (hop - 1 if hop else 0) == chain.latency_frames
    expected = reversed_hops(x, hop, hop - 1)[:, :480] if hop else x[:, ::-1]
    assert np.array_equal(expected, chain.process(x))


def test_hop_of_the_class():
    """Without a method of its own an instance has its class's hop."""
    kind = type("Whole", (Plugin,), {"id": "t_whole", "hop_frames": 32, "process": reverse})
    assert (32, None) == (kind().hop(SPEC), Chosen(hop_ms=0.0).hop(SPEC))


def test_attach_and_reset():
    """The kernel reaches its buffer through the address, and a reset restores what was there."""
    chain = Chain([Giver()], channels=1)
    x = np.array([1.0, 2.0, 3.0], np.float32)
    first = chain.process(x)
    assert [103.0, 106.0, 109.0] == first.tolist()
    assert [106.0, 109.0, 112.0] == chain.process(x).tolist()
    chain.reset()
    assert np.array_equal(first, chain.process(x))


def test_kept_as_long_as_the_node():
    """What `attach` wants kept lives as long as the node, and no longer."""
    node = Node(Giver(), SPEC)
    kept = weakref.ref(node.plugin.kept)
    node.plugin.kept = None
    gc.collect()
    assert kept() is node.keep
    del node
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("plugin", "sentence"),
    [
        (choosing(lambda: 0), "hop() must give a whole number of frames from 1 to"),
        (choosing(lambda: 2.5), "or None, got 2.5"),
        (choosing(lambda: True), "or None, got True"),
        (choosing(lambda: fail(OSError("no"))), "failed to choose its hop: OSError: no"),
        (handing(lambda: None), "attach() must return Attached(...), got None"),
        (handing(lambda: Attached([1])), "attach() must give state as a dictionary"),
        (handing(lambda: Attached({"chair": 1})), "attach() gives state 'chair', which the class"),
        (handing(lambda: Attached({"table": "x"})), "attach() gives state 'table' the value 'x'"),
        (handing(lambda: fail(ValueError("full"))), "failed to attach: ValueError: full"),
    ],
)
def test_wrong_answers(plugin, sentence):
    """A wrong answer gives one sentence that names the plugin and the method."""
    with pytest.raises(PluginError, match=re.escape(sentence)) as caught:
        Node(plugin, SPEC)
    assert f"plugin '{plugin.id}'" in str(caught.value)


def test_errors_of_rtcore_pass():
    """An error that is a sentence already is not wrapped into another one."""
    error = ParameterError("hop_ms", "must be something else")
    for plugin in (choosing(lambda: fail(error)), handing(lambda: fail(error))):
        with pytest.raises(ParameterError, match="must be something else"):
            Node(plugin, SPEC)


@pytest.mark.parametrize("answer", [3, (1,), ("many", "why"), None])
def test_failures_are_a_number_and_a_reason(answer):
    """Any other answer of a plugin becomes a sentence that names it."""

    class Vague(Chosen):
        """Says it in its own way."""

        id = "t_vague"

        def failures(self):
            """Tell how often something went wrong."""
            return answer

    chain = Chain([Vague()], channels=1)
    with pytest.raises(PluginError, match=r"'t_vague': failures\(\) must give a number"):
        chain.stats()
