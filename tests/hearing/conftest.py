# SPDX-License-Identifier: MIT
from __future__ import annotations

from hypothesis import settings

# No test asserts a time: a busy machine is no mistake of the code.
settings.register_profile("no_deadline", parent=settings.default, deadline=None)
settings.load_profile("no_deadline")
