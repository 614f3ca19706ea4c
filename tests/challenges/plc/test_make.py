# SPDX-License-Identifier: MIT
"""``rtcore plc make`` writes sets in the challenges' formats, the same bytes for the same seed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.batch.ledger import held
from rtcore.challenges.plc.bursts import bursts_of
from rtcore.challenges.plc.layout import find_set
from rtcore.challenges.plc.traces import read_trace, write_trace

MODEL = ["--model", "gilbert:0.05,0.3"]


def content(folder):
    """Give all files of a folder by name."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def ints(path):
    return soundfile.read(path, dtype="int16")[0]


class TestLayout2022:
    """Numbered clips at 16 kHz with their traces beside them."""

    def test_format(self, rtcore, speech):
        """Sounds are 16 kHz mono int16, traces have CRLF, and a packet is zero iff it is lost."""
        result = rtcore("plc", "make", speech, "set", *MODEL, "--seconds", "3")
        assert 0 == result.exit_code, result.stderr
        found = find_set(Path("set"))
        assert ("2022", False) == (found.layout, found.blind)
        assert len(found.clips) >= 5
        for clip in found.clips:
            header = soundfile.info(clip.sound)
            assert (16000, 1, "PCM_16") == (header.samplerate, header.channels, header.subtype)
            lost = read_trace(clip.trace)
            assert header.frames == 320 * len(lost)
            assert Path(clip.trace).read_bytes().count(b"\r\n") == len(lost)
            clean, lossy = ints(clip.clean), ints(clip.sound)
            mask = np.repeat(lost, 320)
            assert np.array_equal(np.where(mask, 0, clean), lossy)
            assert np.array_equal(lost, ~lossy.reshape(-1, 320).any(axis=1))
            assert 2.0 <= header.duration <= 3.0

    def test_tables(self, rtcore, speech):
        """The csv tells each clip's source and losses, the manifest how all was made."""
        rtcore("plc", "make", speech, "set", *MODEL, "--seconds", "3", "--seed", 5)
        rows = list(csv.DictReader(Path("set/metadata.csv").read_text().splitlines()))
        assert [f"{k}.wav" for k in range(1, len(rows) + 1)] == [row["file"] for row in rows]
        for row in rows:
            stem = Path(row["file"]).stem
            facts = bursts_of(read_trace(f"set/lossy_signals/{stem}_is_lost.txt"))
            assert (facts.lost, facts.bursts) == (int(row["lost"]), int(row["bursts"]))
            assert (speech / row["source"]).is_file()
        manifest = json.loads(Path("set/manifest.json").read_text())
        assert (5, ["gilbert:0.05,0.3"]) == (
            manifest["settings"]["seed"],
            manifest["losses"]["models"],
        )
        assert len(rows) == manifest["clips"]

    def test_same_seed_same_bytes(self, rtcore, speech):
        """All bytes of a set depend on its settings and seed alone."""
        for name, seed in (("one", 3), ("two", 3), ("three", 4)):
            rtcore("plc", "make", speech, name, *MODEL, "--clips", 6, "--seed", seed)
        assert content("one") == content("two")
        assert content("one") != content("three")

    def test_more_clips_than_speech(self, rtcore, speech):
        """Speech is used again where it does not suffice, each time with another trace."""
        rtcore("plc", "make", speech, "set", *MODEL, "--clips", 25, "--seconds", "2-4")
        traces = [read_trace(clip.trace).tobytes() for clip in find_set(Path("set")).clips]
        assert 25 == len(traces)
        assert 20 < len(set(traces))

    def test_real_traces(self, rtcore, speech, home):
        """Traces of a folder are used as they are, where they are shorter the clips are cut."""
        given = np.random.default_rng(0).random((5, 120)) < 0.2
        (home / "traces").mkdir()
        for k, lost in enumerate(given):
            write_trace(home / f"traces/{k}_is_lost.txt", lost)
        result = rtcore("plc", "make", speech, "set", "--traces", "traces", "--seconds", "3")
        assert "clips were cut to the length of their traces" in result.stderr
        whole = {lost.tobytes() for lost in given}
        pieces = [read_trace(clip.trace) for clip in find_set(Path("set")).clips]
        assert all(any(p.tobytes() in lost for lost in whole) for p in pieces)


class TestLayout2024:
    """Full band, with the traces in a csv."""

    def test_format(self, rtcore, speech):
        """Sounds are 48 kHz with a peak of -6 dB, column 3 of the csv is the trace."""
        result = rtcore("plc", "make", speech, "set", *MODEL, "--layout", "2024")
        assert 0 == result.exit_code, result.stderr
        assert "come from speech of a lower rate than 48000 Hz" in result.stderr
        rows = list(csv.reader(Path("set/val_meta.csv").read_text().splitlines()))[1:]
        for name, _, _, digits in rows:
            lost = np.array(digits.split(), int).astype(bool)
            lossy, clean = ints(f"set/lossy_signals/{name}"), ints(f"set/clean_signals/{name}")
            assert 48000 == soundfile.info(f"set/lossy_signals/{name}").samplerate
            assert np.array_equal(np.where(np.repeat(lost, 960), 0, clean), lossy)
            assert pytest.approx(10 ** (-6 / 20), abs=1e-4) == np.abs(clean).max() / 32768
        found = find_set(Path("set"))
        assert ("2024", len(rows)) == (found.layout, len(found.clips))
        assert not found.blind

    @pytest.mark.parametrize("layout", ["2022", "2024"])
    def test_blind(self, rtcore, speech, layout):
        """A blind set has neither clean sound nor words on the losses; both lie apart."""
        rtcore("plc", "make", speech, "set", *MODEL, "--layout", layout, "--blind")
        assert find_set(Path("set/blind")).blind
        names = {Path(name).name for name in content("set/blind")}
        assert not any("metadata" in name or "manifest" in name for name in names)
        lossy = {p.name for p in Path("set/blind").rglob("*.wav")}
        assert lossy == {p.name for p in Path("set/blind_reference").rglob("*.wav")}


class TestLosses:
    """Where losses come from."""

    def test_fit(self, rtcore, speech, home):
        """A model fitted to traces is shown beside them, and stands in the manifest."""
        from rtcore.challenges.plc.loss_models import parse_model

        (home / "traces").mkdir()
        model = parse_model("gilbert:0.05,0.3")
        for k, lost in enumerate(model.generate(30, 500, np.random.default_rng(0))):
            write_trace(home / f"traces/{k}_is_lost.txt", lost)
        result = rtcore("plc", "make", speech, "set", "--fit", "traces", "--model", "gilbert")
        assert "mean burst" in result.stdout
        found = json.loads(Path("set/manifest.json").read_text())["losses"]["fit"]
        assert pytest.approx(0.05, rel=0.2) == found["parameters"]["p"]
        assert pytest.approx(0.3, rel=0.2) == found["parameters"]["q"]

    def test_dry_run(self, rtcore, speech):
        """What would be drawn can be seen before anything is written."""
        result = rtcore("plc", "make", speech, "set", *MODEL, "--dry-run", "--json")
        told = json.loads(result.stdout)
        assert 4 == told["files"]
        assert ["to 120 ms", "120 to 320 ms", "320 to 1000 ms"] == [
            row["stratum"] for row in told["strata"]
        ]
        assert not Path("set").exists()
        assert "to 120 ms" in rtcore("plc", "make", speech, "set", *MODEL, "--dry-run").stdout

    def test_natural_strata(self, rtcore, speech):
        """Without a mix, strata come as the model gives them: short bursts alone here."""
        words = ["--model", "gilbert:0.1,0.95", "--strata", "natural", "--json"]
        result = rtcore("plc", "make", speech, "set", *words)
        assert ["to 120 ms"] == list(json.loads(result.stdout)["strata"])

    def test_rare_strata_are_told(self, rtcore, speech):
        """A stratum that the model never reaches is named."""
        result = rtcore("plc", "make", speech, "set", "--model", "gilbert:0.1,0.95")
        assert "no trace has its longest burst in 320 to 1000 ms" in result.stderr
        assert 0 == result.exit_code


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say which packets are lost"),
        (["--model", "gilbert:0.1,0.2", "--traces", "x"], "one of them"),
        (["--fit", "x", "--model", "gilbert:0.1,0.2"], "name the kind alone"),
        (["--fit", "x", "--model", "gilbert", "--model", "markov3"], "name one kind"),
        (["--traces", "nowhere"], "holds no traces"),
        ([*MODEL, "--seconds", "ten"], "'ten' is no duration"),
        ([*MODEL, "--seconds", "20-10"], "must lie between 2 and 3600"),
        ([*MODEL, "--strata", "1,2"], "needs three shares"),
        (["--model", "gilbert:0,1"], "no trace fits the strata wanted"),
    ],
)
def test_wrong_usage(rtcore, speech, words, sentence):
    """Each mistake gets one sentence and exit code 2, and leaves nothing."""
    result = rtcore("plc", "make", speech, "set", *words)
    assert 2 == result.exit_code
    assert sentence in result.stderr
    assert ["speech"] == [p.name for p in Path().iterdir()]


class TestTarget:
    """A set is whole or not there."""

    def test_in_use(self, rtcore, speech):
        """A folder that holds something is left as it is; an empty one is taken."""
        Path("set").mkdir()
        assert 0 == rtcore("plc", "make", speech, "set", *MODEL).exit_code
        before = content("set")
        result = rtcore("plc", "make", speech, "set", *MODEL)
        assert (2, True) == (result.exit_code, "is there already" in result.stderr)
        assert before == content("set")

    def test_no_speech(self, rtcore, home):
        """Folders without speech, and speech that gives no clip, are told."""
        Path("empty").mkdir()
        assert "holds no clean speech" in rtcore("plc", "make", "empty", "set", *MODEL).stderr
        assert "there is no such folder" in rtcore("plc", "make", "none", "set", *MODEL).stderr
        soundfile.write("empty/silent.wav", np.zeros(48000), 16000)
        Path("empty/broken.wav").write_bytes(b"no sound")
        result = rtcore("plc", "make", "empty", "set", *MODEL)
        assert "gives no clip; use longer speech" in result.stderr
        assert ["empty"] == [p.name for p in Path().iterdir()]

    def test_full_disk(self, rtcore, speech, monkeypatch):
        """When the disk is full nothing is left of the set."""
        import errno

        from rtcore.audiofile import writer

        real = writer._Sink.write

        def full(self, data):
            if self._file.tell() > 30000:
                self.error = OSError(errno.ENOSPC, "No space left on device")
                return 0
            return real(self, data)

        monkeypatch.setattr(writer._Sink, "write", full)
        result = rtcore("plc", "make", speech, "set", *MODEL)
        assert 2 == result.exit_code
        assert "the disk is full" in result.stderr
        assert ["speech"] == [p.name for p in Path().iterdir()]

    def test_after_a_kill(self, rtcore, speech):
        """What a killed run left is swept up, and is no part of the set."""
        left = Path(".rtcore-set.part")
        (left / "lossy_signals").mkdir(parents=True)
        (left / "lossy_signals/99.wav").write_bytes(b"half")
        (left / "notes").write_text("half")
        assert 0 == rtcore("plc", "make", speech, "set", *MODEL).exit_code
        assert ["set", "speech"] == sorted(p.name for p in Path().iterdir())
        names = {"clean_signals", "lossy_signals", "manifest.json", "metadata.csv"}
        assert names == {p.name for p in Path("set").iterdir()}
        assert not Path("set/lossy_signals/99.wav").exists()

    def test_two_runs(self, rtcore, speech):
        """A second run into the same folder is refused, and the first one's work stays."""
        part = Path(".rtcore-set.part")
        part.mkdir()
        (part / "half").touch()
        with held(part, Path("set")):
            result = rtcore("plc", "make", speech, "set", *MODEL)
        assert 2 == result.exit_code
        assert "set: another run writes into this folder" in result.stderr
        assert (part / "half").exists()

    def test_here(self, rtcore, speech, monkeypatch):
        """The folder one is in cannot be replaced under one's feet."""
        Path("empty").mkdir()
        monkeypatch.chdir("empty")
        result = rtcore("plc", "make", speech, ".", *MODEL)
        assert 2 == result.exit_code
        assert "is the folder you are in; name a new folder" in result.stderr

    def test_a_file_in_the_way(self, rtcore, speech):
        """A folder that cannot be made is told."""
        Path("file").touch()
        result = rtcore("plc", "make", speech, "file/set", *MODEL)
        assert 2 == result.exit_code
        assert "the folder cannot be made (" in result.stderr


def test_lossy_sounds_are_no_clean_speech(rtcore, speech):
    """A set's folder gives its clean sounds; what lost packets is not taken for speech."""
    rtcore("plc", "make", speech, "set", *MODEL)
    assert 0 == rtcore("plc", "make", "set", "again", *MODEL).exit_code
    sources = {
        row.split(",")[1] for row in Path("again/metadata.csv").read_text().split("\n")[1:-1]
    }
    assert {"clean_signals"} == {source.partition("/")[0] for source in sources}
