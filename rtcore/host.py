# SPDX-License-Identifier: MIT
"""The plugin host: find plugins by name, wherever they are installed.

Plugins are Python files in the folders of ``RTCORE_PLUGIN_PATH``, in the user's folder and in the
first-party folder (searched in this order, the first find wins), and classes that installed
packages offer with the entry-point group ``rtcore.plugins``.  A file that cannot be imported
hinders nobody who asks for another plugin.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import rtcore.plugins
from rtcore._searchpath import first_party_folder, search_path, user_folder
from rtcore.errors import PluginError, did_you_mean
from rtcore.plugin import Plugin

__all__ = ["PluginInfo", "all_plugins", "find"]

ENTRY_POINT_GROUP = "rtcore.plugins"
_PACKAGE = "rtcore.plugins"


@dataclass(frozen=True)
class PluginInfo:
    """What the host knows about one plugin, or about a file that holds none.

    Attributes
    ----------
    id : str
        The name in chain files; the file's stem where it could not be loaded.
    cls : type or None
        The plugin's class; None where it could not be loaded.
    file : Path or None
        Its source.
    origin : str
        ``"first-party"``, ``"user"``, ``"path"`` (``RTCORE_PLUGIN_PATH``) or the entry point's
        name and package.
    doc : str
        First line of the class's docstring: what it does to the sound.
    error : str
        A sentence where it cannot be used, else empty.
    """

    id: str
    cls: type[Plugin] | None
    file: Path | None
    origin: str
    doc: str = ""
    error: str = ""


@dataclass(frozen=True)
class _Source:
    """A file (or package folder) on the search path."""

    module: str
    file: Path
    folder: Path
    hidden_by: Path | None = None

    @property
    def origin(self) -> str:
        if self.folder == first_party_folder("plugins"):
            return "first-party"
        return "user" if self.folder == user_folder("plugins") else "path"


def find(name: str) -> type[Plugin]:
    """Find a plugin, importing no more files than needed.

    Parameters
    ----------
    name : str
        A plugin's id (``"nalr"``) or the name of its class (``"NALR"``).

    Returns
    -------
    type
        The class.

    Raises
    ------
    PluginError
        Where there is none of that name, with the nearest name and the places looked in, or its
        file cannot be imported, with the file and the line.
    """
    sources = [source for source in _sources() if source.hidden_by is None]
    likely = [source for source in sources if _mentions(source.file, name)]
    for source in likely:
        for cls in _classes(_load(source)):
            if name in (cls.id, cls.__name__):
                return cls
    for point in _entry_points():
        if point.name == name:
            return _load_point(point)
    return _find_anywhere(name)


def all_plugins() -> list[PluginInfo]:
    """List every plugin, loading all files; what fails to load is listed with its reason.

    Returns
    -------
    list of PluginInfo
        In the order of the search path, entry points last.  Of two plugins with one id the
        earlier can be found; the later one's ``error`` says so.
    """
    found: list[PluginInfo] = []
    first: dict[str, PluginInfo] = {}
    for info in [*_from_files(), *_from_entry_points()]:
        if info.error or info.id not in first:
            found.append(info)
        else:
            what = f"the id '{info.id}' is taken by {first[info.id].file}, searched earlier"
            found.append(replace(info, error=f"{info.file}: {what}; rename one"))
        if not info.error:
            first.setdefault(info.id, info)
    return found


def _from_files() -> Iterator[PluginInfo]:
    for source in _sources():
        if source.hidden_by is not None:
            what = f"is hidden by {source.hidden_by}, of the same name, searched earlier"
            yield _unusable(source, f"{source.file}: {what}; rename one")
            continue
        try:
            classes = _classes(_load(source))
        except PluginError as error:
            yield _unusable(source, str(error))
            continue
        for cls in classes:
            yield PluginInfo(cls.id, cls, source.file, source.origin, _first_line(cls))


def _unusable(source: _Source, error: str) -> PluginInfo:
    return PluginInfo(source.module, None, source.file, source.origin, error=error)


def _from_entry_points() -> Iterator[PluginInfo]:
    for point in _entry_points():
        package = point.dist.name if point.dist is not None else point.module
        origin = f"entry point {point.name} of {package}"
        try:
            cls = _load_point(point)
        except PluginError as error:
            yield PluginInfo(point.name, None, None, origin, error=str(error))
            continue
        yield PluginInfo(cls.id, cls, _file_of(cls), origin, _first_line(cls))


def _find_anywhere(name: str) -> type[Plugin]:
    """Look where the name is not written out: computed ids, entry points of other names."""
    infos = all_plugins()
    for info in infos:
        if info.cls is not None and not info.error and name in (info.id, info.cls.__name__):
            return info.cls
    broken = [info for info in infos if info.error and info.cls is None]
    for info in broken:
        if info.id == name:
            raise PluginError(info.error)
    folders = ", ".join(str(folder) for folder in search_path("plugins"))
    hint = did_you_mean(name, {info.id for info in infos})
    note = f"; {len(broken)} could not be loaded (see: rtcore plugins list)" if broken else ""
    where = f"looked in {folders} and in installed packages{note}"
    raise PluginError(f"there is no plugin '{name}'{hint}; {where}")


def _sources() -> list[_Source]:
    """List the files on the search path as it is now; later ones of the same name are hidden."""
    # A file, or a whole folder, may be younger than what Python remembers of the search path.
    importlib.invalidate_caches()
    folders = search_path("plugins")
    rtcore.plugins.__path__[:] = [str(folder) for folder in folders]
    seen: dict[str, Path] = {}
    sources = []
    for folder in dict.fromkeys(folders):
        for info in pkgutil.iter_modules([str(folder)]):
            if info.name.startswith("_"):
                continue
            file = folder / info.name / "__init__.py" if info.ispkg else folder / f"{info.name}.py"
            sources.append(_Source(info.name, file, folder, seen.get(info.name)))
            seen.setdefault(info.name, file)
    return sources


def _mentions(file: Path, name: str) -> bool:
    """Tell whether a file seems to define a plugin of that id or class name."""
    if name in (file.stem, file.parent.name if file.name == "__init__.py" else ""):
        return True
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return False
    word = re.escape(name)
    pattern = rf"""^\s+id\s*(:[^=\n]*)?=\s*["']{word}["']|^class\s+{word}\b"""
    return re.search(pattern, text, re.MULTILINE) is not None


def _load(source: _Source) -> ModuleType:
    """Import a file as a part of :mod:`rtcore.plugins`, or say where it fails."""
    name = f"{_PACKAGE}.{source.module}"
    loaded = sys.modules.get(name)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(source.file):
            return loaded
        del sys.modules[name]  # the search path has changed since
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        where = _place(error, source.file)
        raise PluginError(f"{where}: {_reason(error)}; mend the file") from error


def _place(error: BaseException, file: Path) -> str:
    """Name the file, and the line of it in which the import failed."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{file}, line {error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f"{file}, line {lines[-1]}" if lines else str(file)


def _reason(error: BaseException) -> str:
    if isinstance(error, PluginError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"importing it failed with {type(error).__name__}: {text or 'no reason given'}"


def _classes(module: ModuleType) -> list[type[Plugin]]:
    """Give the plugins that a module defines, not those that it imports from elsewhere."""
    own = (module.__name__, module.__name__ + ".")
    return [
        value
        for value in vars(module).values()
        if is_plugin(value) and (value.__module__ == own[0] or value.__module__.startswith(own[1]))
    ]


def is_plugin(value: object) -> bool:
    """Tell whether an object is a complete plugin class: one with an id and a kernel."""
    from rtcore.kernels import Kernel

    if not (isinstance(value, type) and issubclass(value, Plugin)):
        return False
    has_id = isinstance(getattr(value, "id", None), str)
    return has_id and isinstance(getattr(value, "process", None), Kernel)


def _entry_points() -> Sequence[importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return sorted(points, key=lambda point: point.name)


def _load_point(point: importlib.metadata.EntryPoint) -> type[Plugin]:
    where = f"entry point {point.name} = {point.value}"
    try:
        cls = point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{where}: {_reason(error)}; mend or remove that package") from error
    if not is_plugin(cls):
        what = "it names no plugin class; let it name a subclass of rtcore.Plugin with a kernel"
        raise PluginError(f"{where}: {what}")
    found: type[Plugin] = cls
    return found


def _file_of(cls: type[Plugin]) -> Path | None:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file) if file else None


def _first_line(cls: type[Plugin]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]
