# SPDX-License-Identifier: MIT
"""The chain of the second Clarity Enhancement Challenge gives the challenge's own file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtcore import Chain
from rtcore.plugins import NALR, Compressor, SoftClip

DATA = Path(__file__).parents[3] / "shared/fixtures/claritychallenge/clarity/tests/test_data"
SOURCE = DATA / "scenes/S06001_mixed_CH1.wav"
EXPECTED = DATA / "recipes/cec2/baseline/eval_signals/S06001_L0064_HA-output.wav"
LISTENERS = DATA / "metadata/listeners.json"
CHAIN = """
sample_rate = 44100
channels = 2
dtype = "float64"
listeners = {listeners}
[[plugin]]
id = "nalr"
audiogram = "L0064"
nfir = 220
[[plugin]]
id = "compressor"
threshold = 0.35
attenuation = 0.1
attack_ms = 50
release_ms = 1000
rms_buffer_s = 0.064
[[plugin]]
id = "softclip"
shape = "tanh"
"""

pytestmark = pytest.mark.skipif(
    not EXPECTED.is_file(), reason=f"the challenge's test files are not at {DATA}"
)


def as_written(y):
    """Convert to int16 as the challenge does: by 32768, clipped, cut towards zero."""
    return np.clip(32768.0 * y, -32768.0, 32767.0).astype(np.int16)


@pytest.mark.parametrize("block", [64, 441, 259_200])
def test_no_sample_differs(tmp_path, block):
    """Blocks of any size through the chain file give the official output, sample for sample."""
    path = tmp_path / "cec2.toml"
    path.write_text(CHAIN.format(listeners=json.dumps(str(LISTENERS))), "utf-8")
    chain = Chain.from_toml(path)
    source, _ = soundfile.read(SOURCE, dtype="int16")
    expected, _ = soundfile.read(EXPECTED, dtype="int16")
    x = source.T / 32768.0
    pieces = [chain.process(x[:, k : k + block]) for k in range(0, x.shape[1], block)]
    y = np.concatenate([*pieces, chain.flush()], axis=1)
    actual = as_written(y).T
    assert (259_420, 2) == expected.shape == actual.shape
    assert 0 == np.count_nonzero(expected != actual)
    assert 78939.73132324219 == np.abs(actual / 32768.0).sum()


def test_the_python_objects_give_the_same():
    """The chain made of objects is the chain of the file; the soft clip is really at work."""
    source, _ = soundfile.read(SOURCE, dtype="int16")
    expected, _ = soundfile.read(EXPECTED, dtype="int16")
    stream = {"sample_rate": 44100, "dtype": "float64", "listeners": LISTENERS}
    before = Chain([NALR(audiogram="L0064"), Compressor()], **stream).render(source.T / 32768.0)
    assert 2.237 == pytest.approx(np.abs(before).max(), abs=1e-3)
    y = Chain([SoftClip()], sample_rate=44100, dtype="float64").render(before)
    assert np.array_equal(expected, as_written(y).T)
