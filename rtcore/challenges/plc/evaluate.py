# SPDX-License-Identifier: MIT
"""Score all sounds of a folder, on all cores; what was scored before is not scored again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import read
from rtcore.batch import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.plc.bursts import STRATA, bursts_of, stratum_of
from rtcore.challenges.plc.pairing import Heard, HeardSet
from rtcore.challenges.plc.scores import SHORTEST_S, Scorer, how
from rtcore.challenges.plc.traces import PACKETS_PER_SECOND, packet_frames, write_text
from rtcore.errors import ConfigError, RtcoreError

__all__ = ["ClipScore", "evaluate", "load_pair", "score_of"]

#: Folder of the files that make a run restartable, one for each clip.
CLIPS = "clips"


@dataclass(frozen=True)
class ClipScore:
    """The scores of one clip.

    Attributes
    ----------
    name : str
        Without a suffix.
    scores : dict
        Column to value; None where a measure has none.
    sample_rate, frames : int
        Of the sound.
    packets, lost, longest : int or None
        Of its trace: packets, how many were lost, and how many in the longest burst.
    stratum : str
        ``"to 120 ms"`` and so on, ``"nothing lost"``, ``"over 1000 ms"``; empty without a trace.
    notes : tuple of str
        Why a value is missing.
    """

    name: str
    scores: dict[str, float | None]
    sample_rate: int = 16000
    frames: int = 0
    packets: int | None = None
    lost: int | None = None
    longest: int | None = None
    stratum: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def loss_rate(self) -> float | None:
        """Share of the packets that were lost, 0 to 1; None without a trace."""
        if self.packets is None or self.lost is None:
            return None
        return self.lost / self.packets if self.packets else 0.0


def score_of(outcome: Outcome) -> ClipScore:
    """Read what a job that is done, or was before, has found."""
    found = dict(outcome.result)
    found["notes"] = tuple(found.get("notes", ()))
    return ClipScore(**found)


def evaluate(
    found: HeardSet,
    target: Path,
    measures: Sequence[str],
    *,
    workers: int = 1,
    again: bool = False,
) -> Iterator[Outcome]:
    """Score the sounds of a folder.

    Parameters
    ----------
    found : HeardSet
        The sounds.
    target : Path
        A folder for what makes a run restartable, made where it is missing.
    measures : sequence of str
        Of :data:`~rtcore.challenges.plc.scores.MEASURES`.
    workers : int
        Processes. With more than one a script of yours needs ``if __name__ == "__main__":``.
    again : bool
        Score all, whatever is there.

    Yields
    ------
    Outcome
        One for each sound, as they end; :func:`score_of` reads it.

    Raises
    ------
    DeviceError
        Where a package is missing.
    ConfigError, AudioFileError
        Where the target cannot be used.
    """
    scorer = Scorer(measures)  # also tells what is missing, once
    if target.exists() and not target.is_dir():
        raise ConfigError(str(target), "is a file; name a folder for the scores")
    folder = made_folder(target / CLIPS)
    ledger = Ledger(folder)
    with ledger.writing():
        if again:
            ledger.forget()
        jobs = _jobs(found, folder, scorer.measures)
        if workers == 1:
            yield from run_jobs(jobs, _Worker(scorer).work, ledger)
            return
        yield from run_jobs(jobs, _work, ledger, workers=workers, setup=(_set_up, (measures,)))


def _jobs(found: HeardSet, folder: Path, measures: Sequence[str]) -> Iterator[Job]:
    """List the jobs, each with a fingerprint of all that its scores depend on."""
    from rtcore import __version__

    text = json.dumps([__version__, how(measures)], sort_keys=True)
    for heard in found.sounds:
        output = folder / f"{heard.name}.json"
        key = ""
        if heard.fault is None:
            try:
                key = fingerprint(text, heard.sound, heard.clean or "", *_trace_of(heard))
            except RtcoreError:
                key = ""  # the worker finds the same fault and reports it
        yield Job(heard.name, output, key, (heard, output))


def _trace_of(heard: Heard) -> tuple[str | Path, ...]:
    if heard.clip is None:
        return ()
    return (heard.clip.digits if heard.clip.digits is not None else Path(heard.clip.trace),)


class _Worker:
    """Scores one clip after the other."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def work(self, task: tuple[Heard, Path]) -> dict[str, Any]:
        """Score the clip of a job, and write its scores."""
        heard, output = task
        if heard.fault is not None:
            raise heard.fault
        x, clean, rate = load_pair(heard)
        scores, notes = self._scorer.score(x, rate, clean)
        score = ClipScore(
            heard.name, scores, rate, len(x), **_losses(heard, len(x), rate), notes=tuple(notes)
        )
        result = asdict(score)
        write_text(output, json.dumps(result, indent=2) + "\n")
        return result


def load_pair(heard: Heard) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Read a sound and its clean sound, of the same length.

    Returns
    -------
    heard, clean : array, shape (frames,)
        The clean sound is None where there is none. They may differ by up to a packet, as those
        of the challenge's own baseline do: what one has more is cut.
    sample_rate : int

    Raises
    ------
    AudioFileError
        Where one cannot be read.
    RtcoreError
        Where they do not fit one another, are not mono or too short.
    """
    x, rate = _mono(heard.sound)
    if heard.clean is None:
        return x, None, rate
    clean, clean_rate = _mono(heard.clean)
    if clean_rate != rate:
        what = f"has {rate} Hz, and its clean sound {heard.clean} has {clean_rate} Hz"
        raise RtcoreError(f"{heard.sound}: {what}; resample one of them")
    if abs(len(x) - len(clean)) * PACKETS_PER_SECOND > rate:
        what = f"has {len(x)} frames, and its clean sound {heard.clean} has {len(clean)}"
        raise RtcoreError(f"{heard.sound}: {what}; scores compare sample by sample")
    frames = min(len(x), len(clean))
    return x[:frames], clean[:frames], rate


def _mono(path: Path) -> tuple[np.ndarray, int]:
    x, rate = read(path, "float64")
    if len(x) != 1:
        what = f"has {len(x)} channels, and the scores are for one"
        raise RtcoreError(f"{path}: {what}; take it apart first")
    if x.shape[1] < SHORTEST_S * rate:
        what = f"is shorter than {SHORTEST_S:g} s, for which there are no scores"
        raise RtcoreError(f"{path}: {what}; leave it out")
    return x[0], rate


def _losses(heard: Heard, frames: int, sample_rate: int) -> dict[str, Any]:
    """Read what was lost."""
    if heard.clip is None:
        return {}
    lost = heard.clip.lost()
    expected = frames / packet_frames(sample_rate, str(heard.sound))
    if abs(len(lost) - expected) > 1:
        what = f"has {expected:g} packets of 20 ms, and its trace {heard.clip.trace} {len(lost)}"
        raise RtcoreError(f"{heard.sound}: {what}; name the set that it was made from")
    bursts = bursts_of(lost)
    number = stratum_of(lost)
    if number is not None:
        stratum = STRATA[number].name
    else:
        stratum = "over 1000 ms" if bursts.lost else "nothing lost"
    return {
        "packets": bursts.packets,
        "lost": bursts.lost,
        "longest": bursts.longest,
        "stratum": stratum,
    }


#: The worker of this process.
_own: list[_Worker] = []


def _set_up(measures: Sequence[str]) -> None:
    _own[:] = [_Worker(Scorer(measures))]


def _work(task: tuple[Heard, Path]) -> dict[str, Any]:
    return _own[0].work(task)
