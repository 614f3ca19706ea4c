# SPDX-License-Identifier: MIT
"""Processes that may not write anywhere, whoever runs the tests."""

from __future__ import annotations

import os
import shutil

import pytest


def without_privileges() -> list[str]:
    """Give the words before a command that take root's privilege over rights from it.

    The test is skipped where root cannot give it up.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and util-linux's setpriv is not installed")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
