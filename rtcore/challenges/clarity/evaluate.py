# SPDX-License-Identifier: MIT
"""Score hearing aids' outputs for all pairs, on all cores; what was scored is not scored again.

The scores of the unprocessed scenes depend on no hearing aid: they are kept in a folder of their
own, where the next system finds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.atomicfile import write_whole
from rtcore.audiofile import info, read
from rtcore.batch import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity import haspi
from rtcore.challenges.clarity.aid import EARS
from rtcore.challenges.clarity.layout import OUTPUT, ClaritySet, Signals
from rtcore.challenges.clarity.lengths import check_length
from rtcore.challenges.people import Pair, People
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

__all__ = [
    "PAIRS",
    "PairScore",
    "Scorer",
    "check_system",
    "evaluate",
    "known_scores",
    "make_scorer",
    "means",
    "score_jobs",
    "seconds_needed",
    "unprocessed_folder",
]

#: In the folder of a system: one file a pair, which make a run restartable.
PAIRS = "scores"
_WITH_UNPROCESSED = "+unprocessed"  # behind a pair's fingerprint


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
    known: dict[str, Any] | None = None  # scored before, but for the unprocessed scene


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
        self.people.find(task.pair.listener, task.pair.named_in)
        heard = None if task.known else read_output(task.heard, task.mix)
        reference, rate = load_reference(task.reference)
        result = task.known or {}
        if heard is not None:
            result = self._scored(task, *heard, reference, rate)
        plain, reused = self._plain(task, reference, rate)
        result = {**result, "unprocessed": plain, "unprocessed_reused": reused}
        write_whole(task.output, json.dumps(result, indent=2) + "\n", "the pair's score")
        return result

    def _scored(
        self, task: Task, x: np.ndarray, rate: int, reference: np.ndarray, wanted: int
    ) -> dict[str, Any]:
        """Score the output itself."""
        pair = task.pair
        told = self._haspi(pair, reference, haspi.at_rate(x, rate, wanted), wanted, task.heard)
        resampled_to = None if rate == wanted else wanted
        score = PairScore(
            pair.scene, pair.listener, told.better, told.left, told.right,
            sample_rate=rate, resampled_to=resampled_to,
        )  # fmt: skip
        return asdict(score)

    def _haspi(
        self, pair: Pair, reference: np.ndarray, x: np.ndarray, rate: int, file: Path
    ) -> haspi.Haspi:
        """Score a sound; what the metric cannot do is told with the file."""
        listener = self.people.find(pair.listener, pair.named_in)
        seed = haspi.scene_seed(pair.scene)
        try:
            return haspi.better_ear_haspi(reference, x, rate, listener, seed)
        except (ArithmeticError, IndexError, ValueError) as error:
            seconds = min(x.shape[1], reference.shape[1]) / rate
            what = f"HASPI has no score for {seconds:.3g} s of it ({error})"
            raise AudioFileError(f"{file}: {what}; it is too short, or silent") from error

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
        told = self._haspi(pair, reference, haspi.at_rate(x, mix_rate, rate), rate, task.mix)
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


def read_output(path: Path, mix: Path) -> tuple[np.ndarray, int]:
    """Read what a hearing aid has made of a scene.

    Raises
    ------
    AudioFileError
        Where it is not for two ears, or not as long as its scene.
    """
    x, rate = read(path, "float64")
    if len(x) != EARS:
        what = f"has {len(x)} channels, and an output two, the left and the right ear's"
        raise AudioFileError(f"{path}: {what}; make it again")
    if mix.is_file():
        check_length(path, x.shape[1] / rate, info(mix).duration_s or 0.0)
    return x, rate


def _two_ears(path: Path) -> tuple[np.ndarray, int]:
    """Read a sound of a scene for two ears; one channel is for both."""
    x, rate = read(path, "float64")
    if len(x) > EARS:
        what = f"has {len(x)} channels, and a person two ears"
        raise AudioFileError(f"{path}: {what}; score a file of two channels")
    return (x if len(x) == EARS else np.concatenate([x, x])), rate


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


def evaluate(jobs: Iterable[Job], scorer: Scorer, ledger: Ledger, **how: Any) -> Iterator[Outcome]:
    """Score a system's outputs.

    Parameters
    ----------
    jobs : iterable of Job
        What :func:`score_jobs` has listed.
    scorer : Scorer
        For which they were listed.
    ledger : Ledger
        Of the folder of the pairs' scores, within its ``writing()``.
    **how
        Of :func:`rtcore.batch.run_jobs`: workers, scheduler.

    Yields
    ------
    Outcome
        One for each pair, as they end; its result makes a :class:`PairScore`.

    Raises
    ------
    AudioFileError
        Where a folder cannot be made.
    """
    if scorer.unprocessed is not None:
        made_folder(scorer.unprocessed)
    yield from run_jobs(jobs, _work, ledger, setup=(_set_up, (scorer,)), **how)


def score_jobs(
    found: ClaritySet, pairs: Iterable[Pair], system: Path, ledger: Ledger, scorer: Scorer
) -> Iterator[Job]:
    """List the jobs, each with a fingerprint of all that its scores depend on.

    Parameters
    ----------
    found : ClaritySet
        The set.
    pairs : iterable of Pair
        What to score.
    system : Path
        The folder of the outputs.
    ledger : Ledger
        Of the pairs' scores: where an output was scored before and the unprocessed scene was not,
        only that is left to be done.
    scorer : Scorer
        Who does it.
    """
    signals, folder = found.signals, ledger.folder
    for pair in pairs:
        heard = system / OUTPUT.format(scene=pair.scene, listener=pair.listener)
        files, mix = reference_files(signals, pair.scene), signals.mix(pair.scene, 1)
        output = folder / f"{pair.name}.json"
        try:
            person = scorer.people.text(pair.listener)
            about = f"{scorer.versions}\n{pair.scene}\n{person}"
            key = fingerprint(about, heard, *files, mix) if person else ""
        except AudioFileError:
            key = ""  # the worker finds the same fault and reports it
        plain = Job(pair.name, output, key, Task(pair, heard, files, mix, output))
        both = replace(plain, key=f"{key}{_WITH_UNPROCESSED}" if key else "")
        if scorer.unprocessed is None:
            yield plain if ledger.result(both) is None else both
        else:
            yield replace(both, task=replace(plain.task, known=ledger.result(plain)))


def seconds_needed(jobs: Iterable[Job], ledger: Ledger, *, scores: int) -> float:
    """Estimate how long one core will take for what was not scored before.

    Parameters
    ----------
    jobs : iterable of Job
        What is asked for.
    ledger : Ledger
        Of earlier runs; what it was told to forget is to be done again.
    scores : int
        For each pair: 2 with the unprocessed scene.

    Returns
    -------
    float
        Seconds; the duration is taken from the first scenes.
    """
    left = [job.task for job in jobs if ledger.result(job) is None]
    lengths = []
    for task in left[:20]:
        try:
            header = info(task.reference[0])
        except AudioFileError:
            continue  # reported with its pair
        lengths.append(header.duration_s or 0.0)
    if not lengths:
        return 0.0
    count = sum(scores - (task.known is not None) for task in left)
    sound_s = float(np.mean(lengths)) * count
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
    found: ClaritySet, system: Path, ledger: Ledger, now: Iterable[Outcome], scorer: Scorer
) -> list[PairScore]:
    """Give the scores of all pairs, of this run and of others that still hold.

    Parameters
    ----------
    found, system, ledger, scorer
        As for :func:`score_jobs`, for the pairs of all runs: other shards, other limits.
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
        for pair in found.pairs
        if pair.name not in good and (ledger.folder / f"{pair.name}.json").exists()
    ]
    for job in score_jobs(found, others, system, ledger, scorer):
        result = ledger.result(job) or job.task.known
        if result is not None:
            good[job.name] = result
    return [PairScore(**good[pair.name]) for pair in found.pairs if pair.name in good]


def make_scorer(people: People, unprocessed: Path | None) -> Scorer:
    """Make what scores; its versions go into all fingerprints.

    Parameters
    ----------
    people : People
        Who listens.
    unprocessed : Path or None
        Where scores of unprocessed scenes are kept; None leaves them out.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    """
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
