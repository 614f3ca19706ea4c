# SPDX-License-Identifier: MIT
"""Which source code decides what a chain gives, whatever else this process has imported."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import rtcore
from rtcore.batch import fingerprint
from rtcore.kernels.sources import source_files
from rtcore.plugin import Plugin

_RTCORE = Path(rtcore.__file__).resolve().parent
_INSTALLED = {"site-packages", "dist-packages"}


def code_files(plugin: type[Plugin]) -> list[Path]:
    """List a plugin's file and those of the user's that it imports; rtcore's own not.

    What else is installed counts only where it belongs to the plugin's own package: those
    packages have versions, and which of them were loaded depends on what the process did before.

    Parameters
    ----------
    plugin : type
        Its class.

    Returns
    -------
    list of Path
        In one order wherever they lie.
    """
    process: Any = plugin.process
    home = Path(process.fn.__code__.co_filename).resolve()
    own = {path for path in source_files(process.fn) if _counts(path, home)}
    return sorted(own | {home}, key=lambda path: path.name)


@cache
def own_print() -> str:
    """Give a fingerprint of rtcore's own files, as they were when a process first asked."""
    return fingerprint(*sorted(_RTCORE.rglob("*.py")), digest=hashlib.sha256)


@cache
def _counts(path: Path, home: Path) -> bool:
    if path.is_relative_to(_RTCORE):
        return False  # they count anyway, see own_print()
    return not _INSTALLED & set(path.parts) or path.is_relative_to(home.parent)
