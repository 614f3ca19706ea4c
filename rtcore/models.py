# SPDX-License-Identifier: MIT
"""Model bundles, found by the same rule as plugins.

A bundle is a folder with a ``model.toml``. ``RTCORE_MODEL_PATH`` is searched first, then the
user's folder, then the first-party one; the first bundle of a name hides the later ones.
"""

from __future__ import annotations

from pathlib import Path

from rtcore._searchpath import search_path
from rtcore.errors import ConfigError, did_you_mean

MANIFEST = "model.toml"


def bundles() -> dict[str, Path]:
    """List every bundle on the search path.

    Returns
    -------
    dict of str to pathlib.Path
        Folder of each bundle by its name, in alphabetical order.
    """
    found: dict[str, Path] = {}
    for folder in search_path("models"):
        for manifest in folder.glob(f"*/{MANIFEST}"):
            found.setdefault(manifest.parent.name, manifest.parent)
    return dict(sorted(found.items()))


def find(name: str) -> Path:
    """Find one bundle.

    Parameters
    ----------
    name : str
        Name of a bundle on the search path.

    Returns
    -------
    pathlib.Path
        Its folder.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    known = bundles()
    if name not in known:
        folders = ", ".join(map(str, search_path("models")))
        raise ConfigError(
            "model",
            f"there is no {name!r} in {folders}{did_you_mean(name, known)}; "
            "put a folder with a model.toml there",
        )
    return known[name]
