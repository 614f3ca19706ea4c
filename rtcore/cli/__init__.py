# SPDX-License-Identifier: MIT
"""The command line: ``rtcore COMMAND``.

Only what a command needs is imported, and only when it runs; see :mod:`rtcore.cli.root` for the
table of commands and for what becomes of errors.
"""

from __future__ import annotations

from rtcore.cli.root import cli as main

__all__ = ["main"]
