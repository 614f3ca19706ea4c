# SPDX-License-Identifier: MIT
"""A cache of compiled code that never runs old code.

Numba's own cache looks at the file of the cached function only: a changed helper or imported
constant would silently run old code over a new state layout.  Its index can also be torn by two
processes that compile variants of one function at once.  Here an entry's *name* is a digest of
everything the machine code depends on, so a stale entry is simply not found, and entries are
written by rename, so a half-written one cannot be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite.binding import address_of_symbol
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys

from rtcore.kernels.context import ABI_VERSION
from rtcore.kernels.sources import digest_of_constants, digest_of_files

_CHECKSUM_BYTES = hashlib.sha256().digest_size
_notes: list[str] = []


def notes() -> list[str]:
    """Sentences for the user about the cache folder, at most one per trouble."""
    return list(_notes)


@cache
def folder() -> Path | None:
    """Find the cache folder, or ``None`` where none can be written.

    ``RTCORE_CACHE_DIR`` comes first, then the user's cache folder.
    """
    chosen = os.environ.get("RTCORE_CACHE_DIR")
    if chosen:
        path = Path(chosen)
    else:
        import platformdirs

        path = Path(platformdirs.user_cache_dir("rtcore")) / "kernels"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        _note_unwritable(path, error)
        return path if path.is_dir() else None
    return path


def _note_unwritable(path: Path, error: OSError) -> None:
    _note(
        f"kernel cache: cannot write to {path} ({error.strerror or error}); kernels are compiled "
        "anew at each start - set RTCORE_CACHE_DIR to a folder that can be written"
    )


def _note(sentence: str) -> None:
    if sentence not in _notes:
        _notes.append(sentence)
        print(sentence, file=sys.stderr)  # noqa: T201 - the one sentence the user gets


@cache
def _environment() -> bytes:
    import importlib.metadata

    try:
        version = importlib.metadata.version("rtcore")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    parts = (
        version,
        ABI_VERSION,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.implementation.cache_tag,
    )
    return repr(parts).encode()


class KernelCache(_Cache):
    """The compiled variants of one function.

    Parameters
    ----------
    fn : function
        The Python function whose machine code is kept.
    sources : function, optional
        The author's function whose file and helpers the code depends on; `fn` by default.
    files : bytes, optional
        Digest of the files, where it was taken earlier; taken now by default.
    extra : bytes
        More that the code depends on (the state layout).
    check : callable, optional
        Called with Numba's compile result before it is kept; may raise.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        sources: Callable[..., Any] | None = None,
        files: bytes | None = None,
        extra: bytes = b"",
        check: Callable[[CompileResult], None] | None = None,
    ) -> None:
        self._fn = fn
        self._sources = sources or fn
        self._files = digest_of_files(self._sources) if files is None else files
        self._extra = extra
        self._check = check
        self.hits = 0
        self.misses = 0

    @property
    def cache_path(self) -> str:
        """The folder of the entries."""
        return str(folder() or "")

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    def disable(self) -> None:
        """Do nothing: the cache is always on."""

    def flush(self) -> None:
        """Do nothing: stale entries are never found again."""

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        root = folder()
        if root is None:
            return None
        digest = hashlib.sha256()
        for part in (
            _environment(),
            repr(codegen.magic_tuple()).encode(),
            str(sig).encode(),
            self._fn.__qualname__.encode(),
            self._fn.__code__.co_code,
            self._files,
            digest_of_constants(self._sources),
            self._extra,
        ):
            digest.update(len(part).to_bytes(8, "little") + part)
        module = self._sources.__module__.rpartition(".")[2]
        return root / f"{module}.{self._fn.__name__}-{digest.hexdigest()[:40]}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Give the kept code for a signature, or ``None``."""
        path = self._path(sig, target_context.codegen())
        try:
            payload = path.read_bytes() if path else b""
            body = payload[_CHECKSUM_BYTES:]
            if body and hashlib.sha256(body).digest() == payload[:_CHECKSUM_BYTES]:
                symbols, parts = pickle.loads(body)  # noqa: S301 - our own checksummed file
                _make_known(symbols, target_context)
                result = CompileResult._rebuild(target_context, *parts)  # noqa: SLF001 - as Numba's cache does
                self.hits += 1
                with contextlib.suppress(OSError):
                    os.utime(path)  # type: ignore[arg-type]  # so that pruning sees what is in use
                return result
        except Exception:  # noqa: BLE001, S110 - whatever is wrong with it, compile anew
            pass
        self.misses += 1
        return None

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Check fresh code and keep it, by rename."""
        if self._check is not None:
            self._check(data)
        path = self._path(sig, data.codegen)
        if path is None or data.lifted or data.objectmode:
            return
        kept = (_symbols(data.library), data._reduce())  # noqa: SLF001 - as Numba's cache does
        body = pickle.dumps(kept, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            _write(path, hashlib.sha256(body).digest() + body)
        except OSError as error:
            _note_unwritable(path.parent, error)
        else:
            _prune_once()


def _symbols(library: Any) -> tuple[str, ...]:
    """Name the functions and variables that compiled code takes from outside."""
    module = library._final_module  # noqa: SLF001 - nothing else tells
    outside = [v.name for v in (*module.functions, *module.global_variables) if v.is_declaration]
    return tuple(name for name in outside if not name.startswith("llvm."))


def _make_known(symbols: Iterable[str], target_context: Any) -> None:
    """Let LLVM find what kept code refers to; it would end the process for a missing symbol.

    ``refresh`` does so by loading all that Numba can compile, with half of scipy, which takes a
    third of a second.  Its small runtime is enough for nearly all kept code.
    """
    rtsys.initialize(target_context)
    if not all(address_of_symbol(name) for name in symbols):
        target_context.refresh()


@cache
def _prune_once() -> None:
    """Tidy up in a process that has just added to the cache: such starts are slow anyway."""
    prune()


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)  # noqa: PTH105 - one rename, no Path object needed
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - as above
        raise


def prune(days: float = 90.0) -> int:
    """Remove entries that nothing has used for a while; give their number."""
    import time

    root = folder()
    removed = 0
    for entry in root.glob("*.nbc") if root else ():
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < time.time() - days * 86400:
                entry.unlink()
                removed += 1
    return removed
