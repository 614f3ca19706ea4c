# SPDX-License-Identifier: MIT
"""Where plugins and model bundles are looked for: one rule for both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

Kind = Literal["plugins", "models"]
ENVIRONMENT: dict[str, str] = {"plugins": "RTCORE_PLUGIN_PATH", "models": "RTCORE_MODEL_PATH"}


def search_path(kind: Kind) -> list[Path]:
    """List the folders in the order in which they are searched; the first find wins.

    Parameters
    ----------
    kind : {"plugins", "models"}
        What is looked for.

    Returns
    -------
    list of pathlib.Path
        The entries of ``RTCORE_PLUGIN_PATH`` (``RTCORE_MODEL_PATH``), the user's folder, the
        first-party folder. All are absolute; the user's need not exist.
    """
    entries = os.environ.get(ENVIRONMENT[kind], "").split(os.pathsep)
    own = [Path(entry).expanduser().absolute() for entry in entries if entry]
    return [*own, user_folder(kind), first_party_folder(kind)]


def user_folder(kind: Kind) -> Path:
    """Give the folder where a user keeps plugins (models); it may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rtcore", appauthor=False)) / kind


def first_party_folder(kind: Kind) -> Path:
    """Give the folder that came with rtcore: in a wheel inside it, in a checkout beside it.

    Raises
    ------
    ImportError
        If the installation is broken and the folder is in neither place.
    """
    package = Path(__file__).resolve().parent
    installed, checkout = package / f"_{kind}", package.parent / kind
    if installed.is_dir():
        return installed
    if checkout.is_dir() and (package.parent / "pyproject.toml").is_file():
        return checkout
    raise ImportError(f"rtcore's own {kind} are missing from {package}; install rtcore again")
