# SPDX-License-Identifier: MIT
"""The compiled loop that takes the steps of a model's hop.

The loop is the same for every model, so that a new bundle needs no compilation, but for that of
steps of which it is the first (:mod:`rtcore.onnx.apart`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.kernels import helper
from rtcore.kernels.part import part
from rtcore.onnx.apart import take_apart
from rtcore.onnx.call import run_model
from rtcore.onnx.opcodes import Op

_SHIFT, _COPY, _SPREAD, _FLAG = int(Op.SHIFT), int(Op.COPY), int(Op.SPREAD), int(Op.FLAG)
_MULTIPLY, _ADD, _FILL = int(Op.MULTIPLY), int(Op.ADD), int(Op.FILL)
_MAGNITUDE, _LOG_POWER = int(Op.MAGNITUDE), int(Op.LOG_POWER)
_SINE, _COSINE, _ROTATE = int(Op.SINE), int(Op.COSINE), int(Op.ROTATE)  # in this order
_RUN = int(Op.RUN)
_UNLESS_HEARD, _GO, _SIDE = int(Op.UNLESS_HEARD), int(Op.GO), int(Op.SIDE)


@helper
def _move(memory: Any, row: Any) -> None:  # noqa: C901 - one case for each kind of step
    """Take a step that only moves numbers, adds or multiplies."""
    kind, target, a, b, count, extra = row[0], row[1], row[2], row[3], row[4], row[5]
    if kind == _SHIFT:
        for k in range(count - extra):
            memory[target + k] = memory[target + k + extra]
    elif kind == _COPY:
        for k in range(count):
            memory[target + k] = memory[a + k]
    elif kind == _SPREAD:
        for k in range(count):
            memory[target + k * extra] = memory[a + k * b]
    elif kind == _MULTIPLY:
        for k in range(count):
            memory[target + k] = memory[a + k] * memory[b + k]
    elif kind == _ADD:
        for k in range(count):
            memory[target + k] += memory[a + k]
    elif kind == _FILL:
        for k in range(count):
            memory[target + k] = 0


@helper
def _measure(memory: Any, row: Any) -> None:
    """Take a step that makes numbers of a spectrum."""
    kind, target, a, b, count, extra = row[0], row[1], row[2], row[3], row[4], row[5]
    for k in range(count):
        re, im = np.float64(memory[a + k]), np.float64(memory[b + k])
        power = re * re + im * im
        if kind == _LOG_POWER:
            memory[target + k] = np.log10(max(power, np.float64(memory[extra])))
        elif kind == _MAGNITUDE:
            memory[target + k] = np.sqrt(power)
        elif kind == _SINE:
            memory[target + k] = im / np.sqrt(power) if power > 0 else 0
        elif kind == _COSINE:
            memory[target + k] = re / np.sqrt(power) if power > 0 else 1
        elif kind == _ROTATE:
            x, y = np.float64(memory[target + k]), np.float64(memory[extra + k])
            memory[target + k] = x * re - y * im
            memory[extra + k] = x * im + y * re


@part
def _tell_beside(memory: Any, row: Any, lost: Any, sides: Any) -> None:
    """Take a step that tells the model what came beside the sound."""
    for k in range(row[4]):
        memory[row[1] + k] = lost[row[2]] if row[0] == _FLAG else sides[row[2] + k]


@part
def _run(stage: int, calls: Any, parity: Any) -> int:
    """Run a stage; what it gave as states is what it takes the next time."""
    status = run_model(np.uintp(calls[stage, parity[stage]]))
    parity[stage] = 1 - parity[stage]
    return status


@part
def take_steps(
    program: Any,
    memory: Any,
    lost: Any,
    sides: Any,
    heard: bool,
    calls: Any,
    parity: Any,
    apart: Any,
    tables: Any,
) -> int:
    """Take all steps of one hop of one instance; 0, or the number of the stage that failed.

    Parameters
    ----------
    program : array, shape (steps, 6)
        Rows as above.
    memory : array of float32
        The instance's numbers.
    lost : array of float32
        Flags of the hops, the newest first.
    sides : array of float32
        The vectors of the side inputs, one behind the other.
    heard : bool
        Whether the model's output is heard.
    calls : array, shape (stages, 2)
        Addresses of the CALL records, for both parities.
    parity : array of int
        Of each stage.
    apart : array of uint64
        Functions of steps that are compiled by themselves; see :func:`rtcore.onnx.apart.addresses`.
    tables : array of uint64
        What these need; see :func:`rtcore.onnx.apart.fill_tables`.
    """
    at = 0
    while at < program.shape[0]:
        row = program[at]
        kind = row[0]
        at += 1
        if kind == _RUN:
            if _run(row[1], calls, parity) != 0:
                return row[1] + 1
        elif apart[kind] != 0:
            take_apart(apart[kind], memory, row, tables, lost[0] != 0)
        elif kind in (_FLAG, _SIDE):
            _tell_beside(memory, row, lost, sides)
        elif kind == _UNLESS_HEARD:
            if not heard:
                at = row[1]
        elif kind == _GO:
            at = row[1]
        elif _MAGNITUDE <= kind <= _ROTATE:
            _measure(memory, row)
        else:
            _move(memory, row)
    return 0
