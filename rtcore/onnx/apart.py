# SPDX-License-Identifier: MIT
"""Steps that few models take: each is compiled by itself, and called through its address.

To compile a transform, or what conceals by foresight, takes longer than all other steps together.
A bundle without them does not wait for them, and streams of both sample types share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numba import carray, from_dtype, types

from rtcore.dsp.fft import irfft, rfft
from rtcore.kernels import helper
from rtcore.kernels.abi import call_process, pointer
from rtcore.kernels.cache import KernelCache
from rtcore.kernels.jit import c_entry
from rtcore.kernels.verify import refuse_unfit
from rtcore.onnx.opcodes import Op
from rtcore.onnx.patches import foresee_hop, patch_hop

__all__ = ["TABLES", "addresses", "fill_tables", "take_apart"]

#: What such a step needs of an instance beside its memory: addresses of arrays, and their sizes.
TABLES = np.dtype(
    [
        ("memory_size", "i8"),
        ("foreseen", "u8"),
        ("foreseen_rows", "i8"),
        ("foreseen_size", "i8"),
        ("scratch", "u8"),
        ("scratch_size", "i8"),
        ("factors", "u8"),
        ("factors_size", "i8"),
        ("cosines", "u8"),
        ("sines", "u8"),
        ("turns", "i8"),
        ("work", "u8"),
        ("half", "i8"),
    ]
)
_Arrays = Mapping[str, np.ndarray[Any, Any]]


def fill_tables(buffers: _Arrays) -> None:
    """Write down where the arrays of a plugin lie.

    To be called in ``attach``: they stay where they are from then on, and what a reset gives back
    is not yet copied.

    Parameters
    ----------
    buffers : mapping of str to ndarray
        ``tables``, uint64 of shape (instances, words of :data:`TABLES`), is written;
        ``foreseen`` and the ``fft_`` arrays must live as long.
    """
    factors, cosines, sines, work, scratch = (
        buffers[f"fft_{name}"] for name in ("factors", "cos", "sin", "work", "scratch")
    )
    known = {
        "memory_size": buffers["memory"].shape[1],
        "foreseen_rows": buffers["foreseen"].shape[1],
        "foreseen_size": buffers["foreseen"].shape[2],
        "scratch": scratch.ctypes.data,
        "scratch_size": scratch.shape[1],
        "factors": factors.ctypes.data,
        "factors_size": factors.size,
        "cosines": cosines.ctypes.data,
        "sines": sines.ctypes.data,
        "turns": cosines.size,
        "work": work.ctypes.data,
        "half": work.shape[1],
    }
    tables = buffers["tables"].view(TABLES)[:, 0]
    for name, value in known.items():
        tables[name] = value
    tables["foreseen"] = [one.ctypes.data for one in buffers["foreseen"]]


@helper
def take_apart(address: int, memory: Any, row: Any, tables: Any, lost: bool) -> None:
    """Take a step that is compiled by itself.

    Parameters
    ----------
    address : int
        Of its function.
    memory : array of float32
        The instance's numbers.
    row : array of int
        The step; see :class:`rtcore.onnx.opcodes.Op`.
    tables : array of uint64
        Of the instance; see :func:`fill_tables`.
    lost : bool
        Whether the newest hop never came.
    """
    call_process(
        np.uintp(address),
        np.uintp(memory.ctypes.data),
        np.uintp(row.ctypes.data),
        np.uintp(tables.ctypes.data),
        np.uintp(0),
        np.int32(1 if lost else 0),
    )


@helper
def _scratch(tables: Any) -> Any:
    return carray(pointer(np.uintp(tables.scratch), np.float64), (3, tables.scratch_size))


@helper
def _turning(tables: Any) -> Any:
    """Give factors, cosines, sines and work memory of the transform."""
    return (
        carray(pointer(np.uintp(tables.factors), np.int64), (tables.factors_size,)),
        carray(pointer(np.uintp(tables.cosines), np.float64), (tables.turns,)),
        carray(pointer(np.uintp(tables.sines), np.float64), (tables.turns,)),
        carray(pointer(np.uintp(tables.work), np.float64), (4, tables.half)),
    )


def transform_step(memory_p: Any, row_p: Any, tables_p: Any, _unused: Any, _lost: int) -> Any:
    """Make the spectrum of a frame."""
    row, tables = carray(row_p, (6,)), carray(tables_p, (1,))[0]
    memory, scratch = carray(memory_p, (tables.memory_size,)), _scratch(tables)
    factors, cosines, sines, work = _turning(tables)
    source, re, im, window = row[1], row[2], row[3], row[4]
    bins = window // 2 + 1
    for k in range(window):
        scratch[0, k] = memory[source + k]
    rfft(scratch[0], scratch[1, :bins], scratch[2, :bins], factors, cosines, sines, work)
    for k in range(bins):
        memory[re + k] = scratch[1, k]
        memory[im + k] = scratch[2, k]
    return np.int32(0)


def restore_step(memory_p: Any, row_p: Any, tables_p: Any, _unused: Any, _lost: int) -> Any:
    """Make a frame of its spectrum."""
    row, tables = carray(row_p, (6,)), carray(tables_p, (1,))[0]
    memory, scratch = carray(memory_p, (tables.memory_size,)), _scratch(tables)
    factors, cosines, sines, work = _turning(tables)
    target, re, im, window = row[1], row[2], row[3], row[4]
    bins = window // 2 + 1
    for k in range(bins):
        scratch[1, k] = memory[re + k]
        scratch[2, k] = memory[im + k]
    irfft(scratch[1, :bins], scratch[2, :bins], scratch[0], factors, cosines, sines, work)
    for k in range(window):
        memory[target + k] = scratch[0, k]
    return np.int32(0)


def foresee_step(memory_p: Any, row_p: Any, tables_p: Any, _unused: Any, lost: int) -> Any:
    """Write what is known of a hop and of the next one."""
    row, tables = carray(row_p, (6,)), carray(tables_p, (1,))[0]
    memory = carray(memory_p, (tables.memory_size,))
    shape = (tables.foreseen_rows, tables.foreseen_size)
    foreseen = carray(pointer(np.uintp(tables.foreseen), np.float64), shape)
    foresee_hop(memory, row, lost != 0, foreseen)
    return np.int32(0)


def patch_step(memory_p: Any, row_p: Any, tables_p: Any, _unused: Any, lost: int) -> Any:
    """Give out a hop as it came, or what patches hold for it."""
    row, tables = carray(row_p, (6,)), carray(tables_p, (1,))[0]
    memory = carray(memory_p, (tables.memory_size,))
    patch_hop(memory, row, lost != 0, _scratch(tables))
    return np.int32(0)


_APART: dict[Op, Callable[..., Any]] = {
    Op.TRANSFORM: transform_step,
    Op.RESTORE: restore_step,
    Op.FORESEE: foresee_step,
    Op.PATCH: patch_step,
}


def addresses(steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Compile what a program needs, or load it.

    Parameters
    ----------
    steps : ndarray of int, shape (steps, 6)
        The program.

    Returns
    -------
    ndarray of uint64
        By the kind of a step, the address of its function; 0 where it has none, or is not taken.
    """
    found = np.zeros(max(Op) + 1, np.uint64)
    for kind in set(steps[:, 0].tolist()) & set(_APART):
        found[kind] = _compiled(Op(kind)).address
    return found


@cache
def _compiled(kind: Op) -> Any:
    """Compile a step, once a process: its code lives as long."""
    fn = _APART[kind]
    arguments = (
        types.CPointer(types.float32),
        types.CPointer(types.int64),
        types.CPointer(from_dtype(TABLES)),
        types.voidptr,
        types.int32,
    )
    check = KernelCache(fn, check=lambda result: refuse_unfit(result, fn, arguments))
    return c_entry(fn, types.int32(*arguments), check)
