# SPDX-License-Identifier: MIT
"""Kernels of the same file, arguments and layout are told apart, in memory and in the cache."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from rtcore import Chain, Plugin, kernel


class Once(Plugin):
    """Copy."""

    id = "once"

    @kernel
    def process(x, y):
        for i in range(x.size):
            y[0, i] = x[0, i]


class Twice(Plugin):
    """Double."""

    id = "twice"

    @kernel
    def process(x, y):
        for i in range(x.size):
            y[0, i] = 2 * x[0, i]


def test_two_kernels_of_one_file_do_not_share_code():
    """Two plugins that differ in nothing but their kernels' bodies each play their own."""
    x = np.ones((1, 4))
    played = [Chain([cls()], channels=1, dtype="float64").process(x)[0, 0] for cls in (Once, Twice)]
    assert [1.0, 2.0] == played


def test_the_entrys_name_is_the_same_in_every_process():
    """The name that stands in the cache's key does not depend on the process's hash seed."""
    program = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("shapes", {__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(vars(module.Twice)["process"]._entry_name)
"""
    names = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert 1 == len(names)
