# SPDX-License-Identifier: MIT
"""From a manifest and its models to a program: which numbers go where, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rtcore.onnx.opcodes import WIDTH, Op

_ALIGN = 16  # float32 numbers: 64 bytes


@dataclass(frozen=True)
class Region:
    """Numbers in the memory of an instance.

    Attributes
    ----------
    at, count : int
        The first, and how many there are, in float32 numbers.
    """

    at: int
    count: int


@dataclass(frozen=True)
class Placed:
    """A tensor of a model as it stands in memory.

    Attributes
    ----------
    region : Region
        Where it lies.
    shape : tuple of int
        Its shape, without open axes.
    dtype : dtype
        Of its numbers.
    """

    region: Region
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def view(self, memory: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Give the tensor as an array over the memory of an instance, (numbers,) of float32."""
        words = memory[self.region.at : self.region.at + self.region.count]
        count = int(np.prod(self.shape, dtype=np.int64))
        return words.view(self.dtype)[:count].reshape(self.shape)


@dataclass
class Wiring:
    """The tensors of one stage; for odd calls the states' two places are exchanged.

    Attributes
    ----------
    inputs, outputs : dict of str to Tensor
        By the model's names.
    states : dict of str to str
        Inputs to the outputs that they take over, in turn.
    copied : dict of str to str
        Inputs to the outputs that are copied to them, because others read them too.
    """

    inputs: dict[str, Placed] = field(default_factory=dict)
    outputs: dict[str, Placed] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    copied: dict[str, str] = field(default_factory=dict)

    def of(self, parity: int) -> tuple[dict[str, Placed], dict[str, Placed]]:
        """Give inputs and outputs for even (0) or odd (1) calls."""
        inputs, outputs = dict(self.inputs), dict(self.outputs)
        if parity:
            for taken, given in self.states.items():
                before, after = self.inputs[taken], self.outputs[given]
                inputs[taken] = replace(before, region=after.region)
                outputs[given] = replace(after, region=before.region)
        return inputs, outputs

    def given(self) -> list[Placed]:
        """Give the tensors of float32 that the model writes, in even and in odd calls."""
        taken = [self.inputs[name] for name in self.states]
        return [t for t in [*self.outputs.values(), *taken] if t.dtype == np.float32]


@dataclass(frozen=True)
class Program:
    """What the compiled loop needs of a bundle.

    Attributes
    ----------
    steps : ndarray, shape (steps, 6)
        See :mod:`rtcore.onnx.opcodes`.
    memory : ndarray of float32
        Of an instance, as it is at first.
    wirings : tuple of Wiring
        Of each stage.
    entry, exit, known : tuple of Region
        Where a hop of each channel comes in, goes out, and is known without the model.
    controls : dict of str to Tensor
        Numbers to look at.
    flags : int
        How many hops back the loss of packets is remembered.
    heard_flags : int
        The model is heard where one of so many newest hops never came; 0: always.
    """

    steps: np.ndarray[Any, Any]
    memory: np.ndarray[Any, Any]
    wirings: tuple[Wiring, ...]
    entry: tuple[Region, ...]
    exit: tuple[Region, ...]
    known: tuple[Region, ...]
    controls: dict[str, Placed]
    flags: int
    heard_flags: int


class Memory:
    """Hands out places in an instance's memory."""

    def __init__(self) -> None:
        self._words = 0
        self._initial: list[tuple[Region, np.ndarray[Any, Any]]] = []

    def room(self, count: int) -> Region:
        """Give a fresh place for float32 numbers, zeros at first."""
        region = Region(self._words, count)
        self._words += -(-max(count, 1) // _ALIGN) * _ALIGN
        return region

    def hold(self, values: Iterable[float]) -> Region:
        """Give a place that holds numbers from the first."""
        array = np.asarray(values, np.float32)
        region = self.room(array.size)
        self._initial.append((region, array))
        return region

    def tensor(self, shape: tuple[int, ...], dtype: np.dtype[Any], value: float) -> Placed:
        """Give a tensor of any type a place of its own, filled with one number."""
        count = int(np.prod(shape, dtype=np.int64))
        filled = np.full(-(-count * dtype.itemsize // 4) * 4 // dtype.itemsize, value, dtype)
        return Placed(self.hold(filled.view(np.float32)), shape, dtype)

    def initial(self) -> np.ndarray[Any, Any]:
        """Give the memory as it is at first."""
        memory = np.zeros(max(self._words, _ALIGN), np.float32)
        for region, values in self._initial:
            memory[region.at : region.at + region.count] = values
        return memory


class Steps:
    """Collects the rows of a program."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []

    def add(
        self, op: Op, target: int = 0, a: int = 0, b: int = 0, count: int = 0, extra: int = 0
    ) -> int:
        """Add a row; give its number."""
        self._rows.append([int(op), target, a, b, count, extra])
        return len(self._rows) - 1

    def land(self, row: int) -> None:
        """Let a jump lead to what comes next."""
        self._rows[row][1] = len(self._rows)

    def array(self) -> np.ndarray[Any, Any]:
        """Give all rows."""
        return np.array(self._rows, np.int64).reshape(-1, WIDTH)
