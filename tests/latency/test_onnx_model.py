# SPDX-License-Identifier: MIT
"""Streaming ONNX models as systems of the latency lab."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.latency.result import Declared
from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.systems.onnx_model import OnnxSystem

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where onnx is there

RATE = 16000
MODELS = Path(__file__).parents[3] / "shared" / "data" / "models"
FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16


def constant(name, value, dtype=np.float32):
    """Make a tensor that belongs to the model."""
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def save(path, nodes, inputs, outputs, constants=()):
    """Write a model; inputs and outputs are name, shape and perhaps type."""

    def infos(tensors):
        for name, shape, *kind in tensors:
            yield helper.make_tensor_value_info(name, *(kind or [FLOAT]), shape)

    graph = helper.make_graph(
        nodes, "model", list(infos(inputs)), list(infos(outputs)), list(constants)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


def node(kind, inputs, outputs, **attributes):
    """Make a node; names are divided by blanks, and _ stands for an input that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), **attributes)


def fir(path, taps, shape, names=("x", "state", "y", "state_out"), state_shape=None):
    """Write a filter that keeps its last inputs in a state of shape (1, 1, taps - 1)."""
    x, state, y, after = names
    kept = len(taps) - 1
    state_shape = state_shape or [1, 1, kept]
    nodes = [
        node("Reshape", f"{x} flat", "x3"),
        node("Reshape", f"{state} flat", "s3"),
        node("Concat", "s3 x3", "all", axis=2),
        node("Conv", "all taps", "y3"),
        node("Shape", x, "shape"),
        node("Reshape", "y3 shape", y),
        node("Slice", "all first last axis", "after"),
        node("Reshape", "after kept", after),
    ]
    constants = [
        constant("flat", [1, 1, -1], np.int64),
        constant("taps", [[np.asarray(taps)[::-1]]]),
        constant("first", [-kept], np.int64),
        constant("last", [2**31], np.int64),
        constant("axis", [2], np.int64),
        constant("kept", state_shape, np.int64),
    ]
    outputs = [(y, shape), (after, state_shape)]
    return save(path, nodes, [(x, shape), (state, state_shape)], outputs, constants)


def gru(path, shape, hidden=3):
    """Write a recurrent cell that is fed sample by sample."""
    rng = np.random.default_rng(1)
    nodes = [
        node("Reshape", "noisy steps", "x3"),
        node("GRU", "x3 w r b _ h0", "all hn", hidden_size=hidden),
        node("ReduceSum", "all last", "sum", keepdims=0),
        node("Shape", "noisy", "shape"),
        node("Reshape", "sum shape", "enhanced"),
    ]
    constants = [
        constant("steps", [-1, 1, 1], np.int64),
        constant("w", rng.normal(size=(1, 3 * hidden, 1))),
        constant("r", rng.normal(size=(1, 3 * hidden, hidden))),
        constant("b", np.zeros((1, 6 * hidden))),
        constant("last", [3], np.int64),
    ]
    state = [1, 1, hidden]
    inputs, outputs = [("noisy", shape), ("h0", state)], [("enhanced", shape), ("hn", state)]
    return save(path, nodes, inputs, outputs, constants)


def sliding(path, window, hop, first):
    """Write a model of a window, which gives the hop that begins at one of its samples."""
    nodes = [node("Slice", "audio first last axis", "out")]
    constants = [
        constant("first", [first], np.int64),
        constant("last", [first + hop], np.int64),
        constant("axis", [1], np.int64),
    ]
    return save(path, nodes, [("audio", [1, window])], [("out", [1, hop])], constants)


def plain(path, inputs, outputs, kind="Identity", also=()):
    """Write a model of one node from the first input to the first output."""
    names = " ".join(name for name, *_ in inputs) if kind != "Identity" else inputs[0][0]
    return save(path, [node(kind, names, outputs[0][0]), *also], inputs, outputs)


def sound(channels=1, frames=300):
    """Make noise that float32 holds exactly."""
    rng = np.random.default_rng(channels)
    return rng.integers(-1000, 1000, (channels, frames)) / 1024.0


def filtered(x, taps):
    """Filter a sound as it should be."""
    return np.array([np.convolve(row, taps)[: row.size] for row in x])


def refusal(path, **options):
    """Make a system; give the sentence that it is refused with."""
    with pytest.raises(SystemFaultError) as caught:
        OnnxSystem(str(path), RATE, **options)
    assert 2 == caught.value.exit_code
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


TAPS = [0.5, 0.25, -0.125, 1.0, 0.0, -0.5]


@settings(max_examples=25)
@given(
    rank=st.integers(1, 3),
    batch=st.sampled_from([1, "batch"]),
    hop=st.integers(8, 70),
    channels=st.integers(1, 3),
    frames=st.integers(1, 200),
)
def test_a_filter_with_a_state(tmp_path_factory, rank, batch, hop, channels, frames):
    """A stateful filter equals convolution in all shapes of sound, a state for each channel."""
    shape = [*([batch, 1][: rank - 1]), hop]
    path = fir(tmp_path_factory.mktemp("model") / "fir.onnx", TAPS, shape)
    system = OnnxSystem(path, RATE, channels)
    x = sound(channels, frames)
    for _ in range(2):
        np.testing.assert_allclose(filtered(x, TAPS), system.run(x), atol=1e-6)
    assert ("onnx", hop, hop) == (system.kind, system.hop_samples, system.window_samples)
    assert Declared(hop_samples=hop) == system.declared


@pytest.mark.parametrize("shape", [["n"], [1, "n"], [1, 1, "n"], ["batch", "n"], ["b", 1, "n"]])
def test_an_open_time_axis_needs_a_hop(tmp_path, shape):
    """Where the model leaves the number of samples open, --hop says it."""
    path = fir(tmp_path / "fir.onnx", TAPS, shape)
    assert "takes any number of samples at a time; say how many with --hop" in refusal(path)
    system = OnnxSystem(path, RATE, hop=16)
    np.testing.assert_allclose(filtered(sound(), TAPS), system.run(sound()), atol=1e-6)


def test_samples_before_a_last_axis_of_one(tmp_path):
    """[1, N, 1], as TensorFlow writes it, is a sound."""
    path = plain(tmp_path / "m.onnx", [("x", [1, 32, 1])], [("y", [1, 32, 1])])
    np.testing.assert_array_equal(sound(), OnnxSystem(path, RATE).run(sound()))


@pytest.mark.parametrize("hop", [8, 30, 300])
def test_a_recurrent_cell_does_not_depend_on_the_hop(tmp_path, hop):
    """A GRU whose state is handed on gives the same in hops of any length."""
    path = gru(tmp_path / "gru.onnx", [1, "n"])
    whole = OnnxSystem(path, RATE, hop=300).run(sound())
    np.testing.assert_allclose(whole, OnnxSystem(path, RATE, hop=hop).run(sound()), atol=1e-5)


@pytest.mark.parametrize("first", [48, 20, 0])
def test_a_window_slides(tmp_path, first):
    """A window of 64 whose hop of 16 lies back from its end is late by as much."""
    system = OnnxSystem(sliding(tmp_path / "m.onnx", 64, 16, first), RATE)
    late = 48 - first
    expected = np.pad(sound(), ((0, 0), (late, 0)))[:, :300]
    np.testing.assert_array_equal(expected, system.run(sound()))
    assert (64, Declared(hop_samples=16)) == (system.window_samples, system.declared)


def test_what_the_user_declares_stays(tmp_path):
    """The model only adds what the user did not declare."""
    path = sliding(tmp_path / "m.onnx", 64, 16, 0)
    declared = Declared(frame_samples=80, latency_samples=48)
    assert Declared(80, 16, None, 48, None) == OnnxSystem(path, RATE, declared=declared).declared
    declared = Declared(hop_samples=32)
    assert declared == OnnxSystem(path, RATE, declared=declared).declared


def test_a_window_may_be_said(tmp_path):
    """An open axis can be given a window that is longer than the hop."""
    path = sliding(tmp_path / "m.onnx", "n", 16, 0)
    system = OnnxSystem(path, RATE, hop=16, window=40)
    expected = np.pad(sound(), ((0, 0), (24, 0)))[:, :300]
    np.testing.assert_array_equal(expected, system.run(sound()))


@pytest.mark.parametrize(("kind", "largest"), [(FLOAT, 0.0), (DOUBLE, 0.0), (HALF, 1e-3)])
def test_sound_may_have_any_floating_type(tmp_path, kind, largest):
    """float16, float32 and float64 are converted both ways."""
    path = plain(tmp_path / "m.onnx", [("x", [1, 32], kind)], [("y", [1, 32], kind)])
    y = OnnxSystem(path, RATE).run(sound())
    assert (np.float64, True) == (y.dtype, np.abs(y - sound()).max() <= largest)


@pytest.mark.parametrize("shape", [[], [1]])
def test_the_sample_rate_is_fed(tmp_path, shape):
    """An input named sr gets the sample rate."""
    nodes = [node("Cast", "sr", "rate", to=FLOAT), node("Mul", "x rate", "y")]
    inputs = [("x", [1, 32]), ("sr", shape, TensorProto.INT64)]
    path = save(tmp_path / "m.onnx", nodes, inputs, [("y", [1, 32])])
    np.testing.assert_allclose(RATE * sound(), OnnxSystem(path, RATE).run(sound()))


def test_other_inputs_can_be_set(tmp_path):
    """An input that is neither sound nor state is filled with a number."""
    path = plain(tmp_path / "m.onnx", [("x", [1, 32]), ("gain", [1])], [("y", [1, 32])], "Mul")
    assert "its sound and its states were not recognised" in refusal(path)
    system = OnnxSystem(path, RATE, constants={"gain": 3.0})
    np.testing.assert_array_equal(3.0 * sound(), system.run(sound()))


def test_a_model_of_two_channels_gets_both(tmp_path):
    """A model of as many channels as the sound runs once for all of them."""
    nodes = [node("ReduceMean", "x", "m", axes=[1]), node("Sub", "x m", "y")]
    path = save(tmp_path / "m.onnx", nodes, [("x", [1, 2, 32])], [("y", [1, 2, 32])])
    x = sound(2)
    np.testing.assert_allclose(x - x.mean(axis=0), OnnxSystem(path, RATE, 2).run(x), atol=1e-6)
    assert "its sound and its states were not recognised" in refusal(path)


def test_a_stream_keeps_its_own_past(tmp_path):
    """Fresh streams have states of zero, whatever others were fed."""
    system = OnnxSystem(fir(tmp_path / "m.onnx", TAPS, [1, 16]), RATE, 2)
    one, other = system.streaming(), system.streaming()
    block = np.ones((2, 16))
    one.process(block)
    assert 16 == one.block_samples
    np.testing.assert_allclose(np.cumsum(TAPS)[0], other.process(block)[:, 0])
    np.testing.assert_allclose(np.sum(TAPS), one.process(block)[:, 0])


@pytest.mark.parametrize(
    "names",
    [
        ("x", "state", "y", "state_out"),
        ("input", "h_in", "output", "h_out"),
        ("noisy", "conv_cache", "enh", "conv_cache_out"),
        ("input", "state", "output", "stateN"),
        ("in", "h0", "out", "hn"),
        ("audio_in", "buffer.1", "audio_out", "buffer.5"),
    ],
)
def test_names_tell_sound_from_states_of_its_shape(tmp_path, names):
    """Where a state looks like a sound, the names decide."""
    path = fir(tmp_path / "m.onnx", [1.0] * 17, [1, 16], names, [1, 16])
    y = OnnxSystem(path, RATE).run(sound())
    np.testing.assert_allclose(filtered(sound(), [1.0] * 17), y, atol=1e-4)


def test_where_names_say_nothing_it_asks(tmp_path):
    """Two tensors of one shape with meaningless names are not guessed at; the user says it."""
    names = ("onnx::1", "onnx::2", "11", "12")
    path = fir(tmp_path / "m.onnx", TAPS, [1, 16], names, [1, 5])
    assert "its tensors can be read in 2 ways (inputs onnx::1 [1, 16] float, onn" in refusal(path)
    for options in (
        {"audio_input": "onnx::1"},
        {"audio_output": "11"},
        {"states": {"onnx::2": "12"}},
    ):
        y = OnnxSystem(path, RATE, **options).run(sound())
        np.testing.assert_allclose(filtered(sound(), TAPS), y, atol=1e-6)


def test_states_of_one_shape_are_paired_by_their_names(tmp_path):
    """States h and c change places in the outputs, and are still handed on to themselves."""
    also = [node("Identity", "c", "c_out"), node("Add", "h c", "h_out")]
    state = [1, 1, 4]
    path = plain(
        tmp_path / "m.onnx",
        [("x", [1, 32]), ("h", state), ("c", state)],
        [("y", [1, 32]), ("c_out", state), ("h_out", state)],
        also=also,
    )
    states = OnnxSystem(path, RATE).wiring.states
    assert {"h": "h_out", "c": "c_out"} == {a.name: b.name for a, b in states.items()}


def test_outputs_that_nobody_needs_are_left(tmp_path):
    """A probability beside the sound does no harm."""
    also = [node("ReduceMean", "x", "vad", axes=[1])]
    path = plain(
        tmp_path / "m.onnx", [("x", [1, 32])], [("y", [1, 32]), ("vad", [1, 1])], also=also
    )
    assert "y" == OnnxSystem(path, RATE).wiring.audio_output.name


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "piece"),
    [
        ([("x", [1, 257])], [("y", [1, 257])], {}, "were not recognised (inputs x [1, 257] float;"),
        ([("x", [1, 2, 257])], [("y", [1, 2, 257])], {}, "measure a Python function around"),
        ([("x", [1, 805])], [("y", [1, 805])], {}, "name them with --onnx-input, --onnx-outpu"),
        ([("x", [1, 32])], [("y", [1, 32])], {"window": 16}, "and --window says 16; leave it out"),
        ([("x", [1, 32])], [("y", [1, 32])], {"hop": 0}, "--hop is 0 samples; give at least one"),
        ([("x", [1, 32])], [("y", [1, 32])], {"hop": 64}, "--hop says 64; give a hop that is no"),
        ([("x", [1, 32])], [("y", [1, 32])], {"hop": 16}, "gives 32 samples of shape [1, 32] for"),
        (
            [("audio", [1, 32])],
            [("y", [1, 32])],
            {"audio_input": "adio"},
            "the model has no input 'adio' (did you mean 'audio'?); there are audio",
        ),
        (
            [("x", [1, 32])],
            [("y", [1, 32])],
            {"states": {"x": "z"}},
            "the model has no output 'z'",
        ),
        (
            [("x", [1, 32], TensorProto.INT64)],
            [("y", [1, 32], TensorProto.INT64)],
            {},
            "inputs x [1, 32] int64; outputs y [1, 32] int64",
        ),
    ],
)
def test_what_is_not_understood_is_said(tmp_path, inputs, outputs, options, piece):
    """Spectra and impossible options are refused, with the tensors listed."""
    path = plain(tmp_path / "m.onnx", inputs, outputs)
    assert piece in refusal(path, **options)


def test_a_spectrum_may_be_said_to_be_sound(tmp_path):
    """Whoever has hops of 257 samples says so by naming the sound."""
    path = plain(tmp_path / "m.onnx", [("x", [1, 257])], [("y", [1, 257])])
    system = OnnxSystem(path, RATE, audio_input="x", audio_output="y")
    np.testing.assert_array_equal(sound(), system.run(sound()))


def test_scores_are_no_sound(tmp_path):
    """One number for an open window is no hop of sound."""
    nodes = [node("Compress", "x keep", "y", axis=1)]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [("x", ["b", "n"])],
        [("y", ["b", "m"])],
        [constant("keep", [True], np.bool_)],
    )
    piece = "gives 1 samples of shape [1, 1] for a window of 64 and a hop of 64; a hop of sound"
    assert piece in refusal(path, hop=64)


def test_a_state_that_changes_its_shape_is_refused(tmp_path):
    """A memory that grows with each hop is none that can be handed on."""
    nodes = [node("Identity", "x", "y"), node("Concat", "s x", "s_out", axis=1)]
    inputs, outputs = [("x", [1, 16]), ("s", [1, "k"])], [("y", [1, 16]), ("s_out", [1, "m"])]
    path = save(tmp_path / "m.onnx", nodes, inputs, outputs)
    assert "its state s is [1, 1] before a hop and [1, 17] after it; name the st" in refusal(path)


def test_a_model_that_does_not_run_is_told(tmp_path):
    """What ONNX Runtime refuses is said with its reason in one line."""
    path = save(
        tmp_path / "m.onnx",
        [node("Reshape", "x fixed", "y")],
        [("x", [1, "n"])],
        [("y", [1, 30])],
        [constant("fixed", [1, 30], np.int64)],
    )
    said = refusal(path, hop=15, window=15, audio_output="y")
    assert "does not run with a window of 15 samples (" in said
    assert said.endswith("); try another --hop and --window")


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x07\x12\x04test" * 50])
def test_a_file_that_is_no_model(tmp_path, content):
    """Damaged files, and files of another kind, are refused in one line."""
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    said = refusal(path)
    assert "is no model that ONNX Runtime can load (" in said
    assert "\n" not in said


def test_a_model_that_is_not_there(tmp_path):
    """The nearest name in the folder is shown."""
    plain(tmp_path / "model.onnx", [("x", [1, 32])], [("y", [1, 32])])
    said = refusal(tmp_path / "models.onnx")
    assert "there is no such model (did you mean 'model.onnx'?); name an .onnx file" in said
    assert "there is no such model; name an .onnx file" in refusal(tmp_path / "no" / "where")


@pytest.mark.parametrize(
    "model",
    [
        "denoise/dtln_model_1.onnx",
        "denoise/gtcrn.onnx",
        "metrics/sig_bak_ovr.onnx",
        "plc/ms_plc2022_baseline_nsnetv2.onnx",
        "plc/tPLCnet_s.onnx",
        "vad/silero_vad_16k_op15.onnx",
    ],
)
def test_published_models_that_are_no_sound_to_sound(model):
    """Spectral, two-stage and scoring models are refused, and their tensors listed."""
    if not (MODELS / model).is_file():
        pytest.skip("the published model is not here")
    assert "its sound and its states were not recognised (inputs " in refusal(MODELS / model)
