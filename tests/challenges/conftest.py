# SPDX-License-Identifier: MIT
"""A command line in a folder of its own, with a plugin that conceals as simply as can be."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from command_line import empty_home, invoke

from rtcore.audiofile import write

PLUGINS = '''
    import numpy as np
    from rtcore import Plugin, Prepared, Setting, kernel


    class HoldLast(Plugin):
        """Play the last packet again in place of a lost one, later by some frames."""

        id = "hold-last"
        delay_frames = Setting(0, type=int, min=0, max=4000)
        buffers = {"last": "real[:, :]", "line": "real[:, :]"}
        state = {"at": "i8", "delay": "i8", "where": "i8"}

        def prepare(self, spec):
            last = np.zeros((spec.channels, spec.frames(0.02)))
            line = np.zeros((spec.channels, self.delay_frames + 1))
            state = {"delay": self.delay_frames}
            return Prepared(
                latency_frames=self.delay_frames,
                state=state,
                buffers={"last": last, "line": line},
            )

        @kernel
        def process(x, y, ctx, state, last, line):
            at = state.at
            where = state.where
            for i in range(x.shape[1]):
                for c in range(x.shape[0]):
                    if not ctx.flags & 1:
                        last[c, at] = x[c, i]
                    line[c, where] = last[c, at]
                    y[c, i] = line[c, (where + 1) % line.shape[1]]
                where = (where + 1) % line.shape[1]
                at = (at + 1) % last.shape[1]
            state.at = at
            state.where = where


    class BreaksLoud(Plugin):
        """Give NaN for samples of full scale, and crash the process on demand."""

        id = "breaks-loud"

        @kernel
        def process(x, y):
            for c in range(x.shape[0]):
                for i in range(x.shape[1]):
                    odd = 1.0 if x[c, i] > -0.999 else 0.0
                    y[c, i] = x[c, i] / odd
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Stand in an empty folder, with the plugins above and no others from outside."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "for_plc_tests.py").write_text(textwrap.dedent(PLUGINS))
    with empty_home(tmp_path, monkeypatch, plugins) as work:
        yield work


@pytest.fixture
def rtcore(home):
    """Run the command line in this process."""
    return invoke


@pytest.fixture
def speech(home):
    """Write four files of sound like speech: tones that come and go, never quite silent."""
    folder = home / "speech"
    (folder / "deep").mkdir(parents=True)
    for k, (rate, seconds) in enumerate([(16000, 9.1), (16000, 4.03), (44100, 3.3), (48000, 2.5)]):
        t = np.arange(round(rate * seconds)) / rate
        tone = np.sin(2 * np.pi * (180 + 40 * k) * t) * (0.5 + 0.45 * np.sin(2 * np.pi * 1.3 * t))
        noise = np.random.default_rng(k).normal(0, 0.01, len(t))
        name = f"deep/talk {k}.flac" if k == 1 else f"talk{k}.wav"
        write(folder / name, 0.4 * tone + noise, rate, subtype="PCM_16")
    return folder
