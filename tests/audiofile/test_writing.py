# SPDX-License-Identifier: MIT
"""Writing audio files: exact samples, whole files or none, and a sentence for whatever is wrong."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import RATE, noise, refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from rights import without_privileges

from rtcore.audiofile import Writer, info, read, write
from rtcore.errors import StreamError


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

    def test_folder_without_the_right(self, tmp_path):
        """A folder without the right to write is refused before any work is done."""
        tmp_path.chmod(0o500)
        code = (
            f"from rtcore.audiofile import Writer; Writer({str(tmp_path / 'out.wav')!r}, 16000, 1)"
        )
        command = [*without_privileges(), sys.executable, "-c", code]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert f"AudioFileError: {tmp_path}/out.wav: the folder {tmp_path} is not writable" in told

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
