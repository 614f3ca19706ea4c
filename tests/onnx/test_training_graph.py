# SPDX-License-Identifier: MIT
"""What the trained networks' graphs are written with: transforms and layers, against NumPy."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")

FOLDER = Path(__file__).parents[2] / "models" / "plc_training"
#: Samples of a frame and highest bin: those of both networks' short and long frames.
SIZES = [(320, 160), (512, 256), (960, 160), (1536, 256)]


@pytest.fixture(scope="module")
def training():
    """The package, from the checkout, without its parents; torch is not needed."""
    name = "plc_training"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module(f"{name}.transforms")
    yield package
    for known in [n for n in sys.modules if n.split(".")[0] == name]:
        del sys.modules[known]


def run(graph, output, **inputs):
    """Run what was written."""
    made = onnx.helper.make_graph(
        graph.nodes,
        "g",
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, value.shape)
            for name, value in inputs.items()
        ],
        [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
        graph.weights,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 9
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run([output], {name: np.float32(value) for name, value in inputs.items()})[0]


@pytest.mark.parametrize(("frames", "last"), SIZES)
class TestTransform:
    def test_forward(self, training, frames, last):
        """Each wanted bin is that of a real Fourier transform."""
        rng = np.random.default_rng(frames)
        x, window = rng.standard_normal((1, frames)), rng.uniform(0.5, 1.0, frames)
        graph = training.graph.Graph()
        transform = training.transforms.Transform(frames, last)
        made = run(graph, transform.forward(graph, "x", window), x=x)
        expected = np.fft.rfft(x[0] * window)[transform.bins]
        assert set(range(last + 1)) == set(transform.bins.ravel())
        assert np.abs(made[:, 0] + 1j * made[:, 1] - expected).max() < 1e-5 * np.sqrt(frames)

    def test_backward(self, training, frames, last):
        """The inverse gives the sound of those bins; one that stands twice counts once."""
        rng = np.random.default_rng(frames)
        spectrum = np.zeros(frames // 2 + 1, complex)
        spectrum[: last + 1] = rng.standard_normal((2, last + 1)).T @ (1, 1j)
        spectrum[[0, -1]] = spectrum[[0, -1]].real
        window = rng.uniform(0.5, 1.0, frames)
        graph = training.graph.Graph()
        transform = training.transforms.Transform(frames, last)
        parts = np.stack([spectrum.real, spectrum.imag])[:, transform.bins].transpose(1, 0, 2)
        made = run(graph, transform.backward(graph, "x", window, "y"), x=parts)
        assert np.abs(made[0] - np.fft.irfft(spectrum) * window).max() < 1e-5

    def test_weights_are_sorted_alike(self, training, frames, last):
        """A layer gives the same of sorted bins with sorted weights, and sorts what it gives."""
        rng = np.random.default_rng(frames)
        transform = training.transforms.Transform(frames, last)
        weights, bins = rng.standard_normal((5, last + 1)), rng.standard_normal(last + 1)
        sorted_in = transform.inputs(weights).reshape(5, -1) @ bins[transform.bins].ravel()
        assert np.allclose(weights @ bins, sorted_in)
        given_out = transform.outputs(np.arange(3 * (last + 1)))
        expected = np.arange(3 * (last + 1)).reshape(3, -1)[:, transform.bins]
        assert np.array_equal(expected.transpose(1, 0, 2).ravel(), given_out)


@given(seed=st.integers(0, 1000), rows=st.integers(1, 9), outputs=st.integers(1, 5))
@settings(max_examples=100)
def test_rounded_weights(training, seed, rows, outputs):
    """They are as near as their room allows, and two neighbours never fill 16 bits."""
    weights = np.random.default_rng(seed).standard_normal((rows, outputs)) ** 3
    rounded, scales = training.graph.quantised(weights)
    assert (np.abs(rounded * scales - weights) <= 0.5001 * scales).all()
    pairs = np.zeros((rows + rows % 2, outputs), int)
    pairs[:rows] = rounded
    for sign in (1, -1):
        two = np.maximum(sign * pairs, 0).reshape(-1, 2, outputs).sum(1)
        assert (255 * two).max() < 1 << 15


@pytest.mark.parametrize(("weights", "least_db"), [("float32", 110.0), ("int8", 30.0)])
def test_linear(training, weights, least_db):
    """A layer is its formula, with 8 bits nearly so; what it adds is not rounded."""
    rng = np.random.default_rng(1)
    x, matrix, bias = (rng.standard_normal(s) for s in ((1, 64), (48, 64), 48))
    graph = training.graph.Graph(weights)
    made = run(graph, graph.linear("x", matrix, bias), x=x)
    expected = x @ matrix.T + bias
    error_db = 10 * np.log10(np.mean((made - expected) ** 2) / np.mean(expected**2))
    assert error_db < -least_db
    silent = run(graph, graph.linear("x", matrix, bias), x=np.zeros((1, 64)))
    assert np.array_equal(np.float32(bias), silent[0])
