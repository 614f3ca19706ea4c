# SPDX-License-Identifier: MIT
"""Compiled helpers for kernels: what is worth writing once, and fast."""

from __future__ import annotations

from rtcore.dsp.backcast import backcast, burg_predictor
from rtcore.dsp.concealment import (
    ConcealmentTuning,
    conceal,
    concealment_memory,
    longest_fade_frames,
    rejoin,
    remember,
)
from rtcore.dsp.curves import tanh_block
from rtcore.dsp.fft import fft_tables, irfft, rfft
from rtcore.dsp.fir import fir_block, fir_buffers, fir_facts, main_peak
from rtcore.dsp.foresight import foresee, foresight_memory
from rtcore.dsp.resample import ResamplerDesign, resample_hop
from rtcore.dsp.stft import (
    WINDOWS,
    cola_gain,
    overlap_add,
    push_hop,
    stft_window,
    window_frame,
)

__all__ = [
    "WINDOWS",
    "ConcealmentTuning",
    "ResamplerDesign",
    "backcast",
    "burg_predictor",
    "cola_gain",
    "conceal",
    "concealment_memory",
    "fft_tables",
    "fir_block",
    "fir_buffers",
    "fir_facts",
    "foresee",
    "foresight_memory",
    "irfft",
    "longest_fade_frames",
    "main_peak",
    "overlap_add",
    "push_hop",
    "rejoin",
    "remember",
    "resample_hop",
    "rfft",
    "stft_window",
    "tanh_block",
    "window_frame",
]
