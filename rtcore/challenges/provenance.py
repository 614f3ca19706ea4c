# SPDX-License-Identifier: MIT
"""Which system has made the outputs in a folder: all of them the same, or some of them another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rtcore.batch.ledger import results_in
from rtcore.errors import ConfigError

__all__ = ["MADE_WITH", "attributed", "made_with", "read_side_car"]

#: Under this key a job's result has the fingerprint of the system that did it.
MADE_WITH = "made_with"


def made_with(folder: Path, names: Iterable[str], rate_key: str = "") -> dict[str, int]:
    """Count outputs by the system that made them.

    Parameters
    ----------
    folder : Path
        With their ledger.
    names : iterable of str
        Of the files that count; what nobody knows of counts for nothing.
    rate_key : str
        Where a result has the sample rate on which a system's fingerprint depends, if it does.

    Returns
    -------
    dict
        Fingerprint to count, for the sample rate with the most systems. One entry or none is as
        it should be; more are there where a run was ended early, or did not do all, after another.
    """
    results = results_in(folder)
    rates: dict[int, Counter[str]] = {}
    for name in names:
        result = results.get(name, {})
        if result.get(MADE_WITH):
            rates.setdefault(result.get(rate_key, 0), Counter())[result[MADE_WITH]] += 1
    most: Counter[str] = max(rates.values(), key=len, default=Counter())
    return dict(most)


def read_side_car(path: Path) -> dict[str, Any] | None:
    """Read what a system's last run has written of itself; None where there is no such file.

    Raises
    ------
    ConfigError
        Where it is damaged: it is an object of JSON.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        what = "is damaged, so the scores cannot say how the outputs were made"
        raise ConfigError(str(path), f"{what}; enhance again, which writes it anew")
    return content


def attributed(
    told: Mapping[str, Any] | None, key: str, systems: Mapping[str, int]
) -> dict[str, Any]:
    """Say what outputs were made with, which need not be what the file beside them tells.

    Parameters
    ----------
    told : mapping or None
        The side-car of the last run that wrote there.
    key : str
        Where it has its system's fingerprint.
    systems : mapping
        What :func:`made_with` has found.

    Returns
    -------
    dict
        The side-car if it is of the one system that made them all, else fingerprints alone: null
        under `key` where there are several, which are counted under ``"made_with"``.
    """
    facts = dict(told or {})
    if len(systems) > 1:
        return {key: None, MADE_WITH: dict(systems)}
    if systems and facts.get(key) not in systems:
        return {key: next(iter(systems))}
    return facts
