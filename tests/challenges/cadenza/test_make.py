# SPDX-License-Identifier: MIT
"""Scenes and music at the microphones are those of the official generators."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cadenza_sets import config, made, official, rewritten
from command_line import empty_home, invoke
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from rtcore.challenges.cadenza.at_mic import at_mic, heard_at_mic
from rtcore.challenges.cadenza.layout import find_set
from rtcore.challenges.cadenza.loudness import integrated_loudness, matched
from rtcore.challenges.cadenza.metadata import MIXTURE, STEMS
from rtcore.challenges.cadenza.scenes import LISTENERS_SEED, draw_listeners, draw_scenes, seed_of
from rtcore.challenges.people import read_people
from rtcore.errors import AudioFileError, ConfigError

TRACKS = (MIXTURE, *STEMS)
LISTENERS = (
    Path(__file__).parents[4]
    / "shared/fixtures/claritychallenge/clarity/tests/test_data/metadata/listeners.json"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a set."""
    return made(tmp_path_factory.mktemp("cadenza") / "mini")


@pytest.fixture
def found(whole, tmp_path, monkeypatch):
    """Stand beside a copy of the set that may be spoilt."""
    with empty_home(tmp_path, monkeypatch) as work:
        shutil.copytree(whole.places.root, work / "mini")
        yield find_set(work / "mini")


class TestScenes:
    """``rtcore cadenza scenes``."""

    def test_official_bytes(self, found):
        """The official generator writes the same two files, byte for byte."""
        generator = official("generate_dataset.generate_train_scenes")
        rewritten(
            found.places.tracks,
            lambda tracks: [{**tracks[0], "Track Name": f"Sång {k}"} for k in range(20)],
        )
        done = invoke("cadenza", "scenes", "mini", "--overwrite")
        assert 0 == done.exit_code, done.output
        paths = (found.places.scenes, found.places.scene_listeners)
        ours = [path.read_bytes() for path in paths]
        generator.generate_scenes(config(found))
        generator.generate_scene_listener(config(found))
        assert [path.read_bytes() for path in paths] == ours
        assert 80 == len(json.loads(ours[0]))

    def test_recorded_seeds(self):
        """The two recorded draws of the official seeds come out."""
        for word, expected in (("my favorite song", 83), ("another song", 3)):
            assert expected == np.random.RandomState(seed_of(word)).randint(100)

    def test_recorded_scenes(self):
        """The scenes of the official test come out, where the last gain is no draw."""
        scenes = draw_scenes(["track1", "track2"], ["g1", "g2", "g3"], ["p1", "p2"], 2)
        expected = {
            "scene_10001": ("track1", "g2", "p2"),
            "scene_10002": ("track1", "g1", "p1"),
            "scene_10003": ("track2", "g3", "p2"),
            "scene_10004": ("track2", "g1", "p1"),
        }
        assert expected == {
            name: (scene.music, scene.gain, scene.head_loudspeaker_positions)
            for name, scene in scenes.items()
        }

    @given(listeners=st.integers(1, 9), each=st.integers(1, 9))
    def test_listeners(self, listeners, each):
        """Each scene is heard by as many different listeners as there can be."""
        ids = [f"L{k}" for k in range(listeners)]
        for heard in draw_listeners(["a", "b"], ids, each).values():
            assert min(listeners, each) == len(set(heard)) == len(heard)
            assert set(heard) <= set(ids)

    def test_recorded_listeners(self):
        """The challenge's seed and its listeners give the recorded draw."""
        if not LISTENERS.exists():
            pytest.skip("the fixtures of ../shared are not here")
        ids = list(read_people(LISTENERS).by_id)
        drawn = draw_listeners(["scene_10001", "scene_10002"], ids)
        expected = {"scene_10001": ["L0066", "L0057"], "scene_10002": ["L0099", "L0051"]}
        assert expected == drawn

    def test_too_few(self):
        """More scenes of a track than positions are refused."""
        with pytest.raises(ConfigError, match="need as many positions, and there are 2"):
            draw_scenes(["t"], ["g1", "g2", "g3"], ["p1", "p2"], 3)

    def test_not_overwritten(self, found):
        """Other scenes that are there stay, unless --overwrite is given."""
        done = invoke("cadenza", "scenes", "mini", "--per-track", 2)
        assert 2 == done.exit_code
        assert "scenes.train.json: is there already and says something else" in done.stderr
        again = invoke("cadenza", "scenes", "mini", "--per-track", 1, "--per-scene", 1)
        assert "is there already, the same" in again.output

    def test_words_seed(self):
        """Listeners are drawn from the seed of the challenge's word."""
        expected = np.random.RandomState(seed_of("icassp2024")).choice(7, 2, replace=False)
        drawn = draw_listeners(["s"], list("abcdefg"), 2)["s"]
        assert LISTENERS_SEED == "icassp2024"
        assert ["abcdefg"[k] for k in expected] == drawn


class TestAtMic:
    """``rtcore cadenza at-mic``."""

    def test_official_files(self, found, tmp_path):
        """The official files differ by no more than one 16-bit step, and the list not at all."""
        generator = official("generate_dataset.generate_at_mic_musdb18")
        out = {
            "output_music_dir": str(tmp_path / "theirs"),
            "output_music_file": str(tmp_path / "l"),
        }
        cfg = config(found)
        cfg.path.update(out)
        cfg.path.music_dir, cfg.path.music_file = str(found.places.music), str(found.places.tracks)
        generator.run.__wrapped__(cfg)
        assert (tmp_path / "l").read_bytes() == found.places.songs.read_bytes()
        for song in found.songs.values():
            for track in TRACKS:
                name = f"{song.path}/{track}.wav"
                theirs, ours = (
                    soundfile.read(folder / name, dtype="int16")[0].astype(int)
                    for folder in (tmp_path / "theirs", found.places.at_mic)
                )
                assert 1 >= np.abs(theirs - ours).max()
                assert np.mean(theirs != ours) < 0.001

    def test_two_loudspeakers(self):
        """Each ear hears both loudspeakers through its own response, as long as the music."""
        random = np.random.default_rng(0)
        x, left, right = (random.normal(size=(2, n)) for n in (500, 30, 40))
        expected = [lfilter(left[e], 1, x[0]) + lfilter(right[e], 1, x[1]) for e in (0, 1)]
        assert np.allclose(expected, at_mic(x, left, right), rtol=0, atol=1e-12)

    @pytest.mark.parametrize(
        ("scale", "expected"), [(1 / 0.2, 109580.6307104611), (0.2, 4383.225228418446)]
    )
    def test_recorded_level(self, scale, expected):
        """The official sums of a sound brought to another's loudness come out."""
        np.random.seed(2024)  # noqa: NPY002 - the generator of the records
        x, reference = np.random.rand(44100), np.random.rand(44100) * scale  # noqa: NPY002
        y = matched(x[np.newaxis], reference[np.newaxis], 44100)
        assert expected == pytest.approx(y.sum(), rel=1e-9)

    def test_silent_stem(self, found):
        """A silent stem becomes silence, and that is said."""
        song = next(iter(found.songs.values()))
        path = found.places.music / "train" / song.original / "vocals.wav"
        soundfile.write(path, np.zeros((30000, 2)), 44100, subtype="PCM_16")
        done = invoke("cadenza", "at-mic", "mini", "--jobs", 1)
        assert 0 == done.exit_code, done.output
        assert "vocals has no loudness and became silence" in done.stderr
        assert not soundfile.read(found.places.at_mic / song.path / "vocals.wav")[0].any()

    def test_not_twice(self, found):
        """What is there is skipped; a file whose music has changed is made again."""
        assert "10 done, 0 skipped" in invoke("cadenza", "at-mic", "mini", "--jobs", 1).output
        path = next(found.places.music.rglob("bass.wav"))
        x, rate = soundfile.read(path)
        soundfile.write(path, x[::-1], rate, subtype="PCM_16")
        assert "1 done, 9 skipped" in invoke("cadenza", "at-mic", "mini", "--jobs", 1).output
        assert "0 files to do, 10" in invoke("cadenza", "at-mic", "mini", "--dry-run").output

    def test_bad_files(self, found):
        """A cut file, a short one, mono music and another rate are told; the others go on."""
        first, second = sorted((found.places.music / "train").iterdir())
        whole = (first / "bass.wav").read_bytes()
        (first / "bass.wav").write_bytes(whole[: len(whole) // 2])
        soundfile.write(first / "drums.wav", np.ones((1000, 2)), 44100)
        soundfile.write(first / "other.wav", np.ones(30000), 44100)
        soundfile.write(second / "vocals.wav", np.ones((30000, 2)), 48000)
        done = invoke("cadenza", "at-mic", "mini", "--jobs", 1)
        assert 1 == done.exit_code
        assert "6 done, 0 skipped, 4 failed" in done.output
        for words in (
            "bass.wav: ",
            "drums.wav: is shorter than 0.4 s",
            "other.wav: has 1 channel where two are wanted",
            "vocals.wav: has a sample rate of 48000 Hz where 44100 Hz are wanted",
        ):
            assert words in done.stderr

    def test_no_such_position(self, found):
        """A scene at a position that does not exist is told by file and key; others go on."""
        rewritten(
            found.places.scenes,
            lambda scenes: scenes["scene_10001"].update(head_loudspeaker_positions="hlp_0107"),
        )
        done = invoke("cadenza", "at-mic", "mini", "--jobs", 1)
        assert "5 done, 0 skipped, 1 failed" in done.output
        key = "scenes.train.json: scene_10001.head_loudspeaker_positions"
        assert f"{key}: there is no position 'hlp_0107'" in done.stderr
        assert "did you mean 'hlp_0007'" in done.stderr


class TestLoudness:
    """BS.1770 as pyloudnorm has it."""

    @given(
        frames=st.integers(17640, 60000),
        rate=st.sampled_from([44100, 32000]),
        seed=st.integers(0, 99),
    )
    def test_pyloudnorm(self, frames, rate, seed):
        """Any sound has pyloudnorm's loudness within a millionth of a dB."""
        pyloudnorm = pytest.importorskip("pyloudnorm", reason="install the extra")
        random = np.random.default_rng(seed)
        swell = np.repeat(random.random(frames // 4000 + 1) ** 4, 4000)[:frames]
        x = 0.1 * swell * random.normal(size=(2, frames))
        expected = pyloudnorm.Meter(rate).integrated_loudness(x.T)
        assert expected == pytest.approx(integrated_loudness(x, rate), abs=1e-6)

    def test_edges(self):
        """Silence has no loudness, a sound below 0.4 s is refused."""
        assert -np.inf == integrated_loudness(np.zeros((2, 44100)), 44100)
        assert (True, False) == (heard_at_mic(*np.zeros((3, 2, 44100)))[1], False)
        with pytest.raises(AudioFileError, match="too short to measure its loudness"):
            integrated_loudness(np.zeros((2, 100)), 44100)
