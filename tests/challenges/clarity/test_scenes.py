# SPDX-License-Identifier: MIT
"""Scenes of CEC2 and CEC1, and where a set's files lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rtcore.audiofile import write
from rtcore.challenges.clarity.layout import EDITIONS, Signals, find_set
from rtcore.challenges.clarity.scenes import Cec1Scene, Scene, read_scenes
from rtcore.errors import ConfigError


def edited(mini, change):
    """Change the first scene of a list; give the file."""
    path = mini / "metadata/scenes.dev.json"
    scenes = json.loads(path.read_text())
    change(scenes)
    path.write_text(json.dumps(scenes))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s[0].pop("SNR"), "[0]: SNR: is missing in this file"),
        (lambda s: s[1].update(snr=1.0), "[1]: snr: is no key of a scene of CEC2"),
        (
            lambda s: s[0]["interferers"][1].update(type="musik"),
            "[0]: interferers[1].type: does not fit a scene of CEC2",
        ),
        (lambda s: s[0]["target"].update(time_start=1.5), "[0]: target.time_start: does not fit"),
        (
            lambda s: s[0]["target"].update(time_end=10**7),
            "[0].target: lasts from",
        ),
        (lambda s: s[1].update(scene="S06001"), "[1].scene: 'S06001' comes twice"),
        (lambda s: s.clear(), "must be a list of scenes, and not an empty one"),
    ],
)
def test_misfits_are_told_with_file_and_key(mini, change, said):
    """A scene that cannot be is refused in one sentence."""
    path = edited(mini, change)
    with pytest.raises(ConfigError) as error:
        read_scenes(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


def test_official_lists_are_read(official):
    """The challenge's own lists of CEC2 and CEC1 are valid."""
    new = read_scenes(official / "metadata/scenes.test.json")
    assert all(isinstance(scene, Scene) for scene in new)
    assert ("R06001", 2) == (new[0].room, len(new[0].interferers))
    old = read_scenes(official / "metadata/scenes.cec1.test.json")
    assert [Cec1Scene] == [type(scene) for scene in old]
    assert "CIN_fan_014" == old[0].interferer.name


def test_both_spellings_are_found(tmp_path):
    """CEC1's and the documents' names do as well, and a link checked out as text is no sound."""
    sound = np.zeros((2, 100))
    for name in ("S1_mixed_CH1", "S2_mix_CH1", "S1_target_anechoic", "S2_target_anechoic_CH1"):
        write(tmp_path / f"{name}.wav", sound, 44100)
    (tmp_path / "S1_mix_CH1.wav").write_text("S1_mixed_CH1.wav")
    signals = Signals(tmp_path)
    found = [signals.mix(s, 1).name for s in ("S1", "S2", "S3")]
    assert ["S1_mixed_CH1.wav", "S2_mix_CH1.wav", "S3_mix_CH1.wav"] == found
    assert "S1_target_anechoic.wav" == signals.anechoic("S1").name
    assert "S2_target_anechoic_CH1.wav" == signals.anechoic("S2").name
    assert signals.reference("S1") is None
    assert {"S1", "S2"} == signals.scenes()


def test_a_set_is_found_from_above_and_inside(mini):
    """The folder above clarity_data does as well; who hears what is read."""
    for source in (mini, mini.parent):
        found = find_set(source)
        assert mini / "dev/scenes" == found.signals.folder
        assert ["S06001_L0001", "S06001_L0002"] == [p.name for p in found.chosen(("S06001",))]
        assert EDITIONS["cec2"] == found.edition
    with pytest.raises(ConfigError, match=r"has no scene 'S1'; name one of its 2"):
        found.chosen(("S1",))


def test_references_make_it_the_third_challenge(mini):
    """CEC3 has a reference for each scene."""
    scenes = mini / "dev/scenes"
    shutil.copy(scenes / "S06001_target_CH1.wav", scenes / "S06001_reference.wav")
    assert "cec3" == find_set(mini).edition.name


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: shutil.rmtree(d / "dev/scenes"), "has no scenes/ and no dev/scenes/ in it"),
        (
            lambda d: (d / "train/scenes").mkdir(parents=True),
            r"has several sets of scenes (dev, train); choose with --split",
        ),
        (lambda d: (d / "metadata/listeners.json").unlink(), "there is no such file"),
        (
            lambda d: (d / "metadata/scenes_listeners.dev.json").unlink(),
            "has 0 files scenes_listeners*.json",
        ),
        (shutil.rmtree, "is no folder; name the set's"),
    ],
)
def test_what_is_missing_is_told(mini, spoil, said):
    """A set without a part that is needed is refused at once."""
    spoil(mini)
    with pytest.raises(ConfigError) as error:
        find_set(mini)
    assert said in str(error.value)


def test_places_can_be_named(mini, tmp_path):
    """Scenes and lists may lie anywhere."""
    lists = tmp_path / "lists"
    shutil.move(mini / "metadata", lists)
    shutil.move(mini / "dev/scenes", tmp_path / "sounds")
    found = find_set(
        mini,
        scenes=tmp_path / "sounds",
        listeners=lists / "listeners.json",
        heard=lists / "scenes_listeners.dev.json",
    )
    assert 4 == len(found.pairs)
    with pytest.raises(ConfigError, match="is no folder of scenes"):
        find_set(mini, scenes=Path("nowhere"))
    with pytest.raises(ConfigError, match="has no wav file in it"):
        find_set(mini, scenes=lists)
