# SPDX-License-Identifier: MIT
"""Steps compiled by themselves: only those that a program takes, and they do what NumPy does."""

from __future__ import annotations

import numpy as np
from numba import njit

from rtcore.dsp.fft import fft_tables
from rtcore.onnx.apart import TABLES, addresses, fill_tables, take_apart
from rtcore.onnx.opcodes import WIDTH, Op
from rtcore.onnx.program import Steps

WINDOW = 60


@njit
def take(address, memory, row, tables):
    """Call a step as the loop over a program does."""
    take_apart(address, memory, row, tables, False)


def buffers(instances, size):
    """Give what a plugin with a transform has."""
    return {
        "memory": np.zeros((instances, size), np.float32),
        "foreseen": np.zeros((instances, 0, 0)),
        "tables": np.zeros((instances, TABLES.itemsize // 8), np.uint64),
        "fft_scratch": np.zeros((3, WINDOW)),
        **fft_tables(WINDOW),
    }


def test_only_what_a_program_takes_has_an_address():
    """Nothing else is compiled, and nothing is where the step has no function of its own."""
    program = Steps()
    program.add(Op.COPY, 0, 1, count=1)
    assert not addresses(program.array()).any()
    program.add(Op.TRANSFORM)
    found = addresses(program.array())
    assert [int(Op.TRANSFORM)] == np.flatnonzero(found).tolist()


def test_a_transform_and_back_in_every_instance():
    """The spectrum is NumPy's, the sound of it the sound; each instance has its own numbers."""
    bins = WINDOW // 2 + 1
    rows = np.zeros((2, WIDTH), np.int64)
    rows[0] = Op.TRANSFORM, 0, WINDOW, WINDOW + bins, WINDOW, 0
    rows[1] = Op.RESTORE, 2 * WINDOW + 2, WINDOW, WINDOW + bins, WINDOW, 0
    known = buffers(3, 3 * WINDOW + 2)
    fill_tables(known)
    memory, table = known["memory"], addresses(rows)
    memory[:, :WINDOW] = np.random.default_rng(1).standard_normal((3, WINDOW))
    for k in range(3):
        for row in rows:
            take(table[row[0]], memory[k], row, known["tables"][k])
    expected = np.fft.rfft(memory[:, :WINDOW].astype(np.float64))
    given = memory[:, WINDOW : WINDOW + bins] + 1j * memory[:, WINDOW + bins : WINDOW + 2 * bins]
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(memory[:, -WINDOW:], memory[:, :WINDOW], rtol=0, atol=1e-6)
