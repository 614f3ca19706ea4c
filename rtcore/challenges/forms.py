# SPDX-License-Identifier: MIT
"""JSON files of a fixed form, as challenges give them: read, checked, and refused in sentences.

A challenge's file is an object, a list of objects or a table of objects by name. Each is described
by a :class:`Form`; what does not fit is told with the file and the key.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rtcore.atomicfile import write_whole
from rtcore.errors import ConfigError
from rtcore.hearing.listener_files import read_json
from rtcore.tomlfile import refusal

__all__ = [
    "Form",
    "check",
    "json_text",
    "read_list",
    "read_names",
    "read_object",
    "read_table",
    "write_json",
]

_AnyForm = TypeVar("_AnyForm", bound="Form")


class Form(BaseModel):
    """What an object of a challenge's file holds; no other keys, and of no other types.

    An integer passes for a float. For lists say ``list``: JSON knows no tuples.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


def read_object(path: Path, form: type[_AnyForm], *, what: str) -> _AnyForm:
    """Read a file that is one object.

    Parameters
    ----------
    path : Path
        The file.
    form : type
        The :class:`Form` that describes it.
    what : str
        What such an object is, with its article: ``"a scene"``.

    Raises
    ------
    ConfigError
        Naming the file and the key, what was found there and what is wanted.
    """
    return check(read_json(path), form, str(path), what=what)


def read_list(path: Path, form: type[_AnyForm], *, what: str) -> list[_AnyForm]:
    """Read a file that is a list of objects; see :func:`read_object`."""
    content = read_json(path)
    if not isinstance(content, list):
        raise ConfigError(
            str(path), f"must hold a JSON list, got {reprlib.repr(content)}; name another file"
        )
    return [check(entry, form, f"{path}: [{k}]", what=what) for k, entry in enumerate(content)]


def read_table(path: Path, form: type[_AnyForm], *, what: str) -> dict[str, _AnyForm]:
    """Read a file that is an object of objects, each under its name; see :func:`read_object`."""
    table = read_names(path)
    return {name: check(entry, form, f"{path}: {name}", what=what) for name, entry in table.items()}


def read_names(path: Path) -> dict[str, Any]:
    """Read a file that is an object of anything, each under its name.

    Raises
    ------
    ConfigError
        Where it is no such file.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ConfigError(
            str(path), f"must hold a JSON object, got {reprlib.repr(content)}; name another file"
        )
    return content


def check(entry: object, form: type[_AnyForm], where: str, *, what: str) -> _AnyForm:
    """Check an object of a file.

    Parameters
    ----------
    entry : object
        What JSON gave.
    form : type
        What it shall be.
    where : str
        What an error calls its place, such as ``"scenes.dev.json: [3]"``.
    what : str
        What it is, with its article.
    """
    try:
        return form.model_validate(entry)
    except ValidationError as error:
        raise refusal(where, error, form, what) from None


def write_json(path: Path, content: Form | Iterable[Form] | dict[str, Any]) -> None:
    """Write a file of forms; it gets its name when it is whole.

    Raises
    ------
    RtcoreError
        Where it cannot be written.
    """
    write_whole(path, json_text(content), "the list")


def json_text(content: Any) -> str:
    """Give the text of a file of forms, with an indent of four as the challenges' files have."""
    return json.dumps(_plain(content), indent=4, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Give what JSON knows for forms, and for lists and tables of them."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Path | str) or not isinstance(value, Iterable):
        return str(value) if isinstance(value, Path) else value
    return [_plain(entry) for entry in value]
