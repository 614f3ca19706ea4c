# SPDX-License-Identifier: MIT
"""The commands that play: demo, run and calibrate, as a user starts them."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from commands import assert_refused, rtcore
from sounds import Noise
from waiting import PATIENCE_S, reaches

from rtcore import Chain, audiofile
from rtcore.chain.config import chain_from_toml
from rtcore.engine import Engine, JackBackend, Safety
from rtcore.errors import DeviceError
from rtcore.synth import speech_like


def start(*args, cwd):
    """Start a command that plays until it is interrupted."""
    return subprocess.Popen(
        [sys.executable, "-m", "rtcore", *map(str, args)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def plays(folder):
    """Say whether a recording, under whatever name, holds half a second by now."""
    return any(file.stat().st_size > 200_000 for file in folder.iterdir())


def connects(backend, ports):
    """Connect outputs to another client's inputs, if that is there and active by now."""
    try:
        for out, port in zip(backend.outputs, ports, strict=True):
            backend.client.connect(out, port)
    except DeviceError:
        return False
    return True


def make_noise_for(client, frames):
    """Play noise into the inputs of another JACK client, for so many frames."""
    backend = JackBackend(inputs=0, connect=False, client_name="player")
    with Engine(Chain([Noise()]), backend, safety=Safety(enabled=False)) as player:
        assert reaches(lambda: connects(backend, [f"{client}:in_1", f"{client}:in_2"]))
        begun = player.stats()["frames"]
        assert reaches(lambda: player.stats()["frames"] > begun + frames)


class TestDemo:
    """``rtcore demo``."""

    def test_plays_in_real_time_and_gives_what_the_filter_gives(self, tmp_path):
        """The file has the prescribed filter's gain in each band, and does not clip."""
        done = rtcore("demo", "--seconds", 2, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["frames"] == 2 * 48000 + told["latency"]["chain_frames"] + 120
        for _ear, _band, measured, filtered, _prescribed in told["insertion_gain"]:
            assert abs(measured - filtered) < 1.0
        aided, _ = audiofile.read(tmp_path / "rtcore-demo.wav")
        assert np.abs(aided).max() < 1.0
        assert {c["clipped_samples"] for c in told["output"]} == {0}

    def test_has_no_clicks(self, tmp_path):
        """A steady sine keeps the largest step that its frequency allows."""
        rate, hz = 48000, 500.0
        sine = 0.02 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)
        audiofile.write(tmp_path / "sine.wav", sine[np.newaxis], rate)
        done = rtcore("demo", "sine.wav", "--seconds", 1, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        aided, _ = audiofile.read(tmp_path / "rtcore-demo.wav")
        steady = aided[0, 2000:-2000]
        allowed = 2 * np.sin(np.pi * hz / rate) * np.abs(steady).max()
        assert np.abs(np.diff(steady)).max() <= 1.02 * allowed

    def test_refuses_an_unknown_audiogram_and_leaves_nothing(self, tmp_path):
        """One sentence, and no file."""
        assert_refused(rtcore("demo", "--audiogram", "N9", cwd=tmp_path), "N9")
        assert list(tmp_path.iterdir()) == []

    def test_refuses_a_missing_file(self, tmp_path):
        """One sentence that names it."""
        assert_refused(rtcore("demo", "nobody.wav", cwd=tmp_path), "nobody.wav")


class TestRunWithoutADevice:
    """``rtcore run --backend timer``."""

    def test_equals_process(self, tmp_path):
        """What was played in real time is what `process` writes, bit for bit."""
        speech = speech_like(1.0, 44100)[np.newaxis].repeat(2, axis=0)
        audiofile.write(tmp_path / "in.wav", speech.astype(np.float32), 44100)
        live = rtcore(
            "run", "--backend", "timer", "-i", "in.wav", "--record", "live.wav", cwd=tmp_path
        )
        assert live.returncode == 0, live.stderr
        offline = rtcore("process", "in.wav", "offline.wav", "--audiogram", "N3", cwd=tmp_path)
        assert offline.returncode == 0, offline.stderr
        assert (tmp_path / "live.wav").read_bytes() == (tmp_path / "offline.wav").read_bytes()

    def test_refuses_a_chain_for_another_rate(self, tmp_path):
        """The sentence names file, key and remedy."""
        chain = tmp_path / "chain.toml"
        chain.write_text('sample_rate = 44100\n[[plugin]]\nid = "gain"\n')
        done = rtcore("run", "--backend", "timer", "--rate", 48000, "-c", chain, cwd=tmp_path)
        assert_refused(done, "chain.toml: sample_rate", "--rate 44100")

    def test_names_a_device_that_does_not_exist(self, tmp_path):
        """Wrong usage, not a failing machine."""
        assert_refused(rtcore("run", "-o", "no such card", cwd=tmp_path), "no such card")

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_ends_cleanly(self, tmp_path, how):
        """Ctrl-C and SIGTERM finish the recording and print the summary."""
        child = start("run", "--backend", "timer", "--record", "out.wav", cwd=tmp_path)
        assert reaches(lambda: plays(tmp_path))
        child.send_signal(how)
        out, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, err
        assert "late blocks" in out
        assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.live
class TestRunOnJack:
    """``rtcore run`` on JACK's dummy driver."""

    def test_what_was_heard_can_be_made_again(self, tmp_path, jack_server):
        """The recorded input, another program's noise, through the same chain gives the output."""
        chain = tmp_path / "chain.toml"
        chain.write_text('[[plugin]]\nid = "nalr"\n[[plugin]]\nid = "compressor"\n')
        record = ("--record", "out.wav", "--record-input", "in.wav")
        child = start("run", "-c", chain, "--unsafe", *record, cwd=tmp_path)
        make_noise_for("rtcore", 48000)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, err
        heard, rate = audiofile.read(tmp_path / "out.wav", "float32")
        source, _ = audiofile.read(tmp_path / "in.wav", "float32")
        again = chain_from_toml(chain, {"sample_rate": rate, "channels": 2})
        assert heard.any()
        assert np.array_equal(again.process(source), heard)

    def test_says_why_the_output_is_limited(self, tmp_path, jack_server):
        """The reason is printed once, and the quiet start is explained."""
        done = rtcore("run", "--seconds", 0.5, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("-12 dBFS") == 1
        assert "volume -30 dB" in done.stderr

    def test_portaudio_plays_on_it_too(self, tmp_path, jack_server):
        """The device is found by a piece of its name."""
        done = rtcore(
            "run", "--backend", "portaudio", "-o", "system", "--seconds", 1, "--json", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["blocks"] > 10

    def test_calibration_is_stored_and_used(self, tmp_path, jack_server):
        """After a reading the ceiling is in dB SPL."""
        home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        done = rtcore("calibrate", "--seconds", 1, "--reading", 65, cwd=tmp_path, **home)
        assert done.returncode == 0, done.stderr
        assert "RMS 1.0 is 105.0 dB SPL" in done.stdout
        done = rtcore("run", "--seconds", 0.5, cwd=tmp_path, **home)
        assert "100 dB SPL" in done.stderr


def test_an_empty_chain_passes_the_sound():
    """No plugin at all is a chain too."""
    x = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    assert np.array_equal(Chain([], sample_rate=48000, channels=2).process(x), x)
