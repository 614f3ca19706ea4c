# SPDX-License-Identifier: MIT
"""Listeners and who hears what: pairs in the order of the file, sentences with file and key."""

from __future__ import annotations

import json

import pytest

from rtcore.challenges.people import (
    Pair,
    listener_entry,
    md5_number,
    read_people,
    read_scene_listeners,
)
from rtcore.errors import ConfigError
from rtcore.hearing import Audiogram, Listener

LEVELS = [40, 30, 20, 50, 60, 65, 80, 75]
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
ENTRY = {
    "name": "L0064",
    "audiogram_cfs": FREQUENCIES,
    "audiogram_levels_l": LEVELS,
    "audiogram_levels_r": LEVELS[::-1],
}


@pytest.fixture
def people(tmp_path):
    """Two listeners."""
    path = tmp_path / "listeners.json"
    path.write_text(json.dumps({"L0064": ENTRY, "L0065": ENTRY | {"name": "L0065"}}))
    return read_people(path)


def scene_listeners(folder, content):
    """Write a list of who hears what."""
    path = folder / "scenes_listeners.json"
    path.write_text(json.dumps(content))
    return path


def test_pairs_come_in_the_order_of_the_file(tmp_path, people):
    """Each pair knows its name and where it is named."""
    path = scene_listeners(tmp_path, {"S2": ["L0065", "L0064"], "S1": ["L0064"], "S3": []})
    found = read_scene_listeners(path, people)
    assert 3 == len(found)
    expected = [
        Pair("S2", "L0065", f"{path}: S2[0]"),
        Pair("S2", "L0064", f"{path}: S2[1]"),
        Pair("S1", "L0064", f"{path}: S1[0]"),
    ]
    assert expected == list(found.pairs())
    assert ["S1_L0064"] == [pair.name for pair in found.pairs({"S1"})]


def test_an_unknown_listener_is_told_with_both_files(tmp_path, people):
    """The sentence names who asks, who was asked for, and the nearest id."""
    path = scene_listeners(tmp_path, {"S1": ["L0064", "L0066"]})
    with pytest.raises(ConfigError) as error:
        read_scene_listeners(path, people)
    text = str(error.value)
    assert f"{path}: S1[1]: names the listener 'L0066', who is not among the 2 of " in text
    assert f"{people.path} (did you mean 'L006" in text
    assert 2 == len(read_scene_listeners(path)), "without the people nobody is looked up"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"S1": "L0064"}, "S1: must be a list of listeners' ids, got 'L0064'"),
        ({"S1": [64]}, "S1[0]: must be a listener's id, got 64"),
        ({"S1": ["L0064", "L0064"]}, "S1[1]: names the listener 'L0064' for the second time"),
        (["S1"], "must hold a JSON object"),
    ],
)
def test_lists_of_another_form_are_refused(tmp_path, content, said):
    """What is no list of ids is told with file and key."""
    with pytest.raises(ConfigError, match=r"scenes_listeners\.json") as error:
        read_scene_listeners(scene_listeners(tmp_path, content))
    assert said in str(error.value)


def test_an_entry_is_written_as_it_was_read(people):
    """Whole numbers stay whole, as in the challenges' files."""
    assert json.dumps(ENTRY) == json.dumps(listener_entry(people.find("L0064", "here")))
    odd = Listener(Audiogram([1, 2], [250, 500]), Audiogram([1, 2], [250, 1000]), "odd")
    with pytest.raises(ConfigError, match="odd: has other frequencies for the left ear"):
        listener_entry(odd)


def test_fingerprint_texts_tell_audiograms_apart(people):
    """The text depends on the audiograms, and is empty for nobody."""
    assert people.text("L0064") == people.text("L0065")
    assert "" == people.text("L9999")
    assert "L0064" in people
    assert "L9999" not in people


def test_the_official_seed_of_a_scene():
    """The last eight digits of the MD5 of S06001 are those of the challenge's documents."""
    assert 50854399 == md5_number("S06001") % 10**8
