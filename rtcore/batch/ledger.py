# SPDX-License-Identifier: MIT
"""Jobs that each make one file or a few, and the ledger that says what those were made from.

The ledger is a file of JSON lines beside the outputs, to which a line is added after an output has
got its name, so that whatever ends a run, even ``kill -9`` or the power, at worst some outputs are
made again. A share of a set that is done on several machines has a ledger of its own; all are read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from rtcore.batch.fingerprints import fingerprint, stamp
from rtcore.batch.locks import LOCK, held, shared
from rtcore.batch.shards import Shard
from rtcore.errors import AudioFileError, DeviceError

__all__ = [
    "LEDGER",
    "LOCK",
    "Job",
    "Ledger",
    "Outcome",
    "fingerprint",
    "held",
    "made_folder",
    "results_in",
]

#: In a folder of outputs: what they were made from.
LEDGER = ".rtcore-jobs.jsonl"
_SHARD_LEDGER = ".rtcore-jobs-{}of{}.jsonl"
#: Files under a temporary name: of the Writer, of named jobs, and of results.
_DRAFTS = (".rtcore-*.part", ".rtcore-*.part.*", ".rtcore-*.tmp")
#: Size and time of each output of a job; None for one that is not there.
Stamps = list[list[int] | None]


@dataclass(frozen=True)
class Job:
    """One file to be made, or a few that belong together.

    Attributes
    ----------
    name : str
        What people call it; no two jobs of a run share one.
    output : Path
        The file.
    key : str
        Fingerprint of all that the file depends on; where it is empty the job is always done.
    task : object
        What the worker function gets; it must pickle.
    more : tuple of Path
        Further files that the job makes: one is missing or changed, and all are made again.
    """

    name: str
    output: Path
    key: str
    task: Any
    more: tuple[Path, ...] = ()

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files that the job makes."""
        return (self.output, *self.more)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    name : str
        Of the job.
    status : str
        ``"done"``, ``"skipped"`` or ``"failed"``.
    error : str
        Why it failed, in a sentence.
    exit_code : int
        0, or what the error calls for: 2 bad input, 1 a check failed, 3 the environment.
    result : dict
        What the worker function gave, now or in an earlier run.
    removed : bool
        Whether the job failed and an older output, made from something else, was taken away.
    """

    name: str
    status: str
    error: str = ""
    exit_code: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    removed: bool = False


def made_folder(path: Path) -> Path:
    """Make a folder for outputs, and those above it, where they are missing; give it.

    Raises
    ------
    AudioFileError
        Where there is a file in the way, nothing may be written there and the like.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder cannot be made ({error.strerror or error}); name another place"
        raise AudioFileError(f"{path}: {what}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        what = "the folder is not writable; name another one or change its rights"
        raise AudioFileError(f"{path}: {what}")
    return path


class Ledger:
    """What the files of a folder were made from.

    Parameters
    ----------
    folder : Path
        Of the outputs; it must exist.
    shard : Shard, optional
        The share of the jobs that this run does: others may do other shares at the same time.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        self.folder = folder
        self._shard = shard
        name = _SHARD_LEDGER.format(shard.number, shard.count) if shard else LEDGER
        self._path = folder / name
        self._forgotten = False
        self._file: FileIO | None = None
        self._torn = False
        self._read()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for this run, and sweep up what a killed one left.

        Raises
        ------
        AudioFileError
            Where another run writes into the same folder.
        DeviceError
            Where the ledger cannot be written.
        """
        with self._held():
            self._read()
            if self._shard is None:
                self._sweep()
            with self._opened() as self._file:
                self._torn = _ends_torn(self._path)
                yield
        self._file = None

    def result(self, job: Job) -> dict[str, Any] | None:
        """Give what an earlier run said of a job, if its outputs are still that run's."""
        entry = self._current(job)
        if self._forgotten or entry is None or not job.key or entry.get("key") != job.key:
            return None
        result = entry.get("result")
        return result if isinstance(result, dict) else {}

    def forget(self) -> None:
        """Let all jobs be done again in this run."""
        self._forgotten = True

    def begin(self, job: Job) -> None:
        """Remember in which folders there may be half-written files, should this run be killed."""
        for folder in {path.parent for path in job.outputs} - {self.folder}:
            place = os.path.relpath(folder, self.folder)
            if place not in self._places:
                self._append({"place": place})
                self._places.add(place)

    def remove_stale(self, job: Job) -> bool:
        """Take away the outputs of a job that failed, where an earlier run made them otherwise.

        They would be mistaken for what was asked for now. What no run of this folder has written,
        or what was made of the same things (the disk is full, say), stays.
        """
        entry = self._current(job)
        if entry is None or (job.key and entry.get("key") == job.key):
            return False
        with contextlib.suppress(OSError):
            for path in job.outputs:
                path.unlink()
            return True
        return False

    def add(self, job: Job, result: dict[str, Any], stamps: Stamps | None = None) -> None:
        """Remember a job whose outputs have their names.

        Parameters
        ----------
        job : Job
            The job.
        result : dict
            What its worker function gave.
        stamps : list, optional
            Of its outputs, as seen by the one that has made them: over a network a new file may
            be seen here only after a while.

        Raises
        ------
        DeviceError
            Where the disk is full and the like.
        """
        found = [stamp(path) for path in job.outputs] if stamps is None else stamps
        label = self._label(job)
        entry: dict[str, Any] = {"name": label, "key": job.key, "file": found[0], "result": result}
        if job.more:
            entry["more"] = found[1:]
        self._append(entry)
        self._entries.setdefault(label, []).append(entry)

    def _append(self, entry: dict[str, Any]) -> None:
        """Add a line in one piece: a line that was torn before it is ended first."""
        assert self._file is not None, "the ledger is only written to within writing()"
        line = (b"\n" if self._torn else b"") + json.dumps(entry).encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise DeviceError(self._unwritable(error.strerror)) from error
        self._torn = written != len(line)
        if self._torn:
            raise DeviceError(self._unwritable("the disk is full"))

    def _unwritable(self, why: str | None) -> str:
        return f"{self._path}: the ledger cannot be written ({why}); make room and run it again"

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        try:
            (self.folder / LEDGER).touch()  # also a share: it marks the folder
            file = FileIO(self._path, "a")
        except OSError as error:
            raise DeviceError(self._unwritable(error.strerror)) from error
        with file:
            yield file

    def _held(self) -> contextlib.AbstractContextManager[None]:
        if self._shard is None:
            return held(self.folder, self.folder)
        return shared(self.folder, self._shard, self._sweep)

    def _sweep(self) -> None:
        """Remove half-written files, in folders below only where jobs of this ledger wrote."""
        for place in (".", *self._places):
            for draft in _DRAFTS:
                for path in (self.folder / place).glob(draft):
                    with contextlib.suppress(OSError):
                        path.unlink()

    def _read(self) -> None:
        """Read the ledgers of all runs; of some output there may be several entries."""
        self._entries: dict[str, list[dict[str, Any]]] = {}
        self._places: set[str] = set()
        pattern = _SHARD_LEDGER.format("*", "*")
        for path in (self.folder / LEDGER, *sorted(self.folder.glob(pattern))):
            for entry in _lines(path):
                if isinstance(entry.get("place"), str):
                    self._places.add(entry["place"])
                elif "name" in entry:
                    self._entries.setdefault(str(entry["name"]), []).append(entry)

    def _current(self, job: Job) -> dict[str, Any] | None:
        """Find the entry that tells of the very files that are there now."""
        entries = self._entries.get(self._label(job))
        if entries is None:
            return None
        present = [stamp(path) for path in job.outputs]
        if None in present:
            return None
        found = (e for e in reversed(entries) if [e.get("file"), *_more(e)] == present)
        return next(found, None)

    def entries(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Give all that is told of each output, the oldest first."""
        return list(self._entries.items())

    def _label(self, job: Job) -> str:
        """Name an output within the folder: its file's name, or its path in a folder of folders."""
        if job.output.is_relative_to(self.folder):
            return job.output.relative_to(self.folder).as_posix()
        return job.output.name


def results_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Give what runs have said of the outputs in a folder that are still theirs, by name."""
    found = {}
    for label, entries in Ledger(folder).entries():
        for entry in reversed(entries):
            if isinstance(entry.get("result"), dict) and entry.get("file") == stamp(folder / label):
                found[label] = entry["result"]
                break
    return found


def _more(entry: dict[str, Any]) -> Sequence[Any]:
    more = entry.get("more", [])
    return more if isinstance(more, list) else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a ledger; lines that were torn by the end of a run count for nothing."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def _ends_torn(path: Path) -> bool:
    """Tell whether the last line lacks its end."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
