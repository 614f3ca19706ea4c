# SPDX-License-Identifier: MIT
"""Chains: processors in a row, side by side, or one for each ear."""

from __future__ import annotations

from rtcore.chain.chain import Chain
from rtcore.chain.graph import Element, Parallel, PerEar

__all__ = ["Chain", "Element", "Parallel", "PerEar"]
