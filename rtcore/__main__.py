# SPDX-License-Identifier: MIT
"""``python -m rtcore`` is ``rtcore``."""

from __future__ import annotations

from rtcore.cli import main

main()
