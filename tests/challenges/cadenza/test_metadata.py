# SPDX-License-Identifier: MIT
"""The metadata's files are read as they are, and what is wrong is told by file and key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cadenza_sets import made, rewritten

from rtcore.challenges.cadenza.layout import find_places, find_set
from rtcore.challenges.cadenza.metadata import HeadPositions, read_gains
from rtcore.challenges.cadenza.mini import make_mini
from rtcore.errors import ConfigError

LISTENERS = (
    Path(__file__).parents[4]
    / "shared/fixtures/claritychallenge/clarity/tests/test_data/metadata/listeners.json"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a set."""
    return made(tmp_path_factory.mktemp("cadenza") / "mini", listeners=2)


@pytest.fixture
def metadata(whole, tmp_path):
    """Give a copy of the set's metadata, to be spoilt."""
    shutil.copytree(whole.places.root / "metadata", tmp_path / "metadata")
    return tmp_path / "metadata"


SPOILT = [
    ("gains", lambda g: g["gain_0001"].pop("bass"), "gain_0001: bass: is missing in this file"),
    (
        "gains",
        lambda g: g["gain_0001"].update(base=3),
        "gain_0001: base: is no key of a set of gains (did you mean 'bass'?)",
    ),
    ("gains", lambda g: g["gain_0001"].update(bass="6"), "gain_0001: bass: does not fit"),
    ("gains", lambda g: g["gain_0001"].update(bass=float("nan")), "gain_0001: bass"),
    ("scenes.train", lambda s: s["scene_10001"].pop("gain"), "scene_10001: gain: is missing"),
    ("scenes.train", lambda _: [1], "must hold a JSON object"),
    (
        "scene_listeners.train",
        lambda s: s.update(scene_10001="L0001"),
        "scene_10001: must be a list",
    ),
    ("at_mic_music.train", lambda s: next(iter(s.values())).pop("Path"), "Path: is missing"),
    (
        "listeners.train",
        lambda p: p["L0002"].update(name=3),
        "L0002.name: ",
    ),
]


@pytest.mark.parametrize(("name", "change", "words"), SPOILT)
def test_spoilt_file(metadata, name, change, words):
    """A file that is not what it should be is told with its name and the key."""

    def spoil(content):
        changed = change(content)
        return changed if isinstance(changed, list) else content

    rewritten(metadata / f"{name}.json", spoil)
    with pytest.raises(ConfigError) as told:
        find_set(metadata.parent)
    assert str(told.value).startswith(f"{metadata / name}.json")
    assert words in str(told.value)


DANGLING = [
    ("scenes.train", "scenes", {"gain": "gain_9999"}, ".gain: there is no gain 'gain_9999'"),
    ("scenes.train", "scenes", {"music": "Nobody"}, ".music: there is no song 'Nobody-hlp"),
]


@pytest.mark.parametrize(("name", "kind", "change", "words"), DANGLING)
def test_what_refers_to_nothing(metadata, name, kind, change, words):
    """A scene that names what is not there is told with its key; the other is good."""
    rewritten(metadata / f"{name}.json", lambda scenes: scenes["scene_10001"].update(change))
    found = find_set(metadata.parent)
    bad, good = (found.pairs()[k] for k in (0, 2))
    with pytest.raises(ConfigError, match="there is no") as told:
        found.request(bad)
    assert words in str(told.value)
    assert kind in str(told.value)
    assert good.listener == found.request(good).listener.id


def test_missing_listener(metadata):
    """A listener who is not in the list is told with the nearest name."""
    rewritten(
        metadata / "scene_listeners.train.json", lambda s: s.update(scene_10001=["L0001", "L00O2"])
    )
    found = find_set(metadata.parent)
    with pytest.raises(ConfigError, match="names the listener 'L00O2', who is not among the 4"):
        found.request(found.pairs()[1])


def test_official_order(whole):
    """Pairs come as the official code lists them; its small test has every fifteenth."""
    found = find_set(whole.places.root)
    heard = json.loads(found.places.scene_listeners.read_text())
    expected = [(scene, name) for scene, names in heard.items() for name in names]
    assert expected == [(pair.scene, pair.listener) for pair in found.pairs()]
    assert expected[::15] == [(p.scene, p.listener) for p in found.pairs(small_test=True)]
    assert expected[1::2] == [(p.scene, p.listener) for p in found.pairs(batch=1, batches=2)]


def test_places(metadata):
    """The only split is taken, two ask for a choice, none is told, older names are found."""
    assert "train" == find_places(metadata.parent).split
    positions = metadata / "head_loudspeaker_positions.json"
    positions.rename(metadata / "head_positions.json")
    assert metadata / "head_positions.json" == find_places(metadata.parent).positions
    (metadata / "scenes.valid.json").write_text("{}")
    with pytest.raises(ConfigError, match="has scenes of train, valid; choose with --split"):
        find_places(metadata.parent)
    for path in metadata.glob("scenes.*"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"has no scenes\.<split>\.json"):
        find_places(metadata.parent)
    with pytest.raises(ConfigError, match="has no folder 'metadata'"):
        find_places(metadata)


def test_capital_letters(whole, tmp_path):
    """Folders and files may be written as the README has them: Train/../Bass.wav."""
    shutil.copytree(whole.places.root, tmp_path / "mini")
    found = find_set(tmp_path / "mini")
    (found.places.at_mic / "train").rename(found.places.at_mic / "Train")
    request = found.request(found.pairs()[0])
    bass = request.file("bass")
    bass.rename(bass.with_name("Bass.wav"))
    assert ("Train", "Bass.wav") == (request.folder.parent.name, request.file("bass").name)
    assert all(path.exists() for path in request.files())


@pytest.mark.parametrize(
    ("angle", "expected"),
    [(-30, ["n30", "n30.0"]), (-30.0, ["n30.0", "n30"]), (-22.5, ["n22.5"])],
)
def test_angles(angle, expected):
    """Names of responses have the angle as the file has it, or as it might have."""
    place = HeadPositions(subject="S", left_angle=angle, right_angle=30, mic="M")
    names = [name.removeprefix("M-S-").removesuffix(".wav") for name in place.response_names[0]]
    assert expected == list(dict.fromkeys(names))


def test_all_gains(whole):
    """The little set has the challenge's gains: 1105, none to three stems altered."""
    gains = read_gains(whole.places.gains).values()
    assert 1105 == len({tuple(g.model_dump().items()) for g in gains})
    assert {0, 1, 2, 3} == {sum(v != 0 for v in g.model_dump().values()) for g in gains}


def test_real_listeners(whole):
    """The challenges' own listeners file is read."""
    if not LISTENERS.exists():
        pytest.skip("the fixtures of ../shared are not here")
    found = find_set(whole.places.root, listeners=LISTENERS)
    assert 83 <= len(found.people)


def test_same_bytes(whole, tmp_path):
    """The same settings give the same set, byte for byte; a set that is there stays."""
    again = made(tmp_path / "again", listeners=2).places.root
    for path in sorted(whole.places.root.rglob("*")):
        if path.is_file():
            same = again / path.relative_to(whole.places.root)
            assert path.read_bytes() == same.read_bytes(), path.name
    with pytest.raises(ConfigError, match="is there already"):
        make_mini(again)


def test_own_stems(whole, tmp_path):
    """A set is made of tracks, or of folders of sounds for each stem; what lacks is told."""
    music = whole.places.music / "train"
    tracks = made(tmp_path / "of_tracks", stems=music)
    assert {"01 01 Made from nothing 0", "02 02 Made from nothing 1"} == {
        song.original for song in tracks.songs.values()
    }
    for stem in ("vocals", "drums", "bass", "other"):
        (tmp_path / "apart" / stem).mkdir(parents=True)
        shutil.copy(next(music.rglob(f"{stem}.wav")), tmp_path / "apart" / stem / "one.wav")
    apart = made(tmp_path / "of_stems", stems=tmp_path / "apart")
    assert {"01 apart", "02 apart"} == {song.original for song in apart.songs.values()}
    shutil.rmtree(tmp_path / "apart" / "bass")
    with pytest.raises(ConfigError, match="no sounds in bass"):
        made(tmp_path / "never", stems=tmp_path / "apart")
    assert not (tmp_path / "never").exists()
