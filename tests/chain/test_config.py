# SPDX-License-Identifier: MIT
"""Chain files: what they mean, what they refuse, and that they come back as they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rtcore import Audiogram, Chain, Listener, Parallel, PerEar
from rtcore.chain.config import chain_to_toml, config_from_chain, load, parse
from rtcore.chain.export import to_toml
from rtcore.errors import ConfigError, PluginError, RtcoreError
from rtcore.host import find

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GOOD = sorted((EXAMPLES / "chains").glob("*.toml"))
BROKEN = sorted((EXAMPLES / "broken").glob("*.toml"))
GAIN = {"id": "gain", "gain_db": -6.0}


def noise(chain: Chain, frames: int = 3000) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (chain.channels_in, frames))


def same_sound(one: Chain, two: Chain) -> bool:
    x = noise(one)
    return np.array_equal(one.render(x), two.render(x))


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


class TestExamples:
    """The files that ship."""

    @pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
    def test_good_ones_play(self, path):
        """Each example chain is built and plays."""
        chain = Chain.from_toml(path)
        y = chain.render(noise(chain))
        assert (chain.channels_out, 3000 + chain.tail_frames) == y.shape

    @pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
    def test_broken_ones_say_why(self, path):
        """Each broken example is refused with the sentence in its first line."""
        expected = path.read_text("utf-8").splitlines()[0].removeprefix("# error: ")
        with pytest.raises((ConfigError, PluginError)) as caught:
            Chain.from_toml(path)
        assert str(caught.value).startswith(f"{path}: {expected}")

    def test_cec2_is_the_chain_of_objects(self):
        """The CEC2 file means what the same words mean in Python."""
        elements = [find("nalr")(), find("compressor")(), find("softclip")()]
        chain = Chain(elements, sample_rate=44100, dtype="float64")
        assert same_sound(Chain.from_toml(EXAMPLES / "chains" / "cec2.toml"), chain)


class TestWords:
    """What stands at the top of a file."""

    def test_overrides_win(self, tmp_path):
        """Keyword arguments win over the file's words."""
        path = write(tmp_path / "c.toml", "sample_rate = 44100\nchannels = 1\n")
        chain = Chain.from_toml(path, sample_rate=16000, dtype="float64")
        assert (16000.0, 1, np.float64) == (chain.sample_rate, chain.channels_in, chain.spec.dtype)

    def test_unknown_override(self):
        """A keyword that Chain does not have is refused with the nearest one."""
        with pytest.raises(ConfigError, match="did you mean 'channels'"):
            Chain.from_config({"plugin": [GAIN]}, chanels=2)

    def test_open_words_are_none(self, tmp_path):
        """What a file leaves open can be told from what it says."""
        config = load(write(tmp_path / "c.toml", '[[plugin]]\nid = "gain"\n'))
        assert (None, None) == (config.sample_rate, config.channels)

    def test_listeners_lie_beside_the_file(self, tmp_path):
        """A relative listeners file starts at the folder of the chain file."""
        listener = {
            "name": "L1",
            "audiogram_cfs": [250, 1000],
            "audiogram_levels_l": [20, 30],
            "audiogram_levels_r": [25, 35],
        }
        write(tmp_path / "book.json", json.dumps({"L1": listener}))
        text = 'listeners = "book.json"\n[[plugin]]\nid = "nalr"\naudiogram = "L1"\n'
        chain = Chain.from_toml(write(tmp_path / "c.toml", text))
        assert 110 == chain.latency_frames

    def test_files_lie_beside_the_file(self, tmp_path):
        """A text that names a file beside the chain file means that file."""
        write(tmp_path / "me.csv", "ear,250,1000,4000\nboth,20,30,40\n")
        text = '[[plugin]]\nid = "nalr"\naudiogram = "me.csv"\n'
        config = load(write(tmp_path / "c.toml", text))
        assert str(tmp_path / "me.csv") == config.elements[0].audiogram

    def test_bundles_lie_beside_the_file(self, tmp_path):
        """A path that leads to a folder from the chain file means that folder; a word does not."""
        (tmp_path / "mine" / "denoiser").mkdir(parents=True)
        text = """
            [[plugin]]
            id = "model"
            bundle = "mine/denoiser"
            [[plugin]]
            id = "model"
            bundle = "./mine"
            [[plugin]]
            id = "model"
            bundle = "mine"
        """
        found = [e.bundle for e in load(write(tmp_path / "c.toml", text)).elements]
        assert [str(tmp_path / "mine" / "denoiser"), str(tmp_path / "mine"), "mine"] == found

    def test_branches(self):
        """Parallel branches and ears are what the classes of these names are."""
        parallel = {"id": "parallel", "gains_db": [0, -6], "branch": [{}, {"plugin": [GAIN]}]}
        ears = {"id": "per_ear", "left": [GAIN], "right": []}
        chain = Chain.from_config({"plugin": [parallel, ears]})
        gain = find("gain")(gain_db=-6.0)
        twin = Chain([Parallel([], [gain], gains_db=[0, -6]), PerEar(left=[gain], right=[])])
        assert same_sound(chain, twin)

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (None, "there is no such chain file"),
            (b"\xff\xfe\x00", "is not a text file"),
            (b"x = " + b"[" * 5000, "is nested too deeply"),
            (b"x = 1" + b"0" * 5000, "is not TOML"),
        ],
    )
    def test_unreadable(self, tmp_path, content, what):
        """A file that is no TOML at all gives a sentence that begins with its name."""
        path = tmp_path / "c.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: {what}")

    def test_folder(self, tmp_path):
        """A folder in the place of a file gives a sentence."""
        with pytest.raises(ConfigError, match="cannot be read"):
            load(tmp_path)

    def test_plugin_that_fails(self, tmp_path, monkeypatch):
        """A plugin whose constructor fails in a way of its own is named with its place."""
        text = (
            "from rtcore import Plugin, kernel\n"
            "class Odd(Plugin):\n    id = 'odd_config'\n"
            "    def __init__(self, **settings):\n        raise KeyError('x')\n"
            "    @kernel\n    def process(x, y):\n        y[0, 0] = x[0, 0]\n"
        )
        write(tmp_path / "odd_config.py", text)
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(tmp_path))
        with pytest.raises(PluginError, match=r"plugin\[0\]\.odd_config: .*KeyError"):
            Chain.from_config({"plugin": [{"id": "odd_config"}]})


class TestRoundTrip:
    """Chains written down and read back."""

    @pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
    def test_examples(self, path, tmp_path):
        """An example, written and read again, is the same chain and sounds the same."""
        chain = Chain.from_toml(path)
        chain_to_toml(chain, tmp_path / "copy.toml")
        copy = Chain.from_toml(tmp_path / "copy.toml")
        assert config_from_chain(chain) == config_from_chain(copy)
        assert same_sound(chain, copy)

    def test_json(self):
        """The mapping survives JSON, as a session log needs."""
        config = config_from_chain(Chain.from_toml(EXAMPLES / "chains" / "parallel.toml"))
        assert config == json.loads(json.dumps(config))

    def test_live_values(self):
        """A value that was turned while it played is the one written down."""
        chain = Chain([Parallel([find("gain")()], [])])
        chain.update("gain", gain_db=-3.0)
        (element,) = config_from_chain(chain)["plugin"]
        assert -3.0 == element["branch"][0]["plugin"][0]["gain_db"]

    def test_listener_object(self):
        """Ears measured at different frequencies come back with the same gain."""
        person = Listener(
            Audiogram([10, 50], [500, 4000]), Audiogram([20, 30, 70], [250, 1000, 6000])
        )
        chain = Chain([find("nalr")(audiogram=person)])
        assert same_sound(chain, Chain.from_config(config_from_chain(chain)))

    def test_array(self):
        """A NumPy array becomes lists of numbers."""
        chain = Chain([find("fir")(taps=np.array([0.5, 0.25]))])
        assert [[0.5, 0.25]] == config_from_chain(chain)["plugin"][0]["taps"]

    def test_unwritable_value(self, monkeypatch):
        """A value that no file can hold is named with its place."""
        chain = Chain([find("gain")()])
        monkeypatch.setitem(chain.nodes[0].node.plugin._values, "gain_db", object())
        with pytest.raises(ConfigError, match=r"plugin\[0\]\.gain\.gain_db: a object"):
            config_from_chain(chain)

    def test_unwritable_place(self, tmp_path):
        """A folder that is not there gives a sentence and leaves nothing."""
        with pytest.raises(ConfigError, match="cannot be written"):
            chain_to_toml(Chain([]), tmp_path / "none" / "c.toml")
        assert [] == list(tmp_path.iterdir())

    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.recursive(
                st.booleans()
                | st.integers(-(2**63), 2**63 - 1)
                | st.floats(allow_nan=False)
                | st.text(st.characters(exclude_categories=["Cs"])),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=5,
            ),
        )
    )
    def test_any_value(self, values):
        """Whatever a plugin may hold is read back from TOML as it was."""
        import tomllib

        config = {"plugin": [{**values, "id": "gain"}]}
        assert config == tomllib.loads(to_toml(config))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["gain", "nalr", "mix", "fir", "meter", "parallel", "per_ear", "N3", "a/b.csv"]
    )
    | st.dates()
)
KEYS = st.sampled_from(
    [
        "id",
        "plugin",
        "branch",
        "left",
        "right",
        "gains_db",
        "gain_db",
        "gains",
        "audiogram",
        "taps",
        "nfir",
        "channels",
        "sample_rate",
        "dtype",
        "listeners",
        "max_frames",
        "block_frames",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
IDS = st.sampled_from(
    ["gain", "nalr", "mix", "fir", "delay", "limiter", "parallel", "per_ear", "x"]
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=3).flatmap(
    lambda table: IDS.map(lambda name: {**table, "id": name})
)


def refusal(build) -> str:
    """Give the sentence of an error of ours, or "fine"."""
    try:
        build()
    except RtcoreError as error:
        return str(error)
    return "fine"


class TestFuzz:
    """Nothing but our own errors."""

    @given(st.dictionaries(KEYS, VALUES, max_size=5), st.lists(TABLES, max_size=3))
    @example({}, [{"id": "gain", "gain_db": 10**400}])
    @example({"listeners": "\0"}, [{"id": "nalr", "audiogram": "L1"}])
    @example({}, [{"id": "fir", "taps": [[1.0], 2.0]}])
    @example({"sample_rate": 10**400}, [])
    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    def test_any_mapping(self, config, tables):
        """A mapping of anything is understood or refused with an RtcoreError."""
        whole = {**config, "plugin": tables} if tables else config
        assert refusal(lambda: parse(whole).build()) != ""

    @given(
        st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
    )
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_file(self, tmp_path, content):
        """A file of anything is understood or refused by a sentence that names it."""
        path = tmp_path / "c.toml"
        path.write_bytes(content)
        assert refusal(lambda: load(path)).startswith((f"{path}: ", "fine"))
