# SPDX-License-Identifier: MIT
"""The session log: JSON lines that let ``rtcore process --replay`` play a session again."""

from __future__ import annotations

import contextlib
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
            raise self._refusal(error) from error
        self.write(
            {"event": "session", "rtcore": __version__, "chain": config_from_chain(self._chain)}
        )

    def write(self, event: dict[str, Any]) -> None:
        """Add a line.

        Raises
        ------
        ConfigError
            Where the system refuses; the log is then given up and nothing of it stays.
        """
        if self._file is not None:
            try:
                self._file.write(json.dumps(event, default=str) + "\n")
            except OSError as error:
                self._give_up()
                raise self._refusal(error) from error

    def close(self) -> None:
        """Finish the log under its own name.

        Raises
        ------
        ConfigError
            Where the system refuses; nothing of the log stays.
        """
        if self._file is not None:
            try:
                self._file.close()
                self._temporary.replace(self.path)
            except OSError as error:
                self._give_up()
                raise self._refusal(error) from error
            self._file = None

    def _give_up(self) -> None:
        """Take away what was written so far."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def _refusal(self, error: OSError) -> ConfigError:
        what = f"cannot be written ({error.strerror}); choose another place for the session log"
        return ConfigError(str(self.path), what)
