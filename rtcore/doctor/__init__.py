# SPDX-License-Identifier: MIT
"""Look at what decides real-time behaviour on this machine, judge it, and name a remedy for each.

Topics have a module each; ``checks`` puts them together. Nothing is changed: remedies are printed.
"""

from __future__ import annotations

from rtcore.doctor.checks import Check, all_checks, examine
from rtcore.doctor.machine import Machine
from rtcore.doctor.record import Fix, Judgement, Status

__all__ = ["Check", "Fix", "Judgement", "Machine", "Status", "all_checks", "examine"]
