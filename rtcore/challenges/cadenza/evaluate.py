# SPDX-License-Identifier: MIT
"""Score a system's answers to a Cadenza set: HAAQI of each scene and listener."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.atomicfile import write_whole
from rtcore.audiofile import info
from rtcore.batch import Job, Outcome, fingerprint
from rtcore.challenges.cadenza.at_mic import read_stereo
from rtcore.challenges.cadenza.haaqi import haaqi, with_nalr
from rtcore.challenges.cadenza.layout import CadenzaSet, Request, track_file
from rtcore.challenges.cadenza.lengths import check_length
from rtcore.challenges.cadenza.metadata import (
    MIXTURE,
    SAMPLE_RATE_HZ,
    SUBMISSION_RATE_HZ,
    Gains,
)
from rtcore.challenges.cadenza.remix import remix
from rtcore.challenges.cadenza.resampling import resampled
from rtcore.challenges.cadenza.scenes import seed_of
from rtcore.challenges.people import Pair
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

__all__ = [
    "PAIRS",
    "SUFFIX",
    "PairScore",
    "answers_folder",
    "read_answer",
    "read_factor",
    "reference_mix",
    "score",
    "score_jobs",
    "score_of",
    "seconds_to_score",
]

#: How a system's answers are called after scene and listener.
SUFFIX = "_remix.flac"
#: The folder of a run's single scores, which make it restartable.
PAIRS = "pairs"
_OFFICIAL_FOLDER = "enhanced_signals"
#: The order in which the official code adds stems.
_SUMMED = ("drums", "bass", "other", "vocals")
_STEPS = 32768.0


@dataclass(frozen=True)
class PairScore:
    """The scores of a scene and a listener: a row of the official table.

    Attributes
    ----------
    scene, song, listener : str
        Their ids.
    left_score, right_score, score : float
        HAAQI, 0 to 1; the last one is the mean of the ears.
    """

    scene: str
    song: str
    listener: str
    left_score: float
    right_score: float
    score: float


@dataclass(frozen=True)
class _Task:
    """One answer to be judged; the mixture itself, with NAL-R alone, where there is none."""

    request: Request
    answer: Path | None
    target: Path
    seeded: bool


def score_of(outcome: Outcome) -> PairScore:
    """Read what a job that is done, or was before, has found."""
    return PairScore(**outcome.result)


def answers_folder(folder: Path) -> Path:
    """Find a system's answers: in a folder, or in ``enhanced_signals`` within it.

    Raises
    ------
    ConfigError
        Where neither is a folder.
    """
    if not folder.is_dir():
        what = "is no folder; name the one that `rtcore cadenza enhance` has written"
        raise ConfigError(str(folder), what)
    inner = folder / _OFFICIAL_FOLDER
    return inner if inner.is_dir() else folder


def score_jobs(
    found: CadenzaSet,
    pairs: Iterable[Pair],
    answers: Path | None,
    target: Path,
    *,
    seeded: bool = True,
) -> Iterator[Job]:
    """List a job for each scene and listener.

    Parameters
    ----------
    found : CadenzaSet
        What was asked for.
    pairs : iterable of Pair
        Which of it.
    answers : Path or None
        Folder of what a system made of it; where None the mixtures themselves are scored, with
        nothing but NAL-R: what any system should beat.
    target : Path
        Folder of the single scores.
    seeded : bool
        Seed the ears' noise by the scene's name, as the official code does by default.
    """
    heard: tuple[Path | None, str] = (None, "")
    for pair in pairs:
        output = target / f"{pair.name}.json"
        answer = None if answers is None else answers / f"{pair.name}{SUFFIX}"
        try:
            request = found.request(pair)
            if heard[0] != request.folder:  # a song is read once for listeners in a row
                heard = request.folder, fingerprint(*request.files())
            task = _Task(request, answer, output, seeded)
            yield Job(pair.name, output, _key(task, heard[1]), task)
        except RtcoreError as error:
            yield Job(pair.name, output, "", error)  # matches nothing: the worker raises it


def _key(task: _Task, song: str) -> str:
    """Give a fingerprint of all that a score depends on."""
    from importlib.metadata import version

    answer = [] if task.answer is None else [task.answer, task.answer.with_suffix(".txt")]
    about = f"haaqi 1, pyclarity {version('pyclarity')}, seeded {task.seeded}"
    return fingerprint(about, task.request.text(), song, *answer)


def score(task: _Task | RtcoreError) -> dict[str, Any]:
    """Score an answer, and write what came out.

    Raises
    ------
    AudioFileError
        Where a sound is missing, damaged, or not what it should be.
    """
    if isinstance(task, RtcoreError):
        raise task
    request = task.request
    wanted = reference_mix(request.folder, request.gains)
    heard = _unprocessed(request) if task.answer is None else read_answer(task.answer)
    if task.answer is not None:
        check_length(task.answer, heard.shape[-1], wanted.shape[-1])
    seed = seed_of(request.pair.scene) if task.seeded else None
    left, right = haaqi(heard, wanted, request.listener, seed=seed)
    both = float(np.mean([left, right]))
    pair = request.pair
    row = PairScore(pair.scene, request.song_id, pair.listener, left, right, both)
    write_whole(task.target, json.dumps(asdict(row), indent=2) + "\n", "the score")
    return asdict(row)


@lru_cache(maxsize=2)
def reference_mix(folder: Path, gains: Gains) -> NDArray[np.float64]:
    """Mix the true stems as it was asked for; the next listeners of a scene find it ready.

    Parameters
    ----------
    folder : Path
        Of a song at the microphones.
    gains : Gains
        In dB.

    Returns
    -------
    ndarray, shape (2, frames)
        At 44.1 kHz, as loud as the mixture.

    Raises
    ------
    AudioFileError
        Where a file is missing, damaged, or not what it should be.
    """
    stems = {name: read_stereo(track_file(folder, name)) for name in _SUMMED}
    mixture = read_stereo(track_file(folder, MIXTURE))
    for name, stem in stems.items():
        if stem.shape != mixture.shape:
            frames = f"{stem.shape[-1]} frames where the mixture has {mixture.shape[-1]}"
            what = f"has {frames}; make the song again with `rtcore cadenza at-mic`"
            raise AudioFileError(f"{track_file(folder, name)}: {what}")
    mix = remix(stems, gains, mixture, SAMPLE_RATE_HZ)
    if not mix.any(axis=-1).all():
        what = "asks for a mix with a silent ear, which has no level; leave the scene out"
        raise AudioFileError(f"{folder}: {what}")
    return mix


def read_answer(path: Path) -> NDArray[np.float32]:
    """Read what a system made, as the official reader does: with its side-car's factor.

    Returns
    -------
    ndarray of float32, shape (2, frames)
        At 32 kHz.

    Raises
    ------
    AudioFileError
        Where it is missing, damaged, or not what it should be.
    ConfigError
        Where the side-car holds no number.
    """
    x = read_stereo(path, SUBMISSION_RATE_HZ).astype(np.float32)
    factor = read_factor(path)
    return x if factor is None else x * np.float32(factor)


def read_factor(path: Path) -> float | None:
    """Read the factor of an answer's side-car; None where there is no side-car.

    Raises
    ------
    ConfigError
        Where it holds no number.
    """
    side_car = path.with_suffix(".txt")
    if not side_car.exists():
        return None
    try:
        return float(side_car.read_text("utf-8"))
    except ValueError:
        what = "must hold the factor that the sound was divided by; write a number or delete it"
        raise ConfigError(str(side_car), what) from None


def _unprocessed(request: Request) -> NDArray[np.float32]:
    """Amplify the mixture as it is, and bring it to the form of an answer: 32 kHz, 16 bits."""
    mixture = read_stereo(request.file(MIXTURE))
    ears = zip(mixture, request.listener.ears, strict=True)
    amplified = np.stack([with_nalr(x, ear) for x, ear in ears])
    y = np.clip(resampled(amplified, SAMPLE_RATE_HZ, SUBMISSION_RATE_HZ), -1.0, 1.0)
    steps = np.clip(y * _STEPS, -_STEPS, _STEPS - 1.0).astype(np.int16)
    return (steps / _STEPS).astype(np.float32)


def seconds_to_score(jobs: Iterable[Job]) -> float:
    """Add up how many seconds of sound jobs have, for an estimate of their time; both ears count.

    Sounds that cannot be read count nothing.
    """
    total, lengths = 0.0, dict[Path, float]()
    for job in jobs:
        if isinstance(job.task, _Task):
            path = job.task.request.file(MIXTURE)
            if path not in lengths:
                lengths[path] = _duration_s(path)
            total += 2.0 * lengths[path]
    return total


def _duration_s(path: Path) -> float:
    try:
        return info(path).duration_s or 0.0
    except RtcoreError:
        return 0.0
