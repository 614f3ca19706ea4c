# SPDX-License-Identifier: MIT
"""Re-blocking costs ``inner - gcd(inner, outer)`` frames, and one frame less is too little."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import hop_class, noise, reversed_hops

from rtcore import Chain
from rtcore.chain import node as node_module
from rtcore.chain.node import Node
from rtcore.chain.reblock import DRY, minimum_delay_frames
from rtcore.plugin import Spec

LARGEST = 64
SPEC = Spec(48000.0, 1, LARGEST, np.dtype(np.float32))
_KINDS = {hop: hop_class(hop) for hop in range(1, LARGEST + 1)}


def statuses(inner, outer, delay, monkeypatch):
    """Play many blocks through the real adapter with a chosen delay; give the statuses it had."""
    monkeypatch.setattr(node_module, "minimum_delay_frames", lambda *_: delay)
    node = Node(_KINDS[inner](), SPEC, outer)
    blocks = 2 * inner // math.gcd(inner, outer) + 2
    return call_many(node, blocks, outer)


def call_many(node, blocks, frames):
    """Call a node's compiled code again and again; give the set of what it returned."""
    import ctypes

    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int32)
    function = kind(node.address)
    x, y = np.zeros((2, frames), np.float32)
    context = np.zeros(256, np.uint8)
    arguments = (node.state_address, context.ctypes.data, x.ctypes.data, y.ctypes.data, frames)
    return {function(*arguments) for _ in range(blocks)}


@pytest.mark.parametrize("inner", range(1, LARGEST + 1))
def test_minimum_delay_of_all_pairs(inner, monkeypatch):
    """For all blocks from 1 to 64: the minimum delay never runs dry, one frame less does."""
    for outer in range(1, LARGEST + 1):
        delay = minimum_delay_frames(inner, outer)
        assert inner - math.gcd(inner, outer) == delay
        assert {0} == statuses(inner, outer, delay, monkeypatch)
        if delay > 0:
            assert DRY in statuses(inner, outer, delay - 1, monkeypatch)


@given(
    inner=st.integers(1, LARGEST),
    outer=st.integers(1, LARGEST),
    channels=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_promised_blocks_equal_one_shot(inner, outer, channels, dtype):
    """With promised blocks of one size the hops come out late by exactly the delay."""
    x = noise(channels, outer * 12, seed=inner, dtype=dtype)
    chain = Chain([_KINDS[inner]()], channels=channels, dtype=dtype, block_frames=outer)
    delay = minimum_delay_frames(inner, outer)
    assert delay == chain.latency_frames
    y = np.concatenate(
        [chain.process(x[:, k : k + outer]) for k in range(0, x.shape[1], outer)], axis=1
    )
    whole = x.shape[1] - x.shape[1] % inner  # later hops are not complete
    assert np.array_equal(reversed_hops(x, inner, delay)[:, :whole], y[:, :whole])


@given(st.integers(1, LARGEST), st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_blocks_of_any_size(inner, sizes):
    """With no promise blocks may have any size, at a cost of a hop less one frame."""
    x = noise(2, 1500, seed=inner)
    chain = Chain([_KINDS[inner]()], channels=2)
    assert inner - 1 == chain.latency_frames
    pieces, at = [], 0
    while at < x.shape[1]:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(chain.process(x[:, at : at + size]))
        at += size
    y = np.concatenate(pieces, axis=1)
    whole = x.shape[1] - x.shape[1] % inner
    assert np.array_equal(reversed_hops(x, inner, inner - 1)[:, :whole], y[:, :whole])


@pytest.mark.parametrize(("block", "longest"), [(960, 512), (100, 512), (64, 512), (7, 5)])
def test_cuts_keep_the_promise(block, longest):
    """A block longer than the longest one is cut at multiples of what was promised."""
    hop = hop_class(block)
    chain = Chain([hop()], channels=1, block_frames=block, max_frames=longest)
    assert 0 == chain.latency_frames
    x = noise(1, 4 * block)
    assert np.array_equal(reversed_hops(x, block, 0), chain.process(x))
    assert 0 == chain.table.steps[0]["faults"]


def test_a_change_keeps_the_promise():
    """A change for a frame inside a promised block waits for the block's end."""
    chain = Chain([_KINDS[16](), _KINDS[1]()], channels=1, block_frames=16)
    chain.stream.send(5, 0, at_frame=21)  # any command would cut the block
    x = noise(1, 64)
    assert np.array_equal(reversed_hops(x, 16, 0), chain.process(x))


def test_a_broken_promise_is_refused():
    """A piece that is no multiple of the promised block is refused in one sentence."""
    chain = Chain([_KINDS[16]()], channels=1, block_frames=16)
    with pytest.raises(Exception, match="promised blocks of a multiple of 16 frames, got 20"):
        chain.process(noise(1, 20))


def test_spec_of_the_inner_processor():
    """A plugin with a hop is prepared for exactly that many frames."""
    node = Node(_KINDS[12](), replace(SPEC, max_frames=64), 1)
    assert 11 == node.reblock_frames
    assert 12 == node.record["rt_max_frames"][0]
