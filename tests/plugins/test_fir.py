# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Chain, ConfigError, ParameterError
from rtcore.plugins import FIR

RATE_HZ = 48000
REALS = ("float32", "float64")
LOWPASS = scipy.signal.firwin(101, 4000, fs=RATE_HZ)


def chain_of(taps, channels=1, dtype="float64", **options):
    return Chain([FIR(taps=taps)], sample_rate=RATE_HZ, channels=channels, dtype=dtype, **options)


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (channels, frames))


class TestSound:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 400), st.integers(1, 4), st.integers(1, 1500))
    def test_equals_convolution(self, taps, channels, frames):
        """Each channel goes through its own taps and comes out with its tail."""
        h, x = noise(channels, taps, seed=1) / taps, noise(channels, frames)
        expected = [np.convolve(a, b) for a, b in zip(x, h, strict=True)]
        actual = chain_of(h, channels).render(x)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)

    def test_the_default_changes_nothing(self):
        """Without taps of your own the sound goes through untouched and at once."""
        x, chain = noise(2, 1000), Chain([FIR()], channels=2, dtype="float64")
        assert np.array_equal(x, chain.render(x))
        assert (0, 0, 0) == (chain.latency_frames, chain.lookahead_frames, chain.tail_frames)

    @settings(deadline=None, max_examples=30)
    @given(st.sampled_from(REALS), st.lists(st.integers(1, 700), min_size=1, max_size=12))
    def test_chunking(self, dtype, sizes):
        """However the sound is cut, the bits are the same."""
        x = noise(2, sum(sizes)).astype(dtype)
        chain = chain_of(LOWPASS, 2, dtype)
        expected = chain.render(x, tail=False)
        chain.reset()
        pieces = np.split(x, np.cumsum(sizes)[:-1], axis=1)
        assert np.array_equal(expected, np.concatenate([chain.process(p) for p in pieces], axis=1))

    @pytest.mark.parametrize("dtype", REALS)
    def test_subnormal_sound_is_silence(self, dtype):
        """Sound below the smallest normal number comes out as zeros and leaves nothing behind."""
        chain = chain_of(LOWPASS, dtype=dtype)
        y = chain.render(np.full((1, 1000), np.finfo(dtype).tiny / 16, dtype))
        assert (0, 0) == (np.count_nonzero(y), chain.nodes[0].node.subnormals)

    def test_reset_equals_fresh(self):
        """After a reset nothing of the earlier sound is left."""
        x, chain = noise(1, 3000), chain_of(LOWPASS)
        expected = chain.process(x)
        chain.process(x)
        chain.reset()
        assert np.array_equal(expected, chain.process(x))


class TestFacts:
    @pytest.mark.parametrize(
        "taps",
        [
            LOWPASS,
            LOWPASS[:-1],
            scipy.signal.firwin(64, [300, 3000], fs=RATE_HZ, pass_zero=False),
            scipy.signal.minimum_phase(LOWPASS),
            scipy.signal.firwin(65, 3000, fs=RATE_HZ, pass_zero=False),
            [0.0, 0.0, 0.0, -1.0, 0.2],
            [1.0, *[0.0] * 50, 0.5],
        ],
        ids=["lowpass", "cut", "even", "minimum phase", "highpass", "delay", "echo"],
    )
    def test_declared_latency_is_the_measured_one(self, taps):
        """The impulse response has its main peak at the declared latency."""
        chain = chain_of(taps)
        heard = chain.render(np.eye(1, 500))
        assert np.abs(heard).argmax() == chain.latency_frames

    def test_linear_phase_declares_its_group_delay(self):
        """A symmetric lowpass of 101 taps is 50 frames late and looks 50 frames ahead."""
        chain = chain_of(LOWPASS)
        facts = (chain.latency_frames, chain.lookahead_frames, chain.tail_frames)
        assert (50, 50, 100) == facts

    def test_a_pure_delay_looks_at_no_future(self):
        """A delayed impulse is late without any look-ahead."""
        chain = chain_of([0.0] * 30 + [1.0])
        assert (30, 0, 30) == (chain.latency_frames, chain.lookahead_frames, chain.tail_frames)

    def test_the_tail_ends_with_the_last_tap(self):
        """The last frame of the tail carries the last tap, the first beyond it is zero."""
        chain = chain_of([0.5, 0.0, 0.25])
        assert [1.0, 0.0, 0.5] == (2 * chain.render(np.array([1.0]))).tolist()
        assert 0.0 == chain.process(np.zeros(1))[0]


class TestRedesign:
    def test_new_taps_fade_in_without_a_click(self):
        """On a sine, no step is much larger than the sine's own while the taps are exchanged."""
        amplitude, frequency_hz = 0.5, 440.0
        time_s = np.arange(RATE_HZ // 2) / RATE_HZ
        x = amplitude * np.sin(2 * np.pi * frequency_hz * time_s)[np.newaxis]
        chain = chain_of(LOWPASS)
        before = chain.process(x[:, :5000])
        chain.update("fir", taps=-0.5 * LOWPASS)
        y = np.concatenate([before, chain.process(x[:, 5000:])], axis=1)
        sine_step = amplitude * 2 * np.pi * frequency_hz / RATE_HZ
        fade_step = 1.5 * amplitude / (0.05 * RATE_HZ)
        # The new filter begins in silence: its onset adds a little while its share is small.
        assert np.abs(np.diff(y)).max() <= 1.05 * (sine_step + fade_step)
        expected = chain_of(-0.5 * LOWPASS).process(x)
        assert np.array_equal(expected[:, 8000:], y[:, 8000:])

    def test_taps_of_another_latency_are_refused_while_playing(self):
        """Taps that would shift the sound are not faded in, and the old ones stay."""
        chain = chain_of([1.0])
        with pytest.raises(ConfigError, match="latency"):
            chain.update("fir", taps=[0.0, 1.0])
        assert 1.0 == chain.process(np.ones(1))[0]


class TestFiles:
    TAPS = ((0.5, -0.25, 0.125), (0.0, 1.0, 0.0))

    def heard(self, path, channels=2):
        return chain_of(str(path), channels).render(np.eye(1, 1).repeat(channels, axis=0))

    def test_wav(self, tmp_path):
        """The channels of a sound file are the taps of the channels."""
        path = tmp_path / "taps.wav"
        soundfile.write(path, np.array(self.TAPS).T, RATE_HZ, subtype="DOUBLE")
        assert np.array_equal(self.TAPS, self.heard(path))

    def test_npy(self, tmp_path):
        """A .npy file holds (channels, taps)."""
        path = tmp_path / "taps.npy"
        np.save(path, np.array(self.TAPS))
        assert np.array_equal(self.TAPS, self.heard(path))

    @pytest.mark.parametrize(
        "text",
        [
            "# left right\n0.5 0\n-0.25 1\n0.125 0\n",
            "0.5,0\n-.25,1\n\n.125,0",
            "0,5;0\n-0,25;1\n0,125;0\n",
            "\ufeff0.5\t0\n-0.25\t1\n0.125\t0",
        ],
    )
    def test_text(self, tmp_path, text):
        """A text file has a line for each tap and a column for each channel."""
        path = tmp_path / "taps.csv"
        path.write_text(text, "utf-8")
        assert np.array_equal(self.TAPS, self.heard(path))

    @pytest.mark.parametrize("text", ["0.5 -0.25 0.125", "0.5\n-0.25\n0.125\n"])
    def test_text_of_one_row_or_column(self, tmp_path, text):
        """Taps for all channels may stand in one line or in one column."""
        path = tmp_path / "taps.txt"
        path.write_text(text)
        assert np.array_equal([self.TAPS[0]] * 2, self.heard(path))

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("missing.wav", None, "no such file"),
            ("missing.npy", None, "cannot be read"),
            ("noise.wav", b"not a sound", "not audio"),
            ("broken.npy", b"not an array", "broken.npy"),
            ("words.txt", b"0.5 loud", "loud"),
            ("empty.txt", b"", "is empty"),
            ("ragged.csv", b"1,2\n3\n", "lines of different lengths"),
            ("nan.txt", b"1\nnan\n", "tap 1 of channel 0 is nan"),
            ("latin.txt", b"\xff\xfe\xe4", "latin.txt"),
        ],
    )
    def test_bad_files(self, tmp_path, name, content, words):
        """A file that holds no taps gives one sentence with the place and the file."""
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            chain_of(str(path))
        sentence = str(caught.value)
        assert sentence.startswith(f"plugin[0].fir.taps: {path}: ")
        assert words in sentence
        assert "\n" not in sentence

    def test_another_sample_rate(self, tmp_path):
        """A recorded response of another rate would be another filter, so it is refused."""
        path = tmp_path / "taps.wav"
        soundfile.write(path, np.ones(10) / 16, 44100)
        with pytest.raises(ConfigError, match="44100 Hz and the stream has 48000 Hz"):
            chain_of(path)

    def test_too_long(self, tmp_path):
        """A whole song is no filter."""
        path = tmp_path / "song.wav"
        soundfile.write(path, np.zeros(70000), RATE_HZ)
        with pytest.raises(ConfigError, match="70000 taps, at most 65536"):
            chain_of(path)


class TestBadTaps:
    @pytest.mark.parametrize(
        ("taps", "words"),
        [
            ([], "is empty"),
            ("", "empty name"),
            ([1.0, float("nan")], "tap 1 of channel 0 is nan"),
            ([[1.0], [float("inf")]], "tap 0 of channel 1 is inf"),
            ([[1.0, 2.0], [1.0]], "different lengths"),
            (["a"], "must be a list of numbers"),
            (True, "must be a list of numbers"),
            (1.0, "must be a list of numbers"),
            (None, "must be a list of numbers"),
            ([1j], "must be a list of numbers"),
            (np.zeros((2, 2, 2)), "must be a list of numbers"),
            (np.zeros(65537), "at most 65536"),
        ],
    )
    def test_refused_at_once(self, taps, words):
        """Taps that are no taps are refused when the plugin is made."""
        with pytest.raises(ParameterError, match=f"^taps: .*{words}"):
            FIR(taps=taps)

    def test_wrong_channel_count(self):
        """Taps for three channels do not fit a stereo stream."""
        with pytest.raises(ConfigError, match=r"plugin\[0\]\.fir\.taps: has 3 channels .* has 2"):
            chain_of(np.ones((3, 4)), channels=2)

    def test_too_large_for_float32(self):
        """A tap beyond float32 is refused there, and welcome in float64."""
        chain_of([1e300])
        with pytest.raises(ConfigError, match="too large for float32"):
            chain_of([1e300], dtype="float32")
