# SPDX-License-Identifier: MIT
"""Score checkpoints, or their models for 16 kHz, on clips of speakers unheard in training."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from rtcore.challenges.plc.loss_models import parse_model
from rtcore.challenges.plc.scores import Scorer

from .base import backcasts, extrapolated
from .corpus import Corpus
from .families import FAMILIES, Family
from .network import Player, Refiner, Shape

HOP = 160
LOSSES = (
    "gilbert:0.04,0.5",
    "gilbert:0.05,0.33",
    "gilbert:0.04,0.2",
    "gilbert:0.15,0.4",
    "gilbert:0.2,0.3",
    "gilbert:0.03,0.08",
)


def validation_clips(corpus: Corpus, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give clips of up to 10 s and their traces, one a 10 ms hop."""
    made = []
    for k, number in enumerate(np.flatnonzero(corpus.validation)[:count]):
        x = corpus.file(int(number))[: 10 * 16000]
        packets = len(x) // (2 * HOP)
        rng = np.random.default_rng(k)
        lost = parse_model(LOSSES[k % len(LOSSES)]).generate(1, packets, rng)[0].astype(bool)
        lost[:5] = False
        made.append((x[: packets * 2 * HOP], np.repeat(lost, 2)))
    return made


def load(path: Path) -> tuple[Refiner, Player, Family]:
    """Read a checkpoint."""
    held = torch.load(path)
    shape, family = Shape(**held["shape"]), FAMILIES[held.get("family", "refiner")]
    network = family.network(shape)
    network.load_state_dict(held["network"])
    return network.eval(), Player(shape), family


@torch.no_grad()
def play(
    network: Refiner, player: Player, family: Family, x: np.ndarray, lost: np.ndarray
) -> np.ndarray:
    """Conceal a clip."""
    frames = torch.from_numpy(family.frames(x, lost, network.shape.rate_hz, HOP))[None]
    gone = torch.from_numpy(lost)[None]
    refined, _ = network(*player.analyse(frames), gone[..., None].float())
    behind = torch.from_numpy(backcasts(x, lost, HOP, HOP // 2))[None]
    return player.synthesise(refined, torch.from_numpy(x).view(1, -1, HOP), gone, behind)[0].numpy()


def exported(path: Path) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Give the concealing of a clip by a model that :mod:`.export` wrote, hop by hop."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    names = [tensor.name for tensor in session.get_outputs()]
    player = Player(Shape())

    def conceal(x: np.ndarray, lost: np.ndarray) -> np.ndarray:
        pairs = extrapolated(x, lost, 16000, HOP)
        earlier = size["frame"][1] - 2 * HOP
        known = np.concatenate([np.zeros(earlier, np.float32), pairs[:, :HOP].ravel()])
        states = {name: np.zeros(size[name], np.float32) for name in size if name[0] == "h"}
        made = []
        for k, pair in enumerate(pairs):
            frame = np.concatenate([known[k * HOP : k * HOP + earlier], pair])[None]
            gone = np.array([[lost[k]]], np.float32)
            outputs = session.run(names, {"frame": frame, "lost": gone, **states})
            given = dict(zip(names, outputs, strict=True))
            states = {name: given[f"next{name[1:]}"] for name in states}
            made.append(torch.from_numpy(given["made"]))
        real, gone = torch.from_numpy(x).view(1, -1, HOP), torch.from_numpy(lost)[None]
        behind = torch.from_numpy(backcasts(x, lost, HOP, HOP // 2))[None]
        return player.join(torch.stack(made, dim=1), real, gone, behind)[0].numpy()

    return conceal


def main() -> None:
    """Print means of all measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--measures", nargs="+", default=["plcmos", "pesq", "stoi"])
    parser.add_argument("--only", nargs="*", default=["clean", "zero", "pitch"])
    parser.add_argument("checkpoint", type=Path, nargs="*", help="or a model.onnx")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    clips = validation_clips(Corpus.load(asked.corpus), asked.clips)
    scorer = Scorer(tuple(asked.measures))
    systems = {"clean": lambda x, _lost: x}
    systems["zero"] = lambda x, lost: np.where(np.repeat(lost, HOP), 0.0, x)
    systems["pitch"] = pitch
    systems = {name: system for name, system in systems.items() if name in asked.only}
    for path in asked.checkpoint:
        if path.suffix == ".onnx":
            systems[str(path)] = exported(path)
            continue
        systems[str(path)] = partial(play, *load(path))
    for name, system in systems.items():
        rows = [scorer.score(np.clip(system(x, lost), -1, 1), 16000, x)[0] for x, lost in clips]
        keys = [k for k in ("plcmos_v2", "pesq_wb", "stoi") if k in rows[0]]
        means = {k: round(float(np.nanmean([r[k] for r in rows])), 3) for k in keys}
        print(name, means, flush=True)


def pitch(x: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Conceal with the classical plugin."""
    from rtcore import Chain
    from rtcore.host import find

    chain = Chain([find("plc-pitch")()], sample_rate=16000, channels=1, max_frames=HOP)
    parts = [
        chain.process(x[k * HOP : (k + 1) * HOP][None].astype(np.float32), lost=bool(gone))[0]
        for k, gone in enumerate(lost)
    ]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
