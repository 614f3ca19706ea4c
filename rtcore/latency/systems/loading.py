# SPDX-License-Identifier: MIT
"""Find what the user named as ``module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rtcore.errors import did_you_mean
from rtcore.latency.systems.base import SystemFaultError


@dataclass(frozen=True)
class Target:
    """What was found, and the file that it came from (empty where there is none)."""

    value: Any
    file: str


def load(name: str) -> Target:
    """Import a module or a file, and take an attribute of it.

    Parameters
    ----------
    name : str
        ``module:attribute`` or ``path/to/file.py:attribute``; the attribute may have dots.

    Returns
    -------
    Target
        The attribute, and its module's file.

    Raises
    ------
    SystemFaultError
        Where the name has no colon, or the file, the module or the attribute is not there.
    Exception
        What the user's module raises while it is imported.
    """
    place, colon, attributes = name.rpartition(":")
    if not (place and colon and attributes):
        raise SystemFaultError(
            f"{name}: names no function; write it as module:function or path/to/file.py:function"
        )
    _remember(Path.cwd())
    is_file = place.endswith(".py") or os.sep in place
    module = _from_file(name, Path(place)) if is_file else _from_module(name, place)
    value: Any = module
    for attribute in attributes.split("."):
        if not hasattr(value, attribute):
            raise SystemFaultError(
                f"{name}: {getattr(value, '__name__', place)} has no function or class "
                f"{attribute!r}{did_you_mean(attribute, _public(value))}; check its name"
            )
        value = getattr(value, attribute)
    return Target(value, getattr(module, "__file__", None) or "")


def _from_file(name: str, file: Path) -> ModuleType:
    """Import a file, with its folder in reach of its own imports as for ``python file.py``."""
    if not file.is_file():
        near = did_you_mean(file.name, _names(file.parent))
        raise SystemFaultError(f"{name}: there is no file {file}{near}; check its name and folder")
    _remember(file.resolve().parent)
    own_name = f"_system_{file.stem}"
    spec = importlib.util.spec_from_file_location(own_name, file.resolve())
    if spec is None or spec.loader is None:
        raise SystemFaultError(f"{name}: {file} is no Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[own_name] = module  # classes look up their own module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own_name]
        raise
    return module


def _from_module(name: str, module: str) -> ModuleType:
    """Import a module by its name."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module != missing and not module.startswith(f"{missing}."):
            raise  # it is there and lacks something itself
        near = did_you_mean(module, [Path(n).stem for n in _names(Path.cwd())])
        raise SystemFaultError(
            f"{name}: there is no module {missing!r}{near}; start rtcore in its folder, or give "
            "the path of its file"
        ) from error


def _remember(folder: Path) -> None:
    """Put a folder on Python's search path, as running a script of it would."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def _names(folder: Path) -> list[str]:
    """List the Python files of a folder."""
    return sorted(file.name for file in folder.glob("*.py")) if folder.is_dir() else []


def _public(value: Any) -> Iterable[str]:
    """List what could have been meant: what can be called or processes blocks."""
    for name in dir(value):
        member = getattr(value, name, None)
        if not name.startswith("_") and (callable(member) or hasattr(member, "process")):
            yield name
