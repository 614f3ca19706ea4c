# SPDX-License-Identifier: MIT
from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtcore import Audiogram, Chain, ConfigError, Listener, ParameterError, PerEar
from rtcore.hearing import CLARITY_FREQUENCIES_HZ, nalr_taps, standard_audiogram
from rtcore.plugins import NALR

REALS = ("float32", "float64")
LEFT, RIGHT = [45, 45, 35, 45, 60, 65, 70, 65], [20, 25, 30, 40, 55, 60, 75, 80]
TABLE = {"left": LEFT, "right": RIGHT}

levels_st = st.lists(st.floats(-20, 130), min_size=8, max_size=8)


def chain_of(channels=2, dtype="float64", sample_rate=44100, listeners=None, **parameters):
    return Chain(
        [NALR(**parameters)],
        sample_rate=sample_rate,
        channels=channels,
        dtype=dtype,
        listeners=listeners,
    )


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (channels, frames))


def impulse_response(chain):
    return chain.render(np.ones((chain.channels_in, 1)))


@pytest.fixture(scope="module")
def amplify():
    """Pyclarity's design and convolution of one ear."""
    nalr = pytest.importorskip("clarity.enhancer.nalr", reason="pyclarity is the oracle")
    audiogram = pytest.importorskip("clarity.utils.audiogram")

    def amplify(x, levels, nfir, sample_rate):
        theirs = nalr.NALR(nfir, sample_rate)
        frequencies = np.array(CLARITY_FREQUENCIES_HZ)
        taps, _ = theirs.build(audiogram.Audiogram(np.array(levels), frequencies))
        return theirs.apply(taps, x)

    return amplify


@settings(deadline=None, max_examples=30)
@given(
    levels_st,
    levels_st,
    st.integers(1, 511).map(lambda half: 2 * half),
    st.sampled_from([16000.0, 32000.0, 44100.0, 48000.0]),
)
@example([0.0] * 8, [-10.0] * 8, 220, 44100.0)
@example([80.0] * 8, [120.0] * 8, 220, 44100.0)
def test_equals_pyclarity(amplify, left, right, nfir, sample_rate):
    """The amplified sound of both ears and its length equal pyclarity's, in both real types."""
    x = noise(2, 1500)
    ears = zip(x, (left, right), strict=True)
    expected = np.stack([amplify(channel, ear, nfir, sample_rate) for channel, ear in ears])
    table = {"left": left, "right": right}
    loudest = max(1.0, np.abs(expected).max())  # the sound is amplified, and its rounding with it
    for dtype, tolerance in (("float64", 1e-11 * loudest), ("float32", 4e-6 * loudest)):
        chain = chain_of(2, dtype, sample_rate, audiogram=table, nfir=nfir)
        np.testing.assert_allclose(chain.render(x), expected, rtol=0, atol=tolerance)


class TestEars:
    @pytest.fixture
    def responses(self):
        """The taps of both ears, as they are heard."""
        return [nalr_taps(Audiogram(levels)) for levels in (LEFT, RIGHT)]

    def test_channels_are_ears(self, responses):
        """Channel 0 is the left ear and channel 1 the right one."""
        assert np.array_equal(responses, impulse_response(chain_of(audiogram=TABLE)))

    def test_mono_is_the_left_ear(self, responses):
        """A single channel gets the left ear's gain."""
        chain = chain_of(1, audiogram=TABLE)
        assert np.array_equal(responses[:1], impulse_response(chain))

    @pytest.mark.parametrize(("ear", "number"), [("left", 0), ("right", 1)])
    def test_one_ear_for_all_channels(self, responses, ear, number):
        """Where the ear is said, every channel is that ear, however many there are."""
        chain = chain_of(3, audiogram=TABLE, ear=ear)
        assert np.array_equal([responses[number]] * 3, impulse_response(chain))

    def test_each_ear_in_a_branch_of_its_own(self, responses):
        """In per-ear branches the right one is told that it is the right ear."""
        branches = ([NALR(audiogram=TABLE, ear=ear)] for ear in ("left", "right"))
        chain = Chain([PerEar(*branches)], sample_rate=44100, channels=2, dtype="float64")
        assert np.array_equal(responses, impulse_response(chain)[:, :221])

    def test_more_than_two_channels(self):
        """Three channels have no third ear."""
        sentence = r"^plugin\[0\]\.nalr: has 3 channels and a listener two ears; .*ear = 'left'"
        with pytest.raises(ConfigError, match=sentence):
            chain_of(3)


class TestAudiograms:
    def test_every_form_means_the_same(self, tmp_path):
        """A name, an audiogram, a listener, a table, a file and an id give the same filter."""
        n3 = standard_audiogram("N3").resample(CLARITY_FREQUENCIES_HZ)
        levels = list(n3.levels_db_hl)
        book = tmp_path / "listeners.json"
        entry = {
            "name": "L0001",
            "audiogram_cfs": list(n3.frequencies_hz),
            "audiogram_levels_l": levels,
            "audiogram_levels_r": levels,
        }
        book.write_text(json.dumps({"L0001": entry}))
        file = tmp_path / "mine.csv"
        rows = [("both", levels)]
        header = ",".join(["ear", *(f"{hz:g}" for hz in n3.frequencies_hz)])
        lines = [",".join([ear, *map(repr, row)]) for ear, row in rows]
        file.write_text("\n".join([header, *lines]) + "\n")
        forms = [n3, Listener.both(n3), {"left": levels, "right": levels}, str(file), file, "L0001"]
        expected = impulse_response(chain_of(audiogram=n3))
        for form in forms:
            chain = chain_of(audiogram=form, listeners=book)
            assert np.array_equal(expected, impulse_response(chain)), form

    def test_the_default_is_n3(self):
        """Without an audiogram both ears get the moderate standard loss N3."""
        expected = impulse_response(chain_of(audiogram=standard_audiogram("N3")))
        assert np.array_equal(expected, impulse_response(chain_of()))

    @pytest.mark.parametrize("level", [0.0, -10.0])
    def test_an_ear_without_loss_is_delayed_only(self, level):
        """No loss, no gain; yet the sound keeps the latency of the other designs."""
        chain = chain_of(audiogram=Audiogram([level] * 8))
        expected = np.zeros((2, 221))
        expected[:, 110] = 1.0
        assert np.array_equal(expected, impulse_response(chain))
        assert (110, 0, 220) == (chain.latency_frames, chain.lookahead_frames, chain.tail_frames)


class TestFacts:
    @settings(deadline=None, max_examples=30)
    @given(levels_st, st.integers(1, 511).map(lambda half: 2 * half))
    def test_declared_latency_is_the_measured_one(self, levels, nfir):
        """The impulse response has its main peak at half the order and ends with the order."""
        chain = chain_of(1, audiogram=Audiogram(levels), nfir=nfir)
        heard = np.abs(impulse_response(chain)[0])
        assert (nfir // 2, nfir) == (chain.latency_frames, chain.tail_frames)
        assert (nfir // 2, nfir + 1) == (heard.argmax(), heard.size)

    @settings(deadline=None, max_examples=30)
    @given(st.sampled_from(REALS), st.lists(st.integers(1, 700), min_size=1, max_size=12))
    def test_chunking(self, dtype, sizes):
        """However the sound is cut, the bits are the same."""
        x = noise(2, sum(sizes)).astype(dtype)
        chain = chain_of(dtype=dtype, audiogram=TABLE)
        expected = chain.render(x, tail=False)
        chain.reset()
        pieces = np.split(x, np.cumsum(sizes)[:-1], axis=1)
        assert np.array_equal(expected, np.concatenate([chain.process(p) for p in pieces], axis=1))


def test_another_listener_fades_in_without_a_click():
    """On a sine, no step is much larger than the louder sine's own while the listener changes."""
    amplitude, frequency_hz, rate_hz = 0.01, 1000.0, 44100
    x = amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz // 2) / rate_hz)
    chain = chain_of(1)
    pieces = [chain.process(x[:5000])]
    chain.update("nalr", audiogram="N6")
    y = np.concatenate([*pieces, chain.process(x[5000:])])
    expected = chain_of(1, audiogram="N6").process(x)
    assert np.array_equal(expected[9000:], y[9000:])
    loudest = np.abs(expected[9000:]).max()
    sine_step = loudest * 2 * np.pi * frequency_hz / rate_hz
    fade_step = loudest / (0.05 * rate_hz)
    assert np.abs(np.diff(y)).max() <= 1.05 * (sine_step + fade_step)


class TestBadSettings:
    @pytest.mark.parametrize(
        ("parameters", "sentence"),
        [
            ({"nfir": 221}, r"nfir: must be even, got 221"),
            ({"nfir": 1024}, r"nfir: must be at most 1022"),
            ({"nfir": 0}, r"nfir: must be at least 2"),
            ({"nfir": "many"}, r"nfir: must be a number"),
            ({"audiogram": 3}, r"audiogram: must be a listener's id, .* got 3"),
            ({"audiogram": " "}, r"audiogram: must be a listener's id"),
            ({"audiogram": None}, r"audiogram: must be a listener's id"),
            ({"ear": "middle"}, r"ear: must be one of 'auto', 'left', 'right'"),
            ({"audiograms": "N3"}, r"audiograms: no such parameter .*did you mean 'audiogram'"),
        ],
    )
    def test_refused_at_once(self, parameters, sentence):
        """A setting that can never be right is refused when the plugin is made."""
        with pytest.raises(ParameterError, match=sentence):
            NALR(**parameters)

    @pytest.mark.parametrize(
        ("table", "where"),
        [
            ({"left": LEFT}, "audiogram.right"),
            ({"left": LEFT, "right": [1, 2]}, "audiogram.right"),
            ({"left": LEFT, "right": RIGHT, "hz": []}, "audiogram.hz"),
            ({"left": LEFT, "right": [*RIGHT[:7], float("nan")]}, "audiogram.right"),
        ],
    )
    def test_bad_tables(self, table, where):
        """A table that is no audiogram is refused at once, naming the key."""
        with pytest.raises(ConfigError, match=rf"^{where}"):
            NALR(audiogram=table)

    @pytest.mark.parametrize(
        ("audiogram", "words"),
        [("L9999", "neither a standard audiogram"), ("missing.csv", "missing.csv")],
    )
    def test_unknown_listeners(self, audiogram, words):
        """Who is not found is named together with the place in the chain."""
        with pytest.raises(ConfigError, match=r"^plugin\[0\]\.nalr\.audiogram: ") as caught:
            chain_of(audiogram=audiogram)
        assert words in str(caught.value)

    def test_a_rate_too_low(self):
        """Below 8 kHz there is nothing to prescribe."""
        with pytest.raises(ConfigError, match=r"at least 8000 Hz, got 4000"):
            chain_of(sample_rate=4000)
