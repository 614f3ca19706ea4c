# SPDX-License-Identifier: MIT
"""One ear's hearing thresholds: a value that can be compared, hashed and pickled."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Final, Literal

import numpy as np

from rtcore.errors import ConfigError

CLARITY_FREQUENCIES_HZ: Final = (250.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0)
"""The audiometric frequencies of the Clarity and Cadenza listener files, in Hz."""

MIN_LEVEL_DB_HL: Final = -20.0
MAX_LEVEL_DB_HL: Final = 130.0

Severity = Literal["none", "mild", "moderate", "severe"]


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Audiogram:
    """Hearing thresholds of one ear.

    Iterating gives ``(frequency_hz, level_db_hl)`` pairs from low to high.

    Parameters
    ----------
    levels_db_hl : iterable of float
        Threshold at each frequency, -20 to 130 dB HL; 0 is normal hearing.
    frequencies_hz : iterable of float, optional
        Where the thresholds were measured, in Hz, ascending. Clarity's eight frequencies
        (250 to 8000 Hz) when absent.
    levels_key, frequencies_key : str, optional
        What error messages call the two lists, such as ``plugin[0].nalr.audiogram.left``.

    Raises
    ------
    ConfigError
        When the lists are empty or of unequal length, a value is not a finite number, a
        level is out of range, or the frequencies are not positive and ascending.

    Examples
    --------
    >>> ear = Audiogram([45, 45, 35, 45, 60, 65, 70, 65])
    >>> ear.severity
    'severe'
    >>> ear.at(750)
    39.150374992788436
    """

    levels_db_hl: tuple[float, ...]
    frequencies_hz: tuple[float, ...]

    def __init__(
        self,
        levels_db_hl: Iterable[float],
        frequencies_hz: Iterable[float] = CLARITY_FREQUENCIES_HZ,
        *,
        levels_key: str = "audiogram.levels_db_hl",
        frequencies_key: str = "audiogram.frequencies_hz",
    ) -> None:
        """Check and freeze both lists."""
        levels = _finite_numbers(levels_db_hl, levels_key)
        frequencies = _finite_numbers(frequencies_hz, frequencies_key)
        _check_levels(levels, levels_key)
        _check_frequencies(frequencies, frequencies_key)
        _check_lengths(levels, frequencies, levels_key)
        object.__setattr__(self, "levels_db_hl", levels)
        object.__setattr__(self, "frequencies_hz", frequencies)

    def __repr__(self) -> str:
        """Show the call that makes an equal audiogram, in short numbers."""
        levels = ", ".join(map(_short, self.levels_db_hl))
        if self.frequencies_hz == CLARITY_FREQUENCIES_HZ:
            return f"Audiogram([{levels}])"
        return f"Audiogram([{levels}], [{', '.join(map(_short, self.frequencies_hz))}])"

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Go through ``(frequency_hz, level_db_hl)`` from low to high."""
        return iter(zip(self.frequencies_hz, self.levels_db_hl, strict=True))

    def __len__(self) -> int:
        """Count the measured frequencies."""
        return len(self.frequencies_hz)

    def at(self, frequency_hz: float) -> float:
        """Give the threshold at one frequency in dB HL, interpolated as in `resample`."""
        return self.resample([frequency_hz]).levels_db_hl[0]

    def resample(self, frequencies_hz: Iterable[float]) -> Audiogram:
        """Interpolate the thresholds at other frequencies.

        Linear in dB over the logarithm of frequency; the outermost levels are held beyond
        the measured range (the rule of pyclarity since 0.4.0).

        Parameters
        ----------
        frequencies_hz : iterable of float
            New frequencies in Hz, ascending.

        Returns
        -------
        Audiogram
            Thresholds at exactly these frequencies.

        Raises
        ------
        ConfigError
            When the new frequencies are not positive, finite and ascending.
        """
        key = "frequencies_hz"
        wanted = _finite_numbers(frequencies_hz, key)
        _check_frequencies(wanted, key)
        levels = np.interp(np.log(wanted), np.log(self.frequencies_hz), self.levels_db_hl)
        # Rounding may step a hair outside the outermost levels; a level never may.
        return Audiogram(np.clip(levels, MIN_LEVEL_DB_HL, MAX_LEVEL_DB_HL), wanted)

    @property
    def severity(self) -> Severity:
        """Class of the loss by the mean level from 2 to 8 kHz, as the challenges sort it.

        Above 56 dB HL severe, above 35 moderate, above 15 mild, else none; none also where
        nothing was measured in that range.
        """
        high = [level for frequency, level in self if 2000.0 <= frequency <= 8000.0]
        mean = math.fsum(high) / len(high) if high else 0.0
        if mean > 56.0:
            return "severe"
        if mean > 35.0:
            return "moderate"
        return "mild" if mean > 15.0 else "none"


def _short(value: float) -> str:
    """Write a float without a needless ``.0``."""
    return str(int(value)) if value.is_integer() else repr(value)


def _finite_numbers(values: object, key: str) -> tuple[float, ...]:
    """Turn a list of numbers into floats, or say which entry is none."""
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise ConfigError(key, f"must be a list of numbers, got {reprlib.repr(values)}")
    try:
        entries = list(values)
    except TypeError:  # numpy's zero-dimensional arrays call themselves iterable
        raise ConfigError(key, f"must be a list of numbers, got {reprlib.repr(values)}") from None
    if not entries:
        raise ConfigError(key, "is empty; give at least one number")
    return tuple(_finite(value, f"{key}[{index}]") for index, value in enumerate(entries))


def _finite(value: object, key: str) -> float:
    """Turn one entry into a float, refusing NaN, infinity, texts and truth values."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(key, f"must be a number, got {reprlib.repr(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(
            key,
            f"must be a finite number, got {number}; leave out frequencies that were not measured",
        )
    return number


def _check_levels(levels: tuple[float, ...], key: str) -> None:
    """Refuse levels that no audiometer shows."""
    for index, level in enumerate(levels):
        if not MIN_LEVEL_DB_HL <= level <= MAX_LEVEL_DB_HL:
            raise ConfigError(
                f"{key}[{index}]",
                f"must lie between {MIN_LEVEL_DB_HL:g} and {MAX_LEVEL_DB_HL:g} dB HL, "
                f"got {level:g}",
            )


def _check_frequencies(frequencies: tuple[float, ...], key: str) -> None:
    """Refuse frequencies that are not positive, or not in ascending order."""
    if frequencies[0] <= 0.0 or min(frequencies) <= 0.0:
        index = next(i for i, frequency in enumerate(frequencies) if frequency <= 0.0)
        raise ConfigError(f"{key}[{index}]", f"must be above 0 Hz, got {frequencies[index]:g}")
    # Frequencies one rounding step apart share a logarithm, and interpolation would divide by 0.
    steps = np.diff(np.log(frequencies))
    for index, step in enumerate(steps, start=1):
        if step == 0.0:
            what = f"{frequencies[index]:g} Hz comes twice; name each frequency once"
            raise ConfigError(f"{key}[{index}]", what)
        if step < 0.0:
            what = f"{frequencies[index]:g} Hz follows {frequencies[index - 1]:g} Hz"
            raise ConfigError(f"{key}[{index}]", f"{what}; list the frequencies from low to high")


def _check_lengths(levels: tuple[float, ...], frequencies: tuple[float, ...], key: str) -> None:
    """Refuse lists of unequal length."""
    if len(levels) != len(frequencies):
        raise ConfigError(
            key,
            f"has {len(levels)} levels for {len(frequencies)} frequencies "
            f"({', '.join(f'{f:g}' for f in frequencies[:12])} Hz); "
            "give one level for each frequency, or the frequencies themselves",
        )
