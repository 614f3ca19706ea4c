# SPDX-License-Identifier: MIT
"""What every plugin that the host finds must keep, third-party ones included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.host import all_plugins
from rtcore.testing import CHECKS, allowed_cases
from rtcore.testing.allocations import count_allocations
from rtcore.testing.case import first_difference
from rtcore.testing.checks import cut

#: First-party plugins are checked with these settings too, beside their defaults.
VARIANTS = {
    "compressor": [{"linked": True, "threshold": 0.1, "rms_buffer_s": 0.003, "attack_ms": 2.0}],
    "delay": [{"delay_frames": 137}, {"delay_ms": 3.3}],
    "fir": [{"taps": [0.1, -0.4, 1.0, -0.4, 0.1]}, {"taps": [1.0, 0.5, 0.25, 0.125]}],
    "limiter": [{"lookahead_ms": 0.0}, {"lookahead_ms": 5.0, "ceiling_db": -30.0}],
    "mix": [{"preset": "mono"}, {"gains": [[1.0], [0.3], [-0.7]]}, {"preset": "mid_side"}],
    "nalr": [{"audiogram": "S3", "nfir": 64}],
    "plc-pitch": [{"detector": "zeros", "packet_ms": 10.0}],
    "plc-repeat": [{"packet_ms": 5.0}, {"detector": "zeros", "packet_ms": 5.0}],
    "softclip": [{"shape": "cubic"}],
}
FOUND = all_plugins()
PLAYED = [
    pytest.param(info.cls, chosen, id=f"{info.id}{number or ''}")
    for info in FOUND
    if info.cls is not None
    if not info.cls.needs()  # what nobody can make without them is tested where they are known
    for number, chosen in enumerate(
        [{}, *(VARIANTS.get(info.id, []) if info.origin == "first-party" else [])]
    )
]


@pytest.mark.parametrize("info", FOUND, ids=lambda info: info.id)
def test_loads(info):
    """The host can load the plugin and nothing hides it."""
    assert "" == info.error


@pytest.mark.parametrize(("cls", "chosen"), PLAYED)
def test_plays_somewhere(cls, chosen):
    """The plugin prepares for one or two channels, in both real types alike."""
    cases, findings = allowed_cases(cls, chosen)
    assert [] == [str(finding) for finding in findings]
    assert cases


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("cls", "chosen"), PLAYED)
def test_keeps_its_promise(cls, chosen, check):
    """Each check finds nothing in any stream that the plugin takes."""
    cases, _ = allowed_cases(cls, chosen)
    assert [] == [f"{case}: {what}" for case in cases for what in CHECKS[check](case)]


@pytest.mark.parametrize(("cls", "chosen"), PLAYED)
def test_any_cutting_gives_the_same_samples(cls, chosen):
    """Blocks of any sizes in any order give the same bits as one block, with moving parameters."""
    cases, _ = allowed_cases(cls, chosen)

    @settings(max_examples=8, deadline=None)
    @given(
        case=st.sampled_from(cases),
        sizes=st.lists(st.integers(1, 700), min_size=1, max_size=12),
        seed=st.integers(0, 99),
    )
    def holds(case, sizes, seed):
        x = case.noise(4000, seed=seed)
        expected = cut(case, x, [4000], moving=True)
        assert first_difference(expected, cut(case, x, sizes, moving=True)) is None

    holds()


def test_nothing_is_allocated():
    """Two hundred blocks allocate no more than one block, for any plugin in any stream."""
    cases = [c for p in PLAYED for c in allowed_cases(*p.values)[0]]
    counts = count_allocations(cases)
    assert [] == [f"{c.plugin_class.id}: {c}: {n}" for c, n in zip(cases, counts, strict=True) if n]
