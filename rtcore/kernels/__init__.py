# SPDX-License-Identifier: MIT
"""Kernels: plain Python functions over arrays, compiled to one C signature."""

from __future__ import annotations

from rtcore.kernels.context import ABI_VERSION, CONTEXT, Flag
from rtcore.kernels.decorator import Kernel, helper, kernel

__all__ = ["ABI_VERSION", "CONTEXT", "Flag", "Kernel", "helper", "kernel"]
