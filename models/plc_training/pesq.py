# SPDX-License-Identifier: MIT
"""A differentiable relative of wide-band PESQ (ITU-T P.862, P.862.2), without its time alignment.

Streams are aligned here, so of the recommendation stay: bark-scaled loudness of frames of 32 ms,
the disturbance beyond a dead zone, symmetric and asymmetric (what was added counts more than what
is missing), a norm over half a second in which the worst frames count most, and the mapping to
mean opinion scores.  It guides training and is no substitute for the measure.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

FRAME, HOP = 512, 256
BANDS = 42
SECTION = 20  # frames over which the worst count most


class PesqLike(nn.Module):
    """Score sounds at 16 kHz.

    Parameters
    ----------
    bands : int
        Of the bark scale.
    """

    def __init__(self, bands: int = BANDS) -> None:
        super().__init__()
        hz = np.arange(FRAME // 2 + 1) * 16000 / FRAME
        bark = 6.0 * np.arcsinh(hz / 600.0)
        edges = np.linspace(bark[1] - 0.3, bark[-1] + 0.01, bands + 1)
        bank = ((bark[:, None] >= edges[:-1]) & (bark[:, None] < edges[1:])).astype(float)
        # Low bands narrower than a bin share the nearest one.
        for k in np.flatnonzero(bank.sum(axis=0) == 0):
            bank[np.argmin(np.abs(bark - 0.5 * (edges[k] + edges[k + 1]))), k] = 1.0
        bank[0] = 0.0
        z = np.exp(-2j * np.pi * hz / 16000)
        weight = np.abs(
            (2.740826 - 5.4816519 * z + 2.740826 * z**2) / (1.0 - 1.9444777 * z + 0.94597794 * z**2)
        )
        spread = bank.sum(axis=0)
        self.register_buffer(
            "bank", torch.tensor(bank / np.maximum(spread, 1), dtype=torch.float32)
        )
        self.register_buffer("weight", torch.tensor(weight**2, dtype=torch.float32))
        self.register_buffer("middle", torch.tensor((hz > 325) & (hz < 3250)))
        self.register_buffer("window", torch.hann_window(FRAME))
        width = np.diff(edges)
        self.register_buffer("width", torch.tensor(width / width.sum(), dtype=torch.float32))
        threshold = 10.0 ** (0.1 * (3.64 * (np.maximum(hz, 60) / 1000) ** -0.8 - 6.0))
        quiet = (bank * threshold[:, None]).sum(axis=0) / np.maximum(spread, 1)
        self.register_buffer("quiet", torch.tensor(np.maximum(quiet, 1.0), dtype=torch.float32))

    def bands_of(self, x: Tensor) -> Tensor:
        """Give powers in bands, (batch, frames, bands), at PESQ's level."""
        spectrum = torch.fft.rfft(x.unfold(1, FRAME, HOP) * self.window)
        power = spectrum.real**2 + spectrum.imag**2
        level = power[..., self.middle].sum(dim=-1).mean(dim=-1) + 1e-9
        return (power * self.weight * (2e7 / level)[:, None, None]) @ self.bank

    def loudness(self, power: Tensor) -> Tensor:
        """Give Zwicker's loudness of band powers, above the threshold in quiet."""
        return (self.quiet / 0.5) ** 0.23 * (
            (0.5 + 0.5 * power.clamp_min(1e-3) / self.quiet) ** 0.23 - 1.0
        )

    def forward(self, heard: Tensor, clean: Tensor) -> Tensor:
        """Give scores of 1 to 4.6, one a sound; (batch, samples) each."""
        y, x = self.bands_of(heard), self.bands_of(clean)
        audible = x.sum(dim=-1)
        ratio = ((audible + 5e3) / (y.sum(dim=-1) + 5e3)).clamp(3e-4, 5.0)
        y = y * (0.2 + 0.8 * ratio.detach()).clamp(max=2.0)[..., None]
        y_loud, x_loud = self.loudness(y), self.loudness(x)
        least = 0.25 * torch.minimum(y_loud, x_loud)
        excess = (y_loud - x_loud).abs() - least
        disturbance = excess.clamp_min(0.0)
        bands = self.width * self.width.numel()
        even = ((disturbance * bands) ** 2).sum(dim=-1).add(1e-9).sqrt()
        factor = ((y + 50.0) / (x + 50.0)) ** 1.2
        factor = torch.where(factor < 3.0, torch.zeros_like(factor), factor.clamp(max=12.0))
        odd = (disturbance * bands * factor).sum(dim=-1)
        loud = ((audible + 1e5) / 1e7) ** 0.04
        even, odd = (even / loud).clamp(max=45.0), (odd / loud).clamp(max=45.0)
        raw = 4.5 - 0.1 * self._over_time(even) - 0.0309 * self._over_time(odd)
        return 0.999 + 4.0 / (1.0 + torch.exp(-1.3669 * raw + 3.8224))

    @staticmethod
    def _over_time(frames: Tensor) -> Tensor:
        """Take the 6-norm of overlapping sections, and of these the 2-norm."""
        sections = frames.unfold(1, SECTION, SECTION // 2)
        worst = (sections**6).mean(dim=-1).add(1e-9) ** (1.0 / 6.0)
        return (worst**2).mean(dim=-1).sqrt()
