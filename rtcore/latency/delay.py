# SPDX-License-Identifier: MIT
"""How late a system's output is, to a fraction of a sample.

A system is sent impulses, noise and speech, each in a run of its own. For noise and speech the
linear part of the system is found by least squares (:mod:`rtcore.latency.response`), whatever else
it does to the sound; for impulses it is their average response. Where a response is its own mirror
image, all frequencies are equally late, and its centre is the delay (the group delay of a filter of
linear phase); otherwise the delay is the place of its largest peak.

The confidence is a product of two shares. The one is how much of the output's energy the filtered
input explains: 1 minus that of the remainder, each by its degrees of freedom, which is the coherent
output power over the whole (J. S. Bendat and A. G. Piersol, "Random Data", 4th ed., 2010, section
6.1; adjusted as R squared is for the number of taps). The other is how far the other methods agree:
the mean over them of ``1 / (1 + (difference / width)^2)``, where width is the RMS width of the
response, but at least one sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.latency import probes
from rtcore.latency.response import (
    HALF,
    Place,
    Response,
    best_lag,
    fit,
    group_delay,
    locate,
    without_offset,
)
from rtcore.latency.result import Delay
from rtcore.latency.systems.base import System

Sound = np.ndarray[Any, np.dtype[Any]]

_LINEAR_PHASE = 0.98  # of the symmetry, from where on a response counts as its own mirror image
_CLOSE_S, _FAR_S = 0.25, 4.0  # silence around the probes, at first and when nothing was found
_STEP = 0.83  # from channel to channel, so that no usual matrix cancels the probe
_SILENT = 1e-12  # RMS
_INPUTS = 2  # that are compared with each output
_BETTER = 1.2  # times as certain
_SETTLED = 0.3  # from where on linear phase that shows in noise is believed
_SHORTEST = 8 * HALF  # of sounds, so that the response cannot explain just anything
_NO_TRACE = "not measurable: nothing of the probe is found in the output"


@dataclass(frozen=True)
class _Found:
    """A response to one probe."""

    probe: str
    response: Response
    place: Place

    @property
    def linear_phase(self) -> bool:
        return self.place.symmetry >= _LINEAR_PHASE

    @property
    def samples(self) -> float:
        """The delay by this response, whole (or half, for a mirror image) where that may be."""
        place = self.place
        if self.linear_phase:
            return _snap(place.centre, 4.0 * place.centre_error, 2)
        return _snap(place.peak, 4.0 * place.peak_error, 1)


def measure_delay(system: System, *, seconds: float = 1.0, seed: int = 0) -> Delay:
    """Measure how late a system's output is.

    Parameters
    ----------
    system : System
        Anything; it runs three times, and three times more where its delay is long or nothing of
        the first probes comes out.
    seconds : float
        Length of the noise and of the speech, at least 0.2; longer is more certain.
    seed : int
        Another seed gives other probes.

    Returns
    -------
    Delay
        Its confidence is 0 where the delay cannot be measured, and its `method` says why.
    """
    frames = max(round(max(seconds, 0.2) * system.sample_rate), _SHORTEST)
    pad = round(_CLOSE_S * system.sample_rate)
    delay = _try(system, frames, pad, seed)
    if delay.confidence == 0.0:
        delay = _try(system, frames, round(_FAR_S * system.sample_rate), seed)
    elif abs(delay.samples) > pad - HALF:
        delay = _try(system, frames, round(abs(delay.samples)) + 2 * HALF, seed)
    return delay


def _try(system: System, frames: int, pad: int, seed: int) -> Delay:
    """Send all probes, with so much silence around them, and take the most certain."""
    made = {name: make(frames, system.sample_rate, seed) for name, make in probes.LONG.items()}
    made["impulses"] = probes.impulses(seed=seed)
    made = {name: np.pad(sound, pad) for name, sound in made.items()}
    gains = _STEP ** np.arange(system.channels)[:, np.newaxis]
    outputs = system.run_many([gains * sound for sound in made.values()])
    heard = {name: np.atleast_2d(y) for name, y in zip(made, outputs, strict=True)}
    reason = _unusable(heard.values())
    if reason:
        return _unknown(reason)
    impulse = _by_impulses(made["impulses"], heard["impulses"])
    rate = float(system.sample_rate)
    noise, speech = (
        _best(_judge(found, impulse, rate) for found in _each(name, made[name], heard[name], None))
        for name in ("noise", "speech")
    )
    best = speech if _outdoes(speech, noise) else noise
    return best if impulse is None else _best([best, _from_impulses(impulse, best)])


def delay_between(
    x: Sound, y: Sound, *, sample_rate: float, max_samples: int | None = None
) -> Delay:
    """Measure by how much one sound is later than another.

    Parameters
    ----------
    x : ndarray
        What was sent: (frames,) or (channels, frames). A sound with a wide spectrum, best followed
        by as much silence as the delay lasts.
    y : ndarray
        What came back, likewise; its length may differ. Of all its channels, each with the two
        loudest that were sent, the pair that is most alike counts.
    sample_rate : float
        In Hz.
    max_samples : int, optional
        No delay beyond this, either way, is looked for.

    Returns
    -------
    Delay
        Its confidence is 0 where no delay can be measured, and its `method` says why.
    """
    sent = np.atleast_2d(np.asarray(x, np.float64))
    heard = np.atleast_2d(np.asarray(y, np.float64))
    reason = _unusable([sent], "input") or _unusable([heard])
    if reason:
        return _unknown(reason)
    return _best(
        _judge(found, None, sample_rate)
        for row in sorted(sent, key=lambda row: -float(row @ row))[:_INPUTS]
        if _sounds(row)
        for found in _each("the input", row, heard, max_samples)
    )


def _best(delays: Iterable[Delay]) -> Delay:
    return max(delays, key=lambda delay: delay.confidence, default=_unknown(_NO_TRACE))


def _outdoes(speech: Delay, noise: Delay) -> bool:
    """Say whether speech tells the delay better: noise has all frequencies, so by a clear margin.

    Few taps explain most of speech, whose samples resemble their neighbours, and none of those
    taps need be the delay: where noise shows a linear phase, speech must show one too.
    """
    settled = noise.confidence > _SETTLED and _is_symmetric(noise) and not _is_symmetric(speech)
    return not settled and speech.confidence > _BETTER * noise.confidence


def _is_symmetric(delay: Delay) -> bool:
    return delay.method.startswith("group_delay")


def _unknown(reason: str) -> Delay:
    return Delay(samples=0.0, confidence=0.0, method=reason)


def _unusable(sounds: Any, which: str = "output") -> str:
    """Say why nothing can be found in these sounds; empty where something may be."""
    sounds = list(sounds)
    shortest = min(sound.shape[1] for sound in sounds)
    if shortest < _SHORTEST:
        return f"not measurable: the {which} has {shortest} samples, fewer than {_SHORTEST}"
    if not all(np.isfinite(sound).all() for sound in sounds):
        return f"not measurable: the {which} has samples that are NaN or infinite"
    if not any(_sounds(row) for sound in sounds for row in sound):
        return f"not measurable: the {which} is silent"
    return ""


def _sounds(row: Sound) -> bool:
    return row.size > 0 and float(np.sqrt(np.mean(row**2))) > _SILENT


def _each(name: str, x: Sound, y: Sound, max_samples: int | None) -> Iterator[_Found]:
    """Find the response in each output channel that has one."""
    for row in y:
        probe, steady = without_offset(x, row)
        if not _sounds(steady):
            continue
        response = fit(probe, steady, best_lag(probe, steady, max_samples))
        if max_samples is not None:
            response = response.within(max_samples)
        if response.certain:
            yield _Found(name, response, locate(response))


def _by_impulses(x: Sound, y: Sound) -> _Found | None:
    """Average the responses to the impulses of each size; give the most regular ones."""
    places = np.flatnonzero(x)
    sizes = np.abs(x[places])
    best: _Found | None = None
    for row in y - np.median(y, axis=1, keepdims=True):
        if not _sounds(row):
            continue
        lag = best_lag(x, row, None)
        around = np.arange(lag - HALF, lag + HALF + 1)
        late = np.pad(row, HALF + abs(lag) + 1)
        pieces = late[places[:, np.newaxis] + around + HALF + abs(lag) + 1]
        pieces = pieces / x[places][:, np.newaxis]
        for size in np.unique(sizes):
            found = _average(pieces[sizes == size], lag)
            if found and (best is None or found.response.explained > best.response.explained):
                best = found
    return best


def _average(pieces: Sound, lag: int) -> _Found | None:
    count = len(pieces)
    mean = pieces.mean(axis=0)
    energy, left = float(np.sum(pieces**2)), float(np.sum((pieces - mean) ** 2))
    if energy == 0.0:
        return None
    explained = 1.0 - min(1.0, left / energy * count / (count - 1))
    error = np.sqrt(left / (count - 1) / count / mean.size)
    response = Response(mean, lag - HALF, float(error), explained, np.zeros(0))
    return _Found("impulses", response, locate(response)) if response.certain else None


def _judge(found: _Found, impulse: _Found | None, sample_rate: float) -> Delay:
    """Turn a response into a delay, with the word of the other methods."""
    late = group_delay(found.response)
    coherence = found.response.coherence
    centre = found.place.centre
    by = {
        "correlation": found.place.peak,
        "group_delay": centre if found.linear_phase else _median(late, coherence),
    }
    if impulse is not None:
        by["impulse"] = impulse.place.peak
    chosen = "group_delay" if found.linear_phase else "correlation"
    agreed = _agreement(found.samples, [by[k] for k in by if k != chosen], found.place.width)
    return Delay(
        samples=float(found.samples),
        confidence=float(found.response.explained * agreed),
        method=_why(found, chosen),
        by=dict(sorted(by.items())),
        frequency_hz=tuple(np.linspace(0.0, sample_rate / 2.0, late.size).tolist()),
        group_delay_samples=tuple(late.tolist()),
        coherence=tuple(coherence.tolist()),
    )


def _from_impulses(found: _Found, best: Delay) -> Delay:
    # One method alone, and one that few systems are made for: half as certain.
    confidence = 0.5 * found.response.explained
    how = "only impulses come through" if best.confidence == 0.0 else "impulses tell the most"
    why = f"impulse: {how}"
    return Delay(found.samples, confidence, why, {"impulse": found.samples})


def _why(found: _Found, chosen: str) -> str:
    if chosen == "group_delay":
        return f"group_delay: the response to {found.probe} is symmetric, so the phase is linear"
    return f"correlation: the peak of the response to {found.probe}, which is not symmetric"


def _agreement(samples: float, others: Sequence[float], width: float) -> float:
    apart = (np.array(others) - samples) / max(1.0, width)
    return float(np.mean(1.0 / (1.0 + apart**2)))


def _snap(value: float, tolerance: float, parts: int) -> float:
    """Round to the whole, or the nearest part of it, where that lies within the tolerance."""
    allowed = min(max(tolerance, 1e-3), 0.25 / parts)
    for grid in range(1, parts + 1):
        near = round(value * grid) / grid
        if abs(value - near) <= allowed:
            return float(near)
    return float(value)


def _median(values: Sound, weights: Sound) -> float:
    """Give the weighted median, over the bins that are more coherent than not where there are."""
    trusted = np.where(weights > 0.5, weights, 0.0)
    trusted = trusted if trusted.any() else weights + 1e-12
    order = np.argsort(values)
    total = np.cumsum(trusted[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2.0)])
