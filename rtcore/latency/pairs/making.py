# SPDX-License-Identifier: MIT
"""Measure a system that runs elsewhere: a folder of sounds goes there, its outputs come back.

``in/`` holds every input of a whole measurement, ``out/`` gets the outputs under the same names,
and ``pairs.json`` remembers what each file is for. No experiment can wait for another, so a first
round spreads its positions (:mod:`rtcore.latency.pairs.placing`), and each further round
(:func:`refine_pairs`) adds files that narrow down what the last one left open.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from rtcore import audiofile
from rtcore._version import __version__
from rtcore.errors import AudioFileError, ParameterError, did_you_mean
from rtcore.latency import probes
from rtcore.latency.lookahead import most_telling
from rtcore.latency.pairs.folder import (
    IN,
    MANIFEST,
    File,
    Manifest,
    Outputs,
    Round,
    digest,
    save,
)
from rtcore.latency.pairs.judging import delay_of, judged
from rtcore.latency.pairs.placing import Stretch, hop_seen, next_round, over_hop, spread_over_hops
from rtcore.latency.prober import spread
from rtcore.latency.result import Delay, Lookahead
from rtcore.latency.signals import PAIRS, pair
from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.systems.command import SUBTYPES
from rtcore.latency.whole_file import late_position

Sound = np.ndarray[Any, np.dtype[Any]]

#: Positions of a round, by default.
COUNT = 64
#: Length of each sound, by default, in s.
SECONDS = 2.0
#: The widest stretch over which a first round spreads: no hop beyond it is looked for.
WIDEST = 4096
README = "README.txt"

_DENSE = "noise"
_COARSE = 4
_FIRST, _DENSE_FROM, _COARSE_TO = 0.12, 0.3, 0.9
_PAD = 0.125
_STEP = 0.83  # from channel to channel, so that no usual matrix cancels the probe
_README = """\
These sounds measure how far a system looks ahead, and how late its output is.

1. Run your system on every file of in/, each from a fresh start, with one configuration.
2. Write each output to out/ under the name of its input: WAV, as long as its input and at its
   sample rate, best with float samples. Do not normalise, align or cut anything afterwards.
   Names that begin with "reference" come twice: they show whether two runs give the same samples.
3. Copy out/ back beside in/ and run:  rtcore latency --judge DIR
4. To narrow the result down, run  rtcore latency --make-pairs DIR  once more: it adds a round of
   files. Run the system on these too, and judge again.
"""


class PairsResult(NamedTuple):
    """What the outputs show."""

    lookahead: Lookahead
    delay: Delay | None
    sample_rate: int
    channels: int


def make_pairs(
    folder: str | os.PathLike[str],
    *,
    sample_rate: int,
    channels: int = 1,
    seconds: float = SECONDS,
    count: int = COUNT,
    hop: int | None = None,
    subtype: str = "FLOAT",
    seed: int = 0,
) -> Path:
    """Write the sounds of a first round.

    Parameters
    ----------
    folder : path-like
        Does not exist yet, or is empty. It appears when it is complete, or not at all.
    sample_rate, channels : int
        Of the sounds.
    seconds : float
        Length of each sound, 0.2 to 600.
    count : int
        Positions of the dense part, 1 to 100,000.
    hop : int, optional
        Of the system, where it is known: its phases are then covered evenly, and exactly where
        `count` is no less. Otherwise every hop up to :data:`WIDEST` is provided for.
    subtype : str
        ``FLOAT``, ``DOUBLE``, ``PCM_16``, ``PCM_24`` or ``PCM_32``.
    seed : int
        Of the sounds and positions.

    Returns
    -------
    Path
        Of the manifest.

    Raises
    ------
    ParameterError
        Where a number is out of its range.
    SystemFaultError
        Where the folder holds anything.
    AudioFileError
        Where a sound cannot be written.
    """
    place = Path(folder)
    frames = _checked_frames(sample_rate, channels, seconds, count, hop)
    subtype = _known_subtype(subtype)
    _refuse_occupied(place)
    stretch, dense = _first_round(frames, count, hop, seed)
    draft = _draft_of(place)
    try:
        draft.chmod(0o755)
        manifest = Manifest(
            format="rtcore pairs 1",
            rtcore=__version__,
            sample_rate=sample_rate,
            channels=channels,
            frames=frames,
            subtype=subtype,
            seed=seed,
            hop=hop,
            rounds=[Round(signal=_DENSE, low=stretch[0], high=stretch[1], count=count)],
        )
        (draft / IN).mkdir()
        files = _write(draft, manifest, _all_sounds(manifest, dense))
        (draft / README).write_text(_README, "utf-8")
        save(draft, manifest.model_copy(update={"files": files}))
        if place.is_dir():
            place.rmdir()
        draft.rename(place)
    except AudioFileError as error:  # nobody knows the draft
        raise AudioFileError(str(error).replace(str(draft), str(place))) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place / MANIFEST


def _draft_of(place: Path) -> Path:
    """Make a folder beside another, in which it is made ready."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        what = f"no folder can be made there ({error.strerror}); name another place"
        raise SystemFaultError(f"{place}: {what}") from error


def refine_pairs(folder: str | os.PathLike[str], *, count: int | None = None) -> list[Path]:
    """Add a round of sounds that narrows down what the outputs so far leave open.

    Parameters
    ----------
    folder : path-like
        As :func:`make_pairs` made it, with the outputs of all its sounds.
    count : int, optional
        New positions, at most; as many as in the first round by default.

    Returns
    -------
    list of Path
        The new files of ``in/``; earlier ones stay as they are.

    Raises
    ------
    ConfigError, SystemFaultError, AudioFileError
        As :func:`judge_pairs` does, and where the output depends on the whole file.
    """
    if count is not None and count < 1:
        raise ParameterError("count", f"must be at least 1, got {count}")
    outputs = Outputs(Path(folder))
    found = judged(outputs)
    if found.whole_file:
        what = "the output depends on the whole file, so there is nothing to narrow down"
        raise SystemFaultError(f"{folder}: {what}; mend the system and make new pairs")
    new, ats = _further_round(outputs.manifest, found, count)
    return _add_round(outputs, new, ats)


def _further_round(
    manifest: Manifest, found: Lookahead, count: int | None
) -> tuple[Round, list[int]]:
    """Choose what a further round is to prove, and its positions."""
    signal = most_telling(found.positions)
    mine = [p for p in found.positions if p.signal == signal]
    tried = [(p.at, p.first) for p in mine if p.first is not None]
    dense = [(p.at, p.first) for p in found.positions if p.signal == _DENSE and p.first is not None]
    last, earlier = manifest.rounds[-1], manifest.rounds
    end = max(round(_COARSE_TO * manifest.frames), *(turn.high for turn in earlier))
    room = (min(p.at for p in mine) + 1, end)
    proved = (last.low, last.high) if last.signal == signal and len(earlier) > 1 else None
    many = count or earlier[0].count
    hop = manifest.hop or hop_seen(dense)
    (low, high), ats = next_round(tried, found.samples, many, room=room, last=proved, hop=hop)
    return Round(signal=signal, low=low, high=high, count=many), ats


def judge_pairs(folder: str | os.PathLike[str]) -> PairsResult:
    """Tell from the outputs how far the system looks ahead, and how late it is.

    Parameters
    ----------
    folder : path-like
        As :func:`make_pairs` made it, with the system's outputs in ``out/``.

    Returns
    -------
    PairsResult
        Look-ahead, delay (None where it cannot be told), sample rate and channels.

    Raises
    ------
    ConfigError
        Where the manifest is missing or says something impossible.
    SystemFaultError
        Where outputs are missing, too many or of the wrong kind (all are named), inputs were
        changed, or the outputs cannot be compared.
    """
    outputs = Outputs(Path(folder))
    return PairsResult(
        judged(outputs), delay_of(outputs), outputs.manifest.sample_rate, outputs.manifest.channels
    )


def _checked_frames(
    sample_rate: int, channels: int, seconds: float, count: int, hop: int | None
) -> int:
    """Check the numbers, and give the length of the sounds in samples."""
    limits = {
        "sample_rate": (sample_rate, 1000, 384_000),
        "channels": (channels, 1, 64),
        "seconds": (seconds, 0.2, 600.0),
        "count": (count, 1, 100_000),
    }
    for key, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ParameterError(key, f"must lie between {low} and {high}, got {value}")
    frames = round(seconds * sample_rate)
    if hop is not None and not 1 <= hop <= frames // 4:
        what = f"must lie between 1 and a quarter of the sounds ({frames // 4} samples), got {hop}"
        raise ParameterError("hop", f"{what}; make the sounds longer")
    return frames


def _known_subtype(subtype: str) -> str:
    if subtype.upper() not in SUBTYPES:
        near = did_you_mean(subtype.upper(), SUBTYPES)
        what = f"is no sample format for pairs{near}; there are {', '.join(SUBTYPES)}"
        raise ParameterError("subtype", f"'{subtype}' {what}")
    return subtype.upper()


def _refuse_occupied(place: Path) -> None:
    """Refuse a folder in which something would be mixed or overwritten."""
    if (place / MANIFEST).exists():
        raise SystemFaultError(
            f"{place}: holds pairs already; judge them, refine them, or name another folder"
        )
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise SystemFaultError(f"{place}: is not an empty folder; name another one")


def _first_round(frames: int, count: int, hop: int | None, seed: int) -> tuple[Stretch, list[int]]:
    """Choose the dense part of the first round."""
    low = round(_DENSE_FROM * frames)
    if hop is not None:
        return (low, low + hop - 1), over_hop(low, hop, count)
    width = min(WIDEST, frames // 4)
    return (low, low + width - 1), spread_over_hops(low, width, count, seed)


@dataclass(frozen=True)
class _Made:
    """A sound to be written, and what it is for."""

    role: Literal["reference", "position", "delay"]
    signal: str
    sound: Sound
    at: int | None = None
    turn: int = 1
    number: int = 1

    @property
    def name(self) -> str:
        word = self.signal.replace(" ", "_")
        if self.role == "position":
            return f"{word}_{self.at:08d}_round_{self.turn}.wav"
        return f"{self.role}_{word}_{self.number}.wav"


def _all_sounds(manifest: Manifest, dense: list[int]) -> Iterator[_Made]:
    """Make the sounds of a first round."""
    frames, late = manifest.frames, late_position(manifest.frames)
    first, last = round(_FIRST * frames), round(_COARSE_TO * frames)
    for index, signal in enumerate(PAIRS):
        base, other = _distinct_pair(manifest, signal)
        for number in (1, 2):
            yield _Made("reference", signal, base, number=number)
        # One more at the very first place: later rounds take the other sound from that file.
        ats = {first, late, *spread(first + 1, last, _COARSE, manifest.seed + index)}
        for at in sorted(ats | set(dense)) if signal == _DENSE else sorted(ats):
            yield _Made("position", signal, _joined(base, other, at), at)
    for name, sound in _delay_probes(manifest):
        yield _Made("delay", name, sound)


def _distinct_pair(manifest: Manifest, signal: str) -> tuple[Sound, Sound]:
    """Make a base and another sound that stay different once they are written."""
    base, other = pair(
        signal,
        channels=manifest.channels,
        frames=manifest.frames,
        sample_rate=manifest.sample_rate,
        seed=manifest.seed,
    )
    bits = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(manifest.subtype, 24)
    alike = np.abs(base - other) < 4.0 / 2**bits
    other[alike] = base[alike] + np.where(base[alike] > 0.0, -0.125, 0.125)
    return base, other


def _joined(base: Sound, other: Sound, at: int) -> Sound:
    return np.concatenate((base[:, :at], other[:, at:]), axis=1)


def _delay_probes(manifest: Manifest) -> Iterator[tuple[str, Sound]]:
    """Make the sounds that show the delay, with silence around them."""
    pad = round(_PAD * manifest.frames)
    gains = _STEP ** np.arange(manifest.channels)[:, np.newaxis]
    for name, make in probes.LONG.items():
        sound = make(manifest.frames - 2 * pad, manifest.sample_rate, manifest.seed)
        yield name, gains * np.pad(sound, pad)


def _write(folder: Path, manifest: Manifest, sounds: Iterable[_Made]) -> list[File]:
    """Write sounds; none of them is left where one cannot be written."""
    files: list[File] = []
    try:
        for made in sounds:
            path = folder / IN / made.name
            audiofile.write(path, made.sound, manifest.sample_rate, subtype=manifest.subtype)
            files.append(
                File(
                    name=made.name,
                    sha256=digest(path),
                    role=made.role,
                    signal=made.signal,
                    at=made.at,
                    round=made.turn,
                )
            )
    except BaseException:
        for file in files:
            (folder / IN / file.name).unlink(missing_ok=True)
        raise
    return files


def _add_round(outputs: Outputs, new: Round, ats: list[int]) -> list[Path]:
    """Write the sounds of a further round, spliced from those that are there."""
    manifest, folder = outputs.manifest, outputs.folder
    base, other = (outputs.input(file) for file in outputs.ends(new.signal))
    turn = len(manifest.rounds) + 1
    sounds = (_Made("position", new.signal, _joined(base, other, at), at, turn) for at in ats)
    files = _write(folder, manifest, sounds)
    try:
        save(
            folder,
            manifest.model_copy(
                update={"files": [*manifest.files, *files], "rounds": [*manifest.rounds, new]}
            ),
        )
    except BaseException:
        for file in files:
            (folder / IN / file.name).unlink(missing_ok=True)
        raise
    return [folder / IN / file.name for file in files]
