# SPDX-License-Identifier: MIT
"""Small ONNX models, made where they are tested."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx makes the models of these tests")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where onnx is there

HIDDEN, BANDS = 24, 32


def constant(name, value, dtype=np.float32):
    """Make a tensor that belongs to the model."""
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def save(path, nodes, inputs, outputs, constants=(), **options):
    """Write a model; inputs and outputs are names with a type and a shape."""

    def infos(tensors):
        return [helper.make_tensor_value_info(name, *rest) for name, rest in tensors.items()]

    graph = helper.make_graph(nodes, "small", infos(inputs), infos(outputs), list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path, **options)
    return path


def node(kind, inputs, outputs, **attributes):
    """Make a node; names are divided by blanks, and _ stands for an input that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), **attributes)


FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16
LONG, INT, BOOL = TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL


def gru(path, hidden=HIDDEN, bands=BANDS):
    """A recurrent model: x and h, mask and h_out."""
    rng = np.random.default_rng(0)
    constants = [
        constant("w", rng.normal(size=(1, 3 * hidden, bands)) * 0.2),
        constant("r", rng.normal(size=(1, 3 * hidden, hidden)) * 0.2),
        constant("b", rng.normal(size=(1, 6 * hidden)) * 0.1),
        constant("out", rng.normal(size=(hidden, bands)) * 0.2),
        constant("axis", [1], np.int64),
    ]
    nodes = [
        node("GRU", "x w r b _ h", "all h_out", hidden_size=hidden, linear_before_reset=1),
        node("Squeeze", "all axis", "flat"),
        node("MatMul", "flat out", "weighted"),
        node("Sigmoid", "weighted", "mask"),
    ]
    state = (FLOAT, [1, 1, hidden])
    inputs = {"x": (FLOAT, [1, 1, bands]), "h": state}
    return save(path, nodes, inputs, {"mask": (FLOAT, [1, 1, bands]), "h_out": state}, constants)


def convolution(path):
    """A model without states over any number of samples."""
    rng = np.random.default_rng(1)
    constants = [constant("w", rng.normal(size=(4, 1, 9))), constant("b", rng.normal(size=4))]
    nodes = [node("Conv", "x w b", "c", pads=[4, 4]), node("Relu", "c", "y")]
    return save(path, nodes, {"x": (FLOAT, [1, 1, "n"])}, {"y": (FLOAT, [1, 4, "n"])}, constants)


def lookup(path):
    """A model that takes rows of x by their numbers, and fails where a number is no row."""
    inputs = {"x": (FLOAT, [3, "n"]), "rows": (LONG, [2])}
    nodes = [node("Gather", "x rows", "y", axis=0)]
    return save(path, nodes, inputs, {"y": (FLOAT, [2, "n"])})


def half(path):
    """A model of 16-bit numbers."""
    nodes = [node("Mul", "x x", "square"), node("Add", "square x", "y")]
    return save(path, nodes, {"x": (HALF, [5])}, {"y": (HALF, [5])})


def many_types(path):
    """A model of float64, int32, bool and a number without axes."""
    inputs = {"yes": (BOOL, [4]), "a": (INT, [4]), "b": (INT, [4]), "gain": (DOUBLE, [])}
    nodes = [
        node("Where", "yes a b", "chosen"),
        node("Cast", "chosen", "wide", to=DOUBLE),
        node("Mul", "wide gain", "y"),
        node("Not", "yes", "no"),
    ]
    return save(path, nodes, inputs, {"y": (DOUBLE, [4]), "chosen": (INT, [4]), "no": (BOOL, [4])})


def halves(path):
    """A model that multiplies by a half."""
    nodes = [node("Mul", "x half", "y")]
    inputs, outputs = {"x": (FLOAT, [8])}, {"y": (FLOAT, [8])}
    return save(path, nodes, inputs, outputs, [constant("half", 0.5)])


def text(path):
    """A model of a type that cannot be bound."""
    kind = (TensorProto.STRING, [1])
    return save(path, [node("Identity", "x", "y")], {"x": kind}, {"y": kind})


def with_weights_outside(path):
    """A model whose weights lie in a file beside it."""
    rng = np.random.default_rng(2)
    save(
        path,
        [node("MatMul", "x w", "y")],
        {"x": (FLOAT, [1, 64])},
        {"y": (FLOAT, [1, 64])},
        [constant("w", rng.normal(size=(64, 64)))],
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    return path


def numbers(tensor, seed=0, size=7):
    """Make an array that fits a tensor; open axes get one size."""
    rng = np.random.default_rng(seed)
    shape = [size if axis is None else axis for axis in tensor.shape]
    if tensor.dtype.kind == "f":
        return np.asarray(rng.normal(size=shape), tensor.dtype)
    return np.asarray(rng.integers(0, 2, size=shape), tensor.dtype)


def expected(path, inputs):
    """Run a model once as anybody does; give its outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
