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
from .transforms import long_power, newest, short_spectrum, sine_window, sound
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


def seen(graph: Graph, whole: str, network: Refiner, times: int) -> tuple[str, str]:
    """Add what the network sees of a spectrum (1, 2, bins): that compressed, and the first layer."""
    least = graph.hold(1e-9)
    power = graph.add("ReduceSumSquare", whole, graph.ints(1), keepdims=1)
    scale = graph.add("Pow", graph.add("Add", power, least), graph.hold(-0.25))
    compressed = graph.add("Mul", whole, scale)
    row = graph.add("Reshape", compressed, graph.ints(1, 2 * network.bins))
    power = long_power(graph, "frame", times * network.shape.context, times)
    level = graph.add("Log", graph.add("Add", power, graph.hold(1e-6)))
    level = graph.add("Mul", level, graph.hold(0.25 / np.log(10.0)))
    x = graph.add("Concat", row, level, "lost", axis=1)
    weights, bias = (value.detach().numpy() for value in network.enter.parameters())
    return compressed, graph.linear(x, weights, bias)


def refined(graph: Graph, spectrum: str, x: str, network: Refiner) -> str:
    """Add the last layer and what it does to a compressed spectrum (1, 2, bins)."""
    bins = network.bins
    weights, bias = (value.detach().numpy().copy() for value in network.leave.parameters())
    bias[:bins] += 1.0
    y = graph.add("Reshape", graph.linear(x, weights, bias), graph.ints(1, 4, bins))
    mask, cross, more = graph.add("Split", y, graph.ints(1, 1, 2), outputs=3, axis=1)
    turned = graph.add("Gather", spectrum, graph.ints(1, 0), axis=1)
    turned = graph.add("Mul", turned, graph.hold([[[-1.0], [1.0]]]))  # times the imaginary unit
    made = graph.add("Add", graph.add("Mul", spectrum, mask), graph.add("Mul", turned, cross))
    made = graph.add("Add", made, more)
    power = graph.add("ReduceSumSquare", made, graph.ints(1), keepdims=1)
    return str(graph.add("Mul", made, graph.add("Sqrt", graph.add("Add", power, graph.hold(1e-12)))))


def over_the_top(graph: Graph, samples: str, was: str, made: str, frames: int) -> tuple[str, str]:
    """Let bins above the network's follow its highest ones.

    Gives what is to be restored of the bins below, and the frame to add: the classical one, as loud
    as the network made its top quarter.
    """
    floor = graph.hold(1e-6)

    def power(parts: str) -> str:
        end = graph.ints(np.iinfo(np.int64).max)
        high = graph.add("Slice", parts, graph.ints(120), end, graph.ints(2))
        square = graph.add("ReduceSumSquare", high, graph.ints(1, 2), keepdims=1)
        return str(graph.add("Add", square, floor))

    gain = graph.add("Sqrt", graph.add("Div", power(made), power(was)))
    gain = graph.add("Min", gain, graph.hold(1.5))
    window = graph.hold(sine_window(frames)[None] ** 2)
    above = graph.add("Mul", graph.add("Mul", samples, window), gain)
    above = graph.add("Reshape", above, graph.ints(1, frames))
    return graph.add("Sub", made, graph.add("Mul", was, gain)), above


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
    frames, patch = times * shape.context, 2 * times * shape.hop
    samples = newest(graph, "frame", patch)
    whole = short_spectrum(graph, samples, patch, times)
    compressed, x = seen(graph, whole, network, times)
    x = graph.add("LeakyRelu", x, alpha=float(network.bend.weight.detach()))
    for k, layer in enumerate(network.recurrent):
        x = graph.add("Add", x, recurrent(graph, layer, x, k))
    spectrum = refined(graph, compressed, x, network)
    if times == 1:
        sound(graph, spectrum, patch, times, "made")
    else:
        spectrum, above = over_the_top(graph, samples, whole, spectrum, patch)
        graph.add("Add", sound(graph, spectrum, patch, times), above, name="made")
    real, states = TensorProto.FLOAT, [[1, shape.hidden]] * shape.layers
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
    print(f"{asked.output}: {asked.output.stat().st_size / 1e6:.2f} MB, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
