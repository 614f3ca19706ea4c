# SPDX-License-Identifier: MIT
"""Compiled helpers for kernels: what is worth writing once, and fast."""

from __future__ import annotations

from rtcore.dsp.fir import fir_block, fir_buffers, fir_facts, main_peak

__all__ = ["fir_block", "fir_buffers", "fir_facts", "main_peak"]
