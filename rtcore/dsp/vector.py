# SPDX-License-Identifier: MIT
"""Vectors of numbers in compiled code: how wide they are, and multiply-add on them.

These functions emit LLVM instructions while an ``@intrinsic`` is compiled.  What they choose
depends on the processor that Numba compiles for, which is part of the key of the code cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.errors import TypingError

INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
_SSE_OR_NEON_BYTES, _AVX_BYTES, _AVX512_BYTES = 16, 32, 64


def vector_bytes(context: Any) -> int:
    """Give the bytes of the vectors that are fastest on the processor compiled for."""
    _, processor, features = context.codegen().magic_tuple()
    known = set(features.split(","))
    # Zen 4 runs a 512-bit operation as two halves, and 256-bit loads cross fewer cache lines.
    if "+avx512f" in known and processor != "znver4":
        return _AVX512_BYTES
    return _AVX_BYTES if "+avx" in known else _SSE_OR_NEON_BYTES


def has_many_registers(context: Any) -> bool:
    """Say whether the processor has 32 vector registers, not 16."""
    triple, _, features = context.codegen().magic_tuple()
    return triple.startswith(("aarch64", "arm64")) or "+avx512vl" in features.split(",")


def has_fma(context: Any) -> bool:
    """Say whether the processor fuses multiply and add; where not, ``llvm.fma`` calls libm."""
    triple, _, features = context.codegen().magic_tuple()
    return triple.startswith(("aarch64", "arm64")) or "+fma" in features.split(",")


def vector_type(context: Any, number: Any) -> Any:
    """Give the LLVM vector type that holds numbers of a Numba float type."""
    lanes = vector_bytes(context) * 8 // number.bitwidth
    return ir.VectorType(context.get_value_type(number), lanes)


def refuse_unlike(*arrays: Any) -> None:
    """Refuse arrays of several types or with gaps, whose addresses the vectors would misread.

    Parameters
    ----------
    *arrays : Numba array types
        Of one call.

    Raises
    ------
    TypingError
        Where their numbers are not all alike, or do not lie side by side.
    """
    if any(array.layout != "C" or array.dtype != arrays[0].dtype for array in arrays):
        kinds = ", ".join(map(str, arrays))
        raise TypingError(f"arrays must be of one type, their numbers side by side; got {kinds}")


def spread(builder: Any, scalar: Any, vector: Any) -> Any:
    """Put one number into every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(_LANE, 0))
    lanes = ir.Constant(ir.VectorType(_LANE, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, nothing, lanes)


def multiply_add(context: Any, builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Give ``a * b + c``, rounded once where the processor can."""
    vector = a.type
    if not has_fma(context):
        return builder.fadd(builder.fmul(a, b), c)
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    kind = ir.FunctionType(vector, [vector] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{vector.count}f{bits}")
    return builder.call(fma, [a, b, c])


def load(builder: Any, base: Any, index: Any, vector: Any) -> Any:
    """Read a vector that begins at any element of an array."""
    place = builder.bitcast(builder.gep(base, [index]), vector.as_pointer())
    return builder.load(place, align=_number_bytes(vector))


def store(builder: Any, values: Any, base: Any, index: Any) -> None:
    """Write a vector so that it begins at any element of an array."""
    place = builder.bitcast(builder.gep(base, [index]), values.type.as_pointer())
    builder.store(values, place, align=_number_bytes(values.type))


def _number_bytes(vector: Any) -> int:
    return 4 if isinstance(vector.element, ir.FloatType) else 8
