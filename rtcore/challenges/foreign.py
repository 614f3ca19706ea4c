# SPDX-License-Identifier: MIT
"""Folders whose files rtcore has not written: another program's outputs are never overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rtcore.batch.ledger import LEDGER
from rtcore.errors import ConfigError

__all__ = ["check_foreign"]


def check_foreign(folder: Path, names: Iterable[str], command: str) -> None:
    """Refuse a folder that no run has written to, and that has files with the outputs' names.

    Parameters
    ----------
    folder : Path
        Of the outputs; it need not exist.
    names : iterable of str
        Of the outputs.
    command : str
        What would write them: "cadenza enhance".

    Raises
    ------
    ConfigError
        With the first of them.
    """
    if not folder.is_dir() or (folder / LEDGER).exists():
        return
    foreign = [name for name in names if (folder / name).exists()]
    if foreign:
        what = f"holds {len(foreign)} files with the outputs' names ({', '.join(foreign[:3])}) that"
        remedy = "name another folder, or overwrite them with --again"
        raise ConfigError(str(folder), f"{what} `{command}` has not written; {remedy}")
