# SPDX-License-Identifier: MIT
"""Reading audio files: exact samples, and a sentence for whatever is wrong."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import RATE, noise, refuses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore import audiofile
from rtcore.audiofile import Writer, blocks, info, read, write
from rtcore.errors import AudioFileError


def wav_bytes(path: Path, samples: np.ndarray) -> bytearray:
    soundfile.write(path, samples.T, RATE, subtype="PCM_16")
    return bytearray(path.read_bytes())


def with_data_size(data: bytearray, size: int) -> bytearray:
    """Change what the header says about the samples' size in bytes."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, changed.find(b"data") + 4, size)
    return changed


class TestReading:
    """Samples as they are in the file."""

    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_16_bit_is_exact(self, folder, suffix, dtype):
        """Every 16-bit integer is read as itself divided by 32768."""
        integers = np.arange(-32768, 32768, dtype=np.int16)
        path = folder / f"all{suffix}"
        soundfile.write(path, integers, RATE, subtype="PCM_16")
        samples, rate = read(path, dtype)
        assert rate == RATE
        assert np.dtype(dtype) == samples.dtype
        assert np.array_equal(integers / 32768.0, samples[0])

    def test_24_bit_is_exact_in_float32(self, folder):
        """A float32 holds each 24-bit sample exactly."""
        integers = np.random.default_rng(1).integers(-(2**23), 2**23, 5000).astype(np.int32)
        path = folder / "deep.wav"
        soundfile.write(path, integers << 8, RATE, subtype="PCM_24")
        assert np.array_equal(integers / 2.0**23, read(path, "float32")[0][0])

    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
    @given(frames=st.integers(1, 7000))
    @settings(max_examples=10, deadline=None)
    def test_any_blocks_are_the_whole(self, folder, suffix, frames):
        """Blocks of any length, laid end to end, are the file."""
        path = folder / f"whole{suffix}"
        if not path.exists():
            write(path, noise(), RATE)
        parts = list(blocks(path, frames, "float64"))
        assert {frames} >= {part.shape[1] for part in parts[:-1]}
        assert all(part.flags.c_contiguous for part in parts)
        assert np.array_equal(read(path)[0], np.concatenate(parts, axis=1))

    def test_info(self, folder):
        """The header tells rate, channels, frames, duration and format."""
        path = folder / "info.flac"
        write(path, noise(22050), RATE, subtype="PCM_16")
        header = info(path)
        assert (RATE, 2, 22050) == (header.sample_rate, header.channels, header.frames)
        assert (0.5, "FLAC", "PCM_16") == (header.duration_s, header.format, header.subtype)

    @pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
    def test_streamed_wav(self, folder, size):
        """A WAV whose writer could not go back to fill in the size is read to its end."""
        path = folder / "streamed.wav"
        samples = noise()
        path.write_bytes(with_data_size(wav_bytes(path, samples), size))
        expected = np.trunc(samples * 32768) / 32768
        assert expected.shape == read(path)[0].shape
        assert np.abs(expected - read(path)[0]).max() <= 1 / 32768
        assert info(path).frames == samples.shape[1]

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
    @pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
    def test_piped_by_ffmpeg(self, folder, kind):
        """What ffmpeg writes into a pipe, not knowing its length, is read to its end."""
        source, path = folder / "source.wav", folder / f"piped.{kind}"
        write(source, noise(), RATE, subtype="PCM_16")
        command = ["ffmpeg", "-loglevel", "error", "-i", str(source), "-f", kind, "-"]
        path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        assert read(path)[0].shape == (2, 5000)

    def test_rf64(self, folder):
        """A WAV with 64-bit sizes is read, and refused when truncated."""
        path = folder / "long.rf64"
        write(path, noise(), RATE, subtype="DOUBLE")
        assert np.array_equal(noise(), read(path)[0])
        path.write_bytes(path.read_bytes()[:-8000])
        with refuses("is truncated: its header promises 80000 bytes"):
            info(path)

    @pytest.mark.parametrize(("frames", "dtype"), [(0, "float32"), (64, "int16")])
    def test_impossible_arguments(self, folder, frames, dtype):
        """A programmer's mistake is told at the call and not at the first block."""
        with pytest.raises(ValueError, match="must be"):
            blocks(folder / "any.wav", frames, dtype)


class TestReadingRefuses:
    """A sentence for each kind of bad input."""

    def test_missing(self, tmp_path):
        """A missing file is named."""
        with refuses(r"no\.wav: there is no such file; check"):
            info(tmp_path / "no.wav")

    def test_folder(self, tmp_path):
        """A folder is not a file."""
        with refuses("is a folder; name"):
            read(tmp_path)

    def test_device(self):
        """A device is not read, which might never end."""
        with refuses("is not a regular file"):
            info("/dev/zero")

    def test_name_too_long(self, tmp_path):
        """What the system refuses is a sentence too."""
        with refuses("cannot be read"):
            info(tmp_path / ("x" * 300))

    @pytest.mark.parametrize("name", ["text.wav", "text.raw", "text.flac", "empty.mp3"])
    def test_not_audio(self, tmp_path, name):
        """Text is not audio, whatever its suffix says."""
        (tmp_path / name).write_text("" if name.startswith("empty") else "hello " * 100)
        with refuses(r"is not audio that libsndfile can read \(.+\); convert"):
            info(tmp_path / name)

    def test_truncated_wav(self, tmp_path):
        """A WAV that ends before its header says so is refused when its header is read."""
        path = tmp_path / "cut.wav"
        path.write_bytes(wav_bytes(path, noise())[:-4000])
        with refuses("promises 20000 bytes of samples, and the file holds 16000; copy"):
            info(path)

    @pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
    def test_truncated_flac(self, tmp_path, keep):
        """A FLAC that ends early is refused when its samples run out."""
        path = tmp_path / "cut.flac"
        write(path, noise(20000), RATE)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        with refuses("is truncated or damaged: .* of the 20000"):
            read(path)

    def test_no_frames(self, tmp_path):
        """A file without samples is refused."""
        path = tmp_path / "empty.wav"
        soundfile.write(path, np.zeros((0, 2)), RATE)
        with refuses("holds no samples"):
            info(path)

    def test_no_frames_but_metadata(self, tmp_path):
        """Metadata after an empty data chunk is not taken for streamed samples."""
        path = tmp_path / "empty.wav"
        data = wav_bytes(path, np.zeros((2, 0)))
        path.write_bytes(data + struct.pack("<4sI8s", b"LIST", 8, b"INFOxxxx"))
        with refuses("holds no samples"):
            info(path)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_a_number(self, tmp_path, value):
        """The first sample that is no number is named by frame and channel."""
        samples = noise()
        samples[1, 3210:] = value
        path = tmp_path / "nan.wav"
        soundfile.write(path, samples.T, RATE, subtype="DOUBLE")
        with refuses(f"frame 3210 of channel 1 is {value}"):
            list(blocks(path, 1000))

    def test_65_channels(self, tmp_path):
        """More than 64 channels are refused, 64 are not."""
        soundfile.write(tmp_path / "64.wav", np.zeros((10, 64)), RATE)
        soundfile.write(tmp_path / "65.wav", np.zeros((10, 65)), RATE)
        assert info(tmp_path / "64.wav").channels == 64
        with refuses("has 65 channels, and at most 64"):
            info(tmp_path / "65.wav")

    @pytest.mark.parametrize("rate", [768_000, 999])
    def test_sample_rate(self, tmp_path, rate):
        """Rates outside of 1 to 384 kHz are refused, when reading and when writing."""
        soundfile.write(tmp_path / "fast.wav", np.zeros(10), rate)
        with refuses(f"the sample rate is {rate} Hz"):
            info(tmp_path / "fast.wav")
        with refuses(f"the sample rate is {rate} Hz"):
            Writer(tmp_path / "out.wav", rate, 1)


class TestFuzz:
    """Nothing but a sentence comes of garbage."""

    CHECKS = settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )

    @staticmethod
    def reads_or_refuses(path: Path) -> None:
        try:
            samples, _ = read(path, "float32")
        except AudioFileError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - either outcome is good
        else:
            assert np.isfinite(samples).all()
            assert samples.size > 0

    @CHECKS
    @given(data=st.binary(max_size=400), head=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS"]))
    def test_random_bytes(self, folder, data, head):
        """Random bytes behind the first four of a format never raise anything else."""
        path = folder / "fuzz.bin"
        path.write_bytes(head + data)
        self.reads_or_refuses(path)

    @CHECKS
    @given(
        suffix=st.sampled_from([".wav", ".flac", ".ogg", ".rf64"]),
        keep=st.floats(0, 1),
        where=st.floats(0, 0.999),
        what=st.binary(max_size=8),
    )
    def test_cut_and_overwritten(self, folder, suffix, keep, where, what):
        """A good file, cut anywhere and with a few bytes replaced, is read or refused."""
        good = folder / f"good{suffix}"
        if not good.exists():
            write(good, noise(3000), RATE)
        data = bytearray(good.read_bytes())
        start = int(where * len(data))
        data[start : start + len(what)] = what
        path = folder / f"fuzz{suffix}"
        path.write_bytes(data[: int(keep * len(data))])
        self.reads_or_refuses(path)

    @CHECKS
    @given(where=st.integers(0, 60), what=st.binary(min_size=1, max_size=8))
    def test_damaged_wav_header(self, folder, where, what):
        """A WAV header with any few bytes replaced is read or refused."""
        good = folder / "good.wav"
        if not good.exists():
            write(good, noise(3000), RATE)
        data = bytearray(good.read_bytes())
        data[where : where + len(what)] = what
        path = folder / "fuzz-header.wav"
        path.write_bytes(data)
        self.reads_or_refuses(path)


def test_every_name_is_there():
    """Each public name of the module exists."""
    assert [name for name in audiofile.__all__ if not hasattr(audiofile, name)] == []
