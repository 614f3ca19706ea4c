# SPDX-License-Identifier: MIT
"""Hold a trace against the sound it is said to belong to."""

from __future__ import annotations

import numpy as np

from rtcore.challenges.plc.traces import PACKETS_PER_SECOND
from rtcore.errors import ConfigError

__all__ = ["check_trace", "empty_packets", "fit_trace"]


def fit_trace(lost: np.ndarray, frames: int, packet: int, sound: str, trace: str) -> np.ndarray:
    """Give a trace an entry for each packet of a sound, the partial one at its end too.

    Parameters
    ----------
    lost : array of bool, shape (packets,)
        True where a packet was lost.
    frames : int
        Length of the sound.
    packet : int
        Length of a packet in frames.
    sound, trace : str
        The two names, for errors.

    Raises
    ------
    ConfigError
        Where the trace is too short or too long.
    """
    whole, rest = divmod(frames, packet)
    needed = whole + (rest > 0)
    if len(lost) == needed:
        return lost
    if len(lost) == whole:  # a piece of a packet at the end that the trace does not count
        return np.append(lost, False)
    word = "short" if len(lost) < needed else "long"
    what = f"is too {word}: {len(lost)} packets ({len(lost) / PACKETS_PER_SECOND:.2f} s), and "
    what += f"{sound} has {needed} ({frames / packet / PACKETS_PER_SECOND:.2f} s)"
    raise ConfigError(trace, f"{what}; take the trace that belongs to this sound")


def empty_packets(x: np.ndarray, packet: int) -> np.ndarray:
    """Tell which packets hold nothing but zeros.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The sound.
    packet : int
        Length of a packet in frames; the last one may be partial.

    Returns
    -------
    numpy.ndarray of bool, shape (packets,)
    """
    loud = np.any(x != 0.0, axis=0)
    padded = np.pad(loud, (0, -len(loud) % packet))
    return np.logical_not(padded.reshape(-1, packet).any(axis=1))


def check_trace(x: np.ndarray, lost: np.ndarray, packet: int, sound: str, trace: str) -> None:
    """Refuse a trace that belongs to another file.

    In the challenge's sounds lost packets are zeros. So a packet that is marked as lost and holds
    sound gives a wrong trace away, and so do zeros that begin and end exactly with packets and
    are not marked. Zeros that reach beyond the packets are silence in the recording.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The sound.
    lost : array of bool
        An entry for each packet, as :func:`fit_trace` gives them.
    packet : int
        Length of a packet in frames.
    sound, trace : str
        The two names, for errors.

    Raises
    ------
    ConfigError
        Saying how many packets disagree.
    """
    empty = empty_packets(x, packet)
    sounding = int(np.sum(lost & ~empty))
    unmarked = _unmarked(x, empty, lost, packet)
    if not sounding and not unmarked:
        return
    what = f"{sounding} of the {int(np.sum(lost))} packets that it marks as lost hold sound in "
    what += f"{sound}, and {unmarked} packets of zeros there are not marked"
    remedy = "take the trace and the lossy sound that belong together, or go on with --no-check"
    raise ConfigError(trace, f"is for another file: {what}; {remedy}")


def _unmarked(x: np.ndarray, empty: np.ndarray, lost: np.ndarray, packet: int) -> int:
    """Count received packets within runs of zeros that have the sharp edges of losses."""
    marks = np.concatenate([[False], empty, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(marks))
    frames, count = x.shape[1], 0
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        before, after = first * packet - 1, end * packet
        # At either end of the sound there is no edge to be seen.
        inside = before >= 0 and after < frames
        if inside and np.any(x[:, before] != 0.0) and np.any(x[:, after] != 0.0):
            count += int(np.sum(~lost[first:end]))
    return count
