# SPDX-License-Identifier: MIT
"""A differentiable relative of STOI (Taal et al. 2011): correlation of band envelopes.

At 16 kHz and with silent frames left in, unlike the measure; it guides training only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

WINDOW, HOP, SIZE = 410, 205, 512  # 25.6 ms and its half
SEGMENT = 30  # frames, 384 ms
BANDS, LOWEST_HZ = 15, 150.0
CLIP = 1.0 + 10.0 ** (15.0 / 20.0)


class StoiLike(nn.Module):
    """Score sounds at 16 kHz, about 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        hz = np.arange(SIZE // 2 + 1) * 16000 / SIZE
        middle = LOWEST_HZ * 2.0 ** (np.arange(BANDS) / 3.0)
        low, high = middle * 2.0 ** (-1 / 6), middle * 2.0 ** (1 / 6)
        bank = (hz[:, None] >= low) & (hz[:, None] < high)
        self.register_buffer("bank", torch.tensor(bank, dtype=torch.float32))
        self.register_buffer("window", torch.hann_window(WINDOW))

    def envelopes(self, x: Tensor) -> Tensor:
        """Give amplitudes in bands, (batch, segments, bands, frames)."""
        spectrum = torch.fft.rfft(x.unfold(1, WINDOW, HOP) * self.window, n=SIZE)
        bands = ((spectrum.real**2 + spectrum.imag**2) @ self.bank + 1e-8).sqrt()
        return bands.unfold(1, SEGMENT, SEGMENT // 3)

    def forward(self, heard: Tensor, clean: Tensor) -> Tensor:
        """Give scores, one a sound; (batch, samples) each."""
        y, x = self.envelopes(heard), self.envelopes(clean)
        gain = x.norm(dim=-1, keepdim=True) / (y.norm(dim=-1, keepdim=True) + 1e-6)
        y = torch.minimum(y * gain, x * CLIP)
        y, x = (v - v.mean(dim=-1, keepdim=True) for v in (y, x))
        match = (y * x).sum(dim=-1) / (y.norm(dim=-1) * x.norm(dim=-1) + 1e-6)
        # A loud segment says more than one of silence, where the measure has no frames at all.
        weight = (clean.new_tensor(1.0) * x.norm(dim=-1)).detach() ** 0.3
        return (match * weight).sum(dim=(1, 2)) / (weight.sum(dim=(1, 2)) + 1e-6)
