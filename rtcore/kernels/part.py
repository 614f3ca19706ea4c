# SPDX-License-Identifier: MIT
"""A piece of a larger function, kept apart for its reader only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from rtcore.kernels.jit import FLAGS


def part(fn: Callable[..., Any]) -> Any:
    """Compile a function as a piece of those that call it.

    Each compiled function is optimised together with all that it calls, so that a loop five calls
    deep is optimised five times; pieces are not compiled by themselves.  For functions with one
    caller, or with one in each process, and at most 30 arguments.

    Parameters
    ----------
    fn : function
        As for :func:`rtcore.kernels.helper`.

    Returns
    -------
    numba Dispatcher
    """
    return njit(nogil=True, inline="always", **FLAGS)(fn)
