# SPDX-License-Identifier: MIT
"""Trace files are read as they come, and refused with a sentence where they are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.challenges.plc.check import check_trace, empty_packets, fit_trace
from rtcore.challenges.plc.traces import packet_frames, read_trace, trace_text, write_trace
from rtcore.errors import ConfigError

TRACE = st.lists(st.booleans(), min_size=1, max_size=60).map(np.array)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("traces") / "7_is_lost.txt"


@given(
    lost=TRACE,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    blanks=st.integers(0, 3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    space=st.sampled_from(["", " ", "\t"]),
)
def test_any_usual_form_is_read(file, lost, end, last, blanks, encoding, space):
    """Line ends, blank lines at the end, spaces and byte order marks change nothing."""
    text = end.join(f"{int(entry)}{space}" for entry in lost)
    file.write_bytes((text + (end if last or blanks else "") + end * blanks).encode(encoding))
    assert np.array_equal(lost, read_trace(file))


@given(lost=TRACE)
def test_written_as_the_challenge_does(file, lost):
    """What is written has CRLF after every digit, and reads back."""
    write_trace(file, lost)
    assert 3 * len(lost) == len(file.read_bytes())
    assert {b"0", b"1"} >= set(file.read_bytes().split(b"\r\n")[:-1])
    assert np.array_equal(lost, read_trace(file))
    assert file.read_bytes() == trace_text(lost).encode()


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_trace_or_a_sentence(file, data):
    """No content of a file leads to anything but a trace or a sentence that names the file."""
    file.write_bytes(data)
    sentence = ""
    try:
        lost = read_trace(file)
    except ConfigError as error:
        sentence = str(error)
    if sentence:
        assert str(file) in sentence
        assert "\n" not in sentence
    else:
        assert set(np.unique(lost)) <= {False, True}
        assert 1 <= len(lost) <= len(data)


@given(lost=TRACE, where=st.integers(0, 60), word=st.sampled_from(["2", "01", "x", "0 1", "-1"]))
def test_a_foreign_line_is_named(file, lost, where, word):
    """A line that is neither 0 nor 1 is named with its number and what stands there."""
    lines = [str(int(entry)) for entry in lost]
    where = min(where, len(lines))
    lines.insert(where, word)
    file.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as caught:
        read_trace(file)
    assert f"{file}, line {where + 1}: got '{word}'; write one 0" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no packets"),
        (b"\xef\xbb\xbf\r\n\r\n", "holds no packets"),
        (b"0\n\n1\n", "line 2: got an empty line"),
        (b"0\n\xff\n", "byte 3 is no text"),
    ],
)
def test_what_is_no_trace(file, content, words):
    """Empty files, gaps and bytes that are no text are refused."""
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_trace(file)


def test_no_file(tmp_path):
    """A trace that is not there is asked for by its name."""
    with pytest.raises(ConfigError, match="there is no such trace"):
        read_trace(tmp_path / "9_is_lost.txt")
    with pytest.raises(ConfigError, match="the trace cannot be read"):
        read_trace(tmp_path)


def test_endless_file(file):
    """A file that is far too long is refused without holding all of it."""
    with file.open("wb") as out:
        out.truncate(2**34)
    with pytest.raises(ConfigError, match="is far too long for a trace"):
        read_trace(file)
    file.unlink()


class TestLength:
    """A trace has an entry for each packet of its sound."""

    @given(packets=st.integers(1, 100), rest=st.integers(0, 319))
    def test_fits(self, packets, rest):
        """A partial packet at the end may have an entry or none."""
        frames, needed = 320 * packets + rest, packets + (rest > 0)
        for count in {packets, needed}:
            lost = np.ones(count, bool)
            fitted = fit_trace(lost, frames, 320, "7.wav", "trace")
            assert needed == len(fitted)
            assert count == fitted.sum()

    @given(packets=st.integers(2, 100), off=st.integers(-5, 5).filter(bool))
    def test_too_short_or_long(self, packets, off):
        """Another length is refused, with both lengths."""
        count = max(0, packets + off)
        with pytest.raises(ConfigError) as caught:
            fit_trace(np.zeros(count, bool), 320 * packets, 320, "7.wav", "trace")
        word = "short" if off < 0 else "long"
        assert f"is too {word}: {count} packets" in str(caught.value)
        assert f"7.wav has {packets}" in str(caught.value)

    def test_rate(self):
        """At 11025 Hz a packet is no whole number of samples."""
        assert (320, 960) == (packet_frames(16000), packet_frames(48000))
        with pytest.raises(ConfigError, match="no whole number of samples"):
            packet_frames(11025)


def lossy(lost, packet=320, seed=0):
    """Make a sound without a zero in it, and set lost packets to zero."""
    x = np.random.default_rng(seed).uniform(0.1, 0.5, (1, len(lost) * packet))
    x[:, np.repeat(lost, packet)] = 0.0
    return x


class TestOtherFile:
    """A trace for another file does not agree with the packets of zeros."""

    @given(lost=TRACE)
    def test_its_own(self, lost):
        """A sound agrees with its own trace, which can be read from its zeros."""
        x = lossy(lost)
        check_trace(x, lost, 320, "7.wav", "trace")
        assert np.array_equal(lost, empty_packets(x, 320))

    @given(lost=TRACE, other=st.randoms(use_true_random=False))
    def test_another_one(self, lost, other):
        """Packets that are marked and sound are counted."""
        shuffled = np.array(other.sample(list(lost), len(lost)))
        wrong = int(np.sum(shuffled & ~lost))
        if not wrong:
            check_trace(lossy(lost), lost, 320, "7.wav", "trace")
            return
        with pytest.raises(ConfigError) as caught:
            check_trace(lossy(lost), shuffled, 320, "7.wav", "trace")
        assert f"{wrong} of the {int(lost.sum())} packets that it marks" in str(caught.value)
        assert "--no-check" in str(caught.value)

    def test_unmarked(self):
        """Zeros with the edges of packets that no trace mentions give it away."""
        lost = np.array([0, 0, 1, 1, 0, 0, 1, 0], bool)
        with pytest.raises(ConfigError, match="and 3 packets of zeros there are not marked"):
            check_trace(lossy(lost), np.zeros(8, bool), 320, "7.wav", "trace")

    def test_silence_is_no_loss(self):
        """Zeros that reach beyond their packets are silence in the recording."""
        lost = np.zeros(8, bool)
        x = lossy(lost)
        x[:, 500:1700] = 0.0
        check_trace(x, lost, 320, "7.wav", "trace")
        x[:, :700] = 0.0
        x[:, 2000:] = 0.0
        check_trace(x, lost, 320, "7.wav", "trace")
