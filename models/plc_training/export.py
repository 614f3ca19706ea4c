# SPDX-License-Identifier: MIT
"""Write a checkpoint as ``model.onnx``: samples in, samples out, one hop a call.

Windows and transforms are part of the graph, so that whoever runs it needs none.  What a hop costs
when it comes once in 10 ms is its memory and code, which are cold by then, not its arithmetic: so
weights have 8 bits, and nodes are few.

With ``--times 3`` the network of 16 kHz plays at 48 kHz: hops of 10 ms have bins of 50 Hz at either
rate, so that it refines those below 8 kHz as it learnt; those above keep the classical guess, as
loud as the network makes the highest of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from .graph import Graph
from .network import Refiner
from .transforms import Transform, newest, sine_window
from .validate import load

WEIGHTS = ("int8", "float32")


def recurrent(graph: Graph, layer: torch.nn.GRU, x: str, number: int) -> str:
    """Add a recurrent layer whose state is an input and an output; all are (1, hidden)."""
    size, before = layer.hidden_size, f"h{number}"
    held = {name[:-3]: value.detach().numpy() for name, value in layer.named_parameters()}
    parts = graph.ints(2 * size, size)
    gates, new = graph.add(
        "Split", graph.linear(x, held["weight_ih"], held["bias_ih"]), parts, outputs=2, axis=1
    )
    gates_before, new_before = graph.add(
        "Split", graph.linear(before, held["weight_hh"], held["bias_hh"]), parts, outputs=2, axis=1
    )
    gates = graph.add("Sigmoid", graph.add("Add", gates, gates_before))
    reset, update = graph.add("Split", gates, graph.ints(size, size), outputs=2, axis=1)
    new = graph.add("Tanh", graph.add("Add", new, graph.add("Mul", reset, new_before)))
    kept = graph.add("Mul", update, graph.add("Sub", before, new))
    return str(graph.add("Add", new, kept, name=f"next{number}"))


def seen(
    graph: Graph, whole: str, network: Refiner, near: Transform, far: Transform
) -> tuple[str, str]:
    """Add what the network sees of a spectrum (33, 2, J): that, compressed, and the first layer."""
    power = graph.add("ReduceSumSquare", whole, graph.ints(1), keepdims=1)
    scale = graph.add("Pow", graph.add("Add", power, graph.hold(1e-9)), graph.hold(-0.25))
    compressed = graph.add("Mul", whole, scale)
    window = sine_window(far.frames) ** 2 * network.shape.context / far.frames
    power = graph.add(
        "ReduceSumSquare", far.forward(graph, "frame", window), graph.ints(1), keepdims=0
    )
    level = graph.add("Log", graph.add("Add", power, graph.hold(1e-6)))
    level = graph.add("Mul", level, graph.hold(0.25 / np.log(10.0)))
    rows = [graph.add("Reshape", part, graph.ints(1, -1)) for part in (compressed, level)]
    weights, bias = (value.detach().numpy() for value in network.enter.parameters())
    bins = network.bins
    re, im, levels = (
        near.inputs(weights[:, :bins]),
        near.inputs(weights[:, bins : 2 * bins]),
        far.inputs(weights[:, 2 * bins : -1]),
    )
    spectra = np.stack([re, im], axis=2).reshape(len(weights), -1)
    weights = np.concatenate([spectra, levels.reshape(len(weights), -1), weights[:, -1:]], axis=1)
    return compressed, graph.linear(graph.add("Concat", *rows, "lost", axis=1), weights, bias)


def refined(graph: Graph, spectrum: str, x: str, network: Refiner, near: Transform) -> str:
    """Add the last layer and what it does to a compressed spectrum (33, 2, J)."""
    weights, bias = (value.detach().numpy().copy() for value in network.leave.parameters())
    bias[: network.bins] += 1.0
    y = graph.linear(x, near.outputs(weights), near.outputs(bias))
    y = graph.add("Reshape", y, graph.ints(len(near.bins), 4, -1))
    mask, cross, more = graph.add("Split", y, graph.ints(1, 1, 2), outputs=3, axis=1)
    turned = graph.add("Gather", spectrum, graph.ints(1, 0), axis=1)
    turned = graph.add("Mul", turned, graph.hold([[[-1.0], [1.0]]]))  # times the imaginary unit
    made = graph.add("Add", graph.add("Mul", spectrum, mask), graph.add("Mul", turned, cross))
    made = graph.add("Add", made, more)
    return str(graph.add("Mul", made, graph.add("ReduceL2", made, graph.ints(1), keepdims=1)))


def over_the_top(
    graph: Graph, samples: str, was: str, made: str, near: Transform
) -> tuple[str, str]:
    """Let bins above the network's follow its highest ones.

    Gives what is to be restored of the bins below, and the frame to add: the classical one, as loud
    as the network made its top quarter.
    """
    floor, high = graph.hold(1e-6), graph.hold((near.once & (near.bins >= 120))[:, None, :])

    def power(parts: str) -> str:
        top = graph.add("Mul", parts, high)
        square = graph.add("ReduceSumSquare", top, graph.ints(0, 1, 2), keepdims=1)
        return str(graph.add("Add", square, floor))

    gain = graph.add("Sqrt", graph.add("Div", power(made), power(was)))
    gain = graph.add("Min", gain, graph.hold(1.5))
    below = graph.add("Sub", made, graph.add("Mul", was, gain))
    shaped = graph.add("Mul", samples, graph.hold(sine_window(near.frames)[None] ** 2))
    gain = graph.add("Reshape", gain, graph.ints(1, 1))
    return below, graph.add("Mul", shaped, gain)


def export(network: Refiner, times: int = 1, weights: str = "int8") -> onnx.ModelProto:
    """Make the graph.

    Parameters
    ----------
    network : Refiner
        The network.
    times : int
        How often the network's own sample rate it shall play.
    weights : str
        ``"int8"`` or ``"float32"``.

    Returns
    -------
    ModelProto
        From ``frame``, ``lost`` and the states ``h0`` and on to ``made`` and the next states.
    """
    shape, graph = network.shape, Graph(weights)
    near = Transform(2 * times * shape.hop, shape.hop)
    far = Transform(times * shape.context, shape.context // 2)
    window = sine_window(near.frames)
    samples = newest(graph, "frame", near.frames)
    whole = near.forward(graph, samples, window / times)
    compressed, x = seen(graph, whole, network, near, far)
    x = graph.add("LeakyRelu", x, alpha=float(network.bend.weight.detach()))
    for k, layer in enumerate(network.recurrent):
        x = graph.add("Add", x, recurrent(graph, layer, x, k))
    spectrum = refined(graph, compressed, x, network, near)
    if times == 1:
        near.backward(graph, spectrum, window, "made")
    else:
        spectrum, above = over_the_top(graph, samples, whole, spectrum, near)
        graph.add("Add", near.backward(graph, spectrum, window * times), above, name="made")
    return model_of(graph, network, near.frames, far.frames)


def model_of(graph: Graph, network: Refiner, patch: int, frames: int) -> onnx.ModelProto:
    """Give a graph its inputs and outputs."""
    shape, real = network.shape, TensorProto.FLOAT
    states = [[1, shape.hidden]] * shape.layers
    inputs = {"frame": [1, frames], "lost": [1, 1]}
    inputs |= {f"h{k}": size for k, size in enumerate(states)}
    outputs = {"made": [1, patch]} | {f"next{k}": size for k, size in enumerate(states)}
    made = helper.make_graph(
        graph.nodes,
        "plc",
        [helper.make_tensor_value_info(name, real, size) for name, size in inputs.items()],
        [helper.make_tensor_value_info(name, real, size) for name, size in outputs.items()],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Export a checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--times", type=int, default=1, help="how often 16 kHz the sample rate is")
    parser.add_argument("--weights", choices=WEIGHTS, default=WEIGHTS[0])
    asked = parser.parse_args()
    model = export(load(asked.checkpoint)[0], asked.times, asked.weights)
    asked.output.write_bytes(model.SerializeToString())
    print(
        f"{asked.output}: {asked.output.stat().st_size / 1e6:.2f} MB, {len(model.graph.node)} nodes"
    )


if __name__ == "__main__":
    main()
