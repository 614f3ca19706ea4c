# SPDX-License-Identifier: MIT
"""The checks notice what they are made to notice: planted plugins break one promise each."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtcore import host
from rtcore.kernels import decorator
from rtcore.testing import CHECKS, check_plugin
from rtcore.testing.allocations import count_allocations
from rtcore.testing.case import Case

HERE = Path(__file__).parent
BAD = {
    "bad_chunking": "chunking",
    "bad_chunking_rounded": "chunking",
    "bad_chunking_unwritten": "chunking",
    "bad_clicks": "clicks",
    "bad_described": "described",
    "bad_finite": "finite",
    "bad_input": "input",
    "bad_latency": "latency",
    "bad_latency_ahead": "latency",
    "bad_latency_loss": "latency",
    "bad_latency_negative": "latency",
    "bad_latency_response": "latency",
    "bad_prepares": "prepares",
    "bad_reset": "reset",
    "bad_silence": "silence",
    "bad_subnormals": "subnormals",
    "bad_tail": "tail",
}


@pytest.fixture
def planted(monkeypatch):
    """Put the planted plugins where a user's own would lie."""
    monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(HERE / "planted"))


def test_the_host_finds_what_is_planted(planted):
    """Third-party plugins on the path are among those that the contract tests run over."""
    found = {info.id for info in host.all_plugins() if info.origin == "path"}
    assert {"planted_good", *BAD} == found


def test_a_good_plugin_has_no_findings(planted):
    """A third-party plugin that keeps its promises passes every check."""
    findings = check_plugin(host.find("planted_good"))
    assert [] == [str(finding) for finding in findings]


@pytest.mark.parametrize("plugin_id", BAD)
def test_each_bad_plugin_is_noticed_by_its_check(planted, plugin_id):
    """The check that is made for a mistake finds it, and says it in one sentence."""
    check = BAD[plugin_id]
    findings = check_plugin(
        host.find(plugin_id), only=[check] if check in CHECKS else [], allocations=False
    )
    assert findings
    assert {check} == {finding.check for finding in findings}
    assert str(findings[0]).startswith(f"{plugin_id}: {check} (float32, 1 channel, 48000 Hz): ")


def test_every_check_has_a_bad_plugin():
    """No check goes without a planted plugin that it must notice."""
    assert set(CHECKS) <= set(BAD.values())


def test_a_hidden_allocation_is_counted(monkeypatch):
    """A kernel that got past the compiler's check and allocates is found by counting."""
    monkeypatch.setattr(decorator, "refuse_unfit", decorator.refuse_unfit)  # put back afterwards
    monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(HERE / "sneaky"))
    cases = [Case(host.find("sneaky"), "float32", 2), Case(host.find("sneaky"), "float64", 1)]
    assert [True, True] == [count >= 199 for count in count_allocations(cases)]
