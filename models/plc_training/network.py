# SPDX-License-Identifier: MIT
"""A recurrent network that refines the classical extrapolation of a speech signal.

Of each hop it sees a frame of two hops: the newest one (received, or extrapolated where it is
lost) and the extrapolation of the one to come.  It multiplies the frame's compressed spectrum by
a complex mask and adds a complex correction, so that it starts as the classical concealer and
has only to learn what that one does wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of the network.

    Attributes
    ----------
    rate_hz : int
        Sample rate.
    hop : int
        Frames of a hop; the refined frame has two.
    context : int
        Samples of the longer frame whose magnitudes tell of harmonics.
    hidden : int
        Units of each recurrent layer.
    layers : int
        Recurrent layers.
    """

    rate_hz: int = 16000
    hop: int = 160
    context: int = 512
    hidden: int = 256
    layers: int = 2


def compress(re: Tensor, im: Tensor) -> tuple[Tensor, Tensor]:
    """Take the square root of the magnitude, with the phase kept."""
    scale = (re * re + im * im + 1e-9) ** -0.25
    return re * scale, im * scale


def expand(re: Tensor, im: Tensor) -> tuple[Tensor, Tensor]:
    """Undo :func:`compress`."""
    scale = (re * re + im * im + 1e-12) ** 0.5
    return re * scale, im * scale


class Refiner(nn.Module):
    """The network; see the module.

    Parameters
    ----------
    shape : Shape
        Its sizes.
    outputs : int, optional
        Numbers that are made of the last layer; four planes of bins where absent.
    """

    def __init__(self, shape: Shape, outputs: int | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.bins = shape.hop + 1
        self.context_bins = shape.context // 2 + 1
        inputs = 2 * self.bins + self.context_bins + 1
        self.enter = nn.Linear(inputs, shape.hidden)
        self.bend = nn.PReLU()
        self.recurrent = nn.ModuleList(
            nn.GRU(shape.hidden, shape.hidden, batch_first=True) for _ in range(shape.layers)
        )
        self.leave = nn.Linear(shape.hidden, outputs or 4 * self.bins)
        nn.init.normal_(self.leave.weight, std=1e-3)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self, spectrum: Tensor, context: Tensor, lost: Tensor, states: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Refine hops.

        Parameters
        ----------
        spectrum : Tensor, shape (batch, hops, 2 * bins)
            Of the frames under the window: real parts, then imaginary parts.
        context : Tensor, shape (batch, hops, 2 * context_bins)
            Of the longer frames, likewise.
        lost : Tensor, shape (batch, hops, 1)
            1 where the hop is lost.
        states : list of Tensor, optional
            Of the recurrent layers, each (1, batch, hidden).

        Returns
        -------
        Tensor and list of Tensor
            The refined spectrum, and the next states.
        """
        re, im = compress(spectrum[..., : self.bins], spectrum[..., self.bins :])
        half = self.context_bins
        power = context[..., :half] ** 2 + context[..., half:] ** 2
        level = torch.log10(power + 1e-6) * 0.25
        x = self.bend(self.enter(torch.cat([re, im, level, lost], dim=-1)))
        after = []
        for k, layer in enumerate(self.recurrent):
            y, state = layer(x, None if states is None else states[k])
            after.append(state)
            x = x + y
        return torch.cat(expand(*self.make(re, im, self.leave(x))), dim=-1), after

    def make(self, re: Tensor, im: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Make a compressed spectrum of the guess's and of the last layer's numbers."""
        mask_re, mask_im, add_re, add_im = told.chunk(4, dim=-1)
        mask_re = mask_re + 1.0
        made_re = re * mask_re - im * mask_im + add_re
        made_im = re * mask_im + im * mask_re + add_im
        return made_re, made_im


class Player(nn.Module):
    """Turns frames of :func:`.base.extrapolated` into spectra, and refined ones into sound.

    Parameters
    ----------
    shape : Shape
        The network's sizes.
    times : int
        How often the network's sample rate the frames have that are analysed.
    """

    def __init__(self, shape: Shape, times: int = 1) -> None:
        super().__init__()
        hop, context = shape.hop, shape.context
        self.hop, self.context, self.times = hop, context, times
        n = torch.arange(2 * hop)
        self.register_buffer("window", torch.sin(torch.pi * n / (2 * hop)))
        n = torch.arange(2 * hop * times)
        self.register_buffer("before", torch.sin(torch.pi * n / (2 * hop * times)))
        m = torch.arange(context * times)
        self.register_buffer("long_window", torch.sin(torch.pi * m / (context * times)) ** 2)
        joint = hop // 2
        self.register_buffer("rise", (torch.arange(joint) + 0.5) / joint)

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Give the spectra of frames (batch, hops, 2 hop times), short and long."""
        batch, hops, _ = frames.shape
        hop = self.hop * self.times
        short = torch.fft.rfft(frames * self.before)[..., : self.hop + 1] / self.times
        earlier = self.context * self.times - 2 * hop
        known = frames[..., :hop].reshape(batch, -1)
        past = nn.functional.pad(known, (earlier, 0)).unfold(1, earlier, hop)[:, :hops]
        long = torch.fft.rfft(torch.cat([past, frames], dim=-1) * self.long_window)
        long = long[..., : self.context // 2 + 1] / self.times
        return (
            torch.cat([short.real, short.imag], dim=-1),
            torch.cat([long.real, long.imag], dim=-1),
        )

    def synthesise(self, spectrum: Tensor, real: Tensor, lost: Tensor, behind: Tensor) -> Tensor:
        """Put refined frames in the place of lost hops.

        Parameters
        ----------
        spectrum : Tensor, shape (batch, hops, 2 * bins)
            Refined.
        real : Tensor, shape (batch, hops, hop)
            The sound; taken where hops were received.
        lost : Tensor of bool, shape (batch, hops)
            Which were not.
        behind : Tensor, shape (batch, hops, hop // 2)
            What hops behind a loss tell of its end; see :func:`.base.backcasts`.

        Returns
        -------
        Tensor, shape (batch, hops * hop)
            What is heard.
        """
        re, im = spectrum.chunk(2, dim=-1)
        frames = torch.fft.irfft(torch.complex(re, im), n=2 * self.hop) * self.window
        return self.join(frames, real, lost, behind)

    def join(self, frames: Tensor, real: Tensor, lost: Tensor, behind: Tensor) -> Tensor:
        """Put windowed frames (batch, hops, 2 hop) in the place of lost hops; see above."""
        ends = nn.functional.pad(frames[:, :-1, self.hop :], (0, 0, 1, 0))
        made = ends + frames[..., : self.hop]
        start = self.hop - self.rise.numel()
        told = nn.functional.pad(behind[:, 1:], (0, 0, 0, 1))
        end = made[..., start:] + self.rise * (told - made[..., start:])
        last = nn.functional.pad(~lost[:, 1:], (0, 1)) & lost
        made = torch.where(last[..., None], torch.cat([made[..., :start], end], dim=-1), made)
        return torch.where(lost[..., None], made, real).flatten(1)
