# SPDX-License-Identifier: MIT
"""Saved presets: chain files in one folder, which ``rtcore run -c`` plays as well."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from rtcore.chain import Chain
from rtcore.chain.config import ChainConfig, chain_to_toml, load
from rtcore.errors import ConfigError, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST = 1000


def default_folder() -> Path:
    """Give the folder in which presets lie where none is named."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rtcore", appauthor=False)) / "presets"


class Presets:
    """A folder of presets.

    Parameters
    ----------
    folder : Path
        Made when the first preset is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Name what was saved, in the order of the alphabet."""
        with contextlib.suppress(OSError):
            found = (file.stem for file in self.folder.glob("*.toml"))
            return sorted(name for name in found if _NAME.fullmatch(name))
        return []

    def save(self, name: str, chain: Chain) -> None:
        """Write a chain with the values that it has now, in place of what had that name.

        Raises
        ------
        ConfigError
            Where the name is none, or the file cannot be written.
        """
        path = self._path(name)
        known = self.names()
        if name not in known and len(known) >= _MOST:
            what = f"holds {len(known)} presets already; remove some"
            raise ConfigError(str(self.folder), what)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot be made ({error.strerror or error}); choose another --presets folder"
            raise ConfigError(str(self.folder), what) from None
        chain_to_toml(chain, path)

    def read(self, name: str) -> ChainConfig:
        """Read a preset without building it.

        Raises
        ------
        RtcoreError
            Where there is none, or it is no chain any more.
        """
        return load(self._there(name))

    def remove(self, name: str) -> None:
        """Take a preset away.

        Raises
        ------
        ConfigError
            Where there is none, or the system refuses.
        """
        path = self._there(name)
        try:
            path.unlink()
        except OSError as error:
            what = f"this preset cannot be removed ({error.strerror or error}); check its rights"
            raise ConfigError(str(path), what) from None

    def _there(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            known = self.names()
            listed = f"there are {', '.join(known)}" if known else "none was saved yet"
            what = f"there is no preset '{name}'{did_you_mean(name, known)}; {listed}"
            raise ConfigError("preset", what)
        return path

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            what = f"must be 1 to 64 letters, digits, - and _, got {name[:80]!r}"
            raise ConfigError("name of the preset", what)
        return self.folder / f"{name}.toml"
