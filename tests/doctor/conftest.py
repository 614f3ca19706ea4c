# SPDX-License-Identifier: MIT
"""A machine made of planted files."""

from __future__ import annotations

import pytest

from rtcore.doctor import Machine


@pytest.fixture
def plant(tmp_path):
    """Write files below a folder that stands for ``/``; give the machine."""

    def make(files=None, *, platform="linux", run=lambda _words: None):
        for name, content in (files or {}).items():
            path = tmp_path / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Machine(tmp_path, platform=platform, run=run)

    return make
