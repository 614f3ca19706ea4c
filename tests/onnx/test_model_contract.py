# SPDX-License-Identifier: MIT
"""The plugin ``model`` keeps what every plugin promises, whatever bundle it plays."""

from __future__ import annotations

import json

import pytest
from bundles import adding_up, one_stage, passing
from click.testing import CliRunner

from rtcore.host import find
from rtcore.latency.timing.suite import rows
from rtcore.testing import CHECKS, check_plugin

HOP, WINDOW = 80, 320


@pytest.mark.parametrize(("kind", "rate"), [("states", 48000), ("frames", 16000)])
def test_promises(tmp_path, kind, rate):
    """Cuttings, latency, tail, silence, reset, clicks and allocations."""
    if kind == "states":
        adding_up(tmp_path / "model.onnx", HOP)
        source = {"x": "hop", "s": {"state": "s_next"}}
        one_stage(tmp_path, source, {"y": "hop"}, hop=HOP, tail=40 * 16000)
    else:
        passing(tmp_path / "model.onnx", WINDOW)
        frame = {"window": WINDOW, "analysis": "sqrt-hann", "synthesis": "sqrt-hann"}
        one_stage(
            tmp_path, {"x": "frame"}, {"y": "frame"}, hop=WINDOW // 2, latency=WINDOW // 2,
            frame=frame,
        )  # fmt: skip
    # The outermost taps of a rate's filter are too small to be heard: its look-ahead is a bound,
    # and its latency is measured in test_rates.py.
    only = [name for name in CHECKS if name != "latency" or rate == 16000]
    found = check_plugin(find("model"), {"bundle": str(tmp_path)}, sample_rate=rate, only=only)
    assert [] == [str(finding) for finding in found]


def test_who_lists_plugins_leaves_it_out_where_it_cannot_be_made():
    """It has no row of its own in the table of costs, and says what it needs."""
    from rtcore.cli import main

    assert "model" not in rows()
    assert ["bundle"] == find("model").needs()
    shown = CliRunner().invoke(main, ["plugins", "show", "model"])
    assert 0 == shown.exit_code
    assert "must be given" in shown.output
    facts = json.loads(CliRunner().invoke(main, ["plugins", "show", "model", "--json"]).stdout)
    assert [True] == [p["required"] for p in facts["parameters"] if p["name"] == "bundle"]
    assert "inline" == facts["placement"]
