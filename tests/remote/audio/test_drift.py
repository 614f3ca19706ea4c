# SPDX-License-Identifier: MIT
"""The rate loop, in a simulation of two clocks."""

from __future__ import annotations

import numpy as np
import pytest

from rtcore.engine.inlet import Inlet
from rtcore.errors import StreamError
from rtcore.remote.audio.drift import RateLoop
from rtcore.remote.audio.impair import Impairment
from rtcore.remote.audio.jitter import Depth, JitterBuffer
from rtcore.remote.audio.packets import Format, Packet

PACKET_S, TARGET_S = 0.01, 0.04


def simulated(drift_ppm, jitter_s, seconds=120.0, begin_s=TARGET_S):
    """Give the depth at each packet, and the loop."""
    loop, rng = RateLoop(PACKET_S), np.random.default_rng(3)
    depth_s, step, depths = begin_s, 1.0, []
    for k in range(round(seconds / PACKET_S)):
        depth_s += PACKET_S * (1.0 + 1e-6 * drift_ppm - step)
        loop.see(depth_s + jitter_s * (rng.random() - 0.5))
        depths.append(depth_s)
        if k % 10 == 9:
            step = loop.turn(TARGET_S, 0.1)
    return np.array(depths), loop


@pytest.mark.parametrize("drift_ppm", [-500.0, -200.0, 0.0, 50.0, 200.0])
@pytest.mark.parametrize("jitter_s", [0.0, 0.01])
def test_holds_the_depth(drift_ppm, jitter_s):
    """Within 2 ms at all times, within 0.5 ms at the end, and the drift is known."""
    depths, loop = simulated(drift_ppm, jitter_s)
    assert np.abs(depths - TARGET_S).max() < 2e-3
    assert np.abs(depths[-2000:] - TARGET_S).max() < 5e-4
    assert abs(1e6 * loop.drift - drift_ppm) < 40.0


@pytest.mark.parametrize("begin_s", [0.02, 0.08])
def test_comes_back_from_afar(begin_s):
    """A depth that is far off is back within half a minute, and without ringing on."""
    depths, _ = simulated(100.0, 0.004, begin_s=begin_s)
    assert np.abs(depths[3000:] - TARGET_S).max() < 2e-3


def test_the_speed_is_bounded():
    """A clock that is 1 % off is not followed beyond what the loop may do."""
    _, loop = simulated(50_000.0, 0.0, seconds=20.0)
    assert loop.step <= 1.01
    assert abs(loop.drift) <= 1e-3


@pytest.mark.parametrize("first", [0, 7, 2**53 - 40])
@pytest.mark.parametrize("late_ms", [[0], [80], [80, 70, 60, 50], [0, 200, 0, 90]])
def test_a_first_packet_that_comes_late_does_not_deepen_the_stream(first, late_ms):
    """A stream begins with its first packet, but at the time that those behind it tell."""
    form = Format(16000, 1, 160, "float32")
    inlet = Inlet(16000, 1, 160)
    buffer = JitterBuffer(inlet, form, Depth(0.3))
    began_ns, sound = 10**15, np.zeros((1, 160), np.float32)
    for k, late in enumerate(late_ms + [0] * 9):
        arrival_ns = began_ns + k * 10**7 + late * 10**6
        buffer.take(Packet(form, 3, first + k, 0, sound), arrival_ns)
    assert first == buffer.first_packet == inlet.record["start_packet"][0]
    assert abs(int(inlet.record["start_ns"][0]) - began_ns - 300 * 10**6) < 1000


@pytest.mark.parametrize("target_ms", [5, 30, 40])
@pytest.mark.parametrize("stood_ms", [50, 100, 400])
def test_a_receiver_that_begins_with_a_stall(target_ms, stood_ms):
    """What came meanwhile and has no turn any more is left out; the depth is the target's."""
    form = Format(16000, 1, 160, "float32")
    inlet = Inlet(16000, 1, 160)
    buffer = JitterBuffer(inlet, form, Depth(1e-3 * target_ms))
    sound = np.zeros((1, 160), np.float32)
    for k in range(stood_ms // 10 + 20):
        buffer.take(Packet(form, 3, k, 0, sound), 10**15 + max(stood_ms, 10 * k) * 10**6)
    number, start_ns = (int(inlet.record[key][0]) for key in ("start_packet", "start_ns"))
    assert buffer.first_packet == number
    assert abs(start_ns - 10**15 - (10 * number + target_ms) * 10**6) < 1000
    assert start_ns >= 10**15 + 10 * k * 10**6


def test_losses_depend_on_the_number_alone():
    """The same packets are lost and held back for the same time, in any order, by seed."""
    lost = np.array([False, True, True, False, False])
    one, two = Impairment(lost, jitter_s=0.02, seed=4), Impairment(lost, jitter_s=0.02, seed=4)
    numbers = [9, 3, 14, 0, 7]
    assert [bool(lost[n % 5]) for n in numbers] == [one.drops(n) for n in numbers]
    first = {n: one.delay_s(n) for n in numbers}
    assert first == {n: two.delay_s(n) for n in reversed(numbers)}
    assert all(0.0 <= delay < 0.02 for delay in first.values())
    assert first != {n: Impairment(lost, jitter_s=0.02, seed=5).delay_s(n) for n in numbers}


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Impairment([]), "holds no packets"),
        (lambda: Impairment(jitter_s=3.0), "between 0 and 2000 ms, got 3000 ms"),
        (lambda: Depth(0.0), "between 1 and 2000 ms, got 0 ms"),
        (lambda: Depth(0.04, most_s=9.0), "got 9000 ms"),
    ],
)
def test_impossible_wishes(make, part):
    """Each is refused with what was found."""
    with pytest.raises(StreamError, match=part):
        make()
