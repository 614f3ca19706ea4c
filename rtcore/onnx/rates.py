# SPDX-License-Identifier: MIT
"""How many frames of a stream make a hop of a model at another rate, at the least delay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from rtcore.dsp.resample import ResamplerDesign


@dataclass(frozen=True)
class RatePlan:
    """A hop of the stream, and what it becomes at the model's rate.

    Attributes
    ----------
    frames : int
        Of the stream, handled together.
    samples : int
        What they become at the model's rate.
    delay_samples : int
        What gathering hops of the model from these costs.
    down, up : ResamplerDesign or None
        Between the rates; None where they are equal.
    """

    frames: int
    samples: int
    delay_samples: int
    down: ResamplerDesign | None
    up: ResamplerDesign | None

    @property
    def ratio(self) -> Fraction:
        """Frames of the stream in a sample of the model."""
        return Fraction(self.frames, self.samples)

    @property
    def filter_frames(self) -> Fraction:
        """Delay of both filters in frames of the stream."""
        if self.down is None or self.up is None:
            return Fraction(0)
        return self.down.latency_in_frames + self.up.latency_out_frames


def plan_rates(stream_hz: int, model_hz: int, hop: int) -> RatePlan:
    """Choose the hop of a stream for a model's hop.

    Among all hops that are whole at both rates the one whose delay is least is taken: gathering
    it costs ``frames - 1``, and carrying its samples through hops of the model costs
    ``hop - gcd(hop, samples)`` (see :func:`rtcore.chain.reblock.minimum_delay_frames`).

    Parameters
    ----------
    stream_hz, model_hz : int
        Sample rates.
    hop : int
        Of the model, in its samples.

    Returns
    -------
    RatePlan
    """
    if stream_hz == model_hz:
        return RatePlan(hop, hop, 0, None, None)
    common = math.gcd(stream_hz, model_hz)
    up, down = model_hz // common, stream_hz // common

    def cost(times: int) -> tuple[Fraction, int]:
        samples = times * up
        gathering = hop - math.gcd(hop, samples)
        return times * down - 1 + gathering * Fraction(down, up), gathering

    # Later hops cost more by their frames alone than the first does altogether.
    most = (hop + up) // up
    times = min(range(1, most + 1), key=cost)
    return RatePlan(
        times * down,
        times * up,
        cost(times)[1],
        ResamplerDesign(stream_hz, model_hz),
        ResamplerDesign(model_hz, stream_hz),
    )
