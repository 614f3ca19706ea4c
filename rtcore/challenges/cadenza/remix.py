# SPDX-License-Identifier: MIT
"""Stems to a new mix: their gains, the sum, and the loudness of the mixture that they were."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtcore.challenges.cadenza.loudness import matched
from rtcore.challenges.cadenza.metadata import Gains

__all__ = ["Stems", "apply_gains", "remix", "summed"]

#: Name of a stem to its samples, shape (channels, frames).
Stems = Mapping[str, np.ndarray]


def apply_gains(stems: Stems, gains: Gains) -> dict[str, np.ndarray]:
    """Make each stem louder by its gain.

    The official code measures a stem's loudness L, then takes it from L to L + gain; that is a
    factor which does not depend on L, so nothing needs to be measured.

    Parameters
    ----------
    stems : mapping
        Shapes (channels, frames).
    gains : Gains
        In dB.
    """
    return {name: float(10.0 ** (gains.of(name) / 20.0)) * stem for name, stem in stems.items()}


def summed(stems: Stems) -> np.ndarray:
    """Add stems, in their order, in float64."""
    total = np.zeros(next(iter(stems.values())).shape)
    for stem in stems.values():
        total += stem
    return total


def remix(stems: Stems, gains: Gains, mixture: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mix stems anew, as loud (LUFS, over the whole) as the mixture.

    Parameters
    ----------
    stems : mapping
        Shapes (channels, frames).
    gains : Gains
        In dB.
    mixture : array, shape (channels, frames)
        Whose loudness the mix gets.
    sample_rate : int
        In Hz.

    Returns
    -------
    numpy.ndarray of float64, shape (channels, frames)
    """
    return matched(summed(apply_gains(stems, gains)), mixture, sample_rate)
