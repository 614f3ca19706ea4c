# SPDX-License-Identifier: MIT
"""Bring music to the microphones of a listener's hearing aids, as the official generator does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.atomicfile import write_whole
from rtcore.audiofile import Writer, read
from rtcore.batch import Job, fingerprint
from rtcore.batch.ledger import made_folder
from rtcore.challenges.cadenza.layout import Places, first_there, looked_up, track_file
from rtcore.challenges.cadenza.loudness import BLOCK_S, amplitude, integrated_loudness
from rtcore.challenges.cadenza.metadata import (
    MIXTURE,
    SAMPLE_RATE_HZ,
    STEMS,
    HeadPositions,
    Scene,
    Track,
    read_positions,
    read_scenes,
    read_tracks,
)
from rtcore.errors import AudioFileError, RtcoreError

__all__ = ["at_mic", "at_mic_jobs", "heard_at_mic", "make_file", "read_stereo", "write_songs"]

#: Goes into fingerprints: another number makes all files again.
_VERSION = "at-mic 1"
_EARS = 2


@dataclass(frozen=True)
class _Task:
    """One file of a song."""

    source: Path
    target: Path
    responses: tuple[Path, Path]


def at_mic(
    x: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Play two channels by two loudspeakers to two ears.

    Parameters
    ----------
    x : ndarray, shape (2, frames)
        What the loudspeakers play.
    left, right : ndarray, shape (2, taps)
        Impulse responses of the left and the right loudspeaker to both ears.

    Returns
    -------
    ndarray, shape (2, frames)
        What the left and the right ear's microphone gets. What the responses add at the end is
        cut off.
    """
    from scipy.signal import oaconvolve

    frames = x.shape[-1]
    of_left, of_right = (oaconvolve(x[k : k + 1], h, axes=-1) for k, h in enumerate((left, right)))
    return np.asarray(of_left[:, :frames] + of_right[:, :frames])


def heard_at_mic(
    x: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    sample_rate: int = SAMPLE_RATE_HZ,
) -> tuple[NDArray[np.float64], bool]:
    """Play a file to two ears, and bring it to the loudness that it had.

    Parameters
    ----------
    x, left, right : ndarray
        See :func:`at_mic`.
    sample_rate : int
        In Hz.

    Returns
    -------
    y : ndarray, shape (2, frames)
        Zeros where the loudness cannot be measured: that is what the official code makes of it.
    silent : bool
        Whether that is so.
    """
    y = at_mic(x, left, right)
    wanted, own = integrated_loudness(x, sample_rate), integrated_loudness(y, sample_rate)
    if not (math.isfinite(wanted) and math.isfinite(own)):
        return np.zeros_like(y), True
    return amplitude(wanted - own) * y, False


def make_file(task: _Task | RtcoreError) -> dict[str, Any]:
    """Make a file at the microphones: 16 bits, cut off toward zero as the challenge's code does.

    Raises
    ------
    AudioFileError
        Where a file is missing, damaged, or not what it should be.
    """
    if isinstance(task, RtcoreError):
        raise task
    x = read_stereo(task.source)
    if x.shape[-1] < BLOCK_S * SAMPLE_RATE_HZ:
        what = f"is shorter than {BLOCK_S} s, too short for its loudness; leave the track out"
        raise AudioFileError(f"{task.source}: {what}")
    left, right = (read_stereo(path) for path in task.responses)
    y, silent = heard_at_mic(x, left, right)
    made_folder(task.target.parent)
    with Writer(task.target, SAMPLE_RATE_HZ, _EARS, subtype="PCM_16") as out:
        out.write(y)
    return {"frames": y.shape[-1], "clipped": out.clipped, "silent": silent}


def read_stereo(path: Path, sample_rate: int = SAMPLE_RATE_HZ) -> NDArray[np.float64]:
    """Read a stereo file of a sample rate that must be so.

    Returns
    -------
    ndarray of float64, shape (2, frames)

    Raises
    ------
    AudioFileError
        Naming the file, and what it should be.
    """
    x, rate = read(path)
    if rate != sample_rate:
        what = f"has a sample rate of {rate} Hz where {sample_rate} Hz are wanted; convert it"
        raise AudioFileError(f"{path}: {what}")
    if len(x) != _EARS:
        what = f"has {len(x)} channel{'s' * (len(x) > 1)} where two are wanted; make it stereo"
        raise AudioFileError(f"{path}: {what}")
    return x


def at_mic_jobs(places: Places) -> Iterator[Job]:
    """List a job for each file of each song that the scenes need, in the scenes' order.

    What refers to nothing becomes a job that fails with the sentence, so that the rest goes on.

    Parameters
    ----------
    places : Places
        Where the metadata, the music and the impulse responses lie.

    Raises
    ------
    ConfigError
        Where the metadata cannot be read.
    """
    scenes, tracks = read_scenes(places.scenes), _by_name(places)
    positions = read_positions(places.positions)
    for song_id, (scene_id, scene) in _songs_of(scenes).items():
        try:
            track, responses = _found(places, scene_id, scene, tracks, positions)
        except RtcoreError as error:
            target = places.at_mic / places.split / song_id / f"{MIXTURE}.wav"
            yield Job(song_id, target, "", error)
            continue
        folder = places.at_mic / track.split / song_id
        for name in (MIXTURE, *STEMS):
            source = track_file(places.music / track.path, name)
            task = _Task(source, folder / f"{name}.wav", responses)
            yield Job(f"{song_id}/{name}", task.target, _key(task), task)


def write_songs(places: Places) -> int:
    """Write ``at_mic_music.*.json`` for all songs of the scenes; give how many there are.

    Raises
    ------
    RtcoreError
        Where it cannot be written.
    """
    tracks, songs = _by_name(places), {}
    for song_id, (_, scene) in _songs_of(read_scenes(places.scenes)).items():
        track = tracks.get(scene.music)
        if track is not None:
            songs[song_id] = {
                "Track Name": song_id,
                "Split": track.split,
                "Path": f"{track.split}/{song_id}",
                "Original Track Name": track.name,
                "Head Position": scene.head_loudspeaker_positions,
            }
    write_whole(places.songs, json.dumps(songs, indent=4), "the list of songs")
    return len(songs)


def _songs_of(scenes: Mapping[str, Scene]) -> dict[str, tuple[str, Scene]]:
    """Give each song once, with the last scene that plays it, as the official generator does."""
    return {scene.song_id: (scene_id, scene) for scene_id, scene in scenes.items()}


def _by_name(places: Places) -> dict[str, Track]:
    return {track.name: track for track in read_tracks(places.tracks)}


def _found(
    places: Places,
    scene_id: str,
    scene: Scene,
    tracks: Mapping[str, Track],
    positions: Mapping[str, HeadPositions],
) -> tuple[Track, tuple[Path, Path]]:
    """Look up what a scene names."""
    where = f"{places.scenes}: {scene_id}"
    track: Track = looked_up(tracks, scene.music, f"{where}.music", "track", places.tracks)
    key = f"{where}.head_loudspeaker_positions"
    name = scene.head_loudspeaker_positions
    position: HeadPositions = looked_up(positions, name, key, "position", places.positions)
    left, right = ([places.hrtf / each for each in names] for names in position.response_names)
    return track, (first_there(*left), first_there(*right))


def _key(task: _Task) -> str:
    """Give a fingerprint of all that a file depends on; empty where that cannot be read."""
    try:
        return fingerprint(_VERSION, task.source, *task.responses)
    except RtcoreError:
        return ""  # the worker finds the same fault and reports it
