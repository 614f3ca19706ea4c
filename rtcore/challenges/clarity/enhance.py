# SPDX-License-Identifier: MIT
"""Play the scenes of a set through a hearing aid for each listener, on all cores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import Writer, blocks, info, read
from rtcore.batch import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.chainprint import chain_print
from rtcore.challenges.clarity.aid import EARS, NOBODY, Aid
from rtcore.challenges.clarity.layout import OUTPUT, ClaritySet, Signals
from rtcore.challenges.faults import FaultWatch
from rtcore.challenges.people import Pair, People
from rtcore.challenges.provenance import MADE_WITH
from rtcore.challenges.resampling import resampled
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.chain import Chain
    from rtcore.hearing import Listener

__all__ = ["EnhanceSettings", "Enhancer", "enhance", "enhance_jobs"]

_PIECE_FRAMES = 32768  # which stay in a core's cache from reading to writing
_MOST_CHAINS = 32  # that are kept for listeners who come again


@dataclass(frozen=True)
class EnhanceSettings:
    """How outputs are written.

    Attributes
    ----------
    sample_rate : int or None
        Of the outputs, in Hz; the scene's where None. Submissions have 32000.
    subtype : str
        ``"PCM_16"`` or ``"FLOAT"``.
    align : bool
        Take the chain's latency out, so that the output lies over the input and is as long. The
        official outputs are late and longer, which no score minds.
    compat : bool
        Let a sample of exactly full scale wrap to the other end, as the official code does.
    """

    sample_rate: int | None = None
    subtype: str = "PCM_16"
    align: bool = False
    compat: bool = False


@dataclass(frozen=True)
class Task:
    """One output: a scene for a listener."""

    pair: Pair
    sounds: tuple[Path, ...]
    target: Path
    made_with: str = ""


class Enhancer:
    """A hearing aid that plays scene after scene.

    Parameters
    ----------
    aid : Aid
        The chain, and what it hears.
    people : People
        Who listens.
    settings : EnhanceSettings
        How outputs are written.
    """

    def __init__(self, aid: Aid, people: People, settings: EnhanceSettings) -> None:
        self.aid, self.people, self.settings = aid, people, settings
        self._chains: dict[tuple[str, int], Chain] = {}

    def work(self, task: Task) -> dict[str, Any]:
        """Make the output of a job.

        Returns
        -------
        dict
            Rate and frames of the output, the chain's latency, the samples that were clipped,
            the peak, and the fingerprint of the system.
        """
        listener = self.people.find(task.pair.listener, task.pair.named_in)
        rate, frames = self._fitting(task.sounds)
        try:
            chain = self._taken(listener, rate)
        except ConfigError as error:  # for another rate, say
            raise ConfigError(str(task.sounds[0]), str(error)) from error
        watch = FaultWatch(chain)
        late = chain.latency_frames
        played = self._played(task.sounds, chain)
        if self.settings.align:
            played = _cut(played, late, frames)
        rate_out = self.settings.sample_rate or rate
        if rate_out != rate:
            played = iter([resampled(np.concatenate(list(played), axis=1), rate, rate_out)])
        facts = self._write(task.target, played, rate_out, watch)
        self._put_back(chain, listener, rate)
        known = {"latency_frames": late, "sample_rate_in": rate, MADE_WITH: task.made_with}
        return {**facts, **known}

    def _taken(self, listener: Listener, rate: int) -> Chain:
        """Build the chain for a listener, or take that of an earlier scene as it was at first."""
        chain = self._chains.pop((repr(listener), rate), None)
        if chain is None:
            return self.aid.chain(listener, rate)
        chain.reset()
        return chain

    def _put_back(self, chain: Chain, listener: Listener, rate: int) -> None:
        """Keep a chain that did its work without a fault, and not more than a few."""
        self._chains[repr(listener), rate] = chain
        while len(self._chains) > _MOST_CHAINS:
            del self._chains[next(iter(self._chains))]  # the one that was used least recently

    def _fitting(self, sounds: tuple[Path, ...]) -> tuple[int, int]:
        """Give rate and frames of the microphone pairs, which must fit one another."""
        found = []
        for path in sounds:
            header = info(path)
            if header.channels != EARS:
                what = f"has {header.channels} channels, and a pair of microphones has two"
                raise AudioFileError(f"{path}: {what}; take the set's own file")
            frames = read(path)[0].shape[1] if header.frames is None else header.frames
            found.append((header.sample_rate, frames))
            if found[0] != found[-1]:
                what = f"has {frames} frames at {header.sample_rate} Hz, and {sounds[0]} has "
                what += f"{found[0][1]} at {found[0][0]} Hz"
                raise AudioFileError(f"{path}: {what}; render the scene again")
        return found[0]

    def _played(self, sounds: tuple[Path, ...], chain: Chain) -> Iterator[np.ndarray]:
        """Play a scene from its files, and the tail, piece by piece."""
        dtype = "float64" if self.aid.mean else chain.spec.dtype.name
        step = chain.table.graph.block_frames  # the pieces keep what the chain was promised
        frames = max(_PIECE_FRAMES - _PIECE_FRAMES % step, step)
        pairs = [blocks(path, frames, dtype) for path in sounds]
        for signals in zip(*pairs, strict=True):
            heard = self.aid.heard(list(signals))
            yield chain.process(heard.astype(chain.spec.dtype, copy=False))
        yield chain.flush()

    def _write(
        self, target: Path, played: Iterator[np.ndarray], rate: int, watch: FaultWatch
    ) -> dict[str, Any]:
        """Write pieces as they come; the file gets its name if nothing failed up to the end."""
        loudest, wraps = 0.0, self.settings.compat and self.settings.subtype == "PCM_16"
        writer = Writer(target, rate, EARS, subtype=self.settings.subtype)
        with writer as out:
            for piece in played:
                if wraps:  # as the cast of 32768.0 to 16 bits does
                    loudest = max(loudest, float(piece.max(initial=0.0)))
                    out.write(np.where(piece >= 1.0, -1.0, piece))
                else:
                    out.write(piece)
            watch.check()
        return {
            "sample_rate": rate,
            "frames": writer.frames,
            "clipped": writer.clipped,
            "peak": max(writer.peak, loudest),
        }

    def print(self, sample_rate: int) -> str:
        """Give a fingerprint of all that an output depends on but its scene and its listener."""
        settings = [asdict(self.settings), self.aid.mics, self.aid.mean]
        return chain_print(self.aid.chain(NOBODY, sample_rate), settings)


def _cut(pieces: Iterator[np.ndarray], start: int, frames: int) -> Iterator[np.ndarray]:
    """Give `frames` frames of a stream from frame `start` on."""
    position = 0
    for piece in pieces:
        yield piece[:, max(0, start - position) : max(0, start + frames - position)]
        position += piece.shape[1]


def enhance_jobs(
    pairs: Iterable[Pair], signals: Signals, target: Path, enhancer: Enhancer
) -> Iterator[Job]:
    """List the jobs; what they depend on is read as they are asked for.

    Parameters
    ----------
    pairs : iterable of Pair
        Which outputs to make.
    signals : Signals
        The scenes.
    target : Path
        The folder of the outputs.
    enhancer : Enhancer
        Whose chain and settings go into the fingerprints.
    """
    prints: dict[int, str] = {}
    scene, sound_print, rate = "", "", 0
    for pair in pairs:
        sounds = tuple(signals.mix(pair.scene, mic) for mic in enhancer.aid.mics)
        output = target / OUTPUT.format(scene=pair.scene, listener=pair.listener)
        try:
            if pair.scene != scene:  # the listeners of a scene follow one another
                scene, sound_print, rate = "", fingerprint(*sounds), info(sounds[0]).sample_rate
                scene = pair.scene
            if rate not in prints:
                prints[rate] = enhancer.print(rate)
            key = fingerprint(prints[rate], sound_print, enhancer.people.text(pair.listener))
        except RtcoreError:  # the file, or a rate at which the chain cannot play
            key = ""  # matches nothing: the worker finds the same fault and reports it
        yield Job(pair.name, output, key, Task(pair, sounds, output, prints.get(rate, "")))


def enhance(
    found: ClaritySet,
    pairs: list[Pair],
    target: Path,
    enhancer: Enhancer,
    ledger: Ledger,
    **how: Any,
) -> Iterator[Outcome]:
    """Make the outputs; what an earlier run made of the same things is skipped.

    Parameters
    ----------
    found : ClaritySet
        Where the scenes lie.
    pairs : list of Pair
        Which outputs to make.
    target : Path
        Their folder.
    enhancer : Enhancer
        What to make them with.
    ledger : Ledger
        Of the target, within its ``writing()``.
    **how
        Of :func:`rtcore.batch.run_jobs`: workers, scheduler.

    Yields
    ------
    Outcome
        One for each pair, as they end.

    Raises
    ------
    ConfigError, PluginError
        Where the chain cannot be built for any of the scenes.
    """
    warm_up(enhancer, pairs, found.signals)
    jobs = enhance_jobs(pairs, found.signals, target, enhancer)
    setup = (_set_up, (enhancer.aid, enhancer.people, enhancer.settings))
    yield from run_jobs(jobs, _work, ledger, setup=setup, **how)


def warm_up(enhancer: Enhancer, pairs: list[Pair], signals: Signals) -> int | None:
    """Build the chain once before the workers do: they find its code compiled.

    What is wrong with the chain ends the run here, and not once for each pair.

    Returns
    -------
    int or None
        The sample rate of the first scene that the chain can play, in Hz; None where no scene can
        be read.

    Raises
    ------
    ConfigError, PluginError
        Where it can play none of them.
    """
    refused: dict[int, RtcoreError] = {}
    for pair in pairs:
        try:
            rate = info(signals.mix(pair.scene, enhancer.aid.mics[0])).sample_rate
        except AudioFileError:
            continue  # reported with its pair
        if rate in refused:
            continue
        try:
            chain = enhancer.aid.chain(NOBODY, rate)
        except RtcoreError as error:  # one odd scene stops no other
            refused[rate] = error
            continue
        chain.render(np.zeros((chain.channels_in, chain.spec.max_frames), chain.spec.dtype))
        return rate
    for reason in refused.values():
        raise reason
    return None


def check_target(target: Path, found: ClaritySet) -> Path:
    """Make the folder of the outputs; refuse one that holds the scenes themselves.

    Raises
    ------
    ConfigError, AudioFileError
        Where it cannot be used.
    """
    if target.exists() and not target.is_dir():
        raise ConfigError(str(target), "is a file; name a folder for the enhanced signals")
    if target.resolve() == found.signals.folder.resolve():
        raise ConfigError(str(target), "holds the scenes themselves; name another folder")
    return made_folder(target)


def side_car(enhancer: Enhancer, found: ClaritySet, sample_rate: int) -> dict[str, Any]:
    """Say what outputs were made with, for a file beside them.

    Raises
    ------
    RtcoreError
        Where a plugin has a value that cannot be written down.
    """
    from rtcore import __version__
    from rtcore.chain.export import config_from_chain
    from rtcore.machine import machine

    chain = enhancer.aid.chain(NOBODY, sample_rate)
    try:
        words = json.loads(json.dumps(config_from_chain(chain), default=str))
    except RtcoreError:
        words = None
    return {
        "rtcore": __version__,
        "challenge": found.edition.name,
        "chain": words,
        "audiograms": "each listener's own takes the place of those in the chain",
        "chain_sha256": enhancer.print(sample_rate),
        "mics": list(enhancer.aid.mics),
        "mean_of_mics": enhancer.aid.mean,
        **asdict(enhancer.settings),
        "latency_frames": chain.latency_frames,
        "lookahead_frames": chain.lookahead_frames,
        "machine": machine(),
    }


#: The enhancer of this worker process.
_own: list[Enhancer] = []


def _set_up(aid: Aid, people: People, settings: EnhanceSettings) -> None:
    _own[:] = [Enhancer(aid, people, settings)]


def _work(task: Task) -> dict[str, Any]:
    return _own[0].work(task)
