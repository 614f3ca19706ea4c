# SPDX-License-Identifier: MIT
"""``rtcore plc conceal`` writes what the chain plays, for sets of either year."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.challenges.plc.traces import read_trace, write_trace

HOLD = ["-p", "hold-last"]


def ints(path):
    return soundfile.read(path, dtype="int16")[0]


def held(lossy, lost, packet):
    """Conceal by plain Python: play the last packet that came again."""
    y, last = lossy.copy(), np.zeros(packet, np.int16)
    for k, gone in enumerate(lost):
        piece = y[k * packet : (k + 1) * packet]
        if gone:
            piece[:] = last[: len(piece)]
        else:
            last[: len(piece)] = piece
    return y


def make_clip(folder, name, lost, rate=16000, rest=0, seed=0):
    """Write a lossy sound without other zeros, and its trace; give the samples."""
    packet = rate // 50
    frames = len(lost) * packet - (packet - rest if rest else 0)
    x = np.random.default_rng(seed).integers(1, 20000, frames).astype(np.int16)
    x[np.repeat(lost, packet)[:frames]] = 0
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{name}.wav", x, rate, subtype="PCM_16")
    write_trace(folder / f"{name}_is_lost.txt", lost)
    return x


LOST = np.array([0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1], bool)


@pytest.fixture
def three(home):
    """Write a set of three clips."""
    return {k: make_clip(home / "in", k, np.roll(LOST, k), seed=k) for k in (1, 2, 10)}


class TestSound:
    """Each output is as long as its input, lies over it, and equals it where nothing was lost."""

    def test_equals_plain_python(self, rtcore, three):
        """Each clip is concealed from a fresh beginning, bit for bit."""
        result = rtcore("plc", "conceal", "in", "out", *HOLD)
        assert 0 == result.exit_code, result.stderr
        assert "3 done, 0 skipped, 0 failed" in result.stdout
        for k, x in three.items():
            assert np.array_equal(held(x, np.roll(LOST, k), 320), ints(f"out/{k}.wav"))
            header = soundfile.info(f"out/{k}.wav")
            assert (16000, 1, "PCM_16") == (header.samplerate, header.channels, header.subtype)

    @pytest.mark.parametrize("delay", [1, 320, 777])
    def test_latency_is_taken_out(self, rtcore, three, delay):
        """A chain that is late gives the same files, and says by how much; or it stays late."""
        plugin = f"hold-last:delay_frames={delay}"
        result = rtcore("plc", "conceal", "in", "out", "-p", plugin)
        assert f"latency of {delay} frames" in result.stdout
        assert "was taken out" in result.stdout
        late = rtcore("plc", "conceal", "in", "late", "-p", plugin, "--no-align")
        assert "was left in" in late.stdout
        for k, x in three.items():
            expected = held(x, np.roll(LOST, k), 320)
            assert np.array_equal(expected, ints(f"out/{k}.wav"))
            shifted = np.concatenate([np.zeros(delay, np.int16), expected])[: len(expected)]
            assert np.array_equal(shifted, ints(f"late/{k}.wav"))

    @pytest.mark.parametrize("rate", [8000, 16000, 48000])
    @pytest.mark.parametrize("counted", [False, True])
    def test_partial_packet(self, rtcore, home, rate, counted):
        """A piece of a packet at the end is played, whether the trace counts it or not."""
        lost = np.array([0, 1, 0, 0], bool)
        x = make_clip(home / "in", 7, lost, rate, rest=100)
        if not counted:
            write_trace(home / "in/7_is_lost.txt", lost[:-1])
        assert 0 == rtcore("plc", "conceal", "in", "out", *HOLD).exit_code
        assert np.array_equal(held(x, lost, rate // 50), ints("out/7.wav"))

    def test_chain_file(self, rtcore, three):
        """A chain file conceals as the same plugin on the command line does."""
        Path("chain.toml").write_text('[[plugin]]\nid = "hold-last"\n')
        rtcore("plc", "conceal", "in", "one", "-c", "chain.toml")
        rtcore("plc", "conceal", "in", "two", *HOLD)
        for k in three:
            assert Path(f"one/{k}.wav").read_bytes() == Path(f"two/{k}.wav").read_bytes()

    def test_processes_change_nothing(self, rtcore, three):
        """Two processes write the same bytes as one."""
        rtcore("plc", "conceal", "in", "one", *HOLD, "--jobs", 1)
        result = rtcore("plc", "conceal", "in", "two", *HOLD, "--jobs", 2, "--json")
        assert 3 == json.loads(result.stdout)["done"], result.stderr
        for k in three:
            assert Path(f"one/{k}.wav").read_bytes() == Path(f"two/{k}.wav").read_bytes()


class TestLayouts:
    """Sets are found as they come."""

    def test_folder_above(self, rtcore, home):
        """The folder above lossy_signals is a set, and that folder itself too."""
        make_clip(home / "blind/lossy_signals", 5, LOST)
        for source in ("blind", "blind/lossy_signals"):
            told = json.loads(rtcore("plc", "conceal", source, "o", "--dry-run", "--json").stdout)
            assert ("2022", True, ["5.wav"]) == (told["layout"], told["blind"], told["names"])
        assert 0 == rtcore("plc", "conceal", "blind", "out", *HOLD).exit_code
        assert Path("out/5.wav").is_file()

    def test_unix_line_ends(self, rtcore, three):
        """Traces without CRLF and without an end of the last line do as well."""
        for file in Path("in").glob("*.txt"):
            file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").rstrip())
        assert 0 == rtcore("plc", "conceal", "in", "out", *HOLD).exit_code

    @pytest.mark.parametrize("where", ["", "wavs/", "lossy/"])
    def test_2024(self, rtcore, home, where):
        """A csv tells the traces; its sounds lie beside it or below, clean ones do not disturb."""
        x = make_clip(home / "set" / where, "f_1", LOST, 48000)
        (home / "set" / where / "f_1_is_lost.txt").unlink()
        shutil.copytree("set" if not where else f"set/{where}", "set/clean/sub")
        digits = " ".join(str(int(entry)) for entry in LOST)
        Path("set/val_meta.csv").write_text(f"name,a,b,trace\nf_1.wav,1,2,{digits}\n")
        for source in ("set", "set/val_meta.csv"):
            result = rtcore("plc", "conceal", source, "out", *HOLD, "--again")
            assert 0 == result.exit_code, result.stderr
            assert np.array_equal(held(x, LOST, 960), ints("out/f_1.wav"))

    def test_made_sets(self, rtcore, speech):
        """What make writes, conceal reads: both years, blind or not."""
        for layout in ("2022", "2024"):
            words = ["--model", "gilbert:0.1,0.4", "--layout", layout, "--seconds", "3"]
            rtcore("plc", "make", speech, f"open{layout}", *words)
            rtcore("plc", "make", speech, f"set{layout}", *words, "--blind")
            one = rtcore("plc", "conceal", f"open{layout}", f"one{layout}", *HOLD)
            two = rtcore("plc", "conceal", f"set{layout}/blind", f"two{layout}", *HOLD)
            assert (0, 0) == (one.exit_code, two.exit_code), one.stderr + two.stderr
            names = {p.name for p in Path(f"one{layout}").glob("*.wav")}
            assert names == {p.name for p in Path(f"open{layout}").rglob("*.wav")}
            assert all(
                Path(f"one{layout}/{n}").read_bytes() == Path(f"two{layout}/{n}").read_bytes()
                for n in names
            )

    def test_limit(self, rtcore, three):
        """The first clips are those of the lowest numbers."""
        rtcore("plc", "conceal", "in", "out", *HOLD, "--limit", 2)
        assert {"1.wav", "2.wav"} == {p.name for p in Path("out").glob("*.wav")}

    def test_from_zeros(self, rtcore, three):
        """Sets without traces are concealed where their packets are zeros."""
        rtcore("plc", "conceal", "in", "one", *HOLD)
        for file in Path("in").glob("*.txt"):
            file.unlink()
        result = rtcore("plc", "conceal", "in", "two", *HOLD, "--from-zeros")
        assert 0 == result.exit_code, result.stderr
        for k in three:
            assert Path(f"one/{k}.wav").read_bytes() == Path(f"two/{k}.wav").read_bytes()


WRONG = {
    "short": (lambda t: write_trace(t, read_trace(t)[:-2]), "is too short: 10 packets (0.20 s)"),
    "long": (lambda t: write_trace(t, np.append(read_trace(t), True)), "is too long: 13 packets"),
    "characters": (lambda t: t.write_text("0\n1\nlost\n"), "line 3: got 'lost'"),
    "missing": (Path.unlink, "there is no such trace"),
    "empty": (lambda t: t.write_text("\r\n"), "holds no packets"),
    "other file": (
        lambda t: write_trace(t, np.roll(read_trace(t), 1)),
        "is for another file: 4 of the 6",
    ),
    "no sound": (lambda t: (t.parent / "2.wav").unlink(), "there is no such file"),
    "broken sound": (lambda t: (t.parent / "2.wav").write_bytes(b"RIFF"), "is not audio"),
}


class TestBadClips:
    """A bad clip is told, and the rest is done."""

    @pytest.mark.parametrize(("kind", "jobs"), [*((kind, 1) for kind in WRONG), ("short", 2)])
    def test_wrong_trace(self, rtcore, three, kind, jobs):
        """Each kind of wrong trace or sound gets its sentence, and exit code 2."""
        spoil, words = WRONG[kind]
        spoil(Path("in/2_is_lost.txt"))
        result = rtcore("plc", "conceal", "in", "out", *HOLD, "--jobs", jobs)
        assert 2 == result.exit_code
        (line,) = result.stderr.strip().splitlines()
        assert words in line
        assert line.startswith("error: ")
        assert "in/2" in line
        assert "2 done, 0 skipped, 1 failed" in result.stdout
        assert {"1.wav", "10.wav"} == {p.name for p in Path("out").glob("*.wav")}

    def test_no_check(self, rtcore, three):
        """A trace for another file can be insisted on: what it marks is lost, sound or not."""
        lost = np.roll(read_trace("in/2_is_lost.txt"), 1)
        write_trace("in/2_is_lost.txt", lost)
        result = rtcore("plc", "conceal", "in", "out", *HOLD, "--no-check")
        assert 0 == result.exit_code, result.stderr
        assert np.array_equal(held(three[2], lost, 320), ints("out/2.wav"))

    def test_plugin_breaks(self, rtcore, three):
        """A plugin that gives NaN fails its clip alone, with exit code 1, and no other."""
        x = ints("in/2.wav")
        x[5] = -32768
        soundfile.write("in/2.wav", x, 16000, subtype="PCM_16")
        result = rtcore("plc", "conceal", "in", "out", "-p", "breaks-loud", "--jobs", 1)
        assert 1 == result.exit_code
        assert "2.wav: plugin[0].breaks-loud gave NaN or Inf at frame 0" in result.stderr
        assert {"1.wav", "10.wav"} == {p.name for p in Path("out").glob("*.wav")}

    def test_2024_rows(self, rtcore, home):
        """A damaged row of the csv fails its clip, with the line."""
        for k in (1, 2, 3):
            make_clip(home / "set", k, LOST, 48000, seed=k)
        good = " ".join(str(int(entry)) for entry in LOST)
        rows = [f"1.wav,{good}", f"2.wav,{good[:-1]}x", f"3.wav,{good}", f"4.wav,{good}"]
        Path("set/meta.csv").write_text("\n".join(["name,trace", *rows]))
        result = rtcore("plc", "conceal", "set", "out", *HOLD)
        assert 2 == result.exit_code
        assert "meta.csv, line 3: packet 12 of the trace is 'x'" in result.stderr
        assert "4.wav: there is no such file" in result.stderr
        assert "2 done, 0 skipped, 2 failed" in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["in", "in", *HOLD], "holds the input, which would be overwritten"),
        (["nowhere", "out", *HOLD], "there is no such folder or csv"),
        (["empty", "out", *HOLD], "is no PLC set"),
        (["in/1.wav", "out", *HOLD], "is neither a folder nor a csv"),
        (["above", "out", *HOLD], "holds several sets (a, b)"),
        (["in", "out", "-p", "hold-lost"], "there is no plugin 'hold-lost'"),
        (["in", "out", *HOLD, "-c", "x.toml"], "give -c CHAIN or -p PLUGIN, not both"),
        (["in", "out", "-c", "x.toml"], "x.toml"),
        (["in", "file", *HOLD], "is a file; name a folder for the concealed clips"),
        (["in", "out", "-c", "rate.toml"], "is for 44100 Hz, and the clips have 16000 Hz"),
        (["in", "out", "-c", "two.toml"], "is for 2 channels, and the clips have 1"),
        (["in", "out", "-c", "mix.toml"], "gives 2 channels for 1"),
        (["twice", "out", *HOLD], "1.wav stands in the list a second time"),
        (["csvs", "out", *HOLD], "holds several csv files with traces"),
    ],
)
def test_wrong_usage(rtcore, three, words, sentence):
    """Each mistake gets one sentence and exit code 2, and nothing is written."""
    Path("empty").mkdir()
    for name in "ab":
        make_clip(Path("above") / name, 1, LOST)
    Path("file").write_text("")
    plugin = '[[plugin]]\nid = "hold-last"\n'
    Path("rate.toml").write_text(f"sample_rate = 44100\n{plugin}")
    Path("two.toml").write_text(f"channels = 2\n{plugin}")
    Path("mix.toml").write_text('[[plugin]]\nid = "mix"\npreset = "stereo"\n')
    for folder in ("twice", "csvs"):
        Path(folder).mkdir()
        Path(f"{folder}/one.csv").write_text("1.wav,0 1\n1.wav,0 1\n")
    Path("csvs/two.csv").write_text("1.wav,0 1\n")
    result = rtcore("plc", "conceal", *words)
    assert 2 == result.exit_code
    assert sentence in result.stderr
    assert 1 == len(result.stderr.strip().splitlines())
    assert not Path("out").exists()


class TestRestart:
    """What is finished is not done again, unless something changed."""

    def count(self, rtcore, *words):
        told = json.loads(rtcore("plc", "conceal", "in", "out", *words, "--json").stdout)
        return told["done"], told["skipped"], told["failed"]

    def test_skips(self, rtcore, three):
        """A second run skips all, and leaves the files as they are."""
        assert (3, 0, 0) == self.count(rtcore, *HOLD)
        before = {p: p.stat().st_mtime_ns for p in Path("out").glob("*.wav")}
        assert (0, 3, 0) == self.count(rtcore, *HOLD)
        assert before == {p: p.stat().st_mtime_ns for p in Path("out").glob("*.wav")}
        assert (3, 0, 0) == self.count(rtcore, *HOLD, "--again")

    def test_only_what_changed(self, rtcore, three):
        """A changed sound, trace or output is done again, alone."""
        self.count(rtcore, *HOLD)
        make_clip(Path("in"), 1, np.roll(LOST, 1), seed=77)
        assert (1, 2, 0) == self.count(rtcore, *HOLD)
        make_clip(Path("in"), 2, np.roll(LOST, 5), seed=2)
        assert (1, 2, 0) == self.count(rtcore, *HOLD)
        Path("out/10.wav").write_bytes(b"something else")
        assert (1, 2, 0) == self.count(rtcore, *HOLD)
        Path("out/10.wav").unlink()
        assert (1, 2, 0) == self.count(rtcore, *HOLD)

    def test_other_parameters(self, rtcore, three, home):
        """Other parameters, settings or an edited plugin do all again."""
        self.count(rtcore, *HOLD)
        assert (3, 0, 0) == self.count(rtcore, "-p", "hold-last:delay_frames=5")
        assert (3, 0, 0) == self.count(rtcore, "-p", "hold-last:delay_frames=5", "--no-align")
        assert (0, 3, 0) == self.count(rtcore, "-p", "hold-last:delay_frames=5", "--no-align")
        file = home.parent / "plugins/for_plc_tests.py"
        file.write_text(file.read_text() + "\n# edited\n")
        sys.modules.pop("rtcore.plugins.for_plc_tests")
        assert (3, 0, 0) == self.count(rtcore, "-p", "hold-last:delay_frames=5", "--no-align")

    def test_failed_clips_are_tried_again(self, rtcore, three):
        """A clip that failed is done once its trace is mended."""
        trace = Path("in/2_is_lost.txt")
        good = trace.read_bytes()
        trace.write_text("nonsense")
        assert (2, 0, 1) == self.count(rtcore, *HOLD)
        assert (0, 2, 1) == self.count(rtcore, *HOLD)
        trace.write_bytes(good)
        assert (1, 2, 0) == self.count(rtcore, *HOLD)


class TestEnded:
    """However a run ends, nothing is half there and the next one does the rest."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)]
    )
    def test_in_the_middle(self, rtcore, home, how, code):
        """Killed, or interrupted, a run goes on where it ended, to the same bytes."""
        lost = np.random.default_rng(3).random(1500) < 0.2
        clips = 24
        for k in range(clips):
            make_clip(home / "in", k, lost, seed=k)
        words = ["plc", "conceal", "in", "out", *HOLD, "--jobs", "2"]
        run = subprocess.Popen(
            [sys.executable, "-m", "rtcore", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out = Path("out")
        while run.poll() is None and len(list(out.glob("*.wav"))) < 3:
            time.sleep(0.005)
        run.send_signal(how)
        err = run.communicate(timeout=60)[1]
        assert code == run.returncode, err
        done = {p.name for p in out.glob("*.wav")}
        assert 3 <= len(done) < clips
        if how != signal.SIGKILL:
            assert [] == list(out.glob(".rtcore-*.part"))
            assert "nothing half-written was left behind" in err
        told = json.loads(rtcore(*words, "--json").stdout)
        assert (0, clips) == (told["failed"], told["done"] + told["skipped"])
        assert told["skipped"] >= 1
        rtcore("plc", "conceal", "in", "whole", *HOLD, "--jobs", 1)
        for k in range(clips):
            assert Path(f"out/{k}.wav").read_bytes() == Path(f"whole/{k}.wav").read_bytes()
        assert [] == list(out.glob(".rtcore-*.part"))

    def test_full_disk(self, rtcore, three, monkeypatch):
        """A full disk fails the clips that find no room, and leaves nothing of them."""
        import errno

        from rtcore.audiofile import writer

        def full(self, data):
            self.error = OSError(errno.ENOSPC, "No space left on device")
            return 0

        with monkeypatch.context() as patch:
            patch.setattr(writer._Sink, "write", full)
            result = rtcore("plc", "conceal", "in", "out", *HOLD, "--jobs", 1)
        assert 2 == result.exit_code
        assert 3 == result.stderr.count("the disk is full")
        assert [] == [p.name for p in Path("out").iterdir() if p.suffix in (".wav", ".part")]
        assert 0 == rtcore("plc", "conceal", "in", "out", *HOLD).exit_code

    def test_two_runs(self, rtcore, three):
        """A second run into the same folder is refused while the first goes on."""
        from rtcore.batch import Ledger

        Path("out").mkdir()
        with Ledger(Path("out")).writing():
            result = rtcore("plc", "conceal", "in", "out", *HOLD)
        assert 2 == result.exit_code
        assert "another run writes into this folder" in result.stderr
