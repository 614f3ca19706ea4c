# SPDX-License-Identifier: MIT
"""How ``plc-repeat`` and ``plc-zero`` fill a gap."""

from __future__ import annotations

import numpy as np
import pytest
from losses import conceal, sine

from rtcore.plugins import PlcRepeat, PlcZero

PACKET, FADE = 320, 40  # frames at 16 kHz


def test_each_repetition_is_softer():
    """Past the cross-fade a repetition is the last packet times 0.7, 0.49, 0.343, .."""
    x = np.random.default_rng(0).standard_normal((1, PACKET * 8))
    y = conceal(PlcRepeat(), x, [k > 3 for k in range(8)], PACKET)
    last = x[0, 3 * PACKET + FADE : 4 * PACKET]
    for k in range(4):
        part = y[0, (4 + k) * PACKET + FADE : (5 + k) * PACKET]
        assert np.array_equal(part, part)
        assert part == pytest.approx(0.7 ** (k + 1) * last, rel=1e-12)


def test_no_step_at_the_joints():
    """A soft hum has no step anywhere, at no repetition and not at the end."""
    x = sine(16000.0, 60.0, 0.4)
    lost = [5 <= k < 9 for k in range(20)]
    y = conceal(PlcRepeat(), x, lost, PACKET)
    assert 0.02 > np.abs(np.diff(y[0])).max()


def test_the_packet_length_is_a_setting():
    """With packets of 10 ms the gain falls each 10 ms."""
    x = np.ones((1, 160 * 8))
    y = conceal(PlcRepeat(packet_ms=10.0), x, [k > 3 for k in range(8)], 160)
    expected = [0.7, 0.49, 0.343]
    assert expected == pytest.approx([y[0, 160 * k - 1] for k in (5, 6, 7)])


def test_zero_fill_plays_zeros():
    """Lost packets are exactly 0, all others exactly themselves."""
    x = np.random.default_rng(1).standard_normal((2, PACKET * 8))
    lost = np.array([0, 1, 0, 0, 1, 1, 0, 1], bool)
    y = conceal(PlcZero(), x, lost, PACKET)
    assert np.array_equal(x * ~np.repeat(lost, PACKET), y)
