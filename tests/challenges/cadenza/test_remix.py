# SPDX-License-Identifier: MIT
"""Gains, remix, loudness, NAL-R and 16 bits against the official functions and their records."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore import Audiogram, Chain
from rtcore.audiofile import read, write
from rtcore.challenges.cadenza.enhance import Aid
from rtcore.challenges.cadenza.loudness import matched
from rtcore.challenges.cadenza.metadata import Gains
from rtcore.challenges.cadenza.remix import apply_gains, remix
from rtcore.hearing import Listener
from rtcore.plugins import NALR, Compressor

RATE, FRAMES = 44100, 22050
FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000, 6000, 8000, 9000, 10000)
#: Of tests/recipes/cad_icassp_2024/baseline/test_evaluate.py: one stem's gain, and the sum.
GAINS = [
    ({}, 88207.89862265925),
    ({"vocals": 10}, 135801.06478181464),
    ({"bass": 10}, 135716.2197962051),
    ({"drums": 10}, 136040.5632722622),
    ({"other": 10}, 136003.7152825283),
    ({"vocals": 6}, 110114.28261802963),
    ({"vocals": 3}, 97288.123734263),
    ({"vocals": -3}, 81779.59153364039),
    ({"vocals": -6}, 77228.6986292428),
    ({"vocals": -10}, 73157.61801048138),
]


def gains(**changed):
    return Gains(**({"vocals": 0, "drums": 0, "bass": 0, "other": 0} | changed))


def drawn(shape, *, seed=2024):
    """Draw the official tests' stems and mixture, in their order."""
    np.random.seed(seed)  # noqa: NPY002 - the generator of the records
    names = ("vocals", "drums", "bass", "other", "mixture")
    return {name: np.random.uniform(size=shape).T for name in names}  # noqa: NPY002


@pytest.mark.parametrize(("changed", "expected"), GAINS)
def test_recorded_gains(changed, expected):
    """The official sums over all stems come out for every recorded gain."""
    stems = drawn((FRAMES, 2))
    del stems["mixture"]
    louder = apply_gains(stems, gains(**changed))
    assert expected == pytest.approx(sum(stem.sum() for stem in louder.values()), rel=1e-9)


def test_recorded_level():
    """The official sum of a sound that was brought to another's loudness comes out."""
    np.random.seed(2024)  # noqa: NPY002
    reference, x = np.random.rand(FRAMES), np.random.rand(FRAMES) * 2  # noqa: NPY002
    y = matched(x[np.newaxis], reference[np.newaxis], RATE)
    assert 10899.6694813693 == pytest.approx(y.sum(), rel=1e-9)


def test_recorded_remix():
    """The official sum of a remix comes out."""
    stems = {name: stem[np.newaxis] for name, stem in drawn(FRAMES).items()}
    mixture = stems.pop("mixture")
    assert 21950.335598725396 == pytest.approx(remix(stems, gains(), mixture, RATE).sum(), rel=1e-9)


def test_recorded_hearing_aid():
    """The official sums behind NAL-R, and behind the compressor too, come out."""
    np.random.seed(2024)  # noqa: NPY002
    x = np.random.rand(FRAMES)  # noqa: NPY002
    ear = Audiogram(np.ones(9), FREQUENCIES_HZ)
    # The official test makes the filter for 16 kHz and the compressor for 44.1 kHz.
    y = Chain([NALR(audiogram=ear)], sample_rate=16000, channels=1, dtype="float64").render(x)
    assert 11039.797138690315 == pytest.approx(y.sum(), rel=1e-9)
    stream = {"sample_rate": RATE, "channels": 1, "dtype": "float64"}
    official = Compressor(
        threshold=0.35, attenuation=0.1, attack_ms=50, release_ms=1000, rms_buffer_s=0.064
    )
    assert 5130.70234905519 == pytest.approx(Chain([official], **stream).render(y).sum(), rel=1e-9)


def test_recorded_flac(tmp_path):
    """A FLAC file of 16 bits loses what the official one loses."""
    np.random.seed(2024)  # noqa: NPY002
    x = np.random.rand(FRAMES)  # noqa: NPY002
    assert 11040.050741283 == pytest.approx(x.sum())
    write(tmp_path / "x.flac", x, RATE, subtype="PCM_16")
    assert 11039.716 == pytest.approx(read(tmp_path / "x.flac")[0].sum(), rel=1e-7)


@pytest.mark.parametrize("compressor", [False, True])
def test_all_steps_as_the_official_functions(compressor):
    """Gains, remix, NAL-R and compressor differ from pyclarity's by rounding only."""
    official = pytest.importorskip(
        "recipes.cad_icassp_2024.baseline.evaluate", reason="pyclarity's recipes are the oracle"
    )
    from clarity.enhancer import nalr
    from clarity.enhancer.compressor import Compressor as OfficialCompressor
    from clarity.utils.audiogram import Audiogram as OfficialAudiogram

    rng = np.random.default_rng(5)
    stems = {name: rng.normal(0, 0.1, (2, RATE)) for name in ("drums", "bass", "other", "vocals")}
    mixture = sum(stems.values()) * 0.9
    asked = gains(vocals=6, bass=-10, other=3)
    louder = official.apply_gains({k: v.T for k, v in stems.items()}, RATE, asked.model_dump())
    mix = official.remix_stems(louder, mixture.T, RATE)
    levels = [[40, 30, 20, 50, 60, 65, 80, 75], [40, 35, 30, 50, 60, 75, 80, 80]]
    cfs = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
    made = OfficialCompressor(
        threshold=0.35, attenuation=0.1, attack=50, release=1000, rms_buffer_size=0.064
    )
    expected = [
        official.apply_ha(
            nalr.NALR(220, RATE),
            made,
            mix[:, ear],
            OfficialAudiogram(np.array(levels[ear]), np.array(cfs)),
            compressor,
        )
        for ear in (0, 1)
    ]
    listener = Listener.from_levels(*levels, cfs)
    own = Aid(compressor=compressor).amplified(remix(stems, asked, mixture, RATE), listener)
    assert np.allclose(np.stack(expected), own, rtol=0, atol=1e-12 * np.abs(own).max())
