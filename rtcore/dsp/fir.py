# SPDX-License-Identifier: MIT
"""Finite impulse response filters, as fast as one core multiplies and adds.

A direct FIR is bound by its loads: each multiply-add wants one sample and one tap.  Here a tile
of outputs stays in registers while all taps pass by, and inside a tile every vector of samples
serves several outputs: output vector ``t`` with tap ``k`` and output vector ``t + 1`` with tap
``k + lanes`` read the same samples.  So a step of 16 multiply-adds needs 7 vectors of samples and
4 taps.

Each output sample is summed in an order that depends on the taps alone, not on the tile or on
the place in the block, so any chunking gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import ArrayLike, NDArray

from rtcore.dsp.vector import (
    INDEX,
    has_many_registers,
    load,
    multiply_add,
    spread,
    store,
    vector_type,
)
from rtcore.kernels import helper

_PADDED_TO = 32  # taps; a multiple of lanes times taps at once, for every vector width
_TAPS_AT_ONCE = 4
_SUMS = 2  # per output, so that enough independent multiply-adds are under way in a short block
_OVERREAD = 64  # samples behind the newest that a tile may read (and not use)
_ROOM_IN_TAPS = 4  # the past is moved to the front once in this many lengths of the filter


def fir_buffers(taps: ArrayLike, channels: int, max_frames: int) -> dict[str, NDArray[np.float64]]:
    """Lay out the memory that `fir_block` works in; for ``Prepared(buffers=...)``.

    Parameters
    ----------
    taps : array-like, shape (taps,) or (1 or channels, taps)
        Impulse response of all channels, or of each.
    channels : int
        Channels that are filtered.
    max_frames : int
        No block is longer.

    Returns
    -------
    dict
        ``"taps"`` (channels, padded taps) and ``"history"`` (channels, samples), both to be
        declared as ``"real[:, :]"``.
    """
    rows = np.atleast_2d(np.asarray(taps, np.float64))
    length = -(-rows.shape[1] // _PADDED_TO) * _PADDED_TO
    padded = np.zeros((channels, length))
    padded[:, : rows.shape[1]] = rows
    room = max(max_frames, _ROOM_IN_TAPS * length)
    width = -(-(length + room + _OVERREAD) // _PADDED_TO) * _PADDED_TO  # rows begin aligned
    return {"taps": padded, "history": np.zeros((channels, width))}


def main_peak(taps: ArrayLike) -> int:
    """Give the frames by which a filter delays what goes through it.

    That is the place of its largest tap.  Where several are equally large it is the middle of a
    symmetric filter, if that is one of them, else the first.  For the usual linear-phase filters
    it equals the group delay, ``(taps - 1) // 2``.

    Parameters
    ----------
    taps : array-like, shape (taps,) or (channels, taps)
        Impulse response; of several channels the largest tap of all counts.

    Returns
    -------
    int
        0 for a filter that is silent.

    Examples
    --------
    >>> main_peak([1.0, 1.0, 1.0]), main_peak([1.0, 0.0, 1.0]), main_peak([0.1, -0.9, 0.2])
    (1, 0, 1)
    """
    rows = np.atleast_2d(np.abs(np.asarray(taps, np.float64)))
    heights = rows.max(axis=0)
    middle = (rows.shape[1] - 1) // 2
    symmetric = bool(np.array_equal(rows, rows[:, ::-1]))
    if symmetric and heights[middle] == heights.max() > 0.0:
        return middle
    return int(heights.argmax())


def fir_facts(taps: ArrayLike, latency_frames: int | None = None) -> dict[str, Any]:
    """Say what a filter costs; for ``Prepared(**fir_facts(taps), ...)``.

    Parameters
    ----------
    taps : array-like, shape (taps,) or (channels, taps)
        Impulse response.
    latency_frames : int, optional
        Its delay, where the design tells; otherwise `main_peak`.

    Returns
    -------
    dict
        ``latency_frames``; ``lookahead_frames``, by how much the first tap that is not zero comes
        before the main peak; and ``tail_frames``, one less than there are taps.

    Examples
    --------
    >>> fir_facts([0.0, 0.25, 0.5, 0.25, 0.0])
    {'latency_frames': 2, 'lookahead_frames': 1, 'tail_frames': 4}
    """
    rows = np.atleast_2d(np.asarray(taps, np.float64))
    latency = main_peak(rows) if latency_frames is None else latency_frames
    first = int(rows.any(axis=0).argmax())
    return {
        "latency_frames": latency,
        "lookahead_frames": max(0, latency - first) if rows.any() else 0,
        "tail_frames": rows.shape[1] - 1,
    }


@helper
def fir_block(x: Any, taps: Any, history: Any, position: int, y: Any) -> int:
    """Filter a block, for use inside kernels.

    Parameters
    ----------
    x, y : real arrays, shape (channels, frames)
        Input and output; they may be the same memory.
    taps, history : real arrays
        What `fir_buffers` made.
    position : int
        What the last call gave; 0 at first.

    Returns
    -------
    int
        The position, to be kept in the state.
    """
    past = taps.shape[1]
    frames = x.shape[1]
    if position + frames > history.shape[1] - past - _OVERREAD:
        for c in range(x.shape[0]):
            _to_front(history[c], position, past)
        position = 0
    for c in range(x.shape[0]):
        _append(x[c], history[c], past + position)
        _filter_row(history[c], past + position, taps[c], y[c])
    return position + frames


@helper
def _to_front(row: Any, start: int, count: int) -> None:
    for i in range(count):
        row[i] = row[start + i]


@helper
def _append(x: Any, row: Any, start: int) -> None:
    zero = x.dtype.type(0)
    new = row[start : start + x.size]
    for i in range(x.size):
        # Adding zero flushes a subnormal sample, which must not lie in the history.
        new[i] = x[i] + zero


@helper
def _filter_row(row: Any, start: int, taps: Any, y: Any) -> None:
    lanes = _lanes(y)
    done = 0
    while done < y.size:
        left = y.size - done
        if _many_registers(y) and left > 4 * lanes:
            _tile_of_8(row, start + done, taps, y, done)
            done += 8 * lanes
        elif left > 2 * lanes:
            _tile_of_4(row, start + done, taps, y, done)
            done += 4 * lanes
        elif left > lanes:
            _tile_of_2(row, start + done, taps, y, done)
            done += 2 * lanes
        else:
            _tile_of_1(row, start + done, taps, y, done)
            done += lanes


@intrinsic
def _lanes(typing_context: Any, y: Any) -> Any:
    """Give the numbers in one vector, known when the code is compiled."""
    del typing_context

    def codegen(context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(INDEX, vector_type(context, y.dtype).count)

    return types.int64(y), codegen


@intrinsic
def _many_registers(typing_context: Any, y: Any) -> Any:
    """Say whether a tile of 8 vectors has room in registers, known when the code is compiled."""
    del typing_context

    def codegen(context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(ir.IntType(1), int(has_many_registers(context)))

    return types.boolean(y), codegen


def _tile(width: int) -> Any:
    """Make the intrinsic that computes ``width`` vectors of outputs, or what is left of them."""

    @intrinsic
    def tile(typing_context: Any, row: Any, at: Any, taps: Any, y: Any, done: Any) -> Any:
        del typing_context, at, done

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            arrays = [context.make_array(sig.args[k])(context, builder, args[k]) for k in (0, 2, 3)]
            samples, weights, out = (array.data for array in arrays)
            length, frames = (builder.extract_value(a.shape, 0) for a in arrays[1:])
            vector = vector_type(context, y.dtype)
            sums = _emit_sums(context, builder, vector, width, samples, args[1], weights, length)
            _emit_stores(builder, sums, out, args[4], frames)
            return context.get_dummy_value()

        return types.void(row, types.int64, taps, y, types.int64), codegen

    return tile


def _emit_sums(
    context: Any,
    builder: Any,
    vector: Any,
    width: int,
    samples: Any,
    at: Any,
    weights: Any,
    length: Any,
) -> list[Any]:
    """Sum all taps into ``width`` vectors of outputs, the first at sample ``at``."""
    sums = [
        [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(_SUMS)]
        for _ in range(width)
    ]
    lanes, done = vector.count, ir.Constant(INDEX, 0)
    for at_once in (_TAPS_AT_ONCE, _PADDED_TO // lanes):  # the second one where vectors are wide
        stride = ir.Constant(INDEX, at_once * lanes)
        rest = builder.urem(builder.sub(length, done), stride)
        end = builder.sub(length, rest)
        taps = cgutils.for_range_slice(builder, done, end, stride, INDEX)
        with taps as (k, _), cgutils.for_range(builder, ir.Constant(INDEX, lanes)) as loop:
            tap = builder.add(k, loop.index)
            start = builder.sub(at, tap)
            _emit_step(context, builder, vector, at_once, samples, start, weights, tap, sums)
        if at_once * lanes <= _PADDED_TO:
            break
        done = end
    return [builder.fadd(builder.load(even), builder.load(odd)) for even, odd in sums]


def _emit_step(
    context: Any,
    builder: Any,
    vector: Any,
    at_once: int,
    samples: Any,
    at: Any,
    weights: Any,
    tap: Any,
    sums: list[list[Any]],
) -> None:
    """Add taps ``tap``, ``tap + lanes``, ... to all sums; each vector of samples is read once."""

    def shifted(index: Any, vectors: int) -> Any:
        return builder.add(index, ir.Constant(INDEX, vectors * vector.count))

    gains = [
        spread(builder, builder.load(builder.gep(weights, [shifted(tap, q)])), vector)
        for q in range(at_once)
    ]
    for place in range(1 - at_once, len(sums)):
        heard = load(builder, samples, shifted(at, place), vector)
        for q, gain in enumerate(gains):
            if 0 <= place + q < len(sums):
                total = sums[place + q][q % _SUMS]
                added = multiply_add(context, builder, heard, gain, builder.load(total))
                builder.store(added, total)


def _emit_stores(builder: Any, sums: list[Any], out: Any, done: Any, frames: Any) -> None:
    """Write a whole tile at once, and one that ends behind the block number by number."""
    vector = sums[0].type
    outputs = ir.Constant(INDEX, len(sums) * vector.count)
    left = builder.sub(frames, done)
    with builder.if_else(builder.icmp_signed(">=", left, outputs)) as (whole, cut):
        with whole:
            for t, total in enumerate(sums):
                index = builder.add(done, ir.Constant(INDEX, t * vector.count))
                store(builder, total, out, index)
        with cut:
            scratch = cgutils.alloca_once(builder, vector.element, size=outputs)
            for t, total in enumerate(sums):
                store(builder, total, scratch, ir.Constant(INDEX, t * vector.count))
            with cgutils.for_range(builder, left) as loop:
                number = builder.load(builder.gep(scratch, [loop.index]))
                builder.store(number, builder.gep(out, [builder.add(done, loop.index)]))


_tile_of_8, _tile_of_4, _tile_of_2, _tile_of_1 = _tile(8), _tile(4), _tile(2), _tile(1)
