# SPDX-License-Identifier: MIT
"""Write a checkpoint as ``model.onnx``: samples in, samples out, one hop a call.

Windows and transforms become matrices of the graph, so that whoever runs it needs no transform.

With ``--times 3`` the network of 16 kHz plays at 48 kHz: hops of 10 ms have bins of 50 Hz at either
rate, so that it refines those below 8 kHz as it learnt; those above keep the classical guess, as
loud as the network makes the highest of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .network import Refiner
from .validate import load


def transform(window: np.ndarray, start: int, frames: int, bins: int) -> np.ndarray:
    """Give the matrix that makes windowed real and imaginary parts of samples `start` and on."""
    spectrum = np.fft.rfft(np.diag(window), axis=1)[:, :bins]
    matrix = np.zeros((frames, 2 * bins))
    matrix[start : start + len(window)] = np.concatenate([spectrum.real, spectrum.imag], axis=1)
    return matrix


def restore(window: np.ndarray, bins: int) -> np.ndarray:
    """Give the matrix that makes windowed samples of real and imaginary parts."""
    eye = np.eye(bins, len(window) // 2 + 1)
    parts = [np.fft.irfft(eye, len(window)), np.fft.irfft(1j * eye, len(window))]
    return np.concatenate(parts) * window


def sine_window(frames: int) -> np.ndarray:
    """Give the window before and behind the network."""
    return np.sin(np.pi * np.arange(frames) / frames)


class Graph:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._count = 0

    def hold(self, name: str, values: np.ndarray, kind: type = np.float32) -> str:
        """Add a weight."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def matrix(self, name: str, values: np.ndarray, times: int) -> str:
        """Add a matrix of a transform; for several times the rate it is large and kept in half."""
        if times == 1:
            return self.hold(name, values)
        return self.add("Cast", self.hold(name, values, np.float16), to=TensorProto.FLOAT)

    def add(
        self, op: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any
    ) -> Any:
        """Add a node; give the name of its output, or the names."""
        self._count += 1
        stem = name or f"{op.lower()}{self._count}"
        names = [stem] if outputs == 1 else [f"{stem}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names


def gru(graph: Graph, layer: torch.nn.GRU, x: str, number: int) -> str:
    """Add a recurrent layer whose state is an input and an output; x is (1, hidden)."""

    def turned(values: torch.Tensor) -> np.ndarray:
        reset, update, new = values.detach().numpy().reshape(3, layer.hidden_size, -1)
        return np.concatenate([update, reset, new])

    w = graph.hold(f"w{number}", turned(layer.weight_ih_l0)[None])
    r = graph.hold(f"r{number}", turned(layer.weight_hh_l0)[None])
    biases = [turned(layer.bias_ih_l0).ravel(), turned(layer.bias_hh_l0).ravel()]
    b = graph.hold(f"b{number}", np.concatenate(biases)[None])
    first = graph.hold(f"first{number}", np.array([0]), np.int64)
    hidden = layer.hidden_size
    sequence = graph.add("Unsqueeze", x, first)
    graph.nodes.append(
        helper.make_node(
            "GRU",
            [sequence, w, r, b, "", f"h{number}"],
            ["", f"next{number}"],
            hidden_size=hidden,
            linear_before_reset=1,
        )
    )
    return graph.add("Squeeze", f"next{number}", first)


def export(network: Refiner, times: int = 1) -> onnx.ModelProto:
    """Make the graph, for `times` the network's own sample rate."""
    shape, bins, half = network.shape, network.bins, network.context_bins
    graph = Graph()
    frames, hop = times * shape.context, times * shape.hop
    window = sine_window(2 * hop)
    held = {name: value.detach().numpy() for name, value in network.named_parameters()}
    short = graph.matrix("short", transform(window, frames - 2 * hop, frames, bins) / times, times)
    long_window = sine_window(frames) ** 2
    long = graph.matrix("long", transform(long_window, 0, frames, half) / times, times)

    def number(name: str, value: float) -> str:
        return graph.hold(name, np.array(value))

    whole = graph.add("MatMul", "frame", short)
    re, im = whole_re, whole_im = graph.add("Split", whole, outputs=2, axis=1, num_outputs=2)

    def power(a: str, b: str, least: str) -> str:
        return graph.add(
            "Add", graph.add("Add", graph.add("Mul", a, a), graph.add("Mul", b, b)), least
        )

    shrink = graph.add("Pow", power(re, im, number("tiny", 1e-9)), number("minus_quarter", -0.25))
    re, im = graph.add("Mul", re, shrink), graph.add("Mul", im, shrink)
    a, b = graph.add("Split", graph.add("MatMul", "frame", long), outputs=2, axis=1, num_outputs=2)
    level = graph.add(
        "Mul",
        graph.add("Log", power(a, b, number("least", 1e-6))),
        number("share", 0.25 / np.log(10.0)),
    )
    x = graph.add("Concat", re, im, level, "lost", axis=1)
    x = graph.add(
        "Gemm",
        x,
        graph.hold("enter", held["enter.weight"].T),
        graph.hold("enter_b", held["enter.bias"]),
    )
    x = graph.add("PRelu", x, graph.hold("bend", held["bend.weight"]))
    for k, layer in enumerate(network.recurrent):
        x = graph.add("Add", x, gru(graph, layer, x, k))
    y = graph.add(
        "Gemm",
        x,
        graph.hold("leave", held["leave.weight"].T),
        graph.hold("leave_b", held["leave.bias"]),
    )
    mask_re, mask_im, add_re, add_im = graph.add("Split", y, outputs=4, axis=1, num_outputs=4)
    mask_re = graph.add("Add", mask_re, number("one", 1.0))

    def product(p: str, q: str) -> str:
        return graph.add("Mul", p, q)

    made_re = graph.add("Add", graph.add("Sub", product(re, mask_re), product(im, mask_im)), add_re)
    made_im = graph.add("Add", graph.add("Add", product(re, mask_im), product(im, mask_re)), add_im)
    grow = graph.add("Sqrt", power(made_re, made_im, number("tinier", 1e-12)))
    made_re, made_im = product(made_re, grow), product(made_im, grow)
    if times > 1:
        made_re, made_im, above = over_the_top(
            graph, window, (whole_re, whole_im), (made_re, made_im)
        )
    spectrum = graph.add("Concat", made_re, made_im, axis=1)
    back = graph.matrix("restore", restore(window, bins) * times, times)
    made = graph.add("MatMul", spectrum, back, name="made" if times == 1 else "")
    if times > 1:
        graph.add("Add", made, above, name="made")
    real = TensorProto.FLOAT
    states = [(1, 1, shape.hidden)] * shape.layers
    inputs = [
        helper.make_tensor_value_info("frame", real, [1, frames]),
        helper.make_tensor_value_info("lost", real, [1, 1]),
        *(helper.make_tensor_value_info(f"h{k}", real, s) for k, s in enumerate(states)),
    ]
    outputs = [
        helper.make_tensor_value_info("made", real, [1, 2 * hop]),
        *(helper.make_tensor_value_info(f"next{k}", real, s) for k, s in enumerate(states)),
    ]
    made = helper.make_graph(graph.nodes, "plc", inputs, outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def over_the_top(
    graph: Graph, window: np.ndarray, before: tuple[str, str], after: tuple[str, str]
) -> tuple[str, str, str]:
    """Let bins above the network's follow its highest ones.

    Gives what is to be restored of the bins below, real and imaginary, and the frame to add: the
    classical one, as loud as the network made its top quarter.
    """
    frames = len(window)
    start = graph.hold("frame_start", np.array([-frames]), np.int64)
    end = graph.hold("frame_end", np.array([np.iinfo(np.int64).max]), np.int64)
    axis = graph.hold("second", np.array([1]), np.int64)
    top = graph.hold("top", np.array([120]), np.int64)

    def power(parts: tuple[str, str]) -> str:
        high = [graph.add("Slice", part, top, end, axis) for part in parts]
        squares = [graph.add("Mul", part, part) for part in high]
        return graph.add("ReduceSum", graph.add("Add", *squares), axis)

    floor = graph.hold("little", np.array(1e-6))
    ratio = graph.add(
        "Div", graph.add("Add", power(after), floor), graph.add("Add", power(before), floor)
    )
    most = graph.hold("most", np.array(1.5))
    gain = graph.add("Min", graph.add("Sqrt", ratio), most)
    newest = graph.add("Slice", "frame", start, end, axis)
    shaped = graph.add("Mul", newest, graph.hold("squared_window", window[None] ** 2))
    below = [
        graph.add("Sub", made, graph.add("Mul", was, gain))
        for made, was in zip(after, before, strict=True)
    ]
    return below[0], below[1], graph.add("Mul", shaped, gain)


def main() -> None:
    """Export a checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--times", type=int, default=1, help="how often 16 kHz the sample rate is")
    asked = parser.parse_args()
    model = export(load(asked.checkpoint)[0], asked.times)
    asked.output.write_bytes(model.SerializeToString())
    print(f"{asked.output}: {asked.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
