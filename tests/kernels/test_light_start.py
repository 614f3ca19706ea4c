# SPDX-License-Identifier: MIT
"""Kept code starts without all that Numba can compile, and never with a symbol missing."""

from __future__ import annotations

import os
import subprocess
import sys

from rtcore.kernels.cache import _make_known

PLAY = """
import sys
import numpy as np
from rtcore import Chain
from rtcore.plugins import Gain

Chain([Gain()], sample_rate=48000, channels=1).process(np.zeros((1, 64), np.float32))
print("numpy" in sys.modules, "scipy.linalg" in sys.modules, "numba.np.arraymath" in sys.modules)
"""

HASH = """
from rtcore.kernels.jit import native

@native
def hashed(text):
    return hash(text)

print(hashed("sound") == hash("sound"), hashed._cache.hits)
"""


def run(code, cache, tmp_path):
    """Run code from a file in a process of its own; give the words that it prints."""
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RTCORE_CACHE_DIR": str(cache)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class Context:
    """Counts what a target context of Numba is asked for."""

    refreshed = 0

    def refresh(self):
        self.refreshed += 1


def test_a_warm_start_is_light(kernel_cache, tmp_path):
    """Once all code is kept, a chain plays without scipy's and Numba's linear algebra."""
    run(PLAY, kernel_cache, tmp_path)
    assert ["True", "False", "False"] == run(PLAY, kernel_cache, tmp_path)


def test_code_that_needs_more_than_the_runtime_gets_it(tmp_path):
    """Kept code that refers to the interpreter's hash secret runs in a second process as well."""
    first = run(HASH, tmp_path / "cache", tmp_path)
    second = run(HASH, tmp_path / "cache", tmp_path)
    assert ["True", "0"] == first
    assert ["True", "1"] == second


def test_a_missing_symbol_loads_everything(monkeypatch):
    """Where LLVM does not know a symbol, all of Numba is loaded before the code is."""
    monkeypatch.setattr("rtcore.kernels.cache.rtsys.initialize", lambda _context: None)
    context = Context()
    _make_known(["malloc"], context)
    assert 0 == context.refreshed
    _make_known(["malloc", "rtcore_no_such_symbol"], context)
    assert 1 == context.refreshed
