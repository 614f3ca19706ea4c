# SPDX-License-Identifier: MIT
"""Show how fast a chain is against pyclarity, pedalboard and scipy.

The same speech-like sound (stereo, float32, 44.1 kHz, RMS 0.1) goes through everything, in one
run and in turns.  rtcore is run in two ways: *inside*, where the loop over blocks is compiled code
(``chain.process`` of the whole signal with ``max_frames`` = block), and *Python*, where each block
is a call from Python.  Both keep their state from one call to the next, write to fresh memory and
look for NaN at each step, as a live stream does.  Designing the filters is not timed.

* pyclarity (NAL-R and the CEC2 compressor) knows whole signals only; its one time stands in all
  rows.  It computes in float64; the largest difference from rtcore's output is printed.
* pedalboard runs its C++ the same two ways: ``process(whole, buffer_size=block, reset=False)``, and
  a call for each block with ``reset=False``, so that it also goes on where it ended.  Its
  convolution is uniformly partitioned, by FFT.  Its compressor has another law: a peak follower
  and a ratio in decibels, with no window, and so less to do for each sample.
* scipy's ``lfilter`` is called for each block with its state, ``oaconvolve`` once for the whole.

``x / rtcore`` is how many times rtcore's time the other one takes: above 1, rtcore is faster.  The
tables hold medians.  Each target is judged by the fastest of the rounds of either side, because
other programs on the machine can only add time; the smallest ratio of medians stands beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.signal
from _common import arguments, rounds, table, write_json

from rtcore import Chain, Plugin
from rtcore.hearing import nalr_taps, standard_audiogram
from rtcore.plugins import FIR, NALR, Compressor
from rtcore.synth import speech_like

try:
    import pedalboard
except ImportError:
    pedalboard = None
try:
    from clarity.enhancer import compressor as their_compressor
    from clarity.enhancer import nalr as their_nalr
    from clarity.utils.audiogram import Audiogram as TheirAudiogram
except ImportError:
    their_nalr = None

RATE_HZ = 44100
BLOCKS = (32, 64, 128, 512)
NFIR = 220
THRESHOLD, ATTENUATION, ATTACK_MS, RELEASE_MS, WINDOW_S = 0.35, 0.1, 50.0, 1000.0, 0.064
INSIDE, PYTHON = "pedalboard / rtcore, inside", "pedalboard / rtcore, Python"
TARGETS = (  # table, column, smallest that is good enough
    ("nalr + compressor", "pyclarity / inside", 30.0),
    ("fir", INSIDE, 1.0),
    ("fir", PYTHON, 1.0),
    ("compressor", INSIDE, 1.0),
    ("compressor", PYTHON, 1.0),
)
MISSING = "not installed"

Functions = dict[str, Callable[[], Any]]


def sound(seconds: float) -> np.ndarray:
    """Make two channels of speech-like sound, in whole blocks of any of the sizes."""
    frames = max(1, round(seconds * RATE_HZ / BLOCKS[-1])) * BLOCKS[-1]
    pair = [speech_like(frames / RATE_HZ, RATE_HZ, rms=0.1, seed=seed) for seed in (1, 2)]
    return np.ascontiguousarray(np.stack(pair)[:, :frames], np.float32)


def cut(x: np.ndarray, block: int) -> list[np.ndarray]:
    """Cut sound into contiguous blocks, as a sound card delivers them."""
    return [np.ascontiguousarray(x[:, k : k + block]) for k in range(0, x.shape[1], block)]


def ours(what: str, plugins: list[Plugin], x: np.ndarray, block: int) -> Functions:
    """Make both ways of running a chain."""
    chain = Chain(plugins, sample_rate=RATE_HZ, channels=len(x), max_frames=block)
    blocks = cut(x, block)

    def from_python() -> None:
        for piece in blocks:
            chain.process(piece)

    return {
        f"{what} rtcore inside {block}": lambda: chain.process(x),
        f"{what} rtcore Python {block}": from_python,
    }


def boards(what: str, plugin: Any, x: np.ndarray, block: int) -> Functions:
    """Make both ways of running a plugin of pedalboard."""
    blocks = cut(x, block)

    def from_python() -> None:
        for piece in blocks:
            plugin.process(piece, RATE_HZ, buffer_size=block, reset=False)

    return {
        f"{what} pedalboard inside {block}": lambda: plugin.process(
            x, RATE_HZ, buffer_size=block, reset=False
        ),
        f"{what} pedalboard Python {block}": from_python,
    }


def pyclarity(x: np.ndarray) -> Callable[[], np.ndarray]:
    """Make pyclarity's two steps, channel by channel."""
    ear = standard_audiogram("N3")
    nalr = their_nalr.NALR(NFIR, RATE_HZ)
    levels, frequencies = np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)
    audiogram = TheirAudiogram(levels=levels, frequencies=frequencies)
    taps, _ = nalr.build(audiogram)
    slow = their_compressor.Compressor(
        fs=RATE_HZ,
        attack=ATTACK_MS,
        release=RELEASE_MS,
        threshold=THRESHOLD,
        attenuation=ATTENUATION,
        rms_buffer_size=WINDOW_S,
    )
    return lambda: np.stack([slow.process(nalr.apply(taps, row))[0] for row in x])


def lfilters(x: np.ndarray, taps: np.ndarray, block: int) -> Callable[[], Any]:
    """Make scipy's direct filter, called for each block with its state."""
    blocks, one = cut(x, block), np.ones(1, x.dtype)

    def run() -> None:
        state = np.zeros((len(x), taps.size - 1), x.dtype)
        for piece in blocks:
            _, state = scipy.signal.lfilter(taps, one, piece, zi=state)

    return run


def compressor() -> Compressor:
    """Make rtcore's compressor with the settings that all have."""
    return Compressor(
        threshold=THRESHOLD,
        attenuation=ATTENUATION,
        attack_ms=ATTACK_MS,
        release_ms=RELEASE_MS,
        rms_buffer_s=WINDOW_S,
    )


def everything(x: np.ndarray) -> Functions:
    """Make all that is timed, by name."""
    taps = nalr_taps(standard_audiogram("N3"), NFIR, RATE_HZ).astype(np.float32)
    found: Functions = {"fir oaconvolve": lambda: scipy.signal.oaconvolve(x, taps[None], axes=1)}
    if their_nalr is not None:
        found["aid pyclarity"] = pyclarity(x)
    for block in BLOCKS:
        found |= ours("aid", [NALR(audiogram="N3", nfir=NFIR), compressor()], x, block)
        found |= ours("fir", [FIR(taps=taps)], x, block)
        found |= ours("compressor", [compressor()], x, block)
        found[f"fir lfilter {block}"] = lfilters(x, taps, block)
        if pedalboard is not None:
            convolution = pedalboard.Convolution(taps, mix=1.0, sample_rate=RATE_HZ)
            found |= boards("fir", convolution, x, block)
            squeeze = pedalboard.Compressor(
                threshold_db=20.0 * np.log10(THRESHOLD),
                ratio=1.0 / ATTENUATION,
                attack_ms=ATTACK_MS,
                release_ms=RELEASE_MS,
            )
            found |= boards("compressor", squeeze, x, block)
    return found


def difference(x: np.ndarray) -> float | None:
    """Compare the output with pyclarity's: largest difference re full scale."""
    if their_nalr is None:
        return None
    chain = Chain([NALR(audiogram="N3", nfir=NFIR), compressor()], sample_rate=RATE_HZ, channels=2)
    theirs = pyclarity(x)()[:, : x.shape[1]]
    return float(np.abs(chain.process(x) - theirs).max())


def _ratio(seconds: dict[str, float], theirs: str, own: str) -> float | str:
    return seconds[theirs] / seconds[own] if theirs in seconds else MISSING


def aid_row(seconds: dict[str, float], block: int, length_s: float) -> dict[str, Any]:
    """Tell how NAL-R and the compressor do."""
    inside, python = (seconds[f"aid rtcore {way} {block}"] for way in ("inside", "Python"))
    slow = seconds.get("aid pyclarity")
    return {
        "block": block,
        "rtcore inside ms": 1e3 * inside,
        "rtcore Python ms": 1e3 * python,
        "times real time (Python)": length_s / python,
        "pyclarity ms": 1e3 * slow if slow else MISSING,
        "pyclarity / inside": _ratio(seconds, "aid pyclarity", f"aid rtcore inside {block}"),
        "pyclarity / Python": _ratio(seconds, "aid pyclarity", f"aid rtcore Python {block}"),
    }


def fir_row(seconds: dict[str, float], block: int) -> dict[str, Any]:
    """Tell how the filter does."""
    inside, python = f"fir rtcore inside {block}", f"fir rtcore Python {block}"
    return {
        "block": block,
        "rtcore inside ms": 1e3 * seconds[inside],
        "rtcore Python ms": 1e3 * seconds[python],
        INSIDE: _ratio(seconds, f"fir pedalboard inside {block}", inside),
        PYTHON: _ratio(seconds, f"fir pedalboard Python {block}", python),
        "lfilter / rtcore, Python": _ratio(seconds, f"fir lfilter {block}", python),
        "oaconvolve (whole) / inside": _ratio(seconds, "fir oaconvolve", inside),
    }


def compressor_row(seconds: dict[str, float], block: int) -> dict[str, Any]:
    """Tell how the compressor does."""
    row: dict[str, Any] = {"block": block}
    for way in ("inside", "Python"):
        own, theirs = f"compressor rtcore {way} {block}", f"compressor pedalboard {way} {block}"
        row[f"rtcore {way} ms"] = 1e3 * seconds[own]
        row[f"pedalboard {way} ms"] = 1e3 * seconds[theirs] if theirs in seconds else MISSING
        row[f"pedalboard / rtcore, {way}"] = _ratio(seconds, theirs, own)
    return row


def tables_of(seconds: dict[str, float], length_s: float) -> dict[str, list[dict[str, Any]]]:
    """Give the three tables, from one time for each thing."""
    return {
        "nalr + compressor": [aid_row(seconds, block, length_s) for block in BLOCKS],
        "fir": [fir_row(seconds, block) for block in BLOCKS],
        "compressor": [compressor_row(seconds, block) for block in BLOCKS],
    }


def least(rows: list[dict[str, Any]], column: str) -> float | str:
    """Give the smallest ratio at any block size."""
    return min((row[column] for row in rows if not isinstance(row[column], str)), default=MISSING)


def verdicts(medians: dict[str, Any], fastest: dict[str, Any]) -> list[dict[str, Any]]:
    """Say of each ratio whether its smallest reaches what is wanted."""
    found = []
    for what, column, wanted in TARGETS:
        value = least(fastest[what], column)
        met = MISSING if isinstance(value, str) else "met" if value >= wanted else "missed"
        found.append(
            {
                "what": what,
                "ratio": column,
                "at least": wanted,
                "smallest, fastest runs": value,
                "smallest, medians": least(medians[what], column),
                "target": met,
            }
        )
    return found


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__, repeats=9, seconds=10.0)
    x = sound(options.seconds)
    length_s = x.shape[1] / RATE_HZ
    lists = rounds(everything(x), options.repeats)
    median_s = {name: statistics.median(values) for name, values in lists.items()}
    min_s = {name: min(values) for name, values in lists.items()}
    tables, gap = tables_of(median_s, length_s), difference(x)
    judged = verdicts(tables, tables_of(min_s, length_s))
    same = "" if gap is None else f"; largest difference from pyclarity's output: {gap:.1e}"
    for what, rows in tables.items():
        table(rows, f"{what}, {length_s:.1f} s stereo" + same * (what == "nalr + compressor"))
    table(judged, "targets")
    figures = {"shows": (__doc__ or "").splitlines()[0], "length_s": length_s, **tables}
    figures |= {"targets": judged, "largest_difference": gap, "median_s": median_s, "min_s": min_s}
    write_json(options.json, figures)


if __name__ == "__main__":
    main()
