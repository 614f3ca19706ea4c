# SPDX-License-Identifier: MIT
"""One thread a process: many processes on one machine must not fight over its cores.

It is also what makes results the same everywhere: a product of matrices that BLAS cuts up for
four threads may differ in its last bit from that of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

__all__ = ["pin_threads", "pinned_environment", "pinned_threads"]

#: What libraries read when they are loaded. Not NUMBA_NUM_THREADS: Numba reads it again at each
#: compilation, and refuses to go on where it changed; rtcore's kernels have one thread anyway.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def pin_threads() -> None:
    """Hold this process for good to one thread of each library, loaded already or not yet."""
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
    _limit_loaded()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@contextmanager
def pinned_environment() -> Iterator[None]:
    """Let processes that are started meanwhile have one thread for each library."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def pinned_threads() -> Iterator[None]:
    """Hold this process to one thread of each library for a while."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 0
    limits = _limit_loaded()
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with pinned_environment():
            yield
    finally:
        limits.restore_original_limits()
        if torch is not None:
            torch.set_num_threads(threads)


def _limit_loaded():  # type: ignore[no-untyped-def] # noqa: ANN202 - the library has no types
    """Hold what is loaded (OpenBLAS, MKL, BLIS, OpenMP) to one thread."""
    return _loaded(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _loaded(_modules: int):  # type: ignore[no-untyped-def] # noqa: ANN202 - the library has no types
    """Find the libraries, again where modules were imported since: it takes 2 ms, a tenth of a job.

    What a job loads itself finds the variables set.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
