# SPDX-License-Identifier: MIT
from __future__ import annotations

import itertools

import pytest

from rtcore.errors import ConfigError
from rtcore.hearing import BISGAARD, BISGAARD_FREQUENCIES_HZ, Audiogram, standard_audiogram


def test_ten_names():
    """There are seven flat or moderately sloping losses and three steep ones."""
    assert ["N1", "N2", "N3", "N4", "N5", "N6", "N7", "S1", "S2", "S3"] == list(BISGAARD)


def test_n3():
    """N3 is the moderate loss of table 2."""
    expected = Audiogram([35, 35, 35, 35, 40, 45, 50, 55, 60, 65], BISGAARD_FREQUENCIES_HZ)
    assert expected == standard_audiogram("N3")


@pytest.mark.parametrize("family", ["N", "S"])
def test_each_is_worse_than_the_one_before(family):
    """Within a family, a higher number means more loss at 1 and 2 kHz, and less nowhere low."""
    members = [audiogram for name, audiogram in BISGAARD.items() if name[0] == family]
    for milder, worse in itertools.pairwise(members):
        assert milder.at(250) < worse.at(250)
        assert milder.at(2000) < worse.at(2000)


@pytest.mark.parametrize("name", BISGAARD)
def test_levels_never_fall_with_frequency(name):
    """Each standard loss is flat or slopes down, in steps of 2.5 dB."""
    levels = BISGAARD[name].levels_db_hl
    assert sorted(levels) == list(levels)
    assert all(level % 2.5 == 0 for level in levels)


def test_capitals_do_not_matter():
    """A name may be written small."""
    assert BISGAARD["S2"] == standard_audiogram(" s2 ")


def test_unknown_name():
    """A name that does not exist is answered with those that do."""
    with pytest.raises(ConfigError) as refused:
        standard_audiogram("N8", where="plugin[0].nalr.audiogram")
    assert "plugin[0].nalr.audiogram: 'N8' is no standard audiogram" in str(refused.value)
    assert "N1 to N7 and S1 to S3" in str(refused.value)
