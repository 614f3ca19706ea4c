# SPDX-License-Identifier: MIT
"""Show how well lost packets are concealed, by rtcore's plugins and by its peers.

Clean speech (``--speech``: a folder of folders, one for each speaker) loses packets of 20 ms by
Gilbert models with (p, q) = (0.04, 0.5), (0.05, 0.33) and (0.04, 0.2) in turn, after a clean
first 100 ms; clips of the challenge (``--real``: a 2022 set, ``--real-clean``: its clean sounds)
bring their own traces. All are at 16 kHz, and every method gets the same clips and traces.

*plc-zero*, *plc-repeat* and *plc-pitch* are rtcore's plugins; *tplcnet* and *ms-plc-2022* are
models by others, streamed by the plugin ``model`` from the manifests in ``bundles`` with the
weights of ``--weights``; *libopus* is the system's codec at 32 kb/s with its classic concealment,
and its row without loss shows what the codec alone costs.

PLCMOS v2 is that of speechmos, with NumPy seeded with 23 before each clip; PESQ and STOI count the
clips with clean sound. Latency is taken out first. Times are medians of whole calls from Python,
one for each packet of 20 ms: received ones (most do little there) and lost ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _common import table, write_json
from _opus import Opus

from rtcore import Chain
from rtcore.audiofile import read
from rtcore.batch import usable_cores
from rtcore.challenges.plc.bootstrap import interval
from rtcore.challenges.plc.layout import find_set
from rtcore.challenges.plc.loss_models import LossModel, parse_model
from rtcore.challenges.plc.scores import Scorer, how
from rtcore.errors import RtcoreError
from rtcore.host import find

RATE, PACKET = 16000, 320
LOSSES = ("gilbert:0.04,0.5", "gilbert:0.05,0.33", "gilbert:0.04,0.2")
CLEAN_PACKETS = 5
LONGEST_S = 15
QUICK = 3
BITRATE = 32_000
MEASURES = ("plcmos", "pesq", "stoi")
BUNDLES = Path(__file__).parent / "bundles"
PLUGINS = ("plc-zero", "plc-repeat", "plc-pitch")

#: Takes the clip before loss, the lossy clip and the trace; gives what is heard and the seconds.
Method = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Clip:
    """A clip, its losses, and the clean sound where it is known."""

    name: str
    lossy: np.ndarray
    lost: np.ndarray
    clean: np.ndarray | None


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="clean speech at 16 kHz")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="a 2022 set with traces")
    parser.add_argument("--real-clean", type=Path, metavar="FOLDER", help="its clean sounds")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="the peers' .onnx files")
    parser.add_argument("--clips", type=int, default=50, help="of the speech (%(default)s)")
    text = f"{QUICK} clips of the speech, and none of the set"
    parser.add_argument("--quick", action="store_true", help=text)
    return parser.parse_args()


def speech_clips(folder: Path, count: int) -> Iterator[Clip]:
    """Take clips of all speakers in turn, and lose packets of them."""
    groups: dict[Path, list[Path]] = {}
    for file in sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav")]):
        groups.setdefault(file.parent, []).append(file)
    deepest = max(map(len, groups.values()), default=0)
    files = [group[k] for k in range(deepest) for group in groups.values() if k < len(group)]
    for number, file in enumerate(files[:count]):
        x, rate = read(file, "float64")
        if rate != RATE or len(x) != 1:
            raise SystemExit(f"{file}: must be mono at {RATE} Hz")
        packets = min(x.shape[1] // PACKET, LONGEST_S * RATE // PACKET)
        clean = x[0, : packets * PACKET]
        lost = gilbert(parse_model(LOSSES[number % len(LOSSES)]), packets, number)
        yield Clip(file.stem, np.where(np.repeat(lost, PACKET), 0.0, clean), lost, clean)


def gilbert(model: LossModel, packets: int, seed: int) -> np.ndarray:
    """Draw a trace whose first 100 ms are clean."""
    lost = model.generate(1, packets, np.random.default_rng(seed))[0].astype(bool)
    lost[:CLEAN_PACKETS] = False
    return lost


def real_clips(folder: Path, clean: Path | None) -> Iterator[Clip]:
    """Take the clips of a 2022 set with their own traces."""
    for clip in find_set(folder).clips:
        x, rate = read(clip.sound, "float64")
        lost = clip.lost_in(x, rate)
        path = clean / clip.name if clean is not None else None
        known = path is not None and path.is_file()
        reference = read(path, "float64")[0][0] if path is not None and known else None
        yield Clip(clip.sound.stem, x[0], lost, reference)


# -- methods --------------------------------------------------------------------------------------


def chained(plugin: Any) -> Method:
    """Conceal with a plugin, packet by packet."""
    chain = Chain([plugin], sample_rate=RATE, channels=1, block_frames=PACKET, max_frames=PACKET)

    def play(_sent: np.ndarray, x: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        late = chain.latency_frames
        packets = len(lost) + -(-late // PACKET)
        heard = np.zeros(packets * PACKET, np.float32)
        heard[: len(x)] = x
        gone = [bool(flag) for flag in lost] + [False] * (packets - len(lost))
        seconds = np.zeros(packets)
        chain.restart()
        for k in range(packets):
            part = slice(k * PACKET, (k + 1) * PACKET)
            begin = time.perf_counter()
            heard[part] = chain.process(heard[part], lost=gone[k])
            seconds[k] = time.perf_counter() - begin
        return heard[late : late + len(x)], seconds[: len(lost)]

    return play


def bundle(name: str, weights: Path, folder: Path) -> Method:
    """Stream a model by others: its manifest is ours, its weights lie where the user has them."""
    copy = folder / name
    shutil.copytree(BUNDLES / name, copy)
    line = next(t for t in (copy / "model.toml").read_text().splitlines() if t.startswith("file"))
    file = line.split('"')[1]
    found = next(iter(sorted(weights.rglob(file))), None)
    if found is None:
        raise FileNotFoundError(f"{file} is not in {weights}")
    shutil.copy(found, copy / file)
    return chained(find("model")(bundle=str(copy)))


def methods(weights: Path | None, folder: Path) -> tuple[dict[str, Method], dict[str, str]]:
    """Give the methods that can be had here, and why others cannot."""
    found: dict[str, Method] = {"clean": lambda sent, _x, lost: (sent, np.zeros(len(lost)))}
    missing: dict[str, str] = {}
    for name in PLUGINS:
        try:
            found[name] = chained(find(name)())
        except RtcoreError as error:
            missing[name] = str(error)
    for name in ("ms-plc-2022", "tplcnet"):
        if weights is None:
            missing[name] = "its weights were not named; give --weights FOLDER"
            continue
        try:
            found[name] = bundle(name, weights, folder)
        except (OSError, RtcoreError) as error:
            missing[name] = str(error)
    try:
        opus = Opus(RATE, BITRATE)
        found["libopus, nothing lost"] = lambda sent, _x, lost: opus.play(sent, np.zeros_like(lost))
        found["libopus classic PLC"] = lambda sent, _x, lost: opus.play(sent, lost)
    except OSError as error:
        missing["libopus"] = str(error)
    return found, missing


# -- scores ---------------------------------------------------------------------------------------

_scorer: list[Scorer] = []


def set_up() -> None:
    """Load the measures in a process of the pool."""
    _scorer[:] = [Scorer(MEASURES)]


def score(task: tuple[np.ndarray, np.ndarray | None]) -> dict[str, float | None]:
    """Score one clip, rounded to 16 bits as in a file."""
    heard = np.clip(np.rint(task[0] * 32768.0), -32768, 32767) / 32768.0
    return _scorer[0].score(heard, RATE, task[1])[0]


def heard_by(
    name: str, method: Method, clips: list[Clip]
) -> tuple[list[tuple[np.ndarray, np.ndarray | None]], np.ndarray, np.ndarray]:
    """Conceal all clips that a method can: those that begin before the loss need the clean one."""
    tasks, seconds, gone = [], [], []
    for clip in clips:
        if clip.clean is None and name.startswith(("clean", "libopus")):
            continue
        sent = clip.lossy if clip.clean is None else clip.clean
        heard, taken = method(sent, clip.lossy, clip.lost)
        tasks.append((heard, clip.clean))
        seconds.append(taken)
        gone.append(clip.lost)
    return tasks, np.concatenate(seconds), np.concatenate(gone)


def row(
    name: str, scores: list[dict[str, float | None]], seconds: np.ndarray, lost: np.ndarray
) -> dict[str, Any]:
    """Give a method's line of the table."""
    means = {
        key: interval([found.get(key) for found in scores])
        for key in ("plcmos_v2", "pesq_wb", "stoi")
    }
    plcmos = means["plcmos_v2"]
    bounds = "" if plcmos is None or plcmos.low is None else f"{plcmos.low:.2f}-{plcmos.high:.2f}"
    mean = {key: found.mean if found is not None else float("nan") for key, found in means.items()}
    return {
        "method": name,
        "clips": len(scores),
        "PLCMOS v2": mean["plcmos_v2"],
        "95 %": bounds,
        "PESQ-WB": mean["pesq_wb"],
        "STOI": mean["stoi"],
        "ms, received": 1e3 * float(np.median(seconds[~lost])),
        "ms, lost": 1e3 * float(np.median(seconds[lost])),
        "p99 ms": 1e3 * float(np.quantile(seconds, 0.99)),
    }


def main() -> int:
    """Conceal, score and print."""
    asked = options()
    if asked.speech is None:
        print("nothing to do: name a folder of clean speech at 16 kHz with --speech FOLDER")
        return 0
    clips = list(speech_clips(asked.speech, QUICK if asked.quick else asked.clips))
    if asked.real is not None and not asked.quick:
        clips += real_clips(asked.real, asked.real_clean)
    rows, every = [], {}
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(usable_cores(), spawn, set_up) as pool,
    ):
        found, missing = methods(asked.weights, Path(folder))
        # All are timed before the first score is computed, which keeps the cores busy.
        played = {name: heard_by(name, method, clips) for name, method in found.items()}
        for name, (tasks, seconds, lost) in played.items():
            scores = list(pool.map(score, tasks))
            rows.append(row(name, scores, seconds, lost))
            every[name] = scores
    loss = float(np.mean([np.mean(clip.lost) for clip in clips]))
    known = sum(clip.clean is not None for clip in clips)
    table(rows, f"{len(clips)} clips ({known} with clean sound), mean loss {100 * loss:.1f} %")
    lines = how(MEASURES)
    for name, text in [*lines.items(), *missing.items()]:
        print(f"{name}: {text}")
    shows = "how well lost packets are concealed, on the same clips and traces, and at what cost"
    facts = {"scored_with": lines, "skipped": missing, "mean_loss": loss}
    names = [clip.name for clip in clips]
    write_json(asked.json, {"shows": shows, "rows": rows, **facts, "clips": names, "scores": every})
    return 0


if __name__ == "__main__":
    sys.exit(main())
