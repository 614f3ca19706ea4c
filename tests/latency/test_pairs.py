# SPDX-License-Identifier: MIT
"""Systems that run elsewhere are measured through a folder of files."""

from __future__ import annotations

import json
import shutil

import numpy as np
import planted_systems as planted
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import audiofile
from rtcore.errors import AudioFileError, ConfigError, ParameterError
from rtcore.latency.pairs.folder import read_manifest
from rtcore.latency.pairs.making import judge_pairs, make_pairs, refine_pairs
from rtcore.latency.pairs.placing import hop_seen, next_round, over_hop, spread_over_hops
from rtcore.latency.systems.base import SystemFaultError

RATE = 16000
SPREAD = spread_over_hops(5000, 4096, 64)


def made(folder, **options):
    """Make pairs in short sounds."""
    make_pairs(folder, **{"sample_rate": RATE, "seconds": 1.0, "count": 48, **options})
    return folder


def run(system, folder, subtype="DOUBLE"):
    """Do what the user does: run the system on every new file."""
    (folder / "out").mkdir(exist_ok=True)
    for file in sorted((folder / "in").iterdir()):
        if not (folder / "out" / file.name).exists():
            x, rate = audiofile.read(file)
            audiofile.write(folder / "out" / file.name, system.run(x), rate, subtype=subtype)
    return folder


def judged(system, folder, rounds=1, **options):
    """Make, run and judge, with so many rounds."""
    made(folder, **options)
    for _ in range(rounds - 1):
        run(system, folder)
        refine_pairs(folder)
    return judge_pairs(run(system, folder))


def files(folder):
    """Give the content of all files."""
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestMeasurement:
    @pytest.mark.parametrize(
        "system",
        [
            planted.delay(0),
            planted.delay(110),
            planted.fir(79),
            planted.stft(512, 128),
            planted.stft(320, 160, 1, effect="gain"),
            planted.stft(1024, 500, late=1024, phase=77, shape="open"),
            planted.dithered(planted.fir(30)),
        ],
        ids=lambda system: system.name,
    )
    def test_two_rounds_are_exact(self, system, tmp_path):
        """After two rounds the look-ahead is exact and proved in a stretch; so is the delay."""
        found, delay, rate, channels = judged(system, tmp_path / "pairs", rounds=2)
        assert system.lookahead_samples == found.samples == found.upper_samples
        assert found.exact
        assert system.deterministic == found.deterministic
        assert system.latency_samples == round(delay.samples)
        assert (RATE, 1) == (rate, channels)

    def test_the_first_round_brackets(self, tmp_path):
        """One round gives a lower and an upper bound, and says how wide its gaps are."""
        system = planted.stft(512, 128)
        found = judged(system, tmp_path / "pairs").lookahead
        assert found.samples <= system.lookahead_samples <= found.upper_samples
        assert found.upper_samples - found.samples < 2 * found.gap_samples

    def test_long_delays(self, tmp_path):
        """A delay may leave little of the sound, or none of the dense part; then it is not told."""
        found = judged(planted.delay(5000), tmp_path / "long", rounds=2)
        assert (-5000, 5000) == (found.lookahead.samples, found.delay.samples)
        found = judged(planted.delay(13_000), tmp_path / "longer", rounds=2)
        assert (-13_000, None) == (found.lookahead.samples, found.delay)

    def test_one_position_proves_nothing(self, tmp_path):
        """Sounds that were tried at few places prove no stretch, even where they show the most."""
        late = int(0.94 * RATE)

        def peek(x):  # 7 samples ahead, but only while the input is silent
            ahead = np.concatenate((x[:, 7:], np.zeros((1, 7))), axis=1)
            return 0.5 * x + 0.25 * ahead * (x == 0.0)

        found = judged(planted.Planted("peek", peek, lookahead_samples=7), tmp_path / "pairs")
        assert 7 == found.lookahead.samples
        assert not found.lookahead.exact
        assert late == max(p.at for p in found.lookahead.positions)

    @pytest.mark.parametrize(
        "system",
        [
            planted.rarely_ahead(300, 50, 17),
            planted.phase_dependent(np.random.default_rng(1).integers(0, 300, 150)),
        ],
        ids=lambda system: system.name,
    )
    def test_irregular_systems_take_four_rounds(self, system, tmp_path):
        """Without a hop to go by, the largest look-ahead is closed in on from round to round."""
        found = judged(system, tmp_path / "pairs", rounds=4).lookahead
        assert system.lookahead_samples == found.samples == found.upper_samples

    @pytest.mark.parametrize("hop", [1, 32, 48])
    def test_a_known_hop_takes_one_round(self, hop, tmp_path):
        """With as many positions as the hop has phases, one round is exact."""
        system = planted.stft(96, hop)
        found = judged(system, tmp_path / "pairs", hop=hop).lookahead
        assert 95 == found.samples == found.upper_samples
        assert hop == found.period_samples

    @pytest.mark.parametrize(
        ("system", "cause"),
        [
            (planted.peak_normalised(), "normalised to its peak"),
            (planted.rms_normalised(planted.fir(20)), "normalised to its RMS level"),
            (planted.mean_removed(), "the whole file's mean is removed"),
            (planted.backwards(), "something is computed from the whole file"),
        ],
        ids=lambda value: getattr(value, "name", ""),
    )
    def test_whole_files(self, system, cause, tmp_path):
        """A dependence on the whole file is found in one round, and named; no other follows."""
        folder = tmp_path / "pairs"
        found = judged(system, folder).lookahead
        assert found.whole_file
        assert found.upper_samples is None
        assert cause in found.cause
        with pytest.raises(SystemFaultError, match="there is nothing to narrow down"):
            refine_pairs(folder)

    def test_a_running_peak_is_no_whole_file(self, tmp_path):
        """What looks like a normalisation and knows nothing of the future is told apart."""
        found = judged(planted.running_peak_normalised(), tmp_path / "pairs", rounds=2).lookahead
        assert (0, False) == (found.samples, found.whole_file)

    def test_several_channels_and_other_numbers_of_them(self, tmp_path):
        """A system may take two channels and give one."""
        inner = planted.fir(12, channels=2)
        system = planted.Planted("one", lambda x: inner.run(x)[0] - 2 * x[1], lookahead_samples=12)
        found = judged(system, tmp_path / "pairs", rounds=2, channels=2)
        assert (12, 12, 2) == (
            found.lookahead.samples,
            found.lookahead.upper_samples,
            found.channels,
        )

    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
    def test_formats(self, subtype, tmp_path):
        """Sounds of any format part exactly where they should; coarse outputs are spoken of."""
        folder = made(tmp_path / "pairs", subtype=subtype)
        manifest = read_manifest(folder)
        base = {f.signal: f for f in manifest.files if f.role == "reference"}
        for file in manifest.files:
            if file.role == "position":
                x, _ = audiofile.read(folder / "in" / file.name)
                y, _ = audiofile.read(folder / "in" / base[file.signal].name)
                assert file.at == int((x != y).any(axis=0).argmax())
        cause = judge_pairs(run(planted.fir(3), folder, subtype)).lookahead.cause
        assert (subtype == "PCM_16") == ("16 bits" in cause)

    def test_no_delay_where_nothing_is_alike(self, tmp_path):
        """Where the output has nothing of the probe there is no delay, but a look-ahead."""
        noise = np.random.default_rng(3).uniform(-1.0, 1.0, RATE)
        system = planted.Planted("square", lambda x: noise + 1e-6 * x**2, lookahead_samples=0)
        found = judged(system, tmp_path / "pairs")
        assert (0, None) == (found.lookahead.samples, found.delay)


class TestFolder:
    def test_equal_seeds_give_equal_files(self, tmp_path):
        """The same arguments give the same bytes, another seed others."""
        first = files(made(tmp_path / "a"))
        assert first == files(made(tmp_path / "b"))
        assert first != files(made(tmp_path / "c", seed=1))

    def test_refining_keeps_what_is_there(self, tmp_path):
        """A further round adds files, tells which, and touches no earlier one."""
        folder = run(planted.stft(512, 128), made(tmp_path / "pairs"))
        before = files(folder)
        new = refine_pairs(folder)
        after = files(folder)
        assert {path.name for path in new} == set(after) - set(before)
        assert all(after[name] == before[name] for name in before if name != "pairs.json")
        assert 0 < len(new) <= 48

    def test_the_readme_tells_what_to_do(self, tmp_path):
        """The folder explains itself."""
        text = (made(tmp_path / "pairs") / "README.txt").read_text("utf-8")
        assert "Run your system on every file of in/" in text
        assert "--judge" in text

    def test_an_empty_folder_will_do(self, tmp_path):
        """A folder that exists and is empty is used, and one in a new folder is made."""
        (tmp_path / "pairs").mkdir()
        assert (made(tmp_path / "pairs") / "pairs.json").is_file()
        assert (made(tmp_path / "new" / "pairs") / "pairs.json").is_file()

    def test_nothing_is_overwritten(self, tmp_path):
        """A folder that holds anything is refused and stays as it is."""
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("mine", "utf-8")
        with pytest.raises(SystemFaultError, match="is not an empty folder; name another one"):
            made(tmp_path / "mine")
        with pytest.raises(SystemFaultError, match="is not an empty folder"):
            made(tmp_path / "mine" / "notes.txt")
        made(tmp_path / "pairs")
        before = files(tmp_path)
        with pytest.raises(SystemFaultError, match="holds pairs already; judge them, refine them"):
            made(tmp_path / "pairs")
        assert before == files(tmp_path)

    def test_a_failure_leaves_nothing(self, tmp_path):
        """Where a sound cannot be written there is no folder at all, nor a draft of it."""
        with pytest.raises(ParameterError, match="'VORBIS' is no sample format for pairs"):
            made(tmp_path / "pairs", subtype="VORBIS")
        assert [] == list(tmp_path.iterdir())

    def test_a_full_disk_leaves_nothing(self, tmp_path, monkeypatch):
        """The error names the folder that was asked for, not the draft, and nothing stays."""

        def full(path, *_args, **_options):
            raise AudioFileError(f"{path}: cannot be written: the disk is full")

        monkeypatch.setattr(audiofile, "write", full)
        with pytest.raises(AudioFileError, match=f"^{tmp_path}/pairs/in/reference_"):
            made(tmp_path / "pairs")
        assert [] == list(tmp_path.iterdir())

    def test_a_place_that_cannot_be(self, tmp_path):
        """A file where a folder is needed is refused with the place's name."""
        (tmp_path / "file").write_text("")
        with pytest.raises(SystemFaultError, match="file/pairs: no folder can be made there"):
            made(tmp_path / "file" / "pairs")

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"seconds": 0.1}, "seconds: must lie between 0.2 and 600.0, got 0.1"),
            ({"seconds": float("nan")}, "seconds: must lie between"),
            ({"count": 0}, "count: must lie between"),
            ({"channels": 65}, "channels: must lie between"),
            ({"sample_rate": 999}, "sample_rate: must lie between"),
            ({"hop": 4001}, "a quarter of the sounds .4000 samples., got 4001"),
        ],
    )
    def test_impossible_numbers(self, options, what, tmp_path):
        """Each number has its range; nothing is made outside of it."""
        with pytest.raises(ParameterError, match=what):
            made(tmp_path / "pairs", **options)
        assert [] == list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Give a folder with its outputs, to be copied."""
    return run(planted.delay(3), made(tmp_path_factory.mktemp("good") / "pairs", count=4))


@pytest.fixture
def pairs(good, tmp_path):
    """Give a folder of one's own to spoil."""
    return shutil.copytree(good, tmp_path / "pairs")


class TestBadOutputs:
    def test_all_are_named_at_once(self, pairs):
        """Missing, extra, unreadable, resampled, cut and down-mixed outputs: one sentence."""
        names = sorted(p.name for p in (pairs / "out").iterdir())
        out = pairs / "out"
        sound = np.zeros((1, RATE))
        (out / names[0]).unlink()
        (out / names[1]).rename(out / "other.wav")
        (out / names[2]).write_bytes(b"no sound")
        audiofile.write(out / names[3], sound, 8000)
        audiofile.write(out / names[4], sound[:, :-1], RATE)
        audiofile.write(out / names[5], np.zeros((2, RATE)), RATE)
        (out / ".hidden").write_text("", "utf-8")
        with pytest.raises(SystemFaultError) as error:
            judge_pairs(pairs)
        said = str(error.value)
        assert f"2 files are missing ({names[0]}, {names[1]})" in said
        assert "1 file is not asked for (other.wav)" in said
        assert f"1 file is no sound that can be read ({names[2]})" in said
        assert f"1 file is not at 16000 Hz ({names[3]}: 8000 Hz)" in said
        assert f"1 file is not 16000 samples long ({names[4]}: 15999)" in said
        assert f"1 file is not with 1 channels as the others ({names[5]}: 2)" in said
        assert "hidden" not in said
        assert 2 == error.value.exit_code

    def test_no_outputs(self, pairs):
        """Without out/ the files are counted, and the first of them named."""
        shutil.rmtree(pairs / "out")
        with pytest.raises(SystemFaultError, match=r"\d+ files are missing .* and \d+ more\)"):
            judge_pairs(pairs)

    def test_a_further_round_needs_its_outputs(self, pairs):
        """Outputs of the first round alone do not do after a second one was made."""
        new = refine_pairs(pairs)
        with pytest.raises(SystemFaultError, match=f"{len(new)} files are missing"):
            judge_pairs(pairs)

    def test_silence(self, pairs):
        """Outputs that never change say nothing."""
        for file in (pairs / "out").iterdir():
            audiofile.write(file, np.zeros((1, RATE)), RATE)
        with pytest.raises(SystemFaultError, match="no change of the input shows in any output"):
            judge_pairs(pairs)

    def test_chaos(self, pairs):
        """Where two runs on one sound have little in common, nothing can be told."""
        rng = np.random.default_rng(0)
        for file in (pairs / "out").iterdir():
            audiofile.write(file, rng.uniform(-0.5, 0.5, (1, RATE)), RATE)
        with pytest.raises(SystemFaultError, match="two outputs for one sound differ by"):
            judge_pairs(pairs)

    def test_not_a_number(self, pairs):
        """An output with NaN is named."""
        file = min((pairs / "out").iterdir())
        sound = np.zeros(RATE)
        sound[5] = np.nan
        soundfile.write(file, sound, RATE, subtype="FLOAT")
        with pytest.raises(AudioFileError, match=f"{file.name}: frame 5"):
            judge_pairs(pairs)

    def test_changed_inputs(self, pairs):
        """Inputs that are not what was made prove nothing."""
        file = min((pairs / "in").iterdir())
        file.write_bytes(file.read_bytes()[:-4] + b"abcd")
        with pytest.raises(SystemFaultError, match=rf"1 file is lost or changed \({file.name}\)"):
            judge_pairs(pairs)


class TestBadManifest:
    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"frames": "many"}, "pairs.json: frames: "),
            ({"format": "rtcore pairs 2"}, "pairs.json: format: "),
            ({"more": 1}, "pairs.json: more: is an unknown key"),
            ({"files": []}, "pairs.json: files: lists a sound without its reference"),
            ({"rounds": []}, "pairs.json: rounds: "),
        ],
    )
    def test_impossible_content(self, change, what, pairs):
        """The key is named."""
        path = pairs / "pairs.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
        with pytest.raises(ConfigError, match=what):
            judge_pairs(pairs)

    def test_a_name_outside_of_the_folder(self, pairs):
        """No file outside of in/ and out/ is ever read."""
        path = pairs / "pairs.json"
        path.write_text(path.read_text("utf-8").replace("delay_noise_1", "../delay_noise_1"))
        with pytest.raises(ConfigError, match=r"name: String should match pattern"):
            judge_pairs(pairs)

    def test_no_json(self, pairs):
        """Damaged and missing manifests have sentences of their own."""
        (pairs / "pairs.json").write_text("{", "utf-8")
        with pytest.raises(ConfigError, match="is not JSON"):
            judge_pairs(pairs)
        (pairs / "pairs.json").unlink()
        with pytest.raises(ConfigError, match="give a folder made by --make-pairs"):
            refine_pairs(pairs)


class TestPlacing:
    @given(st.integers(0, 1000), st.integers(1, 4096), st.integers(1, 200), st.integers(0, 99))
    def test_spread(self, low, width, count, seed):
        """As many different positions as asked for, or all, and no hop is covered badly."""
        ats = spread_over_hops(low, width, count, seed)
        assert min(count, width) == len(set(ats))
        assert all(low <= at < low + width for at in ats)

    def test_no_hop_is_covered_badly(self):
        """64 positions leave no more than twelve times the smallest possible gap, for any hop."""
        ats = np.array(SPREAD)
        for hop in range(2, 4097):
            phases = np.unique(ats % hop)
            gap = np.diff(np.append(phases, phases[0] + hop)).max()
            assert gap <= 12 * max(1, hop / 64), hop

    @given(st.integers(1, 5000), st.integers(1, 300))
    def test_over_hop(self, hop, count):
        """The phases of a hop: all of them, or evenly so many."""
        ats = over_hop(7, hop, count)
        assert min(hop, count) == len(set(ats))
        assert hop > max(ats) - 7
        if 1 < count < hop:
            assert np.diff(ats).max() <= -(-(hop - 1) // (count - 1))

    @given(st.integers(2, 500), st.integers(0, 499), st.integers(0, 3000))
    def test_hop_seen(self, hop, phase, late):
        """A staircase of whole hops is recognised; one step a sample is none."""
        stairs = [(at, (at - phase) // hop * hop + late) for at in SPREAD]
        assert hop == hop_seen(stairs)
        assert hop_seen([(at, at + late) for at in SPREAD]) is None

    @settings(max_examples=40)
    @given(st.integers(1, 64), st.lists(st.integers(0, 400), min_size=1, max_size=200))
    def test_rounds_close_in(self, count, table):
        """Whatever the look-ahead of each phase, each round brings new positions in its stretch."""
        firsts = np.arange(SPREAD[-1] + 1)
        for m in reversed(range(firsts.size)):
            firsts[m : m + table[m % len(table)] + 1] = m
        tried = [(at, int(firsts[at])) for at in SPREAD[:count]]
        stretch = None
        for _ in range(3):
            best = max(at - found for at, found in tried)
            stretch, new = next_round(tried, best, count, room=(4000, 8999), last=stretch)
            assert new
            assert len(new) <= count
            assert not {at for at, _ in tried} & set(new)
            assert all(stretch[0] <= at <= stretch[1] for at in new)
            tried += [(at, int(firsts[at])) for at in new]
        assert max(table) >= max(at - found for at, found in tried)
