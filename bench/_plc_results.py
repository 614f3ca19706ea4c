# SPDX-License-Identifier: MIT
"""Score what methods made of clips, and keep it for a later run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _plc_clips import RATE, Clip
from _plc_methods import Method

from rtcore.atomicfile import write_whole
from rtcore.challenges.plc.scores import Scorer

__all__ = ["MEASURES", "Cache", "Result", "Results", "played", "scored", "set_up"]

MEASURES = ("plcmos", "pesq", "stoi")

#: What a method made of a clip: ``scores``, ``seconds`` of each packet, a digest of the sound.
Result = dict[str, Any]
#: Method to what it made of each clip; None where it cannot play one.
Results = dict[str, list[Result | None]]
#: What is heard in 16 bits, and the seconds of each packet.
Played = tuple[np.ndarray, np.ndarray]


class Cache:
    """A file for each method and clip; without a folder nothing is kept.

    Parameters
    ----------
    folder : Path or None
        Where they lie.
    how : mapping of str to str
        How each measure is obtained: with other versions nothing is found.
    """

    def __init__(self, folder: Path | None, how: Mapping[str, str]) -> None:
        self._folder = folder
        self._how = json.dumps(dict(how), sort_keys=True)

    def get(self, method: str, clip: Clip) -> Result | None:
        """Give what was kept, if anything."""
        path = self._path(method, clip)
        return json.loads(path.read_text()) if path is not None and path.is_file() else None

    def put(self, method: str, clip: Clip, result: Result) -> None:
        """Keep a result."""
        path = self._path(method, clip)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(result), "the cache")

    def _path(self, method: str, clip: Clip) -> Path | None:
        if self._folder is None:
            return None
        key = hashlib.sha256(f"{self._how}|{clip.digest}".encode()).hexdigest()
        return self._folder / method / f"{key[:32]}.json"


def played(method: Method, clips: Iterable[Clip]) -> list[Played | None]:
    """Conceal clips; None where a method cannot."""
    found: list[Played | None] = []
    for clip in clips:
        heard = method.heard(clip)
        found.append(None if heard is None else (_in_16_bits(heard[0]), heard[1]))
    return found


def scored(
    sounds: Mapping[str, list[Played | None]],
    clips: list[Clip],
    cache: Cache,
    pool: ProcessPoolExecutor,
) -> Results:
    """Score what methods made of clips; the same sound of the same clip is scored once.

    Clip by clip, so that what a broken run has kept is whole for the first clips.
    """
    results: Results = {name: [] for name in sounds}
    waiting: list[tuple[str, Clip, Result, Future | None]] = []
    for k, clip in enumerate(clips):
        for name, found in sounds.items():
            result, job = _begun(found[k], cache.get(name, clip), clip, pool)
            results[name].append(result)
            if result is not None:
                waiting.append((name, clip, result, job))
    for name, clip, result, job in waiting:
        if job is not None:
            result["scores"] = job.result()
        cache.put(name, clip, result)
    return results


def _begun(
    sound: Played | None, known: Result | None, clip: Clip, pool: ProcessPoolExecutor
) -> tuple[Result | None, Future | None]:
    """Take the scores that are known of this very sound, or have it scored."""
    if sound is None:
        return None, None
    heard, seconds = sound
    digest = hashlib.sha256(heard.tobytes()).hexdigest()
    scores = known["scores"] if known is not None and known["heard"] == digest else None
    result = {"heard": digest, "scores": scores, "seconds": [round(s, 9) for s in seconds]}
    return result, None if scores is not None else pool.submit(score, heard, clip.clean)


def _in_16_bits(x: np.ndarray) -> np.ndarray:
    """Round as in a file."""
    return np.clip(np.rint(x * 32768.0), -32768, 32767).astype(np.int16)


# -- in the processes of the pool -----------------------------------------------------------------

_scorer: list[Scorer] = []


def set_up() -> None:
    """Load the measures in a process of the pool."""
    _scorer[:] = [Scorer(MEASURES)]


def score(heard: np.ndarray, clean: np.ndarray | None) -> dict[str, float | None]:
    """Score one clip."""
    return _scorer[0].score(heard / 32768.0, RATE, clean)[0]
