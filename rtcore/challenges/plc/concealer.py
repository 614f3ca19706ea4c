# SPDX-License-Identifier: MIT
"""Play clips through a chain, packet by packet, each from a fresh beginning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import read, write
from rtcore.batch import fingerprint
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
        self._faults: list[dict[str, Any]] = []

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
        chain.stream.on_event = self._keep
        return chain

    def _keep(self, event: dict[str, Any]) -> None:
        if event["event"] == "fault":
            self._faults.append(event)

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
        self._faults.clear()
        for k in range(packets):
            part = slice(k * packet, (k + 1) * packet)
            heard[:, part] = chain.process(np.ascontiguousarray(heard[:, part]), lost=bool(mask[k]))
        self._check_faults(chain)
        return heard[:, late : late + x.shape[1]]

    def _check_faults(self, chain: Chain) -> None:
        """Refuse an output in which a plugin was muted, or a model replaced by the dry sound."""
        chain.stream.poll()
        if self._faults:
            self._chains.clear()  # the plugin stays muted
            fault = self._faults[0]
            place = f"{fault['plugin']} gave {fault['what']} at frame {fault['frame']}"
            raise CheckFailed(f"{place} and was muted, so nothing was written; mend that plugin")
        for placed in chain.nodes:
            faults = getattr(placed.node.plugin, "faults", None) or {}
            if faults.get("hops"):
                self._chains.clear()
                what = f"the model of {placed.path} failed in {faults['hops']} hops"
                reason = faults.get("reason") or "it gave NaN or Inf"
                raise CheckFailed(f"{what} ({reason}), so nothing was written; mend that model")

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

    def work(self, task: tuple[Clip, Path]) -> dict[str, Any]:
        """Conceal the clip of a job."""
        return self.conceal_clip(*task)

    def fingerprint(self, chain: Chain) -> str:
        """Give a fingerprint of all that an output depends on but its clip.

        Other parameters, another rtcore and an edited plugin change it, and so does any file of
        the user's that the plugin imports.
        """
        from rtcore import __version__
        from rtcore.chain.export import config_from_chain
        from rtcore.challenges.codefiles import code_files

        words = config_from_chain(chain)
        files = (code_files(type(placed.node.plugin)) for placed in chain.nodes)
        code = dict.fromkeys(path for some in files for path in some)
        text = json.dumps([__version__, asdict(self.settings), words], sort_keys=True, default=str)
        return fingerprint(text, *code, *_named_files(words))


def _named_files(value: object) -> Iterator[Path]:
    """Find the files that a chain's settings name, whose contents matter too."""
    if isinstance(value, dict):
        yield from _bundle_files(value)
        for entry in value.values():
            yield from _named_files(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _named_files(entry)
    elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value:
        path = Path(value)
        try:
            if path.is_file():
                yield path
        except OSError:
            return  # no path at all


def _bundle_files(table: dict[str, Any]) -> Iterator[Path]:
    """Find the manifest and the networks of a model's bundle."""
    from rtcore.models import find_bundle

    if table.get("id") != "model" or not isinstance(table.get("bundle"), str):
        return
    bundle = find_bundle(table["bundle"])
    yield from sorted([*bundle.folder.glob("*.toml"), *bundle.files()])
