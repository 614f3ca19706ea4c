# SPDX-License-Identifier: MIT
"""What every shipped plugin and chain declares is what the lab measures."""

from __future__ import annotations

import pytest

from rtcore.latency.delay import measure_delay
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.result import Measurement
from rtcore.latency.rules.facts import contradictions
from rtcore.latency.systems.base import ChainSystem
from rtcore.latency.timing.suite import build, rows


@pytest.mark.parametrize("name", rows())
@pytest.mark.parametrize("sample_rate", [None, 16000])
def test_shipped_chains(name, sample_rate):
    """Look-ahead and latency of every plugin and chain in the package are the declared ones."""
    if name == "cec2" and sample_rate is not None:
        sample_rate = 32000  # the rate of CEC2's submissions
    system = ChainSystem(build(name, sample_rate), name)
    ahead = measure_lookahead(system.in_full(), positions=300, duration_s=0.4)
    delay = measure_delay(system)
    found = Measurement(
        name, "chain", system.sample_rate, system.channels, system.declared, ahead, delay
    )
    assert system.declared.lookahead_samples == ahead.samples
    assert system.declared.latency_samples == found.latency_samples
    assert [] == contradictions(found)
    assert ahead.deterministic
