# SPDX-License-Identifier: MIT
"""The flags under which all compiled code of rtcore is made, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from rtcore.kernels.cache import KernelCache

#: ``contract`` lets multiply and add fuse; anything more would make NaN tests fail silently.
FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "boundscheck": False}


def native(fn: Callable[..., Any]) -> Any:
    """Compile a function without interpreter, GIL or exceptions, cached on disk.

    The cache's key covers the function's file and every helper and constant it imports, so
    that an edit anywhere is noticed (Numba's own cache looks at the function's file alone).
    """
    dispatcher = njit(nogil=True, **FLAGS)(fn)
    dispatcher._cache = KernelCache(fn)  # noqa: SLF001 - the one door Numba has for a cache of one's own
    return dispatcher
