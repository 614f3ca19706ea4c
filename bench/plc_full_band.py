# SPDX-License-Identifier: MIT
"""Show how well lost packets of full-band speech (48 kHz) are concealed, and above 8 kHz too.

Clean speech (``--speech``, one folder or several) loses packets of 20 ms by two Gilbert models in
turn, (p, q) = (0.1, 0.4) and (0.06, 0.2), after a clean first 100 ms. ``--published`` names a
folder with NAME_clean, NAME_lossy and NAME_METHOD sounds, such as the demonstration of FRN (V.-A.
Nguyen et al., ICASSP 2023): what others published is scored as it lies there, beside rtcore's
methods on the same losses, which are read off the zeros of the lossy sound.

*plc* is the plugin with its full-band network; *plc-wb, gaps* has the wide-band network in its
place, resampled around each loss only; *plc-wb, all* plays everything at 16 kHz, so that nothing
above 8 kHz is left.

PLCMOS v2, PESQ and STOI judge what is below 8 kHz. *LSD* is the log-spectral distance above 8 kHz
in dB: frames of 2048 samples under a Hann window every 512, levels at least -80 dB re full scale,
the root mean square over bins, the mean over frames that hold lost samples (others are equal).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from _common import table, write_json
from _plc_clips import gilbert
from _plc_groups import written
from _plc_methods import chained
from scipy.signal import resample_poly

from rtcore.audiofile import read
from rtcore.challenges.plc.bootstrap import interval
from rtcore.challenges.plc.loss_models import parse_model
from rtcore.challenges.plc.scores import Scorer, how
from rtcore.host import find

RATE, PACKET, TIMES = 48000, 960, 3
LOSSES = ("gilbert:0.1,0.4", "gilbert:0.06,0.2")
FRAME, STEP, FLOOR = 2048, 512, 1e-4
LONGEST_S = 15

Clip = tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    add = parser.add_argument
    add("--speech", type=Path, nargs="+", default=[], metavar="FOLDER", help="clean, at 48 kHz")
    add("--clips", type=int, default=20, help="of each folder (%(default)s)")
    add("--published", type=Path, metavar="FOLDER", help="NAME_clean, NAME_lossy, NAME_METHOD")
    add("--json", type=Path, metavar="FILE", help="write all figures here as well")
    asked = parser.parse_args()
    if not asked.speech and asked.published is None:
        parser.error("name --speech, --published or both")
    return asked


def sounds(folder: Path) -> list[Path]:
    """Find the sounds of a folder."""
    return sorted(p for p in folder.rglob("*") if p.suffix in {".flac", ".wav"})


def mono(path: Path) -> np.ndarray:
    """Read whole packets of a sound, at most 15 s of them."""
    x, rate = read(path, "float64")
    if rate != RATE or len(x) != 1:
        raise SystemExit(f"{path}: must be mono at {RATE} Hz")
    return x[0, : min(x.shape[1], LONGEST_S * RATE) // PACKET * PACKET]


def spoken(folder: Path, count: int) -> Iterator[Clip]:
    """Lose packets of clean speech."""
    for number, path in enumerate(sounds(folder)[:count]):
        clean = mono(path)
        model = parse_model(LOSSES[number % len(LOSSES)])
        yield path.stem, clean, gilbert(model, clean.size // PACKET, number), {}


def published(folder: Path) -> Iterator[Clip]:
    """Take clips with what others made of them."""
    files = {path.stem: path for path in sounds(folder)}
    for name in sorted(stem.removesuffix("_lossy") for stem in files if stem.endswith("_lossy")):
        lossy, clean = mono(files[f"{name}_lossy"]), mono(files[f"{name}_clean"])
        lost = ~lossy.reshape(-1, PACKET).any(axis=1)
        others = {
            stem.removeprefix(f"{name}_"): mono(path)
            for stem, path in files.items()
            if stem.startswith(f"{name}_") and not stem.endswith(("_lossy", "_clean"))
        }
        yield name, clean, lost, others


def wide_band(clean: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Conceal everything at 16 kHz, and bring it back."""
    x = resample_poly(clean, 1, TIMES) * ~np.repeat(lost, PACKET // TIMES)
    return resample_poly(chained(find("plc")())(x, lost)[0], TIMES, 1)[: clean.size]


def heard(clean: np.ndarray, lost: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Play every method of rtcore's."""
    lossy = clean * ~np.repeat(lost, PACKET)
    yield "plc-zero", lossy
    for name, plugin in (
        ("plc-pitch", find("plc-pitch")()),
        ("plc", find("plc")()),
        ("plc-wb, gaps", find("plc")(bundle="plc-wb")),
    ):
        yield name, chained(plugin, RATE)(lossy, lost)[0]
    yield "plc-wb, all", wide_band(clean, lost)


def distance_db(y: np.ndarray, clean: np.ndarray, lost: np.ndarray) -> float:
    """Give the log-spectral distance above 8 kHz, of frames with lost samples."""
    window, first = np.hanning(FRAME), 8000 * FRAME // RATE + 1

    def levels(x: np.ndarray) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::STEP]
        spectrum = np.abs(np.fft.rfft(frames * window))[:, first:] / window.sum()
        return 20.0 * np.log10(spectrum + FLOOR)

    gone = np.lib.stride_tricks.sliding_window_view(np.repeat(lost, PACKET), FRAME)[::STEP]
    apart = np.sqrt(np.mean((levels(y) - levels(clean)) ** 2, axis=1))
    return float(apart[gone.any(axis=1)].mean())


def scored(clips: list[Clip]) -> dict[str, list[dict[str, float]]]:
    """Score all methods on all clips, by method."""
    scorer = Scorer(("plcmos", "pesq", "stoi"))
    rows: dict[str, list[dict[str, float]]] = {}
    for name, clean, lost, others in clips:
        print(f"{name}: {lost.mean():.0%} lost", flush=True)
        reference = resample_poly(clean, 1, TIMES)
        for method, sound in [("clean", clean), *heard(clean, lost), *others.items()]:
            y = np.asarray(sound, np.float64)[: clean.size]
            low = np.clip(resample_poly(y, 1, TIMES), -1.0, 1.0)
            found = scorer.score(low, RATE // TIMES, reference)[0]
            row = {key: float(found[key]) for key in ("plcmos_v2", "pesq_wb", "stoi")}
            rows.setdefault(method, []).append(row | {"lsd_db": distance_db(y, clean, lost)})
    return rows


def cells(method: str, rows: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Give a method's line of the table."""
    row: dict[str, object] = {"method": method}
    for key, heading in (("plcmos_v2", "PLCMOS v2"), ("pesq_wb", "PESQ-WB"), ("stoi", "STOI"),
                         ("lsd_db", "LSD dB")):  # fmt: skip
        row[heading] = float(np.mean([one[key] for one in rows[method]]))
    for key, heading in (("plcmos_v2", "plc more PLCMOS"), ("lsd_db", "plc more LSD dB")):
        pairs = zip(rows["plc"], rows[method], strict=True)
        found = interval([ours[key] - theirs[key] for ours, theirs in pairs])
        row[heading] = written(found, signed=True)
    return row


def main() -> None:
    """Print a table for the speech, and one for what was published."""
    asked, figures = options(), {}
    sets = {"speech": [c for folder in asked.speech for c in spoken(folder, asked.clips)]}
    if asked.published is not None:
        sets["published"] = list(published(asked.published))
    for title, clips in sets.items():
        if not clips:
            continue
        rows = scored(clips)
        lost = float(np.mean([one[2].mean() for one in clips]))
        table([cells(m, rows) for m in rows], f"{title}: {len(clips)} clips, {lost:.1%} lost")
        figures[title] = {"clips": [one[0] for one in clips], "scores": rows}
    write_json(asked.json, {**figures, "how": how(("plcmos", "pesq", "stoi"))})


if __name__ == "__main__":
    main()
