# SPDX-License-Identifier: MIT
"""Model bundles: folders with a ``model.toml`` and the ONNX files that it names.

They are looked for in the folders of ``RTCORE_MODEL_PATH``, in the user's folder and in the
first-party folder, in this order; the first find wins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtcore._searchpath import ENVIRONMENT, first_party_folder, search_path, user_folder
from rtcore.errors import ModelError, RtcoreError, did_you_mean
from rtcore.onnx.manifest import MANIFEST, Manifest, load_manifest

__all__ = ["Bundle", "BundleInfo", "all_bundles", "find_bundle"]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest was read.

    Attributes
    ----------
    manifest : Manifest
        What it declares.
    folder : Path
        Where it lies.
    """

    manifest: Manifest
    folder: Path

    def files(self) -> list[Path]:
        """Give the ONNX files of the stages."""
        return [self.folder / stage.file for stage in self.manifest.stage]


@dataclass(frozen=True)
class BundleInfo:
    """What is known of a folder that holds a manifest.

    Attributes
    ----------
    name : str
        The bundle's id; the folder's name where its manifest cannot be read.
    folder : Path
        Where it lies.
    origin : str
        ``"first-party"``, ``"user"`` or ``"path"`` (``RTCORE_MODEL_PATH``).
    bundle : Bundle or None
        None where its manifest cannot be read.
    error : str
        A sentence where it cannot be used, else empty.
    """

    name: str
    folder: Path
    origin: str
    bundle: Bundle | None = None
    error: str = ""


def find_bundle(name: str | os.PathLike[str]) -> Bundle:
    """Find a bundle by its id, its folder or its manifest.

    Parameters
    ----------
    name : str or path
        Such as ``dtln``, ``my-models/dtln`` or ``my-models/dtln/model.toml``.

    Returns
    -------
    Bundle

    Raises
    ------
    ModelError
        Where there is none, with the nearest name and the places looked in.
    ConfigError
        Where its manifest says something impossible.
    """
    word = os.fspath(name)
    path = Path(os.path.expanduser(word))  # noqa: PTH111 - Path's own fails for unknown users
    if os.sep in word or path.suffix == ".toml":
        if not path.exists():
            raise ModelError(f"{word}: there is no such model bundle; check the path")
        path = path.absolute()  # "./dtln" as a path would be "dtln", which is a name
        return _read(path if path.is_dir() else path.parent, path)
    broken = None
    known = []
    for info in all_bundles():
        if info.name == word:
            if info.bundle is not None and not info.error:
                return info.bundle
            broken = broken or info
        known.append(info.name)
    if broken is not None:
        _read(broken.folder, broken.folder)  # raises what is wrong with it
    if (Path(word) / "model.toml").is_file():
        msg = f"no model bundle is called {word!r}; for the folder of that name here write ./{word}"
        raise ModelError(msg)
    listed = ", ".join(dict.fromkeys(known)) or "none"
    msg = (
        f"no model bundle is called {word!r}{did_you_mean(word, known)}; there are: {listed}. Put "
        f"its folder into {user_folder('models')}, or name its parent in {ENVIRONMENT['models']}"
    )
    raise ModelError(msg)


def all_bundles() -> list[BundleInfo]:
    """List every bundle on the search path; of two with one id the later one has an ``error``."""
    found: list[BundleInfo] = []
    first: dict[str, Path] = {}
    for folder, origin in _folders():
        try:
            bundle = _read(folder, folder)
        except RtcoreError as error:
            found.append(BundleInfo(folder.name, folder, origin, error=str(error)))
            continue
        name = bundle.manifest.id
        hidden = f"hidden by {first[name]}, which has the same id" if name in first else ""
        first.setdefault(name, folder)
        found.append(BundleInfo(name, folder, origin, bundle, hidden))
    return found


def _folders() -> Iterator[tuple[Path, str]]:
    """Walk over all folders on the search path that hold a manifest."""
    origins = {first_party_folder("models"): "first-party", user_folder("models"): "user"}
    for place in search_path("models"):
        try:
            inside = sorted(p for p in place.iterdir() if (p / MANIFEST).is_file())
        except OSError:
            continue
        for folder in inside:
            yield folder, origins.get(place, "path")


def _read(folder: Path, manifest: Path) -> Bundle:
    return Bundle(load_manifest(manifest), folder)
