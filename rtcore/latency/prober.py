# SPDX-License-Identifier: MIT
"""Experiments on a system: feed it two inputs that part, note where its outputs do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rtcore.latency.difference import (
    NOISE_MARGIN,
    Sound,
    faulty_samples,
    first_difference,
    first_sound,
    level_db,
    noise_floor,
)
from rtcore.latency.result import Position
from rtcore.latency.signals import pair, spliced
from rtcore.latency.systems.base import System, SystemFaultError, checked

_REPEATS = 2
_NOISY_REPEATS = 8
_USELESS_DB = -20.0


@dataclass
class Budget:
    """What experiments may cost: runs of the system, and time.

    Attributes
    ----------
    runs : int
        Left.
    until : float
        End by the monotonic clock, in s.
    """

    runs: int
    until: float

    @classmethod
    def of(cls, runs: int, seconds: float) -> Budget:
        """Begin now."""
        return cls(runs, time.monotonic() + seconds)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.runs <= 0 or time.monotonic() >= self.until


@dataclass
class Reference:
    """A pair of sounds and what the system makes of the base.

    Attributes
    ----------
    base, other : ndarray
        (channels, frames).
    output : ndarray
        (channels_out, frames), for the base.
    floor : float
        Largest difference between runs on the base.
    sounds_from : int
        First frame of the output that is not silent.
    """

    base: Sound
    other: Sound
    output: Sound
    floor: float
    sounds_from: int


@dataclass
class Prober:
    """Makes experiments, and remembers each of them.

    Attributes
    ----------
    system : System
        Tried.
    frames : int
        Length of the sounds.
    seed : int
        Of the sounds.
    progress : function, optional
        Called with the number of runs just made.
    runs : int
        How often the system ran.
    earlier : tuple of Position
        Experiments with shorter sounds.
    rounding : float
        Differences up to this count as none: what arithmetic alone may change.
    positions : list of Position
        All other experiments.
    faulty : list of int
        One number, which all probers of a measurement share: the most samples of one output that
        were NaN or infinite.
    """

    system: System
    frames: int
    seed: int = 0
    progress: Callable[[int], None] | None = None
    runs: int = 0
    earlier: tuple[Position, ...] = ()
    rounding: float = 0.0
    positions: list[Position] = field(default_factory=list)
    faulty: list[int] = field(default_factory=lambda: [0])
    _references: dict[str, Reference] = field(default_factory=dict)
    _known: dict[tuple[str, int], int | None] = field(default_factory=dict)
    _record: float = -math.inf

    def longer(self, frames: int) -> Prober:
        """Give a prober with longer sounds, which goes on counting."""
        tried = (*self.earlier, *self.positions)
        return replace(self._afresh(), frames=frames, earlier=tried)

    def above(self, rounding: float) -> Prober:
        """Give a prober that takes differences up to this for none, and forgets what it saw."""
        return replace(self._afresh(), rounding=rounding)

    def _afresh(self) -> Prober:
        return replace(self, positions=[], _references={}, _known={}, _record=-math.inf)

    def reference(self, signal: str) -> Reference:
        """Run the base of a pair, often enough to know how far runs differ.

        Raises
        ------
        SystemFaultError
            Where runs on one sound differ so much that nothing can be told from differences.
        """
        if signal not in self._references:
            base, other = pair(
                signal,
                channels=self.system.channels,
                frames=self.frames,
                sample_rate=self.system.sample_rate,
                seed=self.seed,
            )
            outputs = list(self._run([base] * _REPEATS))
            if first_difference(outputs[0], outputs[1]) is not None:
                outputs += list(self._run([base] * (_NOISY_REPEATS - _REPEATS)))
            floor = noise_floor(outputs)
            if signal == "noise":  # the others are too quiet to tell noise from chaos
                self._refuse_chaos(floor, outputs[0])
            found = Reference(base, other, outputs[0], floor, first_sound(outputs[0]))
            self._references[signal] = found
        return self._references[signal]

    def _refuse_chaos(self, floor: float, output: Sound) -> None:
        level = level_db(floor, output)
        if floor > 0.0 and level > _USELESS_DB:
            what = (
                f"two runs on one sound differ by {level:.0f} dB re its output; let it start "
                "afresh for each sound, and give its random numbers a seed"
            )
            raise SystemFaultError(f"{self.system.name}: {what}")

    @property
    def floor(self) -> float:
        """The largest noise floor of all sounds."""
        return max((r.floor for r in self._references.values()), default=0.0)

    def _run(self, sounds: Sequence[Sound]) -> Iterable[Sound]:
        for x, y in zip(sounds, self.system.run_many(sounds), strict=True):
            self.runs += 1
            if self.progress is not None:
                self.progress(1)
            output = checked(self.system, x, y)
            self.faulty[0] = max(self.faulty[0], faulty_samples(output))
            yield output

    def output(self, signal: str, at: int) -> Sound:
        """Give the output for a pair that parts at one sample."""
        reference = self.reference(signal)
        return next(iter(self._run([spliced(reference.base, reference.other, at)])))

    def first(self, signal: str, ats: Sequence[int], budget: Budget | None = None) -> list[int]:
        """Make experiments.

        Parameters
        ----------
        signal : str
            Name of the pair.
        ats : sequence of int
            Samples at which the inputs part.
        budget : Budget, optional
            Is charged.

        Returns
        -------
        list of int
            First sample in which the outputs differ, for each; the number of frames where
            they never do.
        """
        new = [at for at in dict.fromkeys(ats) if (signal, at) not in self._known]
        records = self._try(signal, new)
        self._believe(signal, records)
        self.positions += [Position(at, self._known[signal, at], signal) for at in new]
        if budget is not None:
            budget.runs -= len(new)
        answers = [self._known[signal, at] for at in ats]
        return [self.frames if found is None else found for found in answers]

    def _try(self, signal: str, ats: Sequence[int]) -> dict[int, Sound]:
        """Make new experiments; give the outputs that show more look-ahead than any before."""
        reference = self.reference(signal)
        records: dict[int, Sound] = {}
        sounds = [spliced(reference.base, reference.other, at) for at in ats]
        for at, y in zip(ats, self._run(sounds), strict=True):
            if y.shape != reference.output.shape:
                what = "gives another number of channels for another sound; let it keep to one"
                raise SystemFaultError(f"{self.system.name}: {what}")
            found = self._known[signal, at] = self._differs(signal, y)
            if found is not None and at - found > self._record:
                records[at] = y
        return records

    def _differs(self, signal: str, y: Sound) -> int | None:
        """Give the first frame in which an output differs by more than noise and rounding."""
        reference = self._references[signal]
        threshold = max(NOISE_MARGIN * reference.floor, self.rounding)
        return first_difference(reference.output, y, threshold)

    def _believe(self, signal: str, records: dict[int, Sound]) -> None:
        """Repeat the experiment that shows the largest look-ahead, until one shows it twice.

        What shows once may be chance: a glitch in few of all runs, a rare large noise, a state
        that drifts from run to run. Where it does not come again, it adds to the noise floor.
        """
        while records:
            at = min(records, key=lambda at: (self._known[signal, at] or 0) - at)
            y = records.pop(at)
            before = self._known[signal, at]
            if before is not None and at - before > self._record:
                found = self._again(signal, at, y)
                if found is not None:
                    self._record = max(self._record, at - found)
                self._known[signal, at] = found

    def _again(self, signal: str, at: int, y: Sound) -> int | None:
        """Repeat an experiment; give the later of the frames in which the two show it."""
        again, reference = self.output(signal, at), self._references[signal]
        if first_difference(y, again) is None:
            return self._known[signal, at]
        outputs = [y, again]
        late = max(self._later(self._differs(signal, out)) for out in outputs)
        (base,) = self._run([reference.base])
        early = noise_floor([out[:, :late] for out in outputs]) if late else 0.0
        reference.floor = max(reference.floor, early, noise_floor([reference.output, base]))
        late = max(self._later(self._differs(signal, out)) for out in outputs)
        return None if late == self.frames else late

    def _later(self, found: int | None) -> int:
        return self.frames if found is None else found


def spread(low: int, high: int, count: int, seed: int = 0) -> list[int]:
    """Give positions that lie evenly between two, and in no step with any hop.

    Their fractions follow the golden ratio, so that their remainders by any hop spread as well.
    """
    rng = np.random.default_rng(seed)
    phase = rng.random()
    fractions = (phase + np.arange(count) * 0.6180339887498949) % 1.0
    return [low + int(f * (high - low)) for f in fractions]
