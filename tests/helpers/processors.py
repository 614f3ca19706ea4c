# SPDX-License-Identifier: MIT
"""Run code compiled for other processors than this one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from llvmlite.binding import get_host_cpu_features

#: Processor and the features that it is compiled for: no FMA, FMA on short vectors, long vectors.
PROCESSORS = {
    "generic": "",
    "sandybridge": "+avx,+sse4.2",
    "haswell": "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2",
    "skylake-avx512": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw,+sse4.2",
}


def outcome(code, processor):
    """Run Python code compiled for a processor; give its exit status and what it complains of."""
    if platform.machine() != "x86_64":
        pytest.skip("names x86-64 processors")
    wanted = PROCESSORS[processor]
    host = get_host_cpu_features()
    if not all(host.get(feature[1:], False) for feature in wanted.split(",") if feature):
        pytest.skip(f"this processor cannot run code for {processor}")
    choice = {"NUMBA_CPU_NAME": processor, **({"NUMBA_CPU_FEATURES": wanted} if wanted else {})}
    child = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **choice},
        capture_output=True,
        text=True,
        check=False,
    )
    return child.returncode, child.stderr
