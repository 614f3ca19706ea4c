# SPDX-License-Identifier: MIT
"""Nodes and weights of an ONNX graph, and linear layers with weights of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def quantised(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to 8 bits.

    Parameters
    ----------
    weights : ndarray, shape (inputs, outputs)
        Of a linear layer.

    Returns
    -------
    ndarray of int8, shape (inputs, outputs), and ndarray of float32, shape (outputs,)
        Rounded weights, and what those of each output are to be multiplied by.

    Notes
    -----
    Processors without the instructions for dot products of bytes add two neighbouring products of
    an unsigned byte (at most 255) and a weight in 16 bits, which holds them where two neighbouring
    weights of one sign sum to 128 at most.  So the scale leaves that room, and every processor
    gives the same sound.
    """
    rows, outputs = weights.shape
    pairs = np.zeros((rows + rows % 2, outputs))
    pairs[:rows] = weights
    sums = [np.maximum(sign * pairs, 0.0).reshape(-1, 2, outputs).sum(1) for sign in (1, -1)]
    # Rounding may add a half to each of the two.
    most = np.maximum(np.max(sums, axis=(0, 1)) / 127.0, np.abs(weights).max(0) / 127.0)
    scales = np.maximum(most, 1e-12)
    return np.round(weights / scales).astype(np.int8), scales.astype(np.float32)


class Graph:
    """Collects nodes and weights.

    Parameters
    ----------
    weights : str
        Those of linear layers: ``"int8"`` or ``"float32"``.
    """

    def __init__(self, weights: str = "int8") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rounded = weights == "int8"
        self._held: dict[bytes, str] = {}
        self._count = 0

    def hold(self, values: Any, kind: type = np.float32) -> str:
        """Add constant values, once; give their name."""
        array = np.array(values, kind, order="C")
        tensor = numpy_helper.from_array(array)
        key = tensor.SerializeToString()
        if key not in self._held:
            tensor.name = self._held[key] = f"held{len(self._held)}"
            self.weights.append(tensor)
        return self._held[key]

    def ints(self, *values: int) -> str:
        """Add whole numbers, such as axes or a shape."""
        return self.hold(values, np.int64)

    def add(
        self, op: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any
    ) -> Any:
        """Add a node; give the name of its output, or the names."""
        self._count += 1
        stem = name or f"{op.lower()}{self._count}"
        names = [stem] if outputs == 1 else [f"{stem}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x: str, weights: np.ndarray, bias: np.ndarray) -> str:
        """Add a linear layer.

        Parameters
        ----------
        x : str
            Its input, (1, inputs).
        weights : ndarray, shape (outputs, inputs)
            As torch keeps them.
        bias : ndarray, shape (outputs,)
            Likewise.

        Returns
        -------
        str
            Its output, (1, outputs).

        Notes
        -----
        With weights of 8 bits the input is rounded to 8 bits as well, to what its own largest and
        smallest values need.  ONNX Runtime makes one node of these.
        """
        if not self._rounded:
            return str(self.add("Gemm", x, self.hold(weights.T), self.hold(bias)))
        rounded, scales = quantised(weights.T)
        bytes_, step, zero = self.add("DynamicQuantizeLinear", x, outputs=3)
        product = self.add("MatMulInteger", bytes_, self.hold(rounded, np.int8), zero)
        unit = self.add("Mul", step, self.hold(scales))
        product = self.add("Mul", self.add("Cast", product, to=onnx.TensorProto.FLOAT), unit)
        return str(self.add("Add", product, self.hold(bias)))
