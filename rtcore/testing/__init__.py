# SPDX-License-Identifier: MIT
"""What every plugin promises, as checks that anyone can run over any plugin.

>>> from rtcore.testing import check_plugin
>>> for finding in check_plugin(MyPlugin):
...     print(finding)
"""

from __future__ import annotations

from rtcore.testing.case import Case, Finding
from rtcore.testing.contract import CHECKS, allowed_cases, check_plugin

__all__ = ["CHECKS", "Case", "Finding", "allowed_cases", "check_plugin"]
