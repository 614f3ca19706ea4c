# SPDX-License-Identifier: MIT
"""Start other people's programs side by side, and leave none of them behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path

from rtcore.latency.systems.base import SystemFaultError

_SAID_LINES = 3
_SAID_LETTERS = 300


class Processes:
    """The programs that one measurement has started; each leads a process group of its own.

    Threads call :meth:`call`; another thread may :meth:`end` them all, after which none starts.

    Parameters
    ----------
    name : str
        How the user calls the system, for the sentences.
    timeout_s : float
        How long one call may take.
    """

    def __init__(self, name: str, timeout_s: float) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def call(self, words: Sequence[str], log: Path) -> None:
        """Run a program to its end, and end what it left running.

        Parameters
        ----------
        words : sequence of str
            The program and its arguments; no shell reads them.
        log : Path
            File for what it says; errors go to a second one with the suffix ``.err``.

        Raises
        ------
        SystemFaultError
            Where it cannot be started, takes too long, or ends with another code than 0.
        CancelledError
            Where everything was ended meanwhile.
        """
        errors = log.with_suffix(".err")
        with log.open("wb") as out, errors.open("wb") as err:
            process = self._start(words, out.fileno(), err.fileno())
            in_time = _wait(process, self.timeout_s)
            code = self._finish(process)
        if self._ended:
            raise CancelledError
        if not in_time:
            raise SystemFaultError(
                f"{self.name}: did not end within {self.timeout_s:g} s and was stopped"
                f"{_said(errors, log)}; give it longer with --timeout, or find out what it waits "
                "for"
            )
        if code != 0:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by {_signal(-code)}"
            raise SystemFaultError(
                f"{self.name}: {how}{_said(errors, log) or ' and said nothing'}; run it by hand "
                "on a WAV file to see more"
            )

    def end(self) -> None:
        """Stop all that runs; whatever is called from now on is refused."""
        with self._lock:
            self._ended = True
            for process in self._running:
                _kill_group(process)

    def _start(self, words: Sequence[str], out: int, err: int) -> subprocess.Popen[bytes]:
        """Start a program, unless everything has been ended meanwhile."""
        with self._lock:
            if self._ended:
                raise CancelledError
            try:
                process = subprocess.Popen(  # noqa: S603 - the user's own command
                    list(words),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SystemFaultError(
                    f"{self.name}: {words[0]!r} cannot be started ({reason}); put the program "
                    "that runs it in front, such as python or sh"
                ) from error
            self._running.add(process)
        return process

    def _finish(self, process: subprocess.Popen[bytes]) -> int:
        """End what is left of a program's group, then take its exit code.

        The group goes first: while the program is a zombie, nobody else can have its number.
        """
        with self._lock:
            _kill_group(process)
            self._running.discard(process)
            return process.wait()


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for the end of a program without reaping it, where the system can; False if late."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # macOS, and kernels that forbid it
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
        return process.returncode is not None
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000.0))
    finally:
        os.close(handle)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with all that it started, as far as they are still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _signal(number: int) -> str:
    """Name a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _said(*files: Path) -> str:
    """Quote the last lines of the first file that has some."""
    for file in files:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 4096))
            text = stream.read().decode("utf-8", "replace")
        lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
        last = " / ".join([line for line in lines if line][-_SAID_LINES:])
        if last:
            return f" and said: {last[-_SAID_LETTERS:]}"
    return ""
