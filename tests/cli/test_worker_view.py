# SPDX-License-Identifier: MIT
"""What the command line says about a plugin on a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_SOURCE = '''
from rtcore import Plugin, Setting, kernel

class Away(Plugin):
    """Turn hops upside down, elsewhere."""

    id = "away"
    hop_frames = 48
    placement = Setting("worker", choices=("inline", "worker"))
    worker_late = "dry"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = -x[c, i]
'''
COST = "48 frames (1.00 ms) later than inline, late hops: dry"


@pytest.fixture
def rtcore(tmp_path):
    """Run a command to its end, with the plugin at hand; give what it printed."""
    (tmp_path / "away.py").write_text(_SOURCE)

    def run(*args):
        done = subprocess.run(
            [sys.executable, "-m", "rtcore", *args],
            cwd=tmp_path,
            env={**os.environ, "RTCORE_PLUGIN_PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    return run


def test_show(rtcore):
    """`plugins show` tells where a plugin runs, and what that costs."""
    lines = rtcore("plugins", "show", "away").splitlines()
    assert "placement: worker" in lines
    assert f"worker: {COST}" in lines
    facts = json.loads(rtcore("plugins", "show", "away", "--json"))
    told = (facts["placement"], facts["worker"], facts["hop_frames"], facts["latency_frames"])
    assert ("worker", COST, 48, 95) == told


def test_run(rtcore):
    """`run` counts the worker's hops beside the plugin's times, as text and as JSON."""
    run = ("run", "--backend", "timer", "-i", "noise", "-p", "away", "--block", "48")
    (row,) = [
        line for line in rtcore(*run, "--seconds", "1").splitlines() if "away, worker" in line
    ]
    assert "ms a hop" in row
    assert "hops late (longest run" in row
    run = (*run, "--seconds", "1", "-p", "away:placement=inline", "--json")
    away, inline = json.loads(rtcore(*run))["plugins"]
    assert (47, 95, None) == (inline["latency_frames"], away["latency_frames"], inline["worker"])
    assert 0 < away["worker"]["hops"] <= 1100
