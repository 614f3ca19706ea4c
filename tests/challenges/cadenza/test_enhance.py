# SPDX-License-Identifier: MIT
"""Whole sets are enhanced: as the official code does it, again, in part, and with faults."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile

from rtcore.audiofile import read, write
from rtcore.challenges.cadenza.enhance import Enhancer, EnhanceSettings, output_name
from rtcore.challenges.cadenza.layout import find_set
from rtcore.challenges.cadenza.mini import MiniSettings, make_mini
from rtcore.challenges.cadenza.separators import SeparatorChoice


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a little set once."""
    folder = tmp_path_factory.mktemp("cadenza") / "set"
    make_mini(folder, MiniSettings(tracks=2, seconds=1.2, scenes=1, listeners=2))
    return folder


@pytest.fixture
def data(made, home):
    """Give a copy that may be spoilt."""
    shutil.copytree(made, home / "set")
    return home / "set"


def run(rtcore, *options, separator="oracle", out="out"):
    """Enhance the set in this process, and give what is told of it."""
    jobs = () if "--jobs" in options else ("--jobs", 1)
    words = ("cadenza", "enhance", "set", out, "--separator", separator, "--json", *jobs, *options)
    result = rtcore(*words)
    return result, json.loads(result.stdout) if result.stdout else {}


def outputs(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.flac"))}


def official(request, path, *, soft_clip):
    """Enhance with the official functions, the true stems in place of separated ones."""
    from clarity.enhancer.nalr import NALR
    from clarity.utils.audiogram import Audiogram
    from clarity.utils.flac_encoder import save_flac_signal
    from recipes.cad_icassp_2024.baseline import evaluate

    stems, mixture = evaluate.load_reference_stems(request.folder)
    stems = evaluate.apply_gains(stems, 44100, request.gains.model_dump())
    mix = evaluate.remix_stems(stems, mixture, 44100)
    ears = [
        evaluate.apply_ha(
            NALR(220, 44100),
            None,
            mix[:, k],
            Audiogram(np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)),
        )
        for k, ear in enumerate(request.listener.ears)
    ]
    whole = np.stack(ears, axis=1)
    save_flac_signal(whole, path, 44100, 32000, do_clip_signal=True, do_soft_clip=soft_clip)


@pytest.mark.parametrize("soft_clip", [False, True])
def test_within_a_step_of_the_official_files(made, tmp_path, soft_clip):
    """Stems to FLAC: at most one step of 16 bits differs, and nearly none does."""
    pytest.importorskip("recipes.cad_icassp_2024.baseline.evaluate")
    settings = EnhanceSettings(separator=SeparatorChoice("oracle"), soft_clip=soft_clip)
    enhancer, found = Enhancer(settings), find_set(made)
    for pair in found.pairs():
        request, target = found.request(pair), tmp_path / output_name(pair)
        told = enhancer.work((request, target, ""))
        official(request, tmp_path / "official.flac", soft_clip=soft_clip)
        expected, rate = soundfile.read(tmp_path / "official.flac", dtype="int16")
        actual, _ = soundfile.read(target, dtype="int16")
        assert 32000 == rate == soundfile.info(target).samplerate
        assert "PCM_16" == soundfile.info(target).subtype
        steps = np.abs(expected.astype(int) - actual)
        assert steps.max() <= 1
        assert np.count_nonzero(steps) <= 2
        assert (told["clipped"] == 0) == (soft_clip or told["peak_db"] <= 0.0)
        assert told["frames"] == len(actual)


def test_official_reader_reads_it_back(made, tmp_path):
    """PyFLAC reads the very samples that were written."""
    flac = pytest.importorskip("clarity.utils.flac_encoder", reason="pyclarity is the oracle")
    x = np.random.default_rng(0).integers(-32768, 32768, (2, 5000))
    write(tmp_path / "x.flac", x / 32768.0, 32000, subtype="PCM_16")
    actual, rate = flac.FlacEncoder.decode(tmp_path / "x.flac")
    assert 32000 == rate
    assert np.array_equal(x.T, actual)


def test_oracle_none_and_causal(rtcore, data):
    """Each mode gives all files; `none` changes nothing but the amplification."""
    for name, options in (("o", ()), ("n", ()), ("c", ("--causal",))):
        separator = "none" if name == "n" else "oracle"
        result, told = run(rtcore, *options, separator=separator, out=name)
        assert 0 == result.exit_code
        assert (4, 0, 0) == (told["done"], told["skipped"], told["failed"])
    found = find_set(data)
    pair = found.pairs()[0]
    plain = Enhancer(EnhanceSettings(separator=SeparatorChoice("none")))
    mixture, _ = read(found.request(pair).file("mixture"))
    expected = plain.aid.submitted(mixture, found.request(pair).listener, 44100)
    actual, _ = read(data.parent / "n" / output_name(pair))
    assert np.abs(np.clip(expected, -1, 1) - actual).max() <= 1.01 / 32768
    causal, _ = read(data.parent / "c" / output_name(pair))
    assert 2 == len(causal)
    assert 1 >= abs(causal.shape[1] - actual.shape[1])
    assert (
        len(set(outputs(data.parent / "c").values()) & set(outputs(data.parent / "o").values()))
        == 0
    )


def test_what_is_done_is_skipped(rtcore, data):
    """A second run does nothing; another setting, another stem or --again does."""
    first = run(rtcore)[1]
    assert 4 == first["done"]
    made_with = json.loads((data.parent / "out" / "rtcore-enhance.json").read_text())
    assert (["oracle"], False) == (made_with["separator"], made_with["compat"])
    assert {"frames", "clipped", "peak_db", "made_with"} == set(first["pairs"][0]["result"])
    assert 4 == run(rtcore)[1]["skipped"]
    assert 4 == run(rtcore, "--soft-clip")[1]["done"]
    song = next((data / "audio" / "at_mic_music" / "train").iterdir())
    stem, rate = read(song / "bass.wav")
    write(song / "bass.wav", 0.5 * stem, rate, subtype="PCM_16")
    told = run(rtcore, "--soft-clip")[1]
    assert (2, 2) == (told["done"], told["skipped"])
    assert 4 == run(rtcore, "--again")[1]["done"]


def test_parts_of_a_set(rtcore, data):
    """--limit, --shard, --small-test and --dry-run take their part."""
    plan = run(rtcore, "--dry-run")[1]
    assert 4 == len(plan["to_do"])
    assert not (data.parent / "out").exists()
    assert 1 == run(rtcore, "--small-test")[1]["done"]
    told = run(rtcore, "--limit", 2)[1]
    assert (1, 1) == (told["done"], told["skipped"])
    told = run(rtcore, "--shard", "2/2")[1]
    assert (1, 1) == (told["done"], told["skipped"])


def test_two_processes_give_the_same_bits(rtcore, data):
    """Nothing depends on how many processes there are."""
    run(rtcore)
    run(rtcore, "--jobs", 2, out="two")
    assert outputs(data.parent / "out") == outputs(data.parent / "two")
    assert 4 == len(outputs(data.parent / "two"))


def test_one_bad_song_stops_no_other(rtcore, data):
    """A damaged mixture and a missing listener are told with their files; the rest is done."""
    songs = sorted((data / "audio" / "at_mic_music" / "train").iterdir())
    whole = (songs[0] / "mixture.wav").read_bytes()
    (songs[0] / "mixture.wav").write_bytes(whole[: len(whole) // 2])
    heard = data / "metadata" / "scene_listeners.train.json"
    table = json.loads(heard.read_text())
    table["scene_10002"] = [*table["scene_10002"][:1], "L9999"]
    heard.write_text(json.dumps(table))
    result, told = run(rtcore)
    assert 1 == result.exit_code
    assert (1, 3) == (told["done"], told["failed"])
    errors = [one["error"] for one in told["pairs"] if one["status"] == "failed"]
    assert sum("mixture.wav" in error for error in errors) == 2
    assert sum("L9999" in error for error in errors) == 1
    assert 1 == len(outputs(data.parent / "out"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("short", "is shorter than 0.4 s, too short for its loudness"),
        ("stem", "frames and its mixture"),
        ("rate", "has a sample rate of 48000 Hz where 44100 Hz are wanted"),
    ],
)
def test_sounds_that_cannot_be_used(rtcore, data, spoil, sentence):
    """A short mixture, a stem of another length and another rate are refused by name."""
    song = find_set(data).request(find_set(data).pairs()[0]).folder
    if spoil == "short":
        write(song / "mixture.wav", np.zeros((2, 9000)), 44100, subtype="PCM_16")
    elif spoil == "stem":
        write(song / "drums.wav", np.zeros((2, 9000)), 44100, subtype="PCM_16")
    else:
        write(song / "mixture.wav", np.zeros((2, 90000)), 48000, subtype="PCM_16")
    result, told = run(rtcore)
    assert 1 == result.exit_code
    assert any(sentence in one["error"] for one in told["pairs"])


def test_foreign_files_stay(rtcore, data):
    """A folder with such files that no run has written is refused, and so is a file."""
    out = data.parent / "out"
    out.mkdir()
    (out / output_name(find_set(data).pairs()[0])).write_text("mine")
    result, _ = run(rtcore)
    assert "that `cadenza enhance` has not written" in result.stderr
    (data.parent / "file").write_text("mine")
    result, _ = run(rtcore, out="file")
    assert "is a file; name a folder for the enhanced songs" in result.stderr


def test_the_summary_lists_what_was_clipped(rtcore, data):
    """For people: each file with clipped samples, how many, and how far beyond full scale."""
    for path in (data / "audio" / "at_mic_music").rglob("*.wav"):
        sound, rate = soundfile.read(path)
        soundfile.write(path, np.clip(8.0 * sound, -1.0, 1.0), rate, subtype="PCM_16")
    result = rtcore("cadenza", "enhance", "set", "out", "--separator", "oracle", "--jobs", 1)
    assert "clipped in " in result.stdout
    assert "_L000" in result.stdout
    assert " %), peak +" in result.stdout
