# SPDX-License-Identifier: MIT
"""Sets of scenes: the little one from nothing, and pyclarity's builder and renderer."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rtcore.audiofile import read, write
from rtcore.challenges.clarity import build as building
from rtcore.challenges.clarity.layout import find_set
from rtcore.challenges.clarity.scenes import read_scenes
from rtcore.synth import speech_like


class TestMini:
    """`rtcore clarity make-mini`."""

    def test_a_set_is_whole_and_valid(self, rtcore, mini):
        """Lists fit one another, and mixes are the sum of their parts at the ratio asked for."""
        found = find_set(mini)
        scenes = read_scenes(mini / "metadata/scenes.dev.json")
        assert [s.scene for s in scenes] == list(found.heard.by_scene)
        assert all(pair.listener in found.people for pair in found.pairs)
        for scene in scenes:
            parts = {}
            for kind in ("target", "interferer", "mix"):
                for mic in range(4):
                    x, rate = read(mini / f"dev/scenes/{scene.scene}_{kind}_CH{mic}.wav")
                    assert (2, scene.duration + 255, 44100) == (*x.shape, rate)
                    parts[kind, mic] = x
            total = parts["target", 2] + parts["interferer", 2]
            assert np.abs(total - parts["mix", 2]).max() <= 2.0 / 32768
            active = slice(scene.target.time_start, scene.target.time_end)
            level = [
                np.sqrt(np.mean(parts[kind, 1][:, active] ** 2, axis=1))
                for kind in ("target", "interferer")
            ]
            assert pytest.approx(scene.SNR, abs=0.05) == 20 * np.log10((level[0] / level[1]).max())
            assert pytest.approx(0.0178, rel=0.01) == level[0].max()
            anechoic, _ = read(found.signals.anechoic(scene.scene))
            near = parts["target", 1][0, 20_000:24_000]
            lag = np.argmax(np.correlate(anechoic[0, 19_900:24_100], near))
            assert abs(lag - 100) <= 2, "the reference lies over the target"

    def test_the_same_seed_gives_the_same_bytes(self, rtcore, speech):
        """Another seed gives others; sounds of a folder are used."""
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            words = ("--scenes", 1, "--seconds", 0.5, "--seed", seed, "--speech", "speech")
            assert 0 == rtcore("clarity", "make-mini", name, *words).exit_code
        files = sorted(p.relative_to("a") for p in Path("a").rglob("*") if p.is_file())
        assert files
        same = [(Path("a") / p).read_bytes() == (Path("b") / p).read_bytes() for p in files]
        assert all(same)
        mix = "clarity_data/dev/scenes/S06001_mix_CH1.wav"
        assert (Path("a") / mix).read_bytes() != (Path("c") / mix).read_bytes()
        target, _ = read("a/clarity_data/dev/targets/T001_MIN_00001.wav")
        assert np.abs(np.fft.rfft(target[0])).argmax() == 300 * 0.5, "the folder's tone"

    def test_a_silent_file_is_passed_over(self, rtcore, home, speech):
        """Where a piece of one file is silent, the next file is taken."""
        write(speech / "0.wav", np.zeros((1, 44100)), 44100)  # the first by its name
        run = rtcore("clarity", "make-mini", "x", "--scenes", 1, "--speech", "speech")
        assert 0 == run.exit_code, run.stderr
        target, _ = read("x/clarity_data/dev/targets/T001_MIN_00001.wav")
        assert np.any(target)

    def test_a_file_in_the_way_is_named(self, rtcore, home):
        """By its own name, and not by that of a hidden folder."""
        (home / "file").write_text("mine")
        run = rtcore("clarity", "make-mini", "file/mini")
        assert 2 == run.exit_code
        assert "error: file: the folder cannot be made" in run.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--snr", "6"), "--snr: '6' is no range"),
            (("--snr", "6,-6"), "--snr: must lie within -60,60, the lower first"),
            (("--speech", "nowhere"), "nowhere: there is no such folder"),
            (("--speech", "silence"), "the pieces taken from its files are silent"),
        ],
    )
    def test_impossible_wishes_leave_nothing(self, rtcore, home, words, said):
        """What cannot be is told, and no folder stays."""
        (home / "silence").mkdir()
        write(home / "silence/x.wav", np.zeros((1, 44100)), 44100)
        run = rtcore("clarity", "make-mini", "x", "--scenes", 1, *words)
        assert 2 == run.exit_code
        assert said in run.stderr
        assert not Path("x").exists()


@pytest.fixture
def speech(home):
    """A folder with a tone of 300 Hz, at another rate."""
    (home / "speech").mkdir()
    t = np.arange(96000) / 48000
    write(home / "speech/a.wav", 0.3 * np.sin(2 * np.pi * 300 * t), 48000, subtype="PCM_16")
    return home / "speech"


@pytest.fixture
def core(home, official):
    """The challenge's core data, as far as it is there: one room."""
    pytest.importorskip("librosa", reason="pyclarity's renderer needs librosa")
    root = home / "clarity_data"
    (root / "metadata").mkdir(parents=True)
    for path in (official / "metadata").glob("*.json"):
        if not path.name.startswith(("scenes", "rooms")):
            shutil.copyfile(path, root / "metadata" / path.name)
    for split in ("train", "dev"):
        (root / split / "rooms/rpf").mkdir(parents=True)
        for path in (official / "rooms/rpf").iterdir():
            shutil.copyfile(path, root / split / "rooms/rpf" / path.name)
    return root


class TestBuild:
    """`rtcore clarity build`."""

    def test_the_official_builder_gives_the_same_bytes(self, rtcore, core):
        """The same seed gives the official lists, byte for byte, and leaves no trace in Python."""
        before = random.getstate()
        run = rtcore("clarity", "build", "clarity_data", "--split", "train", "--scenes", 6)
        assert 0 == run.exit_code, run.stderr
        assert before == random.getstate()
        assert '{"a": 0.123456789}' == json.dumps({"a": 0.123456789})
        from clarity.data import scene_builder_cec2 as official

        settings = building.BuildSettings()
        official.set_random_seed(0)
        rooms = official.RoomBuilder()
        rooms.build_from_rpf(str(core / "train/rooms/rpf"), n_rooms=1, start_room=6001)
        lists = core / "metadata"
        builder = official.SceneBuilder(
            rb=rooms,
            scene_datasets={"n_scenes": 6, "room_selection": "SEQUENTIAL", "scene_start_index": 1},
            target={
                "target_speakers": lists / "target_speech_list.json",
                "target_selection": "SEQUENTIAL",
                "pre_samples_range": [66150, 88200],
                "post_samples_range": [44100, 44100],
            },
            interferer={
                "speech_interferers": lists / "masker_speech_list.json",
                "noise_interferers": lists / "masker_nonspeech_list.json",
                "music_interferers": lists / "masker_music_list.json",
                "number": [2, 3],
                "start_time_range": [0, 0],
                "end_early_time_range": [0, 0],
            },
            snr_range=[-12, 6],
            listener={
                "heads": list(settings.heads), "channels": list(settings.mics), **settings.turn
            },
            shuffle_rooms=False,
        )  # fmt: skip
        builder.instantiate_scenes("train")
        own = json.loads((lists / "scenes.train.json").read_text())
        for scene, drawn in zip(own, builder.scenes, strict=True):
            assert drawn["room"]["name"] == scene["room"]
            assert drawn["target"] == scene["target"]
            assert drawn["interferers"] == scene["interferers"]
            assert float(f"{drawn['SNR']:.4f}") == scene["SNR"]
            assert drawn["listener"]["hrir_filename"] == scene["listener"]["hrir_filename"]
        assert (
            '"SNR": ' + f"{builder.scenes[0]['SNR']:.4f}"
            in (lists / "scenes.train.json").read_text()
        )
        random.setstate(before)

    def test_lists_that_are_there_stay(self, rtcore, core):
        """As in the official recipe; --again draws them anew."""
        words = ("clarity", "build", "clarity_data", "--split", "train", "--scenes", 2)
        assert "scenes.train.json: 2 scenes" in rtcore(*words).stdout
        assert "was there already" in rtcore(*words, "--seed", 5).stdout
        path = core / "metadata/scenes.train.json"
        first = path.read_bytes()
        assert "2 scenes" in rtcore(*words, "--seed", 5, "--again").stdout
        assert first != path.read_bytes()

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda r: shutil.rmtree(r / "train/rooms"), "holds no R*_t.rpf"),
            (
                lambda r: (r / "train/rooms/rpf/R06001_i2.rpf").unlink(),
                "lacks R06001_i2.rpf, which scenes are drawn from",
            ),
            (
                lambda r: (r / "metadata/masker_music_list.json").write_text("[]"),
                "cannot be drawn from (",
            ),
            (
                lambda r: (r / "metadata/target_speech_list.json").write_text("[]"),
                "has no target whose dataset is 'train'",
            ),
        ],
    )
    def test_what_is_missing_is_told(self, rtcore, core, spoil, said):
        """A list or a room that is not there is named."""
        spoil(core)
        run = rtcore("clarity", "build", "clarity_data", "--split", "train", "--scenes", 9)
        assert 2 == run.exit_code
        assert said in run.stderr


@pytest.fixture
def to_render(core, official):
    """A scene with all that it is rendered from: the impulse responses are made up."""
    rng = np.random.default_rng(0)
    for name in ("rooms/HOA_IRs", "targets", "interferers/noise", "interferers/speech"):
        (core / "dev" / name).mkdir(parents=True)
    shutil.copyfile(official / "metadata/rooms.train.json", core / "metadata/rooms.dev.json")
    for name in ("t", "i1", "i2"):
        response = 0.1 * rng.normal(size=(49, 64)) * np.exp(-np.arange(64) / 10)
        path = core / f"dev/rooms/HOA_IRs/HOA_R06001_{name}.wav"
        write(path, response, 44100, subtype="FLOAT")
    write(core / "dev/targets/T1.wav", speech_like(0.05, 44100), 44100, subtype="PCM_16")
    for kind in ("noise", "speech"):
        sound = 0.1 * rng.normal(size=(1, 8820))
        write(core / f"dev/interferers/{kind}/x.wav", sound, 44100, subtype="PCM_16")
    masker = {"time_start": 0, "time_end": 3000, "name": "x.wav"}
    scene = {
        "dataset": "dev", "room": "R06001", "scene": "S06001",
        "target": {"name": "T1", "time_start": 500, "time_end": 2705}, "duration": 3000,
        "interferers": [{"position": 1, "type": "noise", "offset": 0, **masker},
                        {"position": 3, "type": "speech", "offset": 7, **masker}],
        "SNR": 2.5,
        "listener": {"rotation": [{"sample": 600.5, "angle": -125.8},
                                  {"sample": 1600.5, "angle": -112.0}],
                     "hrir_filename": ["VP_N6-ED", "VP_N6-BTE_fr"]},
    }  # fmt: skip
    lost = {**scene, "scene": "S06002", "target": {**scene["target"], "name": "T9"}}
    (core / "metadata/scenes.dev.json").write_text(json.dumps([scene, lost]))
    return core, official / "hrir/HRIRs_MAT", scene


@pytest.mark.xdist_group("renderer")  # what pyclarity compiles for it takes ten seconds
def test_scenes_are_rendered_as_the_official_renderer_does(rtcore, to_render):
    """The same bytes as the official call; a scene that lacks a file fails alone."""
    core, heads, scene = to_render
    words = ("clarity", "render", "clarity_data", "--hrirs", heads, "--jobs", 1, "--json")
    run = rtcore(*words)
    assert 1 == run.exit_code
    told = json.loads(run.stdout)
    assert (1, 1) == (told["done"], told["failed"])
    assert "T9.wav: is missing, and scene S06002 is rendered from it" in run.stderr
    from clarity.data.scene_renderer_cec2 import SceneRenderer

    part = core / "dev"
    renderer = SceneRenderer(
        SimpleNamespace(
            hoairs=str(part / "rooms/HOA_IRs"), hrirs=str(heads), scenes=str(core / "official"),
            targets=str(part / "targets"), interferers=f"{part}/interferers/{{type}}",
        ),
        SimpleNamespace(
            room_definitions=core / "metadata/rooms.dev.json",
            hrir_metadata=core / "metadata/hrir_data.json",
        ),
        ambisonic_order=6, equalise_loudness=False, reference_channel=1, channel_norms=[12.0, 3.0],
    )  # fmt: skip
    with warnings.catch_warnings():  # SciPy knows no PEAK chunk
        warnings.simplefilter("ignore")
        renderer.render_scenes([scene])
    expected = sorted(path.name for path in (core / "official").iterdir())
    own = sorted(path.name for path in (part / "scenes").glob("*.wav"))
    assert 8 == len(expected)
    assert expected == own
    for name in expected:
        assert (core / "official" / name).read_bytes() == (part / "scenes" / name).read_bytes()
    again = json.loads(rtcore(*words, "--limit", 1).stdout)
    assert (0, 1) == (again["done"], again["skipped"])
