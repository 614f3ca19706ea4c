# SPDX-License-Identifier: MIT
"""Play nothing for a few seconds and watch: when the blocks begin, and how subnormals are treated.

The native thread of the timer backend wakes for each block of 64 frames at 48 kHz, as it does when
a chain plays; memory is locked and the processor kept awake as far as that is granted. It is the
measurement of cyclictest, made with the thread that matters.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.doctor.machine import Machine
from rtcore.doctor.processors import steal, stolen
from rtcore.doctor.record import Judgement, bad, good, improve, unknown
from rtcore.kernels.decorator import kernel
from rtcore.plugin import Plugin, Prepared, Spec

RATE_HZ, BLOCK = 48000, 64
PERIOD_MS = 1e3 * BLOCK / RATE_HZ
#: A share of late blocks (in %) above which sound has audible holes, and one that is no sound.
MANY_PERCENT, HOPELESS_PERCENT = 0.1, 50.0
_LONGEST_BLOCK = 4096


class FloatMode(Plugin):
    """Try, on the audio thread, whether subnormal numbers become zero."""

    id = "float_mode"
    state = {"blocks": "i8"}  # noqa: RUF012 - a declaration, read once
    buffers = {"values": "f8[:]", "results": "f8[:]"}  # noqa: RUF012 - as above

    def prepare(self, spec: Spec) -> Prepared:  # noqa: ARG002 - the same for every stream
        """Give the smallest normal number and a subnormal one."""
        tiny = float(np.finfo(np.float64).tiny)
        return Prepared(buffers={"values": np.array([tiny, 1e-310]), "results": np.ones(2)})

    @kernel
    def process(x: Any, y: Any, state: Any, values: Any, results: Any) -> None:  # noqa: N805
        """Halve the one (FTZ makes that zero), magnify the other (DAZ makes that zero)."""
        results[0] = values[0] * 0.5
        results[1] = values[1] * 1e300
        state.blocks += 1
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


def measure(seconds: float, *, hogged: bool) -> dict[str, Any]:
    """Play for a while.

    Parameters
    ----------
    seconds : float
        How long.
    hogged : bool
        Whether a Python thread keeps the interpreter busy meanwhile.

    Returns
    -------
    dict
        ``interval_ms`` (percentiles of the time from block to block), ``late_percent``,
        ``late``, ``blocks``, ``fifo`` (whether real-time priority was granted), ``ftz``, ``daz``.
    """
    from rtcore.engine import Engine, TimerBackend
    from rtcore.engine.privileges import LiveMode
    from rtcore.latency.timing.hog import hog

    chain = Chain([FloatMode()], sample_rate=RATE_HZ, channels=1)
    with LiveMode(), Engine(chain, TimerBackend(block_frames=BLOCK)) as engine:
        with hog() if hogged else nullcontext():
            time.sleep(seconds)
        stats, notes = engine.stats(), engine.notes
    results = chain.nodes[0].node.buffer("results")
    return {
        "interval_ms": stats["interval_ms"],
        "blocks": stats["blocks"],
        "late": stats["late"]["total"],
        "late_percent": stats["late"]["percent"],
        "expected": math.floor(seconds * RATE_HZ / BLOCK),
        "fifo": not any("real-time priority" in note for note in notes),
        "ftz": bool(results[0] == 0.0),
        "daz": bool(results[1] == 0.0),
    }


def self_test(machine: Machine, seconds: float) -> list[Judgement]:
    """Measure, idle and with a busy interpreter; judge the blocks, subnormals and stolen time."""
    before = stolen(machine)
    runs = {
        "wake-ups": twice_if_hopeless(seconds, hogged=False),
        "wake-ups, busy Python": twice_if_hopeless(seconds, hogged=True),
    }
    found = [judge_run(name, run) for name, run in runs.items()]
    found.append(judge_subnormals(runs["wake-ups"]))
    found.append(steal(before, stolen(machine), testing=True))
    return found


def twice_if_hopeless(seconds: float, *, hogged: bool) -> dict[str, Any]:
    """Measure; where most blocks were late, measure again and take the better run.

    A virtual machine may be put aside for a second, and then all blocks of that second are late.
    """
    run = measure(seconds, hogged=hogged)
    if run["late_percent"] < HOPELESS_PERCENT:
        return run
    return min(run, measure(seconds, hogged=hogged), key=lambda one: float(one["late_percent"]))


def judge_run(name: str, run: dict[str, Any]) -> Judgement:
    """Judge one run by its late blocks."""
    if not run["blocks"]:
        remedy = "look for a program that holds all CPUs at a higher priority"
        return bad(name, "no block was played at all", remedy, impossible=True, **run)
    spread = run["interval_ms"]
    words = ", ".join(f"{key} {spread[key]:.2f}" for key in ("p50", "p99", "p99.9", "max"))
    share = float(run["late_percent"])
    found = (
        f"{words} ms from block to block (due {PERIOD_MS:.2f}), {run['late']} of {run['blocks']} "
        f"late ({share:.2g} %), {'SCHED_FIFO' if run['fifo'] else 'ordinary priority'}"
    )
    if not run["late"]:
        return good(name, found, **run)
    if share >= HOPELESS_PERCENT:
        remedy = "mend what is bad above; at 64 frames this machine cannot play"
        return bad(name, found, remedy, impossible=True, **run)
    remedy = f"mend what is bad above, or play with --block {lasting_block(float(spread['max']))}"
    return (bad if share > MANY_PERCENT else improve)(name, found, remedy, **run)


def lasting_block(worst_ms: float) -> int:
    """Give the shortest block, a power of two, in which the worst delay would have found room."""
    late_ms = max(worst_ms - PERIOD_MS, 0.0)
    frames = max(late_ms * RATE_HZ / 1e3, 1.0) + BLOCK
    return int(min(2 ** math.ceil(math.log2(frames)), _LONGEST_BLOCK))


def judge_subnormals(run: dict[str, Any]) -> Judgement:
    """Say whether subnormals are flushed: on many processors they cost a hundred cycles each.

    FTZ zeroes results and DAZ operands (Intel SDM vol. 1, 10.2.3); FZ of FPCR does both on Arm.
    """
    if not run["blocks"]:
        return unknown("subnormal numbers", "no block was played")
    words = [word for key, word in (("ftz", "FTZ"), ("daz", "DAZ")) if run[key]]
    if len(words) == 2:
        return good("subnormal numbers", "become zero on the audio thread (FTZ and DAZ)")
    what = f"are not flushed on the audio thread (only {words[0] if words else 'neither flag'})"
    return bad("subnormal numbers", what, "report it: rtcore sets both flags on this processor")
