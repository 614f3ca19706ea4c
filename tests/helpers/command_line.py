# SPDX-License-Identifier: MIT
"""The command line in this process, in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner


@contextmanager
def empty_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugins: Path | None = None
) -> Iterator[Path]:
    """Stand in an empty folder, with no plugins of a user's but those in a folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("RTCORE_DEBUG", raising=False)
    monkeypatch.delenv("RTCORE_PLUGIN_PATH", raising=False)
    if plugins is not None:
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(plugins))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    before = set(sys.modules)
    yield work
    for name in set(sys.modules) - before:
        if name.startswith("rtcore.plugins."):
            del sys.modules[name]


def invoke(*args: object) -> Any:
    """Run the command line in this process."""
    from rtcore.cli import main

    return CliRunner().invoke(main, [str(arg) for arg in args])
