# SPDX-License-Identifier: MIT
"""The Fourier transform of real sound, for use inside kernels.

``n`` real numbers are taken as ``n / 2`` complex ones, transformed, and taken apart again [1]_.
The complex transform is Stockham's [2]_, of mixed radix: it needs no reordering, reads its input
from front to back in each pass, and writes into the other half of the work memory.

The turning factors are computed in float64, exact at whole quarters of a turn, and rounded once
to the type of the stream where they are kept as a ``"real[:]"`` buffer; all else is arithmetic in
that type, in an order that depends on the length alone.  Of lengths that are products of 2, 3
and 5 the relative RMS error stays below 2e-7 in float32 and 1e-15 in float64.

References
----------
.. [1] W. H. Press et al., "Numerical Recipes", 3rd ed., Cambridge University Press, 2007,
       section 12.3.2.
.. [2] C. Van Loan, "Computational Frameworks for the Fast Fourier Transform", SIAM, 1992,
       section 1.7.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.dsp.butterflies import join_halves, part_halves, pass_2, pass_3, pass_4, pass_5
from rtcore.errors import PluginError
from rtcore.kernels import helper

_RADICES = (4, 2, 3, 5)  # in this order: what follows a pass of 4 has whole vectors to work on


def fft_tables(n: int, name: str = "fft") -> dict[str, NDArray[Any]]:
    """Lay out what `rfft` and `irfft` need; for ``Prepared(buffers=...)``.

    Parameters
    ----------
    n : int
        Length of the sound, even. Prime factors above 5 are slow: each costs as many operations
        for each number as it is large, and rounds as often.
    name : str
        What the names begin with, for a kernel with transforms of several lengths.

    Returns
    -------
    dict
        ``"fft_factors"``, to be declared as ``"i8[:]"``; ``"fft_cos"`` and ``"fft_sin"``, as
        ``"real[:]"``; ``"fft_work"`` (4, n // 2), as ``"real[:, :]"``.

    Raises
    ------
    PluginError
        Where `n` is odd or less than 2.

    Examples
    --------
    >>> {key: array.shape for key, array in fft_tables(60).items()}
    {'fft_factors': (3,), 'fft_cos': (45,), 'fft_sin': (45,), 'fft_work': (4, 30)}
    """
    if n < 2 or n % 2:
        raise PluginError(
            f"a Fourier transform of {n} samples is not offered; choose an even length"
        )
    half = n // 2
    factors = _factors(half)
    turns = [_circle(n)[: half // 2 + 1]]
    length = half
    for radix in factors:
        order = np.arange(1, radix)[:, None] * np.arange(length // radix)
        turns.append(_circle(length)[order.ravel()])
        if radix not in _RADICES:
            turns.append(_circle(radix))
        length //= radix
    table = np.concatenate(turns)
    return {
        f"{name}_factors": np.array(factors, np.int64),
        f"{name}_cos": table.real.copy(),
        f"{name}_sin": table.imag.copy(),
        f"{name}_work": np.zeros((4, half)),
    }


def _factors(number: int) -> list[int]:
    """Take a number apart, the fast factors first."""
    found: list[int] = []
    for radix in _RADICES:
        while number % radix == 0:
            found.append(radix)
            number //= radix
    radix = 7
    while number > 1:
        if number % radix == 0:
            found.append(radix)
            number //= radix
        else:
            radix = radix + 2 if radix * radix <= number else number
    return found


def _circle(count: int) -> NDArray[np.complex128]:
    """Give ``exp(-2 i pi k / count)`` for all k, each part rounded once or nearly so."""
    k = np.arange(count)
    quarter, rest = np.divmod(4 * k, count)
    # Angles are kept below an eighth of a turn, where they are small and so most exact.
    near = 2 * rest <= count
    angle = np.pi / 2.0 * np.where(near, rest, count - rest) / count
    even, odd = np.cos(angle), np.sin(angle)
    first = np.where(near, even, odd) - 1j * np.where(near, odd, even)
    return first * np.array([1.0, -1j, -1.0, 1j])[quarter]


@helper
def rfft(x: Any, re: Any, im: Any, factors: Any, cos: Any, sin: Any, work: Any) -> None:
    """Transform real sound; `numpy.fft.rfft`.

    Parameters
    ----------
    x : real array, shape (n,)
        Sound; it stays as it is.
    re, im : real arrays, shape (n // 2 + 1,)
        Where the spectrum goes, from 0 to half the sample rate. ``im`` is 0 at both ends.
    factors, cos, sin, work : arrays
        What `fft_tables` made; all but ``factors`` in the type of `re` and `im`.
    """
    half = work.shape[1]
    for k in range(half):
        work[0, k] = x[2 * k]
        work[1, k] = x[2 * k + 1]
    at = _transform(factors, cos, sin, work, half // 2 + 1)
    # The spectrum of the sound, out of that of its even samples plus i times the odd ones
    re[0], re[half] = work[at, 0] + work[at + 1, 0], work[at, 0] - work[at + 1, 0]
    im[0] = im[half] = 0
    part_halves(work[at], work[at + 1], re, im, half, cos, sin)


@helper
def irfft(re: Any, im: Any, x: Any, factors: Any, cos: Any, sin: Any, work: Any) -> None:
    """Make sound of a spectrum; `numpy.fft.irfft`.

    Parameters
    ----------
    re, im : real arrays, shape (n // 2 + 1,)
        Spectrum; it stays as it is. The first and the last number of `im` do not count.
    x : real array, shape (n,)
        Where the sound goes.
    factors, cos, sin, work : arrays
        What `fft_tables` made; all but ``factors`` in the type of `re` and `im`.
    """
    half = work.shape[1]
    # The inverse of a complex transform is the transform with both parts exchanged.
    work[1, 0], work[0, 0] = re[0] + re[half], re[0] - re[half]
    join_halves(re, im, work[1], work[0], half, cos, sin)
    at = _transform(factors, cos, sin, work, half // 2 + 1)
    scale = x.dtype.type(1.0 / (2 * half))
    for k in range(half):
        x[2 * k] = work[at + 1, k] * scale
        x[2 * k + 1] = work[at, k] * scale


@helper
def _transform(factors: Any, cos: Any, sin: Any, work: Any, at: int) -> int:
    """Transform rows 0 and 1 of the work memory; give the row where the result begins."""
    length, step, source = work.shape[1], 1, 0
    for f in range(factors.size):
        radix = factors[f]
        length //= radix
        target = 2 - source
        if radix == 4:
            pass_4(work, source, target, step, length, cos, sin, at)
        elif radix == 2:
            pass_2(work, source, target, step, length, cos, sin, at)
        elif radix == 3:
            pass_3(work, source, target, step, length, cos, sin, at)
        elif radix == 5:
            pass_5(work, source, target, step, length, cos, sin, at)
        else:
            _pass_of_any(work, source, target, radix, step, length, cos, sin, at)
            at += radix
        at += (radix - 1) * length
        step *= radix
        source = target
    return source


@helper
def _pass_of_any(
    work: Any,
    source: int,
    target: int,
    radix: int,
    step: int,
    parts: int,
    cos: Any,
    sin: Any,
    at: int,
) -> None:
    """Pass of a prime radix: sums of all products."""
    circle = at + (radix - 1) * parts
    for p in range(parts):
        for k in range(radix):
            for q in range(step):
                place = q + step * p
                vr, vi = work[source, place], work[source + 1, place]
                turn = 0
                for _ in range(1, radix):
                    place += step * parts
                    turn += k
                    turn -= radix if turn >= radix else 0
                    c, s = cos[circle + turn], sin[circle + turn]
                    xr, xi = work[source, place], work[source + 1, place]
                    vr += xr * c - xi * s
                    vi += xr * s + xi * c
                goal = q + step * (radix * p + k)
                if k > 0:
                    c, s = cos[at + (k - 1) * parts + p], sin[at + (k - 1) * parts + p]
                    vr, vi = vr * c - vi * s, vr * s + vi * c
                work[target, goal] = vr
                work[target + 1, goal] = vi
