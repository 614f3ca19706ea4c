# SPDX-License-Identifier: MIT
"""``rtcore process``: audio files through a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.chain_options import ChainChoice, chain_options
from rtcore.cli.numbers import Number
from rtcore.cli.output import json_option, print_json, progress, warn
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.audiofile import AudioInfo
    from rtcore.chain import Chain
    from rtcore.chain.config import ChainConfig
    from rtcore.offline import FileReport, Losses
    from rtcore.replay import SessionLog
    from rtcore.sidefiles import SideFile

_PATH = click.Path(path_type=Path)


@click.command(short_help="Play audio files through a chain.")
@click.argument("paths", nargs=-1, type=_PATH, metavar="IN... OUT")
@chain_options
@click.option("--tail/--no-tail", default=True, help="Go on until the chain has died away.")
@click.option("--format", "suffix", metavar="wav|flac|ogg", help="Of the files in a folder OUT.")
@click.option("--subtype", metavar="PCM_16|FLOAT|..", help="How samples are stored in OUT.")
@click.option("--round", "round_", is_flag=True, help="Round to integers; they are truncated else.")
@click.option("--dither", is_flag=True, help="Add noise of one step before rounding.")
@click.option("--block", type=click.IntRange(1, 65536), help="Feed blocks of so many frames.")
@click.option("--replay", type=_PATH, metavar="LOG", help="Play a recorded session again.")
@click.option("--trace", type=_PATH, help="Lost packets of IN: a 0 or 1 a line for each.")
@click.option("--packet-ms", type=float, default=20.0, help="Length of a packet of --trace.")
@click.option("--side", "sides", multiple=True, metavar="NAME=FILE", help="Vectors for an input.")
@click.option("--side-rate", type=Number(0.001, 384000), metavar="HZ", help="Of --side.")
@json_option
def process(
    paths: tuple[Path, ...],
    choice: ChainChoice,
    suffix: str | None,
    block: int | None,
    replay: Path | None,
    trace: Path | None,
    packet_ms: float,
    sides: tuple[str, ...],
    side_rate: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Play audio files through a chain.

    OUT is a file, or a folder where several files come in. The output is as long as the input
    and the chain's tail, and starts as late as the chain's latency.

    \b
    rtcore process speech.wav louder.wav --audiogram N3
    rtcore process in.wav out.flac -c chain.toml
    rtcore process in.wav out.wav -p gain:gain_db=-6 -p limiter
    rtcore process scenes/*.wav enhanced/ -c chain.toml --subtype PCM_16
    rtcore process lossy.wav out.wav -p plc-pitch --trace lossy_is_lost.txt
    rtcore process in.wav out.wav -p model:bundle=avse --side lips=lips.npy
    """
    if len(paths) < 2:
        raise click.UsageError("name what to read and what to write: IN OUT, or IN... FOLDER")
    if trace is not None:
        options["losses"] = _losses(trace, packet_ms, replay)
    if sides:
        options["sides"] = _sides(sides, side_rate, replay, len(paths) - 1)
    make, log = _chain_maker(choice, block, replay)
    jobs = plan(list(paths[:-1]), paths[-1], suffix)
    reports, failed = _run_all(jobs, make, log, options, alone=len(jobs) == 1)
    for report in reports:
        _tell(report, quiet=as_json)
    if as_json:
        print_json(_summary(reports, failed))
    elif len(jobs) > 1:
        click.echo(f"{len(reports)} done, {len(failed)} failed")
    muted = any(report.faults or report.failures for report in reports)
    code = max([error.exit_code for _, error in failed], default=1 if muted else 0)
    click.get_current_context().exit(code)


def plan(sources: list[Path], target: Path, suffix: str | None) -> list[tuple[Path, Path]]:
    """Pair each input with its output.

    Parameters
    ----------
    sources : list of Path
        Files to read.
    target : Path
        A file, or the folder for several.
    suffix : str or None
        Of files in a folder; the input's own, or ``.wav`` where that cannot be written.

    Raises
    ------
    ConfigError, AudioFileError
        Where outputs would overwrite one another, or the folder cannot be made.
    """
    from rtcore.audiofile import FORMATS

    wanted = None if suffix is None else f".{suffix.lower().removeprefix('.')}"
    if wanted is not None and wanted not in FORMATS:
        what = f"'{suffix}' is no format; there are {', '.join(k[1:] for k in FORMATS)}"
        raise ConfigError("--format", what)
    if len(sources) == 1 and not target.is_dir() and target.suffix:
        if wanted not in (None, target.suffix.lower()):
            what = f"is {suffix}, and {target} ends with {target.suffix}; make them agree"
            raise ConfigError("--format", what)
        return [(sources[0], target)]
    _make_folder(target)
    jobs: dict[Path, Path] = {}
    for source in sources:
        own = source.suffix.lower() if source.suffix.lower() in FORMATS else ".wav"
        output = target / f"{source.stem}{wanted or own}"
        if output in jobs:
            what = f"{jobs[output]} and {source} would both become {output}; rename one of them"
            raise AudioFileError(what)
        jobs[output] = source
    return [(source, output) for output, source in jobs.items()]


def _make_folder(folder: Path) -> None:
    """Make the folder for outputs, or say why that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        what = "is a file, and several inputs need a folder; name another one"
        raise AudioFileError(f"{folder}: {what}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        what = f"this folder cannot be made ({reason}); name another one"
        raise AudioFileError(f"{folder}: {what}") from error


def _chain_maker(
    choice: ChainChoice, block: int | None, replay: Path | None
) -> tuple[Callable[[AudioInfo], Chain], SessionLog | None]:
    """Read what is to be done; give a function that makes a fresh chain for each file."""
    from rtcore.cli.chain_options import Recipe
    from rtcore.replay import read_session

    log = None if replay is None else read_session(replay)
    if log is None or choice.given:
        recipe = choice.recipe()
    else:
        recipe = Recipe(config=log.config.override(dtype=choice.dtype))

    def make(header: AudioInfo) -> Chain:
        config = recipe.config_for(header.sample_rate, header.channels)
        check_stream(config, header)
        if block is not None:
            whole = max(1, config.max_frames // block) * block
            config = config.override(block_frames=block, max_frames=whole)
        return config.build()

    return make, log


def _losses(trace: Path, packet_ms: float, replay: Path | None) -> Losses:
    """Read which packets were lost."""
    from rtcore.challenges.plc.traces import read_trace
    from rtcore.offline import Losses

    if replay is not None:
        raise click.UsageError("a session tells its own losses; give --trace or --replay, not both")
    if not packet_ms > 0.0:
        raise click.UsageError(f"--packet-ms must be more than 0, got {packet_ms:g}")
    return Losses(read_trace(trace), packet_ms, str(trace))


def _sides(
    words: tuple[str, ...], rate_hz: float | None, replay: Path | None, files: int
) -> list[SideFile]:
    """Read what the side inputs are to be fed."""
    from rtcore.sidefiles import read_side

    if replay is not None:
        raise click.UsageError("a session tells its own vectors; give --side or --replay, not both")
    if files > 1:
        raise click.UsageError("--side belongs to one sound; process the files one by one")
    pairs = [word.partition("=") for word in words]
    names = [name for name, _, _ in pairs]
    for (name, _, path), word in zip(pairs, words, strict=True):
        if not (name and path):
            raise click.UsageError(f"--side {word} is no NAME=FILE; write it like lips=lips.npy")
        if names.count(name) > 1:
            raise click.UsageError(f"--side {name} is given twice; keep one of them")
    return [read_side(name, Path(path), rate_hz) for name, _, path in pairs]


def check_stream(config: ChainConfig, header: AudioInfo) -> None:
    """Refuse a file that is not what its chain was made for.

    Raises
    ------
    ConfigError
        Naming both numbers and the remedy.
    """
    chain = config.source or "the chain"
    if config.sample_rate != header.sample_rate:
        what = f"has {header.sample_rate} Hz and {chain} is for {config.sample_rate:g} Hz"
        remedy = "resample the file, or take sample_rate out of the chain"
        raise ConfigError(str(header.path), f"{what}; {remedy}")
    if config.channels != header.channels:
        what = f"channels: {header.channels} in the file, and {chain} is for {config.channels}"
        remedy = "convert the file, or take channels out of the chain"
        raise ConfigError(str(header.path), f"{what}; {remedy}")


def _run_all(
    jobs: list[tuple[Path, Path]],
    make: Callable[[AudioInfo], Chain],
    log: SessionLog | None,
    options: dict[str, Any],
    *,
    alone: bool,
) -> tuple[list[FileReport], list[tuple[Path, RtcoreError]]]:
    """Process file after file; one that fails does not stop the rest."""
    from rtcore.offline import process_file

    reports: list[FileReport] = []
    failed: list[tuple[Path, RtcoreError]] = []
    with progress("processing", _frames_of(jobs)) as advance:
        for source, target in jobs:
            try:
                report = process_file(source, target, make, log=log, on_frames=advance, **options)
                reports.append(report)
            except RtcoreError as error:
                if alone:
                    raise
                failed.append((source, error))
    for source, reason in failed:
        named = str(source) in str(reason)
        click.echo(f"error: {reason}" if named else f"error: {source}: {reason}", err=True)
    return reports, failed


def _frames_of(jobs: list[tuple[Path, Path]]) -> int | None:
    """Add up the lengths for the progress bar, where all files tell them."""
    from rtcore.audiofile import info

    total = 0
    for source, _ in jobs:
        try:
            frames = info(source).frames
        except RtcoreError:
            continue  # told when its turn comes
        if frames is None:
            return None
        total += frames
    return total


def _tell(report: FileReport, *, quiet: bool) -> None:
    """Say what became of a file, and what should not have happened to it."""
    if not quiet:
        duration_s = report.frames_out / report.sample_rate
        speed = report.frames_in / report.sample_rate / max(report.seconds, 1e-9)
        channels = f"{report.channels_out} channel{'s' if report.channels_out > 1 else ''}"
        click.echo(
            f"{report.target}: {duration_s:.3f} s, {channels}, {report.sample_rate} Hz, "
            f"{report.subtype}, peak {report.peak_db:.1f} dBFS, {speed:.0f} times real time"
        )
    if report.clipped:
        what = f"{report.clipped} samples were clipped; lower the gain or write --subtype FLOAT"
        warn(f"{report.target}: {what}")
    for name, left in report.sides_left.items():
        what = f"{left} of the vectors of --side {name} begin after the end of the sound"
        warn(f"{report.target}: {what}; check their rate with --side-rate")
    for fault in report.faults:
        what = f"{fault['plugin']} gave {fault['what']} at frame {fault['frame']} and was muted"
        warn(f"{report.target}: {what}; mend that plugin")
    for failure in report.failures:
        what = f"{failure['plugin']} failed in {failure['hops']} hops, and its input is heard there"
        warn(f"{report.target}: {what}: {failure['reason']}")


def _summary(reports: list[FileReport], failed: list[tuple[Path, RtcoreError]]) -> dict[str, Any]:
    return {
        "done": len(reports),
        "failed": len(failed),
        "files": [asdict(report) for report in reports],
        "errors": [{"source": source, "error": str(error)} for source, error in failed],
    }
