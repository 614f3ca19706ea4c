# SPDX-License-Identifier: MIT
"""Find a Cadenza set in its folder, and resolve what a scene and its listener refer to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcore.challenges.cadenza.metadata import (
    MIXTURE,
    STEMS,
    Gains,
    Scene,
    Song,
    read_gains,
    read_scenes,
    read_songs,
)
from rtcore.challenges.people import (
    Pair,
    People,
    SceneListeners,
    read_people,
    read_scene_listeners,
)
from rtcore.errors import ConfigError, did_you_mean
from rtcore.hearing import Listener

__all__ = [
    "CadenzaSet",
    "Places",
    "Request",
    "find_places",
    "find_set",
    "first_there",
    "looked_up",
    "track_file",
]

#: Every so many pairs make the official small test.
_SMALL_TEST = 15
#: What lists of tracks are called beside musdb18.
_MUSIC = ("moisesdb", "musdb", "music")


@dataclass(frozen=True)
class Places:
    """Where the files of a set lie; see :func:`find_places`."""

    root: Path
    split: str
    gains: Path
    positions: Path
    listeners: Path
    tracks: Path
    songs: Path
    scenes: Path
    scene_listeners: Path
    music: Path
    at_mic: Path
    hrtf: Path


@dataclass(frozen=True)
class Request:
    """What a listener asks of a scene: one output is its answer, one row of scores judges it.

    Attributes
    ----------
    pair : Pair
        Of scene and listener; its `name` begins the names of outputs.
    song_id : str
        The song at the microphones.
    gains : Gains
        In dB.
    listener : Listener
        Both ears.
    folder : Path
        Of the song.
    """

    pair: Pair
    song_id: str
    gains: Gains
    listener: Listener
    folder: Path

    def file(self, track: str) -> Path:
        """Give the file of ``mixture`` or of a stem."""
        return track_file(self.folder, track)

    def files(self) -> list[Path]:
        """List the mixture and all stems."""
        return [self.file(track) for track in (MIXTURE, *STEMS)]

    def text(self) -> str:
        """Give what depends on the metadata alone, for fingerprints."""
        ears = [(ear.levels_db_hl, ear.frequencies_hz) for ear in self.listener.ears]
        return json.dumps([self.pair.name, self.song_id, self.gains.model_dump(), ears])


@dataclass(frozen=True)
class CadenzaSet:
    """The metadata of a set.

    What refers to nothing (a listener who is not in the list, say) is told by :meth:`request`, so
    that it is reported with its scene while the others go on.
    """

    places: Places
    gains: Mapping[str, Gains]
    scenes: Mapping[str, Scene]
    scene_listeners: SceneListeners
    songs: Mapping[str, Song]
    people: People

    def pairs(self, *, small_test: bool = False, batch: int = 0, batches: int = 1) -> list[Pair]:
        """List scenes with their listeners, in the official order.

        Parameters
        ----------
        small_test : bool
            Only every fifteenth.
        batch, batches : int
            Of what is left, every `batches`-th from `batch` (0 .. batches - 1) on.
        """
        every = _SMALL_TEST if small_test else 1
        return list(self.scene_listeners.pairs())[::every][batch::batches]

    def request(self, pair: Pair) -> Request:
        """Resolve what a scene and a listener refer to.

        Raises
        ------
        ConfigError
            Naming the file and the key, and the nearest that there is.
        """
        p = self.places
        scene = looked_up(self.scenes, pair.scene, pair.named_in, "scene", p.scenes)
        listener = self.people.find(pair.listener, pair.named_in)
        where = f"{p.scenes}: {pair.scene}"
        gains = looked_up(self.gains, scene.gain, f"{where}.gain", "gain", p.gains)
        song = looked_up(self.songs, scene.song_id, f"{where}.music", "song", p.songs)
        return Request(pair, scene.song_id, gains, listener, song_folder(p.at_mic, song))


def find_places(root: Path, split: str | None = None, **given: Path | None) -> Places:
    """Find where a set's files lie, which need not all be there.

    Parameters
    ----------
    root : Path
        The folder with ``metadata`` and ``audio``.
    split : str, optional
        ``train``, ``valid`` and so on; the only one there is by default.
    **given : Path, optional
        Fields of :class:`Places` that lie elsewhere.

    Raises
    ------
    ConfigError
        Where there is no such folder, or several splits.
    """
    metadata = root / "metadata"
    if not metadata.is_dir():
        what = "has no folder 'metadata'; name the folder that holds metadata and audio"
        raise ConfigError(str(root), what)
    split = split or _only_split(metadata)
    positions = metadata / "head_loudspeaker_positions.json"
    older = metadata / "head_positions.json"
    tracks = metadata / f"musdb18.{split}.json"
    if not tracks.exists():  # the sets of validation and evaluation are of other music
        others = sorted(metadata.glob(f"*.{split}.json"))
        tracks = next((path for path in others if path.name.startswith(_MUSIC)), tracks)
    found: dict[str, Any] = {
        "gains": metadata / "gains.json",
        "positions": older if older.exists() and not positions.exists() else positions,
        "listeners": metadata / f"listeners.{split}.json",
        "tracks": tracks,
        "songs": metadata / f"at_mic_music.{split}.json",
        "scenes": metadata / f"scenes.{split}.json",
        "scene_listeners": metadata / f"scene_listeners.{split}.json",
        "music": root / "audio" / "music",
        "at_mic": root / "audio" / "at_mic_music",
        "hrtf": root / "audio" / "hrtf",
    }
    elsewhere = {key: path for key, path in given.items() if path is not None}
    return Places(root=root, split=split, **(found | elsewhere))


def find_set(root: Path, split: str | None = None, **given: Path | None) -> CadenzaSet:
    """Read the metadata of a set; see :func:`find_places`.

    Raises
    ------
    ConfigError
        Where a file is missing or does not hold what it should.
    """
    places = find_places(root, split, **given)
    return CadenzaSet(
        places,
        read_gains(places.gains),
        read_scenes(places.scenes),
        read_scene_listeners(places.scene_listeners),
        read_songs(places.songs),
        read_people(places.listeners),
    )


def looked_up(table: Mapping[str, Any], key: str, where: str, kind: str, path: Path) -> Any:
    """Give an entry of a table.

    Raises
    ------
    ConfigError
        Naming the nearest one, where there is none of that name.
    """
    if key not in table:
        hint = did_you_mean(key, table)
        raise ConfigError(where, f"there is no {kind} '{key}' in {path}{hint}; mend one of the two")
    return table[key]


def song_folder(at_mic: Path, song: Song) -> Path:
    """Give a song's folder; the split's name may be written with a large letter or without."""
    folder = at_mic / song.path
    head, _, rest = song.path.partition("/")
    others = (at_mic / word / rest for word in (head.lower(), head.capitalize()) if rest)
    return first_there(folder, *others)


def track_file(folder: Path, track: str) -> Path:
    """Give ``bass.wav`` or, where only that is there, ``Bass.wav``."""
    return first_there(folder / f"{track}.wav", folder / f"{track.capitalize()}.wav")


def first_there(path: Path, *others: Path) -> Path:
    """Give the first of several places at which there is something; the very first otherwise."""
    return next((each for each in (path, *others) if each.exists()), path)


def _only_split(metadata: Path) -> str:
    """Name the split whose scenes are there."""
    splits = sorted(path.name.split(".")[1] for path in metadata.glob("scenes.*.json"))
    if len(splits) == 1:
        return splits[0]
    if splits:
        what = f"has scenes of {', '.join(splits)}; choose with --split"
    else:
        what = "has no scenes.<split>.json; run `rtcore cadenza scenes`, or name the split"
    raise ConfigError(str(metadata), what)
