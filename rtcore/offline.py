# SPDX-License-Identifier: MIT
"""Play audio files through chains, block by block: memory stays the same for hours of sound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import AudioInfo, Writer, blocks, info
from rtcore.chain import Chain
from rtcore.chain.asking import ask_failures
from rtcore.errors import ConfigError
from rtcore.replay import Replay, SessionLog
from rtcore.sidefiles import SideFeeder, SideFile

__all__ = ["FileReport", "Losses", "process_file", "stream_blocks"]

_FEED_FRAMES = 16384


@dataclass
class FileReport:
    """What became of one file.

    Attributes
    ----------
    source, target : Path
        The file read and the file written.
    sample_rate : int
        In Hz.
    channels_in, channels_out : int
        Of the two files.
    frames_in, frames_out : int
        Their lengths.
    subtype : str
        libsndfile's name of the samples' type in the target.
    latency_frames : int
        How late the output is.
    seconds : float
        How long it took.
    peak_db : float
        Largest sample written, in dB re full scale; minus infinity for silence.
    clipped : int
        Integer samples that had to be clipped.
    faults : list of dict
        Plugins that gave NaN or Inf and were muted, with the frame.
    sides_left : dict
        Vectors of side inputs that begin after the end of the sound, by name.
    failures : list of dict
        Plugins that could not do their work in some hops and gave something else: ``plugin``,
        ``hops`` and the first ``reason``.
    """

    source: Path
    target: Path
    sample_rate: int
    channels_in: int
    channels_out: int
    frames_in: int = 0
    frames_out: int = 0
    subtype: str = ""
    latency_frames: int = 0
    seconds: float = 0.0
    peak_db: float = -math.inf
    clipped: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    sides_left: dict[str, int] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Losses:
    """Which packets of a file never came.

    Parameters
    ----------
    lost : ndarray of bool, shape (packets,)
        True where a packet was lost; its samples count as zeros, whatever the file holds.
    packet_ms : float
        Length of a packet.
    name : str
        Of the file that the trace comes from, for errors.
    """

    lost: np.ndarray
    packet_ms: float = 20.0
    name: str = "the trace"

    def packet_frames(self, sample_rate: float) -> int:
        """Give the length of a packet in frames.

        Raises
        ------
        ConfigError
            Where that is no whole number.
        """
        frames = self.packet_ms * sample_rate / 1000.0
        if not 0.5 <= frames < 2**31 or abs(frames - round(frames)) > 1e-6:
            what = f"packets of {self.packet_ms:g} ms are {frames:g} frames at {sample_rate:g} Hz"
            raise ConfigError(self.name, f"{what}; give a --packet-ms that makes whole frames")
        return round(frames)

    def check(self, frames: int, sample_rate: float) -> None:
        """Refuse a file that has another number of packets; the last one may be shorter.

        Raises
        ------
        ConfigError
            With both numbers.
        """
        packets = -(-frames // self.packet_frames(sample_rate))
        if packets != len(self.lost):
            what = f"tells of {len(self.lost)} packets, and {frames} frames at {sample_rate:g} Hz"
            remedy = f"are {packets} of {self.packet_ms:g} ms; give the file's own trace"
            raise ConfigError(self.name, f"{what} {remedy}")


def process_file(
    source: Path,
    target: Path,
    make_chain: Callable[[AudioInfo], Chain],
    *,
    tail: bool = True,
    log: SessionLog | None = None,
    losses: Losses | None = None,
    sides: Sequence[SideFile] = (),
    on_frames: Callable[[int], None] | None = None,
    **options: Any,
) -> FileReport:
    """Play one file through a chain into another file, which is whole or not there.

    Parameters
    ----------
    source, target : Path
        The file to read, and the one to write; its suffix chooses the format.
    make_chain : function
        Gives a fresh chain for what the file's header says.
    tail : bool
        Whether the output goes on for the chain's tail after the input has ended.
    log : SessionLog, optional
        A session to be played again on the chain.
    losses : Losses, optional
        Packets of the file that never came.
    sides : sequence of SideFile
        What its side inputs are fed.
    on_frames : function, optional
        Called with the number of frames read since the last call.
    **options
        Of :class:`rtcore.audiofile.Writer`: subtype, round_, dither.

    Returns
    -------
    FileReport

    Raises
    ------
    RtcoreError
        Where the file cannot be read or written or the chain cannot be built; nothing is left
        of the output then.
    """
    start = time.perf_counter()
    header = info(source)
    chain = make_chain(header)
    report = FileReport(source, target, header.sample_rate, header.channels, chain.channels_out)
    report.latency_frames = chain.latency_frames
    if losses is not None and header.frames is not None:
        losses.check(header.frames, header.sample_rate)
    chain.stream.on_event = lambda event: _keep_fault(report, event)
    writer = Writer(target, header.sample_rate, chain.channels_out, source=source, **options)
    report.subtype = writer.subtype
    with writer as out:
        heard = _counted(
            blocks(source, feed_frames(chain), str(chain.spec.dtype)), report, on_frames
        )
        feeder = SideFeeder(sides, chain)
        for block in stream_blocks(chain, heard, tail=tail, log=log, losses=losses, feeder=feeder):
            out.write(block)
    report.sides_left = {name: left for name, left in feeder.left.items() if left}
    report.failures = _failures(chain)
    report.frames_out, report.clipped = writer.frames, writer.clipped
    report.peak_db = 20.0 * math.log10(writer.peak) if writer.peak > 0.0 else -math.inf
    report.seconds = time.perf_counter() - start
    return report


def feed_frames(chain: Chain) -> int:
    """Choose how many frames to feed at once: a multiple of what the chain was promised."""
    grain = chain.table.graph.block_frames
    return grain * max(1, _FEED_FRAMES // grain)


def stream_blocks(
    chain: Chain,
    source: Iterable[np.ndarray],
    *,
    tail: bool = True,
    log: SessionLog | None = None,
    losses: Losses | None = None,
    feeder: SideFeeder | None = None,
) -> Iterator[np.ndarray]:
    """Play blocks through a chain and give what comes out: as many frames, and the tail.

    Parameters
    ----------
    chain : Chain
        At the beginning of its stream.
    source : iterable of ndarray
        (channels, frames) each; all but the last a multiple of the chain's ``block_frames``.
    tail : bool
        Whether ``chain.tail_frames`` frames follow the last block.
    log : SessionLog, optional
        A session to be played again.
    losses : Losses, optional
        Packets that never came; what follows the last of them was received.
    feeder : SideFeeder, optional
        Of the chain's side inputs.

    Yields
    ------
    ndarray, shape (channels_out, frames)

    Raises
    ------
    ConfigError
        Where packets do not consist of whole blocks of the chain.
    """
    grain = chain.table.graph.block_frames
    cues: list[Replay | SideFeeder] = [] if log is None else [Replay(log, chain)]
    cues += [] if feeder is None else [feeder]
    if losses is not None:
        _check_packets(chain, losses)
    late = np.empty((chain.channels_out, 0), chain.spec.dtype)
    for block in source:
        frames = block.shape[1]
        # Only the last block is padded; what is heard beyond its end belongs to the tail.
        y = _play(chain, np.pad(block, ((0, 0), (0, -frames % grain))), cues, losses)
        late = y[:, frames:]
        yield y[:, :frames]
    left = chain.tail_frames if tail else 0
    while left > 0:
        if not late.shape[1]:
            frames = min(feed_frames(chain), -(-left // grain) * grain)
            late = _play(chain, np.zeros((chain.channels_in, frames), chain.spec.dtype), cues)
        yield late[:, :left]
        left -= late.shape[1]
        late = late[:, :0]


def _play(
    chain: Chain,
    block: np.ndarray,
    cues: Sequence[Replay | SideFeeder],
    losses: Losses | None = None,
) -> np.ndarray:
    """Play one block, with the changes, vectors and losses that fall into it."""
    for cue in cues:
        cue.prepare(chain.stream.position + block.shape[1])
    if losses is None:
        return chain.process(block)
    packet = losses.packet_frames(chain.sample_rate)
    played, done = [], 0
    while done < block.shape[1]:
        index, inside = divmod(chain.stream.position, packet)
        piece = block[:, done : done + packet - inside]
        lost = index < len(losses.lost) and bool(losses.lost[index])
        played.append(chain.process(np.zeros_like(piece) if lost else piece, lost=lost))
        done += piece.shape[1]
    return np.concatenate(played, axis=1)


def _check_packets(chain: Chain, losses: Losses) -> None:
    packet, grain = losses.packet_frames(chain.sample_rate), chain.table.graph.block_frames
    if packet % grain:
        what = f"packets of {packet} frames are no multiple of the chain's blocks of {grain}"
        raise ConfigError(losses.name, f"{what}; give another --block, or none")


def _counted(
    source: Iterable[np.ndarray], report: FileReport, on_frames: Callable[[int], None] | None
) -> Iterator[np.ndarray]:
    """Count the frames that are read."""
    for block in source:
        yield block
        report.frames_in += block.shape[1]
        if on_frames is not None:
            on_frames(block.shape[1])


def _failures(chain: Chain) -> list[dict[str, Any]]:
    """Ask all plugins in which hops they could not do their work."""
    asked = [(placed.path, *ask_failures(placed.node.plugin)) for placed in chain.nodes]
    return [{"plugin": p, "hops": hops, "reason": why} for p, hops, why in asked if hops]


def _keep_fault(report: FileReport, event: dict[str, Any]) -> None:
    if event["event"] == "fault":
        report.faults.append(event)
