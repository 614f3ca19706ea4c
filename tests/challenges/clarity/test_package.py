# SPDX-License-Identifier: MIT
"""What is handed in: made, converted, and refused where the challenge would refuse it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.audiofile import read, write

NAMES = [f"S0600{s}_L000{n}_HA-output.wav" for s, n in ((1, 1), (1, 2), (2, 2), (2, 3))]


@pytest.fixture
def outputs(mini):
    """Outputs of 44.1 kHz for all pairs: what the front microphones heard."""
    folder = Path("out/enhanced_signals")
    folder.mkdir(parents=True)
    for name in NAMES:
        x, rate = read(mini / f"dev/scenes/{name[:6]}_mix_CH1.wav")
        write(folder / name, x, rate, subtype="PCM_16")
    return folder


def test_a_submission_is_made_and_good(rtcore, outputs):
    """Outputs of another rate are brought to 32 kHz, and packed."""
    run = rtcore("clarity", "package", "mini", "out", "E099", "--archive", "zip")
    assert 0 == run.exit_code, run.stderr
    assert "0 copied, 4 converted, 0 missing" in run.stdout
    assert "E099: 4 of 4 outputs are good" in run.stdout
    header = soundfile.info(Path("E099") / NAMES[0])
    assert (32000, 2, "PCM_16") == (header.samplerate, header.channels, header.subtype)
    with zipfile.ZipFile("E099.zip") as packed:
        assert {f"E099/{name}" for name in NAMES} <= set(packed.namelist())
    assert 0 == rtcore("clarity", "package", "mini", "E099", "--check").exit_code
    again = rtcore("clarity", "package", "mini", "E099", "E100", "--scenes",
                   "mini/clarity_data/dev/scenes")  # fmt: skip
    assert 1 == again.exit_code, "E099 has no enhanced_signals in it"


def spoil_rate(folder):
    x, _ = read(folder / NAMES[0])
    write(folder / NAMES[0], x, 44100, subtype="PCM_16")


def spoil_bits(folder):
    x, rate = read(folder / NAMES[0])
    write(folder / NAMES[0], x, rate, subtype="PCM_24")


def spoil_channels(folder):
    x, rate = read(folder / NAMES[0])
    write(folder / NAMES[0], x[:1], rate, subtype="PCM_16")


def spoil_length(folder):
    x, rate = read(folder / NAMES[0])
    write(folder / NAMES[0], x[:, 10:], rate, subtype="PCM_16")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_rate, "has 44100 Hz, and 32000 Hz are asked for"),
        (spoil_bits, "has PCM_24, and 16 bits (PCM_16) are asked for"),
        (spoil_channels, "has 1 channels, and two channels are asked for"),
        (spoil_length, "; an output is as long, or longer by a filter's tail"),
        (lambda f: (f / NAMES[1]).unlink(), f"lacks 1 of 4 outputs ({NAMES[1]}); make them"),
        (lambda f: (f / "notes.txt").touch(), "has 1 files that nobody asked for (notes.txt)"),
        (lambda f: (f / NAMES[2]).write_bytes(b"RIFF"), f"{NAMES[2]}: "),
    ],
)
def test_what_would_be_refused_is_told(rtcore, outputs, spoil, said):
    """Each fault is a sentence, and the command leaves with 1."""
    assert 0 == rtcore("clarity", "package", "mini", "out", "E099").exit_code
    spoil(Path("E099"))
    run = rtcore("clarity", "package", "mini", "E099", "--check", "--archive", "zip")
    assert 1 == run.exit_code
    assert said in run.stderr
    assert not Path("E099.zip").exists()


def test_clipped_samples_are_listed(rtcore, outputs):
    """Full scale is no fault, but it is told, file by file."""
    assert 0 == rtcore("clarity", "package", "mini", "out", "E099").exit_code
    path = Path("E099") / NAMES[3]
    x, rate = read(path)
    x[1, 5:9] = [1.0, -1.0, 1.0, 0.99]
    write(path, x, rate, subtype="PCM_16")
    run = rtcore("clarity", "package", "mini", "E099", "--check", "--json")
    assert 0 == run.exit_code, run.stderr
    assert {NAMES[3]: 3} == json.loads(run.stdout)["clipped"]


def test_a_folder_in_use_is_refused(rtcore, outputs):
    """A submission is made in a new folder; what is to be done must be clear."""
    Path("E099").mkdir()
    Path("E099/mine.txt").touch()
    run = rtcore("clarity", "package", "mini", "out", "E099")
    assert 2 == run.exit_code
    assert "is there already; name a new folder, or check this one with --check" in run.stderr
    assert "name the folder to be made" in rtcore("clarity", "package", "mini", "out").stderr
    assert np.all(["E099/mine.txt" == str(p) for p in Path("E099").iterdir()])
