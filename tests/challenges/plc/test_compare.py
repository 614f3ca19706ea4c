# SPDX-License-Identifier: MIT
"""``rtcore plc compare``: paired differences, and a page that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.audiofile import write
from rtcore.challenges.plc.compare import compare, system_names
from rtcore.challenges.plc.evaluate import ClipScore
from rtcore.challenges.plc.listening.excerpts import choose_clips
from rtcore.challenges.plc.listening.media import power_picture
from rtcore.challenges.plc.traces import write_trace
from rtcore.errors import ConfigError

RATE = 16000
OURS = ["--trace", "set", "--measures", "lsd,si-sdr", "--jobs", 1]
#: Lost packets of each clip, of 100.
LOST = {"1": 5, "2": 30, "3": 20}


@pytest.fixture
def two(home):
    """Write a set, a concealer that does nothing, and one that knows half of what was lost."""
    for inner in ("set/lossy_signals", "set/clean_signals", "poor", "better"):
        (home / inner).mkdir(parents=True)
    for seed, (name, count) in enumerate(LOST.items()):
        rng = np.random.default_rng(seed)
        lost = np.zeros(100, bool)
        lost[40 : 40 + count] = True
        clean = rng.normal(0.0, 0.1, 100 * 320)
        gone = np.repeat(lost, 320)
        sounds = {
            "set/clean_signals": clean,
            "set/lossy_signals": np.where(gone, 0.0, clean),
            "poor": np.where(gone, 0.0, clean),
            "better": np.where(gone, 0.5 * clean, clean),
        }
        for inner, x in sounds.items():
            write(home / inner / f"{name}.wav", x, RATE, subtype="PCM_16")
        write_trace(home / f"set/lossy_signals/{name}_is_lost.txt", lost)
    return home


def clips(system):
    return [ClipScore(name, {"lsd_db": value}) for name, value in system.items()]


class TestDifferences:
    def test_pairs(self):
        """Differences are taken clip by clip; less distance is better."""
        first = {str(k): float(k) for k in range(6)}
        second = {str(k): k - (0.5 if k % 2 else 1.0) for k in reversed(range(6))}
        found = compare({"a": clips(first), "b": clips(second)})
        one = found.difference("b", "a", "lsd_db")
        assert -0.75 == one.mean.mean
        assert -1.0 <= one.mean.low < -0.75 < one.mean.high <= -0.5
        assert ("better", 1.0) == (one.verdict, one.better)

    @pytest.mark.parametrize(("count", "verdict"), [(5, "open"), (6, "better")])
    def test_few_clips_decide_nothing(self, count, verdict):
        """Five of five may be chance (1 in 16), six of six hardly (1 in 32)."""
        first = {str(k): 1.0 for k in range(count)}
        second = {str(k): 0.5 for k in range(count)}
        found = compare({"a": clips(first), "b": clips(second)})
        assert verdict == found.difference("b", "a", "lsd_db").verdict

    def test_seen_from_the_other(self):
        """The difference the other way round is the same with the sign turned."""
        first = {str(k): float(k) for k in range(9)}
        second = {str(k): k + 0.1 * (k + 1) for k in range(9)}
        found = compare({"a": clips(first), "b": clips(second)})
        one, other = found.difference("b", "a", "lsd_db"), found.difference("a", "b", "lsd_db")
        assert (one.mean.mean, one.mean.low) == (-other.mean.mean, -other.mean.high)
        assert ("worse", "better") == (one.verdict, other.verdict)
        assert (one.mean, one.better) == (other.turned().mean, other.turned().better)

    def test_pairing_sees_what_means_cannot(self):
        """A small gain on clips of very different difficulty is found in pairs only."""
        rng = np.random.default_rng(0)
        hard = rng.normal(3.0, 2.0, 50)
        gain = rng.normal(0.1, 0.05, 50)
        first = {str(k): v for k, v in enumerate(hard)}
        second = {str(k): v for k, v in enumerate(hard - gain)}
        found = compare({"a": clips(first), "b": clips(second)})
        means = {system: found.means[system]["lsd_db"] for system in "ab"}
        assert means["a"].low < means["b"].mean < means["a"].high
        assert "better" == found.difference("b", "a", "lsd_db").verdict

    def test_equal_systems_are_open(self):
        """A system has no difference from itself."""
        found = compare({"a": clips({"x": 1.0, "y": 2.0}), "b": clips({"x": 1.0, "y": 2.0})})
        one = found.difference("b", "a", "lsd_db")
        assert (0.0, "open", 0.5) == (one.mean.mean, one.verdict, one.better)

    def test_only_common_clips(self):
        """Clips that a system lacks count for none; without a common one there is an error."""
        found = compare({"a": clips({"x": 1.0, "y": 2.0}), "b": clips({"y": 1.0, "z": 9.0})})
        assert ("y",) == found.clips
        assert {"a": ("x",), "b": ("z",)} == found.left_out
        with pytest.raises(ConfigError, match="no clip has a score in all of them"):
            compare({"a": clips({"x": 1.0}), "b": clips({"y": 1.0})})

    def test_other_sounds_of_the_same_name(self):
        """Clips that share a name and no length are not compared, and the rest is."""
        long, short = (ClipScore("x", {"lsd_db": 1.0}, RATE, frames) for frames in (99000, 30000))
        same = ClipScore("y", {"lsd_db": 1.0}, RATE, 30000)
        fast = ClipScore("y", {"lsd_db": 2.0}, 3 * RATE, 3 * 30000)
        found = compare({"a": [long, same], "b": [short, fast]})
        assert (("y",), ("x",)) == (found.clips, found.unlike)
        assert {"a": (), "b": ()} == found.left_out
        with pytest.raises(ConfigError, match="none has one length in all"):
            compare({"a": [long], "b": [short]})

    def test_names(self):
        """A folder is called as shortly as tells it from the others."""
        assert ["a", "b"] == system_names([Path("x/a"), Path("x/b")])
        assert ["x/out", "y/out"] == system_names([Path("x/out"), Path("y/out")])
        with pytest.raises(ConfigError, match="is named twice"):
            system_names([Path("a"), Path("a/../a")])

    def test_clips_are_spread_over_loss(self):
        """The page has the least lossy clip, the most lossy one and some between."""
        scores = [
            ClipScore(str(k), {"lsd_db": 1.0}, packets=100, lost=(7 * k) % 11) for k in range(11)
        ]
        found = compare({"a": scores, "b": scores})
        rates = [(7 * int(name)) % 11 for name in choose_clips(found, 3, None)]
        assert [0, 5, 10] == rates
        assert ["4"] == choose_clips(found, 3, ["4", "4"])


class Page(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data):
        self.words.append(data)


class TestPage:
    @pytest.fixture
    def page(self, two, rtcore):
        """Compare, and give the page's text."""
        args = ["plc", "compare", "poor", "better", *OURS, "--out", "page.html", "--seconds", 1]
        result = rtcore(*args)
        assert 0 == result.exit_code, result.stderr
        return (two / "page.html").read_text("utf-8")

    def test_needs_nothing_else(self, page):
        """All sounds and pictures stand in the file, and nothing else may be loaded."""
        found = Page(page)
        outside = [a for a in found.addresses if not a.startswith(("data:", "#"))]
        assert [] == outside
        policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
        assert policy.startswith("default-src 'none'")
        assert not re.search(r"url\((?!#)", page)

    def test_the_script_is_the_one_allowed(self, page):
        """The policy's hash is that of the page's only script."""
        scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        assert 1 == len(scripts)
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page

    def test_sounds_are_the_files(self, page, two):
        """Each clip has the clean sound, the lossy one and both systems', where most was lost."""
        uris = [a["src"] for tag, a in Page(page).tags if tag == "audio"]
        assert 3 * 4 == len(uris)
        last = [base64.b64decode(uri.split(",", 1)[1]) for uri in uris[-4:]]  # clip 2 lost the most
        names = ("set/clean_signals", "set/lossy_signals", "poor", "better")
        for data, folder in zip(last, names, strict=True):
            x, rate = soundfile.read(io.BytesIO(data), dtype="int16")
            whole, _ = soundfile.read(two / folder / "2.wav", dtype="int16")
            assert (RATE, RATE) == (rate, len(x))
            starts = [k for k in range(51) if np.array_equal(x, whole[320 * k :][:RATE])]
            assert 1 == len(starts)
            assert 20 <= starts[0] <= 40  # packets 40 to 69 are lost

    def test_losses_are_marked(self, page):
        """The burst stands over each spectrogram, at its place in milliseconds."""
        lanes = [a for tag, a in Page(page).tags if tag == "svg" and a.get("class") == "lane"]
        assert 12 == len(lanes)
        assert {"0 0 1000 1"} == {a["viewbox"] for a in lanes}
        widths = re.findall(r'<rect x="(\d+)" width="(\d+)"', page)
        assert {"100", "600", "400"} == {width for _, width in widths}

    def test_words(self, page):
        """The page says who is better, and whose numbers these are."""
        words = " ".join(" ".join(Page(page).words).split())
        assert "Against poor" in words
        assert "open" not in words
        assert "lsd: " not in words
        assert "rtcore 0" in words
        assert "Clip 2" in words

    def test_names_are_no_markup(self, two, rtcore):
        """A folder's name stands in the page as it is written."""
        (two / "better").rename(two / "<b>&better")
        args = ["plc", "compare", "poor", "<b>&better", *OURS, "--out", "page.html", "--clips", 0]
        assert 0 == rtcore(*args).exit_code
        page = (two / "page.html").read_text("utf-8")
        assert "<b>&better" not in page
        assert "&lt;b&gt;&amp;better" in page

    def test_it_stays_small(self, two, rtcore):
        """A page that would grow too large gets fewer clips, and says so."""
        args = ["plc", "compare", "poor", "better", *OURS, "--out", "page.html"]
        result = rtcore(*args, "--megabytes", 0.8, "--audio", "wav")
        assert 0 == result.exit_code
        assert "the page has 1 of 3 clips: it would grow over 0.8 MB" in result.stderr
        assert (two / "page.html").stat().st_size < 1.0e6
        assert 4 == (two / "page.html").read_text("utf-8").count("<audio ")


class TestCommand:
    def test_json(self, two, rtcore):
        """Programs get means, differences of every pair, and what was left out."""
        (two / "better/1.wav").unlink()
        result = rtcore("plc", "compare", "poor", "better", *OURS, "--json")
        told = json.loads(result.stdout)
        assert ["2", "3"] == told["clips"]
        assert ["1"] == told["left_out"]["poor"]
        assert "poor: 1 clips are left out (1)" in result.stderr
        verdicts = {one["column"]: one["verdict"] for one in told["differences"]}
        assert {"lsd_db": "open", "si_sdr_db": "open"} == verdicts  # two clips

    def test_another_set_is_noticed(self, two, rtcore):
        """A clip that is longer in one folder is warned of and left out."""
        pytest.importorskip("speechmos")
        write(two / "better/1.wav", np.full(50000, 0.1), RATE, subtype="PCM_16")
        words = ["--measures", "plcmos", "--jobs", 1, "--json"]
        result = rtcore("plc", "compare", "poor", "better", *words)
        assert 0 == result.exit_code, result.stderr
        assert "1 clips are left out (1): they have other lengths" in result.stderr
        told = json.loads(result.stdout)
        assert (["2", "3"], ["1"]) == (told["clips"], told["unlike"])

    def test_scores_are_those_of_evaluate(self, two, rtcore):
        """What `evaluate` scored is not scored again."""
        rtcore("plc", "evaluate", "poor", *OURS)
        result = rtcore("plc", "compare", "poor", "better", *OURS, "--json")
        folders = json.loads(result.stdout)["folders"]
        assert (3, 3) == (folders["poor"]["skipped"], folders["better"]["done"])

    def test_scores_elsewhere(self, two, rtcore):
        """Folders that may not be written to can be compared: the scores go elsewhere."""
        result = rtcore("plc", "compare", "poor", "better", *OURS, "--to", "scores")
        assert 0 == result.exit_code, result.stderr
        assert ["better", "poor"] == sorted(path.name for path in (two / "scores").iterdir())
        assert not (two / "poor/scores").exists()

    def test_a_bad_clip_is_told(self, two, rtcore):
        """A clip that cannot be read costs that clip, and the exit code is 2."""
        (two / "poor/1.wav").write_bytes(b"no sound")
        result = rtcore("plc", "compare", "poor", "better", *OURS)
        assert 2 == result.exit_code
        assert "2 clips: means" in result.stdout
        assert "poor" in result.stderr

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["poor"], "name two folders or more"),
            (["poor", "nowhere"], "there is no such folder"),
            (["poor", "better", "--out", "set"], "is a folder; name a file such as"),
            (["poor", "better", "--out", "no/page.html"], "there is no folder no for the page"),
            (
                ["poor", "better", *OURS, "--out", "page.html", "--names", "4"],
                "'4' is none of the compared clips",
            ),
        ],
    )
    def test_refused(self, two, rtcore, args, words):
        """Wrong usage gets a sentence."""
        result = rtcore("plc", "compare", *args)
        assert 2 == result.exit_code
        assert words in result.stderr


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.25, 3.0, 30.0])
def test_a_tone_is_a_line_at_its_height(rate, seconds):
    """A spectrogram shows a tone in the row of its frequency, at all times and rates."""
    t = np.arange(round(rate * seconds)) / rate
    picture = power_picture(np.sin(2 * np.pi * 1000 * t), rate)
    rows, columns = picture.shape
    assert 100 <= rows <= 255
    assert columns <= 720
    inner = picture[:, columns // 4 : -columns // 4]
    expected = rows - 1 - 1000 / (rate / 2) * rows
    assert set(np.argmax(inner, axis=0)) <= {int(expected), int(expected) + 1}
