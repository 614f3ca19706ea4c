# SPDX-License-Identifier: MIT
"""Play the clips of a set through a chain on all cores; go on where a run ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import info
from rtcore.batch import Job, Ledger, Outcome, Shard, fingerprint, run_jobs, usable_cores
from rtcore.batch.ledger import LEDGER, made_folder
from rtcore.challenges.plc.concealer import Concealer, ConcealSettings
from rtcore.challenges.plc.layout import Clip, ClipSet
from rtcore.challenges.plc.traces import PACKETS_PER_SECOND, packet_frames
from rtcore.errors import CheckFailed, ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.chain.config import ChainConfig

__all__ = ["ConcealSettings", "Concealer", "conceal_set", "plan"]

#: Of work, before another process is started: that alone takes a second or two.
_WORTH_A_PROCESS_S = 5.0


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
        made_with = ""
        try:
            header = info(clip.sound)
            format_ = (header.sample_rate, header.channels)
            if format_ not in keys:
                keys[format_] = concealer.fingerprint(concealer.chain(*format_))
            trace = clip.digits if clip.digits is not None else Path(clip.trace)
            made_with = keys[format_][:16]
            key = fingerprint(keys[format_], clip.sound, trace)
        except RtcoreError:
            key = ""  # matches nothing: the worker finds the same fault and reports it
        output = target / clip.name
        yield Job(clip.name, output, key, (clip, output, made_with))


def conceal_set(
    found: ClipSet,
    target: Path,
    config: ChainConfig,
    settings: ConcealSettings = ConcealSettings(),  # noqa: B008 - frozen
    *,
    workers: int | None = None,
    again: bool = False,
    scheduler: str | None = None,
    shard: Shard | None = None,
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
    workers : int, optional
        Processes; as many as pay, up to one for each core, where None. A script of yours needs
        ``if __name__ == "__main__":`` then, as always with processes that Python spawns.
    again : bool
        Do all clips, whatever is there: also over sounds in `target` that no run has written.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do it.
    shard : Shard, optional
        Which share of a set `found` is: other runs may do the others in the same folder.

    Yields
    ------
    Outcome
        One for each clip, as they end.

    Raises
    ------
    ConfigError, AudioFileError
        Where the folder cannot be used, or the chain cannot be built for the first clip.
    DeviceError
        Where the scheduler does not answer.
    """
    _check_target(found, target, again=again)
    concealer = Concealer(config, settings)
    needed_s = _warm_up(concealer, found.clips)
    if workers is None:
        workers = max(1, min(usable_cores(), int(needed_s / _WORTH_A_PROCESS_S)))
    ledger = Ledger(made_folder(target), shard)
    with ledger.writing():
        jobs: Iterator[Job] = plan(found.clips, target, concealer)
        if again:
            ledger.forget()
        if workers == 1 and scheduler is None:
            yield from run_jobs(jobs, concealer.work, ledger)
            return
        setup = (_set_up, (config, settings))
        yield from run_jobs(jobs, _work, ledger, workers=workers, setup=setup, scheduler=scheduler)


def _warm_up(concealer: Concealer, clips: tuple[Clip, ...]) -> float:
    """Build the chain once before the workers do: they find its code compiled.

    What is wrong with the chain ends the run here, and not once for each clip.

    Returns
    -------
    float
        A guess at the seconds that one process would take for all clips, from a second of noise.
    """
    for clip in clips:
        try:
            header = info(clip.sound)
            packet_frames(header.sample_rate)
        except RtcoreError:
            continue  # reported with its clip
        rate, channels = header.sample_rate, header.channels
        chain = concealer.chain(rate, channels)
        noise = np.random.default_rng(0).normal(0.0, 0.1, (channels, rate)).astype(chain.spec.dtype)
        begin = time.perf_counter()
        with contextlib.suppress(CheckFailed):  # reported with the clip to which it happens
            concealer.conceal(noise, np.arange(PACKETS_PER_SECOND) % 4 == 0, rate)
        taken_s = time.perf_counter() - begin
        return taken_s * (header.duration_s or 1.0) * len(clips)
    return 0.0


def _check_target(found: ClipSet, target: Path, *, again: bool) -> None:
    """Refuse a folder whose files would be overwritten, or that would become part of the set."""
    if target.exists() and not target.is_dir():
        raise ConfigError(str(target), "is a file; name a folder for the concealed clips")
    sounds = {path.parent.resolve() for c in found.clips for path in (c.sound, c.clean) if path}
    if target.resolve() in sounds:
        what = "holds the input, which would be overwritten; name another folder"
        raise ConfigError(str(target), what)
    if target.resolve() in {found.folder.resolve(), found.path.resolve()}:
        what = "is the set itself, and concealed clips would be taken for lossy ones; name "
        raise ConfigError(str(target), f"{what}another folder")
    if again or (target / LEDGER).exists():
        return
    foreign = [clip.name for clip in found.clips if (target / clip.name).exists()]
    if foreign:
        what = f"holds {len(foreign)} files with the clips' names ({', '.join(foreign[:3])}) that "
        what += "`plc conceal` has not written; name another folder, or overwrite them with --again"
        raise ConfigError(str(target), what)


#: The concealer of this worker process.
_own: list[Concealer] = []


def _set_up(config: ChainConfig, settings: ConcealSettings) -> None:
    _own[:] = [Concealer(config, settings)]


def _work(task: tuple[Clip, Path, str]) -> dict[str, Any]:
    return _own[0].work(task)
