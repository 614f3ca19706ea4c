# SPDX-License-Identifier: MIT
"""What the lab finds out about a system, as plain records.

Two numbers must not be mixed. The *look-ahead* compares the output as it stands in the file with
the input: 0 means that an output sample knows nothing later than the input sample of the same
number, a negative one is a delay. The *aligned* look-ahead is what remains once the system's delay
has been taken out of its output: a linear-phase filter of 221 taps has 0 and 110.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Declared:
    """What a system says of itself, in samples; None where it says nothing.

    Attributes
    ----------
    frame_samples : int or None
        Samples that it looks at together (an STFT's window); "frame", T in AVSEC's rule.
    hop_samples : int or None
        Samples that it gives at a time; "stride", Ts in AVSEC's rule.
    future_samples : int or None
        Samples after the end of its frame that it waits for.
    latency_samples : int or None
        By how much its output is late: 0 where it is aligned with the input.
    lookahead_samples : int or None
        Its look-ahead with the output as it stands; where it is not given it follows from the
        others, see :attr:`implied_lookahead_samples`.
    """

    frame_samples: int | None = None
    hop_samples: int | None = None
    future_samples: int | None = None
    latency_samples: int | None = None
    lookahead_samples: int | None = None

    @property
    def implied_lookahead_samples(self) -> int | None:
        """The look-ahead: as given, or that of the worst phase of a frame-wise system."""
        if self.lookahead_samples is not None or self.frame_samples is None:
            return self.lookahead_samples
        return self.frame_samples - 1 + (self.future_samples or 0) - (self.latency_samples or 0)


@dataclass(frozen=True)
class Position:
    """One experiment: two inputs that are equal before a sample and different from it on.

    Attributes
    ----------
    at : int
        First sample in which the inputs differ.
    first : int or None
        First sample in which the outputs differ; None where they never do.
    signal : str
        The pair of sounds, a name of :data:`rtcore.latency.signals.PAIRS`.
    """

    at: int
    first: int | None
    signal: str

    @property
    def lookahead(self) -> int | None:
        """How far the first differing output sample looked ahead."""
        return None if self.first is None else self.at - self.first


@dataclass(frozen=True)
class Lookahead:
    """How far a system looks ahead, measured by perturbation.

    Attributes
    ----------
    samples : int
        The largest that was seen, with the output as it stands; negative for a pure delay.
    upper_samples : int or None
        No more than this, between the positions that were scanned; None where nothing can be said.
    whole_file : bool
        Whether the output depends on the whole file, so that `samples` only says "at least".
    cause : str
        A sentence that names what was found, such as a normalisation to the file's peak.
    noise_floor : float
        Largest difference between two runs on the same input; 0 for a deterministic system.
    positions : tuple of Position
        Every experiment, in the order in which it was made.
    scanned : (int, int)
        First and last position of the dense scan.
    gap_samples : int
        Largest distance between neighbouring positions that the dense scan left open.
    hop_samples : int or None
        The period with which the look-ahead recurs, as far as one was seen.
    period_samples : int
        What recurs at least this often was seen; what is rarer could have been missed.
    runs : int
        How often the system ran.
    faulty_samples : int
        The most samples of one output that were NaN or infinite.
    """

    samples: int
    upper_samples: int | None
    whole_file: bool
    cause: str
    noise_floor: float
    positions: tuple[Position, ...]
    scanned: tuple[int, int]
    gap_samples: int
    hop_samples: int | None
    period_samples: int
    runs: int
    faulty_samples: int = 0

    @property
    def deterministic(self) -> bool:
        """Whether two runs on one input gave the same samples."""
        return self.noise_floor == 0.0

    @property
    def exact(self) -> bool:
        """Whether the scan leaves no room for more in the stretch that it covers."""
        return not self.whole_file and self.upper_samples == self.samples


@dataclass(frozen=True)
class Delay:
    """How late a system's output is.

    Attributes
    ----------
    samples : float
        The delay; whole where the sub-sample part is within the method's error. Negative where
        the output is early.
    confidence : float
        0 to 1: how much of the output the delayed input explains, and how far the methods agree;
        0 where there is no telling, and `samples` means nothing.
    method : str
        Which of `by` gave `samples`, and why; or why the delay cannot be measured.
    by : mapping of str to float
        ``impulse``, ``correlation`` and ``group_delay`` (the median over the coherent band), as
        far as each could be measured.
    frequency_hz, group_delay_samples, coherence : tuple of float
        The group delay of the linear part and how far it can be trusted, over frequency.
    """

    samples: float
    confidence: float
    method: str
    by: Mapping[str, float] = field(default_factory=dict)
    frequency_hz: tuple[float, ...] = ()
    group_delay_samples: tuple[float, ...] = ()
    coherence: tuple[float, ...] = ()


@dataclass(frozen=True)
class Timing:
    """Durations of one run, in milliseconds.

    Attributes
    ----------
    blocks : int
        How many were timed.
    ms : mapping of str to float
        ``p50``, ``p95``, ``p99``, ``p99.9`` and ``max``.
    rtf : float
        Real-time factor: time spent by time of sound.
    late : int
        Blocks that missed their deadline.
    plugins : tuple of mapping
        ``place``, ``id`` and the percentiles of each plugin, where there are any.
    histogram : tuple of (float, int)
        Upper edge in ms and count of each bucket that is not empty.
    """

    blocks: int
    ms: Mapping[str, float]
    rtf: float
    late: int
    plugins: tuple[Mapping[str, Any], ...] = ()
    histogram: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Compute:
    """What a system costs.

    Attributes
    ----------
    how : str
        ``paced`` (block by block, at the rhythm of real time) or ``whole file``.
    block_samples : int or None
        Samples of a block; None for whole files.
    deadline_ms : float or None
        Duration of a block.
    seconds : float
        Of sound, in each run.
    idle : Timing
        With nothing beside it.
    hogged : Timing or None
        With a Python thread beside it that holds the interpreter's lock.
    notes : tuple of str
        What else a reader must know: what the system did not grant, what the times include.
    """

    how: str
    block_samples: int | None
    deadline_ms: float | None
    seconds: float
    idle: Timing
    hogged: Timing | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """Everything that is known of a system.

    Attributes
    ----------
    name : str
        How the user called it.
    kind : str
        ``chain``, ``callable``, ``command``, ``onnx`` or ``pairs``.
    sample_rate : int
        In Hz.
    channels : int
        That go in.
    declared : Declared
        What it says of itself.
    lookahead : Lookahead
        Measured.
    delay : Delay or None
        Measured; None where it could not be.
    compute : Compute or None
        Measured; None where it was not asked for or cannot be (pairs of files).
    """

    name: str
    kind: str
    sample_rate: int
    channels: int
    declared: Declared
    lookahead: Lookahead
    delay: Delay | None = None
    compute: Compute | None = None

    @property
    def latency_samples(self) -> int | None:
        """The measured delay, rounded; None where it could not be measured."""
        if self.delay is None or self.delay.confidence == 0.0:
            return None
        return round(self.delay.samples)

    @property
    def aligned_lookahead_samples(self) -> int | None:
        """The look-ahead once the delay has been taken out of the output."""
        late = self.latency_samples
        return None if late is None else self.lookahead.samples + late
