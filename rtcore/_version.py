# SPDX-License-Identifier: MIT
"""The version, read from the installed package so that it is written down once."""

from __future__ import annotations

import importlib.metadata

try:
    __version__ = importlib.metadata.version("rtcore")
except importlib.metadata.PackageNotFoundError:  # imported from a folder, never installed
    __version__ = "0+uninstalled"
