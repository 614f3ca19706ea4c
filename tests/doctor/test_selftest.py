# SPDX-License-Identifier: MIT
import numpy as np
import pytest

from rtcore import Chain
from rtcore.doctor import Status, selftest
from rtcore.doctor.selftest import FloatMode, judge_run, judge_subnormals, lasting_block

SPREAD = {"p50": 1.33, "p95": 1.4, "p99": 1.4, "p99.9": 2.0, "max": 9.0}


def run(late, blocks=2000, **more):
    share = 100.0 * late / blocks if blocks else 0.0
    made = {"interval_ms": SPREAD, "blocks": blocks, "late": late, "late_percent": share}
    return made | {"fifo": True, "ftz": True, "daz": True} | more


class TestJudgement:
    @pytest.mark.parametrize(
        ("late", "status", "impossible"),
        [
            (0, Status.GOOD, False),
            (2, Status.IMPROVE, False),
            (3, Status.BAD, False),
            (999, Status.BAD, False),
            (1000, Status.BAD, True),
        ],
    )
    def test_late_blocks(self, late, status, impossible):
        """A late block could be better, many are bad, half of them make it impossible."""
        found = judge_run("wake-ups", run(late))
        assert (status, impossible) == (found.status, found.impossible)

    def test_no_blocks(self):
        """A thread that never ran is told of."""
        assert judge_run("wake-ups", run(0, blocks=0)).impossible
        assert Status.UNKNOWN == judge_subnormals(run(0, blocks=0)).status

    @pytest.mark.parametrize(
        ("worst_ms", "frames"), [(1.0, 128), (2.0, 128), (4.0, 256), (9.0, 512), (1e4, 4096)]
    )
    def test_block_that_would_have_lasted(self, worst_ms, frames):
        """The remedy's block has room for the worst delay."""
        assert frames == lasting_block(worst_ms)

    @pytest.mark.parametrize(
        ("flags", "status"),
        [((True, True), Status.GOOD), ((True, False), Status.BAD), ((False, False), Status.BAD)],
    )
    def test_flags(self, flags, status):
        """Both flags are needed."""
        assert status == judge_subnormals(run(0, ftz=flags[0], daz=flags[1])).status

    @pytest.mark.parametrize(("second", "impossible"), [(0, False), (1900, True)])
    def test_a_hopeless_run_is_repeated(self, monkeypatch, second, impossible):
        """One bad moment does not make real-time sound impossible; two do."""
        runs = iter([run(2000), run(second)])
        monkeypatch.setattr(selftest, "measure", lambda *_, **__: next(runs))
        found = judge_run("wake-ups", selftest.twice_if_hopeless(1.0, hogged=False))
        assert impossible == found.impossible


class TestMeasurement:
    def test_plugin_passes_the_sound(self):
        """The probe leaves the sound alone."""
        x = np.random.default_rng(1).uniform(-1, 1, (1, 200)).astype(np.float32)
        chain = Chain([FloatMode()], sample_rate=48000, channels=1)
        np.testing.assert_array_equal(x, chain.process(x))

    @pytest.mark.parametrize("hogged", [False, True])
    def test_real_thing(self, hogged):
        """Blocks are played on the native thread, and subnormals become zero there."""
        found = selftest.measure(0.3, hogged=hogged)
        assert found["blocks"] > 0
        assert (True, True) == (found["ftz"], found["daz"])

    def test_self_test(self, plant):
        """It gives a judgement for each run, for subnormals and for stolen time."""
        names = [one.name for one in selftest.self_test(plant(), 0.2)]
        expected = ["wake-ups", "wake-ups, busy Python", "subnormal numbers"]
        assert [*expected, "steal time in the self-test"] == names
