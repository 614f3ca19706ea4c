# SPDX-License-Identifier: MIT
from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtcore.errors import ParameterError, RtcoreError
from rtcore.hearing import (
    BISGAARD,
    NALR_FREQUENCIES_HZ,
    OCTAVES_HZ,
    Audiogram,
    check_nfir,
    gain_per_octave,
    nalr_gain_at_db,
    nalr_gain_db,
    nalr_taps,
    standard_audiogram,
)

RATES_HZ = (8000.0, 11025.0, 16000.0, 22050.0, 32000.0, 44100, 48000.0, 96000.0, 192000.0)

levels_st = st.lists(st.floats(-20, 130), min_size=8, max_size=8)
nfir_st = st.integers(1, 511).map(lambda half: 2 * half)


@pytest.fixture(scope="module")
def oracle():
    """Pyclarity's design, as a function of levels, frequencies, nfir and rate."""
    nalr = pytest.importorskip("clarity.enhancer.nalr", reason="pyclarity is the oracle")
    audiogram = pytest.importorskip("clarity.utils.audiogram")

    def design(ours, nfir=220, sample_rate=44100.0):
        theirs = audiogram.Audiogram(
            np.array(ours.levels_db_hl), np.array(ours.frequencies_hz)
        )  # fmt: skip
        return nalr.NALR(nfir, sample_rate).build(theirs)[0]

    return design


class TestGain:
    def test_n3_by_hand(self):
        """The formula, calculated by hand for the moderate standard loss."""
        # X = 0.05 * (35 + 40 + 50) = 6.25; 250 Hz: 6.25 + 0.31 * 35 - 17 = 0.1
        expected = [0.1, 9.1, 19.65, 20.75, 22.85, 24.4]
        np.testing.assert_allclose(nalr_gain_db(standard_audiogram("N3")), expected, atol=1e-12)

    def test_great_losses_grow_faster(self):
        """Above 180 dB at 500, 1000 and 2000 Hz together, X grows by 0.116 a dB."""
        gains = nalr_gain_db(Audiogram([80] * 6, NALR_FREQUENCIES_HZ))
        assert pytest.approx(9 + 0.116 * 60 + 0.31 * 80 + 1) == gains[2]

    def test_never_negative(self):
        """A mild loss at low frequencies is not attenuated."""
        assert 0.0 == nalr_gain_db(Audiogram([5] * 8)).min()

    def test_no_loss_no_gain(self):
        """Without any loss there is no gain, although the formula would give 1 dB at 1 kHz."""
        assert [0.0] * 6 == nalr_gain_db(Audiogram([0] * 8)).tolist()

    def test_gain_per_octave(self):
        """8 kHz carries the gain of 6 kHz, and the other octaves their own."""
        gains = gain_per_octave(standard_audiogram("N3"))
        assert list(OCTAVES_HZ) == list(gains)
        assert pytest.approx([0.1, 9.1, 19.65, 20.75, 22.85, 24.4]) == list(gains.values())

    def test_between_frequencies(self):
        """Between two frequencies the gain is linear in dB over linear frequency."""
        ear = standard_audiogram("N3")
        gains = nalr_gain_db(ear)
        assert pytest.approx((gains[3] + gains[4]) / 2) == nalr_gain_at_db(ear, [3000])[0]


class TestTaps:
    def test_published_sum(self):
        """The sum that pyclarity's own tests assert."""
        ear = Audiogram([45, 45, 35, 45, 60, 65], NALR_FREQUENCIES_HZ)
        assert pytest.approx(28.846583644263408, abs=1e-12) == np.abs(nalr_taps(ear)).sum()

    def test_published_sum_of_other_frequencies(self):
        """The same with 1500 Hz in place of 2000 Hz, which needs resampling."""
        ear = Audiogram([45, 45, 35, 45, 60, 65], [250, 500, 1000, 1500, 4000, 6000])
        assert pytest.approx(29.808253441926134, abs=1e-12) == np.abs(nalr_taps(ear)).sum()

    @pytest.mark.parametrize("level", [0, -10])
    def test_pure_delay_without_loss(self, level):
        """An ear without loss hears the sound unchanged, 110 frames later."""
        taps = nalr_taps(Audiogram([level] * 8))
        assert {110: 1.0} == {int(i): float(taps[i]) for i in np.flatnonzero(taps)}
        assert 221 == len(taps)

    @given(levels=levels_st, rate=st.sampled_from(RATES_HZ))
    @example(levels=[0.0] * 8, rate=44100.0)
    @example(levels=[-10.0] * 8, rate=44100.0)
    @example(levels=[80.0] * 8, rate=44100.0)
    @example(levels=[130.0] * 8, rate=48000.0)
    @example(levels=[0.0] * 7 + [80.0], rate=44100.0)
    def test_equals_pyclarity(self, oracle, levels, rate):
        """For any audiogram and rate the taps are pyclarity's within 1e-12."""
        ear = Audiogram(levels)
        np.testing.assert_allclose(
            nalr_taps(ear, 220, rate), oracle(ear, 220, rate), rtol=0, atol=1e-12
        )

    @given(levels=levels_st, nfir=nfir_st)
    def test_equals_pyclarity_for_any_order(self, oracle, levels, nfir):
        """For any audiogram and even order the taps are pyclarity's within 1e-12."""
        ear = Audiogram(levels)
        np.testing.assert_allclose(nalr_taps(ear, nfir), oracle(ear, nfir), rtol=0, atol=1e-12)

    def test_every_order_equals_pyclarity(self, oracle):
        """All 511 orders place the segments on the same bins."""
        ear = standard_audiogram("S3")
        for nfir in range(2, 1023, 2):
            np.testing.assert_allclose(
                nalr_taps(ear, nfir), oracle(ear, nfir), rtol=0, atol=1e-12, err_msg=f"nfir {nfir}"
            )

    @given(
        levels=st.lists(st.floats(-20, 130), min_size=1, max_size=10),
        start=st.floats(60, 6000),
    )
    def test_equals_pyclarity_for_other_frequencies(self, oracle, levels, start):
        """Measured at other frequencies, the thresholds are resampled as pyclarity does."""
        ear = Audiogram(levels, [start * 1.3**i for i in range(len(levels))])
        np.testing.assert_allclose(nalr_taps(ear), oracle(ear), rtol=0, atol=1e-12)

    @given(levels_st, nfir_st)
    def test_linear_phase(self, levels, nfir):
        """The taps are symmetric, so that each frequency is delayed alike."""
        taps = nalr_taps(Audiogram(levels), nfir)
        np.testing.assert_allclose(taps, taps[::-1], rtol=0, atol=1e-10 * np.abs(taps).max())

    @pytest.mark.parametrize("name", BISGAARD)
    @pytest.mark.parametrize(
        ("nfir", "within_db"),
        [(220, (4.6, 2.8, 1, 1, 1, 1)), (1022, (1.2, 0.8, 0.2, 0.2, 0.2, 0.2))],
    )
    def test_response_meets_prescription(self, name, nfir, within_db):
        """At each octave the filter gives the prescribed gain as closely as it is long."""
        taps = nalr_taps(BISGAARD[name], nfir)
        prescribed = gain_per_octave(BISGAARD[name])
        for (frequency, gain_db), bound_db in zip(prescribed.items(), within_db, strict=True):
            turn = np.exp(-2j * np.pi * frequency / 44100 * np.arange(len(taps)))
            assert pytest.approx(gain_db, abs=bound_db) == 20 * np.log10(abs(taps @ turn))


class TestRefusals:
    @pytest.mark.parametrize(
        ("nfir", "sentence"),
        [
            (221, "nfir: must be even, got 221 (an odd order delays by half a frame); use 220"),
            (1024, "nfir: must lie between 2 and 1022, got 1024"),
            (0, "nfir: must lie between 2 and 1022, got 0"),
            (-2, "nfir: must lie between 2 and 1022, got -2"),
            (220.0, "nfir: must be a whole number, got 220.0"),
            ("220", "nfir: must be a whole number, got '220'"),
            (True, "nfir: must be a whole number, got True"),
        ],
    )
    def test_nfir(self, nfir, sentence):
        """An order that the design cannot serve is refused."""
        with pytest.raises(ParameterError) as refused:
            nalr_taps(standard_audiogram("N3"), nfir)
        assert sentence in str(refused.value)

    @pytest.mark.parametrize("rate", [0, -1, 7999, float("nan"), float("inf"), "44100", True])
    def test_sample_rate(self, rate):
        """A rate too low for the prescription, or none at all, is refused."""
        with pytest.raises(ParameterError, match=r"^sample_rate: .*got"):
            nalr_taps(standard_audiogram("N3"), 220, rate)

    @given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.lists(st.integers())))
    def test_fuzz_nfir(self, nfir):
        """Whatever comes as order, the answer is an even order or a sentence."""
        with suppress(RtcoreError):
            order = check_nfir(nfir)
            assert 0 == order % 2

    def test_huge_nfir(self):
        """An order of 5000 digits is refused like any other."""
        with pytest.raises(ParameterError, match="must lie between"):
            check_nfir(10**5000)
