# SPDX-License-Identifier: MIT
"""Time the Fourier transform of kernels against numpy's and scipy's, microseconds each.

*ours* runs one transform after the other in compiled code, as a kernel does.  *numpy* and *scipy*
are called once for each transform, as a callback in Python would; *batch* is scipy's compiled
code (pocketfft) given all of them at once, which leaves the interpreter out.  numpy before 2.0
computes in float64 whatever it is given.  All on one core, in interleaved repetitions of which
the fastest counts: what disturbs a loop of microseconds is the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from _common import arguments, rounds, table, write_json
from numba import njit

from rtcore.dsp import fft_tables, irfft, rfft

LENGTHS = (128, 256, 320, 400, 480, 512, 960, 1024, 1920, 2048)
TRANSFORMS = 200  # in each round


@njit(nogil=True)
def forwards(x: np.ndarray, re: np.ndarray, im: np.ndarray, tables: tuple[np.ndarray, ...]) -> None:
    """Transform rows."""
    for row in range(x.shape[0]):
        rfft(x[row], re[row], im[row], *tables)


@njit(nogil=True)
def backwards(
    re: np.ndarray, im: np.ndarray, x: np.ndarray, tables: tuple[np.ndarray, ...]
) -> None:
    """Transform rows back."""
    for row in range(x.shape[0]):
        irfft(re[row], im[row], x[row], *tables)


def contenders(n: int, dtype: str) -> dict[str, Callable[[], Any]]:
    """Make the functions of one length and type; each transforms the same rows."""
    x = np.random.default_rng(n).normal(size=(TRANSFORMS, n)).astype(dtype)
    spectra = scipy.fft.rfft(x)
    re, im = spectra.real.copy(), spectra.imag.copy()
    tables = tuple(t if t.dtype == np.int64 else t.astype(dtype) for t in fft_tables(n).values())
    out, out_re, out_im = np.empty_like(x), np.empty_like(re), np.empty_like(im)
    return {
        "rfft ours": lambda: forwards(x, out_re, out_im, tables),
        "rfft numpy": lambda: [np.fft.rfft(row) for row in x],
        "rfft scipy": lambda: [scipy.fft.rfft(row) for row in x],
        "rfft batch": lambda: scipy.fft.rfft(x),
        "irfft ours": lambda: backwards(re, im, out, tables),
        "irfft numpy": lambda: [np.fft.irfft(row) for row in spectra],
        "irfft scipy": lambda: [scipy.fft.irfft(row) for row in spectra],
        "irfft batch": lambda: scipy.fft.irfft(spectra),
    }


def row_of(n: int, dtype: str, way: str, seconds: dict[str, float]) -> dict[str, Any]:
    """Give the figures of one direction; a ratio says how many times as long the peer takes."""
    each = {
        who: seconds[f"{way} {who}"] / TRANSFORMS * 1e6
        for who in ("ours", "numpy", "scipy", "batch")
    }
    ratios = {f"{who}/ours": each[who] / each["ours"] for who in ("numpy", "scipy", "batch")}
    return {"transform": way, "dtype": dtype, "n": n, **each, **ratios}


def main() -> None:
    """Time all lengths in both types and directions."""
    options = arguments(__doc__, repeats=30)
    rows = []
    for dtype in ("float32", "float64"):
        for n in LENGTHS:
            turns = rounds(contenders(n, dtype), options.repeats)
            seconds = {name: min(each) for name, each in turns.items()}
            rows += [row_of(n, dtype, way, seconds) for way in ("rfft", "irfft")]
    table(rows, "microseconds for each transform")
    write_json(options.json, {"transforms": rows})


if __name__ == "__main__":
    main()
