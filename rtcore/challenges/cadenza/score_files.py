# SPDX-License-Identifier: MIT
"""The official table of scores, the side-car that says how it came about, and batches' merger."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from rtcore.atomicfile import write_whole
from rtcore.batch.shards import Shard
from rtcore.challenges.cadenza.evaluate import PairScore
from rtcore.challenges.cadenza.haaqi import LEVEL_DB_SPL
from rtcore.errors import ConfigError

__all__ = ["COLUMNS", "how_scored", "merge_batches", "read_scores", "table_name", "write_scores"]

#: The official header.
COLUMNS = tuple(field.name for field in fields(PairScore))
_PACKAGES = ("pyclarity", "numpy", "scipy", "numba", "soxr")
_BATCH = re.compile(r"scores_(\d+)-(\d+)\.csv")


def table_name(shard: Shard | None) -> str:
    """Name a table as the official code does: a batch of several has its number in it."""
    if shard is None or shard.count == 1:
        return "scores.csv"
    return f"scores_{shard.number}-{shard.count}.csv"


def how_scored(answers: Mapping[str, Any] | None, *, seeded: bool) -> dict[str, Any]:
    """Say all that scores depend on but the sounds.

    Parameters
    ----------
    answers : mapping or None
        What is known of how the answers were made.
    seeded : bool
        Whether the ears' noise was.
    """
    from importlib.metadata import PackageNotFoundError, version

    from rtcore import __version__

    versions = {"rtcore": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "score": "HAAQI of each ear by pyclarity, at 24 kHz; the mean of both",
        "seed": "last eight digits of the MD5 of the scene's id" if seeded else "none",
        "calibration": f"each ear's reference before NAL-R is at {LEVEL_DB_SPL:g} dB SPL",
        "versions": versions,
        "answers": dict(answers) if answers else "not known: no side-car beside them",
    }


def write_scores(
    path: Path, scores: Sequence[PairScore], how: Mapping[str, Any], failed: Mapping[str, str]
) -> list[Path]:
    """Write a table and its side-car of the same name with ``.json``.

    Parameters
    ----------
    path : Path
        The table.
    scores : sequence of PairScore
        Its rows.
    how : mapping
        See :func:`how_scored`.
    failed : mapping
        Scene and listener to why they have no row.

    Raises
    ------
    RtcoreError
        Where they cannot be written.
    """
    from rtcore.machine import machine

    write_whole(path, _table(scores), "the scores")
    about = {**how, "rows": len(scores), "mean": means(scores), "failed": dict(failed)}
    side_car = path.with_suffix(".json")
    text = json.dumps({**about, "machine": machine()}, indent=2, default=str) + "\n"
    write_whole(side_car, text, "what the scores are")
    return [path, side_car]


def means(scores: Sequence[PairScore]) -> dict[str, float | None]:
    """Give the mean of each of the three columns of scores; None without a row."""
    keys = ("left_score", "right_score", "score")
    count = len(scores)
    return {key: sum(getattr(s, key) for s in scores) / count if count else None for key in keys}


def _table(scores: Iterable[PairScore]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)  # with the line ends that the official code's has
    writer.writerow(COLUMNS)
    writer.writerows(astuple(score) for score in scores)
    return out.getvalue()


def read_scores(path: Path) -> list[PairScore]:
    """Read a table of scores.

    Raises
    ------
    ConfigError
        Naming the file and the line.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))
    except (OSError, ValueError) as error:
        what = f"cannot be read as a table of scores ({error}); score that batch again"
        raise ConfigError(str(path), what) from None
    if not rows or tuple(rows[0]) != COLUMNS:
        what = f"does not begin with {','.join(COLUMNS)}; score that batch again"
        raise ConfigError(str(path), what)
    found = []
    for line, row in enumerate(rows[1:], 2):
        try:
            scene, song, listener, left, right, both = row
            found.append(PairScore(scene, song, listener, float(left), float(right), float(both)))
        except ValueError:
            what = f"must hold three names and three numbers, got {','.join(row)!r:.60}"
            raise ConfigError(f"{path}: line {line}", f"{what}; score that batch again") from None
    return found


def merge_batches(folder: Path) -> tuple[Path, list[PairScore]]:
    """Join ``scores_1-4.csv`` .. ``scores_4-4.csv`` to ``scores.csv``, in their order.

    Raises
    ------
    ConfigError
        Where batches are missing, are of several divisions, or have a pair twice.
    """
    parts: dict[int, dict[int, Path]] = {}
    for path in folder.glob("scores_*-*.csv"):
        name = _BATCH.fullmatch(path.name)
        if name is not None:
            parts.setdefault(int(name[2]), {})[int(name[1])] = path
    if len(parts) != 1:
        found = f"batches of {' and of '.join(map(str, sorted(parts)))}" if parts else "no batches"
        what = f"has {found}; it must have scores_1-N.csv to scores_N-N.csv of one N"
        raise ConfigError(str(folder), what)
    [(count, paths)] = parts.items()
    missing = [str(k) for k in range(1, count + 1) if k not in paths]
    if missing:
        what = f"lacks batch {', '.join(missing)} of {count}; evaluate with --shard {missing[0]}/"
        raise ConfigError(str(folder), f"{what}{count}")
    scores = [score for k in sorted(paths) for score in read_scores(paths[k])]
    seen: set[tuple[str, str]] = set()
    for score in scores:
        if (score.scene, score.listener) in seen:
            what = f"have {score.scene} with {score.listener} twice; score them again"
            raise ConfigError(str(folder), f"the batches {what}")
        seen.add((score.scene, score.listener))
    how = _common(folder, paths)
    write_scores(folder / "scores.csv", scores, how, {})
    return folder / "scores.csv", scores


def _common(folder: Path, paths: Mapping[int, Path]) -> dict[str, Any]:
    """Give what the batches' side-cars say, which must be the same for all."""
    said = []
    for path in paths.values():
        side_car = path.with_suffix(".json")
        try:
            about = json.loads(side_car.read_text("utf-8"))
        except (OSError, ValueError):
            return {"merged": f"{len(paths)} batches, of which not all have a side-car"}
        said.append({key: about.get(key) for key in ("score", "seed", "calibration", "answers")})
        said[-1]["versions"] = about.get("versions")
    if any(each != said[0] for each in said):
        what = "the batches were scored in different ways, as their .json say; score them again"
        raise ConfigError(str(folder), what)
    return {**said[0], "merged": f"{len(paths)} batches"}
