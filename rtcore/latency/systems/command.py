# SPDX-License-Identifier: MIT
"""Commands that read and write WAV files, as systems to be measured.

``python my_system.py {in} {out}`` is run once a sound, as many at a time as there are processors;
``python my_system.py {in_dir} {out_dir}`` is run once for a whole folder of sounds and writes a
file of the same name for each, which is much quicker where the system takes long to start.
``{rate}`` stands for the sample rate. No shell reads the command: what needs pipes, variables or
wildcards is written as ``sh -c '...'``.
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rtcore import audiofile
from rtcore.errors import AudioFileError, did_you_mean
from rtcore.latency.result import Declared
from rtcore.latency.systems.base import Sound, System, SystemFaultError, checked
from rtcore.latency.systems.processes import Processes

#: Sample formats of the files that a command can be given.
SUBTYPES = ("FLOAT", "DOUBLE", "PCM_16", "PCM_24", "PCM_32")
#: Longest time, in seconds, that one call may take unless the user says otherwise.
TIMEOUT_S = 120.0
#: Sounds in a folder, at most.
FOLDER_SOUNDS = 32

_FILES, _FOLDERS = ("{in}", "{out}"), ("{in_dir}", "{out_dir}")
_SHELL_WORDS = {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1"}


class CommandSystem(System):
    """A command that reads and writes WAV files.

    Parameters
    ----------
    command : str
        With ``{in}`` and ``{out}``, or ``{in_dir}`` and ``{out_dir}``; it runs in the current
        folder, without a shell.
    sample_rate : int
        Of the files, in Hz.
    channels : int
        Of the files that it is given; what it writes may have other channels.
    declared : Declared, optional
        What the user says of it.
    subtype : {"FLOAT", "DOUBLE", "PCM_16", "PCM_24", "PCM_32"}
        Sample format of the files that it is given.
    timeout_s : float
        How long one call may take, in seconds.
    at_once : int, optional
        How many calls run side by side; as many as there are processors otherwise. Has no
        meaning for folders.

    Raises
    ------
    SystemFaultError
        Where the command has no such program, or its placeholders are missing.
    """

    kind = "command"

    def __init__(
        self,
        command: str,
        sample_rate: int,
        channels: int = 1,
        declared: Declared | None = None,
        *,
        subtype: str = "FLOAT",
        timeout_s: float = TIMEOUT_S,
        at_once: int | None = None,
    ) -> None:
        super().__init__(command, sample_rate, channels, declared or Declared())
        self._words = _split(command)
        self._folders = _placeholders(command, self._words) == _FOLDERS
        _check_program(command, self._words[0])
        if subtype.upper() not in SUBTYPES:
            near = did_you_mean(subtype, map(str.lower, SUBTYPES))
            raise SystemFaultError(
                f"{subtype}: is no sample format for a command's files{near}; there are "
                f"{', '.join(SUBTYPES)}"
            )
        self.subtype = subtype.upper()
        self.timeout_s = timeout_s
        self._workers = 1 if self._folders else max(1, at_once or _processors())
        self.at_once = FOLDER_SOUNDS if self._folders else self._workers

    def run(self, x: Sound) -> Sound:
        """Process a whole sound in a process of its own; see :meth:`System.run`."""
        (y,) = self.run_many([x])
        return y

    def run_many(self, sounds: Sequence[Sound]) -> Iterator[Sound]:
        """Process several sounds side by side, or a folder of them at a time; results in order.

        However it ends, by an error, by Ctrl-C or because nobody wants more results, no process
        and no file is left.
        """
        size = FOLDER_SOUNDS if self._folders else 1
        batches = [sounds[start : start + size] for start in range(0, len(sounds), size)]
        processes = Processes(self.name, self.timeout_s)
        # Programs are started by threads, never by the main one: Ctrl-C reaches the main thread
        # only, and so cannot come between the start of a program and our knowing of it.
        with (
            tempfile.TemporaryDirectory(prefix="rtcore-", ignore_cleanup_errors=True) as folder,
            ThreadPoolExecutor(self._workers, "command") as threads,
        ):
            try:
                yield from self._results(batches, Path(folder), processes, threads)
            finally:
                processes.end()
                threads.shutdown(wait=False, cancel_futures=True)

    def _results(
        self,
        batches: Sequence[Sequence[Sound]],
        folder: Path,
        processes: Processes,
        threads: ThreadPoolExecutor,
    ) -> Iterator[Sound]:
        """Let the threads work on as many calls as there are threads, then give their results.

        Nothing runs while the caller looks at a result: wherever Ctrl-C comes, what runs is ended.
        """
        places = (folder / str(number) for number in itertools.count())
        for start in range(0, len(batches), self._workers):
            calls = [
                threads.submit(self._call, batch, next(places), processes)
                for batch in batches[start : start + self._workers]
            ]
            done = [call.result() for call in calls]
            for sounds in done:
                yield from sounds

    def _call(self, batch: Sequence[Sound], folder: Path, processes: Processes) -> list[Sound]:
        """Write the files of one call, run it, read what it wrote, and remove them."""
        given, taken = folder / "in", folder / "out"
        given.mkdir(parents=True)
        taken.mkdir()
        names = [f"{number:04d}.wav" for number in range(len(batch))]
        for name, x in zip(names, batch, strict=True):
            self._write(given / name, x)
        paths = (given, taken) if self._folders else (given / names[0], taken / names[0])
        placeholders = _FOLDERS if self._folders else _FILES
        values = dict(zip(placeholders, map(str, paths), strict=True))
        words = [_filled(word, values | {"{rate}": str(self.sample_rate)}) for word in self._words]
        processes.call(words, folder / "said.txt")
        sounds = [self._read(taken, name, x) for name, x in zip(names, batch, strict=True)]
        shutil.rmtree(folder, ignore_errors=True)
        return sounds

    def _write(self, path: Path, x: Sound) -> None:
        """Write a sound for the command."""
        try:
            audiofile.write(path, x, self.sample_rate, subtype=self.subtype, round_=True)
        except AudioFileError as error:
            raise SystemFaultError(
                f"{self.name}: its input cannot be written: {error}; point TMPDIR to a folder "
                "with room"
            ) from error

    def _read(self, folder: Path, name: str, x: Sound) -> Sound:
        """Read what the command wrote; NaN is let through, for the measurement to see."""
        import soundfile

        path = folder / name
        if not path.is_file():
            raise SystemFaultError(f"{self.name}: {self._nothing(folder, name)}")
        try:
            samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise SystemFaultError(
                f"{self.name}: wrote a file that is no sound ({reason}); let it write WAV to "
                f"{_FOLDERS[1] if self._folders else _FILES[1]}"
            ) from error
        if rate != self.sample_rate:
            raise SystemFaultError(
                f"{self.name}: was given {self.sample_rate} Hz and wrote {rate} Hz; let it write "
                f"the rate of its input, or measure it with --rate {rate}"
            )
        return checked(self, x, samples.T)

    def _nothing(self, folder: Path, name: str) -> str:
        """Say that a file is missing, and what lies there instead."""
        others = sorted(p.name for p in folder.iterdir())
        other = f" (but {others[0]})" if others and not self._folders else ""
        if self._folders:
            return (
                f"wrote no {name} into the folder {{out_dir}}; let it write a file of the "
                "same name for each file in {in_dir}"
            )
        return f"ended well and wrote nothing{other}; let it write its output to the file {{out}}"


def _filled(word: str, values: dict[str, Any]) -> str:
    """Put paths and numbers in place of the placeholders of one word."""
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _split(command: str) -> list[str]:
    """Split a command as a shell would, and refuse what only a shell understands."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SystemFaultError(f"{command}: is no command ({error}); close the quotes") from error
    if not words:
        raise SystemFaultError(
            "the command is empty; write it like --command 'python my_system.py {in} {out}'"
        )
    shell = next((word for word in words if word in _SHELL_WORDS), None)
    if shell:
        raise SystemFaultError(
            f"{command}: no shell reads this command, so {shell!r} would be an argument; write "
            "sh -c '...' around it"
        )
    return words


def _placeholders(command: str, words: Sequence[str]) -> tuple[str, str]:
    """Tell whether a command takes files or folders."""
    found = [p for p in (*_FILES, *_FOLDERS) if any(p in word for word in words)]
    for pair in (_FILES, _FOLDERS):
        if found == list(pair):
            return pair
    have = f"has {', '.join(found)}" if found else "does not say where its files belong"
    raise SystemFaultError(
        f"{command}: {have}; write {{in}} and {{out}} where the names of the files belong, or "
        "{in_dir} and {out_dir} for folders"
    )


def _check_program(command: str, program: str) -> None:
    """Refuse a program that is not there, before anything is written."""
    if shutil.which(program):
        return
    if Path(program).is_file():
        raise SystemFaultError(
            f"{command}: {program} may not be run; put the program that runs it in front, such "
            "as python or sh, or make it executable with chmod +x"
        )
    if "=" in program:
        raise SystemFaultError(
            f"{command}: no shell reads this command, so {program!r} would be the program; write "
            "env in front of it"
        )
    near = did_you_mean(Path(program).name, _programs())
    raise SystemFaultError(
        f"{command}: there is no program {program!r}{near}; check its name, or give its whole path"
    )


def _programs() -> list[str]:
    """List the programs of the search path."""
    folders = [Path(f) for f in os.environ.get("PATH", "").split(os.pathsep) if f]
    return sorted({p.name for f in folders if f.is_dir() for p in f.iterdir()})


def _processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
