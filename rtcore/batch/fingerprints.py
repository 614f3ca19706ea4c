# SPDX-License-Identifier: MIT
"""Fingerprints: what an output was made from, in 64 letters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from rtcore.errors import AudioFileError

__all__ = ["fingerprint", "stamp"]

#: A hash of bytes that goes on, such as those of hashlib.
Digest = Callable[[bytes], Any]
_PIECE_BYTES = 2**17


def fingerprint(*parts: bytes | str | Path, digest: Digest = xxh3_128) -> str:
    """Give a fingerprint of texts, bytes and the contents of files: SHA-256 of their digests.

    Parameters
    ----------
    *parts : bytes, str or Path
        Texts, and files whose contents count.
    digest : function
        Of each part. XXH3 takes a tenth of the time of SHA-256, which would be a tenth of a short
        scene's; what is published takes SHA-256 itself.

    Raises
    ------
    AudioFileError
        Where a file cannot be read.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            total.update(_content_digest(part, digest))
        else:
            total.update(digest(part.encode() if isinstance(part, str) else part).digest())
    return total.hexdigest()


def stamp(path: Path) -> list[int] | None:
    """Give what tells a file from one that was changed since: bytes, and time in ns."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _content_digest(path: Path, digest: Digest) -> bytes:
    """Hash a file piece by piece, however long it is; a pipe or a device counts as empty."""
    found = digest(b"")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return bytes(found.digest())  # whoever needs the file says that it is none
        piece = memoryview(bytearray(_PIECE_BYTES))
        with path.open("rb", buffering=0) as stream:
            while count := stream.readinto(piece):
                found.update(piece[:count])
    except FileNotFoundError:
        return bytes(digest(b"").digest())  # whoever needs the file says that it is missing
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}; check its name and its rights"
        raise AudioFileError(f"{path}: {what}") from error
    return bytes(found.digest())
