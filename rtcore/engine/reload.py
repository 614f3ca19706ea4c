# SPDX-License-Identifier: MIT
"""Edit a plugin's file while it plays: it is compiled beside the sound and cross-faded in.

The compiler runs in a child process of low priority, because compilation together with a busy
interpreter makes blocks late on two cores; here the finished code is only loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import rtcore
from rtcore.chain.graph import PlacedNode
from rtcore.chain.node import Node
from rtcore.engine.engine import Engine
from rtcore.engine.precompile import load_file
from rtcore.errors import RtcoreError
from rtcore.kernels.sources import source_files

_POLL_S = 0.2
_ENGINE = Path(rtcore.__file__).resolve().parent
_CHILD_S = 120.0


class PluginWatch:
    """Watches the files of the plugins in an engine's chain.

    Parameters
    ----------
    engine : Engine
        Running.
    on_message : function
        Gets a sentence for each reload, and for each file that cannot be used.
    """

    def __init__(self, engine: Engine, on_message: Callable[[str], None]) -> None:
        self._engine = engine
        self._message = on_message
        self._stop = threading.Event()
        self._stamps = self._look()
        self._thread = threading.Thread(target=self._run, name="rtcore-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look(self) -> dict[Path, tuple[int, int]]:
        stamps = {}
        for placed in self._engine.chain.nodes:
            for path in _authors_files(placed.node):
                with contextlib.suppress(
                    FileNotFoundError
                ):  # an editor is about to rename a new one here
                    stat = path.stat()
                    stamps[path] = (stat.st_mtime_ns, stat.st_size)
        return stamps

    def _run(self) -> None:
        waiting = False
        while not self._stop.wait(_POLL_S):
            now = self._look()
            # What is seen for the first time has only been imported by now.
            changed = {
                path for path, stamp in now.items() if stamp != self._stamps.get(path, stamp)
            }
            if changed and not waiting:
                waiting = True  # an editor may still be writing: look once more
                continue
            waiting = False
            self._stamps |= now
            if changed:
                self._reload(changed)

    def _reload(self, changed: set[Path]) -> None:
        for number, placed in enumerate(list(self._engine.chain.nodes)):
            if changed & _authors_files(placed.node):
                try:
                    _forget_bytecode(changed)
                    self._replace(number, placed, changed)
                    self._message(f"{placed.path}: new code plays")
                except Exception as error:  # noqa: BLE001 - said, and the watch goes on
                    reason = error if isinstance(error, RtcoreError) else repr(error)
                    self._message(f"{placed.path}: the old code plays on: {reason}")

    def _replace(self, number: int, placed: PlacedNode, changed: set[Path]) -> None:
        old = placed.node
        cls = type(old.plugin)
        file = inspect.getsourcefile(cls) or ""
        compile_in_child(self._job(old, file))
        for module in list(sys.modules.values()):  # helpers first, then the plugin's own file
            path = getattr(module, "__file__", None)
            if path and Path(path).resolve() in changed and Path(path) != Path(file):
                importlib.reload(module)
        fresh = getattr(load_file(cls.__module__, file), cls.__name__)
        known = {**fresh.params, **fresh.settings}
        plugin = fresh(**{k: v for k, v in old.plugin.values.items() if k in known})
        node = Node(plugin, old.spec, self._engine.chain.table.graph.block_frames)
        say = {"event": "reload", "plugin": placed.path, "file": file}
        self._engine.chain.replace_node(number, node, old, say=say)

    def _job(self, old: Node, file: str) -> dict[str, Any]:
        cls = type(old.plugin)
        return {
            "module": cls.__module__,
            "file": file,
            "cls": cls.__name__,
            "values": {
                k: v
                for k, v in old.plugin.values.items()
                if isinstance(v, (int, float, str, bool, list, dict))
            },
            "sample_rate": old.spec.sample_rate,
            "channels": old.spec.channels,
            "dtype": str(old.spec.dtype),
            "listeners": str(old.spec.listeners) if old.spec.listeners else None,
        }


def _authors_files(node: Node) -> set[Path]:
    """Give the files that a plugin's code comes from: not the engine's, nor others' packages."""
    process = type(node.plugin).process.fn
    own = _package(Path(process.__code__.co_filename).resolve())
    return {
        path
        for path in source_files(process)
        if "_plugins" in path.parts
        or (not path.is_relative_to(_ENGINE) and _package(path) in ("", own))
    }


def _package(path: Path) -> str:
    """Name the installed package that a file belongs to; empty for one that is not installed."""
    for folder, inside in pairwise(path.parts):
        if folder in ("site-packages", "dist-packages"):
            return inside
    return ""


def _forget_bytecode(files: set[Path]) -> None:
    """Let files be read anew, here and in the child.

    Python's cache of byte code knows a file by its size and by the second of its last change, so
    that the second of two quick edits of one length would not be seen.
    """
    for file in files:
        with contextlib.suppress(OSError):  # a folder that takes no files holds no byte code
            Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def compile_in_child(job: dict[str, Any]) -> None:
    """Compile and try a plugin in a process of low priority.

    Raises
    ------
    RtcoreError
        With what the child said, or that it crashed.
    """
    command = [sys.executable, "-m", "rtcore.engine.precompile"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        child = subprocess.run(  # noqa: S603 - our own module
            command,
            env=paths,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=_CHILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = (
            f"{job['file']}: did not compile and run within {_CHILD_S:g} s; look for an "
            "endless loop"
        )
        raise RtcoreError(msg) from None
    if child.returncode < 0:
        msg = (
            f"{job['file']}: crashed when it was tried (signal {-child.returncode}); look "
            "for indices out of range"
        )
        raise RtcoreError(msg)
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RtcoreError(child.stdout.strip() or f"{job['file']}: {last}")
