# SPDX-License-Identifier: MIT
"""The session log: JSON lines that let ``rtcore process --replay`` play a session again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from rtcore.chain import Chain
from rtcore.errors import ConfigError


class SessionLog:
    """Writes one line for each change, at the frame where it took effect.

    Parameters
    ----------
    path : path
        Written under a temporary name; renamed when the session ends.
    chain : Chain
        Described in the first line.
    """

    def __init__(self, path: str | Path, chain: Chain) -> None:
        self.path = Path(path)
        self._chain = chain
        self._file: IO[str] | None = None

    @property
    def _temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")

    def open(self) -> None:
        """Begin the log."""
        from rtcore import __version__
        from rtcore.chain.config import config_from_chain

        try:
            self._file = self._temporary.open("w", encoding="utf-8")
        except OSError as error:
            what = f"cannot be written ({error.strerror}); choose another place for the session log"
            raise ConfigError(str(self.path), what) from error
        self.write(
            {"event": "session", "rtcore": __version__, "chain": config_from_chain(self._chain)}
        )

    def write(self, event: dict[str, Any]) -> None:
        """Add a line."""
        if self._file is not None:
            self._file.write(json.dumps(event, default=str) + "\n")

    def close(self) -> None:
        """Finish the log under its own name."""
        if self._file is not None:
            self._file.close()
            self._temporary.replace(self.path)
            self._file = None
