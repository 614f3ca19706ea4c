# SPDX-License-Identifier: MIT
"""A real network between the two ends: namespaces, delayed or cut off by the kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest
from audio_links import received, receiving, sending, sounds
from commands import rtcore
from waiting import PATIENCE_S

PORT = 5572


def system(words):
    """Run a command of the system's; say whether it worked."""
    return subprocess.run(words.split(), capture_output=True, check=False).returncode == 0


def inside(namespace):
    """Give the words that run a command in a namespace."""
    return ["ip", "netns", "exec", namespace]


@pytest.fixture
def network():
    """Two namespaces joined by a cable whose ends are called as they are."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "tc"))):
        pytest.skip("network namespaces need root, ip and tc")
    one, two = f"rtc{os.getpid()}a", f"rtc{os.getpid()}b"
    made = [
        f"ip netns add {one}",
        f"ip netns add {two}",
        f"ip link add {one} netns {one} type veth peer name {two} netns {two}",
        f"ip -n {one} addr add 10.77.0.1/24 dev {one}",
        f"ip -n {two} addr add 10.77.0.2/24 dev {two}",
        f"ip -n {one} link set {one} up",
        f"ip -n {two} link set {two} up",
    ]
    try:
        if not all(map(system, made)):
            pytest.skip("this machine makes no network namespaces with cables")

        yield one, two
    finally:
        for name in (one, two):
            system(f"ip netns del {name}")


def test_delay_and_jitter_are_absorbed(network, tmp_path):
    """With 30 ms of delay and 10 ms of jitter nothing is lost; the delay shows in the latency."""
    one, two = network
    if not system(f"tc -n {one} qdisc add dev {one} root netem delay 30ms 10ms"):
        pytest.skip("this kernel has no netem")
    assert rtcore("serve", "--keygen", "--keys", "keys", cwd=tmp_path).returncode == 0
    with sending(PORT, "--keys", "keys", cwd=tmp_path, prefix=inside(one), address="10.77.0.1"):
        words = ["--keys", "keys", "--seconds", 4]
        told = received(PORT, *words, cwd=tmp_path, prefix=inside(two), address="10.77.0.1")[
            "network"
        ]
    assert (0, 0) == (told["lost"], told["restarts"])
    assert told["latency_ms"]["p50"] > 300 + 20


def test_a_dead_link_adds_nothing_to_the_latency(network, tmp_path):
    """Two seconds without any packet: losses, and afterwards the depth of before."""
    one, two = network
    assert rtcore("serve", "--keygen", "--keys", "keys", cwd=tmp_path).returncode == 0
    with sending(PORT, "--keys", "keys", cwd=tmp_path, prefix=inside(one), address="10.77.0.1"):
        words = ["--keys", "keys", "--seconds", 14, "--record", "heard.wav"]
        process = receiving(PORT, *words, cwd=tmp_path, prefix=inside(two), address="10.77.0.1")
        sounds(tmp_path)
        time.sleep(1.0)
        assert system(f"ip -n {one} link set {one} down")
        time.sleep(2.0)
        assert system(f"ip -n {one} link set {one} up")
        out, err = process.communicate(timeout=PATIENCE_S)
    assert 0 == process.returncode, err
    told = json.loads(out)["network"]
    assert told["playing"]
    assert told["lost"] + told["gap_s"] > 0
    assert told["latency_last_ms"] < 300 + 200
