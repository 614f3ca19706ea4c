# SPDX-License-Identifier: MIT
"""All checks in a process of their own, which a kernel that leaves its arrays may end.

``python -m rtcore.testing.isolated`` reads one plugin as JSON from its input and writes the
findings.  Before the real kernel plays, the author's function plays once with every index checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numba import njit

from rtcore.chain.node import Node
from rtcore.errors import PluginError, RtcoreError
from rtcore.kernels.context import CONTEXT
from rtcore.plugin import Plugin, Spec
from rtcore.testing.allocations import importable
from rtcore.testing.case import Case, Finding

_MAX_FRAMES = 64
_HINT = "look for indices out of range"


def as_question(
    plugin_class: type[Plugin], settings: Mapping[str, Any], sample_rate: float
) -> str | None:
    """Write what another process is to check, or None where it could not find the class."""
    name = plugin_class.__qualname__
    if plugin_class.__module__ == "__main__" or "<locals>" in name:
        return None
    question = {"module": plugin_class.__module__, "name": name, "sample_rate": sample_rate}
    try:
        return json.dumps({**question, "settings": dict(settings)})
    except (TypeError, ValueError):  # a value that only Python can hold
        return None


def check_isolated(plugin_id: str, question: str) -> list[Finding]:
    """Check a plugin in a process of its own.

    Parameters
    ----------
    plugin_id : str
        For the findings.
    question : str
        Of :func:`as_question`.

    Raises
    ------
    PluginError
        Where the other process fails, with the last line that it said.
    """
    command = [sys.executable, "-m", "rtcore.testing.isolated"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, input=question, capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        return [Finding(plugin_id, "crashes", "", f"crashed (signal {-done.returncode}): {_HINT}")]
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PluginError(f"the process that checks the plugin failed: {reason}")
    return [Finding(**found) for found in json.loads(done.stdout.splitlines()[-1])]


def out_of_range(case: Case) -> str | None:
    """Play the author's function with every index checked; say where one is out of range."""
    plugin = case.plugin_class(**case.settings)
    node = Node(plugin, Spec(case.sample_rate, case.channels, _MAX_FRAMES, np.dtype(case.dtype)))
    hop = node.hop_frames
    function = case.plugin_class.process.fn
    body = njit(error_model="numpy", boundscheck=True)(function)
    names = case.plugin_class.process.names
    order = [f"{n}[0]" if n in ("state", "ctx") else n for n in names]
    scope: dict[str, Any] = {"body": body}
    source = f"def run({', '.join(names)}):\n    body({', '.join(order)})\n"
    exec(source, scope)  # noqa: S102 - our own text
    run = njit(scope["run"])
    for frames in (hop,) if hop else (_MAX_FRAMES, 1, 7):
        try:
            run(*(_argument(node, name, case, frames) for name in names))
        except IndexError as error:
            where = f"{function.__code__.co_filename}: kernel '{function.__name__}'"
            return f"{where} in a block of {frames} frames: {error}; {_HINT}"
        except Exception:  # noqa: BLE001 - the checks themselves tell of everything else
            return None
    return None


def _argument(node: Node, name: str, case: Case, frames: int) -> Any:
    """Give what a kernel is handed under a name, as Python objects."""
    if name == "x":
        return case.noise(frames)
    if name == "y":
        return np.full((node.channels_out, frames), np.nan, case.dtype)
    if name == "state":
        return node.record.reshape(1)
    if name == "ctx":
        context = np.zeros(1, CONTEXT)
        context["sample_rate"] = case.sample_rate
        context["side_count"], context["side"] = len(node.sides), node.side_views.ctypes.data
        return context
    if name in case.plugin_class.buffers:
        return node.arena[f"buffer {name}"]
    params = case.plugin_class.params.items()
    key, param = next((k, p) for k, p in params if (p.kernel_name or k) == name)
    value = np.dtype(case.dtype).type(node.kernel_value(key))
    return np.full(frames, value) if param.smoothing_s > 0 else value


def _main() -> None:
    from rtcore.testing.contract import allowed_cases, check_here

    wanted = json.load(sys.stdin)
    found = importable(wanted["module"], wanted["name"])
    settings, rate = wanted["settings"], wanted["sample_rate"]
    cases, _ = allowed_cases(found, settings, sample_rate=rate)
    findings = []
    for case in cases:
        what = out_of_range(case)
        if what:
            findings = [Finding(found.id, "indices", str(case), what)]
            break
    if not findings:  # one that leaves its arrays would change what the checks themselves hold
        findings = check_here(found, settings, sample_rate=rate)
    print(json.dumps([asdict(finding) for finding in findings]))  # noqa: T201 - for who asked


if __name__ == "__main__":
    try:
        _main()
    except RtcoreError as error:
        sys.exit(str(error))
