# SPDX-License-Identifier: MIT
"""Curves from sample to sample in plain arithmetic, which the compiler can vectorise.

A call of the C library for each sample takes ten times as long, and its last bits differ from one
system to another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rtcore.kernels import helper

# ln 2 in two parts: times a whole number below 2^11 the first is exact in float32 as well.
_LN2_HIGH = 0.693145751953125
_LN2_LOW = 1.42860682030941723212e-6
_PER_LN2 = 1.4426950408889634
_FULL = 20.0  # from here on the hyperbolic tangent is 1 in double precision
# 1 / n! for n = 13 down to 2, of which less than 1e-17 is missing for |r| <= ln 2 / 2.
_13, _12, _11, _10 = 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0
_9, _8, _7, _6 = 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0
_5, _4, _3 = 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0


def _layout(number: Any) -> tuple[Any, int, int]:
    """Give the integer of a float's width, the bits of its fraction, and those of 1.0."""
    if number.bitwidth == 32:
        return ir.IntType(32), 23, 0x3F800000
    return ir.IntType(64), 52, 0x3FF0000000000000


@intrinsic
def _power_of_two(typing_context: Any, shifted: Any) -> Any:
    """Give 2^k, where k was added to 1.5 * 2^(bits of the fraction)."""
    del typing_context

    def codegen(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole, fraction, one = _layout(sig.args[0])
        bits = builder.shl(builder.bitcast(args[0], whole), ir.Constant(whole, fraction))
        return builder.bitcast(builder.add(bits, ir.Constant(whole, one)), args[0].type)

    return shifted(shifted), codegen


@intrinsic
def _with_sign_of(typing_context: Any, size: Any, sign: Any) -> Any:
    """Give a number that is not negative the sign of another."""
    del typing_context

    def codegen(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole, _, _ = _layout(sig.args[0])
        mask = ir.Constant(whole, 1 << (whole.width - 1))
        bits = builder.and_(builder.bitcast(args[1], whole), mask)
        both = builder.or_(builder.bitcast(args[0], whole), bits)
        return builder.bitcast(both, args[0].type)

    if size != sign or not isinstance(size, types.Float):
        return None
    return size(size, sign), codegen


@helper
def tanh_block(x: Any, y: Any) -> None:
    """Write the hyperbolic tangent of each sample, for use inside kernels.

    With ``e = exp(2 |x|) - 1`` it is ``e / (e + 2)``, above a half ``1 - 2 / (e + 2)``, as the C
    library has it: within 3 units of the last place, odd to the last bit, NaN where the sample is
    NaN. Every product has one sum to be fused with, so that the bits are the same in a vector and
    alone.

    Parameters
    ----------
    x, y : real arrays, shape (frames,)
        Input and output; they may be the same memory.
    """
    real = x.dtype.type
    magic = real(1.5) / real(np.finfo(x.dtype).eps)
    for i in range(x.size):
        size = abs(x[i])
        held = real(_FULL) if size > real(_FULL) else size  # noqa: FURB136 - min() may lose NaN
        double = real(2.0) * held
        shifted = double * real(_PER_LN2) + magic
        count = shifted - magic
        r = (double - count * real(_LN2_HIGH)) - count * real(_LN2_LOW)
        q = real(_13) * r + real(_12)
        q = q * r + real(_11)
        q = q * r + real(_10)
        q = q * r + real(_9)
        q = q * r + real(_8)
        q = q * r + real(_7)
        q = q * r + real(_6)
        q = q * r + real(_5)
        q = q * r + real(_4)
        q = q * r + real(_3)
        q = q * r + real(0.5)
        power = _power_of_two(shifted)
        square = power * (r * r)
        e = square * q + (power * r + (power - real(1.0)))
        loud = e > real(2.0)
        part = (real(-2.0) if loud else e) / (e + real(2.0))
        y[i] = _with_sign_of(part + (real(1.0) if loud else real(0.0)), x[i])
