# SPDX-License-Identifier: MIT
"""Addresses and typed pointers, calls through addresses, and atomics, for compiled code.

Nothing here captures an address as a constant, since Numba could not cache such code: every
address travels as data.  Words that two threads share are 64-bit integers at 8-byte boundaries.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I8 = ir.IntType(8)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


def _word(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


@intrinsic
def pointer(typing_context: Any, address: Any, dtype: Any) -> Any:
    """Make ``CPointer(dtype)`` of an address; ``dtype`` is a NumPy scalar type or record dtype."""
    del typing_context, address
    item = dtype.dtype if isinstance(dtype, types.DTypeSpec) else dtype.instance_type
    signature = types.CPointer(item)(types.uintp, dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return signature, codegen


@intrinsic
def pointer_like(typing_context: Any, address: Any, other: Any) -> Any:
    """Make a pointer of the type of ``other`` of an address."""
    del typing_context, address

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return other(types.uintp, other), codegen


@intrinsic
def call_process(
    typing_context: Any, fn: Any, state: Any, context: Any, x: Any, y: Any, frames: Any
) -> Any:
    """Call ``int32 fn(void*, const Context*, const real*, real*, int32)`` through its address."""
    del typing_context, fn, state, context, x, y, frames

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        void_p = _I8.as_pointer()
        fn_type = ir.FunctionType(_I32, [void_p] * 4 + [_I32])
        callee = builder.inttoptr(args[0], fn_type.as_pointer())
        pointers = [builder.inttoptr(a, void_p) for a in args[1:5]]
        return builder.call(callee, [*pointers, args[5]])

    return types.int32(*([types.uintp] * 5), types.int32), codegen


@intrinsic
def call_words(
    typing_context: Any, fn: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any
) -> Any:
    """Call ``int32 fn`` of seven 64-bit words through its address."""
    del typing_context, fn, a, b, c, d, e, f, g

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        callee = builder.inttoptr(args[0], ir.FunctionType(_I32, [_I64] * 7).as_pointer())
        return builder.call(callee, args[1:])

    return types.int32(types.uintp, *([types.int64] * 7)), codegen


@intrinsic
def call_address_of_buffer(typing_context: Any, fn: Any, handle: Any, frames: Any) -> Any:
    """Call ``void* fn(void*, uint32)`` through its address (``jack_port_get_buffer``)."""
    del typing_context, fn, handle, frames

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        void_p = _I8.as_pointer()
        callee = builder.inttoptr(args[0], ir.FunctionType(void_p, [void_p, _I32]).as_pointer())
        result = builder.call(callee, [builder.inttoptr(args[1], void_p), args[2]])
        return builder.ptrtoint(result, _I64)

    return types.uintp(types.uintp, types.uintp, types.uint32), codegen


@intrinsic
def load_acquire(typing_context: Any, address: Any) -> Any:
    """Read a shared word; later reads stay after it."""
    del typing_context, address

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.load_atomic(_word(builder, args[0]), "acquire", 8)

    return types.int64(types.uintp), codegen


@intrinsic
def store_release(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a shared word; earlier writes stay before it."""
    del typing_context, address, value

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _word(builder, args[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.uintp, types.int64), codegen


@intrinsic
def exchange(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a shared word and give its old value, as one indivisible step."""
    del typing_context, address, value

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.atomic_rmw("xchg", _word(builder, args[0]), args[1], "seq_cst")

    return types.int64(types.uintp, types.int64), codegen


@intrinsic
def replace_if(typing_context: Any, address: Any, expected: Any, value: Any) -> Any:
    """Write a shared word if it still is what was expected, as one step; say whether it was."""
    del typing_context, address, expected, value

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        word = _word(builder, args[0])
        pair = builder.cmpxchg(word, args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.uintp, types.int64, types.int64), codegen


@intrinsic
def copy_bytes(typing_context: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy ``count`` bytes between two places that do not overlap."""
    del typing_context, target, source, count

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        void_p = _I8.as_pointer()
        intrinsic_fn = builder.module.declare_intrinsic("llvm.memcpy", [void_p, void_p, _I64])
        pointers = [builder.inttoptr(a, void_p) for a in args[:2]]
        builder.call(intrinsic_fn, [*pointers, args[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.int64), codegen


@intrinsic
def float_of_bits(typing_context: Any, bits: Any) -> Any:
    """Read the 64 bits of an integer as a float64."""
    del typing_context, bits

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def size_of(typing_context: Any, dtype: Any) -> Any:
    """Give the bytes of one number of a scalar dtype, known when the code is compiled."""
    del typing_context
    item_bytes = dtype.dtype.bitwidth // 8

    def codegen(_context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(_I64, item_bytes)

    return types.int64(dtype), codegen
