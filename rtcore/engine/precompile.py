# SPDX-License-Identifier: MIT
"""Compile a plugin file in a process of its own, and try it there.

The machine code lands in the cache that both processes share.  A file that does not compile, or
crashes, does so here and not where the sound is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from types import ModuleType
from typing import Any

import numpy as np

from rtcore.errors import PluginError, RtcoreError

_NICE = 19
_TRIAL_FRAMES = (64, 1, 63, 128)


def load_file(module: str, file: str) -> ModuleType:
    """Load a Python file under a module's name, as it is now.

    Raises
    ------
    PluginError
        Where it cannot be read or run, with the line.
    """
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        msg = f"{file}: is not a Python file"
        raise PluginError(msg)
    loaded = importlib.util.module_from_spec(spec)
    before = sys.modules.get(module)
    sys.modules[module] = loaded  # where the cache looks for the file of a kernel
    try:
        spec.loader.exec_module(loaded)
    except BaseException as error:
        if before is not None:
            sys.modules[module] = before
        if isinstance(error, RtcoreError):
            raise
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else _line_in(error, file)
        msg = f"{file}{line}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    return loaded


def _line_in(error: BaseException, file: str) -> str:
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line


def try_out(job: dict[str, Any]) -> None:
    """Compile one plugin class and run it for a few blocks.

    Parameters
    ----------
    job : dict
        ``module``, ``file``, ``cls``, ``values``, and the stream: ``sample_rate``, ``channels``,
        ``dtype``, ``listeners``.
    """
    from rtcore.chain import Chain

    module = load_file(job["module"], job["file"])
    cls = getattr(module, job["cls"], None)
    if cls is None:
        msg = f"{job['file']}: there is no class {job['cls']} any more"
        raise PluginError(msg)
    known = {**cls.params, **cls.settings}
    plugin = cls(**{k: v for k, v in job["values"].items() if k in known})
    chain = Chain(
        [plugin],
        sample_rate=job["sample_rate"],
        channels=job["channels"],
        dtype=job["dtype"],
        listeners=job["listeners"],
    )
    noise = np.random.default_rng(0)
    for frames in _TRIAL_FRAMES:
        chain.process(0.1 * noise.standard_normal((job["channels"], frames)))
    faults = int(chain.table.steps[0]["faults"])
    if faults:
        msg = f"{job['file']}: the plugin gives NaN, Inf or a status in its first blocks"
        raise PluginError(msg)


def main() -> int:
    """Read a job from standard input; say what is wrong on standard output."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    try:
        try_out(json.load(sys.stdin))
    except RtcoreError as error:
        print(error)  # noqa: T201 - the parent reads it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
