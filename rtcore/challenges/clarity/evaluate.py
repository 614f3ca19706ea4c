# SPDX-License-Identifier: MIT
"""Score hearing aids' outputs for all pairs, on all cores; what was scored is not scored again.

The scores of the unprocessed scenes depend on no hearing aid: they are kept in a folder of their
own, where the next system finds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.atomicfile import write_whole
from rtcore.audiofile import info, read
from rtcore.batch import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity import haspi
from rtcore.challenges.clarity.layout import OUTPUT, ClaritySet, Signals
from rtcore.challenges.people import Pair, People
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

__all__ = [
    "PAIRS",
    "PairScore",
    "Scorer",
    "check_system",
    "evaluate",
    "known_scores",
    "means",
    "seconds_needed",
    "unprocessed_folder",
]

#: In the folder of a system: one file a pair, which make a run restartable.
PAIRS = "scores"


@dataclass(frozen=True)
class PairScore:
    """The scores of one pair.

    Attributes
    ----------
    scene, listener : str
        Their ids.
    haspi, left, right : float
        Of the better ear, and of each.
    unprocessed : float or None
        Of the better ear for what the front microphones hear; None where it was not asked for.
    sample_rate : int
        Of the output, in Hz.
    resampled_to : int or None
        The rate at which it was scored, where that is another.
    unprocessed_reused : bool
        Whether another run had scored the unprocessed scene.
    """

    scene: str
    listener: str
    haspi: float
    left: float
    right: float
    unprocessed: float | None = None
    sample_rate: int = 44100
    resampled_to: int | None = None
    unprocessed_reused: bool = False


@dataclass(frozen=True)
class Task:
    """One pair to be scored."""

    pair: Pair
    heard: Path
    reference: tuple[Path, ...]
    mix: Path
    output: Path


@dataclass(frozen=True)
class Scorer:
    """Scores one pair after the other.

    Attributes
    ----------
    people : People
        Who listens.
    unprocessed : Path or None
        Where scores of unprocessed scenes are kept; None leaves them out.
    versions : str
        What the scores depend on beside the files.
    """

    people: People
    unprocessed: Path | None
    versions: str

    def work(self, task: Task) -> dict[str, Any]:
        """Score the pair of a job, and write its scores."""
        pair = task.pair
        listener = self.people.find(pair.listener, pair.named_in)
        x, rate = _two_ears(task.heard)
        reference, wanted = load_reference(task.reference)
        seed = haspi.scene_seed(pair.scene)
        told = haspi.better_ear_haspi(
            reference, haspi.at_rate(x, rate, wanted), wanted, listener, seed
        )
        plain, reused = self._plain(task, reference, wanted)
        score = PairScore(
            pair.scene,
            pair.listener,
            told.better,
            told.left,
            told.right,
            plain,
            rate,
            None if rate == wanted else wanted,
            reused,
        )
        result = asdict(score)
        write_whole(task.output, json.dumps(result, indent=2) + "\n", "the pair's score")
        return result

    def _plain(self, task: Task, reference: np.ndarray, rate: int) -> tuple[float | None, bool]:
        """Give the score of the unprocessed scene, from an earlier run where there is one."""
        if self.unprocessed is None:
            return None, False
        pair = task.pair
        key = fingerprint(
            self.versions, pair.scene, self.people.text(pair.listener), *task.reference, task.mix
        )
        kept = self.unprocessed / f"{key}.json"
        try:
            return float(json.loads(kept.read_bytes())["haspi"]), True
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nobody has scored it, or not to the end
        x, mix_rate = _two_ears(task.mix)
        listener = self.people.find(pair.listener, pair.named_in)
        seed = haspi.scene_seed(pair.scene)
        told = haspi.better_ear_haspi(
            reference, haspi.at_rate(x, mix_rate, rate), rate, listener, seed
        )
        entry = {"scene": pair.scene, "listener": pair.listener, "haspi": told.better}
        write_whole(kept, json.dumps(entry) + "\n", "the unprocessed score")
        return told.better, False


def load_reference(files: tuple[Path, ...]) -> tuple[np.ndarray, int]:
    """Read what a pair is compared with: CEC3's reference, or the anechoic target at its level.

    Parameters
    ----------
    files : tuple of Path
        The reference, or the anechoic target and the target at the front microphones.
    """
    first, rate = _two_ears(files[0])
    if len(files) == 1:
        return first, rate
    target, target_rate = _two_ears(files[1])
    if rate != target_rate:
        what = f"has {rate} Hz, and {files[1]} has {target_rate}"
        raise AudioFileError(f"{files[0]}: {what}; render the scene again")
    try:
        return haspi.scaled_reference(first, target), rate
    except RtcoreError as error:
        raise RtcoreError(f"{files[0]}: {error}") from error


def _two_ears(path: Path) -> tuple[np.ndarray, int]:
    """Read a sound for two ears; one channel is for both."""
    x, rate = read(path, "float64")
    if len(x) > 2:
        what = f"has {len(x)} channels, and a person two ears"
        raise AudioFileError(f"{path}: {what}; score a file of two channels")
    return (x if len(x) == 2 else np.concatenate([x, x])), rate


def reference_files(signals: Signals, scene: str) -> tuple[Path, ...]:
    """List the files of :func:`load_reference`."""
    reference = signals.reference(scene)
    if reference is not None:
        return (reference,)
    return signals.anechoic(scene), signals.target(scene)


def unprocessed_folder() -> Path:
    """Give the folder in the user's cache where scores of unprocessed scenes are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("rtcore")) / "haspi"


def evaluate(
    found: ClaritySet,
    pairs: list[Pair],
    system: Path,
    ledger: Ledger,
    *,
    unprocessed: Path | None,
    **how: Any,
) -> Iterator[Outcome]:
    """Score a system's outputs.

    Parameters
    ----------
    found : ClaritySet
        The set.
    pairs : list of Pair
        What to score.
    system : Path
        The folder of the outputs.
    ledger : Ledger
        Of the folder of the pairs' scores, within its ``writing()``.
    unprocessed : Path or None
        Where scores of unprocessed scenes are kept; None leaves them out.
    **how
        Of :func:`rtcore.batch.run_jobs`: workers, scheduler.

    Yields
    ------
    Outcome
        One for each pair, as they end; its result makes a :class:`PairScore`.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    AudioFileError
        Where a folder cannot be made.
    """
    if unprocessed is not None:
        made_folder(unprocessed)
    scorer = _scorer(found.people, unprocessed)
    jobs = score_jobs(found.signals, pairs, system, ledger.folder, scorer)
    yield from run_jobs(jobs, _work, ledger, setup=(_set_up, (scorer,)), **how)


def score_jobs(
    signals: Signals, pairs: Iterable[Pair], system: Path, folder: Path, scorer: Scorer
) -> Iterator[Job]:
    """List the jobs, each with a fingerprint of all that its scores depend on."""
    asked = json.dumps([scorer.versions, scorer.unprocessed is not None])
    for pair in pairs:
        heard = system / OUTPUT.format(scene=pair.scene, listener=pair.listener)
        files, mix = reference_files(signals, pair.scene), signals.mix(pair.scene, 1)
        output = folder / f"{pair.name}.json"
        try:
            person = scorer.people.text(pair.listener)
            key = fingerprint(asked, pair.scene, person, heard, *files, mix) if person else ""
        except AudioFileError:
            key = ""  # the worker finds the same fault and reports it
        yield Job(pair.name, output, key, Task(pair, heard, files, mix, output))


def seconds_needed(found: ClaritySet, pairs: list[Pair], ledger: Ledger, *, scores: int) -> float:
    """Estimate how long one core will take for what was not scored before.

    Parameters
    ----------
    found : ClaritySet
        The set.
    pairs : list of Pair
        What to score.
    ledger : Ledger
        Of earlier runs.
    scores : int
        For each pair: 2 with the unprocessed scene.

    Returns
    -------
    float
        Seconds; the duration is taken from the first scenes.
    """
    left = [pair for pair in pairs if not (ledger.folder / f"{pair.name}.json").exists()]
    lengths = []
    for pair in left[:20]:
        try:
            header = info(reference_files(found.signals, pair.scene)[0])
        except AudioFileError:
            continue  # reported with its pair
        lengths.append(header.duration_s or 0.0)
    if not lengths:
        return 0.0
    sound_s = float(np.mean(lengths)) * len(left) * scores
    return sound_s * (haspi.cost() if sound_s > 60.0 else haspi.USUAL_COST)


def check_system(system: Path) -> None:
    """Refuse a folder of outputs that is not there.

    Raises
    ------
    ConfigError
        Where that is so.
    """
    if not system.is_dir():
        what = "is no folder of outputs; make them with `rtcore clarity enhance`, or name another"
        raise ConfigError(str(system), what)


def known_scores(
    found: ClaritySet,
    pairs: list[Pair],
    system: Path,
    ledger: Ledger,
    now: Iterable[Outcome],
    *,
    unprocessed: Path | None,
) -> list[PairScore]:
    """Give the scores of all pairs, of this run and of others that still hold.

    Parameters
    ----------
    found, pairs, system, ledger, unprocessed
        As for :func:`evaluate`, with the pairs of all runs: other shards, other limits.
    now : iterable of Outcome
        What this run has.

    Returns
    -------
    list of PairScore
        In the order of the pairs.
    """
    good = {outcome.name: outcome.result for outcome in now}
    others = [
        pair
        for pair in pairs
        if pair.name not in good and (ledger.folder / f"{pair.name}.json").exists()
    ]
    if others:
        scorer = _scorer(found.people, unprocessed)
        for job in score_jobs(found.signals, others, system, ledger.folder, scorer):
            result = ledger.result(job)
            if result is not None:
                good[job.name] = result
    return [PairScore(**good[pair.name]) for pair in pairs if pair.name in good]


def _scorer(people: People, unprocessed: Path | None) -> Scorer:
    """Make what scores; its versions go into all fingerprints."""
    versions = json.dumps([haspi.scored_with(), haspi.LEVEL_DB_SPL, haspi.RESAMPLER])
    return Scorer(people, unprocessed, versions)


def means(scores: list[PairScore]) -> dict[str, Any]:
    """Give the challenge's figures: the means over all pairs; None where there are none."""
    plain = [score.unprocessed for score in scores if score.unprocessed is not None]
    return {
        "pairs": len(scores),
        "haspi_mean": float(np.mean([s.haspi for s in scores])) if scores else None,
        "haspi_unprocessed_mean": float(np.mean(plain)) if plain else None,
        "resampled_outputs": sum(score.resampled_to is not None for score in scores),
    }


#: The scorer of this worker process.
_own: list[Scorer] = []


def _set_up(scorer: Scorer) -> None:
    _own[:] = [scorer]


def _work(task: Task) -> dict[str, Any]:
    return _own[0].work(task)
