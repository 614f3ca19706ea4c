# SPDX-License-Identifier: MIT
"""Real clips of the 2022 challenge go through its flow unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore.challenges.plc.bursts import bursts_of, histogram
from rtcore.challenges.plc.layout import find_set
from rtcore.challenges.plc.make import read_traces
from rtcore.challenges.plc.traces import read_trace, trace_text

SHARED = Path(__file__).parents[4] / "shared"
CLIPS = SHARED / "fixtures/breizhn/tPLCnet/test_files"
TRACES = SHARED / "data/traces"

pytestmark = pytest.mark.skipif(
    not CLIPS.is_dir(), reason=f"the challenge's clips are not at {CLIPS}"
)


def ints(path):
    return soundfile.read(path, dtype="int16")[0]


def test_figures():
    """Loss, bursts and their lengths are those that were counted by hand."""
    found = {clip.name: clip.lost() for clip in find_set(CLIPS).clips}
    assert ["54.wav", "1214.wav"] == list(found)
    facts = bursts_of(found["54.wav"])
    assert (484, 377, 108, 7) == (facts.packets, facts.lost, facts.bursts, facts.longest)
    assert [1, 15, 54, 17, 13, 5, 3] == histogram([found["54.wav"]]).tolist()
    assert [67, 20, 0, 0, 2] == histogram([found["1214.wav"]]).tolist()


def test_traces_come_back_byte_for_byte():
    """A trace that is read and written is the challenge's own file."""
    for file in CLIPS.glob("*.txt"):
        assert file.read_bytes() == trace_text(read_trace(file)).encode()


@pytest.mark.skipif(not TRACES.is_dir(), reason=f"there are no traces at {TRACES}")
def test_traces_of_a_tree():
    """Traces are found below a folder."""
    assert {484, 468} == {len(lost) for _, lost in read_traces(TRACES)}


@pytest.mark.parametrize(
    ("plugin", "fade_ms"), [("hold-last", 0), ("plc-zero", 0), ("plc-repeat", 5), ("plc-pitch", 12)]
)
def test_received_packets_are_untouched(rtcore, plugin, fade_ms):
    """Name, rate, length and type stay; received samples are the input's outside cross-fades."""
    result = rtcore("plc", "conceal", CLIPS, "out", "-p", plugin, "--jobs", 1)
    assert 0 == result.exit_code, result.stderr
    assert "2 done" in result.stdout
    for clip in find_set(CLIPS).clips:
        before, after = soundfile.info(clip.sound), soundfile.info(f"out/{clip.name}")
        for word in ("samplerate", "channels", "frames", "subtype", "format"):
            assert getattr(before, word) == getattr(after, word)
        lost, fade = clip.lost(), 16 * fade_ms
        kept = np.repeat(~lost, 320)
        begins = np.flatnonzero(~lost[1:] & lost[:-1]) + 1
        for packet in begins:
            kept[320 * packet : 320 * packet + fade] = False
        x, y = ints(clip.sound), ints(f"out/{clip.name}")
        assert np.array_equal(x[kept], y[kept])
        assert kept.sum() > 0.05 * len(x)
