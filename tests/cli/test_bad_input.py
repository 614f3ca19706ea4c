# SPDX-License-Identifier: MIT
"""Bad input: one sentence, exit code 2, no traceback, no half-written file."""

from __future__ import annotations

import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100
NOISE = np.random.default_rng(5).uniform(-0.5, 0.5, (20000, 2))
AXIS = "frequencies = [250, 500, 1000]"


def damaged(suffix: str, keep: float) -> bytes:
    path = Path(f"whole{suffix}")
    soundfile.write(path, NOISE, RATE)
    data = path.read_bytes()
    path.unlink()
    return data[: int(len(data) * keep)]


def wav_header(channels: int, rate: int, frames: int) -> bytes:
    data = np.zeros(frames * channels, np.int16).tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = (
        b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def nan_wav() -> bytes:
    samples = NOISE.copy()
    samples[777, 1] = np.nan
    soundfile.write("nan.wav", samples, RATE, subtype="FLOAT")
    data = Path("nan.wav").read_bytes()
    Path("nan.wav").unlink()
    return data


SOUNDS = {
    "missing": (None, "there is no such file"),
    "not audio": (b"a letter to a friend\n" * 50, "is not audio that libsndfile can read"),
    "truncated WAV": (
        lambda: damaged(".wav", 0.5),
        "is truncated: its header promises",
    ),
    "truncated FLAC": (lambda: damaged(".flac", 0.5), "is truncated or damaged"),
    "zero frames": (lambda: wav_header(2, RATE, 0), "holds no samples"),
    "NaN": (nan_wav, "frame 777 of channel 1 is nan"),
    "65 channels": (lambda: wav_header(65, RATE, 100), "has 65 channels, and at most 64"),
    "768 kHz": (lambda: wav_header(2, 768000, 100), "the sample rate is 768000 Hz"),
}

CHAINS = {
    "unknown plugin": (
        'id = "nlar"',
        "plugin[0].id: there is no plugin 'nlar' (did you mean 'nalr'?)",
    ),
    "unknown key": ('id = "gain"\ngain_dB = 3', "plugin[0].gain.gain_dB: no such parameter"),
    "out of range": ('id = "gain"\ngain_db = 99', "plugin[0].gain.gain_db: must be at most 40 dB"),
    "wrong type": ('id = "gain"\ngain_db = "3"', "plugin[0].gain.gain_db: must be a number"),
    "odd nfir": ('id = "nalr"\nnfir = 221', "plugin[0].nalr.nfir: "),
    "long nfir": ('id = "nalr"\nnfir = 1024', "plugin[0].nalr.nfir: must be at most 1022"),
    "unknown listener": (
        'id = "nalr"\naudiogram = "L9"',
        "plugin[0].nalr.audiogram: 'L9' is neither",
    ),
    "unequal lengths": (
        f'id = "nalr"\naudiogram = {{left = [1, 2], right = [1, 2, 3], {AXIS}}}',
        "plugin[0].nalr.audiogram.left: has 2 levels for 3 frequencies",
    ),
    "not TOML": ("id = gain", "is not TOML: invalid value (at line 2"),
}

AUDIOGRAMS = {
    "unequal lengths": (["--left", "1,2", "--right", "1,2,3"], "--left: has 2 levels for 3"),
    "duplicate": (["--frequencies", "500,500,1000"], "--frequencies[1]: 500 Hz comes twice"),
    "descending": (["--frequencies", "500,400,1000"], "--frequencies[1]: 400 Hz follows 500 Hz"),
    "NaN": (["--left", "1,nan,2"], "--left[1]: must be a finite number"),
    "a word": (["--right", "1,two,3"], "--right[1]: must be a number, got 'two'"),
}


def refused(done, what: str, out: Path) -> None:
    """Hold a finished process, or click's account of a call, against the rule."""
    code = done.returncode if hasattr(done, "returncode") else done.exit_code
    assert 2 == code, done.stderr
    assert "" == done.stdout
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert done.stderr.startswith("error: ")
    assert what in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists() or [] == list(out.iterdir())


@pytest.fixture
def out(home) -> Path:
    """Give a folder for the output, still empty."""
    (home / "out").mkdir()
    return home / "out"


@pytest.fixture
def good(home) -> Path:
    """Write a sound with nothing wrong about it."""
    soundfile.write(home / "good.wav", NOISE, RATE)
    return home / "good.wav"


@pytest.mark.parametrize("case", SOUNDS)
def test_sound(rtcore_process, home, out, case):
    """A sound that cannot be read to its end is refused."""
    content, what = SOUNDS[case]
    if content is not None:
        (home / "bad").write_bytes(content() if callable(content) else content)
    refused(rtcore_process("process", "bad", out / "y.wav", "-p", "gain"), what, out)


@pytest.mark.parametrize("case", CHAINS)
def test_chain(rtcore, home, good, out, case):
    """A chain that says something impossible is refused, naming the file and the place."""
    text, what = CHAINS[case]
    (home / "chain.toml").write_text(f"[[plugin]]\n{text}\n")
    done = rtcore("process", good, out / "y.wav", "-c", "chain.toml")
    refused(done, f"error: chain.toml: {what}", out)


@pytest.mark.parametrize("case", AUDIOGRAMS)
def test_audiogram(rtcore, good, out, case):
    """Levels that are no audiogram are refused, naming the option and the entry."""
    options, what = AUDIOGRAMS[case]
    given = {"--left": "1,2,3", "--right": "1,2,3", "--frequencies": "500,1000,2000"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    words = [word for pair in given.items() for word in pair]
    refused(rtcore("process", good, out / "y.wav", *words), what, out)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "name what to read and what to write"),
        (["good.wav"], "name what to read and what to write"),
        (["good.wav", "out/y.wav"], "say what to do with the sound: -c CHAIN.toml"),
        (["good.wav", "out/y.wav", "-p", "gain", "--audiogram", "N3"], "give one of -c CHAIN"),
        (["good.wav", "out/y.wav", "--audiogram", "N9"], "--audiogram: 'N9' is neither"),
        (["good.wav", "out/y.wav", "--left", "1,2,3,4,5,6,7,8"], "--right: is missing"),
        (["good.wav", "out/y.wav", "-p", "gain:loud"], "-p gain: 'loud' is no key=value"),
        (["good.wav", "out/y.wav", "-p", "gain:gain_db=x"], "gain_db: must be a number, got 'x'"),
        (["good.wav", "out/y.wav", "-c", "none.toml"], "none.toml: there is no such chain file"),
        (["good.wav", "out/y.wav", "-c", "out"], "out: cannot be read"),
        (["good.wav", "out/y.mp4", "-p", "gain"], "cannot tell a format from the suffix '.mp4'"),
        (["good.wav", "good.wav", "-p", "gain"], "is the input itself"),
        (["good.wav", "none/y.wav", "-p", "gain"], "the folder none does not exist"),
        (["good.wav", "/proc/y.wav", "-p", "gain"], "/proc"),
        (["good.wav", "good.wav", "out/y.wav", "-p", "gain"], "cannot be made"),
        (["good.wav", "out/y.wav", "-p", "gain", "--subtype", "MP3"], "cannot hold the subtype"),
        (["good.wav", "out/y.wav", "-p", "gain", "--format", "ogg"], "make them agree"),
        (["good.wav", "out", "-p", "gain", "--format", "mp4"], "'mp4' is no format"),
        (["good.wav", "out/y.wav", "-p", "gain", "--block", "0"], "0 is not in the range"),
        (["good.wav", "out/y.wav", "--replay", "none.jsonl"], "there is no such session log"),
    ],
)
def test_arguments(rtcore, good, out, arguments, what):
    """Words on the command line that make no sense are refused."""
    if arguments[:2] == ["good.wav", "good.wav"] and len(arguments) == 5:
        Path("out/y.wav").parent.rmdir()
        Path("out").write_text("a file where a folder should be")
        done = rtcore("process", *arguments)
        Path("out").unlink()
    else:
        done = rtcore("process", *arguments)
    refused(done, what, out)


def test_rate_of_the_chain(rtcore_process, home, good, out):
    """A file of another rate than its chain is refused with both numbers and the remedy."""
    (home / "chain.toml").write_text('sample_rate = 16000\n[[plugin]]\nid = "gain"\n')
    done = rtcore_process("process", good, out / "y.wav", "-c", "chain.toml")
    refused(done, "good.wav: has 44100 Hz and chain.toml is for 16000 Hz; resample the file", out)


def test_channels_of_the_chain(rtcore, home, good, out):
    """A file of other channels than its chain is refused with both numbers and the remedy."""
    (home / "chain.toml").write_text('channels = 1\n[[plugin]]\nid = "gain"\n')
    done = rtcore("process", good, out / "y.wav", "-c", "chain.toml")
    refused(done, "channels: 2 in the file, and chain.toml is for 1", out)


def test_full_disk(rtcore_process, good, out):
    """A disk that fills up leaves nothing of the output."""

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

    arguments = ("process", good, out / "y.wav", "-p", "gain")
    rtcore_process(*arguments)  # compiles, so that the cache need not be written below
    (out / "y.wav").unlink()
    done = rtcore_process(*arguments, preexec_fn=small)
    refused(done, "the disk is full", out)


@pytest.mark.parametrize(
    ("log", "what"),
    [
        ("", "log.jsonl, line 1: event: is missing"),
        ("{", "log.jsonl, line 1: is not JSON"),
        ('{"event": "update"}', "log.jsonl, line 1: chain: is missing"),
        ('{"event": "session", "chain": {"rate": 1}}', "line 1: chain: rate: is an unknown key"),
        ("HEADER\n[]", "log.jsonl, line 2: "),
        ('HEADER\n{"event": "flags", "frame": -1, "flags": 1}', "log.jsonl, line 2: frame: "),
        (
            'HEADER\n{"event": "update", "frame": 3, "plugin": "plugin[7].x", "values": {}}',
            "log.jsonl, line 2: plugin: 'plugin[7].x' is not in the chain",
        ),
        (
            'HEADER\n{"event": "reset", "frame": 9}\n{"event": "reset", "frame": 3}',
            "log.jsonl, line 3: frame 3 follows frame 9",
        ),
    ],
)
def test_session_log(rtcore, home, good, out, log, what):
    """A session log that cannot be played again is refused, naming the line."""
    header = '{"event": "session", "chain": {"plugin": [{"id": "gain"}]}}'
    (home / "log.jsonl").write_text(log.replace("HEADER", header))
    refused(rtcore("process", good, out / "y.wav", "--replay", "log.jsonl"), what, out)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["plugins", "show", "nlar"], "there is no plugin 'nlar' (did you mean 'nalr'?)"),
        (["plugins", "new", "My-Gain"], "'My-Gain' is no name for a plugin"),
        (["plugins", "new", "gain"], "there is a plugin 'gain' already"),
        (["plugins", "new", "mine", "--dir", "/proc/x"], "cannot be written"),
        (["plugins", "check", "gain:gain_db=99"], "gain_db: must be at most 40 dB"),
        (["audiogram", "show"], "say who listens"),
        (["audiogram", "show", "N3", "--audiogram", "N2"], "name one listener"),
        (["audiogram", "show", "none.csv"], "none.csv: there is no such file"),
        (["audiogram", "list", "--listeners", "none.json"], "none.json: there is no such file"),
    ],
)
def test_other_commands(rtcore, out, arguments, what):
    """Other commands answer mistakes in the same way."""
    refused(rtcore(*arguments), what, out)
