# SPDX-License-Identifier: MIT
"""What training makes small: distances of compressed spectra, and distance from the best PLCMOS.

Received samples are the clean ones, so all that differs is what was lost, and its edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIZES = (256, 640)


def spectral_distance(heard: Tensor, clean: Tensor, lost_share: Tensor) -> Tensor:
    """Give the distance of compressed spectra, magnitude and phase, at several resolutions."""
    total = heard.new_zeros(())
    for size in SIZES:
        window = torch.hann_window(size, device=heard.device)

        def spectrum(x: Tensor, size: int = size, window: Tensor = window) -> Tensor:
            return torch.stft(x, size, size // 2, window=window, return_complex=True) / size**0.5

        y, x = spectrum(heard), spectrum(clean)
        y_size, x_size = (y.abs() ** 2 + 1e-8).sqrt(), (x.abs() ** 2 + 1e-8).sqrt()
        sizes = (y_size**0.3 - x_size**0.3).abs()
        waves = (y * y_size**-0.7 - x * x_size**-0.7).abs()
        total = total + (sizes + 0.5 * waves).mean()
    return total / lost_share


BAND_BINS = 8  # 200 Hz


def band_distances(heard: Tensor, clean: Tensor, lost_share: Tensor) -> tuple[Tensor, Tensor]:
    """Give the distance of the logarithms of powers in even bands, in bels, twice.

    Of every frame by itself, and of the mean over all, level aside: that one keeps a judge from
    being pleased by a hole or a ridge that the network puts into every spectrum.
    """
    size = 640
    window = torch.hann_window(size, device=heard.device)

    def bands(x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x.unfold(1, size, size // 2) * window)[..., 1:]
        power = (spectrum.real**2 + spectrum.imag**2) / size
        return torch.log10(power.unflatten(-1, (-1, BAND_BINS)).sum(dim=-1) + 1e-6)

    apart = (bands(heard) - bands(clean)) / lost_share
    everywhere = apart.mean(dim=(0, 1))
    return apart.abs().mean(), (everywhere - everywhere.mean()).abs().mean()


def hop_buzz(heard: Tensor, clean: Tensor, lost: Tensor) -> Tensor:
    """Give by how much lost hops resemble the ones before more than those of the clean sound do.

    A network whose state has come to rest gives the same frame again and again, which buzzes at
    the rate of the hops.
    """
    gone = lost[:, 1:] & lost[:, :-1]

    def likeness(x: Tensor) -> Tensor:
        hops = x.view(*lost.shape, -1)
        size = hops.norm(dim=-1)
        product = (hops[:, 1:] * hops[:, :-1]).sum(dim=-1)
        return product / (size[:, 1:] * size[:, :-1] + 1e-5)

    excess = nn.functional.relu(likeness(heard) - likeness(clean).clamp_min(0.2))
    return (excess * gone).sum() / (gone.sum() + 1.0)


def disguise(x: Tensor) -> Tensor:
    """Shift, scale and dither sounds a little, so that a judge is pleased by no accident."""
    shift = int(torch.randint(0, 256, ()))
    gain = 10.0 ** (torch.empty(x.shape[0], 1).uniform_(-6.0, 3.0) / 20.0)
    return x[:, shift:] * gain + 3e-5 * torch.randn(x.shape[0], x.shape[1] - shift)


class Plcmos(nn.Module):
    """PLCMOS v2 (Diener et al. 2023, MIT) as a differentiable network.

    Parameters
    ----------
    path : path
        ``plcmos_v2.onnx`` of the package speechmos.
    """

    def __init__(self, path: Any) -> None:
        super().__init__()
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(str(path)).graph
        held = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
        self.weights = {name: value.float() for name, value in held.items()}
        self.grus = nn.ModuleList()
        layers = [node for node in graph.node if node.op_type == "GRU"]
        for node, size in zip(layers, (128, 64), strict=True):
            self.grus.append(self._gru([held[name] for name in node.input[1:4]], size))
        self.register_buffer("window", torch.tensor(np.hamming(513)[:-1], dtype=torch.float32))
        self.requires_grad_(False)

    @staticmethod
    def _gru(tensors: list[Tensor], size: int) -> nn.GRU:
        """Bring the gates from ONNX's order (update, reset, new) into torch's."""
        w, r, b = tensors
        gru = nn.GRU(size, 32, bidirectional=True)

        def turned(x: Tensor) -> Tensor:
            z, reset, new = x.chunk(3)
            return torch.cat([reset, z, new])

        for d, end in enumerate(("", "_reverse")):
            bw, br = b[d].chunk(2)
            values = {"weight_ih": w[d], "weight_hh": r[d], "bias_ih": bw, "bias_hh": br}
            for name, value in values.items():
                getattr(gru, f"{name}_l0{end}").data = turned(value).contiguous()
        return gru

    def features(self, x: Tensor) -> Tensor:
        """Give log powers, (batch, 1, frames, 257)."""
        frames = -(-(x.shape[1] + 256) // 256)
        padded = nn.functional.pad(x, (256, (frames - 1) * 256 + 512 - 256 - x.shape[1]))
        spectrum = torch.fft.rfft(padded.unfold(1, 512, 256) * self.window)
        power = spectrum.real**2 + spectrum.imag**2
        return (torch.log(power + 1e-12) / 20.0)[:, None]

    def forward(self, x: Tensor, rater: Tensor) -> Tensor:
        """Score sounds (batch, samples) at 16 kHz, as raters (batch, 64) hear them."""
        w = self.weights

        def bend(v: Tensor) -> Tensor:
            return nn.functional.leaky_relu(v, 0.1)

        y = self.features(x)
        for k in (1, 2, 3):
            name = f"in_blocks.0.conv{k}"
            y = nn.functional.conv2d(
                y, w[f"{name}.weight"], w[f"{name}.bias"], padding=1, dilation=(2, 1)
            )
            y = nn.functional.max_pool2d(bend(y), (1, 4))
        y = y.permute(0, 2, 3, 1).flatten(2)
        name = "in_blocks.0.conv_project"
        y = nn.functional.linear(y, w[f"{name}.weight"][..., 0], w[f"{name}.bias"])
        y, _ = self.grus[0](y.transpose(0, 1))
        _, last = self.grus[1](y)
        rater = bend(nn.functional.linear(rater, w["embed_dense1.weight"], w["embed_dense1.bias"]))
        for k in range(4):
            name = f"embed_dense2.{k}"
            rater = bend(nn.functional.linear(rater, w[f"{name}.weight"], w[f"{name}.bias"]))
        rater = bend(nn.functional.linear(rater, w["embed_dense3.weight"], w["embed_dense3.bias"]))
        y = torch.cat([last[0], last[1], rater], dim=-1)
        y = bend(nn.functional.linear(y, w["dense1.weight"], w["dense1.bias"]))
        for k in range(4):
            name = f"dense2.{k}"
            y = bend(nn.functional.linear(y, w[f"{name}.weight"], w[f"{name}.bias"]))
        y = nn.functional.linear(y, w["dense3.weight"], w["dense3.bias"])[..., 0]
        return 4.0 * torch.sigmoid(y) + 1.0
