# SPDX-License-Identifier: MIT
"""Go on with a sound whose next samples never came, and lead back into it when they come again.

Compiled helpers for kernels.  At the first lost sample the past is taken apart into an envelope
(linear prediction), a residual and a pitch period.  The residual then goes on: its last periods
over and over where the sound is voiced, its samples in random order where it is noise, a mixture
in between; the envelope makes sound of it, and since the filter goes on from the last real
samples there is no joint.  From the first real sample on, the two are cross-faded.

The idea of repeating the last pitch periods, one first and more later, is that of ITU-T G.711
Appendix I (1999), to which the residual, the noise and the zero delay are ours.

One channel's memory is one row of :func:`concealment_memory`; a kernel calls, sample counts as
they come: :func:`conceal` for lost frames, :func:`rejoin` and then :func:`remember` for good ones.
What comes out depends on the samples and on which were lost, not on how they were chunked: all
that is computed in blocks is computed in blocks of the loss.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from rtcore.dsp.pitch import find_period
from rtcore.dsp.prediction import autocorrelate, predict_residual, solve_predictor, synthesise
from rtcore.errors import ParameterError
from rtcore.kernels import helper

__all__ = [
    "ConcealmentTuning",
    "conceal",
    "concealment_memory",
    "longest_fade_frames",
    "rejoin",
    "remember",
]

_HISTORY_MS = 60.0
_LONGEST_WINDOW_MS = 40.0  # with the longest lag it must lie in the history
_BLOCK_MS = 5.0
_SHORTEST_LAG_MS, _LONGEST_LAG_MS = 2.5, 17.0
_COARSE_HZ = 8000.0  # rate of the first search
#: Powers outside of this range are taken for silence: nothing, or nothing that can be filtered.
_LEAST_POWER, _MOST_POWER = 1e-16, 1e30
_HEADROOM = 1.2  # times the recent peak: no block of the substitute is louder
_NOISE_FROM_MS = 20.0  # the samples that noise is made of

# Where a memory holds what. Counts stand in it as floats: they are exact up to 2^53.
(
    _RATE,  # frames per millisecond
    _AT,  # next place in the circular history
    _LOST,  # frames lost in a row so far
    _LEFT,  # frames of the cross-fade that are still to come
    _FADE,  # its length
    _PERIOD,
    _VOICED,  # 0 noise .. 1 periodic
    _SEED,
    _MADE,  # frames of the substitute made so far
    _USED,  # frames of its block in hand that have gone out
    _GAIN,  # at the end of that block
    _TREND,  # nepers per frame by which the sound was dying away
    _PEAK,  # largest sample of the recent past
    _ORDER,
    _BLOCK,
    _FRAMES,  # of the history
    _STEP,  # of the coarse search
    _LOW,
    _HIGH,
    _TUNING,
) = range(20)


@dataclass(frozen=True)
class ConcealmentTuning:
    """How the substitute is shaped; the defaults were chosen by listening scores.

    Parameters
    ----------
    hold_ms, end_ms : float
        The substitute is as loud as the sound was until `hold_ms`, and silent from `end_ms` on.
    noise_below, voiced_above : float
        Normalised correlation below which a sound is noise, and above which it is periodic.
    most_periods : float
        Pitch periods that are repeated in the end.
    grow_ms : float
        One period is repeated first, and one more with each `grow_ms`: a single one would buzz.
    steepest_db_per_ms : float
        A sound that was dying away goes on doing so, at most this fast.
    fade_ms, fade_share, longest_fade_ms : float
        The cross-fade at the end takes `fade_ms` and `fade_share` of what was lost, at most
        `longest_fade_ms`.
    window_ms : float
        What the pitch search compares.
    envelope_ms : float
        What the envelope is taken from.
    floor : float
        White noise under the envelope, as a share of its power.
    shorter_share : float
        See :func:`rtcore.dsp.pitch.find_period`.

    Raises
    ------
    ParameterError
        Where the numbers do not fit together.
    """

    hold_ms: float = 60.0
    end_ms: float = 180.0
    noise_below: float = 0.3
    voiced_above: float = 0.8
    most_periods: float = 9.0
    grow_ms: float = 15.0
    steepest_db_per_ms: float = 0.3
    fade_ms: float = 4.0
    fade_share: float = 0.1
    longest_fade_ms: float = 12.0
    window_ms: float = 20.0
    envelope_ms: float = 20.0
    floor: float = 1e-4
    shorter_share: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what the memory has no room for, or what would divide by nothing."""
        if not all(math.isfinite(value) and value >= 0.0 for value in astuple(self)):
            raise ParameterError("tuning", f"needs finite numbers of at least 0, got {self}")
        ordered = self.hold_ms < self.end_ms and self.noise_below < self.voiced_above
        if not ordered or not self.grow_ms > 0.0:
            what = (
                "needs hold_ms below end_ms, noise_below below voiced_above and a grow_ms above 0"
            )
            raise ParameterError("tuning", f"{what}, got {self}")
        if not 1.0 <= self.window_ms <= _LONGEST_WINDOW_MS >= self.envelope_ms >= 1.0:
            what = f"needs window_ms and envelope_ms from 1 to {_LONGEST_WINDOW_MS:g}"
            raise ParameterError(
                "tuning", f"{what}, got {self.window_ms:g} and {self.envelope_ms:g}"
            )


(
    _HOLD_MS,
    _END_MS,
    _NOISE_BELOW,
    _VOICED_ABOVE,
    _MOST_PERIODS,
    _GROW_MS,
    _STEEPEST,
    _FADE_MS,
    _FADE_SHARE,
    _LONGEST_FADE_MS,
    _WINDOW_MS,
    _ENVELOPE_MS,
    _FLOOR,
    _SHORTER,
) = range(_TUNING, _TUNING + 14)
# Where the arrays begin.
(
    _O_HISTORY,
    _O_PAST,
    _O_RESIDUAL,
    _O_FILTER,
    _O_LINE,
    _O_READY,
    _O_THIN,
    _O_SPARE,
) = range(40, 48)
_HEADER = 48


def concealment_memory(
    sample_rate: float, channels: int = 1, tuning: ConcealmentTuning | None = None
) -> np.ndarray[Any, Any]:
    """Make the memories of some channels, as they are before the first sample.

    Parameters
    ----------
    sample_rate : float
        In Hz.
    channels : int
        Rows.
    tuning : ConcealmentTuning, optional
        How the substitute is shaped.

    Returns
    -------
    ndarray of float64, shape (channels, size)
        A kernel declares it as ``"f8[:, :]"``, whatever the stream's own type.
    """
    rate = sample_rate / 1000.0
    order = 24 if sample_rate < 24000.0 else 32
    # A block and a step are a frame at least, however low the rate.
    frames = max(8, round(_HISTORY_MS * rate))
    block = max(1, round(_BLOCK_MS * rate))
    step = max(1, round(sample_rate / _COARSE_HZ))
    sizes = (
        frames,
        frames,
        frames,
        order + 1,
        order + block,
        block,
        frames // step,
        frames + 2 * order,
    )
    row = np.zeros(_HEADER + sum(sizes))
    row[_RATE], row[_ORDER], row[_BLOCK], row[_FRAMES], row[_STEP] = (
        rate,
        order,
        block,
        frames,
        step,
    )
    row[_LOW] = math.floor(_SHORTEST_LAG_MS * rate)
    row[_HIGH] = math.ceil(_LONGEST_LAG_MS * rate)
    row[_TUNING : _TUNING + 14] = astuple(tuning or ConcealmentTuning())
    row[_O_HISTORY : _O_SPARE + 1] = _HEADER + np.cumsum((0, *sizes[:-1]))
    return np.tile(row, (channels, 1))


def longest_fade_frames(sample_rate: float, tuning: ConcealmentTuning | None = None) -> int:
    """Give the frames after a loss that can differ from what came."""
    return int((tuning or ConcealmentTuning()).longest_fade_ms * sample_rate / 1000.0)


@helper
def remember(memory: Any, row: Any, frames: int) -> None:
    """Keep frames as the past of a loss that may come; after :func:`rejoin`.

    Parameters
    ----------
    memory : ndarray of float64
        One channel's.
    row : ndarray
        Its samples, as they go out.
    frames : int
        How many of them.
    """
    length = int(memory[_FRAMES])
    history = _array(memory, _O_HISTORY, length)
    at = int(memory[_AT])
    for i in range(frames):
        history[at] = row[i]
        at = at + 1 if at + 1 < length else 0
    memory[_AT] = at


@helper
def conceal(memory: Any, row: Any, frames: int) -> None:
    """Write a substitute for lost frames, and remember it.

    Parameters
    ----------
    memory : ndarray of float64
        One channel's.
    row : ndarray
        Overwritten.
    frames : int
        How many frames of it.
    """
    if memory[_LOST] == 0.0:
        _begin(memory)
    memory[_LOST] += frames
    for i in range(frames):
        row[i] = _next(memory)
    remember(memory, row, frames)
    fade_ms = memory[_FADE_MS] + memory[_FADE_SHARE] * memory[_LOST] / memory[_RATE]
    memory[_FADE] = int(min(fade_ms, memory[_LONGEST_FADE_MS]) * memory[_RATE])
    memory[_LEFT] = memory[_FADE]


@helper
def rejoin(memory: Any, row: Any, frames: int) -> int:
    """Lead from the substitute into good frames, in their place; nothing where none was lost.

    Parameters
    ----------
    memory : ndarray of float64
        One channel's.
    row : ndarray
        Good samples, which are cross-faded with the substitute where a loss has just ended.
    frames : int
        How many of them.

    Returns
    -------
    int
        How many of these frames were changed.
    """
    memory[_LOST] = 0.0
    count = min(frames, int(memory[_LEFT]))
    for i in range(count):
        # The weight of the substitute falls along a half cosine.
        phase = memory[_LEFT] / (memory[_FADE] + 1.0)
        weight = 0.5 - 0.5 * math.cos(math.pi * phase)
        row[i] += weight * (_next(memory) - row[i])
        memory[_LEFT] -= 1.0
    return count


@helper
def _array(memory: Any, offset: int, size: int) -> Any:
    """Give one of the arrays in a memory."""
    start = int(memory[offset])
    return memory[start : start + size]


@helper
def _begin(memory: Any) -> None:
    """Take the past apart, at the first lost frame."""
    length, order = int(memory[_FRAMES]), int(memory[_ORDER])
    history = _array(memory, _O_HISTORY, length)
    past = _array(memory, _O_PAST, length)
    at = int(memory[_AT])
    for i in range(length - at):
        past[i] = history[at + i]
    for i in range(at):
        past[length - at + i] = history[i]
    memory[_MADE], memory[_USED], memory[_GAIN] = 0.0, memory[_BLOCK], 1.0
    if not _find_envelope(memory, past):
        memory[_GAIN] = 0.0  # silence goes on as silence
        return
    line = _array(memory, _O_LINE, order + int(memory[_BLOCK]))
    end = int(memory[_BLOCK])
    for k in range(order):  # where the line's last block would have left them
        line[end + k] = past[length - order + k]
    _find_period(memory, past)
    _find_trend(memory, past)


@helper
def _find_envelope(memory: Any, past: Any) -> bool:
    """Find the predictor of the last milliseconds, and the residual of all of the past."""
    order = int(memory[_ORDER])
    frames = min(int(memory[_ENVELOPE_MS] * memory[_RATE]), past.size)
    padded = _array(memory, _O_SPARE, order + frames)
    for i in range(order):
        padded[i] = 0.0
    turn = 0.85  # a window that rises slowly and falls fast: the end of the past counts most
    for i in range(frames):
        place = (i + 0.5) / frames
        share = place / turn if place < turn else (1.0 - place) / (1.0 - turn)
        padded[order + i] = past[past.size - frames + i] * math.sin(0.5 * math.pi * share)
    residual = _array(memory, _O_RESIDUAL, past.size)
    correlation = residual[: order + 1]
    autocorrelate(padded, order, correlation)
    if not _LEAST_POWER < correlation[0] < _MOST_POWER:  # also where it is no number
        return False
    a = _array(memory, _O_FILTER, order + 1)
    solve_predictor(correlation, order, memory[_FLOOR], a, padded)
    predict_residual(past, a, order, residual)
    return True


@helper
def _find_period(memory: Any, past: Any) -> None:
    """Find the pitch period, and how periodic the sound is."""
    step = int(memory[_STEP])
    thin = _array(memory, _O_THIN, past.size // step)
    low, high = int(memory[_LOW]), int(memory[_HIGH])
    scores = _array(memory, _O_SPARE, high - low + 4)
    window = int(memory[_WINDOW_MS] * memory[_RATE])
    period, likeness = find_period(past, step, window, low, high, memory[_SHORTER], thin, scores)
    span = memory[_VOICED_ABOVE] - memory[_NOISE_BELOW]
    memory[_PERIOD] = period
    memory[_VOICED] = min(max((likeness - memory[_NOISE_BELOW]) / span, 0.0), 1.0)


@helper
def _find_trend(memory: Any, past: Any) -> None:
    """Find how fast the sound was dying away, over whole periods, and how large it was."""
    period = int(memory[_PERIOD])
    frames = min(period * max(1, int(10.0 * memory[_RATE]) // period), past.size // 2)
    late, early, peak = _LEAST_POWER, _LEAST_POWER, 0.0
    for i in range(past.size - frames, past.size):
        late += past[i] * past[i]
        early += past[i - frames] * past[i - frames]
        peak = max(peak, abs(past[i]), abs(past[i - frames]))
    steepest = memory[_STEEPEST] / memory[_RATE] / 8.685889638  # dB in a neper
    memory[_TREND] = min(max(0.5 * math.log(late / early) / frames, -steepest), 0.0)
    memory[_PEAK] = peak


@helper
def _next(memory: Any) -> float:
    """Give the substitute's next sample."""
    if memory[_USED] == memory[_BLOCK]:
        _make_block(memory)
    at = int(memory[_USED])
    memory[_USED] += 1.0
    return memory[int(memory[_O_READY]) + at]


@helper
def _make_block(memory: Any) -> None:
    """Make the next milliseconds of the substitute."""
    block, order = int(memory[_BLOCK]), int(memory[_ORDER])
    ready = _array(memory, _O_READY, block)
    memory[_USED] = 0.0
    before = memory[_GAIN]
    if before == 0.0:
        for i in range(block):
            ready[i] = 0.0
        return
    line = _array(memory, _O_LINE, order + block)
    for k in range(order):
        line[k] = line[block + k]
    _excite(memory, line[order:])
    spare = _array(memory, _O_SPARE, order)
    synthesise(line, _array(memory, _O_FILTER, order + 1), order, block, spare)
    memory[_MADE] += block
    peak = _LEAST_POWER
    for i in range(order, order + block):
        peak = max(peak, abs(line[i]))
    # The filter could ring up where noise meets a resonance; the gain holds against it.
    after = min(_gain_at(memory), before, _HEADROOM * memory[_PEAK] / peak)
    for i in range(block):
        ready[i] = line[order + i] * (before + (after - before) * ((i + 1.0) / block))
    memory[_GAIN] = after


@helper
def _gain_at(memory: Any) -> float:
    """Give the gain after all that has been made."""
    made_ms = memory[_MADE] / memory[_RATE]
    if made_ms >= memory[_END_MS]:
        return 0.0
    late_ms = max(made_ms - memory[_HOLD_MS], 0.0)
    share = late_ms / (memory[_END_MS] - memory[_HOLD_MS])
    return (0.5 + 0.5 * math.cos(math.pi * share)) * math.exp(memory[_TREND] * memory[_MADE])


@helper
def _excite(memory: Any, out: Any) -> None:
    """Go on with the residual: its last periods, and its samples in random order."""
    length, period = int(memory[_FRAMES]), int(memory[_PERIOD])
    residual = _array(memory, _O_RESIDUAL, length)
    recent = int(_NOISE_FROM_MS * memory[_RATE])
    most = min(int(memory[_MOST_PERIODS]), (length - int(memory[_ORDER])) // period)
    voiced = memory[_VOICED]
    noisy = math.sqrt(1.0 - voiced * voiced)
    made = int(memory[_MADE])
    span = period * max(1, min(1 + int(made / memory[_RATE] / memory[_GROW_MS]), most))
    at = made % span
    seed = int(memory[_SEED])
    for i in range(out.size):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        chosen = residual[length - 1 - (((seed >> 8) * recent) >> 23)]
        noise = chosen if seed & 128 else -chosen
        out[i] = voiced * residual[length - span + at] + noisy * noise
        at = at + 1 if at + 1 < span else 0
    memory[_SEED] = seed
