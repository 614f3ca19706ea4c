# SPDX-License-Identifier: MIT
"""Systems whose look-ahead, delay and whole-file dependence are known because they were built in.

Each carries its truth: `lookahead_samples` (with the output as it stands; None where no number is
right because the whole file is used, or because nothing of the input is), `latency_samples`,
`whole_file`, and `period_samples`: the worst case recurs that often, so a scan that misses no
position of a stretch of that length sees it.
"""

from __future__ import annotations

import numpy as np

from rtcore.latency.result import Declared
from rtcore.latency.systems.base import System


class Planted(System):
    """A function of a (channels, frames) sound, with the truth about it."""

    kind = "callable"

    def __init__(
        self,
        name,
        function,
        *,
        lookahead_samples,
        latency_samples=0,
        whole_file=False,
        period_samples=1,
        deterministic=True,
        declared=None,
        sample_rate=44100,
        channels=1,
    ):
        super().__init__(name, sample_rate, channels, declared or Declared())
        self.function = function
        self.lookahead_samples = lookahead_samples
        self.latency_samples = latency_samples
        self.whole_file = whole_file
        self.period_samples = period_samples
        self.deterministic = deterministic
        self.runs = 0

    def run(self, x):
        """Process a whole sound."""
        self.runs += 1
        return self.function(np.array(x, np.float64))

    def but(self, name, function, **truth):
        """Give a system that goes on with this output, with what that changes of the truth."""
        mine = ("lookahead_samples", "latency_samples", "whole_file", "period_samples")
        known = {key: getattr(self, key) for key in (*mine, "deterministic", "sample_rate")}
        known |= {"channels": self.channels} | truth
        return Planted(f"{self.name}, {name}", lambda x: function(self.run(x)), **known)


def shifted(x, late):
    """Delay a sound within its length; a negative delay moves it to the front."""
    y = np.zeros_like(x)
    frames = x.shape[1]
    if abs(late) < frames:
        y[:, max(late, 0) : frames + min(late, 0)] = x[:, max(-late, 0) : frames - max(late, 0)]
    return y


def delay(samples, **more):
    """Delay by `samples`, or look ahead by `-samples`."""
    return Planted(
        f"delay of {samples}",
        lambda x: shifted(x, samples),
        lookahead_samples=-samples,
        latency_samples=samples,
        **more,
    )


def fir(future, past=8, *, late=0, seed=0, **more):
    """Filter with `future` samples after the output's own and `past` before it, then delay."""
    rng = np.random.default_rng(seed)
    # taps[0] belongs to the sample furthest ahead; the output's own sample dominates.
    taps = rng.uniform(0.1, 0.2, future + past + 1) * rng.choice((-1, 1), future + past + 1)
    taps[1:future] /= max(future, 1)
    taps[future] = 2.0

    def process(x):
        rows = [np.convolve(row, taps)[future : future + x.shape[1]] for row in x]
        return shifted(np.array(rows), late)

    return Planted(
        f"FIR with {future} future samples, {late} late",
        process,
        lookahead_samples=future - late,
        latency_samples=late,
        **more,
    )


def overlap_add(frames, hop):
    """Add (channels, count, window) frames whose starts are a hop apart."""
    channels, count, window = frames.shape
    every = -(-window // hop)
    total = np.zeros((channels, (count + 2 * every) * hop))
    for first in range(min(every, count)):
        part = frames[:, first::every]
        room = np.zeros((channels, part.shape[1], every * hop))
        room[:, :, :window] = part
        start = first * hop
        total[:, start : start + part.shape[1] * every * hop] += room.reshape(channels, -1)
    return total


def stft(window, hop, future=0, *, late=0, phase=0, shape="raised", effect="mask", **more):
    """Filter frames of `window` samples, each knowing the frame that is `future` hops later.

    `shape` is the window for analysis and synthesis: "raised" and "rect" are nowhere so small that
    rounding hides a sample; "open" is 0 at its first sample, which so counts for nothing. `effect`
    "mask" weights the spectrum, "gain" the whole frame: the latter cannot be seen on silence.
    """
    weights = np.ones(window)
    if shape != "rect":
        weights = 0.25 + 0.75 * np.sin(np.pi * (np.arange(window) + 0.5) / window)
    if shape == "open":
        weights[0] = 0.0
    before = -(-window // hop) * hop + phase % hop

    def process(x):
        count = (before + x.shape[1]) // hop + 2
        room = np.zeros((x.shape[0], (count + future) * hop + window))
        room[:, before : before + x.shape[1]] = x
        inside = np.lib.stride_tricks.sliding_window_view(room, window, axis=1)
        framed = inside[:, ::hop][:, : count + future] * weights
        if effect == "mask":
            spectra = np.fft.rfft(framed)
            seen = np.abs(spectra[:, future:]) + np.abs(spectra[:, :count])
            framed = np.fft.irfft(spectra[:, :count] * seen / (1.0 + seen), window)
        else:
            level = np.abs(framed).sum(axis=2, keepdims=True)
            framed = framed[:, :count] / (1.0 + level[:, :count] + level[:, future:])
        whole = overlap_add(framed * weights, hop)
        return shifted(whole[:, before : before + x.shape[1]], late)

    return Planted(
        f"STFT ({shape}, {effect}) of {window} by {hop} and {future} frames, {late} late",
        process,
        lookahead_samples=window - 1 + future * hop - late - (shape == "open"),
        latency_samples=late,
        period_samples=hop,
        **more,
    )


def phase_dependent(table, **more):
    """Look ahead by as many samples as the table says for the sample's place in its period."""
    ahead = np.asarray(table)

    def process(x):
        frames = x.shape[1]
        at = np.arange(frames)
        room = np.concatenate((x, np.zeros((x.shape[0], int(ahead.max()) + 1))), axis=1)
        return 0.5 * x + 0.25 * room[:, at + ahead[at % ahead.size]]

    return Planted(
        f"{ahead.min()} to {ahead.max()} future samples in a period of {ahead.size}",
        process,
        lookahead_samples=int(ahead.max()),
        period_samples=ahead.size,
        **more,
    )


def rarely_ahead(every=10_000, future=1, phase=0, **more):
    """Be causal, but for one sample in `every`, which knows the one `future` samples later."""

    def process(x):
        y = 0.5 * x
        late = np.arange(phase % every, x.shape[1] - future, every)
        y[:, late] += 0.25 * x[:, late + future]
        return y

    return Planted(
        f"{future} future samples for one sample in {every}",
        process,
        lookahead_samples=future,
        period_samples=every,
        **more,
    )


def peak_normalised(inner=None, **more):
    """Bring the whole output to a peak of 1."""
    return _whole_file(inner, "peak normalised", lambda y: y / _not_zero(np.abs(y).max()), more)


def rms_normalised(inner=None, **more):
    """Bring the whole output to an RMS of 0.1."""
    return _whole_file(
        inner, "RMS normalised", lambda y: 0.1 * y / _not_zero(np.sqrt(np.mean(y**2))), more
    )


def mean_removed(inner=None, **more):
    """Take the mean of each channel of the whole output out of it."""
    return _whole_file(inner, "mean removed", lambda y: y - y.mean(axis=1, keepdims=True), more)


def standardised(inner=None, **more):
    """Bring the whole output to a mean of 0 and a deviation of 0.1."""
    return _whole_file(
        inner, "standardised", lambda y: 0.1 * (y - y.mean()) / _not_zero(y.std()), more
    )


def backwards(**more):
    """Play the file from its end."""
    return _whole_file(None, "backwards", lambda y: y[:, ::-1].copy(), more)


def _not_zero(value):
    return value if value > 0 else 1.0


def _whole_file(inner, name, function, more):
    inner = inner or delay(0, **more)
    return inner.but(name, function, lookahead_samples=None, whole_file=True)


def running_peak_normalised(**more):
    """Divide by the peak so far: looks like a normalisation, and knows nothing of the future."""

    def process(x):
        return x / (0.01 + np.maximum.accumulate(np.abs(x), axis=1))

    return Planted("running peak normalised", process, lookahead_samples=0, **more)


def recursive(pole=0.999, **more):
    """Filter with a long memory: a difference never ends, and never comes early."""
    from scipy.signal import lfilter

    def process(x):
        return lfilter([1.0, 0.5], [1.0, -pole], x)

    return Planted(f"pole at {pole}", process, lookahead_samples=0, **more)


def dithered(inner=None, level=1e-4, seed=0, **more):
    """Add noise that is another in each run."""
    inner = inner or delay(0, **more)
    rng = np.random.default_rng(seed)
    return inner.but(
        f"dithered by {level}",
        lambda y: y + level * rng.uniform(-1, 1, y.shape),
        deterministic=False,
    )


def constant(value=0.0, **more):
    """Give one value whatever comes: no position shows a difference."""
    return Planted(
        f"always {value}",
        lambda x: np.full_like(x, value),
        lookahead_samples=None,
        latency_samples=None,
        **more,
    )


def anything(rng, *, longest=600):
    """Draw a system; `rng` is a `random.Random` or what hypothesis gives for one."""
    future = rng.choice((0, 1, 219, 220, 221, rng.randint(0, longest)))
    late = rng.choice((0, 0, rng.randint(0, longest)))
    seed = rng.randint(0, 1 << 30)
    hop = rng.choice((16, 32, 48, 64, 100, 128, 220, 256))
    window = hop * rng.choice((1, 2, 4)) + rng.choice((0, 0, rng.randint(0, hop - 1)))
    table = [rng.randint(0, longest) for _ in range(rng.randint(2, 300))]
    makers = (
        lambda: delay(late),
        lambda: fir(future, rng.randint(0, 40), late=late, seed=seed),
        lambda: stft(
            window,
            hop,
            rng.randint(0, 3),
            late=rng.choice((0, window, rng.randint(0, longest))),
            phase=rng.randint(0, hop - 1),
            shape=rng.choice(("raised", "rect", "open")),
            effect=rng.choice(("mask", "gain")),
        ),
        lambda: phase_dependent(table),
        lambda: dithered(fir(future, late=late, seed=seed), 10.0 ** -rng.randint(3, 6), seed),
        lambda: rarely_ahead(rng.randint(100, 400), future, rng.randint(0, 400)),
        lambda: rng.choice((peak_normalised, rms_normalised, standardised, mean_removed))(
            fir(future, late=late, seed=seed)
        ),
        rng.choice((running_peak_normalised, recursive, backwards)),
    )
    return rng.choice(makers)()
