# SPDX-License-Identifier: MIT
"""The flags under which all compiled code of rtcore is made, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.ccallback import CFunc

from rtcore.kernels.cache import KernelCache

#: ``contract`` lets multiply and add fuse; anything more would make NaN tests fail silently.
FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "boundscheck": False}


def c_entry(fn: Callable[..., Any], signature: Any, cache: KernelCache | None = None) -> Any:
    """Compile a function with a C signature, for callers that know nothing of Python.

    Parameters
    ----------
    fn : function
        Compiled as it is; no closure.
    signature : numba signature
        Its types.
    cache : KernelCache, optional
        Where its code is kept; one of its own by default.

    Returns
    -------
    numba CFunc
        With ``address``; the code lives as long as this object.
    """
    entry: Any = CFunc(fn, (signature.args, signature.return_type), {}, dict(FLAGS))
    entry._cache = cache or KernelCache(fn)  # noqa: SLF001 - the one door for a cache of one's own
    entry.compile()
    return entry


def native(fn: Callable[..., Any]) -> Any:
    """Compile a function without interpreter, GIL or exceptions, cached on disk.

    The cache's key covers the function's file and every helper and constant it imports, so
    that an edit anywhere is noticed (Numba's own cache looks at the function's file alone).
    """
    dispatcher = njit(nogil=True, **FLAGS)(fn)
    dispatcher._cache = KernelCache(fn)  # noqa: SLF001 - the one door for a cache of one's own
    return dispatcher
