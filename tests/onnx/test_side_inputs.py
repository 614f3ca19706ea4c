# SPDX-License-Identifier: MIT
"""Side inputs of bundles: a manifest declares them, and the model gets the vector that holds."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from bundles import chain_of, dense, noise, one_stage, played
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import LONG, node, save

from rtcore import ConfigError, ModelError, RtcoreError
from rtcore.audiofile import read, write
from rtcore.latency.bundles import verify_bundle
from rtcore.models import find_bundle

HOP, WIDTH, FRAMES, RATE = 64, 5, 6400, 16000
X = noise(FRAMES)
VECTORS = np.random.default_rng(3).normal(size=(12, WIDTH)).astype(np.float32)
LIPS = {"width": WIDTH, "rate_hz": 25.0, "initial": 0.25}
INPUTS = {"x": "hop", "lips": {"side": "lips"}, "s": {"state": "s_next"}}


def bundle(folder, **changes):
    """Make a model of sound, a state and five features, and its manifest."""
    dense(folder / "model.onnx", {"x": HOP, "lips": WIDTH, "s": 8}, {"y": HOP, "s_next": 8})
    keys = {"hop": HOP, "lookahead": HOP - 1, "sides": {"lips": LIPS}, **changes}
    return one_stage(folder, keys.pop("inputs", INPUTS), {"y": "hop"}, **keys)


@pytest.fixture(scope="module")
def lips(tmp_path_factory):
    """Give the bundle."""
    return bundle(tmp_path_factory.mktemp("side") / "lips")


def looped(folder, x, vectors, frames):
    """Run the model hop by hop, as its authors would."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    state, out = np.zeros((1, 8), np.float32), []
    holds = np.full((1, WIDTH), 0.25, np.float32)
    for start in range(0, x.shape[1] - HOP + 1, HOP):
        for vector, frame in zip(vectors, frames, strict=True):
            if frame <= start + HOP - 1:
                holds = vector[None]
        y, state = session.run(
            ["y", "s_next"], {"x": x[:, start : start + HOP], "lips": holds, "s": state}
        )
        out.append(y)
    return np.concatenate(out, axis=1)


class TestPlayed:
    @settings(deadline=None, max_examples=15)
    @given(
        frames=st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=12).map(sorted),
        sizes=st.lists(st.integers(1, 900), min_size=1, max_size=4),
        placement=st.sampled_from(["inline", "worker"]),
    )
    def test_equals_a_plain_loop(self, lips, frames, sizes, placement):
        """The model gets the newest vector at each hop's last frame, wherever it runs."""
        chain = chain_of(lips, placement=placement)
        chain.feed("lips", VECTORS[: len(frames)], at_frame=frames)
        parts, at = [], 0
        while at < FRAMES:
            size = sizes[len(parts) % len(sizes)]
            parts.append(chain.process(X[:, at : at + size]))
            at += size
        y = np.concatenate([*parts, chain.flush()], axis=1)[:, chain.latency_frames :]
        expected = looped(lips, X, VECTORS[: len(frames)], frames)
        assert np.abs(y[:, :FRAMES] - expected).max() <= 1e-6

    def test_two_channels(self, lips):
        """Each channel has a run of its own, and all get the same vectors."""
        chain = chain_of(lips, channels=2)
        chain.feed("lips", VECTORS, at_frame=0)
        y = played(chain, np.concatenate([X, X]))
        assert np.array_equal(y[0], y[1])
        assert np.abs(y[:1] - looped(lips, X, VECTORS, 640 * np.arange(12))).max() <= 1e-6

    @pytest.mark.parametrize("rate", [8000, 48000])
    def test_other_rates(self, lips, rate):
        """In a stream of another rate vectors come at the stream's frames; worker and inline."""
        sounds = []
        for placement, chunk in (("inline", FRAMES), ("inline", 100), ("worker", 333)):
            chain = chain_of(lips, sample_rate=rate, placement=placement)
            chain.feed("lips", VECTORS, at_frame=0)
            parts = [chain.process(X[:, k : k + chunk]) for k in range(0, FRAMES, chunk)]
            y = np.concatenate([*parts, chain.flush()], axis=1)
            sounds.append(y[:, chain.nodes[0].node.reblock_frames :][:, :FRAMES])
            silent = chain_of(lips, sample_rate=rate)
            assert not np.array_equal(sounds[-1], played(silent, X)[:, :FRAMES])
        assert np.array_equal(sounds[0], sounds[1])
        assert np.array_equal(sounds[0], sounds[2])


def refused(folder, sentence):
    with pytest.raises(RtcoreError, match=sentence) as caught:
        chain_of(folder)
    assert isinstance(caught.value, (ConfigError, ModelError))


class TestMisfits:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"sides": {}}, r"inputs\.lips asks for the side input 'lips', which is not among si"),
            ({"sides": {"lips": {"width": 6}}}, r"lips has the shape 1 x 5, and the side input li"),
            ({"sides": {"lips": {**LIPS, "width": 0}}}, r"sides\.lips\.width"),
            ({"sides": {"lips": {**LIPS, "initial": [0.0] * 4}}}, r"initial must be one finite nu"),
            ({"sides": {"lips": {**LIPS, "rate_hz": -25.0}}}, r"sides\.lips\.rate_hz"),
            ({"sides": {"lips": {**LIPS, "lateness_s": -1.0}}}, r"sides\.lips\.lateness_s"),
            ({"sides": {"lips": {**LIPS, "rate": 25.0}}}, r"sides\.lips\.rate"),
            ({"sides": {"lips": LIPS, "Lips": LIPS}}, r"side input 'Lips' needs a name of lett"),
            (
                {"inputs": {**INPUTS, "lips": {"side": "lips", "constant": 1.0}}},
                r"an input comes from one of .* side",
            ),
        ],
    )
    def test_sentences(self, tmp_path, changes, sentence):
        """A manifest that cannot be, or does not fit its model, is refused with a sentence."""
        refused(bundle(tmp_path, **changes), sentence)

    def test_type(self, tmp_path):
        """A side input of another type than float32."""
        nodes = [node("Cast", "n", "f", to=1), node("Add", "x f", "y")]
        sound = (1, [1, HOP])
        save(tmp_path / "model.onnx", nodes, {"x": sound, "n": (LONG, [1, 1])}, {"y": sound})
        one_stage(
            tmp_path, {"x": "hop", "n": {"side": "n"}}, {"y": "hop"}, hop=HOP,
            sides={"n": {"width": 1}},
        )  # fmt: skip
        refused(tmp_path, r"input n is of int64; .* so do vectors")


def claims_of(folder):
    return {claim.what: claim for claim in verify_bundle(find_bundle(str(folder)), seconds=0.2)}


class TestCommands:
    def test_verify(self, lips):
        """Verify feeds vectors: they matter, and no cutting changes a bit."""
        claims = claims_of(lips)
        assert claims["model.onnx: side input lips"].holds is True
        assert claims["streaming equals one piece"].holds is True
        assert not [claim for claim in claims.values() if claim.holds is False]

    def test_verify_finds_one_that_does_nothing(self, tmp_path):
        """A side input without any effect on the model is no side input."""
        sound = (1, [1, HOP])
        nodes = [node("Identity", "x", "y"), node("Identity", "lips", "unused")]
        tensors = {"x": sound, "lips": (1, [1, WIDTH])}
        save(tmp_path / "model.onnx", nodes, tensors, {"y": sound, "unused": (1, [1, WIDTH])})
        inputs = {"x": "hop", "lips": {"side": "lips"}}
        one_stage(tmp_path, inputs, {"y": "hop"}, hop=HOP, sides={"lips": LIPS})
        assert claims_of(tmp_path)["model.onnx: side input lips"].holds is False

    def test_show(self, lips):
        """Show names the side input, its width and its rate."""
        from rtcore.cli import main

        shown = CliRunner().invoke(main, ["models", "show", str(lips)]).output
        line = next(line for line in shown.splitlines() if line.startswith("lips  "))
        assert "side input lips" in line
        row = shown.splitlines()[-1].split()
        assert row[:4] == ["lips", "5", "0.25", "25"]

    def test_process(self, lips, tmp_path, monkeypatch):
        """The file holds what the chain plays with the same vectors."""
        from rtcore.cli import main

        monkeypatch.chdir(tmp_path)
        write("in.wav", X, RATE, subtype="FLOAT")
        np.save("lips.npy", VECTORS)
        words = ["process", "in.wav", "out.wav", "--subtype", "FLOAT", "--side", "lips=lips.npy"]
        done = CliRunner().invoke(main, [*words, "-p", f"model:bundle={lips}"])
        assert done.exit_code == 0, done.output
        assert "1 of the vectors of --side lips begin after the end" in done.output
        chain = chain_of(lips)
        chain.feed("lips", VECTORS, at_frame=0)
        assert np.array_equal(read("out.wav")[0], chain.render(X))
