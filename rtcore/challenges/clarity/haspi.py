# SPDX-License-Identifier: MIT
"""The challenges' score, HASPI v2 of the better ear, as pyclarity computes it.

HASPI draws random numbers (a dither and the noise of the inner hair cells) from NumPy's global
generator: the left ear's first, then the right ear's. A pair of ears is one indivisible job.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from rtcore.challenges.people import md5_number
from rtcore.challenges.resampling import resampled
from rtcore.errors import DeviceError, RtcoreError
from rtcore.hearing import Listener

__all__ = ["LEVEL_DB_SPL", "Haspi", "scaled_reference", "scene_seed", "scored_with"]

#: Of an RMS of 1, as the challenges are calibrated.
LEVEL_DB_SPL = 100.0
#: With what :func:`at_rate` works, for fingerprints.
RESAMPLER = "rtcore Kaiser low-pass, 32 frames of the lower rate"
_SEEDS = 10**8
#: Seconds of one thread for a second of stereo sound, where nobody has tried.
USUAL_COST = 1.2


@dataclass(frozen=True)
class Haspi:
    """A score.

    Attributes
    ----------
    left, right : float
        HASPI of each ear, 0 to 1.
    """

    left: float
    right: float

    @property
    def better(self) -> float:
        """The better ear's, which is the challenge's score."""
        return max(self.left, self.right)


def scene_seed(scene: str) -> int:
    """Give the official seed of a scene: the last eight digits of its MD5."""
    return md5_number(scene) % _SEEDS


def scaled_reference(anechoic: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Bring the anechoic target to the level that the target has at the microphones.

    The RMS is taken over the whole file, silence included, and for each ear.

    Parameters
    ----------
    anechoic, target : array, shape (2, frames)
        The lengths may differ.

    Raises
    ------
    RtcoreError
        Where an ear of the anechoic target is silent.
    """
    # Over contiguous columns, so that the sums are those of the official code, bit for bit.
    level, own = (
        np.mean(np.ascontiguousarray(x.T) ** 2, axis=0) ** 0.5 for x in (target, anechoic)
    )
    if not own.all():
        raise RtcoreError("the anechoic target is silent in one ear; render the scene again")
    return np.asarray((anechoic.T * level / own).T)


def better_ear_haspi(
    reference: np.ndarray,
    processed: np.ndarray,
    sample_rate: int,
    listener: Listener,
    seed: int,
) -> Haspi:
    """Score a processed sound.

    Parameters
    ----------
    reference, processed : array, shape (2, frames)
        Left and right ear at one rate; both are cut to the shorter one. An RMS of 1 is 100 dB SPL.
    sample_rate : int
        In Hz.
    listener : Listener
        Who hears it.
    seed : int
        Of NumPy's global generator, which is set before the left ear.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    """
    haspi_v2, audiogram = _pyclarity()
    np.random.seed(seed)  # noqa: NPY002 - the generator that pyclarity draws from
    scores = [
        haspi_v2(
            np.ascontiguousarray(r),
            float(sample_rate),
            np.ascontiguousarray(p),
            float(sample_rate),
            audiogram(np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)),
            LEVEL_DB_SPL,
        )[0]
        for r, p, ear in zip(reference, processed, listener.ears, strict=True)
    ]
    return Haspi(float(scores[0]), float(scores[1]))


def at_rate(x: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Bring a sound to the rate of its reference.

    HASPI rounds rates to whole kHz, so that 44.1 kHz becomes slower and 32 kHz does not: sounds of
    two rates must never meet there.
    """
    return resampled(x, rate, wanted)


def scored_with() -> dict[str, str]:
    """Name the versions that scores depend on.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    """
    _pyclarity()
    return {name: metadata.version(name) for name in ("pyclarity", "numpy", "scipy")}


def cost(seconds: float = 1.0) -> float:
    """Measure how many seconds one thread needs for a second of stereo sound."""
    import time

    rate = 44100
    noise = 0.02 * np.random.default_rng(0).normal(size=(1, round(seconds * rate)))
    haspi_v2, audiogram = _pyclarity()
    levels = audiogram(np.full(8, 40.0), np.array([250, 500, 1000, 2000, 3000, 4000, 6000, 8000]))
    state = np.random.get_state()  # noqa: NPY002 - as above
    begun = time.process_time()
    haspi_v2(noise[0], rate, noise[0], rate, levels, LEVEL_DB_SPL)
    taken = time.process_time() - begun
    np.random.set_state(state)  # noqa: NPY002 - as above
    return 2.0 * taken / seconds


def _pyclarity() -> tuple[Any, Any]:
    """Import HASPI alone: it needs no torch."""
    try:
        from clarity.evaluator.haspi.haspi import haspi_v2
        from clarity.utils.audiogram import Audiogram
    except ImportError as error:
        what = f"HASPI needs the package pyclarity, which cannot be used ({error})"
        raise DeviceError(f"{what}; run `pip install 'rtcore[clarity]'`") from error
    return haspi_v2, Audiogram
