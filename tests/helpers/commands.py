# SPDX-License-Identifier: MIT
"""Commands of rtcore run as a user does, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from waiting import PATIENCE_S


def rtcore(*args, cwd, **environment):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rtcore", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def assert_refused(done, *words):
    """One sentence with these words, exit code 2, no traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    for word in words:
        assert word in done.stderr
