# SPDX-License-Identifier: MIT
"""A plugin that gives NaN or a status is muted with a fade, counted and reported; others play."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain, Parallel, Plugin, Setting, kernel
from rtcore import Prepared as Answer

RATE = 48000.0
AT = 3000  # frame at which it fails


class Failing(Plugin):
    """Copy the sound, and fail at a frame."""

    id = "failing"
    how = Setting("nan", choices=("nan", "inf", "status"))
    state = {"at": "i8", "how": "i8"}

    def prepare(self, spec):
        return Answer(state={"how": ("nan", "inf", "status").index(self.how)})

    @kernel
    def process(x, y, state):
        status = 0
        for i in range(x.shape[1]):
            for c in range(x.shape[0]):
                y[c, i] = x[c, i]
                if state.at + i >= 3000:
                    if state.how == 0:
                        y[c, i] = np.nan
                    elif state.how == 1:
                        y[c, i] = -np.inf
                    else:
                        status = 7
        state.at += x.shape[1]
        return status


def _tone(frames):
    wave = 0.5 * np.sin(2 * np.pi * 300.0 / RATE * np.arange(frames))
    return np.tile(wave, (2, 1)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 64, 480])
@pytest.mark.parametrize("how", ["nan", "inf"])
def test_a_bad_sample_fades_to_silence(how, block):
    """The sound is whole up to the bad frame, then fades within 5 ms without a click."""
    x = _tone(6000)
    chain = Chain([Failing(how=how)], sample_rate=RATE)
    y = np.concatenate([chain.process(x[:, k : k + block]) for k in range(0, 6000, block)], axis=1)
    assert np.array_equal(x[:, :AT], y[:, :AT])
    assert not y[:, AT + 240 :].any()
    assert np.abs(np.diff(y)).max() <= np.abs(np.diff(x)).max() + 1e-6


def test_a_status_mutes_from_the_blocks_start():
    """A kernel that answers anything but 0 is not heard in that block; the rest fades."""
    x = _tone(6000)
    chain = Chain([Failing(how="status")], sample_rate=RATE)
    y = np.concatenate([chain.process(x[:, k : k + 64]) for k in range(0, 6000, 64)], axis=1)
    block = AT - AT % 64
    assert np.array_equal(x[:, :block], y[:, :block])
    assert not y[:, block + 240 :].any()
    assert np.abs(np.diff(y)).max() <= np.abs(np.diff(x)).max() + 1e-6


def test_others_play_on_and_it_is_reported_once():
    """The branch beside the failed plugin is heard unchanged, and one event names the culprit."""
    x = _tone(6000)
    events = []
    chain = Chain([Parallel([Failing()], [])], sample_rate=RATE)
    chain.stream.on_event = events.append
    y = np.concatenate([chain.process(x[:, k : k + 100]) for k in range(0, 6000, 100)], axis=1)
    assert np.array_equal(x[:, AT + 240 :], y[:, AT + 240 :])
    faults = [event for event in events if event["event"] == "fault"]
    path = "plugin[0].parallel.branch[0].plugin[0].failing"
    assert [{"frame": AT, "event": "fault", "plugin": path, "what": "NaN or Inf"}] == faults
    assert 1 == chain.table.steps["faults"].sum()


def test_a_reset_lets_it_play_again():
    """After a reset the muted plugin begins anew."""
    x = _tone(6000)
    chain = Chain([Failing()], sample_rate=RATE)
    first = chain.render(x)
    assert np.array_equal(first, chain.render(x))
