# SPDX-License-Identifier: MIT
"""What a compiled function depends on: its file, the modules it imports, its constants."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

#: Packages whose versions stand in the cache's key already, or whose code never reaches a kernel.
_KNOWN = frozenset({"numba", "llvmlite", "numpy", "scipy", "pydantic", "typing_extensions"})
_STDLIB = Path(sysconfig.get_path("stdlib")).resolve()
_KERNELS = Path(__file__).parent
#: Conditions that are false wherever code runs.
_FOR_CHECKERS = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_PLAIN = (int, float, complex, str, bytes, bool, tuple, np.generic, np.dtype)


def digest_of_files(fn: Callable[..., Any]) -> bytes:
    """Hash the source of a function's module and of all that it imports from at once.

    Taken when the function is defined, so that a file edited later cannot lend its new digest
    to the old code in memory.  Modules that functions import when they are called do not count:
    which of them are loaded depends on what the process did before, and no kernel can import.

    Parameters
    ----------
    fn : function
        The function to be compiled.

    Returns
    -------
    bytes
        A digest that changes when any of the files does.
    """
    digest = hashlib.sha256()
    for path in sorted(_base_files() | source_files(fn, deferred=False)):
        digest.update(path.name.encode() + b"\0" + _content(path))
    return digest.digest()


def digest_of_constants(fn: Callable[..., Any]) -> bytes:
    """Hash the global constants that a function and its helpers read, as they are in memory."""
    lines = sorted(f"{name}={value}" for name, value in _constants(fn))
    return hashlib.sha256("\n".join(lines).encode()).digest()


@cache
def _base_files() -> frozenset[Path]:
    return frozenset(_KERNELS.glob("*.py"))


def _content(path: Path) -> bytes:
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@cache
def _read(path: Path, _mtime_ns: int, _size: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def source_files(fn: Callable[..., Any], *, deferred: bool = True) -> set[Path]:
    """Collect the files of a function's module and of the modules it imports, transitively.

    Parameters
    ----------
    fn : function
        Where to begin.
    deferred : bool
        Whether modules count that are imported inside functions, if they are loaded.
    """
    found: set[Path] = set()
    waiting, seen = [sys.modules.get(fn.__module__), _file_module(fn)], set[str]()
    while waiting:
        module = waiting.pop()
        path = _source_file(module)
        if module is None or path is None or path in found:
            continue
        found.add(path)
        stat = path.stat()
        names = _imports(
            path,
            module.__name__,
            bool(getattr(module, "__path__", None)),
            deferred,
            stat.st_mtime_ns,
            stat.st_size,
        )
        waiting += [sys.modules.get(name) for name in names if name not in seen]
        seen.update(names)
    return found


def _file_module(fn: Callable[..., Any]) -> ModuleType | None:
    """Stand in for a module that is not in ``sys.modules`` (a file loaded by path, a notebook)."""
    file = fn.__code__.co_filename
    if fn.__module__ in sys.modules or not Path(file).is_file():
        return None
    module = ModuleType(fn.__module__)
    module.__file__ = file
    return module


def _source_file(module: ModuleType | None) -> Path | None:
    """Give the file of a module whose source can matter to a kernel."""
    file = getattr(module, "__file__", None)
    if not file or not file.endswith(".py") or module is None:
        return None
    if module.__name__.partition(".")[0] in _KNOWN:
        return None
    path = _resolved(file)
    return path if path and path.is_file() else None


@cache
def _resolved(file: str) -> Path | None:
    """Follow links, which takes a while; ``None`` for the standard library."""
    path = Path(file).resolve()
    inside_stdlib = path.is_relative_to(_STDLIB) and "site-packages" not in path.parts
    return None if inside_stdlib else path


@cache
def _imports(
    path: Path, module: str, is_package: bool, deferred: bool, _mtime_ns: int, _size: int
) -> tuple[str, ...]:
    """Name the modules that a file imports, when it is imported itself or wherever it says so."""
    package = module if is_package else module.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:  # a file that is being edited; its content counts, its imports cannot
        return ()
    nodes = ast.walk(tree) if deferred else _at_import(tree)
    return tuple(dict.fromkeys(_named(nodes, package)))


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a module that are run when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        run: ast.AST = node
        if isinstance(node, ast.If) and ast.unparse(node.test) in _FOR_CHECKERS:
            run = ast.Module(body=node.orelse, type_ignores=[])
        yield run
        yield from _at_import(run)


def _named(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, package)
                except ImportError:
                    continue
            yield base
            for alias in node.names:  # `from package import module`
                yield f"{base}.{alias.name}"


def _constants(fn: Any, seen: set[int] | None = None) -> Iterator[tuple[str, str]]:
    """Give the code of a function and of its helpers, and the values of constants they read.

    A constant may be computed when its module is imported, and a helper may come from where no
    import statement leads to, so the files say too little.
    """
    seen = set() if seen is None else seen
    if id(fn) in seen:
        return
    seen.add(id(fn))
    yield f"{fn.__qualname__}:code", _code_digest(fn.__code__)
    for name, value in (*_globals(fn, _names(fn.__code__)), *_captured(fn)):
        inner = getattr(value, "py_func", value)
        if hasattr(inner, "__code__") and hasattr(inner, "__globals__"):
            yield from _constants(inner, seen)
        elif isinstance(value, _PLAIN):
            yield f"{fn.__qualname__}:{name}", repr(value)
        elif isinstance(value, np.ndarray):
            yield f"{fn.__qualname__}:{name}", hashlib.sha256(value.tobytes()).hexdigest()


def _code_digest(code: Any) -> str:
    """Hash instructions and constants; a nested function by its own code, not by its address."""
    digest = hashlib.sha256(code.co_code)
    for constant in code.co_consts:
        nested = hasattr(constant, "co_code")
        digest.update((_code_digest(constant) if nested else repr(constant)).encode() + b"\0")
    return digest.hexdigest()


def _captured(fn: Any) -> Iterator[tuple[str, Any]]:
    """Give what a function holds besides its globals: captured variables and defaults."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # not filled yet
            yield name, cell.cell_contents
    yield "defaults", repr((fn.__defaults__, fn.__kwdefaults__))


def _globals(fn: Any, names: set[str]) -> Iterator[tuple[str, Any]]:
    """Give what a function's names stand for, in its module and in modules it reaches into."""
    for name in names:
        value = fn.__globals__.get(name)
        if isinstance(value, ModuleType):
            if _source_file(value) is not None:
                yield from ((f"{name}.{n}", vars(value)[n]) for n in names if n in vars(value))
        else:
            yield name, value


def _names(code: Any) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _names(constant)
    return names
