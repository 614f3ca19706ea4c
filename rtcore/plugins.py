# SPDX-License-Identifier: MIT
"""The plugin search path as a package.

``import rtcore.plugins.nalr`` is Python's own import system at work: this module's ``__path__``
lists the folders of ``RTCORE_PLUGIN_PATH``, the user's folder and the first-party folder, in
this order. ``from rtcore.plugins import NALR`` finds a class by its name in any of their files.
A file that cannot be imported hinders nobody who asks for another one.
"""

from __future__ import annotations

import importlib as _importlib
import pkgutil as _pkgutil
import re as _re
from pathlib import Path as _Path
from types import ModuleType as _ModuleType
from typing import Any as _Any

from rtcore._searchpath import search_path as _search_path
from rtcore.errors import PluginError as _PluginError
from rtcore.errors import did_you_mean as _did_you_mean

__path__ = [str(folder) for folder in _search_path("plugins")]
if __spec__ is not None:
    __spec__.submodule_search_locations = __path__


def _files() -> dict[str, _Path]:
    """Map the module names on the search path to the folders they are found in."""
    names: dict[str, _Path] = {}
    for info in _pkgutil.iter_modules(__path__):
        folder = _Path(getattr(info.module_finder, "path", ""))
        names.setdefault(info.name, folder)
    return names


def _class_in(module: _ModuleType, name: str) -> type | None:
    """Give the module's own class of that name, not one that it imported."""
    found = vars(module).get(name)
    own = isinstance(found, type) and found.__module__ == module.__name__
    return found if own else None


def _refuse(name: str, file: str, folder: _Path, error: Exception) -> None:
    """Raise if the class asked for is written in the file that could not be imported."""
    path = folder / f"{file}.py" if (folder / f"{file}.py").is_file() else folder / file
    source = path if path.is_file() else path / "__init__.py"
    text = source.read_text("utf-8", "replace") if source.is_file() else ""
    if _re.search(rf"^class {_re.escape(name)}\b", text, _re.MULTILINE):
        raise _PluginError(
            f"{path}: the plugin {name} cannot be loaded, because importing this file failed with "
            f"{type(error).__name__}: {error}; mend the file"
        ) from error


def _find_class(name: str) -> type:
    """Import files, the likeliest first, until one holds the class."""
    files = _files()
    known: list[str] = []
    for file in sorted(files, key=lambda file: (file.replace("_", "") != name.lower(), file)):
        try:
            module = _importlib.import_module(f"{__name__}.{file}")
        except Exception as error:  # noqa: BLE001 - another author's file may fail in any way
            _refuse(name, file, files[file], error)
            continue
        if (found := _class_in(module, name)) is not None:
            return found
        known += [key for key in vars(module) if _class_in(module, key) is not None]
    raise AttributeError(
        f"no plugin class {name!r} in {', '.join(__path__)}{_nearest(name, known)}"
    )


def _nearest(name: str, known: list[str]) -> str:
    """Hint at the known class with the nearest name, whatever the case of its letters."""
    by_lower = {key.lower(): key for key in known}
    hint = _did_you_mean(name, by_lower)
    return _re.sub(r"'(.+)'", lambda match: f"'{by_lower[match[1]]}'", hint)


def __getattr__(name: str) -> _Any:
    """Import a plugin's module by its name, or find a plugin's class by its name."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _files():
        return _importlib.import_module(f"{__name__}.{name}")
    return _find_class(name)


def __dir__() -> list[str]:
    """Name the modules on the search path, imported or not."""
    return sorted({*globals(), *_files()})
