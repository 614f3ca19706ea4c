# SPDX-License-Identifier: MIT
"""``rtcore send`` and ``rtcore receive`` as two processes over loop-back."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
from audio_links import (
    DEPTH_MS,
    ended,
    free_port,
    noise,
    received,
    receiving,
    sending,
    undisturbed,
)
from commands import assert_refused, rtcore
from waiting import PATIENCE_S

from rtcore import Chain, audiofile
from rtcore.challenges.plc.loss_models import parse_model
from rtcore.host import find

RATE, PACKET = 16000, 320
#: So far off its target a depth is mended at any drift, whatever came since the last turn.
FAR_MS = 20


def offline(concealer, came, lost, prefix):
    """Conceal the packets (numbers, PACKET) offline, behind so many frames of silence."""
    chain = Chain([find(concealer)()], sample_rate=RATE, channels=1)
    heard = [chain.process(np.zeros((1, prefix), np.float32))] if prefix else []
    for samples, gone in zip(came, lost, strict=True):
        piece = np.zeros_like(samples) if gone else samples
        heard.append(chain.process(piece[None], lost=bool(gone)))
    return np.concatenate(heard, axis=1)


def prefix_of(path):
    """Give the frames before the first packet; a packet of noise begins with no 0."""
    return int(np.flatnonzero(audiofile.read(path)[0][0])[0])


@pytest.mark.parametrize("concealer", ["plc-pitch", "plc"])
def test_equals_offline_concealment_of_the_trace(concealer, tmp_path):
    """With a recorded trace, what was heard is bit for bit what the trace gives offline."""
    lost = parse_model("gilbert:0.1,0.4").generate(1, 500, np.random.default_rng(1))[0]
    (tmp_path / "trace.txt").write_text("".join(f"{int(gone)}\n" for gone in lost))
    port = free_port()
    words = ["-p", concealer, "--loss", "trace.txt", "--seconds", 4, "--log", "log.jsonl"]
    files = ["--record", "heard.wav", "--record-input", "came.wav"]
    with sending(port, cwd=tmp_path):
        told = undisturbed(port, *words, *files, cwd=tmp_path)
    network = told["network"]
    assert (0, 0, 0) == (network["late"], network["restarts"], network["refused_messages"])
    heard = audiofile.read(tmp_path / "heard.wav")[0].astype(np.float32)
    prefix, first = prefix_of(tmp_path / "came.wav"), network["first_packet"]
    count = (heard.shape[1] - prefix) // PACKET
    gone = lost[np.arange(first, first + count) % lost.size]
    assert 100 < count
    assert gone.any()
    expected = offline(concealer, noise(first + count, PACKET)[first:], gone, prefix)
    assert np.array_equal(expected, heard[:, : expected.shape[1]])
    assert network["lost"] - int(gone.sum()) in (0, 1)  # the last packet has only begun

    done = rtcore("process", "came.wav", "again.wav", "--replay", "log.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = audiofile.read(tmp_path / "again.wav")[0].astype(np.float32)
    assert np.array_equal(heard, again[:, : heard.shape[1]])


def test_nothing_is_lost_and_the_latency_is_measured(tmp_path):
    """Without losses every packet is played once; the latency is the depth and one packet."""
    port = free_port()
    with sending(port, cwd=tmp_path) as sender:
        told = undisturbed(port, "--seconds", 4, "--record-input", "came.wav", cwd=tmp_path)
        sent = ended(sender)["sender"]
    network = told["network"]
    assert (0, 0, 0.0) == (network["lost"], network["late"], network["gap_s"])
    came = audiofile.read(tmp_path / "came.wav")[0].astype(np.float32)
    prefix, first = prefix_of(tmp_path / "came.wav"), network["first_packet"]
    frames = came.shape[1] - prefix
    expected = noise(first + frames // PACKET + 1, PACKET)[first:].reshape(-1)[:frames]
    assert np.array_equal(expected, came[0, prefix:])
    assert sent["packets"] >= network["received"]
    assert DEPTH_MS <= network["latency_ms"]["p50"] < 3 * DEPTH_MS


def test_drifting_clocks_lose_nothing(tmp_path):
    """With clocks 200 ppm apart and jitter all is played, at a speed that mends the depth.

    How far off the depth is depends on the machine; ``test_drift.py`` tells how it comes back, with
    clocks that no machine disturbs.
    """
    port = free_port()
    words = ["--seconds", 8, "--jitter-ms", 5]
    with sending(port, "--clock-ppm", 200, cwd=tmp_path):
        network = undisturbed(port, *words, cwd=tmp_path)["network"]
    assert (0, 0) == (network["lost"], network["restarts"])
    assert 0 < abs(network["speed_ppm"]) <= 1e4
    off_ms = network["depth_ms"] - network["target_ms"]
    assert abs(off_ms) < FAR_MS or off_ms * network["speed_ppm"] > 0


def test_a_receiver_that_is_started_again_goes_on(tmp_path):
    """One receiver is killed, the next one hears the same stream; the sender does not care."""
    port = free_port()
    with sending(port, cwd=tmp_path) as sender:
        first = receiving(port, "--record-input", "one.wav", cwd=tmp_path)
        try:
            first.communicate(timeout=6)
        except Exception:  # noqa: BLE001 - it plays on until it is killed
            first.kill()
            first.communicate()
        network = undisturbed(port, "--seconds", 3, cwd=tmp_path)["network"]
        sent = ended(sender)
    assert (0, 0, 0) == (network["lost"], network["restarts"], network["late"])
    assert network["first_packet"] > 0
    assert 0 == sent["engine"]["recorder_lost_frames"]


def test_a_stall_does_not_add_to_the_latency(tmp_path):
    """A receiver that stood still for two seconds is soon as deep as before."""
    port = free_port()
    with sending(port, cwd=tmp_path):
        process = receiving(port, "--seconds", 12, "--log", "log.jsonl", cwd=tmp_path)
        end = time.monotonic() + PATIENCE_S
        while not list(tmp_path.glob(".log.jsonl*")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(2.0)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert 0 == process.returncode, err
    network = json.loads(out)["network"]
    assert 1 <= network["restarts"] <= 3
    assert network["latency_last_ms"] < DEPTH_MS + 200
    assert network["playing"]


def test_only_known_clients_may_listen(tmp_path):
    """With keys a stranger hears nothing, and whoever has a key hears everything."""
    assert rtcore("serve", "--keygen", "--keys", "keys", cwd=tmp_path).returncode == 0
    port = free_port()
    with sending(port, "--keys", "keys", cwd=tmp_path):
        network = received(port, "--keys", "keys", "--seconds", 1, cwd=tmp_path)["network"]
        words = ["receive", f"127.0.0.1:{port}", "--backend", "timer", "--wait", 3]
        stranger = rtcore(*words, cwd=tmp_path)
    assert network["received"] > 0
    assert 3 == stranger.returncode
    assert "no sound came within 3 s" in stranger.stderr


def test_no_keys_no_other_address(tmp_path):
    """Others than this machine may connect only where keys say who."""
    done = rtcore("send", "0.0.0.0", "--backend", "timer", "-i", "tone", cwd=tmp_path)
    assert_refused(done, "others could connect there without being known")


def test_impossible_losses_are_refused(tmp_path):
    """A model, a trace file and an address that do not exist, each in a sentence."""
    for words, part in (
        (["--loss", "ge:2,0.3"], "must lie between 0 and 1"),
        (["--loss", "missing.txt"], "missing.txt"),
        (["127.0.0.1:70000"], "must be HOST:PORT"),
        (["--depth-ms", "0"], "depth"),
    ):
        assert_refused(rtcore("receive", "--backend", "timer", *words, cwd=tmp_path), part)
