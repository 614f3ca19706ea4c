# SPDX-License-Identifier: MIT
"""Locks: a folder is written to by one run, or by several that have shared it out among them.

The system lets a lock go however its process ends. On network file systems locks hold between
machines where the file system knows them (NFS since version 4, Lustre with ``flock``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from rtcore.batch.shards import Shard
from rtcore.errors import AudioFileError

__all__ = ["LOCK", "alone", "held", "shared"]

#: In a folder of outputs: what holds it for one run.
LOCK = ".rtcore-jobs.lock"
_SHARD_LOCK = ".rtcore-jobs-{}of{}.lock"
_TABLE_LOCK = ".rtcore-table.lock"
#: How long a share waits for another that is just beginning, and sweeps up.
_PATIENCE_S = 10.0
_PAUSE_S = 0.05


@contextmanager
def held(folder: Path, name: Path) -> Iterator[None]:
    """Hold a folder for one run.

    Parameters
    ----------
    folder : Path
        It gets a file to be locked.
    name : Path
        What an error calls it.

    Raises
    ------
    AudioFileError
        Where another run holds it, or nothing may be written there.
    """
    with _file(folder / LOCK) as lock:
        if not _locked(lock):
            raise _busy(name)
        yield


@contextmanager
def shared(folder: Path, shard: Shard, sweep: Callable[[], None]) -> Iterator[None]:
    """Hold a share of a folder, beside runs that do other shares.

    Parameters
    ----------
    folder : Path
        It gets files to be locked.
    shard : Shard
        The share.
    sweep : function
        Called before any other share gets in, if this one is the first.

    Raises
    ------
    AudioFileError
        Where another run holds the folder, does the same share, or has cut it otherwise.
    """
    with ExitStack() as stack:
        whole = stack.enter_context(_file(folder / LOCK))
        begun_s = time.monotonic()
        if _locked(whole):
            sweep()
        # Turning one kind of lock into the other takes two steps, between which anybody may
        # come: so the first one asks as all others do.
        while not _locked(whole, shared=True):
            if time.monotonic() - begun_s > _PATIENCE_S:
                raise _busy(folder)
            time.sleep(_PAUSE_S)
        own = _SHARD_LOCK.format(shard.number, shard.count)
        if not _locked(stack.enter_context(_file(folder / own))):
            what = f"another run does its share {shard}; wait for it or name another share"
            raise AudioFileError(f"{folder}: {what}")
        _refuse_other_cuts(folder, shard)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let shares write what they have in common one after the other.

    What a share wrote before it waited here the next one reads: so of two that end together the
    later one knows the rows of both.

    Parameters
    ----------
    folder : Path
        It gets a file to be locked.

    Raises
    ------
    AudioFileError
        Where others keep it for longer than any table takes.
    """
    with _file(folder / _TABLE_LOCK) as lock:
        begun_s = time.monotonic()
        while not _locked(lock):
            if time.monotonic() - begun_s > _PATIENCE_S:
                raise _busy(folder)
            time.sleep(_PAUSE_S)
        yield


def _refuse_other_cuts(folder: Path, shard: Shard) -> None:
    """Refuse shares that overlap: thirds of a folder of which others do quarters."""
    for path in folder.glob(_SHARD_LOCK.format("*", "*")):
        count = path.stem.rpartition("of")[2]
        if count == str(shard.count):
            continue
        with _file(path) as lock:
            if not _locked(lock):
                what = f"another run has cut it in {count} shares, and this one in {shard.count}"
                raise AudioFileError(f"{folder}: {what}; cut it in {count} too, or wait")


def _busy(name: Path) -> AudioFileError:
    what = "another run writes into this folder; wait for it or name another folder"
    return AudioFileError(f"{name}: {what}")


def _file(path: Path) -> TextIO:
    """Open the file to be locked, which is there for all runs from the first one on."""
    try:
        return path.open("a+")
    except OSError as error:
        what = f"cannot be opened ({error.strerror or error}), which tells runs of one another"
        remedy = "change its rights or name another folder"
        raise AudioFileError(f"{path}: {what}; {remedy}") from error


def _locked(lock: TextIO, *, shared: bool = False) -> bool:
    """Lock a file where the system knows locks; tell whether nobody else stands against it."""
    try:
        import fcntl
    except ImportError:  # not on this system
        return True
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network file systems know no locks
    return True
