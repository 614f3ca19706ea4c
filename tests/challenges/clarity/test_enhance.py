# SPDX-License-Identifier: MIT
"""Scenes through hearing aids: the official output, any chain, restart, and what goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.audiofile import read, write
from rtcore.chain import Parallel, PerEar
from rtcore.challenges.clarity.aid import Aid, baseline, for_listener
from rtcore.challenges.clarity.enhance import Enhancer, EnhanceSettings, Task
from rtcore.challenges.clarity.layout import EDITIONS, find_set
from rtcore.hearing import Listener
from rtcore.plugins import NALR, Gain

OUT = Path("out/enhanced_signals")


def told(result):
    """Read what --json printed."""
    return json.loads(result.stdout)


def test_no_sample_differs_from_the_official_output(rtcore, official):
    """The challenge's test scene gives the challenge's file, sample for sample."""
    run = rtcore("clarity", "enhance", official, "out", "--scene", "S06001", "--limit", 1,
                 "--jobs", 1)  # fmt: skip
    assert 0 == run.exit_code, run.stderr
    name = "S06001_L0064_HA-output.wav"
    expected, rate = soundfile.read(
        official / "recipes/cec2/baseline/eval_signals" / name, dtype="int16"
    )
    actual, own_rate = soundfile.read(OUT / name, dtype="int16")
    assert (rate, "PCM_16") == (own_rate, soundfile.info(OUT / name).subtype)
    assert (259_420, 2) == expected.shape == actual.shape
    assert 0 == np.count_nonzero(expected != actual)
    assert 78939.73132324219 == np.abs(actual / 32768.0).sum()


def test_a_run_is_taken_up_where_it_ended(rtcore, mini):
    """What was made of the same things is skipped; another audiogram makes its outputs again."""
    first = told(rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, "--json"))
    assert (4, 0, 0) == (first["done"], first["skipped"], first["failed"])
    assert 4 == len(list(OUT.glob("*_HA-output.wav")))
    (OUT / "S06001_L0001_HA-output.wav").unlink()
    people = mini / "metadata/listeners.json"
    content = json.loads(people.read_text())
    content["L0003"]["audiogram_levels_r"][0] += 5
    people.write_text(json.dumps(content))
    plan = told(rtcore("clarity", "enhance", "mini", "out", "--dry-run", "--json"))
    assert ["S06001_L0001", "S06002_L0003"] == plan["to_do"]
    again = told(rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, "--json"))
    assert (2, 2, 0) == (again["done"], again["skipped"], again["failed"])


def test_two_processes_give_the_same_bytes(rtcore, mini):
    """However many processes there are, the files are the same."""
    for name, jobs in (("one", 1), ("two", 2)):
        words = ("--jobs", jobs, "--scene", "S06001")
        assert 0 == rtcore("clarity", "enhance", "mini", name, *words).exit_code
    made = list(Path("one/enhanced_signals").glob("*.wav"))
    assert 2 == len(made)
    for path in made:
        assert path.read_bytes() == (Path("two/enhanced_signals") / path.name).read_bytes()


def test_a_bad_scene_stops_no_other(rtcore, mini):
    """A truncated file and an unknown listener are told; the rest is made; it leaves with 1."""
    mix = mini / "dev/scenes/S06001_mix_CH1.wav"
    mix.write_bytes(mix.read_bytes()[:20_000])
    heard = mini / "metadata/scenes_listeners.dev.json"
    heard.write_text(json.dumps({"S06001": ["L0001"], "S06002": ["L0009", "L0002"]}))
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1)
    assert 1 == run.exit_code
    assert "S06001_mix_CH1.wav: " in run.stderr
    assert "scenes_listeners.dev.json: S06002[0]: names the listener 'L0009'" in run.stderr
    assert "1 done, 0 skipped, 2 failed" in run.stdout
    assert ["S06002_L0002_HA-output.wav"] == [path.name for path in OUT.glob("*.wav")]


def test_a_sound_with_nan_is_told(rtcore, mini):
    """A sample that is no number gives no output."""
    mix = mini / "dev/scenes/S06002_mix_CH1.wav"
    x, rate = soundfile.read(mix)
    x[77, 1] = np.nan
    soundfile.write(mix, x, rate, subtype="FLOAT")
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, "--scene", "S06002")
    assert 1 == run.exit_code
    assert "S06002_mix_CH1.wav" in run.stderr
    assert [] == list(OUT.glob("*.wav"))


@pytest.mark.parametrize("odd", ["S06001", "S06002"])
def test_a_scene_of_another_rate_fails_alone(rtcore, mini, odd):
    """First or last in the list: the chain is for the others' rate, and they are done."""
    mix = mini / f"dev/scenes/{odd}_mix_CH1.wav"
    x, _ = read(mix)
    write(mix, x, 48000, subtype="PCM_16")
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1)
    assert 1 == run.exit_code
    assert 2 == run.stderr.count("is for 44100 Hz, and the scene has 48000 Hz")
    assert "2 done, 0 skipped, 2 failed" in run.stdout


@pytest.mark.parametrize("content", [{}, {"S06001": []}])
def test_a_list_that_asks_for_nothing(rtcore, mini, content):
    """It is told, and no folder is made."""
    (mini / "metadata/scenes_listeners.dev.json").write_text(json.dumps(content))
    run = rtcore("clarity", "enhance", "mini", "out")
    assert 2 == run.exit_code
    assert "scenes_listeners.dev.json: names no scene with a listener" in run.stderr
    assert not Path("out").exists()


def test_outputs_of_another_program_stay(rtcore, mini):
    """A folder with such files that no run has written is refused; --again overwrites them."""
    OUT.mkdir(parents=True)
    foreign = OUT / "S06001_L0001_HA-output.wav"
    foreign.write_text("mine")
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1)
    assert 2 == run.exit_code
    assert "(S06001_L0001_HA-output.wav) that `clarity enhance` has not written" in run.stderr
    assert [foreign] == list(OUT.iterdir())
    assert "mine" == foreign.read_text()
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, "--again")
    assert "4 done" in run.stdout


def test_a_scene_that_is_not_in_the_list(rtcore, mini):
    """The nearest one is shown."""
    run = rtcore("clarity", "enhance", "mini", "out", "--scene", "S0600")
    assert 2 == run.exit_code
    assert "has no scene 'S0600' (did you mean 'S0600" in run.stderr


def test_any_chain_hears_any_microphones(rtcore, mini):
    """Two pairs are four channels, in the order that was named; the side-car says what was done."""
    Path("chain.toml").write_text('[[plugin]]\nid = "mix"\ngains = [[0, 0, 1, 0], [0, 1, 0, 0]]\n')
    run = rtcore("clarity", "enhance", "mini", "out", "-c", "chain.toml", "--mics", "1,3",
                 "--dtype", "float64", "--jobs", 1, "--scene", "S06001")  # fmt: skip
    assert 0 == run.exit_code, run.stderr
    front, _ = read(mini / "dev/scenes/S06001_mix_CH1.wav")
    rear, _ = read(mini / "dev/scenes/S06001_mix_CH3.wav")
    y, _ = read(OUT / "S06001_L0001_HA-output.wav")
    assert np.array_equal(np.stack([rear[0], front[1]]), y)
    side = json.loads(Path("out/enhance.json").read_text())
    assert ([1, 3], False, 64) == (side["mics"], side["compat"], len(side["chain_sha256"]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mics", "1,7"), "--mics: '1,7' names no microphone pairs"),
        (("-p", "gain", "-c", "x.toml"), "give -c CHAIN or -p PLUGIN, not both"),
        (("--mics", "1,2", "-p", "gain"), "the chain: gives 4 channels; a hearing aid's output"),
        (("-c", "chain.toml"), "chain.toml: is for 48000 Hz, and the scene has 44100 Hz"),
        (("-c", "wide.toml"), "wide.toml: is for 4 channels, and the microphones chosen"),
    ],
)
def test_impossible_wishes_are_refused_before_the_work(rtcore, mini, words, said):
    """What is wrong with the options is told once, and leaves with 2."""
    Path("chain.toml").write_text('sample_rate = 48000\n[[plugin]]\nid = "gain"\n')
    Path("wide.toml").write_text('channels = 4\n[[plugin]]\nid = "gain"\n')
    run = rtcore("clarity", "enhance", "mini", "out", "--jobs", 1, *words)
    assert 2 == run.exit_code
    assert said in run.stderr


def test_outputs_can_be_those_of_a_submission(rtcore, mini):
    """With --rate the output has 32 kHz; --align takes the latency and the tail out."""
    run = rtcore("clarity", "enhance", "mini", "out", "--rate", 32000, "--align", "--jobs", 1,
                 "--scene", "S06001", "--limit", 1)  # fmt: skip
    assert 0 == run.exit_code, run.stderr
    frames = soundfile.info(mini / "dev/scenes/S06001_mix_CH1.wav").frames
    header = soundfile.info(OUT / "S06001_L0001_HA-output.wav")
    assert (32000, -(-frames * 320 // 441)) == (header.samplerate, header.frames)


@pytest.mark.parametrize(("compat", "last"), [(False, 32767), (True, -32768)])
def test_full_scale_wraps_only_where_that_is_asked_for(mini, tmp_path, compat, last):
    """The official cast to 16 bits turns 1.0 into -32768; by default it stays at the top."""
    found = find_set(mini)
    mix = found.signals.mix("S06001", 1)
    x, rate = read(mix)
    write(mix, np.where(np.arange(x.shape[1]) > 1000, 0.9, 0.0) * np.ones((2, 1)), rate,
          subtype="PCM_16")  # fmt: skip
    config = Aid(baseline(EDITIONS["cec2"])).config
    loud = for_listener([Gain(gain_db=40.0), *config.elements[2:]], Listener.standard("N3"))
    aid = Aid(replace(config, elements=loud))
    enhancer = Enhancer(aid, found.people, EnhanceSettings(compat=compat))
    target = tmp_path / "loud.wav"
    facts = enhancer.work(Task(found.pairs[0], (mix,), target))
    y, _ = soundfile.read(target, dtype="int16")
    assert (last, last) == tuple(y[-1])
    assert (facts["clipped"] > 0) is (not compat)


def test_a_listener_who_comes_again_is_served_as_at_first(mini, tmp_path, monkeypatch):
    """A chain that played another scene meanwhile gives the same bytes; few are kept."""
    monkeypatch.setattr("rtcore.challenges.clarity.enhance._MOST_CHAINS", 1)
    found = find_set(mini)
    enhancer = Enhancer(Aid(baseline(EDITIONS["cec2"])), found.people, EnhanceSettings())
    first = found.pairs[0]
    other = next(pair for pair in found.pairs if pair.listener != first.listener)
    here, there = (found.signals.mix(scene, 1) for scene in ("S06001", "S06002"))
    written = []
    played = [(first, here), (first, there), (first, here), (other, here), (first, here)]
    for number, (pair, mix) in enumerate(played):
        target = tmp_path / f"{number}.wav"
        enhancer.work(Task(pair, (mix,), target))
        written.append(target.read_bytes())
    assert written[0] == written[2] == written[4]
    assert written[0] != written[1]
    assert 1 == len(enhancer._chains)


def test_every_audiogram_of_a_chain_is_the_listeners(mini):
    """Also within branches, where each ear's branch gets that ear's audiogram."""
    who = find_set(mini).people.find("L0003", "here")
    aware = for_listener([Gain(), Parallel([NALR()], []), PerEar([NALR()], [NALR()])], who)
    assert who is aware[1].branches[0][0].audiogram
    ears = [branch[0].audiogram for branch in aware[2].branches]
    assert [(who.left, who.left), (who.right, who.right)] == [ear.ears for ear in ears]
    assert who.left != who.right


def test_the_third_challenge_hears_the_mean_of_three_pairs(rtcore, mini):
    """CEC3's baseline writes floats of its own folder, from the mean of three pairs at 48 kHz."""
    scenes = mini / "dev/scenes"
    for kind in ("mix_CH1", "mix_CH2", "mix_CH3"):
        x, _ = read(scenes / f"S06001_{kind}.wav")
        write(scenes / f"S06001_{kind}.wav", x, 48000, subtype="PCM_16")
    write(scenes / "S06001_reference.wav", x, 48000, subtype="PCM_16")
    run = rtcore("clarity", "enhance", "mini", "out", "--scene", "S06001", "--limit", 1,
                 "--jobs", 1)  # fmt: skip
    assert 0 == run.exit_code, run.stderr
    from clarity.enhancer import nalr as official
    from clarity.enhancer.compressor import Compressor
    from clarity.utils.audiogram import Audiogram

    person = find_set(mini).people.find("L0001", "here")
    mics = [read(scenes / f"S06001_mix_CH{n}.wav")[0].astype(np.float32) for n in (1, 2, 3)]
    mean = (mics[0] + mics[1] + mics[2]) / 3
    nalr = official.NALR(nfir=220, sample_rate=48000)
    press = Compressor(
        threshold=0.35, attenuation=0.1, attack=50, release=1000, rms_buffer_size=0.064
    )
    expected = []
    for x, ear in zip(mean, person.ears, strict=True):
        fir, _ = nalr.build(Audiogram(np.array(ear.levels_db_hl), np.array(ear.frequencies_hz)))
        expected.append(np.tanh(press.process(nalr.apply(fir, x))[0]))
    y, rate = read("out/amplified_signals/S06001_L0001_HA-output.wav")
    assert 48000 == rate
    assert soundfile.info("out/amplified_signals/S06001_L0001_HA-output.wav").subtype == "FLOAT"
    assert np.abs(np.array(expected) - y).max() < 1e-6
