# SPDX-License-Identifier: MIT
"""Entries that look at nothing more than 5 ms ahead: loudness as it comes, and a door to the lab.

The baseline makes the remix as loud as the whole mixture, which no causal system can know. Here
the gain follows the loudness that both had so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtcore.challenges.cadenza.loudness import k_weighted
from rtcore.challenges.cadenza.metadata import SUBMISSION_RATE_HZ, Gains
from rtcore.challenges.cadenza.remix import Stems, apply_gains, summed
from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.challenges.cadenza.separators import Separator
    from rtcore.hearing import Listener

__all__ = ["MEMORY_S", "causal_remix", "check_causal", "lab_entry", "running_gain"]

#: Time after which a sound counts 1/e of what it counted at first.
MEMORY_S = 3.0
#: Before the first sound, both are taken to have been as loud as this for this long.
_BEFORE_LUFS, _BEFORE_S = -40.0, 0.4
#: Below it the two are taken for equally loud.
_FLOOR_LUFS = -70.0
#: Nothing in the rules of gains needs more.
_LIMIT_DB = 20.0
_OFFSET_DB = -0.691


def running_gain(x: np.ndarray, reference: np.ndarray, sample_rate: int) -> NDArray[np.float64]:
    """Give the factor that makes a sound as loud as another was so far, at each frame.

    Parameters
    ----------
    x, reference : array, shape (channels, frames)
        Sounds of one sample rate.
    sample_rate : int
        In Hz.

    Returns
    -------
    numpy.ndarray, shape (frames,)
        From -20 to 20 dB. No factor depends on a later frame.
    """
    own, wanted = (_power_so_far(each, sample_rate) for each in (x, reference))
    limit = 10.0 ** (_LIMIT_DB / 20.0)
    return np.clip(np.sqrt(wanted / own), 1.0 / limit, limit)


def causal_remix(
    stems: Stems, gains: Gains, mixture: np.ndarray, sample_rate: int, late_frames: int = 0
) -> NDArray[np.float64]:
    """Mix stems anew as :func:`~.remix.remix` does, but as loud as the mixture was so far.

    Parameters
    ----------
    stems, gains, mixture, sample_rate
        As there.
    late_frames : int
        How late the stems are against the mixture.

    Returns
    -------
    numpy.ndarray of float64, shape (channels, frames)
    """
    mix = summed(apply_gains(stems, gains))
    heard = np.zeros_like(mix)
    heard[:, late_frames:] = mixture[:, : mixture.shape[1] - late_frames]
    return running_gain(mix, heard, sample_rate) * mix


def check_causal(separator: Separator) -> None:
    """Refuse a separator that hears a sound as a whole.

    Raises
    ------
    ConfigError
        With those that would do.
    """
    if not separator.streams:
        what = f"cannot be had with {separator.name}, which hears ten seconds at a time; take "
        raise ConfigError("--causal", f"{what}onnx:BUNDLE, oracle or none")


def lab_entry(
    separator: Separator, gains: Gains, listener: Listener, *, compressor: bool = False
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Make a function that ``rtcore latency --callable`` can measure: all of a causal entry.

    What stands in the file of 32 kHz is held until its next sample, so that the output has the
    rate of the input and not a sample of it is there too soon.

    Parameters
    ----------
    separator : Separator
        One that streams and does not read the true stems.
    gains : Gains
        In dB.
    listener : Listener
        Both ears.
    compressor : bool
        Whether the official compressor follows.

    Returns
    -------
    function
        Takes (2, frames) and the sample rate, gives (2, frames).
    """
    from rtcore.challenges.cadenza.enhance import Aid, new_mix

    check_causal(separator)
    aid = Aid(compressor=compressor)

    def entry(x: np.ndarray, sample_rate: int) -> np.ndarray:
        mix = new_mix(separator, gains, x, sample_rate, _unknown, causal=True)
        y = aid.submitted(mix, listener, sample_rate, causal=True)
        return y[:, np.arange(x.shape[1]) * SUBMISSION_RATE_HZ // sample_rate]

    return entry


def _unknown(stem: str) -> np.ndarray:
    what = f"there are no true {stem} in the lab; take onnx:BUNDLE or none for the separator"
    raise ConfigError("oracle", what)


def _power_so_far(x: np.ndarray, sample_rate: int) -> NDArray[np.float64]:
    """Sum up the power that an ear heard so far, what is long past for less."""
    from scipy.signal import lfilter

    power = np.sum(np.square(k_weighted(np.asarray(x, np.float64), sample_rate)), axis=0)
    memory_frames = MEMORY_S * sample_rate
    keep = np.exp(-1.0 / memory_frames)
    before = _power(_BEFORE_LUFS) * _BEFORE_S * sample_rate
    so_far, _ = lfilter([1.0], [1.0, -keep], power, zi=np.array([keep * before]))
    return np.asarray(so_far) + _power(_FLOOR_LUFS) * memory_frames


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_DB) / 10.0))
