# SPDX-License-Identifier: MIT
"""Choose the clips of a listening page, and cut the same piece out of each system's sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtcore.audiofile import read
from rtcore.challenges.plc.bursts import PACKET_MS
from rtcore.challenges.plc.compare import Comparison
from rtcore.challenges.plc.evaluate import load_pair
from rtcore.challenges.plc.listening.media import (
    audio_uri,
    loudest_db,
    picture_uri,
    power_picture,
)
from rtcore.challenges.plc.pairing import Heard
from rtcore.errors import ConfigError, RtcoreError, did_you_mean

__all__ = ["Excerpt", "Take", "choose_clips", "excerpt"]

CLEAN, LOSSY = "clean", "lossy"


@dataclass(frozen=True)
class Take:
    """One sound of a clip.

    Attributes
    ----------
    title : str
        The system, ``clean`` or ``lossy``.
    system : bool
        Whether it is a system's.
    audio, picture : str
        ``data:`` addresses.
    """

    title: str
    system: bool
    audio: str
    picture: str


@dataclass(frozen=True)
class Excerpt:
    """A clip on the page.

    Attributes
    ----------
    name : str
        Of the clip.
    begin_s, seconds : float
        Which piece of it is to be heard.
    sample_rate : int
        In Hz.
    bursts : tuple of (begin, length) in seconds
        Losses within the piece.
    takes : tuple of Take
        The clean sound and the lossy one where they are known, then the systems'.
    """

    name: str
    begin_s: float
    seconds: float
    sample_rate: int
    bursts: tuple[tuple[float, float], ...]
    takes: tuple[Take, ...]

    @property
    def bytes(self) -> int:
        """How much of the page it takes."""
        return sum(len(take.audio) + len(take.picture) for take in self.takes)


def choose_clips(comparison: Comparison, count: int, names: Sequence[str] | None) -> list[str]:
    """Choose the clips to be heard.

    Parameters
    ----------
    comparison : Comparison
        Of the systems.
    count : int
        How many are chosen, spread evenly from the lowest loss rate to the highest.
    names : sequence of str, optional
        These and no others.

    Raises
    ------
    ConfigError
        Where a name is not among the compared clips.
    """
    if names is not None:
        for name in names:
            if name not in comparison.clips:
                what = f"'{name}' is none of the compared clips"
                hint = did_you_mean(name, comparison.clips)
                raise ConfigError("--names", f"{what}{hint}; name them without .wav")
        return list(dict.fromkeys(names))
    first = next(iter(comparison.scores.values()))
    rates = [score.loss_rate or 0.0 for score in first]
    order = np.argsort(rates, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order)))
    return [comparison.clips[order[k]] for k in dict.fromkeys(np.rint(places).astype(int).tolist())]


def excerpt(heard: Mapping[str, Heard], seconds: float, kind: str) -> Excerpt:
    """Cut the same piece out of all sounds of a clip: the one with the most losses.

    Parameters
    ----------
    heard : mapping
        System to its sound.
    seconds : float
        Of the piece, at most.
    kind : str
        Format of the audio.

    Raises
    ------
    AudioFileError, RtcoreError
        Where a sound cannot be read.
    """
    first = next(iter(heard.values()))
    sounds: dict[str, np.ndarray] = {}
    clean: np.ndarray | None = None
    rate = 0
    for system, one in heard.items():
        x, reference, its_rate = load_pair(one)
        if rate not in (0, its_rate):
            what = f"has {its_rate} Hz, and the same clip of another system {rate} Hz"
            raise RtcoreError(f"{one.sound}: {what}; resample one of them")
        rate, sounds[system] = its_rate, x
        clean = reference if clean is None else clean
    traced = next((one.clip for one in heard.values() if one.clip is not None), None)
    lost = traced.lost() if traced is not None else np.zeros(0, bool)
    takes: dict[str, np.ndarray] = {} if clean is None else {CLEAN: clean}
    if traced is not None and traced.sound.is_file():
        lossy, lossy_rate = read(traced.sound)
        if lossy_rate == rate:
            takes[LOSSY] = lossy[0]
    extra = set(takes)
    titles = [*takes, *sounds]
    pieces = [*takes.values(), *sounds.values()]
    frames = min(len(x) for x in pieces)
    packet = PACKET_MS * rate // 1000
    begin, count = _piece(lost, frames, packet, round(seconds * rate))
    cut = [x[begin : begin + count] for x in pieces]
    powers = [power_picture(x, rate) for x in cut]
    top = loudest_db(powers)
    return Excerpt(
        first.name,
        begin / rate,
        count / rate,
        rate,
        tuple(_bursts(lost, begin / rate, count / rate)),
        tuple(
            Take(title, k >= len(extra), audio_uri(x, rate, kind), picture_uri(power, top))
            for k, (title, x, power) in enumerate(zip(titles, cut, powers, strict=True))
        ),
    )


def _piece(lost: np.ndarray, frames: int, packet: int, wanted: int) -> tuple[int, int]:
    """Give the first frame and the frames of the piece in which the most packets were lost."""
    if frames <= wanted:
        return 0, frames
    packets = max(1, wanted // packet)
    last = (frames - wanted) // packet
    total = np.concatenate([[0], np.cumsum(lost, dtype=int)])
    if len(total) <= packets or last < 1:
        return 0, wanted
    within = total[packets:] - total[:-packets]
    return int(np.argmax(within[: last + 1])) * packet, wanted


def _bursts(lost: np.ndarray, begin_s: float, seconds: float) -> list[tuple[float, float]]:
    """Give the bursts within a piece, each with its begin and its length in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(np.int8), [0]])))
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        left = max(0.0, start * PACKET_MS / 1000.0 - begin_s)
        right = min(seconds, end * PACKET_MS / 1000.0 - begin_s)
        if right > left:
            found.append((float(left), float(right - left)))
    return found
