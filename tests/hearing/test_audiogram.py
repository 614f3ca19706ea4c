# SPDX-License-Identifier: MIT
from __future__ import annotations

import math
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import ConfigError, RtcoreError
from rtcore.hearing import CLARITY_FREQUENCIES_HZ, Audiogram

levels_st = st.lists(st.floats(-20, 130), min_size=8, max_size=8)
frequencies_st = st.lists(
    st.floats(20, 20000), min_size=1, max_size=15, unique_by=math.log
).map(sorted)  # fmt: skip


class TestValue:
    def test_default_frequencies(self):
        """Eight levels stand at Clarity's eight frequencies."""
        assert Audiogram(range(8)).frequencies_hz == CLARITY_FREQUENCIES_HZ

    def test_equal_and_hash(self):
        """Lists, tuples and arrays of the same numbers make one and the same value."""
        made = {
            Audiogram([10, 20], [500, 1000]),
            Audiogram((10.0, 20.0), (500.0, 1000.0)),
            Audiogram(np.array([10, 20]), np.array([500, 1000])),
        }
        assert 1 == len(made)

    def test_immutable(self):
        """Nothing can be assigned."""
        with pytest.raises(AttributeError):
            Audiogram(range(8)).levels_db_hl = (1.0,)

    def test_iterates_in_pairs(self):
        """Iteration gives frequency and level."""
        assert [(500.0, 10.0), (1000.0, 20.0)] == list(Audiogram([10, 20], [500, 1000]))
        assert 2 == len(Audiogram([10, 20], [500, 1000]))

    @given(levels_st)
    def test_pickles(self, levels):
        """A worker process receives an equal audiogram."""
        audiogram = Audiogram(levels)
        assert audiogram == pickle.loads(pickle.dumps(audiogram))

    @given(levels_st)
    def test_repr_is_code(self, levels):
        """The repr can be pasted back."""
        audiogram = Audiogram(levels)
        assert audiogram == eval(repr(audiogram))
        other = Audiogram([1.5, 2], [300.25, 400])
        assert "Audiogram([1.5, 2], [300.25, 400])" == repr(other)
        assert other == eval(repr(other))


class TestRefusals:
    @pytest.mark.parametrize(
        ("levels", "frequencies", "sentence"),
        [
            ([1, 2], [250], "audiogram.levels_db_hl: has 2 levels for 1 frequencies (250 Hz)"),
            ([], [], "audiogram.levels_db_hl: is empty; give at least one number"),
            ([1], [], "audiogram.frequencies_hz: is empty; give at least one number"),
            ([1, 2], [250, 250], "audiogram.frequencies_hz[1]: 250 Hz comes twice"),
            ([1, 2], [500, 250], "frequencies_hz[1]: 250 Hz follows 500 Hz; list the"),
            ([1, 2], [-250, 500], "frequencies_hz[0]: must be above 0 Hz, got -250"),
            ([1, 2], [0, 500], "frequencies_hz[0]: must be above 0 Hz, got 0"),
            ([1, 2], [500, math.inf], "frequencies_hz[1]: must be a finite number, got inf"),
            ([1, math.nan], [250, 500], "levels_db_hl[1]: must be a finite number, got nan"),
            ([1, -math.inf], [250, 500], "levels_db_hl[1]: must be a finite number, got -inf"),
            ([1, 10**400], [250, 500], "levels_db_hl[1]: must be a finite number, got inf"),
            ([1, 131], [250, 500], "levels_db_hl[1]: must lie between -20 and 130 dB HL, got 131"),
            ([-21], [250], "levels_db_hl[0]: must lie between -20 and 130 dB HL, got -21"),
            (["a"], [250], "levels_db_hl[0]: must be a number, got 'a'"),
            ([True], [250], "levels_db_hl[0]: must be a number, got True"),
            ([None], [250], "levels_db_hl[0]: must be a number, got None"),
            ("40", [250], "levels_db_hl: must be a list of numbers, got '40'"),
            (40, [250], "levels_db_hl: must be a list of numbers, got 40"),
            (np.array(40.0), [250], "levels_db_hl: must be a list of numbers"),
            ([[1, 2]], [250], "levels_db_hl[0]: must be a number, got [1, 2]"),
        ],
    )
    def test_sentence(self, levels, frequencies, sentence):
        """Each impossible audiogram is refused with a sentence that names the place."""
        with pytest.raises(ConfigError) as refused:
            Audiogram(levels, frequencies)
        assert sentence in str(refused.value)

    def test_keys_of_caller(self):
        """The sentence speaks the caller's words."""
        with pytest.raises(ConfigError) as refused:
            Audiogram([200] * 8, levels_key="plugin[0].nalr.audiogram.left")
        assert str(refused.value).startswith("plugin[0].nalr.audiogram.left[0]: must lie")

    @given(
        st.one_of(st.lists(st.one_of(st.floats(), st.integers(), st.text())), st.none()),
        st.lists(st.floats()),
    )
    def test_fuzz(self, levels, frequencies):
        """Whatever comes, the answer is an audiogram or a sentence."""
        with suppress(RtcoreError):
            audiogram = Audiogram(levels, frequencies)
            assert len(audiogram) == len(frequencies)


class TestResample:
    def test_same_frequencies(self):
        """Resampling to its own frequencies changes nothing."""
        audiogram = Audiogram([40, 30, 20, 50, 60, 65, 80, 75])
        assert audiogram == audiogram.resample(audiogram.frequencies_hz)

    def test_halfway_in_octaves(self):
        """The geometric mean of two frequencies has the mean of their levels."""
        audiogram = Audiogram([10, 30], [1000, 4000])
        assert pytest.approx(20.0) == audiogram.at(2000)

    def test_edges_are_held(self):
        """Outside the measured range the nearest level holds."""
        audiogram = Audiogram([10, 30], [1000, 4000])
        assert (10.0, 30.0) == audiogram.resample([125, 16000]).levels_db_hl

    def test_refuses_bad_frequencies(self):
        """New frequencies are checked like measured ones."""
        with pytest.raises(ConfigError, match="must be above 0 Hz"):
            Audiogram(range(8)).at(0)

    @given(levels_st, frequencies_st)
    def test_equals_pyclarity(self, levels, frequencies):
        """The rule is pyclarity's, to the last bit."""
        oracle = pytest.importorskip("clarity.utils.audiogram")
        expected = oracle.Audiogram(levels).resample(np.array(frequencies)).levels
        actual = Audiogram(levels).resample(frequencies).levels_db_hl
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


class TestSeverity:
    @pytest.mark.parametrize(
        ("level", "expected"),
        [
            (57, "severe"),
            (56, "moderate"),
            (36, "moderate"),
            (35, "mild"),
            (16, "mild"),
            (15, "none"),
        ],
    )
    def test_bounds(self, level, expected):
        """A class begins just above its bound."""
        assert expected == Audiogram([level] * 8).severity

    def test_only_from_2_to_8_khz(self):
        """Low frequencies do not count, and without high ones there is no class."""
        assert "none" == Audiogram([90, 90, 90, 0, 0, 0, 0, 0]).severity
        assert "none" == Audiogram([90, 90], [250, 500]).severity

    @given(st.lists(st.integers(-20, 130), min_size=8, max_size=8))
    def test_equals_pyclarity(self, levels):
        """The classes are pyclarity's."""
        oracle = pytest.importorskip("clarity.utils.audiogram")
        expected = oracle.Audiogram(levels).severity.lower().replace("nothing", "none")
        assert expected == Audiogram(levels).severity
