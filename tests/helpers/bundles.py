# SPDX-License-Identifier: MIT
"""Model bundles, written where they are tested, and plain loops that run them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from small_models import FLOAT, constant, node, save

from rtcore import Chain
from rtcore.host import find

RATE = 16000


def toml(value) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def declare(folder, **keys):
    """Write a manifest, with plain values for what every one must have."""
    keys = {
        "id": "small", "description": "A model of a test", "licence": "MIT", "sample_rate": RATE,
        **keys,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
    (folder / "model.toml").write_text(text, "utf-8")
    return folder


def one_stage(folder, inputs, outputs, file="model.onnx", **keys):
    """Write the manifest of one model."""
    stage = {"file": file, "inputs": inputs, "outputs": outputs}
    return declare(folder, stage=[stage], **keys)


def dense(path, inputs, outputs, seed=0, scale=None):
    """Make a model of tensors (1, n): each output is the tanh of a mixture of all inputs."""
    rng = np.random.default_rng(seed)
    total = sum(inputs.values())
    scale = 1.0 / np.sqrt(total) if scale is None else scale
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [node("Concat", " ".join(inputs), "all", axis=1)]
    constants = []
    for name, size in outputs.items():
        constants.append(constant(f"w_{name}", rng.normal(size=(total, size)) * scale))
        nodes += [node("MatMul", f"all w_{name}", f"m_{name}"), node("Tanh", f"m_{name}", name)]
    return save(
        path,
        nodes,
        {name: (FLOAT, [1, size]) for name, size in inputs.items()},
        {name: (FLOAT, [1, size]) for name, size in outputs.items()},
        constants,
    )


def passing(path, size):
    """Make a model that gives what it gets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (FLOAT, [1, size])
    return save(path, [node("Identity", "x", "y")], {"x": shape}, {"y": shape})


def adding_up(path, size):
    """Make a model with a state: a running sum that forgets, s' = 0.9 s + x, y = s'."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (FLOAT, [1, size])
    nodes = [
        node("Mul", "s keep", "kept"),
        node("Add", "kept x", "s_next"),
        node("Identity", "s_next", "y"),
    ]
    tensors = {"x": shape, "s": shape}
    return save(path, nodes, tensors, {"y": shape, "s_next": shape}, [constant("keep", 0.9)])


def fragile(path, size):
    """Make a model that adds up like the one above, and can be made to fail by its input.

    Where the middle sample of a hop is above 0.9 the run returns an error (an index that is no
    row); where it is below -0.9 all that it gives is NaN, its state too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (FLOAT, [1, size])
    constants = [
        constant("keep", 0.9),
        constant("middle", [size // 2], np.int64),
        constant("limit", 0.9),
        constant("rows", np.zeros((1, 1))),
    ]
    nodes = [
        node("Gather", "x middle", "head", axis=1),
        node("Greater", "head limit", "wrong"),
        node("Cast", "wrong", "row", to=7),
        node("Squeeze", "row", "row_0"),
        node("Gather", "rows row_0", "zero", axis=0),  # there is row 0 only
        node("Add", "head limit", "above"),
        node("Sqrt", "above", "root"),  # NaN below -0.9
        node("Sub", "root root", "nothing"),
        node("Mul", "s keep", "kept"),
        node("Add", "kept x", "sum"),
        node("Add", "sum nothing", "sum_2"),
        node("Add", "sum_2 zero", "s_next"),
        node("Identity", "s_next", "y"),
    ]
    tensors = {"x": shape, "s": shape}
    return save(path, nodes, tensors, {"y": shape, "s_next": shape}, constants)


def sha256(path) -> str:
    """Give a file's checksum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model(folder, **settings):
    """Make the plugin."""
    return find("model")(bundle=str(folder), **settings)


def chain_of(folder, *, sample_rate=RATE, channels=1, dtype="float32", **settings):
    """Make a chain of one bundle."""
    return Chain(
        [model(folder, **settings)], sample_rate=sample_rate, channels=channels, dtype=dtype
    )


def played(chain, x, *, lost=None, packet=None):
    """Play sound (channels, frames) and the tail; give it without the chain's gathering delay.

    Parameters
    ----------
    chain : Chain
        Of a model.
    x : ndarray
        The sound.
    lost : sequence of bool, optional
        Whether each packet never came.
    packet : int
        Frames of each of them.
    """
    if lost is None:
        parts = [chain.process(x)]
    else:
        parts = [
            chain.process(x[:, k * packet : (k + 1) * packet], lost=bool(gone))
            for k, gone in enumerate(lost)
        ]
    y = np.concatenate([*parts, chain.flush()], axis=1)
    return y[:, chain.nodes[0].node.reblock_frames :]


def noise(frames, channels=1, seed=0, level=0.2):
    """Make Gaussian noise."""
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((channels, frames))).astype(np.float32)
