# SPDX-License-Identifier: MIT
"""Numbers as people write them, where they are numbers."""

from __future__ import annotations

import math
from typing import TypeGuard

from rtcore.latency.result import Measurement


def finite(value: float | None) -> TypeGuard[float]:
    """Tell whether a value is there and a number."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2, *, fixed: bool = False) -> str:
    """Write a number as people do: thousands apart, and no needless zeros.

    Parameters
    ----------
    value : float or None
        May be infinite or not a number, which is said in words.
    digits : int
        At most so many after the point, more where nothing would be left of a small number.
    fixed : bool
        Keep the zeros, for columns.
    """
    if value is None:
        return "unknown"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "unlimited" if value > 0 else "minus unlimited"
    if value and abs(value) < 10.0**-digits:
        digits = min(6, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    text = text.rstrip("0").rstrip(".") if "." in text and not fixed else text
    return "0" if text == "-0" else text.replace("-", "\N{MINUS SIGN}")


def known_delay(measurement: Measurement) -> float | None:
    """Give the measured delay in samples; None where it means nothing."""
    delay = measurement.delay
    if delay is None or delay.confidence == 0.0 or not finite(delay.samples):
        return None
    return delay.samples
