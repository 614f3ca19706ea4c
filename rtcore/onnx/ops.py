# SPDX-License-Identifier: MIT
"""The steps of a model's hop, and the compiled loop that takes them.

A program is an array of rows ``(kind, target, a, b, count, extra)``; targets and sources are
places in one memory of float32 numbers.  The loop is the same for every model, so that a new
bundle needs no compilation.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from rtcore.dsp.fft import irfft, rfft
from rtcore.kernels import helper
from rtcore.onnx.call import run_model
from rtcore.onnx.part import part
from rtcore.onnx.patches import foresee_hop, patch_hop

WIDTH = 6


class Op(enum.IntEnum):
    """What one row does."""

    SHIFT = 1  # move `count` numbers at target left by `extra`
    COPY = 2  # target <- a
    SPREAD = 3  # target[k * extra] <- a[k * b]
    FLAG = 4  # target <- the flag of the hop `a` hops ago
    MULTIPLY = 5  # target <- a * b
    ADD = 6  # target <- target + a
    FILL = 7  # target <- zeros
    MAGNITUDE = 8  # target <- |a + ib|
    LOG_POWER = 9  # target <- log10 max(a^2 + b^2, the number at extra)
    SINE = 10  # target <- sine of the angle of a + ib
    COSINE = 11  # target <- its cosine
    ROTATE = 12  # (target, extra) <- (target, extra) * (a + ib)
    TRANSFORM = 13  # (a, b) <- spectrum of target
    RESTORE = 14  # target <- sound of the spectrum (a, b)
    RUN = 15  # stage `target`
    UNLESS_HEARD = 16  # go to row `target` where the model is not heard
    GO = 17  # go to row `target`
    SIDE = 18  # target <- numbers of the side inputs, from the number `a` on
    FORESEE = 19  # (target, its next hop) <- hop at a as channel b knows it, guess of the next one
    PATCH = 20  # target <- hop at a, or patches where it never came; b: see `patch_tables`


_SHIFT, _COPY, _SPREAD, _FLAG = int(Op.SHIFT), int(Op.COPY), int(Op.SPREAD), int(Op.FLAG)
_MULTIPLY, _ADD, _FILL = int(Op.MULTIPLY), int(Op.ADD), int(Op.FILL)
_MAGNITUDE, _LOG_POWER = int(Op.MAGNITUDE), int(Op.LOG_POWER)
_SINE, _COSINE, _ROTATE = int(Op.SINE), int(Op.COSINE), int(Op.ROTATE)  # in this order
_TRANSFORM, _RESTORE, _RUN = int(Op.TRANSFORM), int(Op.RESTORE), int(Op.RUN)
_UNLESS_HEARD, _GO, _SIDE = int(Op.UNLESS_HEARD), int(Op.GO), int(Op.SIDE)
_FORESEE, _PATCH = int(Op.FORESEE), int(Op.PATCH)


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
def _fill_gap(memory: Any, row: Any, lost: bool, foreseen: Any, scratch: Any) -> None:
    """Take a step of a model that conceals by foresight."""
    if row[0] == _FORESEE:
        foresee_hop(memory, row, lost, foreseen)
    else:
        patch_hop(memory, row, lost, scratch)


@part
def _run(stage: int, calls: Any, parity: Any) -> int:
    """Run a stage; what it gave as states is what it takes the next time."""
    status = run_model(np.uintp(calls[stage, parity[stage]]))
    parity[stage] = 1 - parity[stage]
    return status


@helper
def _transform(
    memory: Any, row: Any, factors: Any, cosines: Any, sines: Any, work: Any, scratch: Any
) -> None:
    """Make the spectrum of a frame."""
    source, re, im, window = row[1], row[2], row[3], row[4]
    bins = window // 2 + 1
    for k in range(window):
        scratch[0, k] = memory[source + k]
    rfft(scratch[0], scratch[1, :bins], scratch[2, :bins], factors, cosines, sines, work)
    for k in range(bins):
        memory[re + k] = scratch[1, k]
        memory[im + k] = scratch[2, k]


@helper
def _restore(
    memory: Any, row: Any, factors: Any, cosines: Any, sines: Any, work: Any, scratch: Any
) -> None:
    """Make a frame of its spectrum."""
    target, re, im, window = row[1], row[2], row[3], row[4]
    bins = window // 2 + 1
    for k in range(bins):
        scratch[1, k] = memory[re + k]
        scratch[2, k] = memory[im + k]
    irfft(scratch[1, :bins], scratch[2, :bins], scratch[0], factors, cosines, sines, work)
    for k in range(window):
        memory[target + k] = scratch[0, k]


@part
def take_steps(  # noqa: C901 - one case for each kind of step
    program: Any,
    memory: Any,
    lost: Any,
    sides: Any,
    foreseen: Any,
    heard: bool,
    calls: Any,
    parity: Any,
    factors: Any,
    cosines: Any,
    sines: Any,
    work: Any,
    scratch: Any,
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
    foreseen : array of float64, shape (2 * channels, size)
        See :func:`rtcore.dsp.foresight.foresight_memory`; empty where nothing is foreseen.
    heard : bool
        Whether the model's output is heard.
    calls : array, shape (stages, 2)
        Addresses of the CALL records, for both parities.
    parity : array of int
        Of each stage.
    factors, cosines, sines, work : arrays; scratch : array, shape (3, window)
        Tables of the transform, in float64: a model that takes logarithms hears the rounding of
        weak bins beside strong ones.  See :func:`rtcore.dsp.fft.fft_tables`.
    """
    at = 0
    while at < program.shape[0]:
        row = program[at]
        kind = row[0]
        at += 1
        if kind == _RUN:
            if _run(row[1], calls, parity) != 0:
                return row[1] + 1
        elif kind == _TRANSFORM:
            _transform(memory, row, factors, cosines, sines, work, scratch)
        elif kind == _RESTORE:
            _restore(memory, row, factors, cosines, sines, work, scratch)
        elif kind in (_FLAG, _SIDE):
            _tell_beside(memory, row, lost, sides)
        elif kind in (_FORESEE, _PATCH):
            _fill_gap(memory, row, lost[0] != 0, foreseen, scratch)
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
