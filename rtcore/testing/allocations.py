# SPDX-License-Identifier: MIT
"""The promise that nothing is allocated while sound plays, counted in a process of its own.

Numba counts its allocations only where ``NUMBA_NRT_STATS=1`` stood in the environment before it
was imported, so ``python -m rtcore.testing.allocations`` is run with it.  It reads cases as JSON
from its input and writes their counts.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, cast

from rtcore.errors import PluginError
from rtcore.plugin import Plugin
from rtcore.testing.case import Case

_BLOCKS = 200


def count_allocations(cases: Sequence[Case]) -> list[int]:
    """Count what is allocated in 200 blocks beyond what is allocated in one.

    Parameters
    ----------
    cases : sequence of Case
        Their plugin classes must be importable by module and name.

    Returns
    -------
    list of int
        For each case; 0 is good.

    Raises
    ------
    PluginError
        Where the other process fails, with the last line that it said.
    """
    wanted = [
        {
            "module": case.plugin_class.__module__,
            "name": case.plugin_class.__qualname__,
            "dtype": case.dtype,
            "channels": case.channels,
            "sample_rate": case.sample_rate,
            "settings": dict(case.settings),
        }
        for case in cases
    ]
    done = subprocess.run(
        [sys.executable, "-m", "rtcore.testing.allocations"],
        input=json.dumps(wanted),
        env={**os.environ, "NUMBA_NRT_STATS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PluginError(f"the process that counts allocations failed: {reason}")
    counts: list[int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def _count(case: Case) -> int:
    """Play one block and then many, each in one call, and compare."""
    from numba.core.runtime import rtsys

    chain = case.chain(max_frames=64)
    counts = []
    for blocks in (1, 1, _BLOCKS):
        x = case.noise(64 * blocks)
        before = rtsys.get_allocation_stats()
        chain.process(x)
        after = rtsys.get_allocation_stats()
        counts.append((after.alloc - before.alloc) + (after.mi_alloc - before.mi_alloc))
    # The call itself wraps its arguments, as often for one block as for many; the first of all
    # may do more.
    return counts[2] - counts[1]


def importable(module: str, name: str) -> type[Plugin]:
    """Give a plugin class by its module and its qualified name."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return cast("type[Plugin]", found)


def _main() -> None:
    counts = []
    for wanted in json.load(sys.stdin):
        found = importable(wanted.pop("module"), wanted.pop("name"))
        counts.append(_count(Case(found, **wanted)))
    print(json.dumps(counts))  # noqa: T201 - read by the process that asked


if __name__ == "__main__":
    _main()
