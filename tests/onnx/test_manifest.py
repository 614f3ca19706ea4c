# SPDX-License-Identifier: MIT
"""Manifests: what is wrong gets a sentence that names file and key, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import adding_up, chain_of, dense, model, one_stage, passing, sha256, toml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import DOUBLE, FLOAT, HALF, LONG, node, save, text

from rtcore.errors import ConfigError, ModelError, ParameterError, RtcoreError
from rtcore.onnx.manifest import Manifest, load_manifest

HOP = 32
STAGE = {"file": "model.onnx", "inputs": {"x": "hop"}, "outputs": {"y": "hop"}}
GOOD = {
    "id": "small", "description": "A model", "licence": "MIT", "sample_rate": 16000, "hop": HOP,
    "stage": [STAGE],
}  # fmt: skip


def written(folder, changes, drop=()):
    """Write a manifest that differs from a good one."""
    keys = {k: v for k, v in {**GOOD, **changes}.items() if k not in drop}
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text("".join(f"{k} = {toml(v)}\n" for k, v in keys.items()))
    return folder


def stage(**changes):
    """Change the stage."""
    return {"stage": [{**STAGE, **changes}]}


def test_a_good_one(tmp_path):
    """What is absent has its default."""
    manifest = load_manifest(written(tmp_path, {}))
    assert (HOP, 0, 1, None) == (
        manifest.window, manifest.latency, manifest.channels, manifest.gate,
    )  # fmt: skip
    assert not manifest.spectral
    assert manifest == load_manifest(tmp_path / "model.toml")


FORESEEN = {
    **stage(outputs={"y": "patch"}),
    "frame": {"window": 64, "foresight": True},
    "concealment": True,
}
WRONG = {
    "no key": ({"hopp": 3}, r"model\.toml: hopp: is no key .*did you mean 'hop'"),
    "no key of a stage": (stage(fil="a"), r"stage\[0\]\.fil: is no key .*did you mean 'file'"),
    "no key of a source": (
        stage(inputs={"x": {"stat": "y"}}),
        r"stage\[0\]\.inputs\.x\.stat: is no key .*did you mean 'state'.*constant, parameter",
    ),
    "no key of a part": (
        stage(inputs={"x": {"parts": [{"feature": "lost", "agee": 1}]}}),
        r"parts\[0\]\.agee: is no key .*did you mean 'age'",
    ),
    "no key of a target": (
        stage(outputs={"y": {"controlx": "y"}}),
        r"outputs\.y\.controlx: is no key .*did you mean 'control'",
    ),
    "no key of a frame": ({"frame": {"windw": 64}}, r"frame\.windw: is no key.*'window'"),
    "no key of a gate": ({"gate": {"hear": "any"}}, r"gate\.hear: is no key.*'hears'"),
    "no key of a parameter": (
        {"parameters": {"g": {"default": 0, "min": 0, "max": 1, "units": "dB"}}},
        r"parameters\.g\.units: is no key .*did you mean 'unit'",
    ),
    "text for a number": ({"hop": "32"}, r"hop: does not fit .*valid integer; found '32'"),
    "fraction": ({"hop": 32.5}, r"hop: does not fit .*valid integer; found 32\.5"),
    "no hop": ({"hop": 0}, r"hop: does not fit .*greater than or equal to 1; found 0"),
    "rate": ({"sample_rate": 10}, r"sample_rate: does not fit"),
    "channels": ({"channels": 65}, r"channels: does not fit"),
    "id": ({"id": "Two words"}, r"id: does not fit .*pattern"),
    "no stage": ({"stage": []}, r"stage: does not fit .*at least 1"),
    "a patch without foresight": (
        {**stage(outputs={"y": "patch"}), "concealment": True},
        r"frame\.foresight needs a model that gives a patch",
    ),
    "foresight without a patch": (
        {"frame": {"window": 64, "foresight": True}, "concealment": True},
        r"frame\.foresight needs a model that gives a patch",
    ),
    "a fade without foresight": ({"frame": {"fade": 8}}, r"frame\.fade needs frame\.foresight"),
    "foresight in too short a frame": (
        {**FORESEEN, "frame": {"window": 48, "foresight": True}},
        r"frame\.window must be at least two hops, 64 samples",
    ),
    "too long a fade": (
        {**FORESEEN, "frame": {"window": 64, "foresight": True, "fade": 17}},
        r"frame\.fade must be at most half a hop, 16 samples",
    ),
    "foresight and latency": (
        {**FORESEEN, "latency": 1},
        r"frame\.hindsight = 0 latency must be 0 and lookahead 0, found 1 and 0",
    ),
    "hindsight that is not declared": (
        {**FORESEEN, "frame": {"window": 64, "foresight": True, "hindsight": 16}, "latency": 16},
        r"frame\.hindsight = 16 latency must be 16 and lookahead 47, found 16 and 0",
    ),
    "two joints": (
        {**FORESEEN, "frame": {"window": 64, "foresight": True, "hindsight": 16, "fade": 16}},
        r"frame\.fade and frame\.hindsight exclude one another",
    ),
    "too much hindsight": (
        {**FORESEEN, "frame": {"window": 64, "foresight": True, "hindsight": 17}},
        r"frame\.hindsight must be at most half a hop, 16 samples",
    ),
    "hindsight without foresight": (
        {"frame": {"hindsight": 8}}, r"frame\.hindsight needs frame\.foresight"
    ),
    "foresight that is no concealment": (
        {**FORESEEN, "concealment": False},
        r"frame\.foresight goes with concealment = true, without gate",
    ),
    "foreign feature": (stage(inputs={"x": "wave"}), r"feature: does not fit .*'hop', 'frame'"),
    "foreign target": (stage(outputs={"y": "wave"}), r"does not fit .*'mask'.*found 'wave'"),
    "foreign window": (
        {"frame": {"synthesis": "kaiser"}}, r"frame\.synthesis: does not fit .*'hann'",
    ),
    "checksum": (stage(sha256="abc"), r"sha256: does not fit"),
    "file elsewhere": (stage(file="../a.onnx"), r"stage\[0\]: does not fit .*own folder"),
    "two sources": (
        stage(inputs={"x": {"state": "y", "constant": 1.0}}),
        r"an input comes from one of a feature, parts, state, constant, parameter",
    ),
    "no source": (stage(inputs={"x": {}}), r"an input comes from one of"),
    "sound and control": (
        stage(outputs={"y": {"parts": ["hop"], "control": "a"}}),
        r"an output is sound, in one part or more, or a control",
    ),
    "past without samples": (
        stage(inputs={"x": "past_output"}), r"past_output needs samples, and only it has them",
    ),
    "samples without past": (
        stage(inputs={"x": {"feature": "hop", "samples": 3}}), r"past_output needs samples",
    ),
    "hop beyond the window": (
        {"frame": {"window": 16}}, r"frame\.window must be at least the hop of 32 samples",
    ),
    "odd window": (
        {"frame": {"window": 65}, **stage(inputs={"x": "magnitude"})},
        r"frame\.window must be even where there is a spectrum",
    ),
    "half a sound": (
        stage(outputs={"y": "sine"}),
        r"outputs of a stage make its sound once and whole.*found sine",
    ),
    "sound twice": (
        stage(outputs={"y": "hop", "z": "hop"}), r"once and whole.*found hop \+ hop",
    ),
    "gate over late hops": (
        {"gate": {"hears": "any"}, "latency": 8}, r"does not fit a latency of 8",
    ),
    "parameter unknown": (
        stage(inputs={"x": {"parameter": "gain"}}),
        r"stage\[0\]\.inputs\.x asks for the parameter 'gain', which is not among parameters",
    ),
    "parameter's name": (
        {"parameters": {"G": {"default": 0, "min": 0, "max": 1}}},
        r"parameter 'G' needs a name of letters, digits and _",
    ),
    "default outside": (
        {"parameters": {"g": {"default": 2, "min": 0, "max": 1}}},
        r"default must lie between min and max",
    ),
    "infinite": (
        {"parameters": {"g": {"default": 0.0, "min": 0.0, "max": float("inf")}}}, r"TOML|finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_keys(tmp_path, case):
    """Each misfit inside a manifest has a sentence."""
    changes, sentence = WRONG[case]
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_manifest(written(tmp_path, changes))
    assert str(tmp_path / "model.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["id", "description", "licence", "sample_rate", "hop", "stage"])
def test_missing_keys(tmp_path, key):
    """What must be there is asked for."""
    with pytest.raises(ConfigError, match=rf"model\.toml: {key}: is missing in this file"):
        load_manifest(written(tmp_path, {}, drop=[key]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id = ", "is no TOML file"),
        (b"\xff\xfe", "is no text file"),
        (b"a = " + b"[" * 9000, "is nested too deeply|is no TOML file"),
        (b"id = 1e999999\n" * 2, "is no TOML file"),
    ],
)
def test_no_toml(tmp_path, content, sentence):
    """A file that is no TOML is said to be none."""
    (tmp_path / "model.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        load_manifest(tmp_path)


def test_no_manifest(tmp_path):
    """A folder without a manifest is no bundle, and a file that is not there cannot be read."""
    with pytest.raises(ModelError, match=r"is no model bundle; it has no model\.toml"):
        load_manifest(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read as a model's manifest"):
        load_manifest(tmp_path / "none.toml")


words = st.sampled_from(
    [*Manifest.model_fields, "file", "sha256", "inputs", "outputs", "x", "window", "analysis"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | words
    | st.sampled_from(["hop", "frame", "magnitude", "lost", "mask", "hann"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=5), inner),
    max_leaves=12,
)  # fmt: skip


def as_toml(value):
    """Write anything as TOML, or as near to it as it goes."""
    if value is None:
        return "1979-05-27T07:32:00Z"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return toml(value)


quiet = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_or_refused(folder):
    """Read a manifest, or be told why not in one line."""
    try:
        assert isinstance(load_manifest(folder), Manifest)
    except (ConfigError, ModelError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - both ways are good


@quiet
@given(changes=st.dictionaries(words, values, max_size=4))
def test_any_toml(tmp_path, changes):
    """Whatever stands in the file, it is read or refused in a sentence."""
    keys = {**GOOD, **changes}
    text = "".join(f"{k} = {as_toml(v)}\n" for k, v in keys.items())
    (tmp_path / "model.toml").write_text(text, "utf-8", errors="surrogatepass")
    read_or_refused(tmp_path)


@quiet
@given(changes=st.dictionaries(words, values, max_size=3))
def test_any_stage(tmp_path, changes):
    """The same inside a stage."""
    text = "".join(
        f"{k} = {as_toml(v)}\n" for k, v in {**GOOD, "stage": [{**STAGE, **changes}]}.items()
    )
    (tmp_path / "model.toml").write_text(text, "utf-8", errors="surrogatepass")
    read_or_refused(tmp_path)


@quiet
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path, content):
    """Bytes of any kind are refused in a sentence."""
    (tmp_path / "model.toml").write_bytes(content)
    read_or_refused(tmp_path)


def refused(folder, sentence, kind=ModelError, **settings_of_it):
    """Expect a sentence where the chain is built."""
    with pytest.raises(kind, match=sentence) as caught:
        chain_of(folder, **settings_of_it)
    assert "\n" not in str(caught.value)


class TestModelsThatDoNotFit:
    """The manifest is good, but the model is another than it says."""

    def test_no_file(self, tmp_path):
        """The file is missing."""
        refused(written(tmp_path, {}), r"model\.onnx: there is no such model file")

    def test_another_file(self, tmp_path):
        """The checksum differs, and is good where it does not."""
        path = passing(tmp_path / "model.onnx", HOP)
        good = sha256(path)
        chain_of(written(tmp_path, stage(sha256=good)))
        refused(written(tmp_path, stage(sha256="0" * 64)), r"another file .*" + good)

    def test_truncated(self, tmp_path):
        """Half a file, an empty one, and what is no model at all."""
        path = dense(tmp_path / "model.onnx", {"x": HOP}, {"y": HOP})
        whole = path.read_bytes()
        written(tmp_path, {})
        for content in (whole[: len(whole) // 2], b"", b"RIFF" + bytes(400), whole[:-1]):
            path.write_bytes(content)
            refused(tmp_path, r"model\.onnx: (ONNX Runtime .* refuses this model|.*is empty)")

    def test_input_not_named(self, tmp_path):
        """Every input of the model must have a source."""
        adding_up(tmp_path / "model.onnx", HOP)
        refused(written(tmp_path, {}), r"does not say what the model's input 's' is given; name it")

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            (stage(inputs={"xx": "hop"}), r"no input 'xx' \(did you mean 'x'\?\); it has x"),
            (stage(outputs={"yy": "hop"}), r"no output 'yy' \(did you mean 'y'\?\); it has y"),
            (stage(inputs={"x": {"state": "z"}}), r"no output 'z'.*it has y"),
        ],
    )
    def test_unknown_names(self, tmp_path, changes, sentence):
        """Names that the model does not have."""
        passing(tmp_path / "model.onnx", HOP)
        refused(written(tmp_path, changes), sentence)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"hop": 64}, r"input x has the shape 1 x 32, and hop has 64 numbers"),
            (
                stage(inputs={"x": "spectrum"}),
                r"input x has the shape 1 x 32, and spectrum has 34 numbers",
            ),
            (stage(outputs={"y": "mask"}), r"output y has the shape 1 x 32, and mask has 17"),
        ],
    )
    def test_sizes(self, tmp_path, changes, sentence):
        """Sizes that are not those of the feature or target."""
        passing(tmp_path / "model.onnx", HOP)
        refused(written(tmp_path, changes), sentence)

    def test_half_precision(self, tmp_path):
        """Sound in float16 or float64."""
        for kind, name in ((HALF, "float16"), (DOUBLE, "float64")):
            shape = (kind, [HOP])
            save(tmp_path / "model.onnx", [node("Neg", "x", "y")], {"x": shape}, {"y": shape})
            refused(
                written(tmp_path, {}), rf"input x is of {name}; sound goes in and out as float32"
            )

    def test_states_of_two_types(self, tmp_path):
        """A state whose next value has another type."""
        nodes = [node("Add", "x s", "y"), node("Cast", "s", "n", to=LONG)]
        shape = (FLOAT, [1, HOP])
        save(
            tmp_path / "model.onnx", nodes, {"x": shape, "s": shape},
            {"y": shape, "n": (LONG, [1, HOP])},
        )  # fmt: skip
        one_stage(tmp_path, {"x": "hop", "s": {"state": "n"}}, {"y": "hop"}, hop=HOP)
        refused(tmp_path, r"input s is of float32 and n, which it takes over, of int64")

    def test_states_of_two_sizes(self, tmp_path):
        """A state whose next value has another size."""
        nodes = [node("Add", "x s", "y"), node("Concat", "s s", "n", axis=1)]
        shape = (FLOAT, [1, HOP])
        save(
            tmp_path / "model.onnx", nodes, {"x": shape, "s": shape},
            {"y": shape, "n": (FLOAT, [1, 2 * HOP])},
        )  # fmt: skip
        one_stage(tmp_path, {"x": "hop", "s": {"state": "n"}}, {"y": "hop"}, hop=HOP)
        refused(tmp_path, r"its next state n has the shape 1 x 64, and the state has 32 numbers")

    def test_numbers_that_a_type_cannot_hold(self, tmp_path):
        """A constant of int64 with a fraction, one beyond float32."""
        nodes = [node("Cast", "n", "f", to=FLOAT), node("Add", "x f", "y")]
        tensors = {"x": (FLOAT, [1, HOP]), "n": (LONG, [])}
        save(tmp_path / "model.onnx", nodes, tensors, {"y": (FLOAT, [1, HOP])})
        for number in (0.5, 1e300):
            one_stage(tmp_path, {"x": "hop", "n": {"constant": number}}, {"y": "hop"}, hop=HOP)
            refused(tmp_path, r"input n is of int64, which cannot hold")
        adding_up(tmp_path / "model.onnx", HOP)
        source = {"state": "s_next", "initial": 1e300}
        one_stage(tmp_path, {"x": "hop", "s": source}, {"y": "hop"}, hop=HOP)
        refused(tmp_path, r"input s is of float32, which cannot hold 1e\+300")

    def test_a_type_that_cannot_be_bound(self, tmp_path):
        """Text."""
        text(tmp_path / "model.onnx")
        refused(written(tmp_path, {}), "has a type that rtcore does not bind")

    def test_channels(self, tmp_path):
        """A stream whose channels are no multiple of the model's."""
        passing(tmp_path / "model.onnx", 2 * HOP)
        written(tmp_path, {"channels": 2})
        chain_of(tmp_path, channels=4)
        refused(
            tmp_path, r"takes 2 channels at a time and the stream has 3; give a multiple of 2",
            ConfigError, channels=3,
        )  # fmt: skip


class TestParameters:
    """Numbers that the user sets."""

    @pytest.fixture
    def folder(self, tmp_path):
        """Make a model with a gain."""
        shape = (FLOAT, [1, HOP])
        tensors = {"x": shape, "g": (FLOAT, [1])}
        save(tmp_path / "model.onnx", [node("Mul", "x g", "y")], tensors, {"y": shape})
        one_stage(
            tmp_path, {"x": "hop", "g": {"parameter": "gain"}}, {"y": "hop"}, hop=HOP,
            parameters={"gain": {"default": 1, "min": 0, "max": 2, "unit": "times"}},
        )  # fmt: skip
        return tmp_path

    @pytest.mark.parametrize("value", [3, -1, float("nan"), "loud", True, None])
    def test_out_of_range(self, folder, value):
        """A value outside of the declared range, or none."""
        refused(
            folder, r"parameter 'gain' must be a number from 0 to 2 times, got",
            parameters={"gain": value},
        )  # fmt: skip

    def test_unknown(self, folder):
        """A name that is not declared."""
        refused(folder, r"has no parameter 'gian'.*it has: gain", parameters={"gian": 1})

    def test_no_table(self, folder):
        """Something else than a table."""
        with pytest.raises(ParameterError, match="must be a table of names to numbers"):
            model(folder, parameters=[1])


def test_a_stream_of_half_hertz(tmp_path):
    """Rates must be whole to be converted."""
    passing(tmp_path / "model.onnx", HOP)
    refused(written(tmp_path, {}), "use a whole number of Hz", ConfigError, sample_rate=16000.5)


def test_any_rate_is_played_or_refused(tmp_path):
    """Rates without a common measure do not crash."""
    passing(tmp_path / "model.onnx", HOP)
    written(tmp_path, {})
    for rate in (16001, 22050, 44101, 96000, 192000):
        try:
            chain = chain_of(tmp_path, sample_rate=rate)
        except RtcoreError as error:
            assert "rate" in str(error)  # noqa: PT017 - both ways are good
        else:
            assert np.isfinite(chain.process(np.zeros((1, 4096), np.float32))).all()
