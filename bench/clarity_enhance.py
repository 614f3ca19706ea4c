# SPDX-License-Identifier: MIT
"""Show how fast Clarity scenes are enhanced, from file to file, against the official code.

Scenes of stereo sound like speech (44.1 kHz, 16 bits) go through the CEC2 baseline: NAL-R, the
compressor, tanh, 16 bits. The official code is the loop of its ``enhance.py``; rtcore is what
``rtcore clarity enhance`` runs: jobs with fingerprints and a ledger, files read and written. Both
work in this process, on one core, in turns; starting Python is not timed.

Behind that, worker processes do more of the same scenes. Their rate is that of the second half of
the scenes, so that starting them is not timed either.

Every round writes into a new folder, as a first run does: to replace a file of an earlier round
takes the system longer than to write it.

Each target is judged by the fastest of the rounds of either side, because other programs on the
machine can only add time. Processor time, which they add less to, stands beside it. Files lie in
the temporary folder; name one in memory (``TMPDIR=/dev/shm``) where the disk is the limit.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _common import arguments, table, write_json

from rtcore.audiofile import write
from rtcore.batch import Ledger, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity import enhance as work
from rtcore.challenges.clarity.aid import Aid, baseline
from rtcore.challenges.clarity.enhance import Enhancer, EnhanceSettings
from rtcore.challenges.clarity.layout import ClaritySet, find_set
from rtcore.synth import speech_like

try:
    import omegaconf
    from recipes.cec2.baseline.enhance import enhance as their_enhance
except ImportError:
    their_enhance = None

RATE_HZ = 44100
LISTENERS = {
    "L0064": ([40, 30, 20, 50, 60, 65, 80, 75], [40, 35, 30, 50, 60, 75, 80, 80]),
    "L0066": ([35, 35, 40, 50, 55, 60, 65, 65], [20, 20, 25, 35, 40, 45, 50, 50]),
}
CFS = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
TARGETS = (("float64", 20.0), ("float32", 40.0), ("two processes", 1.8))


def made_set(folder: Path, scenes: int, seconds: float) -> ClaritySet:
    """Write a set: scenes of their own, each for one of the listeners."""
    (folder / "metadata").mkdir(parents=True)
    (folder / "scenes").mkdir()
    heard = {}
    x = np.stack([speech_like(seconds + scenes, RATE_HZ, seed=ear) for ear in (0, 1)])
    for k in range(scenes):
        part = x[:, k * RATE_HZ : k * RATE_HZ + round(seconds * RATE_HZ)]
        write(folder / "scenes" / f"S{k:05d}_mix_CH1.wav", part, RATE_HZ, subtype="PCM_16")
        heard[f"S{k:05d}"] = [list(LISTENERS)[k % len(LISTENERS)]]
    people = {
        name: {"name": name, "audiogram_cfs": CFS, "audiogram_levels_l": left,
               "audiogram_levels_r": right}
        for name, (left, right) in LISTENERS.items()
    }  # fmt: skip
    entries = [{"dataset": "dev", "room": "R00001", "scene": name} for name in heard]
    for name, content in (
        ("listeners", people), ("scenes_listeners.dev", heard), ("scenes.dev", entries)
    ):  # fmt: skip
        (folder / "metadata" / f"{name}.json").write_text(json.dumps(content))
    return find_set(folder)


def official(folder: Path, out: Path) -> None:
    """Enhance with the loop of the official script."""
    config = {
        "path": {
            "exp_folder": str(out),
            "scenes_folder": str(folder / "scenes"),
            "scenes_listeners_file": str(folder / "metadata" / "scenes_listeners.dev.json"),
            "listeners_file": str(folder / "metadata" / "listeners.json"),
        },
        "nalr": {"nfir": 220, "sample_rate": RATE_HZ},
        "compressor": {
            "threshold": 0.35, "attenuation": 0.1, "attack": 50, "release": 1000,
            "rms_buffer_size": 0.064,
        },
        "soft_clip": True,
    }  # fmt: skip
    their_enhance.__wrapped__(omegaconf.OmegaConf.create(config))


def own(found: ClaritySet, out: Path, dtype: str, processes: int = 1) -> list[float]:
    """Enhance with rtcore; give when each output was finished, in s, by its file's own time."""
    aid = Aid(baseline(found.edition).override(dtype=dtype))
    enhancer = Enhancer(aid, found.people, EnhanceSettings())
    pairs = list(found.pairs)
    ledger = Ledger(made_folder(out))
    with ledger.writing():
        ledger.forget()
        for outcome in work.enhance(found, pairs, out, enhancer, ledger, workers=processes):
            assert outcome.status == "done", outcome.error
    return sorted(path.stat().st_mtime_ns / 1e9 for path in out.glob("*.wav"))


def in_turns(folder: Path, functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Call functions in turns; give wall and processor seconds of each round, but the first.

    What each has written, into the folder with its name, is removed before its next round.
    """
    taken: dict[str, Any] = {name: {"wall": [], "cpu": []} for name in functions}
    for k in range(repeats + 1):
        for name, function in functions.items():
            shutil.rmtree(folder / name, ignore_errors=True)
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            if k:
                taken[name]["wall"].append(time.perf_counter() - wall)
                taken[name]["cpu"].append(time.process_time() - cpu)
    return taken


def one_core(folder: Path, scenes: int, seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Compare one core's work on the same files."""
    found = made_set(folder / "set", scenes, seconds)
    functions = {
        dtype: lambda dtype=dtype: own(found, folder / dtype, dtype)
        for dtype in ("float64", "float32")
    }
    if their_enhance is not None:
        functions["official"] = lambda: official(folder / "set", folder / "official")
    taken = in_turns(folder, functions, repeats)
    rows = []
    for name, times in taken.items():
        row: dict[str, Any] = {
            "what": name,
            "ms / scene": 1e3 * statistics.median(times["wall"]) / scenes,
            "cpu ms / scene": 1e3 * min(times["cpu"]) / scenes,
            "x real time": scenes * seconds / min(times["wall"]),
        }
        if "official" in taken:
            theirs = taken["official"]
            row["official / rtcore"] = min(theirs["wall"]) / min(times["wall"])
            row["cpu: official / rtcore"] = min(theirs["cpu"]) / min(times["cpu"])
            row["samples that differ"] = differing(folder, name)
        rows.append(row)
    return rows


def differing(folder: Path, name: str) -> int:
    """Count samples that are not those of the official files."""
    total = 0
    for path in (folder / "official" / "enhanced_signals").glob("*.wav"):
        same = path if name == "official" else folder / name / path.name
        a, b = (soundfile.read(each, dtype="int16")[0] for each in (path, same))
        total += int(np.count_nonzero(a != b))
    return total


def per_job(folder: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """Measure what a job costs beside its work: its scene's fingerprint, report, ledger.

    The scenes are those of `one_core`. Hashing a scene is most of the fingerprint, and the
    listeners of a scene share that; the chain's own is taken once a run.
    """
    found = find_set(folder / "set")
    enhancer = Enhancer(Aid(baseline(found.edition)), found.people, EnhanceSettings())
    pairs, target, taken = list(found.pairs), folder / "idle", []
    ledger = Ledger(made_folder(target))
    for _ in range(repeats):
        with ledger.writing():
            ledger.forget()
            listed = list(work.enhance_jobs(pairs, found.signals, target, enhancer))
            start = time.process_time()
            for _ in range(jobs // len(pairs)):
                list(run_jobs(listed, written, ledger))
            taken.append((time.process_time() - start) / (jobs // len(pairs) * len(pairs)))
        start = time.process_time()
        list(work.enhance_jobs(pairs, found.signals, target, enhancer))
        listing = (time.process_time() - start) / len(pairs)
    return {"ledger and report, ms": 1e3 * min(taken), "fingerprint, ms": 1e3 * listing}


def written(task: Any) -> dict[str, Any]:
    """Do no work but to make the file."""
    task.target.touch()
    return {"frames": 0}


def more_cores(
    folder: Path, scenes: int, seconds: float, repeats: int, workers: int
) -> list[dict[str, Any]]:
    """Measure the rate of one worker process and of several."""
    found = made_set(folder / "more", scenes, seconds)
    rates: dict[int, list[float]] = {1: [], workers: []}
    for _ in range(repeats):
        for count, found_rates in rates.items():
            target = folder / f"by {count}"
            shutil.rmtree(target, ignore_errors=True)
            ended = own(found, target, "float64", processes=count)
            first = len(ended) // 2  # every worker has compiled code loaded by then
            found_rates.append((len(ended) - 1 - first) / (ended[-1] - ended[first]))
    shares = [many / one for one, many in zip(rates[1], rates[workers], strict=True)]
    return [
        {
            "processes": count,
            "scenes / s": statistics.median(found_rates),
            "best scenes / s": max(found_rates),
            "times one": 1.0 if count == 1 else statistics.median(shares),
        }
        for count, found_rates in rates.items()
    ]


def main() -> None:
    """Measure, print and judge."""
    given = arguments(__doc__, 5, seconds=10.0, scenes=20, more=200, workers=2)
    with tempfile.TemporaryDirectory(prefix="rtcore-bench-") as name:
        folder = Path(name)
        rows = one_core(folder, given.scenes, given.seconds, given.repeats)
        overhead = per_job(folder, 10 * given.scenes, given.repeats)
        scaling = more_cores(folder, given.more, given.seconds, given.repeats, given.workers)
    table(rows, f"{given.scenes} scenes of {given.seconds:g} s, one core, file to file")
    table([overhead], "processor time of a job beside its work")
    table(scaling, f"{given.more} scenes, float64, worker processes")
    figures = {row["what"]: row.get("official / rtcore") for row in rows}
    if given.workers == 2:
        figures["two processes"] = scaling[-1]["times one"]
    for what, target in TARGETS:
        found = figures.get(what)
        if found is not None:
            verdict = "met" if found >= target else "missed"
            print(f"{what}: {found:.3g} times, target {target:g}: {verdict}")
    shows = (__doc__ or "").strip().splitlines()[0]
    write_json(
        given.json, {"shows": shows, "one core": rows, "a job": overhead, "processes": scaling}
    )


if __name__ == "__main__":
    main()
