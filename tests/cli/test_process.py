# SPDX-License-Identifier: MIT
"""``rtcore process`` writes what the chain plays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore import Chain
from rtcore.audiofile import read, write
from rtcore.chain.config import config_from_chain
from rtcore.host import find

CEC2 = Path(__file__).resolve().parents[2] / "examples" / "chains" / "cec2.toml"


class TestOneFile:
    """One file in, one file out."""

    def test_equals_the_chain(self, rtcore, sound):
        """The file holds what the chain renders, tail included, bit for bit."""
        result = rtcore("process", sound, "out.wav", "-c", CEC2, "--subtype", "DOUBLE")
        assert 0 == result.exit_code, result.stderr
        expected = Chain.from_toml(CEC2).render(read(sound)[0])
        assert np.array_equal(expected, read("out.wav")[0])

    def test_no_tail(self, rtcore, sound):
        """Without the tail the output is as long as the input."""
        rtcore("process", sound, "out.wav", "-c", CEC2, "--no-tail")
        assert soundfile.info("out.wav").frames == soundfile.info(sound).frames

    @pytest.mark.parametrize("block", [1, 64, 100, 1000])
    def test_any_block(self, rtcore, sound, block):
        """Blocks of any size give the same file."""
        rtcore("process", sound, "one.wav", "-c", CEC2)
        rtcore("process", sound, "two.wav", "-c", CEC2, "--block", block)
        assert Path("one.wav").read_bytes() == Path("two.wav").read_bytes()

    def test_audiogram(self, rtcore, sound):
        """An audiogram makes a hearing aid, which is louder and stays below full scale."""
        rtcore("process", sound, "out.wav", "--audiogram", "N3")
        x, y = read(sound)[0], read("out.wav")[0]
        assert np.sqrt(np.mean(y**2)) > 1.5 * np.sqrt(np.mean(x**2))
        assert 1.0 > np.abs(y).max()

    def test_levels(self, rtcore, sound):
        """Levels on the command line give each ear its own gain."""
        levels = ["--left", "0,0,0", "--right", "60,60,60", "--frequencies", "500,1000,4000"]
        rtcore("process", sound, "out.wav", *levels)
        left, right = np.sqrt(np.mean(read("out.wav")[0] ** 2, axis=1))
        assert right > 1.5 * left

    def test_plugins_in_a_row(self, rtcore, sound):
        """Plugins named on the command line stand in a row, with their values."""
        rtcore("process", sound, "out.wav", "-p", "gain:gain_db=-6", "-p", "delay:delay_frames=10")
        y = read("out.wav")[0]
        expected = np.float32(10 ** (-6 / 20)) * read(sound, "float32")[0]
        assert np.array_equal(expected, y[:, 10:].astype(np.float32))

    def test_formats(self, rtcore, sound):
        """The suffix chooses the format, --subtype the samples."""
        rtcore("process", sound, "out.flac", "-p", "gain", "--subtype", "pcm_16")
        assert ("FLAC", "PCM_16") == (
            soundfile.info("out.flac").format,
            soundfile.info("out.flac").subtype,
        )
        assert np.array_equal(read(sound)[0], read("out.flac")[0])

    def test_mono(self, rtcore, home):
        """A chain that names no channels takes a file with one."""
        write(home / "mono.wav", np.zeros(1000), 16000)
        assert 0 == rtcore("process", "mono.wav", "out.wav", "-p", "gain").exit_code
        assert (1, 16000) == (
            soundfile.info("out.wav").channels,
            soundfile.info("out.wav").samplerate,
        )

    def test_json(self, rtcore, sound):
        """The summary can be had as JSON."""
        result = rtcore("process", sound, "out.wav", "-p", "gain", "--json")
        (entry,) = json.loads(result.stdout)["files"]
        assert (66150, 66150, "FLOAT") == (
            entry["frames_in"],
            entry["frames_out"],
            entry["subtype"],
        )

    def test_clipping_is_told(self, rtcore, sound):
        """Samples that did not fit are counted on standard error."""
        result = rtcore("process", sound, "out.wav", "-p", "gain:gain_db=20", "--subtype", "PCM_16")
        assert 0 == result.exit_code
        assert "samples were clipped; lower the gain" in result.stderr

    def test_fault_is_told(self, rtcore, sound, home, monkeypatch):
        """A plugin that gives NaN is named with its frame, and the exit code is 1."""
        text = (
            "from rtcore import Plugin, kernel\n"
            "class Bad(Plugin):\n    id = 'bad_fault'\n    @kernel\n"
            "    def process(x, y):\n        for c in range(x.shape[0]):\n"
            "            for i in range(x.shape[1]):\n"
            "                y[c, i] = x[c, i] / (x[c, i] - x[c, i])\n"
        )
        (home / "bad_fault.py").write_text(text)
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(home))
        result = rtcore("process", sound, "out.wav", "-p", "bad_fault")
        assert 1 == result.exit_code
        assert "plugin[0].bad_fault gave NaN or Inf at frame 0" in result.stderr
        assert 0.0 == np.abs(read("out.wav")[0]).max()


class TestInterrupt:
    """Ctrl-C in the middle."""

    def test_leaves_nothing(self, rtcore_process, home):
        """A process that is interrupted while it writes leaves no part of its output."""
        write("long.wav", np.zeros((1, 44100 * 60), np.float32), 44100)
        Path("out").mkdir()
        assert 0 == rtcore_process("process", "long.wav", "warm.wav", "-p", "gain").returncode
        words = ["process", "long.wav", "out/y.wav", "-p", "gain", "--block", "1"]
        command = [sys.executable, "-m", "rtcore", *words]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
            while child.poll() is None and not list(Path("out").iterdir()):
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=60)
        assert 130 == child.returncode, errors
        assert "Traceback" not in errors
        assert [] == list(Path("out").iterdir())


class TestManyFiles:
    """A folder of files."""

    @pytest.fixture
    def files(self, sound):
        """Three sounds, the one in the middle broken."""
        for name in ("a.wav", "c.flac"):
            write(name, read(sound)[0][:, :5000], 44100)
        Path("b.wav").write_bytes(b"RIFF nothing")
        return ["a.wav", "b.wav", "c.flac"]

    def test_goes_on_after_a_bad_one(self, rtcore, files):
        """A bad file is reported, the others are done, and the exit code says so."""
        result = rtcore("process", *files, "out", "-p", "gain")
        assert 2 == result.exit_code
        assert result.stdout.endswith("2 done, 1 failed\n")
        assert 1 == len(result.stderr.splitlines())
        assert result.stderr.startswith("error: b.wav: ")
        assert ["a.wav", "c.flac"] == sorted(path.name for path in Path("out").iterdir())

    def test_json(self, rtcore, files):
        """JSON holds the failures with their reasons."""
        summary = json.loads(rtcore("process", *files, "out", "-p", "gain", "--json").stdout)
        assert (2, 1) == (summary["done"], summary["failed"])
        assert "b.wav" == summary["errors"][0]["source"]

    def test_format(self, rtcore, files):
        """--format chooses the format of all."""
        rtcore("process", "a.wav", "c.flac", "out", "-p", "gain", "--format", "ogg")
        assert ["a.ogg", "c.ogg"] == sorted(path.name for path in Path("out").iterdir())

    def test_one_file_into_a_folder(self, rtcore, files):
        """One file into a folder keeps its name."""
        Path("out").mkdir()
        rtcore("process", "a.wav", "out", "-p", "gain")
        assert Path("out/a.wav").is_file()

    def test_same_names(self, rtcore, files):
        """Two inputs that would become one output are refused before anything is written."""
        Path("sub").mkdir()
        write("sub/a.wav", np.zeros(100), 44100)
        result = rtcore("process", "a.wav", "sub/a.wav", "out", "-p", "gain")
        assert 2 == result.exit_code
        assert "would both become out/a.wav" in result.stderr

    def test_wrong_chain_stops_at_once(self, rtcore, files):
        """A mistake in the chain is told once and makes no folder."""
        result = rtcore("process", *files, "out", "-p", "gian")
        assert 1 == len(result.stderr.splitlines())
        assert not Path("out").exists()


class TestReplay:
    """A recorded session, played again."""

    def test_equals_the_session(self, rtcore, sound):
        """Changes are applied at their frames: the file equals what the session played."""
        chain = Chain([find("gain")(), find("delay")(delay_frames=5)], sample_rate=44100)
        header = {"event": "session", "rtcore": "0", "chain": config_from_chain(chain)}
        events = []
        chain.stream.on_event = events.append
        x = read(sound, "float32")[0]
        chain.update("gain", at_frame=12345, gain_db=-20.0)
        first = chain.process(x[:, :30000])
        chain.reset()
        chain.update("gain", gain_db=3.0)
        second = chain.process(x[:, 30000:])
        played = np.concatenate([first, second, chain.flush()], axis=1)
        lines = [header, *events]
        Path("session.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        result = rtcore("process", sound, "out.wav", "--replay", "session.jsonl")
        assert 0 == result.exit_code, result.stderr
        assert np.array_equal(played, read("out.wav", "float32")[0])


class TestTrace:
    """Files whose packets were lost."""

    @pytest.fixture
    def lossy(self, home):
        """Write a sound of ten packets of 20 ms, of which two are lost, and its trace."""
        x = np.random.default_rng(3).uniform(-0.3, 0.3, 3200)
        write(home / "in.wav", x, 16000)
        Path("lost.txt").write_bytes(b"".join(b"%d\r\n" % (k in (4, 7)) for k in range(10)))
        return x

    def test_lost_packets_are_concealed(self, rtcore, lossy):
        """Lost packets hold the substitute, whatever the file has there; the rest is as it was."""
        words = ["in.wav", "out.wav", "--trace", "lost.txt", "--subtype", "DOUBLE"]
        assert 0 == rtcore("process", *words, "-p", "plc-zero").exit_code
        y = read("out.wav")[0][0]
        gone = np.repeat(np.isin(np.arange(10), (4, 7)), 320)
        assert np.array_equal(gone, y == 0.0)
        assert np.array_equal(read("in.wav")[0][0, ~gone].astype(np.float32), y[~gone])

    def test_any_packet_length(self, rtcore, lossy):
        """With packets of 40 ms half as many lines are wanted."""
        words = ["process", "in.wav", "out.wav", "-p", "plc-zero", "--packet-ms", "40"]
        refused = rtcore(*words, "--trace", "lost.txt")
        assert (2, True) == (refused.exit_code, "give the file's own trace" in refused.stderr)
        Path("half.txt").write_text("0\n1\n0\n0\n1\n", "utf-8")
        assert 0 == rtcore(*words, "--trace", "half.txt").exit_code
        assert 1280 == np.count_nonzero(read("out.wav")[0] == 0.0)

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--trace", "no.txt"], "no.txt: there is no such trace"),
            (["--trace", "in.wav"], "in.wav"),
            (["--trace", "lost.txt", "--packet-ms", "0"], "must be more than 0, got 0"),
            (["--trace", "lost.txt", "--packet-ms", "nan"], "must be more than 0, got nan"),
            (["--trace", "lost.txt", "--replay", "log"], "give --trace or --replay, not both"),
            (["--trace", "lost.txt", "--block", "100"], "give another --block, or none"),
        ],
    )
    def test_refused(self, rtcore, lossy, words, sentence):
        """What cannot be done is refused with a sentence, and nothing is written."""
        result = rtcore("process", "in.wav", "out.wav", "-p", "plc-pitch", *words)
        assert 2 == result.exit_code
        assert sentence in result.stderr
        assert not Path("out.wav").exists()
