# SPDX-License-Identifier: MIT
"""The objects of Cadenza's metadata files, checked: gains, positions, scenes, songs, tracks."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, Field

from rtcore.challenges.forms import Form, read_list, read_table
from rtcore.challenges.people import SceneListeners, read_scene_listeners

__all__ = [
    "MIXTURE",
    "SAMPLE_RATE_HZ",
    "STEMS",
    "SUBMISSION_RATE_HZ",
    "Gains",
    "HeadPositions",
    "Scene",
    "SceneListeners",
    "Song",
    "Track",
    "read_gains",
    "read_positions",
    "read_scene_listeners",
    "read_scenes",
    "read_songs",
    "read_tracks",
]

#: Of the music, and of what is handed in.
SAMPLE_RATE_HZ, SUBMISSION_RATE_HZ = 44100, 32000
#: The files of a song, in the order of its generator.
MIXTURE, STEMS = "mixture", ("vocals", "drums", "bass", "other")


class _Loose(Form):
    """An object whose further keys are left alone: the sets of a year differ in them."""

    model_config = ConfigDict(extra="ignore")


class Gains(Form):
    """By how much each stem shall be louder (dB); a stem too many or too few is an error."""

    _KEYS: ClassVar[tuple[str, ...]] = STEMS

    vocals: float = Field(allow_inf_nan=False)
    drums: float = Field(allow_inf_nan=False)
    bass: float = Field(allow_inf_nan=False)
    other: float = Field(allow_inf_nan=False)

    def of(self, stem: str) -> float:
        """Give a stem's gain in dB."""
        return float(getattr(self, stem))


class HeadPositions(_Loose):
    """Whose head it is, which microphone, and where the loudspeakers stand (degrees, right > 0).

    Angles stay integers where the file has integers: names of files are made of them.
    """

    subject: str
    left_angle: int | float = Field(allow_inf_nan=False)
    right_angle: int | float = Field(allow_inf_nan=False)
    mic: str

    @property
    def response_names(self) -> tuple[list[str], list[str]]:
        """Name the files of the left and of the right loudspeaker's responses, the likeliest first.

        An angle of 30 may also be written 30.0.
        """
        begin, n, p = f"{self.mic}-{self.subject}", abs(self.left_angle), abs(self.right_angle)
        left, right = ([each, float(each), int(each)] for each in (n, p))
        return (
            [f"{begin}-n{angle}.wav" for angle in left if angle == n],
            [f"{begin}-p{angle}.wav" for angle in right if angle == p],
        )


class Scene(_Loose):
    """A song, by which gains it is remixed, and from where it is heard."""

    music: str
    gain: str
    head_loudspeaker_positions: str

    @property
    def song_id(self) -> str:
        """Name the song as it is at the microphones."""
        return f"{self.music}-{self.head_loudspeaker_positions}"


class Track(_Loose):
    """A track of the music as it was recorded; `path` is relative to the music's folder."""

    name: str = Field(alias="Track Name")
    split: str = Field(alias="Split")
    path: str = Field(alias="Path")


class Song(Track):
    """A track at the microphones; `path` is relative to ``at_mic_music``."""

    original: str = Field(default="", alias="Original Track Name")
    position: str = Field(default="", alias="Head Position")


def read_gains(path: Path) -> dict[str, Gains]:
    """Read ``gains.json``.

    Raises
    ------
    ConfigError
        For this and the other readers: naming the file and the key, what was found and the remedy.
    """
    return read_table(path, Gains, what="a set of gains")


def read_positions(path: Path) -> dict[str, HeadPositions]:
    """Read ``head_loudspeaker_positions.json``."""
    return read_table(path, HeadPositions, what="a position of head and loudspeakers")


def read_scenes(path: Path) -> dict[str, Scene]:
    """Read ``scenes.*.json``."""
    return read_table(path, Scene, what="a scene")


def read_songs(path: Path) -> dict[str, Song]:
    """Read ``at_mic_music.*.json``."""
    return read_table(path, Song, what="a song at the microphones")


def read_tracks(path: Path) -> list[Track]:
    """Read ``musdb18.*.json``."""
    return read_list(path, Track, what="a track")
