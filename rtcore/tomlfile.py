# SPDX-License-Identifier: MIT
"""TOML files that say something of a fixed form: read, checked, and refused in full sentences."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rtcore.errors import ConfigError, did_you_mean

_Form = TypeVar("_Form", bound=BaseModel)


def read_form(
    file: Path | Traversable,
    name: str,
    form: type[_Form],
    *,
    what: str,
) -> _Form:
    """Read a TOML file of a fixed form.

    Parameters
    ----------
    file : Path or Traversable
        The file.
    name : str
        What messages call it.
    form : type
        The pydantic model that describes it.
    what : str
        What such a file is, with its article: ``"a rule"``.

    Returns
    -------
    BaseModel
        The form, filled in.

    Raises
    ------
    ConfigError
        Naming the file and the key, what was found there and what is wanted.
    """
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(name, f"cannot be read as {what}: {reason}; check the path") from None
    except RecursionError:
        raise ConfigError(name, f"is nested too deeply for {what}; take brackets away") from None
    except UnicodeDecodeError:
        raise ConfigError(name, f"is no text file; {what} is TOML in UTF-8") from None
    except ValueError as error:  # tomllib's own error, or a zero in the path
        said = f"is no TOML file: {reprlib.repr(str(error))}; put that line right"
        raise ConfigError(name, said) from None
    try:
        return form.model_validate(table)
    except ValidationError as error:
        raise refusal(name, error, form, what) from None


def refusal(name: str, error: ValidationError, form: type[BaseModel], what: str) -> ConfigError:
    """Put pydantic's first complaint about a file of a fixed form into a sentence.

    Parameters
    ----------
    name : str
        What messages call the file, or a part of it.
    error : pydantic.ValidationError
        What pydantic says.
    form : type
        The model that it was checked against.
    what : str
        What such a file is, with its article.
    """
    problems = error.errors(include_url=False, include_context=False)
    # A misspelt key is also a missing one: what stands there says more.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]]
    key = "".join(steps).removeprefix(".")
    where = f"{name}: {key}" if key else name
    if problem["type"] == "missing":
        return ConfigError(where, f"is missing in this file, which must be {what}; add it")
    if problem["type"] == "extra_forbidden":
        owner = _owner(form, problem["loc"])
        known = [field.alias or word for word, field in owner.model_fields.items()]
        hint = did_you_mean(str(problem["loc"][-1]), known)
        return ConfigError(where, f"is no key of {what}{hint}; there are {', '.join(known)}")
    said = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    found = reprlib.repr(problem["input"]) if key else "what the file has"
    return ConfigError(where, f"does not fit {what}: {said}; found {found}")


def _owner(form: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """Give the model of the table in which a key stands."""
    for step in place[:-1]:
        field = form.model_fields.get(str(step))
        if field is not None:
            form = next(_models_in(field.annotation), form)
    return form


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models that a type is made of, such as those of a list or a dictionary."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
