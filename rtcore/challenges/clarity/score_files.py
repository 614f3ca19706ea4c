# SPDX-License-Identifier: MIT
"""Write scores as the official code does, with a file beside them that says how they came about."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from rtcore.atomicfile import write_whole
from rtcore.challenges.clarity.evaluate import PairScore, means
from rtcore.errors import ConfigError

__all__ = ["PROCESSED", "SIDE_CAR", "UNPROCESSED", "read_scores", "write_scores"]

#: In the folder of a system, as in the official one.
PROCESSED, UNPROCESSED, SIDE_CAR = "si.csv", "si_unproc.csv", "si.json"
_HEADER = ["scene", "listener", "haspi"]


def write_scores(folder: Path, scores: list[PairScore], about: dict[str, Any]) -> list[Path]:
    """Write ``si.csv``, ``si_unproc.csv`` and ``si.json``.

    Parameters
    ----------
    folder : Path
        Of the system; it exists.
    scores : sequence of PairScore
        In the order of the rows.
    about : dict
        JSON-able: what the side-car says beside the means.

    Returns
    -------
    list of Path
        What was written. Where no unprocessed scene was scored, that list is left as it is.
    """
    plain = [score for score in scores if score.unprocessed is not None]
    written = [folder / PROCESSED]
    rows = [(s.scene, s.listener, s.haspi) for s in scores]
    write_whole(written[0], _table(rows), "the scores")
    if plain:
        written.append(folder / UNPROCESSED)
        rows = [(s.scene, s.listener, s.unprocessed or 0.0) for s in plain]
        write_whole(written[1], _table(rows), "the scores")
    text = json.dumps({**means(scores), **about}, indent=2, default=str) + "\n"
    write_whole(folder / SIDE_CAR, text, "the scores")
    return [*written, folder / SIDE_CAR]


def read_scores(path: Path) -> dict[tuple[str, str], float]:
    """Read an official list of scores: scene and listener to HASPI.

    Raises
    ------
    ConfigError
        Naming the file and the line.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read as scores ({error}); check it") from None
    if not rows or rows[0] != _HEADER:
        what = f"does not begin with {','.join(_HEADER)}; name a list of scores"
        raise ConfigError(str(path), what)
    found = {}
    for number, row in enumerate(rows[1:], 2):
        try:
            scene, listener, value = row
            found[scene, listener] = float(value)
        except ValueError:
            what = f"is no scene, listener and score: {','.join(row)}; mend or remove it"
            raise ConfigError(f"{path}, line {number}", what) from None
    return found


def _table(rows: list[tuple[str, str, float]]) -> str:
    """Write rows as Python's csv module does: lines end in CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows((scene, listener, str(value)) for scene, listener, value in rows)
    return text.getvalue()
