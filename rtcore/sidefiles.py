# SPDX-License-Identifier: MIT
"""Vectors of side inputs from NumPy files, for sound that is played from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.chain.sides import find_side
from rtcore.errors import ConfigError, ParameterError, StreamError
from rtcore.sides import vectors_of

__all__ = ["SideFeeder", "SideFile", "read_side"]


@dataclass(frozen=True)
class SideFile:
    """What a file holds for one side input.

    Attributes
    ----------
    name : str
        Of the side input.
    path : Path
        Of the file.
    vectors : ndarray
        (vectors, width), or (vectors,) of one number each.
    rate_hz : float or None
        Vectors in a second; the plugin's own rate where None.
    """

    name: str
    path: Path
    vectors: np.ndarray[Any, Any]
    rate_hz: float | None = None


def read_side(name: str, path: Path, rate_hz: float | None = None) -> SideFile:
    """Read vectors from an ``.npy`` file.

    Parameters
    ----------
    name : str
        Of the side input.
    path : Path
        Written by ``numpy.save``, of shape (vectors, width).
    rate_hz : float, optional
        Vectors in a second.

    Raises
    ------
    ConfigError
        Where it cannot be read, or is no array of numbers.
    """
    try:
        # Mapped, so that a header that promises more than there is asks for no memory; never
        # unpickled.
        found = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file of vectors; check its name") from None
    except Exception as error:  # noqa: BLE001 - NumPy's reader raises many kinds
        reason = getattr(error, "strerror", None) or str(error)
        what = f"cannot be read as vectors ({reason}); write it with numpy.save"
        raise ConfigError(str(path), what) from None
    if found.ndim not in (1, 2) or found.shape[0] == 0:
        what = f"must hold an array of shape (vectors, width), got {found.shape}"
        raise ConfigError(str(path), f"{what}; save one row for each vector")
    return SideFile(name, path, found, rate_hz)


class SideFeeder:
    """Feeds a chain from files, the first vector at frame 0.

    Parameters
    ----------
    files : sequence of SideFile
        One for each side input.
    chain : Chain
        At the beginning of its stream.

    Raises
    ------
    ConfigError
        Where a file does not fit the side input of its name.
    """

    def __init__(self, files: Sequence[SideFile], chain: Chain) -> None:
        self._chain = chain
        self._files = []
        for file in files:
            try:
                slot = find_side(chain.nodes, file.name)
                width = slot.declared.width
                rows = file.vectors if file.vectors.ndim == 2 else file.vectors[:, np.newaxis]
                vectors = vectors_of(file.name, width, rows)
                frames = slot.frames(len(vectors), 0, file.rate_hz)
            except ParameterError as error:
                raise ConfigError("--side", error.what) from None
            except StreamError as error:
                raise ConfigError(str(file.path), str(error)) from None
            self._files.append((file, vectors, frames))

    def prepare(self, until_frame: int) -> None:
        """Feed what holds before a frame; call it before that stretch is played.

        Raises
        ------
        ConfigError
            Where the vectors follow one another too fast.
        """
        for k, (file, vectors, frames) in enumerate(self._files):
            count = int(np.searchsorted(frames, until_frame))
            if self._chain.feed(file.name, vectors[:count], at_frame=frames[:count]) < count:
                what = f"its vectors follow one another too fast ({count} before {until_frame})"
                raise ConfigError(str(file.path), f"{what}; give their rate with --side-rate")
            self._files[k] = (file, vectors[count:], frames[count:])

    @property
    def left(self) -> dict[str, int]:
        """Vectors that were not fed, by name: they begin after the end of the sound."""
        return {file.name: len(vectors) for file, vectors, _ in self._files}
