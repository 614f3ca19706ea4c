# SPDX-License-Identifier: MIT
"""Model files that cannot be opened, and why."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from rtcore.errors import ModelError

_LONGEST = 300  # letters of a reason: ONNX Runtime's can list a whole graph
#: Where in ONNX Runtime's source a reason arose: a file, a line, a function with its arguments.
_PLACE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z\[])")
#: OrtErrorCode, as far as it tells what to do.
_NOT_IMPLEMENTED, _INVALID_PROTOBUF = 9, 7


def check_file(path: Path, sha256: str | None) -> None:
    """Refuse what is plainly no model, before ONNX Runtime sees it.

    Parameters
    ----------
    path : Path
        The model.
    sha256 : str, optional
        The sum that the file must have, in hexadecimal digits of either case.

    Raises
    ------
    ModelError
        Where it is missing, no regular file, empty, unreadable, or another file than was meant.
    """
    try:
        if path.is_dir():
            raise ModelError(f"{path}: this is a folder; name the .onnx file in it")
        if path.exists() and not path.is_file():  # to read a pipe could take for ever
            raise ModelError(f"{path}: this is no regular file; copy the model into one")
        with path.open("rb") as file:
            if not file.read(1):
                raise ModelError(f"{path}: this model file is empty; fetch it again")
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: there is no such model file; check its name and folder"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path}: this model file cannot be read: {reason}; check its name and its rights"
        ) from error
    if sha256 and found != sha256.lower():
        raise ModelError(
            f"{path}: this is another file than the one that was meant: its SHA-256 is {found}, "
            f"expected {sha256.lower()}; fetch it again"
        )


def plain(reason: str) -> str:
    """Take out of one of ONNX Runtime's sentences where in its source it arose."""
    return _PLACE.sub("", " ".join(reason.split()))


def refusal(path: Path, version: str, code: int, reason: str) -> ModelError:
    """Make a sentence of ONNX Runtime's reason not to open a model."""
    reason = plain(reason)
    lower = reason.lower()
    remedy = "check it with onnx.checker, and export it again"
    if "external" in lower:
        remedy = "copy the file with its weights into the same folder"
    elif code == _INVALID_PROTOBUF or "protobuf" in lower:
        remedy = "the file is damaged or no ONNX model; fetch it again"
    elif code == _NOT_IMPLEMENTED or "opset" in lower or "ir version" in lower:
        remedy = "export it for another opset, or install a newer onnxruntime"
    short = reason if len(reason) <= _LONGEST else reason[: _LONGEST - 3] + "..."
    return ModelError(f"{path}: ONNX Runtime {version} refuses this model: {short}; {remedy}")
