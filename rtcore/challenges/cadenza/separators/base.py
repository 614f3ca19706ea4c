# SPDX-License-Identifier: MIT
"""What takes a mixture apart: the interface, and the two that need no network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from rtcore.challenges.cadenza.metadata import STEMS
from rtcore.challenges.cadenza.remix import Stems

__all__ = ["Nothing", "Oracle", "Separator"]


class Separator(ABC):
    """Takes a mixture apart.

    Attributes
    ----------
    name : str
        As the command line has it.
    streams : bool
        Whether it works as the sound comes in, which a causal entry must.
    latency_frames : int
        How late its stems are against the mixture, in frames of the mixture.
    reads_stems : bool
        Whether it looks at the true stems, whose files count as its input then.
    """

    name: str
    streams: ClassVar[bool] = False
    reads_stems: ClassVar[bool] = False
    latency_frames: int = 0

    @abstractmethod
    def separate(
        self, mixture: np.ndarray, sample_rate: int, stem: Callable[[str], np.ndarray]
    ) -> Stems | None:
        """Give the stems of a mixture.

        Parameters
        ----------
        mixture : array of float64, shape (2, frames)
            What stood at the microphones.
        sample_rate : int
            In Hz.
        stem : function
            Reads a true stem, for those that know the answer.

        Returns
        -------
        mapping or None
            ``vocals``, ``drums``, ``bass`` and ``other``, each of the mixture's shape, and longer
            by `latency_frames`; None where there is nothing that gains could be applied to.
        """

    def ready(self) -> None:  # noqa: B027 - most are ready as they are
        """Get ready for the first song; raises what would hinder all of them."""

    def identity(self) -> list[str]:
        """Give what the stems depend on beside the mixture, for fingerprints and side-cars."""
        return [self.name]


class Oracle(Separator):
    """Know the true stems: no separator can do better."""

    name = "oracle"
    streams = True
    reads_stems = True

    def separate(
        self, mixture: np.ndarray, sample_rate: int, stem: Callable[[str], np.ndarray]
    ) -> Stems:
        """Read the stems."""
        del mixture, sample_rate
        return {name: stem(name) for name in STEMS}


class Nothing(Separator):
    """Leave the mixture as it is, whatever gains are asked for: the floor."""

    name = "none"
    streams = True

    def separate(
        self, mixture: np.ndarray, sample_rate: int, stem: Callable[[str], np.ndarray]
    ) -> None:
        """Give no stems."""
        del mixture, sample_rate, stem
