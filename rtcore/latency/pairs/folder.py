# SPDX-License-Identifier: MIT
"""The folder of a measurement elsewhere: its manifest, and whether its files are right."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtcore import audiofile
from rtcore.errors import AudioFileError, ConfigError
from rtcore.hearing._schemas import first_problem
from rtcore.latency.systems.base import SystemFaultError

Sound = np.ndarray[Any, np.dtype[Any]]

MANIFEST, IN, OUT = "pairs.json", "in", "out"
_NAMED = 8
_COMPARED = ("reference", "position")


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class File(_Strict):
    """A sound of ``in/``, and what it is for."""

    name: str = Field(pattern=r"^[a-z0-9_]+\.wav$")
    sha256: str
    role: Literal["reference", "position", "delay"]
    signal: str
    at: int | None = Field(default=None, ge=0)
    round: int = Field(default=1, ge=1)


class Round(_Strict):
    """What a round of files was made to prove: a stretch, with one pair of sounds."""

    signal: str
    low: int = Field(ge=0)
    high: int = Field(ge=0)
    count: int = Field(ge=1)


class Manifest(_Strict):
    """What ``pairs.json`` says."""

    format: Literal["rtcore pairs 1"]
    rtcore: str
    sample_rate: int = Field(ge=1000, le=384000)
    channels: int = Field(ge=1, le=64)
    frames: int = Field(ge=1)
    subtype: str
    seed: int
    hop: int | None = Field(default=None, ge=1)
    rounds: list[Round] = Field(min_length=1)
    files: list[File] = Field(default_factory=list)


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read what a folder of pairs holds.

    Raises
    ------
    ConfigError
        Where there is none, or it says something impossible.
    """
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}; give a folder made by --make-pairs"
        raise ConfigError(str(path), what) from error
    except (ValueError, RecursionError) as error:
        what = f"is not JSON ({error}); copy it again from where the pairs were made"
        raise ConfigError(str(path), what) from None
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        key, what = first_problem(error)
        raise ConfigError(f"{path}: {key}" if key else str(path), what) from None
    used = {role: {f.signal for f in manifest.files if f.role == role} for role in _COMPARED}
    if not used["position"] or used["position"] != used["reference"]:
        what = "lists a sound without its reference; copy it again from where the pairs were made"
        raise ConfigError(f"{path}: files", what)
    return manifest


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, as a whole or not at all."""
    draft = folder / f".{MANIFEST}.new"
    try:
        draft.write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
        draft.replace(folder / MANIFEST)
    finally:
        draft.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Outputs:
    """The outputs of a folder, checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.subtypes: set[str] = set()
        self._check_inputs()
        self._check_outputs()

    def of(self, role: str, signal: str | None = None) -> list[File]:
        """Give the files of one kind."""
        return [
            file
            for file in self.manifest.files
            if file.role == role and signal in (None, file.signal)
        ]

    def ends(self, signal: str) -> tuple[File, File]:
        """Give the base of a pair, and the file that holds the most of the other sound."""
        return self.of("reference", signal)[0], min(self.of("position", signal), key=place_of)

    def input(self, file: File) -> Sound:
        """Read a sound that was sent."""
        return audiofile.read(self.folder / IN / file.name)[0]

    def output(self, file: File) -> Sound:
        """Read what came back."""
        return audiofile.read(self.folder / OUT / file.name)[0]

    def _check_inputs(self) -> None:
        changed = [
            file.name
            for file in self.manifest.files
            if not (path := self.folder / IN / file.name).is_file() or digest(path) != file.sha256
        ]
        if changed:
            raise SystemFaultError(
                f"{self.folder / IN}: {_list('lost or changed', changed)} since they were made; "
                "copy them again from where the pairs were made, or make new pairs"
            )

    def _check_outputs(self) -> None:
        out = self.folder / OUT
        there = {path.name for path in out.glob("[!.]*")} if out.is_dir() else set()
        wanted = {file.name for file in self.manifest.files}
        problems = [_list("missing", wanted - there), _list("not asked for", there - wanted)]
        problems += self._wrong(sorted(wanted & there))
        told = "; ".join(filter(None, problems))
        if told:
            raise SystemFaultError(
                f"{out}: {told}; run the system on every file of {self.folder / IN} and write "
                "outputs of the same name, rate and length"
            )

    def _wrong(self, names: Iterable[str]) -> list[str]:
        """Name the outputs that are no sound of the right rate, length and channels."""
        rate, frames = self.manifest.sample_rate, self.manifest.frames
        unreadable, rates, lengths = [], [], []
        channels: dict[int, list[str]] = {}
        for name in names:
            try:
                info = audiofile.info(self.folder / OUT / name)
            except AudioFileError:
                unreadable.append(name)
                continue
            self.subtypes.add(info.subtype)
            channels.setdefault(info.channels, []).append(name)
            if info.sample_rate != rate:
                rates.append(f"{name}: {info.sample_rate} Hz")
            elif info.frames != frames:
                lengths.append(f"{name}: {info.frames}")
        usual = max(channels, key=lambda many: len(channels[many]), default=0)
        odd = [f"{name}: {many}" for many in channels if many != usual for name in channels[many]]
        return [
            _list("no sound that can be read", unreadable),
            _list(f"not at {rate} Hz", rates),
            _list(f"not {frames} samples long", lengths),
            _list(f"not with {usual} channels as the others", odd),
        ]


def _list(what: str, names: Iterable[str]) -> str:
    """Count and name files; empty where there are none."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    files = "file is" if len(ordered) == 1 else "files are"
    return f"{len(ordered)} {files} {what} ({', '.join(ordered[:_NAMED])}{more})" if ordered else ""


def place_of(file: File) -> int:
    """Give the sample at which the sound of a file parts from its reference."""
    return file.at or 0
