# SPDX-License-Identifier: MIT
"""``rtcore roundtrip`` as a user starts it, over JACK's dummy driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from jack_loops import between
from waiting import PATIENCE_S, reaches

from rtcore.engine.backends.jackclient import JackClient


def rtcore(*args):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rtcore", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def assert_refused(done, code, *words):
    """One sentence with these words and this exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.live
class TestCommandOnJack:
    """``rtcore roundtrip`` as a user starts it."""

    QUICK = ("roundtrip", "--connect", "loop", "--seconds", 0.1)

    def test_table(self, jack_server):
        """The table, what is constant, what was reported, and the arithmetic."""
        done = rtcore(*self.QUICK, "--restarts", 3, "--drift", 2)
        assert done.returncode == 0, done.stderr
        for words in (
            "constant: 64 frames (1.333 ms) in 3 of 3 restarts",
            "reported: 0 in + 0 out = 0 frames (JACK port latencies); measured is +64 frames",
            "period arithmetic: 1 x 64 + 0 frames: equal to the expected 64",
            "device clock",
        ):
            assert words in done.stdout

    def test_json(self, jack_server):
        """All restarts, what was reported, the sum, the drift and the machine."""
        done = rtcore(*self.QUICK, "--restarts", 2, "--drift", 2, "--json", "--expect", 64)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [64.0, 64.0] == [run["frames"] for run in told["restarts"]]
        assert told["constant"] is True
        assert told["arithmetic"]["equal"] is True
        assert 64 == told["reported"]["difference_frames"]
        assert 0.0 == told["drift"]["delay"]["ppm"]
        assert told["machine"]["cores"] == os.cpu_count()

    def test_another_round_trip_than_expected(self, jack_server):
        """That is a failed check."""
        done = rtcore(*self.QUICK, "--restarts", 1, "--expect", 65)
        assert_refused(done, 1, "is 64 frames and not always the expected 65")
        assert "constant: 64 frames" in done.stdout

    def test_nothing_came_back(self, jack_server):
        """The dummy's loudspeaker is not led to its microphone."""
        done = rtcore("roundtrip", "--restarts", 1, "--seconds", 0.1)
        assert_refused(done, 3, "nothing came back on input 1", "keep headphones off")

    def test_named_ports(self, jack_server):
        """The ports of another program are found by name, and missed by name."""
        with between(100):
            done = rtcore(
                *("roundtrip", "--connect", "between:in_1,between:out_1", "--seconds", 0.1),
                *("--restarts", 2, "--expect", 164),
            )
        assert done.returncode == 0, done.stderr
        done = rtcore("roundtrip", "--connect", "between:in_1,between:out_1", "--restarts", 1)
        assert_refused(done, 3, "there is no port 'between:in_1'")

    def test_another_block(self, jack_server):
        """The server decides about its period."""
        done = rtcore(*self.QUICK, "--block", 32)
        assert_refused(done, 2, "the JACK server's period is 64 frames, got 32", "-p 32")

    def test_ctrl_c(self, jack_server):
        """An interrupted measurement gives the device back and leaves with 130."""
        child = subprocess.Popen(
            [sys.executable, "-m", "rtcore", "roundtrip", "--connect", "loop", "--restarts", "999"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with JackClient("look") as look:  # until its ports are there
            assert reaches(lambda: any(not name.startswith("system:") for name in look.ports()))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE_S)
        assert (130, "") == (child.returncode, out)
        assert "Traceback" not in err
        assert rtcore(*self.QUICK, "--restarts", 1, "--expect", 64).returncode == 0


class TestCommandRefuses:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--connect", "nowhere"), "none of loop, system, none and SEND,RETURN"),
            (("--connect", "loop", "--no-connect"), "exclude one another"),
            (("--backend", "jack", "-o", "1"), "over JACK choose ports with --connect"),
            (("--backend", "portaudio", "--connect", "loop"), "only JACK has ports to connect"),
            (("--level", "0"), "--level"),
        ],
    )
    def test_wrong_usage(self, options, words):
        """One sentence, before anything is opened."""
        assert_refused(rtcore("roundtrip", *options), 2, words)

    def test_no_server(self, jack_name):
        """A loop needs a server, and the sentence says how to start one."""
        done = rtcore("roundtrip", "--connect", "loop")
        assert_refused(done, 3, "the JACK server is not running; start it")


@pytest.mark.live
class TestPortAudio:
    def test_command(self, jack_server):
        """Over PortAudio the command says that nothing came back, and which channels there are."""
        quick = ("roundtrip", "--backend", "portaudio", "--restarts", 1, "--seconds", 0.1)
        assert_refused(rtcore(*quick), 3, "nothing came back on input 1")
        done = rtcore(*quick, "--input-channel", 3)
        assert_refused(done, 2, "input channel 3: device 'system", "has 2; give a smaller")
