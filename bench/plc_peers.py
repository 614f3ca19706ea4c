# SPDX-License-Identifier: MIT
"""Show how well lost packets are concealed, by rtcore's plugins and by its peers.

Clean speech (``--speech``: a folder of folders, one for each speaker) loses packets of 20 ms by
Gilbert models with (p, q) = (0.04, 0.5), (0.05, 0.33) and (0.04, 0.2) in turn, after a clean
first 100 ms. ``--strata N`` adds a set as ``rtcore plc make`` makes it, N clips in each burst
stratum; clips of the challenge (``--real``: a 2022 set, ``--real-clean``: its clean sounds) bring
their own traces. All are at 16 kHz, and every method gets the same clips and traces.

*plc-zero*, *plc-repeat*, *plc-pitch* and *plc* are rtcore's plugins; *tplcnet* and *ms-plc-2022*
are models by others, streamed by the plugin ``model`` from the manifests in ``bundles`` with the
weights of ``--weights``; *opus-classic* is the system's libopus at 32 kb/s with its classic
concealment, *opus-deep-lace* and *opus-deep-nolace* decode the same packets with the deep one of
libopus 1.5 (``--opus-ml``) and enhance what was received; *opus-no-loss* shows what the codec
alone costs.

Tables: means over all clips and for each burst stratum, and how much more ``--against`` has than
each other, clip by clip, with paired bootstrap intervals; over plc-pitch also in each loss-rate
cell. The JSON has all of it in every cell, and the scores of every clip.

PLCMOS v2 is that of speechmos, with NumPy seeded with 23 before each clip; PESQ and STOI count the
clips with clean sound. Latency is taken out first. Times are medians of whole calls from Python
(deep Opus: within node), one for each packet of 20 ms: received ones (most do little there) and
lost ones; those of Opus include coding.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from _common import table, write_json
from _plc_clips import Clip, real_clips, speech_clips, strata_clips
from _plc_groups import COLUMNS, Group, Scores, differences, groups, means, plain, written
from _plc_methods import FROM_CLEAN, NAMES, Found, find_methods
from _plc_results import MEASURES, Cache, Result, Results, played, scored, set_up

from rtcore.batch import usable_cores
from rtcore.challenges.plc.scores import how

QUICK = 3
FLOOR = "plc-pitch"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", help="write all figures here as well")
    add("--speech", type=Path, metavar="FOLDER", help="clean speech at 16 kHz")
    add("--clips", type=int, default=50, help="of the speech (%(default)s)")
    add("--strata", type=int, default=0, metavar="N", help="clips more in each burst stratum")
    add("--cells", type=int, default=3, help="loss-rate cells in each stratum (%(default)s)")
    add("--seed", type=int, default=0, help="of the clips of --strata (%(default)s)")
    add("--real", type=Path, metavar="FOLDER", help="a 2022 set with traces")
    add("--real-clean", type=Path, metavar="FOLDER", help="its clean sounds")
    add("--weights", type=Path, metavar="FOLDER", help="the peers' .onnx files")
    add("--opus-ml", type=Path, metavar="FOLDER", help="where its npm package was installed")
    add(
        "--against",
        default="plc",
        choices=NAMES,
        metavar="NAME",
        help=f"whose lead is shown (%(default)s, else {FLOOR})",
    )
    text = "play these methods; others are shown as --cache has them"
    add("--only", type=names, default=NAMES, metavar="A,B", help=text)
    add("--cache", type=Path, metavar="FOLDER", help="keep scores here for later runs")
    text = f"{QUICK} clips of the speech, and nothing else"
    add("--quick", action="store_true", help=text)
    return parser.parse_args()


def names(given: str) -> tuple[str, ...]:
    """Read names of methods."""
    found = tuple(given.split(","))
    if unknown := [name for name in found if name not in NAMES]:
        what = f"there is no method {unknown[0]}; there are {', '.join(NAMES)}"
        raise argparse.ArgumentTypeError(what)
    return found


def gather(asked: argparse.Namespace, work: Path) -> tuple[list[Clip], list[str]]:
    """Give all clips, and what is not as it was asked for."""
    clips = list(speech_clips(asked.speech, QUICK if asked.quick else asked.clips))
    notes: list[str] = []
    if asked.strata and not asked.quick:
        more, notes = strata_clips(
            asked.speech, asked.strata, asked.cells, asked.seed, work / "set"
        )
        clips += more
    if asked.real is not None and not asked.quick:
        clips += real_clips(asked.real, asked.real_clean)
    return clips, notes


def results_of(
    asked: argparse.Namespace, found: Found, clips: list[Clip], cache: Cache
) -> tuple[Results, list[str]]:
    """Play and score; give also the names whose results are those of an earlier run."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(usable_cores(), spawn, set_up) as pool:
        # All are timed before the first score is computed, which keeps the cores busy.
        sounds = {name: played(method, clips) for name, method in found.methods.items()}
        results = scored(sounds, clips, cache, pool)
    earlier = [name for name in NAMES if name not in asked.only]
    for name in earlier:
        kept = [cache.get(name, clip) for clip in clips]
        needed = [name not in FROM_CLEAN or clip.clean is not None for clip in clips]
        if all(k is not None for k, must in zip(kept, needed, strict=True) if must):
            results[name] = kept
        else:
            found.missing[name] = "is not among --only, and --cache does not have it for all clips"
    ordered = {name: results[name] for name in NAMES if name in results}
    return ordered, [name for name in earlier if name in results]


def row(name: str, results: list[Result | None], clips: list[Clip], every: Group) -> dict[str, Any]:
    """Give a method's line of the first table."""
    known = [(r, clip.lost) for r, clip in zip(results, clips, strict=True) if r is not None]
    seconds = np.concatenate([r["seconds"] for r, _ in known])
    lost = np.concatenate([gone for _, gone in known])
    found = means(_scores(results), every)
    mean = {key: float("nan") if v is None else v.mean for key, v in found.items()}
    plcmos = found["plcmos_v2"]
    bounds = "" if plcmos is None or plcmos.low is None else f"{plcmos.low:.2f}-{plcmos.high:.2f}"
    return {
        "method": name,
        "clips": len(known),
        "PLCMOS v2": mean["plcmos_v2"],
        "95 %": bounds,
        "PESQ-WB": mean["pesq_wb"],
        "STOI": mean["stoi"],
        "ms, received": 1e3 * float(np.median(seconds[~lost])),
        "ms, lost": 1e3 * float(np.median(seconds[lost])),
        "p99 ms": 1e3 * float(np.quantile(seconds, 0.99)),
    }


def _scores(results: Sequence[Result | None]) -> Scores:
    return [None if r is None else r["scores"] for r in results]


def by_group(results: Results, parts: list[Group], ours: str | None) -> list[dict[str, Any]]:
    """Give for each group the means of all methods, and the lead of ours over each other."""
    tables = []
    for part in parts:
        found: dict[str, Any] = {
            "group": part.label, "stratum": part.stratum, "cell": part.cell,
            "clips": len(part.members), "loss": part.loss,
            "means": {name: plain(means(_scores(r), part)) for name, r in results.items()},
        }  # fmt: skip
        if ours is not None:
            mine = _scores(results[ours])
            others = {name: _scores(r) for name, r in results.items() if name != ours}
            leads = {name: plain(differences(mine, s, part)) for name, s in others.items()}
            found["differences"] = leads
        tables.append(found)
    return tables


def show(results: Results, parts: list[Group], ours: str | None) -> None:
    """Print means for each stratum, then whose lead over whom is how large there."""
    whole = [part for part in parts if part.cell is None]
    for part in whole[1:]:
        rows = []
        for name, found in results.items():
            cells = {COLUMNS[key]: written(v) for key, v in means(_scores(found), part).items()}
            rows.append({"method": name, **cells})
        table(rows, f"bursts {part.label}: {len(part.members)} clips, means [95 %]")
    if ours is None:
        return
    mine = _scores(results[ours])
    for key, label in COLUMNS.items():
        rows = []
        for name in results:
            if name not in (ours, "clean", "opus-no-loss"):
                leads = {p.label: differences(mine, _scores(results[name]), p)[key] for p in whole}
                rows.append(
                    {"peer": name, **{k: written(v, signed=True) for k, v in leads.items()}}
                )
        if rows:
            table(rows, f"{label}: {ours} minus each peer [95 %, paired]")
    if FLOOR in results and ours != FLOOR:
        rows = []
        for part in parts:
            leads = differences(mine, _scores(results[FLOOR]), part)
            cells = {COLUMNS[key]: written(v, signed=True) for key, v in leads.items()}
            rows.append({"clips": part.label, "count": len(part.members), **cells})
        table(rows, f"{ours} minus {FLOOR}, also in each loss-rate cell [95 %, paired]")


def main() -> int:
    """Conceal, score and print."""
    asked = options()
    if asked.speech is None:
        print("nothing to do: name a folder of clean speech at 16 kHz with --speech FOLDER")
        return 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        clips, notes = gather(asked, work)
        found = find_methods(asked.only, asked.weights, asked.opus_ml, stack, work)
        lines = how(MEASURES)
        delays = found.delays_left(clips[0])
        results, earlier = results_of(asked, found, clips, Cache(asked.cache, lines))
    parts = groups([clip.lost for clip in clips], asked.cells)
    rows = [row(name, found, clips, parts[0]) for name, found in results.items()]
    loss = float(np.mean([np.mean(clip.lost) for clip in clips]))
    known = sum(clip.clean is not None for clip in clips)
    table(rows, f"{len(clips)} clips ({known} with clean sound), mean loss {100 * loss:.1f} %")
    ours = next((name for name in (asked.against, FLOOR) if name in results), None)
    show(results, parts, ours)
    if ours != asked.against and ours is not None:
        notes.append(f"{asked.against} has no results here: the lead of {ours} is shown")
    if earlier:
        notes.append(f"{', '.join(earlier)}: as an earlier run left them in --cache")
    print(*(f"{name}: {what}" for name, what in {**lines, **found.missing}.items()), sep="\n")
    print(*notes, sep="\n")
    facts = {
        "scored_with": lines, "skipped": found.missing, "versions": found.versions, "notes": notes,
        "frames_of_delay_left": delays, "mean_loss": loss, "against": ours, "from_cache": earlier,
        "groups": by_group(results, parts, ours), "clips": [clip.name for clip in clips],
        "scores": {name: _scores(found) for name, found in results.items()},
    }  # fmt: skip
    shows = "how well lost packets are concealed, on the same clips and traces, and at what cost"
    write_json(asked.json, {"shows": shows, "rows": rows, **facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
