# SPDX-License-Identifier: MIT
"""The inner loops of the Fourier transform, on whole vectors.

LLVM does not vectorise these loops by itself: with four complex streams in and four out there are
too many pairs of addresses that might overlap.  So the vector instructions are emitted here, each
lane computing what the others do.  Where a length is no multiple of the lanes, the last vector
overlaps the one before and writes the same numbers twice; input and output never overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import pi, sqrt
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rtcore.dsp.vector import (
    INDEX,
    load,
    multiply_add,
    refuse_unlike,
    spread,
    store,
    vector_type,
)

_LANE = ir.IntType(32)
_SHORT = 4  # lanes; a pass of radix 4 leaves that many numbers side by side to the next


class _Numbers:
    """Arithmetic on vectors, and on pairs of them that are complex numbers."""

    def __init__(self, context: Any, builder: Any, number: Any, lanes: int) -> None:
        self.context, self.builder = context, builder
        self.vector = ir.VectorType(context.get_value_type(number), lanes)

    def index(self, value: int) -> Any:
        return ir.Constant(INDEX, value)

    def add(self, a: Any, b: Any) -> Any:
        return tuple(map(self.builder.fadd, a, b))

    def subtract(self, a: Any, b: Any) -> Any:
        return tuple(map(self.builder.fsub, a, b))

    def add_scaled(self, a: Any, factor: float, b: Any) -> Any:
        """Give ``a + factor * b``."""
        gain = ir.Constant(self.vector, [factor] * self.vector.count)
        return tuple(self._fused(v, gain, u) for u, v in zip(a, b, strict=True))

    def scale(self, factor: float, a: Any) -> Any:
        gain = ir.Constant(self.vector, [factor] * self.vector.count)
        return tuple(self.builder.fmul(gain, v) for v in a)

    def turn_back(self, a: Any) -> Any:
        """Give ``-i * a``."""
        return a[1], self.builder.fneg(a[0])

    def conjugate(self, a: Any) -> Any:
        return a[0], self.builder.fneg(a[1])

    def multiply(self, a: Any, b: Any) -> Any:
        less = self.builder.fneg(self.builder.fmul(a[1], b[1]))
        more = self.builder.fmul(a[1], b[0])
        return self._fused(a[0], b[0], less), self._fused(a[0], b[1], more)

    def _fused(self, a: Any, b: Any, c: Any) -> Any:
        return multiply_add(self.context, self.builder, a, b, c)

    def load(self, bases: Any, index: Any) -> Any:
        return tuple(load(self.builder, base, index, self.vector) for base in bases)

    def load_one(self, bases: Any, index: Any) -> Any:
        """Read one number into all lanes."""
        one = (self.builder.load(self.builder.gep(base, [index])) for base in bases)
        return tuple(spread(self.builder, number, self.vector) for number in one)

    def store(self, a: Any, bases: Any, index: Any) -> None:
        for values, base in zip(a, bases, strict=True):
            store(self.builder, values, base, index)

    def mirror(self, a: Any) -> Any:
        """Put the last lane first."""
        order = ir.Constant(
            ir.VectorType(_LANE, self.vector.count), list(range(self.vector.count))[::-1]
        )
        return tuple(self.builder.shuffle_vector(v, v, order) for v in a)

    @contextmanager
    def along(self, count: Any) -> Iterator[Any]:
        """Loop over ``count`` numbers, at least as many as lanes, vector by vector."""
        builder, lanes = self.builder, self.vector.count
        more = builder.add(count, self.index(lanes - 1))
        last = builder.sub(count, self.index(lanes))
        with cgutils.for_range(builder, builder.udiv(more, self.index(lanes))) as loop:
            start = builder.mul(loop.index, self.index(lanes))
            late = builder.icmp_signed(">", start, last)
            yield builder.select(late, last, start)


def _by_widest(
    context: Any,
    builder: Any,
    number: Any,
    count: Any,
    emit: Callable[[_Numbers], None],
    *,
    short: bool = False,
) -> None:
    """Emit code for whole vectors, and for when ``count`` numbers do not fill one.

    Each form takes time to compile, so short vectors are for where they are common.
    """
    lanes = vector_type(context, number).count

    def choose(widths: list[int]) -> None:
        n = _Numbers(context, builder, number, widths[0])
        if len(widths) == 1:
            emit(n)
            return
        enough = builder.icmp_signed(">=", count, n.index(widths[0]))
        with builder.if_else(enough) as (wide, narrow):
            with wide:
                emit(n)
            with narrow:
                choose(widths[1:])

    choose(sorted({lanes, min(lanes, _SHORT) if short else 1, 1}, reverse=True))


def _zip(builder: Any, a: Any, b: Any) -> Any:
    """Put the numbers of two vectors by turns into one twice as long."""
    count = a.type.count
    order = [k + count * odd for k in range(count) for odd in (0, 1)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_LANE, 2 * count), order))


def _butterfly_2(n: _Numbers, x: list[Any]) -> list[Any]:
    return [n.add(x[0], x[1]), n.subtract(x[0], x[1])]


def _butterfly_3(n: _Numbers, x: list[Any]) -> list[Any]:
    both = n.add(x[1], x[2])
    middle = n.add_scaled(x[0], -0.5, both)
    side = n.turn_back(n.scale(sqrt(0.75), n.subtract(x[1], x[2])))
    return [n.add(x[0], both), n.add(middle, side), n.subtract(middle, side)]


def _butterfly_4(n: _Numbers, x: list[Any]) -> list[Any]:
    even, odd = _butterfly_2(n, x[::2]), _butterfly_2(n, x[1::2])
    side = n.turn_back(odd[1])
    return [
        n.add(even[0], odd[0]),
        n.add(even[1], side),
        n.subtract(even[0], odd[0]),
        n.subtract(even[1], side),
    ]


def _butterfly_5(n: _Numbers, x: list[Any]) -> list[Any]:
    near, far = n.add(x[1], x[4]), n.add(x[2], x[3])
    near_less, far_less = n.subtract(x[1], x[4]), n.subtract(x[2], x[3])
    c = [math.cos(2 * pi * k / 5) for k in (1, 2)]
    s = [math.sin(2 * pi * k / 5) for k in (1, 2)]
    middles = [
        n.add_scaled(n.add_scaled(x[0], c[0], near), c[1], far),
        n.add_scaled(n.add_scaled(x[0], c[1], near), c[0], far),
    ]
    sides = [
        n.turn_back(n.add_scaled(n.scale(s[0], near_less), s[1], far_less)),
        n.turn_back(n.add_scaled(n.scale(s[1], near_less), -s[0], far_less)),
    ]
    return [
        n.add(n.add(x[0], near), far),
        n.add(middles[0], sides[0]),
        n.add(middles[1], sides[1]),
        n.subtract(middles[1], sides[1]),
        n.subtract(middles[0], sides[0]),
    ]


_BUTTERFLIES = {2: _butterfly_2, 3: _butterfly_3, 4: _butterfly_4, 5: _butterfly_5}
_FIRST = (2, 4)  # their results are easily put by turns, and they come early


def _rows(context: Any, builder: Any, kind: Any, work: Any, row: Any) -> list[Any]:
    """Give the addresses of two rows of the work memory: real and imaginary parts."""
    array = context.make_array(kind)(context, builder, work)
    width = builder.extract_value(array.shape, 1)
    first = builder.mul(row, width)
    return [builder.gep(array.data, [k]) for k in (first, builder.add(first, width))]


def _data(context: Any, builder: Any, sig: Any, args: Any, places: tuple[int, ...]) -> list[Any]:
    return [context.make_array(sig.args[k])(context, builder, args[k]).data for k in places]


def _places(builder: Any, first: Any, stride: Any, count: int) -> list[Any]:
    """Give ``first + k * stride`` for k from 0 to ``count - 1``."""
    found = [first]
    for _ in range(count - 1):
        found.append(builder.add(found[-1], stride))
    return found


def _pass(radix: int) -> Any:
    """Make the intrinsic for one pass of the complex transform."""

    @intrinsic
    def one_pass(
        typing_context: Any,
        work: Any,
        source: Any,
        target: Any,
        step: Any,
        parts: Any,
        cos: Any,
        sin: Any,
        at: Any,
    ) -> Any:
        del typing_context, source, target, step, parts, at
        refuse_unlike(work, cos, sin)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            memory, source, target, step, parts, _, _, at = args
            inputs = _rows(context, builder, work, memory, source)
            outputs = _rows(context, builder, work, memory, target)
            circle = _data(context, builder, sig, args, (5, 6))
            streams = (radix, inputs, outputs, circle, at, parts)
            if radix not in _FIRST:
                _emit_rows(context, builder, work.dtype, streams, step)
                return context.get_dummy_value()
            one = builder.icmp_signed("==", step, ir.Constant(INDEX, 1))
            with builder.if_else(one) as (first, later):
                with first:
                    _emit_first(context, builder, work.dtype, streams)
                with later:
                    _emit_rows(context, builder, work.dtype, streams, step)
            return context.get_dummy_value()

        whole = (types.int64,) * 4
        return types.void(work, *whole, cos, sin, types.int64), codegen

    return one_pass


def _emit_rows(context: Any, builder: Any, number: Any, streams: Any, step: Any) -> None:
    """Emit a pass where ``step`` butterflies side by side are turned alike."""
    radix, inputs, outputs, circle, at, parts = streams

    def emit(n: _Numbers) -> None:
        jump = builder.mul(step, parts)
        with cgutils.for_range(builder, parts) as loop:
            p = loop.index
            turns = _places(builder, builder.add(at, p), parts, radix - 1)
            factors = [n.load_one(circle, turn) for turn in turns]
            first = builder.mul(step, p)
            goal = builder.mul(first, n.index(radix))
            with n.along(step) as q:
                origins = _places(builder, builder.add(first, q), jump, radix)
                found = _BUTTERFLIES[radix](n, [n.load(inputs, place) for place in origins])
                tos = _places(builder, builder.add(goal, q), step, radix)
                n.store(found[0], outputs, tos[0])
                for value, factor, place in zip(found[1:], factors, tos[1:], strict=True):
                    n.store(n.multiply(value, factor), outputs, place)

    _by_widest(context, builder, number, step, emit, short=radix in _FIRST)


def _emit_first(context: Any, builder: Any, number: Any, streams: Any) -> None:
    """Emit a pass of step 1, where butterflies side by side are turned one further each."""
    radix, inputs, outputs, circle, at, parts = streams

    def emit(n: _Numbers) -> None:
        with n.along(parts) as p:
            origins = _places(builder, p, parts, radix)
            found = _BUTTERFLIES[radix](n, [n.load(inputs, place) for place in origins])
            turns = _places(builder, builder.add(at, p), parts, radix - 1)
            for k, turn in enumerate(turns, 1):
                found[k] = n.multiply(found[k], n.load(circle, turn))
            n.store(_by_turns(builder, found), outputs, builder.mul(p, n.index(radix)))

    _by_widest(context, builder, number, parts, emit)


def _by_turns(builder: Any, values: list[Any]) -> Any:
    """Put the lanes of 2 or 4 complex vectors by turns into one long one."""
    if len(values) == 1:
        return values[0]
    even, odd = _by_turns(builder, values[::2]), _by_turns(builder, values[1::2])
    return _zip(builder, even[0], odd[0]), _zip(builder, even[1], odd[1])


def _halves(formula: Any) -> Any:
    """Make the intrinsic that works on pairs of numbers ``k`` and ``half - k``, except the ends."""

    @intrinsic
    def halves(
        typing_context: Any,
        from_re: Any,
        from_im: Any,
        to_re: Any,
        to_im: Any,
        half: Any,
        cos: Any,
        sin: Any,
    ) -> Any:
        del typing_context, half
        refuse_unlike(from_re, from_im, to_re, to_im, cos, sin)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            inputs = _data(context, builder, sig, args, (0, 1))
            outputs = _data(context, builder, sig, args, (2, 3))
            circle = _data(context, builder, sig, args, (5, 6))
            count = builder.sdiv(args[4], ir.Constant(INDEX, 2))

            def emit(n: _Numbers) -> None:
                with n.along(count) as start:
                    k = builder.add(start, n.index(1))
                    j = builder.sub(builder.sub(args[4], start), n.index(n.vector.count))
                    far = n.conjugate(n.mirror(n.load(inputs, j)))
                    near, far = formula(n, n.load(inputs, k), far, n.load(circle, k))
                    n.store(near, outputs, k)
                    n.store(n.mirror(n.conjugate(far)), outputs, j)

            _by_widest(context, builder, to_re.dtype, count, emit)
            return context.get_dummy_value()

        return types.void(from_re, from_im, to_re, to_im, types.int64, cos, sin), codegen

    return halves


def _parted(n: _Numbers, near: Any, far: Any, turn: Any) -> tuple[Any, Any]:
    even = n.scale(0.5, n.add(near, far))
    odd = n.scale(0.5, n.turn_back(n.subtract(near, far)))
    turned = n.multiply(odd, turn)
    return n.add(even, turned), n.subtract(even, turned)


def _joined(n: _Numbers, near: Any, far: Any, turn: Any) -> tuple[Any, Any]:
    even, odd = n.add(near, far), n.subtract(near, far)
    side = n.turn_back(n.multiply(odd, n.conjugate(turn)))
    return n.subtract(even, side), n.add(even, side)


pass_2, pass_3, pass_4, pass_5 = (_pass(radix) for radix in (2, 3, 4, 5))
part_halves, join_halves = _halves(_parted), _halves(_joined)
