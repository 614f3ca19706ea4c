# SPDX-License-Identifier: MIT
"""Draw scenes and who hears them, with the official generator's seeds and ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from rtcore.atomicfile import write_whole
from rtcore.challenges.cadenza.layout import Places
from rtcore.challenges.cadenza.metadata import Scene, read_gains, read_positions, read_tracks
from rtcore.challenges.people import md5_number, read_people
from rtcore.errors import ConfigError

__all__ = ["LISTENERS_SEED", "draw_listeners", "draw_scenes", "seed_of", "write_scenes"]

#: Scenes are numbered from here, and listeners are drawn from this word's seed.
_FIRST_SCENE, LISTENERS_SEED = 10001, "icassp2024"
_Entry = TypeVar("_Entry")


def seed_of(word: str) -> int:
    """Give the seed of a song, a scene or any word: the last eight digits of its MD5."""
    return md5_number(word) % 10**8


def draw_scenes(
    tracks: Sequence[str], gains: Sequence[str], positions: Sequence[str], per_track: int = 4
) -> dict[str, Scene]:
    """Draw gains and positions for each track, no two scenes of a track sharing either.

    Parameters
    ----------
    tracks : sequence of str
        Names, in the order of their file; each seeds its own scenes.
    gains, positions : sequence of str
        Ids to draw from, in the order of their files.
    per_track : int
        Scenes of each.

    Returns
    -------
    dict of str to Scene
        From ``scene_10001`` on.

    Raises
    ------
    ConfigError
        Where there are fewer gains or positions than scenes of a track.
    """
    for kind, pool in (("gains", gains), ("positions", positions)):
        if len(pool) < per_track:
            what = f"{per_track} scenes of a track need as many {kind}, and there are {len(pool)}"
            raise ConfigError("", f"{what}; ask for fewer scenes, or add {kind}")
    scenes: dict[str, Scene] = {}
    for track in tracks:
        random = np.random.RandomState(seed_of(track))  # the official stream
        left, free = list(gains), list(positions)
        for _ in range(per_track):
            scenes[f"scene_{_FIRST_SCENE + len(scenes)}"] = Scene(
                music=track,
                gain=left.pop(_drawn(left, random)),
                head_loudspeaker_positions=free.pop(_drawn(free, random)),
            )
    return scenes


def draw_listeners(
    scenes: Sequence[str], listeners: Sequence[str], per_scene: int = 2
) -> dict[str, list[str]]:
    """Draw who hears each scene; all in their order where there are no more than are asked for.

    Parameters
    ----------
    scenes, listeners : sequence of str
        Ids, in the order of their files.
    per_scene : int
        Listeners of each.
    """
    if len(listeners) <= per_scene:
        return {scene: list(listeners) for scene in scenes}
    random = np.random.RandomState(seed_of(LISTENERS_SEED))  # likewise
    return {
        scene: [listeners[k] for k in random.choice(len(listeners), per_scene, replace=False)]
        for scene in scenes
    }


def write_scenes(
    places: Places, *, per_track: int = 4, per_scene: int = 2, overwrite: bool = False
) -> tuple[dict[str, Scene], dict[str, list[str]], list[Path]]:
    """Draw a set's scenes and write ``scenes.*.json`` and ``scene_listeners.*.json``.

    Parameters
    ----------
    places : Places
        Where the metadata lie.
    per_track, per_scene : int
        Scenes of a track, and listeners of a scene.
    overwrite : bool
        Also over files that say something else.

    Returns
    -------
    scenes, heard : dict
        What was drawn.
    written : list of Path
        Those of the two files that were not there already, byte for byte.

    Raises
    ------
    ConfigError
        Where a file is missing, wrong or in the way.
    """
    tracks = [track.name for track in read_tracks(places.tracks)]
    gains, positions = list(read_gains(places.gains)), list(read_positions(places.positions))
    scenes = draw_scenes(tracks, gains, positions, per_track)
    heard = draw_listeners(list(scenes), list(read_people(places.listeners).by_id), per_scene)
    texts = {
        places.scenes: {scene_id: scene.model_dump() for scene_id, scene in scenes.items()},
        places.scene_listeners: heard,
    }
    written = []
    for path, content in texts.items():
        text = json.dumps(content, indent=4)  # the official files' bytes
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if path.exists() and not overwrite:
            what = "is there already and says something else; keep it, or give --overwrite"
            raise ConfigError(str(path), what)
        written.append(path)
    for path in written:
        write_whole(path, json.dumps(texts[path], indent=4), "the scenes")
    return scenes, heard, written


def _drawn(pool: Sequence[_Entry], random: np.random.RandomState) -> int:
    """Draw a place in a pool; the official generator draws nothing where only one is left."""
    return int(random.choice(len(pool), 1, replace=False)[0]) if len(pool) > 1 else 0
