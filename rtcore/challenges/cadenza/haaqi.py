# SPDX-License-Identifier: MIT
"""The official score of the challenge: HAAQI of each ear, by pyclarity itself."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtcore.challenges.cadenza.metadata import SAMPLE_RATE_HZ, SUBMISSION_RATE_HZ
from rtcore.challenges.cadenza.needs import needed
from rtcore.challenges.cadenza.resampling import resampled
from rtcore.hearing import Audiogram, Listener, nalr_taps

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["HAAQI_RATE_HZ", "LEVEL_DB_SPL", "haaqi", "load", "measured_speed", "with_nalr"]

#: HAAQI hears both sounds at this rate.
HAAQI_RATE_HZ = 24000
#: How loud each ear's reference is before NAL-R: the same for every scene.
LEVEL_DB_SPL = 65.0
#: HAAQI is told that NAL-R is in the reference already.
_HAS_NALR = 2


def load() -> ModuleType:
    """Import HAAQI.

    Raises
    ------
    DeviceError
        Where pyclarity or soxr is missing, with the remedy.
    """
    needed("soxr", "HAAQI hears sounds at 24 kHz", "clarity")
    return needed("clarity.evaluator.haaqi.haaqi", "the official HAAQI is measured", "clarity")


def haaqi(
    processed: NDArray[np.float32],
    reference: NDArray[np.float64],
    listener: Listener,
    *,
    seed: int | None,
) -> tuple[float, float]:
    """Score what a listener's two ears get.

    The noise of the ears' model is drawn for the left ear, then for the right one from where that
    ended: ears can not be scored apart.

    Parameters
    ----------
    processed : ndarray, shape (2, frames)
        At 32 kHz, as it is handed in.
    reference : ndarray, shape (2, frames)
        The wanted mix at 44.1 kHz, before NAL-R.
    listener : Listener
        Both ears.
    seed : int or None
        Of the noise; where None it differs from call to call.

    Returns
    -------
    tuple of float
        Left and right, 0 to 1.
    """
    module = load()
    theirs = needed("clarity.utils.audiogram", "audiograms are given to HAAQI", "clarity")
    ears = listener.ears
    amplified = np.stack([with_nalr(x, ear) for x, ear in zip(reference, ears, strict=True)])
    heard = resampled(processed, SUBMISSION_RATE_HZ, HAAQI_RATE_HZ)
    wanted = resampled(amplified, SAMPLE_RATE_HZ, HAAQI_RATE_HZ)
    scores = []
    with _random_stream(seed), warnings.catch_warnings():
        # Its own divisions by what is zero in silent bands; the score copes with them.
        warnings.simplefilter("ignore", RuntimeWarning)
        for k, ear in enumerate(ears):
            level_db = 20.0 * np.log10(np.sqrt(np.mean(np.square(reference[k]))))
            score = module.compute_haaqi(
                processed_signal=heard[k],
                reference_signal=wanted[k],
                processed_sample_rate=HAAQI_RATE_HZ,
                reference_sample_rate=HAAQI_RATE_HZ,
                audiogram=theirs.Audiogram(
                    np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)
                ),
                equalisation=_HAS_NALR,
                level1=LEVEL_DB_SPL - level_db,
            )
            scores.append(score)
    return float(scores[0]), float(scores[1])


def with_nalr(x: NDArray[np.float64], ear: Audiogram) -> NDArray[np.float64]:
    """Amplify by NAL-R for an ear; 220 frames longer and 110 frames later, as the baseline's."""
    return np.convolve(x, nalr_taps(ear, 220, SAMPLE_RATE_HZ))


def measured_speed() -> float:
    """Measure how many seconds HAAQI takes for each second of one ear's sound, here and now.

    Raises
    ------
    DeviceError
        As :func:`load` does.
    """
    listener = Listener.standard("N3")
    noise = np.random.default_rng(0).normal(0.0, 0.05, (2, SAMPLE_RATE_HZ))
    taken_s = []
    for _ in range(2):  # the first time its code is compiled
        begin_s = time.perf_counter()
        frames = SUBMISSION_RATE_HZ // 4
        short = noise[:, : SAMPLE_RATE_HZ // 4]
        haaqi(noise[:, :frames].astype(np.float32), short, listener, seed=0)
        taken_s.append(time.perf_counter() - begin_s)
    return taken_s[-1] / (2 * 0.25)


@contextmanager
def _random_stream(seed: int | None) -> Iterator[None]:
    """Seed NumPy's global stream, from which HAAQI draws, and leave it as it was."""
    kept = np.random.get_state()  # noqa: NPY002 - pyclarity draws from it
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(kept)  # noqa: NPY002
