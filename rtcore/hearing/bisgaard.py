# SPDX-License-Identifier: MIT
"""The ten standard audiograms, so that a hearing loss can be named in two letters.

Seven flat or moderately sloping losses (N1 very mild to N7 profound) and three steeply
sloping ones (S1 very mild to S3 moderate to severe).

Source: N. Bisgaard, M. S. M. G. Vlaming, M. Dahlquist, "Standard audiograms for the
IEC 60118-15 measurement procedure", Trends in Amplification 14(2), 113-120, 2010,
tables 2 (N1 to N7) and 4 (S1 to S3). The numbers were compared with the table of the
Auditory Modeling Toolbox (``standardaudiogram``, approved by N. Bisgaard) and with two
more independent transcriptions; all agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rtcore.errors import ConfigError, did_you_mean
from rtcore.hearing.audiogram import Audiogram

BISGAARD_FREQUENCIES_HZ: Final = tuple(
    map(float, (250, 375, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000))
)
"""Frequencies at which the standard audiograms are defined, in Hz."""

_LEVELS_DB_HL: Final[dict[str, tuple[float, ...]]] = {
    #      250   375   500   750  1000  1500  2000  3000  4000  6000 Hz
    "N1": (10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 15.0, 20.0, 30.0, 40.0),
    "N2": (20.0, 20.0, 20.0, 22.5, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0),
    "N3": (35.0, 35.0, 35.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0),
    "N4": (55.0, 55.0, 55.0, 55.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0),
    "N5": (65.0, 67.5, 70.0, 72.5, 75.0, 80.0, 80.0, 80.0, 80.0, 80.0),
    "N6": (75.0, 77.5, 80.0, 82.5, 85.0, 90.0, 90.0, 95.0, 100.0, 100.0),
    "N7": (90.0, 92.5, 95.0, 100.0, 105.0, 105.0, 105.0, 105.0, 105.0, 105.0),
    "S1": (10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 15.0, 30.0, 55.0, 70.0),
    "S2": (20.0, 20.0, 20.0, 22.5, 25.0, 35.0, 55.0, 75.0, 95.0, 95.0),
    "S3": (30.0, 30.0, 35.0, 47.5, 60.0, 70.0, 75.0, 80.0, 80.0, 85.0),
}

BISGAARD: Final[Mapping[str, Audiogram]] = MappingProxyType(
    {name: Audiogram(levels, BISGAARD_FREQUENCIES_HZ) for name, levels in _LEVELS_DB_HL.items()}
)
"""The ten audiograms by name, N1 to N7 and S1 to S3."""


def is_standard_name(name: str) -> bool:
    """Tell whether a text names a standard audiogram; capitals do not matter."""
    return name.strip().upper() in BISGAARD


def standard_audiogram(name: str, *, where: str = "audiogram") -> Audiogram:
    """Give a standard audiogram by name.

    Parameters
    ----------
    name : str
        ``"N1"`` to ``"N7"`` or ``"S1"`` to ``"S3"``; capitals do not matter.
    where : str, optional
        What an error message calls the place of the name.

    Returns
    -------
    Audiogram
        Thresholds at 250 to 6000 Hz (`BISGAARD_FREQUENCIES_HZ`).

    Raises
    ------
    ConfigError
        When there is no such audiogram.

    Examples
    --------
    >>> standard_audiogram("N3").at(4000)
    60.0
    """
    if not is_standard_name(name):
        hint = did_you_mean(name.upper(), BISGAARD)
        what = f"'{name}' is no standard audiogram{hint}; there are N1 to N7 and S1 to S3"
        raise ConfigError(where, what)
    return BISGAARD[name.strip().upper()]
