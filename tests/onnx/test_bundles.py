# SPDX-License-Identifier: MIT
"""What a bundle declares is what happens: every feature and target against a plain loop."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from bundles import adding_up, chain_of, declare, dense, noise, one_stage, played
from small_models import DOUBLE, FLOAT, LONG, constant, node, save

HOP, WINDOW, BINS, HOPS = 64, 160, 81, 40
WINDOWS = {
    "rect": np.ones,
    "hann": lambda n: np.hanning(n + 1)[:-1],
    "sqrt-hann": lambda n: np.sqrt(np.hanning(n + 1)[:-1]),
    "hamming": lambda n: np.hamming(n + 1)[:-1],
}
LOST = np.random.default_rng(9).random(HOPS) < 0.3


def session_of(path):
    """Open a model as anybody does."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


class Loop:
    """The authors' way: frames in NumPy, in double precision, and a session."""

    def __init__(self, *, hop=HOP, window=WINDOW, analysis="rect", synthesis="rect"):
        self.hop, self.window = hop, window
        self.analysis, self.synthesis = (WINDOWS[w](window) for w in (analysis, synthesis))
        self.history, self.sums = np.zeros(window), np.zeros(window)

    def take(self, hop):
        """Bring a hop in; give the frame under its window."""
        self.history = np.concatenate([self.history[self.hop :], hop])
        return self.history * self.analysis

    def give(self, frame):
        """Add a frame to those before; give the hop that is whole."""
        self.sums += frame * self.synthesis
        out = self.sums[: self.hop].copy()
        self.sums = np.concatenate([self.sums[self.hop :], np.zeros(self.hop)])
        return out


def hops_of(x, hop=HOP):
    """Cut a sound."""
    return [x[k : k + hop].astype(np.float64) for k in range(0, x.size - hop + 1, hop)]


FEATURES = {
    "hop": (HOP, lambda _s, _f, hop: hop),
    "frame": (WINDOW, lambda _s, frame, _h: frame),
    "spectrum": (2 * BINS, lambda s, _f, _h: np.stack([s.real, s.imag], -1).ravel()),
    "real": (BINS, lambda s, _f, _h: s.real),
    "imaginary": (BINS, lambda s, _f, _h: s.imag),
    "magnitude": (BINS, lambda s, _f, _h: np.abs(s)),
    "log_power": (BINS, lambda s, _f, _h: np.log10(np.maximum(np.abs(s) ** 2, 1e-12))),
    "sine": (BINS, lambda s, _f, _h: np.sin(np.angle(s))),
    "cosine": (BINS, lambda s, _f, _h: np.cos(np.angle(s))),
}


@pytest.mark.parametrize("window", ["rect", "hamming"])
@pytest.mark.parametrize("feature", FEATURES)
def test_features(tmp_path, feature, window):
    """A model is given what the feature's name says."""
    size, make = FEATURES[feature]
    path = dense(tmp_path / "model.onnx", {"x": size}, {"y": HOP})
    one_stage(
        tmp_path, {"x": feature}, {"y": "hop"}, hop=HOP,
        frame={"window": WINDOW, "analysis": window},
    )  # fmt: skip
    x, session, loop = noise(HOP * HOPS), session_of(path), Loop(analysis=window)
    expected = []
    for hop in hops_of(x[0]):
        frame = loop.take(hop)
        given = make(np.fft.rfft(frame), frame, hop).astype(np.float32)[None]
        expected.append(session.run(None, {"x": given})[0][0])
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, np.concatenate(expected), atol=1e-5)


def polar(a, s):
    """Read magnitude, sine and cosine."""
    del s
    m, sine, cosine = a.reshape(3, -1)
    return m * (cosine + 1j * sine)


TARGETS = {
    "spectrum": (("spectrum",), 2 * BINS, lambda a, _s: a[::2] + 1j * a[1::2]),
    "real + imaginary": (("real", "imaginary"), 2 * BINS, lambda a, _s: a[:BINS] + 1j * a[BINS:]),
    "mask": (("mask",), BINS, lambda a, s: a * s),
    "complex mask": (("complex_mask",), 2 * BINS, lambda a, s: (a[::2] + 1j * a[1::2]) * s),
    "magnitude": (("magnitude",), BINS, lambda a, s: a * np.exp(1j * np.angle(s))),
    "polar": (("magnitude", "sine", "cosine"), 3 * BINS, polar),
}
WHICH = {
    "rect": {"analysis": "sqrt-hann"},
    "both": {"analysis": "sqrt-hann", "synthesis": "sqrt-hann"},
    "behind": {"synthesis": "hann"},
}


@pytest.mark.parametrize("shape", WHICH)
@pytest.mark.parametrize("target", TARGETS)
def test_spectral_targets(tmp_path, target, shape):
    """What a model gives becomes sound as the target's name says, under both windows."""
    parts, size, make = TARGETS[target]
    path = dense(tmp_path / "model.onnx", {"x": WINDOW}, {"y": size})
    one_stage(
        tmp_path, {"x": "frame"}, {"y": {"parts": parts}}, hop=HOP, latency=WINDOW - HOP,
        frame={"window": WINDOW, **WHICH[shape]},
    )  # fmt: skip
    x, session, loop = noise(HOP * HOPS), session_of(path), Loop(**WHICH[shape])
    expected = []
    for hop in hops_of(x[0]):
        frame = loop.take(hop)
        given = session.run(None, {"x": frame.astype(np.float32)[None]})[0][0]
        spectrum = make(given.astype(np.float64), np.fft.rfft(frame))
        # No real sound has an imaginary part there.
        spectrum[[0, -1]] = spectrum[[0, -1]].real
        expected.append(loop.give(np.fft.irfft(spectrum, WINDOW)))
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, np.concatenate(expected), atol=1e-5)


def test_polar_in_three_outputs(tmp_path):
    """Parts of one sound may come from several outputs."""
    sizes = {"m": BINS, "s": BINS, "c": BINS}
    path = dense(tmp_path / "model.onnx", {"x": BINS}, sizes)
    one_stage(
        tmp_path, {"x": "magnitude"}, {"s": "sine", "m": "magnitude", "c": "cosine"}, hop=HOP,
        latency=WINDOW - HOP, frame={"window": WINDOW},
    )  # fmt: skip
    x, session, loop = noise(HOP * HOPS), session_of(path), Loop()
    expected = []
    for hop in hops_of(x[0]):
        given = np.abs(np.fft.rfft(loop.take(hop))).astype(np.float32)[None]
        m, s, c = (a[0].astype(np.float64) for a in session.run(["m", "s", "c"], {"x": given}))
        expected.append(loop.give(np.fft.irfft(m * (c + 1j * s), WINDOW)))
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, np.concatenate(expected), atol=1e-5)


def test_frames_of_several_stages(tmp_path):
    """A stage takes the sound that the stage before it gave, as frame, spectrum or hop."""
    shapes = {"analysis": "hamming"}
    first = dense(tmp_path / "a.onnx", {"x": BINS}, {"y": BINS}, seed=1)
    second = dense(tmp_path / "b.onnx", {"x": WINDOW}, {"y": WINDOW}, seed=2)
    third = dense(tmp_path / "c.onnx", {"x": 2 * BINS}, {"y": 2 * BINS}, seed=3)
    stages = [
        {"file": "a.onnx", "inputs": {"x": "magnitude"}, "outputs": {"y": "mask"}},
        {"file": "b.onnx", "inputs": {"x": "frame"}, "outputs": {"y": "frame"}},
        {"file": "c.onnx", "inputs": {"x": "spectrum"}, "outputs": {"y": "complex_mask"}},
    ]
    declare(
        tmp_path, stage=stages, hop=HOP, latency=WINDOW - HOP, frame={"window": WINDOW, **shapes}
    )
    x, loop = noise(HOP * HOPS), Loop(**shapes)
    a, b, c = map(session_of, (first, second, third))
    expected = []

    def run(session, values):
        given = values.astype(np.float32)[None]
        return session.run(None, {"x": given})[0][0].astype(np.float64)

    for hop in hops_of(x[0]):
        spectrum = np.fft.rfft(loop.take(hop))
        spectrum *= run(a, np.abs(spectrum))
        frame = run(b, np.fft.irfft(spectrum, WINDOW))
        spectrum = np.fft.rfft(frame)
        mask = run(c, np.stack([spectrum.real, spectrum.imag], -1).ravel())
        expected.append(loop.give(np.fft.irfft(spectrum * (mask[::2] + 1j * mask[1::2]), WINDOW)))
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, np.concatenate(expected), atol=1e-5)


def test_hops_of_two_stages(tmp_path):
    """A second stage takes the hop that the first one gave."""
    first = dense(tmp_path / "a.onnx", {"x": HOP}, {"y": HOP}, seed=1)
    second = dense(tmp_path / "b.onnx", {"x": HOP}, {"y": HOP}, seed=2)
    wires = {"inputs": {"x": "hop"}, "outputs": {"y": "hop"}}
    stage = [{"file": "a.onnx", **wires}, {"file": "b.onnx", **wires}]
    declare(tmp_path, stage=stage, hop=HOP)
    x, (a, b) = noise(HOP * HOPS), map(session_of, (first, second))
    expected = [
        b.run(None, {"x": a.run(None, {"x": hop.astype(np.float32)[None]})[0]})[0][0]
        for hop in hops_of(x[0])
    ]
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    assert np.array_equal(np.concatenate(expected), y)


def test_losses_and_past_output(tmp_path):
    """A model is told which hops never came, and hears what went out before."""
    path = dense(tmp_path / "model.onnx", {"x": HOP + 100 + 3 + 2}, {"y": HOP})
    parts = [
        {"feature": "past_output", "samples": 100},
        "hop",
        {"feature": "lost", "repeat": 3},
        {"feature": "lost", "age": 2, "repeat": 2},
    ]
    one_stage(tmp_path, {"x": {"parts": parts}}, {"y": "hop"}, hop=HOP)
    x, session = noise(HOP * HOPS), session_of(path)
    flags, out = np.concatenate([[0, 0], LOST]).astype(np.float32), np.zeros(100, np.float32)
    for k, hop in enumerate(hops_of(x[0])):
        given = [out[-100:], hop, np.full(3, flags[k + 2]), np.full(2, flags[k])]
        given = np.concatenate(given).astype(np.float32)[None]
        out = np.concatenate([out, session.run(None, {"x": given})[0][0]])
    y = played(chain_of(tmp_path), x, lost=LOST, packet=HOP)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, out[100:], atol=1e-5)


@pytest.mark.parametrize("runs", ["heard", "always"])
@pytest.mark.parametrize("hears", ["newest", "any"])
@pytest.mark.parametrize("own", [None, "hann"])
def test_gate(tmp_path, hears, runs, own):
    """A model is heard, and runs, where losses say so; elsewhere the sound passes."""
    path = dense(tmp_path / "model.onnx", {"x": WINDOW, "s": 8}, {"y": WINDOW, "s_next": 8})
    gate = {"hears": hears, "runs": runs} | ({"synthesis": own} if own else {})
    shapes = {"analysis": "sqrt-hann", "synthesis": "sqrt-hann"}
    one_stage(
        tmp_path, {"x": "frame", "s": {"state": "s_next"}}, {"y": "frame"}, hop=HOP,
        latency=WINDOW - HOP, frame={"window": WINDOW, **shapes}, gate=gate, concealment=True,
    )  # fmt: skip
    x, session, loop = noise(HOP * HOPS), session_of(path), Loop(**shapes)
    state, expected = np.zeros((1, 8), np.float32), []
    unheard = WINDOWS[own or "sqrt-hann"](WINDOW) / np.maximum(loop.synthesis, 1e-9)
    for k, hop in enumerate(hops_of(x[0])):
        frame = loop.take(hop)
        heard = LOST[max(k - (1 if hears == "newest" else 3) + 1, 0) : k + 1].any()
        if heard or runs == "always":
            given, state = session.run(
                ["y", "s_next"], {"x": frame.astype(np.float32)[None], "s": state}
            )
        expected.append(loop.give(given[0] if heard else frame * unheard))
    y = played(chain_of(tmp_path), x, lost=LOST, packet=HOP)[0, : HOP * HOPS]
    np.testing.assert_allclose(y, np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize("runs", ["heard", "always"])
def test_gate_over_hops(tmp_path, runs):
    """A gate lets hops pass that came, bit for bit."""
    path = dense(tmp_path / "model.onnx", {"x": HOP}, {"y": HOP})
    gate = {"hears": "newest", "runs": runs}
    one_stage(tmp_path, {"x": "hop"}, {"y": "hop"}, hop=HOP, gate=gate)
    x, session = noise(HOP * HOPS), session_of(path)
    expected = [
        session.run(None, {"x": hop.astype(np.float32)[None]})[0][0] if gone else hop
        for hop, gone in zip(hops_of(x[0]), LOST, strict=True)
    ]
    y = played(chain_of(tmp_path), x, lost=LOST, packet=HOP)[0, : HOP * HOPS]
    assert np.array_equal(np.concatenate(expected), y)


def test_control_parameter_and_constant(tmp_path):
    """Numbers go in from the user and the manifest, one of them an int64, and one comes out."""
    nodes = [
        node("Cast", "sr", "rate", to=FLOAT),
        node("Mul", "x gain", "louder"),
        node("Mul", "louder rate", "y"),
        node("ReduceMax", "x", "top", axes=[1], keepdims=0),
    ]  # fmt: skip
    tensors = {"x": (FLOAT, [1, HOP]), "sr": (LONG, []), "gain": (FLOAT, [1])}
    save(tmp_path / "model.onnx", nodes, tensors, {"y": (FLOAT, [1, HOP]), "top": (FLOAT, [1])})
    one_stage(
        tmp_path,
        {"x": "hop", "sr": {"constant": 3}, "gain": {"parameter": "gain"}},
        {"y": "hop", "top": {"control": "highest"}},
        hop=HOP,
        parameters={"gain": {"default": 0.5, "min": 0, "max": 4}},
    )
    x = noise(HOP * HOPS, channels=2)
    chain = chain_of(tmp_path, channels=2)
    y = played(chain, x)
    assert np.array_equal(y[:, : x.shape[1]], x * np.float32(0.5) * np.float32(3))
    chain = chain_of(tmp_path, channels=2, parameters={"gain": 2.0})
    chain.process(x)
    assert np.array_equal(
        x[:, -HOP:].max(axis=1), chain.nodes[0].node.plugin.controls["highest"][:, 0]
    )
    y = played(chain_of(tmp_path, channels=2, parameters={"gain": 2.0}), x)
    assert np.array_equal(y[:, : x.shape[1]], x * np.float32(2.0) * np.float32(3))


def test_states_of_other_types(tmp_path):
    """States of int64 and float64 are carried on exactly, from the value that is declared."""
    nodes = [
        node("Add", "n one", "n_next"),
        node("Mul", "d third", "d_next"),
        node("Cast", "n_next", "number", to=FLOAT),
        node("Cast", "d_next", "small", to=FLOAT),
        node("Add", "number small", "sum"),
        node("Add", "x sum", "y"),
    ]
    tensors = {"x": (FLOAT, [1, HOP]), "n": (LONG, [1]), "d": (DOUBLE, [1])}
    constants = [constant("one", [1], np.int64), constant("third", [1 / 3], np.float64)]
    outputs = {"y": (FLOAT, [1, HOP]), "n_next": (LONG, [1]), "d_next": (DOUBLE, [1])}
    save(tmp_path / "model.onnx", nodes, tensors, outputs, constants)
    inputs = {
        "x": "hop",
        "n": {"state": "n_next", "initial": 7},
        "d": {"state": "d_next", "initial": 0.1},
    }
    one_stage(tmp_path, inputs, {"y": "hop"}, hop=HOP)
    y = played(chain_of(tmp_path), np.zeros((1, HOP * 9), np.float32))[0]
    d = np.cumprod(np.full(9, np.float64(1 / 3))) * 0.1
    expected = np.arange(8, 17, dtype=np.float32) + d.astype(np.float32)
    np.testing.assert_allclose(y[: HOP * 9 : HOP], expected, rtol=1e-6)


def test_a_state_that_is_also_heard(tmp_path):
    """An output may be sound, and state of two inputs, at the same time."""
    shape = (FLOAT, [1, HOP])
    nodes = [node("Add", "a b", "sum"), node("Mul", "sum keep", "kept"), node("Add", "kept x", "y")]
    save(
        tmp_path / "model.onnx", nodes, {"x": shape, "a": shape, "b": shape}, {"y": shape},
        [constant("keep", 0.25)],
    )  # fmt: skip
    inputs = {"x": "hop", "a": {"state": "y"}, "b": {"state": "y", "initial": 1}}
    one_stage(tmp_path, inputs, {"y": "hop"}, hop=HOP)
    x, expected = noise(HOP * HOPS), []
    a, b = np.zeros(HOP, np.float32), np.ones(HOP, np.float32)
    for hop in hops_of(x[0]):
        a = b = (a + b) * np.float32(0.25) + hop.astype(np.float32)
        expected.append(a)
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    assert np.array_equal(np.concatenate(expected), y)


def test_channels_of_an_instance(tmp_path):
    """A model of two channels gets one behind the other; a stream of four runs it twice."""
    path = dense(tmp_path / "model.onnx", {"x": 2 * (WINDOW + 2 * BINS)}, {"y": 2 * WINDOW})
    one_stage(
        tmp_path, {"x": {"parts": ["frame", "spectrum"]}}, {"y": "frame"}, channels=2, hop=HOP,
        latency=WINDOW - HOP, frame={"window": WINDOW, "synthesis": "hann"},
    )  # fmt: skip
    x, session = noise(HOP * HOPS, channels=4), session_of(path)
    expected = np.zeros((4, HOP * HOPS))
    for pair in (0, 2):
        loops = [Loop(synthesis="hann") for _ in range(2)]
        for k in range(HOPS):
            both = x[pair : pair + 2, k * HOP : (k + 1) * HOP].astype(np.float64)
            frames = [loop.take(hop) for loop, hop in zip(loops, both, strict=True)]
            spectra = [np.fft.rfft(frame) for frame in frames]
            inside = [np.stack([s.real, s.imag], -1).ravel() for s in spectra]
            given = np.concatenate([*frames, *inside]).astype(np.float32)[None]
            made = session.run(None, {"x": given})[0][0].reshape(2, -1)
            for c, loop in enumerate(loops):
                expected[pair + c, k * HOP : (k + 1) * HOP] = loop.give(made[c])
    y = played(chain_of(tmp_path, channels=4), x)[:, : HOP * HOPS]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_states_over_many_hops(tmp_path):
    """A state is fed back at every hop, in turn from both places."""
    adding_up(tmp_path / "model.onnx", HOP)
    one_stage(tmp_path, {"x": "hop", "s": {"state": "s_next"}}, {"y": "hop"}, hop=HOP)
    x, state, expected = noise(HOP * HOPS), np.zeros(HOP, np.float32), []
    for hop in hops_of(x[0]):
        state = state * np.float32(0.9) + hop.astype(np.float32)
        expected.append(state)
    y = played(chain_of(tmp_path), x)[0, : HOP * HOPS]
    assert np.array_equal(np.concatenate(expected), y)
