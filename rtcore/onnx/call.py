# SPDX-License-Identifier: MIT
"""Run a model from compiled code: no interpreter, no GIL, no exception, no memory of ours.

A binding (see :mod:`rtcore.onnx.session`) ties a model to memory that stays where it is.  All
that a call of it needs stands in one record, :data:`CALL`, so that a kernel needs only the
record's address, which travels as data.  A model that fails leaves its reason in the record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from rtcore.kernels.abi import load_acquire, pointer, store_release
from rtcore.kernels.decorator import helper
from rtcore.kernels.jit import native
from rtcore.onnx.files import plain

#: Room for the text of the first failure, its final zero included.
TEXT_BYTES = 512

#: One call of a model: addresses of functions and objects, then what went wrong.
#:
#: ``run(session, options, binding)`` gives 0 or the address of a status, whose text
#: ``message(status)`` gives; ``release(status)`` frees it.
CALL = np.dtype(
    [
        ("run", "u8"),
        ("session", "u8"),
        ("options", "u8"),
        ("binding", "u8"),
        ("message", "u8"),
        ("release", "u8"),
        ("failures", "i8"),
        ("text", "u1", (TEXT_BYTES,)),
    ],
    align=True,
)
_WORDS = 7
_FAILURES = np.uintp(CALL.fields["failures"][1])  # type: ignore[index] # it has fields
_TEXT = np.uintp(CALL.fields["text"][1])  # type: ignore[index]

_VOID_P = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


def _emit_call(builder: Any, function: Any, arguments: Any, result: Any) -> Any:
    """Call a C function that takes pointers, through its address."""
    kind = ir.FunctionType(result, [_VOID_P] * len(arguments))
    callee = builder.inttoptr(function, kind.as_pointer())
    return builder.call(callee, [builder.inttoptr(a, _VOID_P) for a in arguments])


@intrinsic
def _call_run(typing_context: Any, function: Any, session: Any, options: Any, binding: Any) -> Any:
    """Call ``void* run(void*, void*, void*)`` through its address."""
    del typing_context, function, session, options, binding

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ptrtoint(_emit_call(builder, args[0], args[1:], _VOID_P), _WORD)

    return types.uintp(*[types.uintp] * 4), codegen


@intrinsic
def _call_message(typing_context: Any, function: Any, status: Any) -> Any:
    """Call ``const char* message(void*)`` through its address."""
    del typing_context, function, status

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ptrtoint(_emit_call(builder, args[0], args[1:], _VOID_P), _WORD)

    return types.uintp(types.uintp, types.uintp), codegen


@intrinsic
def _call_release(typing_context: Any, function: Any, status: Any) -> Any:
    """Call ``void release(void*)`` through its address."""
    del typing_context, function, status

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        _emit_call(builder, args[0], args[1:], ir.VoidType())
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), codegen


@helper
def run_model(call_address: int) -> int:
    """Run a bound model once; for kernels, workers and tests.

    Parameters
    ----------
    call_address : int
        Address of a :data:`CALL` record: ``binding.call_address``.  Its binding must live.
        Two threads must not run one record at once.

    Returns
    -------
    int
        0: the outputs are written.  1: the model failed, and the outputs may hold anything;
        ``binding.failures`` counts it and ``binding.error`` tells the first reason.
    """
    words = carray(pointer(np.uintp(call_address), np.uint64), (_WORDS,))
    status = _call_run(words[0], words[1], words[2], words[3])
    if status == 0:
        return 0
    failures = load_acquire(np.uintp(call_address) + _FAILURES)
    if failures == 0:
        _keep_text(np.uintp(call_address) + _TEXT, _call_message(words[4], status))
    # After the text: whoever sees the count sees the whole text.
    store_release(np.uintp(call_address) + _FAILURES, failures + 1)
    _call_release(words[5], status)
    return 1


@helper
def _keep_text(target_at: int, source_at: int) -> None:
    """Copy a C text as far as it fits."""
    target = carray(pointer(target_at, np.uint8), (TEXT_BYTES,))
    source = carray(pointer(source_at, np.uint8), (TEXT_BYTES,))
    for i in range(TEXT_BYTES - 1):
        target[i] = source[i]
        if source[i] == 0:
            return
    target[TEXT_BYTES - 1] = 0


@native
def run_often(call_address: int, runs: int) -> int:
    """Run a bound model up to a number of times; give how often it went well, in a row."""
    for done in range(runs):
        if run_model(call_address) != 0:
            return done
    return runs


def failure_of(call: np.ndarray[Any, Any]) -> str | None:
    """Give the text of the first failure that a record has seen, or ``None``."""
    if not int(call["failures"][0]):
        return None
    text = bytes(call["text"][0]).partition(b"\0")[0]
    return plain(text.decode("utf-8", "ignore"))


def forget_failures(call: np.ndarray[Any, Any]) -> None:
    """Set a record's count back, so that the next failure is told; while nothing runs it."""
    call["failures"] = 0
    call["text"] = 0
