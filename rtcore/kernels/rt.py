# SPDX-License-Identifier: MIT
"""Everything that differs between platforms: the clock, sleeping, semaphores, denormals.

Linux (x86-64 and aarch64) is supported.  macOS lacks ``clock_nanosleep`` and unnamed
semaphores; a port changes this file alone.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rtcore.kernels.abi import load_acquire, store_release
from rtcore.kernels.jit import native

# Linked by name, so that code which calls them can be cached on disk.
clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.uintp))
clock_nanosleep = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.uintp, types.uintp)
)
sem_post = types.ExternalFunction("sem_post", types.int32(types.uintp))
sem_wait = types.ExternalFunction("sem_wait", types.int32(types.uintp))
sem_timedwait = types.ExternalFunction("sem_timedwait", types.int32(types.uintp, types.uintp))

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
TIMER_ABSTIME = 1
NS_PER_S = 1_000_000_000

_X86 = platform.machine().lower() in {"x86_64", "amd64", "i686"}
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
#: FTZ and DAZ of MXCSR on x86; FZ of FPCR on aarch64 (Arm ARM, C5.2.8), which covers both.
FLUSH_BITS = 0x8040 if _X86 else 1 << 24


def _x86_control_word(builder: Any, new: Any) -> Any:
    place = builder.alloca(_I32)
    void_p = ir.IntType(8).as_pointer()
    fn_type = ir.FunctionType(ir.VoidType(), [void_p])
    module = builder.module
    name = "llvm.x86.sse.ldmxcsr" if new is not None else "llvm.x86.sse.stmxcsr"
    fn = module.globals.get(name) or ir.Function(module, fn_type, name)
    if new is not None:
        builder.store(builder.trunc(new, _I32), place)
    builder.call(fn, [builder.bitcast(place, void_p)])
    return builder.zext(builder.load(place), _I64)


def _arm_control_word(builder: Any, new: Any) -> Any:
    if new is not None:
        write = ir.InlineAsm(ir.FunctionType(ir.VoidType(), [_I64]), "msr fpcr, $0", "r", True)
        builder.call(write, [new])
        return new
    read = ir.InlineAsm(ir.FunctionType(_I64, []), "mrs $0, fpcr", "=r", True)
    return builder.call(read, [])


_control_word = _x86_control_word if _X86 else _arm_control_word


@intrinsic
def _read_float_mode(typing_context: Any) -> Any:
    del typing_context

    def codegen(_context: Any, builder: Any, _sig: Any, _args: Any) -> Any:
        return _control_word(builder, None)

    return types.int64(), codegen


@intrinsic
def _write_float_mode(typing_context: Any, mode: Any) -> Any:
    del typing_context, mode

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _control_word(builder, args[0])

    return types.int64(types.int64), codegen


@native
def flush_denormals() -> int:
    """Let this thread treat subnormal numbers as zeros; give the mode it had before."""
    before = _read_float_mode()
    _write_float_mode(before | FLUSH_BITS)
    return before


@native
def restore_float_mode(mode: int) -> None:
    """Undo :func:`flush_denormals` on a thread that is not ours."""
    _write_float_mode(mode)


@native
def now_ns(scratch: int) -> int:
    """Read CLOCK_MONOTONIC in nanoseconds; ``scratch`` is the address of 16 spare bytes."""
    clock_gettime(np.int32(CLOCK_MONOTONIC), scratch)
    return load_acquire(scratch) * NS_PER_S + load_acquire(scratch + np.uintp(8))


@native
def sem_wait_for(semaphore: int, ns: int, scratch: int) -> None:
    """Wait for a post, less than a second; ``scratch`` is the address of 16 spare bytes.

    ``sem_timedwait`` knows only the clock that people set, so whoever waits long waits in short
    turns and measures the time by :func:`now_ns`.
    """
    clock_gettime(np.int32(CLOCK_REALTIME), scratch)
    end_ns = load_acquire(scratch + np.uintp(8)) + ns
    store_release(scratch, load_acquire(scratch) + end_ns // NS_PER_S)
    store_release(scratch + np.uintp(8), end_ns % NS_PER_S)
    sem_timedwait(semaphore, scratch)
