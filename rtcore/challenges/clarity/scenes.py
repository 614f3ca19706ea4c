# SPDX-License-Identifier: MIT
"""What the scene and room lists of the Clarity challenges hold.

Times are in frames at 44.1 kHz, angles in degrees, positions in metres.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from rtcore.challenges.forms import Form, check
from rtcore.errors import ConfigError
from rtcore.hearing.listener_files import read_json

__all__ = [
    "RATE_HZ",
    "Cec1Scene",
    "Head",
    "Interferer",
    "Place",
    "Room",
    "Scene",
    "Target",
    "Turn",
    "View",
    "read_scenes",
]

#: Of all sounds of the first two challenges.
RATE_HZ = 44100

Dataset = str
Masker = Literal["speech", "noise", "music"]


class Target(Form):
    """Who talks, and when."""

    name: str
    time_start: int = Field(ge=0)
    time_end: int = Field(ge=0)


class Interferer(Form):
    """What disturbs.

    `position` is the number of the place in the room's list; the official renderer takes the
    impulse responses in the order of the interferers all the same.
    """

    position: int = Field(ge=1)
    time_start: int = Field(ge=0)
    time_end: int = Field(ge=0)
    type: Masker
    name: str
    offset: int = Field(ge=0)


class Turn(Form):
    """Where the head points at a moment."""

    sample: float
    angle: float


class Head(Form):
    """The listener's head: how it turns, and whose impulse responses it has (one a microphone)."""

    rotation: list[Turn] = Field(min_length=2, max_length=2)
    hrir_filename: list[str] = Field(min_length=1)


class Scene(Form):
    """A scene of CEC2."""

    dataset: Dataset
    room: str
    scene: str
    target: Target
    duration: int = Field(gt=0)
    interferers: list[Interferer]
    SNR: float
    listener: Head


class Place(Form):
    """A point in a room."""

    position: list[float] = Field(min_length=3, max_length=3)


class View(Place):
    """A point, and where one looks from it."""

    view_vector: list[float] = Field(min_length=3, max_length=3)


class Room(Form):
    """A room of CEC2."""

    name: str
    dimensions: str
    target: View
    listener: View
    interferers: list[Place]


class _Loose(Form):
    """An object of CEC1 of which only some keys matter here."""

    model_config = ConfigDict(extra="ignore")


class _Cec1Part(_Loose):
    name: str
    nsamples: int | None = None


class Cec1Scene(_Loose):
    """A scene of CEC1: exactly one interferer, the room's geometry inside."""

    scene: str
    dataset: Dataset
    target: _Cec1Part
    interferer: _Cec1Part
    pre_samples: int
    post_samples: int
    SNR: float


def read_scenes(path: Path) -> list[Scene] | list[Cec1Scene]:
    """Read the scenes of CEC2 or CEC1; which of the two is seen from the first one.

    Raises
    ------
    ConfigError
        Naming the file and the key, what was found and what is wanted.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise ConfigError(str(path), "must be a list of scenes, and not an empty one")
    names = [f"{path}: [{k}]" for k in range(len(content))]
    if isinstance(content[0], dict) and "interferer" in content[0]:
        old = [
            check(entry, Cec1Scene, name, what="a scene of CEC1")
            for entry, name in zip(content, names, strict=True)
        ]
        _check_names([scene.scene for scene in old], names)
        return old
    scenes = [
        check(entry, Scene, name, what="a scene of CEC2")
        for entry, name in zip(content, names, strict=True)
    ]
    _check_names([scene.scene for scene in scenes], names)
    for scene, name in zip(scenes, names, strict=True):
        _check_times(scene, name)
    return scenes


def _check_names(found: list[str], places: list[str]) -> None:
    seen: set[str] = set()
    for name, place in zip(found, places, strict=True):
        if name in seen:
            raise ConfigError(f"{place}.scene", f"'{name}' comes twice; rename one of the two")
        seen.add(name)


def _check_times(scene: Scene, place: str) -> None:
    """Refuse times that no sound can have."""
    spans = {"target": scene.target} | {
        f"interferers[{k}]": i for k, i in enumerate(scene.interferers)
    }
    for key, span in spans.items():
        if not span.time_start < span.time_end <= scene.duration:
            what = f"lasts from {span.time_start} to {span.time_end} in a scene of {scene.duration}"
            raise ConfigError(f"{place}.{key}", f"{what} frames; mend time_start and time_end")
