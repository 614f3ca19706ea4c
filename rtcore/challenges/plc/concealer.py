# SPDX-License-Identifier: MIT
"""Play clips through a chain, packet by packet, each from a fresh beginning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import read, write
from rtcore.challenges.chainprint import chain_print
from rtcore.challenges.faults import FaultWatch
from rtcore.challenges.plc.layout import Clip
from rtcore.challenges.plc.traces import packet_frames
from rtcore.errors import CheckFailed, ConfigError

if TYPE_CHECKING:
    from rtcore.chain import Chain
    from rtcore.chain.config import ChainConfig

__all__ = ["ConcealSettings", "Concealer"]


@dataclass(frozen=True)
class ConcealSettings:
    """How clips are concealed.

    Attributes
    ----------
    align : bool
        Take the chain's latency out, so that the output lies over the input.
    check : bool
        Refuse a trace that disagrees with the packets of zeros in the sound.
    from_zeros : bool
        Take packets of zeros for the lost ones, for sets without traces.
    """

    align: bool = True
    check: bool = True
    from_zeros: bool = False


class Concealer:
    """A chain that plays clip after clip, each from a fresh beginning.

    Parameters
    ----------
    config : ChainConfig
        The chain; where it names no rate and no channels it takes the clip's.
    settings : ConcealSettings
        How clips are concealed.
    """

    def __init__(
        self,
        config: ChainConfig,
        settings: ConcealSettings = ConcealSettings(),
    ) -> None:
        self.config, self.settings = config, settings
        self._chains: dict[tuple[int, int], Chain] = {}
        self._watches: dict[tuple[int, int], FaultWatch] = {}

    def chain(self, sample_rate: int, channels: int) -> Chain:
        """Give the chain for clips of a rate (in Hz) and so many channels.

        It is promised blocks of whole packets, which lowers the delay of plugins with a hop.

        Raises
        ------
        ConfigError
            Where the chain is for another rate or other channels, or gives other channels.
        """
        if (sample_rate, channels) not in self._chains:
            self._chains[sample_rate, channels] = self._build(sample_rate, channels)
        return self._chains[sample_rate, channels]

    def _build(self, sample_rate: int, channels: int) -> Chain:
        packet = packet_frames(sample_rate)
        name = self.config.source or "the chain"
        if self.config.sample_rate not in (None, float(sample_rate)):
            what = f"is for {self.config.sample_rate:g} Hz, and the clips have {sample_rate} Hz"
            raise ConfigError(name, f"{what}; take sample_rate out of it")
        if self.config.channels not in (None, channels):
            what = f"is for {self.config.channels} channels, and the clips have {channels}"
            raise ConfigError(name, f"{what}; take channels out of it")
        chain = self.config.override(
            sample_rate=float(sample_rate),
            channels=channels,
            block_frames=packet,
            max_frames=packet,
        ).build()
        if chain.channels_out != channels:
            what = f"gives {chain.channels_out} channels for {channels}"
            raise ConfigError(name, f"{what}; a concealed clip must have those of its input")
        self._watches[sample_rate, channels] = FaultWatch(chain)
        return chain

    def conceal(self, x: np.ndarray, lost: np.ndarray, sample_rate: int) -> np.ndarray:
        """Conceal a clip.

        Parameters
        ----------
        x : array, shape (channels, frames)
            The lossy sound. What stands in lost packets is never looked at.
        lost : array of bool, shape (packets,)
            An entry for each packet of 20 ms, a partial one at the end too.
        sample_rate : int
            In Hz.

        Returns
        -------
        numpy.ndarray, shape (channels, frames)

        Raises
        ------
        CheckFailed
            Where a plugin gave NaN or Inf and was muted.
        """
        packet = packet_frames(sample_rate)
        chain = self.chain(sample_rate, len(x))
        late = chain.latency_frames if self.settings.align else 0
        packets = len(lost) + -(-late // packet)
        heard = np.zeros((len(x), packets * packet), chain.spec.dtype)
        heard[:, : x.shape[1]] = x
        mask = np.zeros(packets, bool)
        mask[: len(lost)] = lost
        heard[:, np.repeat(mask, packet)] = 0.0
        chain.restart()
        self._watches[sample_rate, len(x)].clear()
        for k in range(packets):
            part = slice(k * packet, (k + 1) * packet)
            heard[:, part] = chain.process(np.ascontiguousarray(heard[:, part]), lost=bool(mask[k]))
        self._check_faults((sample_rate, len(x)))
        return heard[:, late : late + x.shape[1]]

    def _check_faults(self, key: tuple[int, int]) -> None:
        """Refuse an output in which something failed, and the chain in which it stays muted."""
        try:
            self._watches[key].check()
        except CheckFailed:
            del self._chains[key], self._watches[key]
            raise

    def conceal_clip(self, clip: Clip, target: Path) -> dict[str, Any]:
        """Conceal one clip into a file of 16 bits, as long as the clip.

        Returns
        -------
        dict
            Frames, packets, how many of them were lost, and the latency.
        """
        x, rate = read(clip.sound, "float32")
        lost = clip.lost_in(x, rate, check=self.settings.check, from_zeros=self.settings.from_zeros)
        y = self.conceal(x, lost, rate)
        # Rounded, so that what was received comes back bit for bit and the rest without a bias.
        write(target, y, rate, subtype="PCM_16", round_=True, source=clip.sound)
        return {
            "sample_rate": rate,
            "frames": x.shape[1],
            "packets": len(lost),
            "lost": int(np.sum(lost)),
            "latency_frames": self.chain(rate, len(x)).latency_frames,
        }

    def work(self, task: tuple[Clip, Path, str]) -> dict[str, Any]:
        """Conceal the clip of a job; the result says what with, as a part of a fingerprint."""
        clip, target, made_with = task
        return {**self.conceal_clip(clip, target), "made_with": made_with}

    def fingerprint(self, chain: Chain) -> str:
        """Give a fingerprint of all that an output depends on but its clip."""
        return chain_print(chain, asdict(self.settings))
