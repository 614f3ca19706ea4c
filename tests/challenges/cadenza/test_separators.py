# SPDX-License-Identifier: MIT
"""Separators: the official networks on the same weights, bundles, and what cannot be used."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import small_models
from command_line import invoke
from torch_networks import needs_networks

from rtcore.challenges.cadenza.metadata import STEMS
from rtcore.challenges.cadenza.needs import needed
from rtcore.challenges.cadenza.separators import SeparatorChoice, make_separator
from rtcore.challenges.cadenza.separators.networks import HybridDemucs, OpenUnmix
from rtcore.errors import ConfigError, DeviceError, ModelError

SHARES = (0.4, 0.3, 0.2, 0.1)
RATE = 44100
SMALL = {"channels": 4, "depth": 5, "nfft": 4096}
SMALL_UMX = {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 16, "max_bin": 1487}


def noise(seconds=1.0, channels=2):
    rng = np.random.default_rng(7)
    return rng.normal(0.02, 0.1, (channels, round(seconds * RATE)))


def no_stem(name):
    raise AssertionError(f"{name} was read")


def official_stems(model, order, x, *, normalise):
    """Separate with the baseline's own function."""
    from recipes.cad_icassp_2024.baseline.enhance import decompose_signal

    return decompose_signal(model, RATE, x.T, RATE, "cpu", order, None, normalise)


@pytest.fixture
def demucs():
    """Make a small Hybrid Demucs with random weights."""
    import torch
    from torchaudio.models import HDemucs

    torch.manual_seed(1)
    return HDemucs(["drums", "bass", "other", "vocals"], **SMALL).eval()


@pytest.fixture
def unmix():
    """Make a small Open-Unmix with random weights."""
    import torch
    from openunmix.model import OpenUnmix as Target
    from openunmix.model import Separator

    torch.manual_seed(2)
    return Separator({name: Target(**SMALL_UMX) for name in STEMS}, niter=0).eval()


@needs_networks
@pytest.mark.parametrize("seconds", [1.0, 11.5])
def test_demucs_as_the_official_code(demucs, seconds):
    """With compat the stems are those of the official code on the same weights."""
    x = noise(seconds)
    expected = official_stems(demucs, demucs.sources, x, normalise=True)
    stems = HybridDemucs(model=demucs, compat=True).separate(x, RATE, no_stem)
    assert list(expected) == list(stems)
    for name, stem in stems.items():
        assert np.allclose(expected[name].T, stem, rtol=0, atol=2**-17)
    mended = HybridDemucs(model=demucs).separate(x, RATE, no_stem)["bass"]
    ends = [np.abs(sound[:, -50:] - x.mean()).max() for sound in (stems["bass"], mended)]
    assert (seconds < 11) == (ends[0] < 0.1 * ends[1])


@needs_networks
def test_unmix_as_the_official_code(unmix):
    """Open-Unmix hears the mixture as it is, and gives the official stems."""
    x = noise()
    expected = official_stems(unmix, list(STEMS), x, normalise=False)
    stems = OpenUnmix(model=unmix, compat=True).separate(x, RATE, no_stem)
    for name in STEMS:
        assert np.allclose(expected[name].T, stems[name], rtol=0, atol=2**-17)


@needs_networks
def test_weights_of_ones_own(demucs, unmix, tmp_path):
    """A file with the architecture's arguments makes the network again; its bits count."""
    import torch

    file = tmp_path / "small.pt"
    torch.save({"config": SMALL, "state_dict": demucs.state_dict()}, file)
    x = noise(0.5)
    made = make_separator(SeparatorChoice("hdemucs", file))
    made.ready()
    expected = HybridDemucs(model=demucs).separate(x, RATE, no_stem)["drums"]
    assert np.array_equal(expected, made.separate(x, RATE, no_stem)["drums"])
    states = {name: unmix.target_models[name].state_dict() for name in STEMS}
    torch.save({"config": SMALL_UMX, "state_dict": states}, tmp_path / "umx.pt")
    other = make_separator(SeparatorChoice("openunmix", tmp_path / "umx.pt"))
    expected = OpenUnmix(model=unmix).separate(x, RATE, no_stem)["bass"]
    assert np.array_equal(expected, other.separate(x, RATE, no_stem)["bass"])
    assert made.identity() != other.identity()


@needs_networks
def test_silence_stays_silence(demucs):
    """A silent song, whose deviation is 0, gives silent stems and not NaN."""
    stems = HybridDemucs(model=demucs).separate(np.zeros((2, RATE)), RATE, no_stem)
    assert all(not stem.any() for stem in stems.values())


@needs_networks
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"config": SMALL, "state_dict": {}}, "does not fit the architecture of hdemucs"),
        ({"config": {"chanels": 4}, "state_dict": {}}, "hdemucs cannot be built"),
        ([1, 2], "holds list in place of weights"),
        ({"config": {"sources": ["a"], **SMALL}, "state_dict": {}}, "separates a, and the stems"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, content, sentence):
    """Weights of something else are refused in a sentence that names the file."""
    import torch

    torch.save(content, tmp_path / "x.pt")
    with pytest.raises((ModelError, ConfigError), match=f"x.pt: .*{sentence}|{sentence}"):
        make_separator(SeparatorChoice("hdemucs", tmp_path / "x.pt")).ready()


@needs_networks
def test_other_weights_that_do_not_fit(tmp_path):
    """A file that is none of torch's, weights that lack a stem and an odd device are refused."""
    import torch

    (tmp_path / "x.pt").write_text("nonsense")
    with pytest.raises(ModelError, match="cannot be read as weights of PyTorch"):
        make_separator(SeparatorChoice("hdemucs", tmp_path / "x.pt")).ready()
    torch.save({"vocals": {}}, tmp_path / "umx.pt")
    with pytest.raises(ModelError, match="has no weights for drums"):
        make_separator(SeparatorChoice("openunmix", tmp_path / "umx.pt")).ready()
    with pytest.raises(DeviceError, match="cannot run on the device 'abacus'"):
        HybridDemucs(model=torch.nn.Identity(), device="abacus")


@needs_networks
def test_a_network_that_gives_nan(demucs):
    """A network whose output is no sound is refused and not written."""
    import torch

    with torch.no_grad():
        next(demucs.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="hdemucs: the network gave NaN or Inf"):
        HybridDemucs(model=demucs).separate(noise(0.5), RATE, no_stem)


@pytest.mark.parametrize("name", ["hdemucs", "openunmix"])
def test_absent_weights(name, tmp_path, monkeypatch):
    """Where the cache has no weights, the sentence says where to get them and where to put them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"{name}: there are no weights at .*fetch https") as found:
        make_separator(SeparatorChoice(name)).ready()
    assert str(tmp_path / "hub") in str(found.value)
    with pytest.raises(ModelError, match="there are no such weights"):
        make_separator(SeparatorChoice(name, tmp_path / "none.pt")).ready()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=f"has no .*, which {name} needs"):
        make_separator(SeparatorChoice(name, tmp_path / "folder")).ready()


def test_packages_that_are_missing(tmp_path, monkeypatch):
    """A package that is not there, or whose library does not load, is told with the remedy."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DeviceError, match=r"torch is not installed.*rtcore\[separation\]"):
        needed("torch", "networks are run", "separation")
    (tmp_path / "loads_no_library.py").write_text("raise OSError('Could not load this library')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"cannot be imported \(Could not load.*fit together"):
        needed("loads_no_library", "nothing is done", "separation")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (SeparatorChoice("orakle"), "no separator 'orakle' .did you mean 'oracle'"),
        (SeparatorChoice("oracle", "x.pt"), "are for hdemucs and openunmix, and not for 'oracle'"),
    ],
)
def test_no_such_separator(choice, sentence):
    """A slip gets the nearest name; weights for what has none are refused."""
    with pytest.raises(ConfigError, match=sentence):
        make_separator(choice)


# -- bundles --------------------------------------------------------------------------------------

MANIFEST = """
id = "{id}"
description = "Give each stem a share of the mixture"
licence = "MIT"
sample_rate = {rate}
channels = {channels}
hop = 64
latency = 0
lookahead = 0
[[stage]]
file = "model.onnx"
[stage.inputs]
x = "hop"
[stage.outputs]
y = "hop"
"""


def shares(folder, channels, factors, rate=RATE):
    """Write a bundle that scales each of its channels by a factor of its own."""
    folder.mkdir()
    text = MANIFEST.format(id=folder.name, channels=channels, rate=rate)
    (folder / "model.toml").write_text(textwrap.dedent(text))
    shape = (small_models.FLOAT, [channels, 64])
    constant = small_models.constant("factor", np.reshape(factors, (channels, 1)))
    nodes = [small_models.node("Mul", "x factor", "y")]
    small_models.save(folder / "model.onnx", nodes, {"x": shape}, {"y": shape}, [constant])
    return folder


@pytest.mark.parametrize("channels", [4, 8])
def test_bundle(channels, tmp_path):
    """A bundle gives four stems, of both ears at once or of one at a time."""
    factors = {4: [0.5, -1.0, 0.25, 2.0], 8: [0.5, 0.5, -1, -1, 0.25, 0.25, 2, -2]}[channels]
    made = make_separator(SeparatorChoice(f"onnx:{shares(tmp_path / 'mine', channels, factors)}"))
    x = noise(0.5)
    stems = made.separate(x, RATE, no_stem)
    late = made.latency_frames
    assert "onnx:mine" == made.name
    assert (2, x.shape[1] + late) == stems["vocals"].shape
    right = {4: 2.0, 8: -2.0}[channels]
    wanted = {"vocals": (0.5, 0.5), "drums": (-1, -1), "bass": (0.25, 0.25), "other": (2.0, right)}
    for name, (left, right) in wanted.items():
        expected = np.array([[left], [right]]) * x
        assert np.allclose(expected, stems[name][:, late:], rtol=0, atol=1e-6)


def test_bundle_that_separates_nothing(tmp_path):
    """A bundle of other channels is refused, with what is wanted."""
    folder = shares(tmp_path / "mine", 2, [1, 1])
    with pytest.raises(ModelError, match="has channels = 2, and a separator gives 4 stems"):
        make_separator(SeparatorChoice(f"onnx:{folder}"))


@pytest.fixture
def documented(tmp_path):
    """Give the bundle of the documentation: its manifest, and masks that fade with what was heard.

    The masks' shares of the spectrum are 0.4, 0.3, 0.2 and 0.1.
    """
    text = (Path(__file__).parents[3] / "docs/cadenza-challenge.md").read_text("utf-8")
    folder = tmp_path / "my-separator"
    folder.mkdir()
    manifest = re.search(
        r"<!-- file: my-separator/model.toml -->\n```toml\n(.*?)```", text, re.DOTALL
    )
    (folder / "model.toml").write_text(manifest[1], "utf-8")
    shape, one = (small_models.FLOAT, [1, 444]), (small_models.FLOAT, [1, 1])
    constants = [
        small_models.constant("share", np.repeat(SHARES, 111)[None, :]),
        small_models.constant("keep", 0.9),
        small_models.constant("little", 1e-4),
    ]
    nodes = [
        small_models.node("ReduceMean", "spectra", "level"),
        small_models.node("Mul", "level little", "new"),
        small_models.node("Mul", "h keep", "kept"),
        small_models.node("Add", "kept new", "h_next"),
        small_models.node("Neg", "h_next", "down"),
        small_models.node("Exp", "down", "fade"),
        small_models.node("Mul", "share fade", "masks"),
    ]
    small_models.save(
        folder / "masks.onnx", nodes, {"spectra": shape, "h": one},
        {"masks": shape, "h_next": one}, constants,
    )  # fmt: skip
    return folder


def test_the_documented_bundle(documented, monkeypatch):
    """The documentation's manifest keeps what it promises, and separates by its masks."""
    monkeypatch.chdir(documented.parent)
    result = invoke("models", "verify", "./my-separator")
    assert 0 == result.exit_code, result.output
    with pytest.raises(ModelError, match=r"for the folder of that name here write \./my-separator"):
        make_separator(SeparatorChoice("onnx:my-separator"))
    made = make_separator(SeparatorChoice("onnx:./my-separator"))
    x = noise(0.5)
    stems = made.separate(x, RATE, no_stem)
    for share, stem in zip(SHARES, ("vocals", "drums", "bass", "other"), strict=True):
        heard = stems[stem][:, made.latency_frames + 220 : -220]
        assert np.allclose(share * x[:, 220:-220], heard[:, : x.shape[1] - 440], atol=2e-3), stem


def test_a_device_without_a_network():
    """A device for what has no network is refused, as weights are."""
    for name in ("none", "oracle", "onnx:mine"):
        with pytest.raises(ConfigError, match="--device: is for hdemucs and openunmix, and not"):
            make_separator(SeparatorChoice(name, device="cuda"))
