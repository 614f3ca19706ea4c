# SPDX-License-Identifier: MIT
"""Networks that were tried beside the refiner; see models/plc-wb/EXPERIMENTS.md.

They are trained and scored by the same programs, on the same draws and against the same losses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .base import extrapolated, gaps
from .network import Refiner, Shape

BANDS = 32  # of the envelopes of the vocoder
NOISE_DB = -26.0  # of its noise at first


class Predictor(Refiner):
    """A recurrent network that is not told the guess: it predicts the spectrum from what came."""

    def make(self, re: Tensor, im: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Give the spectrum that the last layer says, whatever the input was."""
        del re, im
        _, _, made_re, made_im = told.chunk(4, dim=-1)
        return made_re, made_im


class Vocoder(Refiner):
    """A source and a filter: the guess's harmonics and noise under envelopes of a network.

    Parameters
    ----------
    shape : Shape
        The network's sizes.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, 2 * BANDS)
        bark = 6.0 * np.arcsinh(np.arange(self.bins) * shape.rate_hz / (2.0 * shape.hop) / 600.0)
        middle = np.linspace(0.0, bark[-1], BANDS)
        reach = np.maximum(1.0 - np.abs(bark[:, None] - middle) / (middle[1] - middle[0]), 0.0)
        self.register_buffer("reach", torch.tensor(reach.T, dtype=torch.float32))

    def make(self, re: Tensor, im: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Lift the guess, and noise of its colour, by smooth envelopes.

        The spectra are compressed, so that a factor counts twice in decibels.
        """
        voice, breath = (3.0 * told @ torch.block_diag(self.reach, self.reach)).chunk(2, dim=-1)
        power = re * re + im * im
        weight = self.reach.sum(dim=-1)
        colour = (power @ self.reach.T / weight) @ self.reach
        size = (0.5 * colour + 1e-9).sqrt() * 10.0 ** (NOISE_DB / 40.0) * torch.exp(breath)
        turn = 2.0 * torch.pi * torch.rand_like(size)
        lift = torch.exp(voice)
        return re * lift + size * torch.cos(turn), im * lift + size * torch.sin(turn)


@dataclass(frozen=True)
class Family:
    """A kind of network, and what it sees.

    Attributes
    ----------
    network : callable
        Makes it of a :class:`Shape`.
    frames : callable
        Gives its frames, as :func:`.base.extrapolated` does.
    """

    network: Callable[[Shape], Refiner]
    frames: Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


FAMILIES = {
    "refiner": Family(Refiner, extrapolated),
    "predictor": Family(Predictor, gaps),
    "vocoder": Family(Vocoder, extrapolated),
}


class Critic(nn.Module):
    """A discriminator that learns: says of patches of log spectra whether they are of clean sound.

    Parameters
    ----------
    sizes : tuple of int
        Samples of the spectra's windows; one small convolutional network for each.
    """

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024)) -> None:
        super().__init__()
        self.sizes = sizes
        self.networks = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Conv2d(1, 16, (3, 9), stride=(1, 2), padding=(1, 4)),
                    nn.Conv2d(16, 32, (3, 9), stride=(1, 2), padding=(1, 4)),
                    nn.Conv2d(32, 32, (3, 5), stride=(1, 2), padding=(1, 2)),
                    nn.Conv2d(32, 1, 3, padding=1),
                ]
            )
            for _ in sizes
        )

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Give what the layers of each network say of sounds (batch, samples), the verdict last."""
        said = []
        for size, layers in zip(self.sizes, self.networks, strict=True):
            window = torch.hann_window(size, device=x.device)
            spectrum = torch.stft(x, size, size // 4, window=window, return_complex=True)
            power = spectrum.real**2 + spectrum.imag**2
            y = 0.25 * torch.log10(power / size + 1e-7).transpose(1, 2)[:, None] + 0.5
            steps = []
            for layer in layers:
                y = layer(y)
                steps.append(y)
                y = nn.functional.leaky_relu(y, 0.2)
            said.append(steps)
        return said


class Opponent:
    """A critic, and how it learns.

    Parameters
    ----------
    rate : float
        Learning rate.
    """

    def __init__(self, rate: float) -> None:
        self.critic = Critic()
        self.optimiser = torch.optim.AdamW(self.critic.parameters(), lr=rate, betas=(0.8, 0.99))

    def learn(self, heard: Tensor, clean: Tensor) -> float:
        """Learn to tell clean sounds from others, by least squares (X. Mao et al., ICCV 2017)."""
        total = heard.new_zeros(())
        for fake, real in zip(self.critic(heard.detach()), self.critic(clean), strict=True):
            total = total + (fake[-1] ** 2).mean() + ((real[-1] - 1.0) ** 2).mean()
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        return float(total.detach())

    def suspicion(self, heard: Tensor, clean: Tensor) -> Tensor:
        """Give what the concealer makes small: what gives it away, in any layer."""
        total = heard.new_zeros(())
        for fake, real in zip(self.critic(heard), self.critic(clean), strict=True):
            total = total + ((fake[-1] - 1.0) ** 2).mean()
            for f, r in zip(fake[:-1], real[:-1], strict=True):
                total = total + 2.0 * (f - r.detach()).abs().mean()
        return total
