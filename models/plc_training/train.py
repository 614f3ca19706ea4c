# SPDX-License-Identifier: MIT
"""Train a concealer: first towards the clean spectra, then towards PLCMOS as well.

Resumes from the last checkpoint; a checkpoint is written every few minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor

from .augment import FASTEST, augment
from .base import backcasts
from .corpus import Corpus
from .families import FAMILIES, Opponent
from .losses import draw_losses
from .network import Player, Shape
from .objective import Plcmos, band_distances, disguise, hop_buzz, spectral_distance
from .pesq import PesqLike
from .stoi import StoiLike

REPORT_STEPS, SAVE_S = 50, 120.0


def draw_clip(
    corpus: Corpus,
    noises: np.ndarray,
    shape: Shape,
    hops: int,
    rng: np.random.Generator,
    times: int = 1,
    family: str = "refiner",
    seldom: float = 0.5,
) -> tuple[np.ndarray, ...]:
    """Give a clean clip, the network's frames, its trace, and what it tells of lost ends."""
    samples = hops * shape.hop
    while True:
        sound = corpus.draw(int(samples * FASTEST) + 8, rng)
        clean = augment(sound, samples, shape.rate_hz, noises, rng)
        if np.sqrt(np.mean(clean**2)) > 1e-3:
            break
    lost = draw_losses(hops, rng, seldom)
    sound = clean if times == 1 else resample_poly(clean, times, 1)
    frames = FAMILIES[family].frames(sound, lost, times * shape.rate_hz, times * shape.hop)
    return clean, frames, lost, backcasts(clean, lost, shape.hop, shape.hop // 2)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--plcmos", type=Path, help="plcmos_v2.onnx, for the second phase")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--family", choices=sorted(FAMILIES), default="refiner")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--hops", type=int, default=400)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--guide", type=float, default=0.0, help="weight of PLCMOS")
    parser.add_argument("--pesq", type=float, default=0.0, help="weight of what resembles PESQ")
    parser.add_argument("--stoi", type=float, default=0.0, help="weight of what resembles STOI")
    parser.add_argument("--buzz", type=float, default=0.0, help="weight of hops like the last")
    parser.add_argument("--bands", type=float, default=0.0, help="weight of powers in bands")
    parser.add_argument("--critic", type=float, default=0.0, help="weight of a discriminator")
    text = "share of batches whose extrapolation is made at 48 kHz, as the full-band model has it"
    parser.add_argument("--full-band", type=float, default=0.0, help=text)
    text = "share of the clips that lose little"
    parser.add_argument("--seldom", type=float, default=0.5, help=text)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--minutes", type=float, default=600.0)
    return parser.parse_args()


class Trainer:
    """The network, what it is held to, and how far it has come.

    Parameters
    ----------
    asked : Namespace
        See :func:`options`.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.shape = Shape(hidden=asked.hidden)
        self.network = FAMILIES[asked.family].network(self.shape)
        self.players = {times: Player(self.shape, times) for times in (1, 3)}
        self.judge = Plcmos(asked.plcmos) if asked.plcmos and asked.guide > 0.0 else None
        self.pesq, self.stoi = PesqLike(), StoiLike()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=asked.rate, betas=(0.9, 0.99)
        )
        self.opponent = Opponent(asked.rate) if asked.critic > 0.0 else None
        self.last = asked.out / "last.pt"
        self.step = 0

    def load(self) -> None:
        """Go on from the last checkpoint, or begin with the weights asked for."""
        if self.last.exists():
            held = torch.load(self.last)
            self.network.load_state_dict(held["network"])
            self.optimiser.load_state_dict(held["optimiser"])
            self.step = held["step"]
        elif self.asked.start:
            self.network.load_state_dict(torch.load(self.asked.start)["network"])

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        held = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "family": self.asked.family,
            "shape": asdict(self.shape),
        }
        torch.save(held, self.last.with_suffix(".part"))
        self.last.with_suffix(".part").replace(self.last)

    def pace(self) -> None:
        """Set the learning rate: it warms up, and falls along a cosine."""
        warm = min(1.0, (self.step + 1) / 200)
        share = warm * 0.5 * (1.0 + math.cos(math.pi * self.step / self.asked.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.asked.rate * max(share, 0.02)

    def losses(
        self, clean: Tensor, frames: Tensor, lost: Tensor, behind: Tensor, times: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Give what is to be made small, and its parts."""
        asked, player = self.asked, self.players[times]
        refined, _ = self.network(*player.analyse(frames), lost[..., None].float())
        heard = player.synthesise(refined, clean.view(*lost.shape, self.shape.hop), lost, behind)
        share = lost.float().mean() + 0.02
        loss = spectral_distance(heard, clean, share)
        parts = {"spectra": loss}
        if asked.bands > 0.0:
            parts["bands"], parts["colour"] = band_distances(heard, clean, share)
            loss = loss + asked.bands * (parts["bands"] + 4.0 * parts["colour"])
        if asked.buzz > 0.0:
            parts["buzz"] = hop_buzz(heard, clean, lost)
            loss = loss + asked.buzz * parts["buzz"]
        if self.judge is not None:
            some = asked.batch // 2  # half of the clips: judging costs as much as all the rest
            with torch.autocast("cpu", torch.bfloat16):
                mos = self.judge(disguise(heard[:some]), torch.randn(some, 64))
            parts["plcmos"] = mos.float().mean()
            # The less is lost the less can be won, but for the listener that counts as much.
            worth = (0.3 / share).clamp(max=3.0)
            loss = loss + asked.guide * worth * (4.5 - parts["plcmos"])
        if asked.pesq > 0.0:
            parts["pesq"] = self.pesq(heard, clean).mean()
            loss = loss + asked.pesq * (4.5 - parts["pesq"])
        if asked.stoi > 0.0:
            parts["stoi"] = self.stoi(heard, clean).mean()
            loss = loss + asked.stoi * (1.0 - parts["stoi"])
        if self.opponent is not None:
            self.opponent.learn(heard, clean)
            parts["critic"] = self.opponent.suspicion(heard, clean) / share
            loss = loss + asked.critic * parts["critic"]
        return loss, {name: value.item() for name, value in parts.items()}

    def take_step(self, clips: list[tuple[np.ndarray, ...]], times: int) -> dict[str, float]:
        """Learn from some clips."""
        self.pace()
        stacked = [torch.from_numpy(np.stack(part)) for part in zip(*clips, strict=True)]
        clean, frames, lost, behind = stacked
        loss, parts = self.losses(clean, frames, lost, behind, times)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return parts


def main() -> None:
    """Train."""
    asked = options()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    corpus, noises = Corpus.load(asked.corpus), Corpus.load(asked.noise).samples
    asked.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(asked)
    trainer.load()
    rng = np.random.default_rng([asked.seed, trainer.step])
    began = saved = time.monotonic()
    first, sums = trainer.step, Counter[str]()
    while trainer.step < asked.steps and time.monotonic() - began < 60.0 * asked.minutes:
        times = 3 if rng.random() < asked.full_band else 1
        draw = partial(
            draw_clip, corpus, noises, trainer.shape, asked.hops, rng, times, asked.family
        )
        sums.update(trainer.take_step([draw() for _ in range(asked.batch)], times))
        if trainer.step % REPORT_STEPS == 0:
            means = {name: round(value / REPORT_STEPS, 4) for name, value in sums.items()}
            pace = (trainer.step - first) / (time.monotonic() - began)
            print(
                json.dumps({"step": trainer.step, **means, "steps/s": round(pace, 2)}), flush=True
            )
            sums.clear()
        if time.monotonic() - saved > SAVE_S:
            saved = time.monotonic()
            trainer.save()
    trainer.save()


if __name__ == "__main__":
    main()
