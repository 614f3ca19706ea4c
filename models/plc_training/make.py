# SPDX-License-Identifier: MIT
"""Make the bundles ``plc-wb`` and ``plc-fb`` from folders of speech: all steps, in one command.

What is there already is not made again, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

MANIFEST = """\
# SPDX-License-Identifier: MIT
id = "{name}"
description = "Conceal lost packets of speech at {khz} kHz"
licence = "MIT"
source = "trained by models/plc_training; see README.md beside this file"
sample_rate = {rate}
hop = {hop}
latency = {hindsight}
lookahead = {lookahead}  # the hop behind a loss tells of the {hindsight} samples before it
concealment = true

[frame]
window = {window}
foresight = true
hindsight = {hindsight}

[[stage]]
file = "model.onnx"
sha256 = "{sha256}"
[stage.inputs]
frame = "frame"
lost = "lost"
h0 = {{ state = "next0" }}
h1 = {{ state = "next1" }}
[stage.outputs]
made = "patch"
"""


def run(module: str, *words: object) -> None:
    """Run one of the scripts beside this one."""
    command = [sys.executable, "-m", f"models.plc_training.{module}", *map(str, words)]
    print("+", *command[2:], flush=True)
    subprocess.run(command, check=True)


def gather(recipe: dict[str, Any], data: Path, out: Path) -> None:
    """Read speech and noise."""
    words = [
        word
        for source in recipe["source"]
        for word in ("--source", data / source["folder"], source["weight"], source["every"])
    ]
    if not (out / "speech.npz").exists():
        run("corpus", out / "speech.npz", "--rate", recipe["rate_hz"], *words)
    if not (out / "noise.npz").exists():
        folder = data / recipe["noise"]["folder"]
        run("corpus", out / "noise.npz", "--rate", recipe["rate_hz"], "--source", folder, 1, 0)


def train(recipe: dict[str, Any], plcmos: Path, out: Path, threads: int) -> Path:
    """Train phase by phase; give the last checkpoint."""
    before: Path | None = None
    for number, phase in enumerate(recipe["phase"]):
        folder = out / f"phase{number}"
        words: list[object] = [
            *("--corpus", out / "speech.npz", "--noise", out / "noise.npz", "--out", folder),
            *("--hidden", recipe["hidden"], "--seed", recipe["seed"] + number),
            *("--threads", threads),
        ]
        for key, value in phase.items():
            words += [f"--{key.replace('_', '-')}", value]
        if "guide" in phase:
            words += ["--plcmos", plcmos]
        if before is not None:
            words += ["--start", before]
        run("train", *words)
        before = folder / "last.pt"
    if before is None:
        raise SystemExit("the recipe has no phase")
    return before


def bundle(checkpoint: Path, folder: Path, times: int) -> None:
    """Write a bundle's model and manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    run("export", checkpoint, folder / "model.onnx", "--times", times)
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    text = MANIFEST.format(
        name=folder.name,
        khz=16 * times,
        rate=16000 * times,
        hop=160 * times,
        window=512 * times,
        hindsight=80 * times,
        lookahead=240 * times - 1,
        sha256=digest,
    )
    (folder / "model.toml").write_text(text, "utf-8")


def main() -> None:
    """Make both bundles."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, help="the folder that holds those of the recipe")
    parser.add_argument("--plcmos", type=Path, help="plcmos_v2.onnx of the package speechmos")
    parser.add_argument("--work", type=Path, default=Path("plc-work"), help="checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="only make the bundles, of this one")
    asked = parser.parse_args()
    if asked.checkpoint is None and (asked.data is None or asked.plcmos is None):
        parser.error("--data and --plcmos are needed to train")
    checkpoint = asked.checkpoint
    if checkpoint is None:
        recipe = tomllib.loads(asked.recipe.read_text("utf-8"))
        asked.work.mkdir(parents=True, exist_ok=True)
        gather(recipe, asked.data, asked.work)
        checkpoint = train(recipe, asked.plcmos, asked.work, asked.threads)
    models = Path(__file__).parents[1]
    bundle(checkpoint, models / "plc-wb", 1)
    bundle(checkpoint, models / "plc-fb", 3)


if __name__ == "__main__":
    main()
