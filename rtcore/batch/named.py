# SPDX-License-Identifier: MIT
"""Jobs of any function that makes files from files: named, fingerprinted, written by rename."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtcore.batch.fingerprints import fingerprint
from rtcore.batch.ledger import Job, made_folder
from rtcore.errors import ConfigError, RtcoreError

__all__ = ["NamedTask", "named_job", "run_named"]


@dataclass(frozen=True)
class NamedTask:
    """A call of a function that is known by its name.

    Attributes
    ----------
    function : str
        ``"package.module:function"``. It is called with the list of the inputs' paths, the list
        of paths that it shall write to, and the parameters; it may return a dict to be remembered.
    inputs, outputs : tuple of Path
        The files.
    parameters : dict
        Keyword arguments, as JSON knows them.
    """

    function: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    parameters: dict[str, Any] = field(default_factory=dict)


def named_job(
    function: str,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
) -> Job:
    """Make a job whose fingerprint is that of its inputs, its parameters and its function's file.

    Parameters
    ----------
    function : str
        ``"package.module:function"``; see :class:`NamedTask`.
    inputs, outputs : sequence of Path
        Files that it reads, and at least one that it makes.
    parameters : mapping, optional
        Keyword arguments, as JSON knows them.
    name : str
        What people call the job; the first output's name where it is empty.

    Raises
    ------
    ConfigError
        Where there is no such module.
    AudioFileError
        Where an input cannot be read. One that is not there is found by the function.
    """
    task = NamedTask(function, tuple(inputs), tuple(outputs), dict(parameters or {}))
    said = json.dumps([function, [str(path) for path in inputs], task.parameters], sort_keys=True)
    key = fingerprint(said, _source(function), *task.inputs)
    first, *more = task.outputs
    return Job(name or first.name, first, key, task, tuple(more))


def run_named(task: NamedTask) -> dict[str, Any]:
    """Do a task: the worker function of named jobs.

    All outputs get their names when the function has returned, or none does.

    Raises
    ------
    ConfigError
        Where there is no such function.
    RtcoreError
        Where it did not write an output.
    """
    function = _function(task.function)
    drafts = [_draft(path) for path in task.outputs]
    try:
        result = function(list(task.inputs), list(drafts), **task.parameters)
        for draft, output in zip(drafts, task.outputs, strict=True):
            if not draft.exists():
                what = f"{task.function} did not write it; let it write each path that it is given"
                raise RtcoreError(f"{output}: {what}")
        for draft, output in zip(drafts, task.outputs, strict=True):
            draft.replace(output)
    finally:
        for draft in drafts:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
    return dict(result or {})


def _draft(path: Path) -> Path:
    """Name a file beside an output, with the suffix that tells its format."""
    made_folder(path.parent)
    return path.with_name(f".rtcore-{secrets.token_hex(6)}.part{path.suffix}")


def _function(name: str) -> Callable[..., dict[str, Any] | None]:
    module, _, attribute = name.partition(":")
    try:
        found: Callable[..., dict[str, Any] | None] = getattr(
            importlib.import_module(module), attribute
        )
    except (ImportError, AttributeError, ValueError) as error:
        raise _no_function(name, str(error)) from error
    return found


def _source(name: str) -> Path | str:
    """Find the file that holds a function, without running it."""
    module = name.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise _no_function(name, str(error)) from error
    if spec is None:
        raise _no_function(name, f"no module named '{module}'")
    return Path(spec.origin) if spec.has_location and spec.origin else ""


def _no_function(name: str, why: str) -> ConfigError:
    return ConfigError(name, f"there is no such function ({why}); write package.module:function")
