# SPDX-License-Identifier: MIT
"""Play the clips of a set through a chain, packet by packet, and write what a listener hears."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import info, read, write
from rtcore.challenges.jobs import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.challenges.plc.layout import Clip, ClipSet
from rtcore.challenges.plc.traces import packet_frames
from rtcore.errors import CheckFailed, ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.chain import Chain
    from rtcore.chain.config import ChainConfig

__all__ = ["ConcealSettings", "Concealer", "conceal_set", "plan"]


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
            what = f"{fault['plugin']} gave {fault['what']} at frame {fault['frame']}"
            raise CheckFailed(f"{what} and was muted, so nothing was written; mend that plugin")
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

        Other parameters, another version of rtcore and an edited plugin change it.
        """
        from rtcore import __version__
        from rtcore.chain.export import config_from_chain

        words = config_from_chain(chain)
        classes = {type(placed.node.plugin) for placed in chain.nodes}
        files = sorted({file for file in map(inspect.getsourcefile, classes) if file})
        text = json.dumps([__version__, asdict(self.settings), words], sort_keys=True, default=str)
        return fingerprint(text, *map(Path, files), *_named_files(words))


def plan(clips: tuple[Clip, ...], target: Path, concealer: Concealer) -> Iterator[Job]:
    """List the jobs of a set; what they depend on is read as they are asked for.

    Parameters
    ----------
    clips : tuple of Clip
        What to conceal.
    target : Path
        The folder of the outputs.
    concealer : Concealer
        Whose chain and settings go into the fingerprints.
    """
    keys: dict[tuple[int, int], str] = {}
    for clip in clips:
        task = (clip, target / clip.name)
        try:
            header = info(clip.sound)
            format_ = (header.sample_rate, header.channels)
            if format_ not in keys:
                keys[format_] = concealer.fingerprint(concealer.chain(*format_))
            trace = clip.digits if clip.digits is not None else Path(clip.trace)
            key = fingerprint(keys[format_], clip.sound, trace)
        except RtcoreError:
            key = ""  # matches nothing: the worker finds the same fault and reports it
        yield Job(clip.name, target / clip.name, key, task)


def conceal_set(
    found: ClipSet,
    target: Path,
    config: ChainConfig,
    settings: ConcealSettings = ConcealSettings(),
    *,
    workers: int = 1,
    again: bool = False,
) -> Iterator[Outcome]:
    """Conceal a set; what an earlier run finished from the same input is skipped.

    Parameters
    ----------
    found : ClipSet
        The clips.
    target : Path
        Folder of the outputs, made where it is missing. Each gets its clip's name.
    config : ChainConfig
        The chain.
    settings : ConcealSettings
        How clips are concealed.
    workers : int
        Processes. With more than one a script of yours needs ``if __name__ == "__main__":``.
    again : bool
        Do all clips, whatever is there.

    Yields
    ------
    Outcome
        One for each clip, as they end.

    Raises
    ------
    ConfigError, AudioFileError
        Where the folder cannot be used, or the chain cannot be built for the first clip.
    """
    _check_target(found, target)
    concealer = Concealer(config, settings)
    _warm_up(concealer, found.clips)
    target.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(target)
    with ledger.writing():
        jobs: Iterator[Job] = plan(found.clips, target, concealer)
        if again:
            ledger.forget()
        if workers == 1:
            yield from run_jobs(jobs, concealer.work, ledger)
            return
        setup = (_set_up, (config, settings))
        yield from run_jobs(jobs, _work, ledger, workers=workers, setup=setup)


def _warm_up(concealer: Concealer, clips: tuple[Clip, ...]) -> None:
    """Build the chain once before the workers do: they find its code compiled.

    What is wrong with the chain ends the run here, and not once for each clip.
    """
    for clip in clips:
        try:
            header = info(clip.sound)
            packet_frames(header.sample_rate)
        except RtcoreError:
            continue  # reported with its clip
        concealer.chain(header.sample_rate, header.channels)
        return


def _check_target(found: ClipSet, target: Path) -> None:
    """Refuse a folder whose files would be overwritten."""
    if target.exists() and not target.is_dir():
        raise ConfigError(str(target), "is a file; name a folder for the concealed clips")
    sounds = {path.parent.resolve() for c in found.clips for path in (c.sound, c.clean) if path}
    if target.resolve() in sounds:
        what = "holds the input, which would be overwritten; name another folder"
        raise ConfigError(str(target), what)


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


#: The concealer of this worker process.
_own: list[Concealer] = []


def _set_up(config: ChainConfig, settings: ConcealSettings) -> None:
    _own[:] = [Concealer(config, settings)]


def _work(task: tuple[Clip, Path]) -> dict[str, Any]:
    return _own[0].work(task)
