# SPDX-License-Identifier: MIT
"""Scores: distances by their formulas, and measures by others at their published values."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.audiofile import read
from rtcore.challenges.plc.bootstrap import Interval, interval
from rtcore.challenges.plc.distances import LSD_FLOOR_DB, log_spectral_distance, si_sdr
from rtcore.challenges.plc.scores import MEASURES, Scorer, choose, how
from rtcore.errors import ConfigError, DeviceError

SHARED = Path(__file__).parents[4] / "shared"
OFFICIAL = SHARED / "fixtures/microsoft/PLC-Challenge/PLCMOS/example_wavs"
RATE = 16000

seeds = st.integers(0, 2**32 - 1)


def sound(seed, frames=4000):
    return np.random.default_rng(seed).normal(0.0, 0.1, frames)


def needs(package):
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not found, reason=f"{package} is not installed (rtcore[plc])")


class TestSiSdr:
    @given(seed=seeds, gain=st.floats(1e-3, 1e3), sign=st.sampled_from([-1.0, 1.0]))
    @settings(max_examples=30)
    def test_scale_does_not_matter(self, seed, gain, sign):
        """Louder, softer or turned round: the ratio stays."""
        clean = sound(seed)
        heard = clean + 0.3 * sound(seed + 1)
        assert si_sdr(clean, heard) == pytest.approx(si_sdr(clean, sign * gain * heard), abs=1e-6)

    @given(seed=seeds, snr_db=st.floats(-20.0, 40.0))
    @settings(max_examples=30)
    def test_orthogonal_noise_gives_its_ratio(self, seed, snr_db):
        """Noise that has nothing of the sound gives the ratio of the powers."""
        clean, noise = sound(seed), sound(seed + 1)
        noise -= clean * (noise @ clean) / (clean @ clean)
        noise *= np.sqrt(clean @ clean / (noise @ noise)) * 10.0 ** (-snr_db / 20.0)
        assert snr_db == pytest.approx(si_sdr(clean, clean + noise), abs=1e-6)

    def test_ends(self):
        """An exact copy, nothing at all, and silence to be compared with."""
        clean = sound(0)
        assert (100.0, -100.0) == (si_sdr(clean, 0.5 * clean), si_sdr(clean, 0.0 * clean))
        assert np.isnan(si_sdr(0.0 * clean, clean))


class TestLsd:
    @given(seed=seeds, frames=st.integers(1, 9000))
    @settings(max_examples=20)
    def test_zero_for_equal_sounds(self, seed, frames):
        """Sounds that are equal have no distance, of whatever length."""
        x = sound(seed, frames)
        assert 0.0 == log_spectral_distance(x, x, RATE)

    @given(seed=seeds, gain_db=st.floats(-10.0, 10.0))
    @settings(max_examples=20)
    def test_a_gain_is_its_distance(self, seed, gain_db):
        """A sound that is louder everywhere is as far away as it is louder."""
        x = sound(seed)
        y = x * 10.0 ** (gain_db / 20.0)
        assert abs(gain_db) == pytest.approx(log_spectral_distance(x, y, RATE), abs=0.02)
        assert log_spectral_distance(x, y, RATE) == log_spectral_distance(y, x, RATE)

    def test_silence_is_at_the_floor(self):
        """A steady sine against silence: in its own bins it stands 80 dB above the floor."""
        t = np.arange(512 * 8) / RATE
        tone = np.sin(2 * np.pi * 1000 * t)  # in the middle of a bin: all else is below the floor
        expected = np.sqrt((LSD_FLOOR_DB**2 + 2 * (LSD_FLOOR_DB + 6.0206) ** 2) / 257)
        assert expected == pytest.approx(log_spectral_distance(tone, 0 * tone, RATE), abs=1e-3)


class TestInterval:
    def test_known(self):
        """Equal values leave no doubt, one value says nothing of it, none has no mean."""
        assert Interval(4, 2.0, 2.0, 2.0) == interval([2.0] * 4)
        assert Interval(1, 2.0, None, None) == interval([2.0, None, float("nan")])
        assert interval([None]) is None

    def test_repeatable(self):
        """The same seed gives the same bounds, another one others that hardly differ."""
        x = sound(1, 40)
        one, other = interval(x, seed=0), interval(x, seed=1)
        assert interval(x, seed=0) == one
        assert one != other
        assert one.low == pytest.approx(other.low, abs=0.003)

    def test_covers(self):
        """The 95 % interval of differences holds the true one about 95 times in a hundred."""
        rng = np.random.default_rng(0)
        hits = 0
        for _ in range(300):
            clip = rng.normal(3.0, 1.0, 40)  # how hard a clip is cancels in the difference
            first, second = clip + rng.normal(0, 0.2, 40), clip + 0.1 + rng.normal(0, 0.2, 40)
            found = interval(second - first, resamples=400)
            hits += found.low <= 0.1 <= found.high
        assert 0.90 <= hits / 300 <= 0.98


class TestChoice:
    def test_what_can_be_had(self):
        """Without clean sounds only models of listeners remain."""
        assert ("plcmos", "dnsmos") == choose(None, compares=False)
        assert tuple(MEASURES) == choose(None, compares=True)

    @pytest.mark.parametrize(
        ("names", "words"),
        [(["pesk"], "did you mean 'pesq'"), (["stoi"], "compares with the clean sound")],
    )
    def test_refused(self, names, words):
        """An unknown measure and one without what it needs get a sentence."""
        with pytest.raises(ConfigError, match=words):
            choose(names, compares=False)

    def test_a_missing_package(self, monkeypatch):
        """The sentence says what to install."""
        monkeypatch.setitem(sys.modules, "pystoi", None)
        with pytest.raises(DeviceError, match=r"pip install 'rtcore\[plc\]'"):
            Scorer(["lsd", "stoi"])

    def test_other_rates_are_told(self):
        """Where the sound was resampled, the line of the measure says so."""
        assert (
            "at 16000 Hz, after resampling from 48000 Hz" in how(["pesq"], [16000, 48000])["pesq"]
        )
        assert "resampling" not in how(["pesq", "stoi"], [16000])["pesq"]
        assert how(["lsd"])["lsd"].startswith("rtcore ")


@needs("speechmos")
class TestPlcmos:
    @pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"the official sounds are not at {OFFICIAL}")
    @pytest.mark.parametrize(
        ("name", "score"), [("clean", 4.497762), ("plc_good", 4.123963), ("plc_poor", 2.740757)]
    )
    def test_official_values(self, name, score):
        """The scores that the challenge's own README gives, to its last digit but one."""
        x, rate = read(OFFICIAL / f"{name}.wav")
        found, notes = Scorer(["plcmos"]).score(x[0], rate)
        assert score == pytest.approx(found["plcmos_v2"], abs=2e-6)
        assert [] == notes

    def test_seeded_each_time_and_leaves_no_trace(self):
        """The same clip gets the same score, and NumPy's own generator goes on as it would."""
        scorer = Scorer(["plcmos"])
        x = sound(0, RATE)
        np.random.seed(1)  # noqa: NPY002
        expected = np.random.normal()  # noqa: NPY002
        np.random.seed(1)  # noqa: NPY002
        first = scorer.score(x, RATE)
        assert expected == np.random.normal()  # noqa: NPY002
        assert first == scorer.score(x, RATE)

    def test_48_khz_is_resampled(self):
        """A sound at 48 kHz scores nearly as its own 16 kHz version, also beyond full scale."""
        scorer = Scorer(["plcmos", "dnsmos"])
        t = np.arange(3 * RATE) / RATE
        clean = 0.99 * np.sign(np.sin(2 * np.pi * 5 * t)) * np.sin(2 * np.pi * 300 * t)
        t = np.arange(9 * RATE) / (3 * RATE)
        wide = 0.99 * np.sign(np.sin(2 * np.pi * 5 * t)) * np.sin(2 * np.pi * 300 * t)
        narrow_score, wide_score = scorer.score(clean, RATE)[0], scorer.score(wide, 3 * RATE)[0]
        assert narrow_score["plcmos_v2"] == pytest.approx(wide_score["plcmos_v2"], abs=0.3)
        assert set(narrow_score) == {
            c.key for n in ("plcmos", "dnsmos") for c in MEASURES[n].columns
        }


@needs("pesq")
@needs("pystoi")
class TestWithClean:
    def test_a_copy_is_the_best(self):
        """An exact copy has the highest score that there is."""
        x = np.tile(np.concatenate([sound(3, RATE), 0.01 * sound(4, RATE // 2)]), 2)
        found, notes = Scorer(["pesq", "stoi"]).score(x, RATE, x)
        assert 4.644 == pytest.approx(found["pesq_wb"], abs=1e-3)
        assert 1.0 == pytest.approx(found["stoi"], abs=1e-6)
        assert [] == notes

    @pytest.mark.parametrize("which", ["clean", "heard", "short"])
    def test_silence_has_no_score(self, which):
        """What cannot be judged is left blank, with the reason; nothing breaks."""
        x, silent = sound(5, RATE), np.zeros(RATE)
        clean = silent if which == "clean" else x
        heard = silent if which == "heard" else x
        frames = RATE // 4 if which == "short" else RATE
        scorer = Scorer(["pesq", "stoi", "si-sdr"])
        found, notes = scorer.score(heard[:frames], RATE, clean[:frames])
        expected = {"clean": {"pesq_wb", "si_sdr_db"}, "heard": {"pesq_wb"}, "short": {"stoi"}}
        assert expected[which] == {key for key, value in found.items() if value is None}
        assert len(expected[which]) == len(notes)
