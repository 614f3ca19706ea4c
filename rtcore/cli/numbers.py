# SPDX-License-Identifier: MIT
"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number in a range; unlike click's own it refuses ``nan``, which no range holds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number, or refuse it."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail("nan is no number; give one, such as 2.5", param, ctx)
        return found
