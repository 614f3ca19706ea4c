# SPDX-License-Identifier: MIT
"""Audio files: exact samples, whole files or none, and a sentence for whatever is wrong."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore import audiofile
from rtcore.audiofile import Writer, blocks, info, read, write
from rtcore.errors import AudioFileError, StreamError

RATE = 44100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for tests that draw many examples."""
    return tmp_path_factory.mktemp("audio")


def noise(frames: int = 5000, channels: int = 2, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, frames))


def wav_bytes(path: Path, samples: np.ndarray) -> bytearray:
    soundfile.write(path, samples.T, RATE, subtype="PCM_16")
    return bytearray(path.read_bytes())


def with_data_size(data: bytearray, size: int) -> bytearray:
    """Change what the header says about the samples' size in bytes."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, changed.find(b"data") + 4, size)
    return changed


def refuses(match: str):
    return pytest.raises(AudioFileError, match=match)


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


class TestWriting:
    """Samples as they were handed over."""

    def raw(self, path: Path, bits: int) -> np.ndarray:
        with soundfile.SoundFile(path) as sound:
            return sound.read(dtype="int32") >> (32 - bits)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @given(x=st.lists(st.floats(-1.5, 1.5, width=32), min_size=1, max_size=50))
    @settings(max_examples=50, deadline=None)
    def test_16_bit_as_the_challenge_does(self, folder, dtype, x):
        """Scaled by 32768, clipped, then truncated toward zero."""
        path = folder / "cut.wav"
        samples = np.array(x, dtype)
        write(path, samples, RATE, subtype="PCM_16")
        expected = np.clip(samples * 32768, -32768, 32767).astype(np.int16)
        assert np.array_equal(expected, self.raw(path, 16))

    @pytest.mark.parametrize(
        ("suffix", "subtype", "bits"),
        [
            (".wav", "PCM_U8", 8),
            (".wav", "PCM_24", 24),
            (".wav", "PCM_32", 32),
            (".flac", "PCM_S8", 8),
            (".flac", "PCM_16", 16),
            (".flac", "PCM_24", 24),
        ],
    )
    def test_other_integers(self, folder, suffix, subtype, bits):
        """Every width follows the same rule, to both ends of its range."""
        path = folder / f"integers{suffix}"
        samples = np.append(noise(channels=1)[0], [1.0, -1.0, 2.0, -2.0, 0.0])
        write(path, samples, RATE, subtype=subtype)
        high = 2.0 ** (bits - 1)
        expected = np.trunc(np.clip(samples * high, -high, high - 1)).astype(np.int64)
        assert np.array_equal(expected, self.raw(path, bits))

    def test_round(self, folder):
        """Rounding goes to the nearest integer."""
        path = folder / "round.wav"
        write(path, np.array([1.6, -1.6, 1.4, -1.4]) / 32768, RATE, subtype="PCM_16", round_=True)
        assert self.raw(path, 16).tolist() == [2, -2, 1, -1]

    def test_dither(self, folder):
        """Dither keeps the mean of a level below one step, and any blocks give the same noise."""
        x = np.full((2, 40000), 0.3 / 32768)
        options = {"subtype": "PCM_16", "dither": True, "seed": 7}
        write(folder / "whole.wav", x, RATE, **options)
        with Writer(folder / "parts.wav", RATE, 2, **options) as out:
            for start in range(0, 40000, 777):
                out.write(x[:, start : start + 777])
        steps = self.raw(folder / "whole.wav", 16)
        assert np.array_equal(steps, self.raw(folder / "parts.wav", 16))
        assert abs(0.3 - steps.mean()) < 0.01
        assert {-1, 0, 1} <= set(np.unique(steps)) <= {-1, 0, 1, 2}

    @pytest.mark.parametrize(("subtype", "dtype"), [("FLOAT", "float32"), ("DOUBLE", "float64")])
    def test_floats_are_untouched(self, folder, subtype, dtype):
        """Real samples, beyond full scale too, come back as they were."""
        path = folder / "real.wav"
        samples = (3 * noise()).astype(dtype)
        write(path, samples, RATE, subtype=subtype.lower())
        assert np.array_equal(samples, read(path, dtype)[0])

    def test_equal_samples_are_equal_files(self, folder):
        """No time of day stands in a WAV of real samples."""
        path = folder / "same.wav"
        write(path, noise(), RATE, subtype="FLOAT")
        assert b"PEAK" not in path.read_bytes()

    @pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
    def test_ogg(self, folder, subtype):
        """A lossy format keeps rate, channels and frames, also in one long write."""
        path = folder / "lossy.OGG"
        write(path, 0.1 * noise(200_000), 48000, subtype=subtype)
        header = info(path)
        assert (48000, 2, 200_000) == (header.sample_rate, header.channels, header.frames)

    def test_counts(self, folder):
        """The writer tells how many frames it wrote and how many samples it clipped."""
        with Writer(folder / "loud.wav", RATE, 2, subtype="PCM_16") as out:
            out.write(np.array([[0.5, 1.5], [-1.0, -1.1]]))
            out.write(np.zeros((2, 5)))
        assert (7, 2) == (out.frames, out.clipped)

    def test_replaces_what_was_there(self, tmp_path):
        """An older file stays until the new one is whole; a link keeps pointing to it."""
        target, link = tmp_path / "target.wav", tmp_path / "link.wav"
        write(target, np.zeros(10), RATE)
        link.symlink_to(target)
        with Writer(link, RATE, 1) as out:
            out.write(np.ones(20))
            assert info(target).frames == 10
        assert info(target).frames == 20
        assert link.is_symlink()

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_nothing_half_written(self, tmp_path, error):
        """An error or Ctrl-C inside leaves neither the file nor its temporary name."""
        with pytest.raises(error), Writer(tmp_path / "out.wav", RATE, 1) as out:
            out.write(np.zeros(10))
            raise error
        assert not list(tmp_path.iterdir())


class TestWritingRefuses:
    """A sentence for each thing that cannot be written, and nothing left behind."""

    @pytest.mark.parametrize(
        ("name", "options", "match"),
        [
            ("out.mp3", {}, r"from the suffix '\.mp3'.*use one of \.wav"),
            ("out", {}, "from the suffix ''"),
            ("out.flac", {"subtype": "FLOAT"}, "FLAC cannot hold the subtype 'FLOAT'"),
            ("out.wav", {"subtype": "PCM16"}, r"did you mean 'pcm_16'\?"),
            ("out.ogg", {"subtype": "PCM_16"}, "use one of VORBIS, OPUS"),
            ("no/out.wav", {}, "the folder .*no does not exist; create it"),
            ("file/out.wav", {}, "file is not a folder"),
            ("folder.wav", {}, "is a folder; name"),
            ("x" * 300 + ".wav", {}, "cannot be written"),
        ],
    )
    def test_name(self, tmp_path, name, options, match):
        """A name, folder or subtype that cannot be is refused before any work is done."""
        (tmp_path / "file").touch()
        (tmp_path / "folder.wav").mkdir()
        with refuses(match):
            Writer(tmp_path / name, RATE, 1, **options)

    @pytest.mark.parametrize(("name", "channels"), [("a.wav", 65), ("a.flac", 9), ("a.wav", 0)])
    def test_channels(self, tmp_path, name, channels):
        """More channels than the format holds are refused."""
        with refuses(f"channels, got {channels}; write"):
            Writer(tmp_path / name, RATE, channels)

    def test_encoder(self, tmp_path):
        """What only the encoder knows to be impossible is a sentence as well."""
        with (
            refuses("cannot be written: .*; choose another subtype or sample rate"),
            Writer(tmp_path / "a.ogg", 44100, 1, subtype="OPUS"),
        ):
            pass
        assert not list(tmp_path.iterdir())

    def test_output_is_input(self, tmp_path):
        """The input is not overwritten, by whatever name it is called."""
        source = tmp_path / "in.wav"
        write(source, np.zeros(10), RATE)
        (tmp_path / "link.wav").symlink_to(source)
        for name in ("in.wav", "link.wav"):
            with refuses("is the input itself"):
                Writer(tmp_path / name, RATE, 1, source=source)
        Writer(tmp_path / "other.wav", RATE, 1, source=source)

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
    def test_folder_that_takes_no_files(self):
        """A folder of the kernel's takes no file, not even from root."""
        with refuses("choose another"), Writer("/proc/self/out.wav", RATE, 1):
            pass

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_folder_without_the_right(self, tmp_path):
        """A folder without the right to write is refused before any work is done."""
        tmp_path.chmod(0o500)
        with refuses("is not writable"):
            Writer(tmp_path / "out.wav", RATE, 1)

    @pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
    def test_not_a_number(self, tmp_path, subtype):
        """NaN is not written; the frame is named and no file is left."""
        with (
            refuses("frame 13 of channel 0 is nan"),
            Writer(tmp_path / "a.wav", RATE, 1, subtype=subtype) as out,
        ):
            out.write(np.zeros(10))
            out.write(np.array([0, 0, 0, np.nan]))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "samples", [np.zeros((3, 10)), np.zeros((2, 10), np.int16), np.zeros((1, 2, 3))]
    )
    def test_shape(self, tmp_path, samples):
        """Samples of another shape or type than declared are refused."""
        with (
            pytest.raises(StreamError, match=r"of shape \(channels, frames\)"),
            Writer(tmp_path / "a.wav", RATE, 2) as out,
        ):
            out.write(samples)

    def test_wav_beyond_4_gib(self, tmp_path, monkeypatch):
        """A WAV that outgrows its 32-bit sizes is refused with the remedy."""
        monkeypatch.setattr("rtcore.audiofile.writer._WAV_MAX_BYTES", 10_000)
        with refuses(r"more than 4 GiB; write \.rf64"):
            write(tmp_path / "a.wav", noise(), RATE)
        assert not list(tmp_path.iterdir())


class TestFullDisk:
    """libsndfile may not say so, but a full disk is noticed."""

    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
    def test_no_more_space(self, tmp_path, name):
        """A limit that the system sets on a file's size is met in the middle of writing."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with refuses("cannot be written: the disk is full .*; free some space"):
                write(tmp_path / name, noise(400_000), RATE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
    def test_no_space_for_the_last_bytes(self, tmp_path, monkeypatch, name):
        """A disk that is full only when the file is closed is noticed as well."""
        real_close = soundfile.SoundFile.close

        def close(sound):
            real_close(sound)
            out._sink.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with refuses("the disk is full"), Writer(tmp_path / name, RATE, 1) as out:
            out.write(np.zeros(1000))
            monkeypatch.setattr(soundfile.SoundFile, "close", close)
        monkeypatch.undo()
        assert not list(tmp_path.iterdir())

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
    def test_small_disk(self, tmp_path, name):
        """A real disk of 256 KiB runs full."""
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("this machine does not let its root mount a disk")
        try:
            with refuses("the disk is full"):
                write(tmp_path / name, noise(900_000), RATE)
            assert not list(tmp_path.iterdir())
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)


def test_every_name_is_there():
    """Each public name of the module exists."""
    assert [name for name in audiofile.__all__ if not hasattr(audiofile, name)] == []
