# SPDX-License-Identifier: MIT
"""Who listens to what: the lists that Clarity's and Cadenza's challenges share.

``listeners.json`` holds audiograms by a listener's id, and ``scenes_listeners.json`` the ids of
those who hear each scene. A pair of scene and listener is what everything is done for; its two
ears belong together.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcore.challenges.forms import read_names
from rtcore.errors import ConfigError, did_you_mean
from rtcore.hearing import Listener, load_listeners

__all__ = [
    "Pair",
    "People",
    "SceneListeners",
    "listener_entry",
    "md5_number",
    "read_people",
    "read_scene_listeners",
]


@dataclass(frozen=True)
class People:
    """The listeners of a challenge.

    Attributes
    ----------
    path : Path
        The file that they come from.
    by_id : dict
        Id, such as ``"L0064"``, to :class:`~rtcore.hearing.Listener`.
    """

    path: Path
    by_id: dict[str, Listener]

    def __len__(self) -> int:
        return len(self.by_id)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.by_id

    def find(self, id_: str, asked_by: str) -> Listener:
        """Give a listener.

        Parameters
        ----------
        id_ : str
            As in the file.
        asked_by : str
            Which file and key names the id, for the error.

        Raises
        ------
        ConfigError
            Where the file has no such listener.
        """
        if id_ in self.by_id:
            return self.by_id[id_]
        hint = did_you_mean(id_, self.by_id)
        what = f"names the listener '{id_}', who is not among the {len(self)} of {self.path}{hint}"
        raise ConfigError(asked_by, f"{what}; add the audiogram or take the listener out")

    def text(self, id_: str) -> str:
        """Give what a result depends on of a listener, for fingerprints; empty where unknown."""
        found = self.by_id.get(id_)
        if found is None:
            return ""
        return json.dumps([(ear.levels_db_hl, ear.frequencies_hz) for ear in found.ears])


@dataclass(frozen=True)
class Pair:
    """A scene and who hears it.

    Attributes
    ----------
    scene, listener : str
        Their ids.
    named_in : str
        File and key, for errors.
    """

    scene: str
    listener: str
    named_in: str = ""

    @property
    def name(self) -> str:
        """What people call it, and the beginning of the challenges' file names."""
        return f"{self.scene}_{self.listener}"


@dataclass(frozen=True)
class SceneListeners:
    """Which listeners hear which scenes.

    Attributes
    ----------
    path : Path
        The file.
    by_scene : dict
        Scene id to the ids of its listeners, in the order of the file.
    """

    path: Path
    by_scene: dict[str, tuple[str, ...]]

    def pairs(self, scenes: set[str] | None = None) -> Iterator[Pair]:
        """Give all pairs, or those of some scenes, in the order of the file."""
        for scene, ids in self.by_scene.items():
            if scenes is None or scene in scenes:
                for k, id_ in enumerate(ids):
                    yield Pair(scene, id_, f"{self.path}: {scene}[{k}]")

    def __len__(self) -> int:
        return sum(len(ids) for ids in self.by_scene.values())


def read_people(path: Path) -> People:
    """Read a ``listeners.json``.

    Raises
    ------
    ConfigError
        Where it is missing, is no JSON, or a listener lacks a key or has no proper audiogram; the
        sentence names file and key.
    """
    return People(path, load_listeners(path))


def read_scene_listeners(path: Path, people: People | None = None) -> SceneListeners:
    """Read a ``scenes_listeners.json``.

    Parameters
    ----------
    path : Path
        An object of lists: ``{"S06001": ["L0064", "L0068"]}``.
    people : People, optional
        Refuse ids that are not among these. Where it is left out, each pair finds out itself, so
        that one bad id spoils no others.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    by_scene = read_names(path)
    for scene in by_scene:
        _check_name(scene, str(path))
    found = SceneListeners(
        path, {scene: _ids(entry, f"{path}: {scene}") for scene, entry in by_scene.items()}
    )
    if not any(found.by_scene.values()):
        raise ConfigError(str(path), "names no scene with a listener; is it the right file?")
    if people is not None:
        for pair in found.pairs():
            people.find(pair.listener, pair.named_in)
    return found


def _ids(entry: object, where: str) -> tuple[str, ...]:
    """Check the list of a scene."""
    if not isinstance(entry, list):
        what = f"must be a list of listeners' ids, got {reprlib.repr(entry)}"
        raise ConfigError(where, f'{what}; write ["L0001"]')
    for k, id_ in enumerate(entry):
        if not isinstance(id_, str) or not id_:
            what = f"must be a listener's id, got {reprlib.repr(id_)}"
            raise ConfigError(f"{where}[{k}]", f'{what}; write "L0001"')
        _check_name(id_, f"{where}[{k}]")
        if id_ in entry[:k]:
            what = f"names the listener '{id_}' for the second time; take one of the two out"
            raise ConfigError(f"{where}[{k}]", what)
    return tuple(entry)


def _check_name(id_: str, where: str) -> None:
    """Refuse an id that leads to another folder: files are called after scene and listener."""
    if any(sign in id_ for sign in "/\\\0"):
        what = f"has the id {reprlib.repr(id_)}, which is a path and no name"
        raise ConfigError(where, f"{what}; files are called after it, so take the slashes out")


def listener_entry(listener: Listener) -> dict[str, Any]:
    """Give a listener as an entry of ``listeners.json``.

    Raises
    ------
    ConfigError
        Where the two ears were measured at different frequencies, which the file cannot say.
    """
    left, right = listener.ears
    if left.frequencies_hz != right.frequencies_hz:
        what = "has other frequencies for the left ear than for the right one"
        raise ConfigError(listener.name or "listener", f"{what}; measure both at the same")
    return {
        "name": listener.id or listener.name,
        "audiogram_cfs": _numbers(left.frequencies_hz),
        "audiogram_levels_l": _numbers(left.levels_db_hl),
        "audiogram_levels_r": _numbers(right.levels_db_hl),
    }


def _numbers(values: Any) -> list[float | int]:
    """Give whole numbers as the challenges' files write them: without a point."""
    return [int(value) if float(value).is_integer() else float(value) for value in values]


def md5_number(text: str) -> int:
    """Give the MD5 of a text as a number: the challenges' seeds are its last digits."""
    return int(hashlib.md5(text.encode("utf-8")).hexdigest(), 16)  # noqa: S324 - no secret
