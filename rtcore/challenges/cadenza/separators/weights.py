# SPDX-License-Identifier: MIT
"""Weights of the baselines' networks: in a file of the user's, or where torch keeps downloads.

rtcore downloads none. A file of one's own is what ``torch.save`` made of a state dict of the
official architecture, or of ``{"config": ..., "state_dict": ...}``, where ``config`` has the
arguments of the architecture where they differ: so that networks of other sizes can be used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rtcore.challenges.cadenza.needs import needed
from rtcore.errors import ModelError

__all__ = ["HDEMUCS", "OPEN_UNMIX", "Known", "Weights", "find_weights", "load_weights", "torch"]


@dataclass(frozen=True)
class Known:
    """The official weights of a separator.

    Attributes
    ----------
    name : str
        Of the separator.
    files : dict
        Where torch keeps each part, relative to its folder.
    urls : dict
        Where each part can be had.
    """

    name: str
    files: dict[str, str]
    urls: dict[str, str]


HDEMUCS = Known(
    "hdemucs",
    {"": "torchaudio/models/hdemucs_high_musdbhq_only.pt"},
    {"": "https://download.pytorch.org/torchaudio/models/hdemucs_high_musdbhq_only.pt"},
)
_UMXHQ = {
    "vocals": "vocals-b62c91ce.pth",
    "drums": "drums-9619578f.pth",
    "bass": "bass-8d85a5bd.pth",
    "other": "other-b52fbbf7.pth",
}
OPEN_UNMIX = Known(
    "openunmix",
    {target: f"checkpoints/{file}" for target, file in _UMXHQ.items()},
    {t: f"https://zenodo.org/records/3370489/files/{file}" for t, file in _UMXHQ.items()},
)


@dataclass(frozen=True)
class Weights:
    """Where the weights of a separator lie.

    Attributes
    ----------
    parts : dict
        Part (empty where there is only one) to its file.
    """

    parts: dict[str, Path]

    @property
    def files(self) -> list[Path]:
        """The files, for fingerprints."""
        return list(self.parts.values())


def find_weights(known: Known, given: Path | None = None) -> Weights:
    """Find the weights of a separator.

    Parameters
    ----------
    known : Known
        The official ones.
    given : Path, optional
        A file, or a folder with the official files; torch's own folder by default
        (``TORCH_HOME`` moves it).

    Raises
    ------
    ModelError
        Where they are not there, with where to get them and where to put them.
    """
    if given is not None:
        return _given(known, given)
    folder = hub_folder()
    found = {part: folder / file for part, file in known.files.items()}
    for part, path in found.items():
        if not path.is_file():
            what = f"there are no weights at {path}; fetch {known.urls[part]} and put it there, or"
            raise ModelError(f"{known.name}: {what} name a file of your own with --weights")
    return Weights(found)


def _given(known: Known, given: Path) -> Weights:
    if given.is_file():
        return Weights({"": given})
    if not given.is_dir():
        what = "there are no such weights; name the file that torch.save made"
        raise ModelError(f"{given}: {what}, or leave --weights out to use torch's folder")
    found = {part: given / Path(file).name for part, file in known.files.items()}
    for path in found.values():
        if not path.is_file():
            what = f"has no {path.name}, which {known.name} needs; put it there, or name a file"
            raise ModelError(f"{given}: {what}")
    return Weights(found)


def hub_folder() -> Path:
    """Give the folder in which torch keeps what it downloaded, as ``torch.hub.get_dir`` does."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub"


def load_weights(path: Path) -> dict[str, Any]:
    """Read a file of weights; no code in it is run.

    Returns
    -------
    dict
        ``config`` (arguments of the architecture, often empty) and ``state_dict``.

    Raises
    ------
    ModelError
        Where it is no such file.
    """
    try:
        content = torch().load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = f"cannot be read as weights of PyTorch ({reason:.120})"
        raise ModelError(f"{path}: {what}; name the file that torch.save made") from error
    if not isinstance(content, dict):
        what = f"holds {type(content).__name__} in place of weights; save model.state_dict()"
        raise ModelError(f"{path}: {what}")
    if isinstance(content.get("state_dict"), dict):
        return {"config": dict(content.get("config") or {}), "state_dict": content["state_dict"]}
    return {"config": {}, "state_dict": content}


def torch() -> ModuleType:
    """Import PyTorch.

    Raises
    ------
    DeviceError
        Where it is not installed.
    """
    return needed("torch", "networks are run", "separation")
