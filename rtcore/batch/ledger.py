# SPDX-License-Identifier: MIT
"""Jobs that each make one file, and the ledger that says what the files were made from.

The ledger is a file of JSON lines beside the outputs, to which a line is added after an output has
got its name, so that whatever ends a run, even ``kill -9`` or the power, at worst some outputs are
made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rtcore.errors import AudioFileError

__all__ = ["LEDGER", "LOCK", "Job", "Ledger", "Outcome", "fingerprint", "held", "made_folder"]

#: In a folder of outputs: what they were made from, and what holds the folder for one run.
LEDGER, LOCK = ".rtcore-jobs.jsonl", ".rtcore-jobs.lock"
#: Files under a temporary name, as the Writer calls them.
_PARTS = ".rtcore-*.part"


@dataclass(frozen=True)
class Job:
    """One file to be made.

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
    """

    name: str
    output: Path
    key: str
    task: Any


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


def fingerprint(*parts: bytes | str | Path) -> str:
    """Give a fingerprint of texts, bytes and the contents of files.

    Raises
    ------
    AudioFileError
        Where a file cannot be read.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            total.update(_content_digest(part))
        else:
            data = part.encode() if isinstance(part, str) else part
            total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def made_folder(path: Path) -> Path:
    """Make a folder for outputs, and those above it, where they are missing; give it.

    Raises
    ------
    AudioFileError
        Where there is a file in the way, the disk is read-only and the like.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder cannot be made ({error.strerror or error}); name another place"
        raise AudioFileError(f"{path}: {what}") from error
    return path


class Ledger:
    """What the files of a folder were made from.

    Parameters
    ----------
    folder : Path
        Of the outputs; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / LEDGER
        self._entries = dict(_entries(self._path))
        self._forgotten = False
        self._file: TextIO | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for this run, and sweep up what a killed one left.

        Raises
        ------
        AudioFileError
            Where another run writes into the same folder.
        """
        with held(self.folder, self.folder):
            self._entries = dict(_entries(self._path))
            for part in self.folder.glob(_PARTS):
                part.unlink(missing_ok=True)
            with self._path.open("a", encoding="utf-8") as self._file:
                if _torn(self._path):
                    self._file.write("\n")
                yield
        self._file = None

    def result(self, job: Job) -> dict[str, Any] | None:
        """Give what an earlier run said of a job, if its output is still that run's."""
        entry = self._entries.get(self._label(job))
        if self._forgotten or entry is None or not job.key or entry.get("key") != job.key:
            return None
        if entry.get("file") != _stamp(job.output):
            return None
        result = entry.get("result")
        return result if isinstance(result, dict) else {}

    def forget(self) -> None:
        """Let all jobs be done again in this run."""
        self._forgotten = True

    def remove_stale(self, job: Job) -> bool:
        """Take away the output of a job that failed, where an earlier run made it of other things.

        It would be mistaken for what was asked for now. What no run of this folder has written,
        or what was made of the same things (the disk is full, say), stays.
        """
        entry = self._entries.get(self._label(job))
        if entry is None or (job.key and entry.get("key") == job.key):
            return False
        if entry.get("file") != _stamp(job.output):
            return False
        with contextlib.suppress(OSError):
            job.output.unlink()
            return True
        return False

    def _label(self, job: Job) -> str:
        """Name an output within the folder: its file's name, or its path in a folder of folders."""
        if job.output.is_relative_to(self.folder):
            return job.output.relative_to(self.folder).as_posix()
        return job.output.name

    def add(self, job: Job, result: dict[str, Any]) -> None:
        """Remember a job whose output has its name."""
        assert self._file is not None, "the ledger is only written to within writing()"
        stamp = _stamp(job.output)
        entry = {"name": self._label(job), "key": job.key, "file": stamp, "result": result}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def _content_digest(path: Path) -> bytes:
    """Hash a file piece by piece, however long it is; a pipe or a device counts as empty."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return hashlib.sha256().digest()  # whoever needs the file says that it is none
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except FileNotFoundError:
        return hashlib.sha256().digest()  # whoever needs the file says that it is missing
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}; check its name and its rights"
        raise AudioFileError(f"{path}: {what}") from error


def _stamp(path: Path) -> list[int] | None:
    """Give what tells a file from one that was changed since."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a ledger; lines that were torn by the end of a run count for nothing."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            yield str(entry["name"]), dict(entry)


def _torn(path: Path) -> bool:
    data = path.read_bytes()
    return bool(data) and not data.endswith(b"\n")


@contextmanager
def held(folder: Path, name: Path) -> Iterator[None]:
    """Hold a folder for one run; the system lets it go however the process ends.

    Parameters
    ----------
    folder : Path
        It gets a file to be locked.
    name : Path
        What an error calls it.

    Raises
    ------
    AudioFileError
        Where another run holds it.
    """
    with (folder / LOCK).open("w") as lock:
        _hold(lock, name)
        yield


def _hold(lock: TextIO, folder: Path) -> None:
    """Lock a file, where the system knows locks."""
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what = "another run writes into this folder; wait for it or name another folder"
        raise AudioFileError(f"{folder}: {what}") from None
    except OSError:
        return  # some network file systems know no locks
