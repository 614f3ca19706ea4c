# SPDX-License-Identifier: MIT
"""Sound from one sample rate to another, hop by hop, for use inside kernels.

A rate that is ``up / down`` times as high is reached by way of one ``up`` times as high, where a
linear-phase low-pass filter removes what the lower rate cannot carry.  Of that filter only the
taps are used that meet a sample, in ``up`` phases.

A hop is a whole number of ``down`` frames and becomes as many times ``up``.  So each hop begins
at the first phase, nothing but the history is remembered, and any split into hops gives the same
bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, gcd
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtcore.dsp.vector import INDEX, load, multiply_add, refuse_unlike, vector_type
from rtcore.errors import PluginError
from rtcore.kernels import helper

#: Frames of the lower rate: 2 ms of speech at 16 kHz.
HALF_WIDTH = 32.0
_SHORTEST = 8.0  # below it the pass band is no longer worth its name
_PADDED_TO = 32  # taps; they are weighed so many at once, in vectors of any width
_MARGIN_DB = 1.5  # by which designs of Kaiser's formulas can miss the attenuation asked for


@dataclass(frozen=True, eq=False)
class ResamplerDesign:
    """The filter between two sample rates.

    Parameters
    ----------
    rate_in, rate_out : int
        Frames a second.
    half_width : float
        Reach of the filter to either side, in frames of the lower rate: so long is the latency.
        The pass band ends at ``0.5 - 2.56 / half_width`` or so of the lower rate (see `pass_hz`):
        at 0.42 for 32, at 0.45 for 52, at 0.46 for 64.
    stop_db : float
        Attenuation from half the lower rate on, 50 to 140 dB.

    Attributes
    ----------
    up, down : int
        ``rate_out / rate_in`` in lowest terms.
    prototype : array
        Impulse response at ``rate_in * up`` Hz; an odd number of taps, symmetric.
    taps : array, shape (up, taps)
        The phases, as `resample_hop` wants them: last tap first, zeros in front.
    latency_in_frames, latency_out_frames : Fraction
        Delay in frames of either side, exactly; whole at the higher rate.
    pass_hz, stop_hz : float
        Where the pass band ends and where the stop band begins.

    Raises
    ------
    PluginError
        Where a number is out of range.

    Notes
    -----
    A Kaiser window of the length and shape that his formulas give: J. F. Kaiser, "Nonrecursive
    digital filter design using the I0-sinh window function", IEEE ISCAS, 1974.
    """

    rate_in: int
    rate_out: int
    half_width: float = HALF_WIDTH
    stop_db: float = 80.0
    up: int = field(init=False)
    down: int = field(init=False)
    latency_in_frames: Fraction = field(init=False)
    latency_out_frames: Fraction = field(init=False)
    pass_hz: float = field(init=False)
    stop_hz: float = field(init=False)
    prototype: NDArray[np.float64] = field(init=False, repr=False)
    taps: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Design the filter."""
        _check(self.rate_in, self.rate_out, self.half_width, self.stop_db)
        common = gcd(self.rate_in, self.rate_out)
        depth_db = self.stop_db + _MARGIN_DB
        up, down = self.rate_out // common, self.rate_in // common
        delay = _delay(up, down, self.half_width)
        stop_hz = min(self.rate_in, self.rate_out) / 2.0
        width_hz = _transition(delay, depth_db) * self.rate_in * up if delay else 0.0
        prototype = _prototype(up, down, delay, depth_db)
        values: dict[str, Any] = {
            "up": up,
            "down": down,
            "latency_in_frames": Fraction(delay, up),
            "latency_out_frames": Fraction(delay, down),
            "pass_hz": stop_hz - width_hz,
            "stop_hz": stop_hz,
            "prototype": prototype,
            "taps": _phases(prototype, up),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def hop_in(self, k: int) -> int:
        """Give the frames that `k` of the smallest hops take."""
        return k * self.down

    def hop_out(self, k: int) -> int:
        """Give the frames that `k` of the smallest hops become."""
        return k * self.up

    def history(self, channels: int, max_frames_in: int) -> NDArray[np.float64]:
        """Make the memory of `resample_hop`, to be declared as ``"real[:, :]"``.

        Parameters
        ----------
        channels : int
            Rows.
        max_frames_in : int
            No hop is longer.

        Returns
        -------
        array, shape (channels, past + max_frames_in)
            Zeros.
        """
        return np.zeros((channels, self.taps.shape[1] - 1 + max_frames_in))


def _check(rate_in: int, rate_out: int, half_width: float, stop_db: float) -> None:
    for rate in (rate_in, rate_out):
        if rate != int(rate) or rate < 1:
            raise PluginError(
                f"a sample rate of {rate} Hz cannot be converted; give whole numbers above 0"
            )
    if not half_width >= _SHORTEST:
        raise PluginError(
            f"half_width: a filter of {half_width} frames to either side is too short; "
            f"give at least {_SHORTEST:g}"
        )
    if not 50.0 <= stop_db <= 140.0:
        raise PluginError(f"stop_db: must be from 50 to 140 dB, got {stop_db}")


def _delay(up: int, down: int, half_width: float) -> int:
    """Give the filter's delay at the rate between, whole frames of the higher rate."""
    if up == down:
        return 0
    return min(up, down) * floor(half_width * max(up, down) / min(up, down))


def _transition(delay: int, depth_db: float) -> float:
    """Give the width of the transition, in parts of the rate between, by Kaiser's formula."""
    return (depth_db - 7.95) / (2.0 * 14.36 * delay)


def _prototype(up: int, down: int, delay: int, depth_db: float) -> NDArray[np.float64]:
    if delay == 0:
        return np.ones(1)
    cutoff = 0.5 / max(up, down) - _transition(delay, depth_db) / 2.0
    n = np.arange(-delay, delay + 1)
    window = np.kaiser(n.size, 0.1102 * (depth_db - 8.7))
    taps = 2.0 * cutoff * np.sinc(2.0 * cutoff * n) * window
    return taps * (up / taps.sum())


def _phases(prototype: NDArray[np.float64], up: int) -> NDArray[np.float64]:
    """Sort taps into phases, each backwards behind zeros."""
    length = -(-prototype.size // up)
    padded = -(-length // _PADDED_TO) * _PADDED_TO
    phases = np.zeros((padded, up))
    phases.ravel()[: prototype.size] = prototype
    return np.ascontiguousarray(phases[::-1].T)


@helper
def resample_hop(x: Any, y: Any, history: Any, taps: Any, down: int) -> None:
    """Convert one hop of one channel.

    Parameters
    ----------
    x : real array, shape (k * down,)
        Input, at most as many frames as the history was made for.
    y : real array, shape (k * up,)
        Where the output goes.
    history : real array, shape (past + frames,)
        The channel's row of what `ResamplerDesign.history` made. The arithmetic is in its type,
        whatever that of `x` and `y`.
    taps : real array, shape (up, taps)
        Those of the design, in the type of `history`.
    down : int
        That of the design.
    """
    up, length = taps.shape
    past = length - 1
    zero = x.dtype.type(0)
    for i in range(x.size):
        # Adding zero flushes a subnormal sample, which must not lie in the history.
        history[past + i] = x[i] + zero
    start, phase = 0, 0
    for i in range(y.size):
        y[i] = _weighed(history, start, taps, phase)
        phase += down
        start += phase // up
        phase %= up
    for i in range(past):
        history[i] = history[i + x.size]


@intrinsic
def _weighed(typing_context: Any, history: Any, start: Any, taps: Any, phase: Any) -> Any:
    """Give the sum of products of the samples from ``start`` on and the taps of a phase.

    The taps are summed in an order that depends on their number alone.
    """
    del typing_context, start, phase
    refuse_unlike(history, taps)

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        samples = context.make_array(history)(context, builder, args[0]).data
        table = context.make_array(taps)(context, builder, args[2])
        length = builder.extract_value(table.shape, 1)
        weights = builder.gep(table.data, [builder.mul(args[3], length)])
        samples = builder.gep(samples, [args[1]])
        vector = vector_type(context, history.dtype)
        zero = ir.Constant(vector, None)
        count = _PADDED_TO // vector.count
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
        rounds = builder.udiv(length, ir.Constant(INDEX, _PADDED_TO))
        with cgutils.for_range(builder, rounds) as loop:
            base = builder.mul(loop.index, ir.Constant(INDEX, _PADDED_TO))
            for k, total in enumerate(sums):
                index = builder.add(base, ir.Constant(INDEX, k * vector.count))
                heard = load(builder, samples, index, vector)
                gain = load(builder, weights, index, vector)
                added = multiply_add(context, builder, heard, gain, builder.load(total))
                builder.store(added, total)
        return _sum_of_lanes(builder, _sum(builder, [builder.load(total) for total in sums]))

    return history.dtype(history, types.int64, taps, types.int64), codegen


def _sum(builder: Any, values: list[Any]) -> Any:
    """Add pairs, then pairs of sums, and so on."""
    while len(values) > 1:
        values = [builder.fadd(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _sum_of_lanes(builder: Any, values: Any) -> Any:
    index = ir.IntType(32)
    lanes = [builder.extract_element(values, index(k)) for k in range(values.type.count)]
    half = len(lanes) // 2
    return _sum(builder, [lane for k in range(half) for lane in (lanes[k], lanes[k + half])])
