# SPDX-License-Identifier: MIT
"""The hearing aid that needs no file."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore import Chain, Listener
from rtcore.errors import ConfigError
from rtcore.presets import hearing_aid


@pytest.mark.parametrize(
    ("rate", "nfir"), [(16000, 80), (44100, 220), (48000, 240), (384000, 1022)]
)
def test_same_delay_at_any_rate(rate, nfir):
    """The filter lasts as long at any rate, as far as taps allow."""
    nalr, *_ = hearing_aid(Listener.standard("N3"), sample_rate=rate, channels=2)
    assert nfir == nalr.nfir


@pytest.mark.parametrize("channels", [1, 2])
def test_stays_below_full_scale(channels):
    """The heaviest loss and full-scale noise leave no peak above -1 dB."""
    elements = hearing_aid(Listener.standard("N7"), sample_rate=44100, channels=channels)
    chain = Chain(elements, sample_rate=44100, channels=channels)
    y = chain.render(np.random.default_rng(1).uniform(-1, 1, (channels, 44100)))
    assert 10 ** (-1 / 20) + 1e-6 >= np.abs(y).max()
    assert 0.1 < np.abs(y).max()


def test_three_ears():
    """More channels than ears are refused."""
    with pytest.raises(ConfigError, match="channels: a hearing aid is made for one or two ears"):
        hearing_aid(Listener.standard("N3"), sample_rate=44100, channels=3)
