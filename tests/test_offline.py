# SPDX-License-Identifier: MIT
"""Files through chains: exact lengths, any block, flat memory."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Chain
from rtcore.audiofile import read, write
from rtcore.chain.config import config_from_chain
from rtcore.errors import ConfigError
from rtcore.host import find
from rtcore.offline import Losses, feed_frames, process_file, stream_blocks
from rtcore.replay import Replay, read_session

RATE = 16000


def chain(delay: int = 37, block_frames: int = 1) -> Chain:
    elements = [find("gain")(gain_db=-3.0), find("delay")(delay_frames=delay)]
    return Chain(elements, sample_rate=RATE, channels=1, block_frames=block_frames)


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(11).uniform(-1, 1, (1, frames)).astype(np.float32)


def cut(x: np.ndarray, size: int) -> list[np.ndarray]:
    return [x[:, k : k + size] for k in range(0, x.shape[1], size)]


class TestStream:
    """Blocks in, blocks out."""

    @given(
        frames=st.integers(1, 500),
        delay=st.integers(0, 300),
        grain=st.integers(1, 70),
        many=st.integers(1, 4),
        tail=st.booleans(),
    )
    @settings(deadline=None, max_examples=40)
    def test_equals_render(self, frames, delay, grain, many, tail):
        """Any length in any blocks gives what one call gives, to the frame."""
        x = noise(frames)
        expected = chain(delay).render(x, tail=tail)
        parts = stream_blocks(chain(delay, grain), cut(x, grain * many), tail=tail)
        assert np.array_equal(expected, np.concatenate(list(parts), axis=1))

    def test_memory_is_flat(self):
        """Ten minutes take no more memory than one."""

        def peak(minutes: int) -> int:
            playing = chain()
            block = np.zeros((1, feed_frames(playing)), np.float32)
            blocks = (block for _ in range(minutes * 60 * RATE // block.shape[1]))
            tracemalloc.start()
            for _ in stream_blocks(playing, blocks):
                pass
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

        peak(1)
        assert peak(10) < 1.5 * peak(1)


class TestFile:
    """A file in, a file out."""

    def test_report(self, tmp_path):
        """The report tells lengths, peak and latency."""
        write(tmp_path / "x.wav", noise(5000), RATE)
        report = process_file(tmp_path / "x.wav", tmp_path / "y.wav", lambda _header: chain())
        y, _ = read(tmp_path / "y.wav")
        assert (5000, 5037) == (report.frames_in, report.frames_out)
        assert (1, 5037) == y.shape
        assert pytest.approx(20 * np.log10(np.abs(y).max())) == report.peak_db

    def test_frames_are_counted(self, tmp_path):
        """Who asks is told how far reading has come."""
        write(tmp_path / "x.wav", noise(40000), RATE)
        counts: list[int] = []
        process_file(
            tmp_path / "x.wav", tmp_path / "y.wav", lambda _header: chain(), on_frames=counts.append
        )
        assert 40000 == sum(counts)
        assert 1 < len(counts)


def log_of(tmp_path, playing: Chain, *events: dict) -> str:
    lines = [{"event": "session", "rtcore": "0", "chain": config_from_chain(playing)}, *events]
    path = tmp_path / "session.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class TestReplay:
    """Sessions played again."""

    @pytest.mark.parametrize("size", [64, 1000, 5000])
    def test_updates_and_resets(self, tmp_path, size):
        """Live changes, redesigns and resets come at their frames, in any blocks."""
        x = noise(5000)
        live = chain()
        events: list[dict] = []
        live.stream.on_event = events.append
        parts = [live.process(x[:, :700])]
        live.update("gain", gain_db=-30.0)
        parts.append(live.process(x[:, 700:2000]))
        live.reset()
        parts.append(live.process(x[:, 2000:3000], lost=True))
        parts.append(live.process(x[:, 3000:]))
        log = read_session(log_of(tmp_path, chain(), *events))
        again = stream_blocks(log.config.build(), cut(x, size), tail=False, log=log)
        assert np.array_equal(np.concatenate(parts, axis=1), np.concatenate(list(again), axis=1))
        assert ["update", "reset", "flags", "flags"] == [event["event"] for event in events]

    def test_swap(self, tmp_path):
        """Another chain is cross-faded in at its frame."""
        x = noise(5000)
        other = Chain([find("gain")(gain_db=-20.0)], sample_rate=RATE, channels=1)
        live = chain()
        live.swap(other, at_frame=1234)
        played = live.process(x)
        swap = {"frame": 1234, "event": "swap", "chain": config_from_chain(other)}
        log = read_session(log_of(tmp_path, chain(), swap))
        again = stream_blocks(log.config.build(), cut(x, 512), tail=False, log=log)
        assert np.array_equal(played, np.concatenate(list(again), axis=1))

    def test_reports_change_nothing(self, tmp_path):
        """Lines that only report are passed over."""
        lines = [{"frame": 9, "event": "fault", "plugin": "x"}, {"event": "reopened"}]
        assert () == read_session(log_of(tmp_path, chain(), *lines)).actions

    def test_value_that_is_refused(self, tmp_path):
        """A value that the plugin refuses names the line of the log."""
        event = {"frame": 0, "event": "update", "plugin": "gain", "values": {"gain_db": 1000}}
        log = read_session(log_of(tmp_path, chain(), event))
        with pytest.raises(ConfigError, match=r"session\.jsonl, line 2: gain_db: must be at most"):
            Replay(log, log.config.build()).prepare(1)

    def test_not_text(self, tmp_path):
        """A file that is no text gives a sentence."""
        (tmp_path / "log").write_bytes(b"\xff\x00")
        with pytest.raises(ConfigError, match="cannot be read"):
            read_session(tmp_path / "log")


class TestLosses:
    """Files of which packets never came."""

    @given(
        lost=st.lists(st.booleans(), min_size=1, max_size=20),
        packet=st.sampled_from([16, 48, 160]),
        short=st.integers(0, 15),
        size=st.integers(1, 700),
    )
    @settings(deadline=None, max_examples=30)
    def test_equal_a_chain_that_is_told(self, lost, packet, short, size):
        """Blocks of any size give what a chain gives that is fed packet by packet."""
        x = noise(packet * len(lost) - short)
        elements = [find("plc-repeat")(packet_ms=2.0), find("delay")(delay_frames=7)]
        playing = Chain(elements, sample_rate=RATE, channels=1)
        packets = cut(x, packet)
        expected = [
            playing.process(np.zeros_like(p) if gone else p, lost=gone)
            for p, gone in zip(packets, lost, strict=True)
        ]
        playing.reset()
        told = Losses(np.array(lost), packet / 16.0)
        fresh = Chain(elements, sample_rate=RATE, channels=1)
        parts = stream_blocks(fresh, cut(x, size), tail=False, losses=told)
        assert np.array_equal(np.concatenate(expected, 1), np.concatenate(list(parts), 1))

    @pytest.mark.parametrize(
        ("packets", "packet_ms", "sentence"),
        [
            (9, 10.0, "tells of 9 packets, and 1600 frames at 16000 Hz are 10 of 10 ms"),
            (11, 10.0, "tells of 11 packets"),
            (10, 0.33, "packets of 0.33 ms are 5.28 frames at 16000 Hz"),
            (10, float("inf"), "packets of inf ms"),
        ],
    )
    def test_another_files_trace(self, tmp_path, packets, packet_ms, sentence):
        """A trace that does not fit is refused, and nothing is written."""
        write(tmp_path / "in.wav", noise(1600), RATE)
        losses = Losses(np.zeros(packets, bool), packet_ms, "lost.txt")
        with pytest.raises(ConfigError, match=f"lost.txt: {sentence}"):
            process_file(
                tmp_path / "in.wav", tmp_path / "out.wav", lambda _: chain(), losses=losses
            )
        assert ["in.wav"] == [file.name for file in tmp_path.iterdir()]

    def test_packets_of_part_blocks(self):
        """A chain that was promised blocks cannot take packets of half a block."""
        told = Losses(np.zeros(10, bool), 10.0)
        with pytest.raises(ConfigError, match="no multiple of the chain's blocks of 100"):
            list(stream_blocks(chain(block_frames=100), [noise(1600)], losses=told))
