# SPDX-License-Identifier: MIT
"""Python functions, and classes that take a block at a time, as systems to be measured.

A *function* is called as ``f(x)`` or ``f(x, sample_rate)`` with a whole sound: float64, of shape
(frames,) where the system has one channel and (channels, frames) where it has more. It may write
into what it is given, and returns as many samples, channels first; an array or a tensor.

A *stream* is a class, or an object, with ``process(block)``: blocks of the same shape, all of
``block_samples`` samples, the last one filled up with zeros. A class is made anew for each sound,
with ``sample_rate`` and ``channels`` where its constructor takes them; an object is reset where it
has ``reset()`` and copied otherwise.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.latency.result import Declared
from rtcore.latency.systems.base import Sound, Streaming, System, SystemFaultError, checked
from rtcore.latency.systems.loading import Target, load

#: Names under which a function may ask for the sample rate.
RATE_NAMES = ("sample_rate", "fs", "sr", "rate", "samplerate", "sample_rate_hz", "sampling_rate")


class CallableSystem(System):
    """A Python function or a Python stream.

    Parameters
    ----------
    target : str
        ``module:function``, ``path/to/file.py:function``, or a class or an object instead of the
        function. Modules are looked for in the current folder first.
    sample_rate : int
        In Hz.
    channels : int
        That go in.
    declared : Declared, optional
        What the user says of it. A stream's `hop_samples` follows from its blocks.
    block : int, optional
        Samples of a block of a stream; its own ``block_samples`` otherwise.

    Raises
    ------
    SystemFaultError
        Where it cannot be found or imported, is nothing that can be called, or cannot be made.
    """

    kind = "callable"

    def __init__(
        self,
        target: str,
        sample_rate: int,
        channels: int = 1,
        declared: Declared | None = None,
        *,
        block: int | None = None,
    ) -> None:
        super().__init__(target, sample_rate, channels, declared or Declared())
        with self._calls("while it was imported"):
            self._target = load(target)
        self._refuse_plugins()
        self._streams = hasattr(self._target.value, "process")
        self._block = block
        if self._streams:
            self._block = self._block_of(self._fresh())
        elif block is not None:
            raise SystemFaultError(
                f"{target}: --block is for classes with process(block), and this takes whole "
                "sounds; leave it out"
            )
        elif not _callable_when_made(self._target.value):
            kind = type(self._target.value).__name__
            raise SystemFaultError(
                f"{target}: is {kind}, which cannot be called; name a function f(x), or a class "
                "with process(block)"
            )

    def run(self, x: Sound) -> Sound:
        """Process a whole sound from a fresh start; see :meth:`System.run`."""
        if self._streams:
            return self._run_blocks(x)
        function = self._fresh()
        with self._calls(_given(x)):
            return checked(self, x, _as_array(_with_rate(function, self.sample_rate)(_own(x))))

    def streaming(self) -> Streaming | None:
        """Give a fresh stream, or None for a function of whole sounds."""
        if not self._streams:
            return None
        assert self._block is not None
        return _Stream(self, self._fresh(), self._block)

    def _run_blocks(self, x: Sound) -> Sound:
        """Feed a sound block by block, the last one filled up with zeros."""
        stream = self.streaming()
        assert stream is not None
        size, frames = stream.block_samples, x.shape[1]
        padded = np.pad(x, ((0, 0), (0, -frames % size)))
        starts = range(0, padded.shape[1], size)
        blocks = [stream.process(padded[:, start : start + size]) for start in starts]
        if len({len(block) for block in blocks}) > 1:
            counts = sorted({len(block) for block in blocks})
            raise SystemFaultError(
                f"{self.name}: process gave blocks of {counts} channels in one sound; let it give "
                "the same number each time"
            )
        return np.concatenate(blocks, axis=1)[:, :frames] if blocks else x.copy()

    def _fresh(self) -> Any:
        """Give the function, or a class's new object, or an object as it was at first."""
        value = self._target.value
        if inspect.isclass(value):
            with self._calls("while it was made"):
                return value(**_constructor_options(value, self.sample_rate, self.channels))
        if not self._streams:
            return value
        with self._calls("while it was reset"):
            if callable(getattr(value, "reset", None)):
                value.reset()
                return value
        try:
            return copy.deepcopy(value)
        except Exception as error:
            raise SystemFaultError(
                f"{self.name}: is an object that has no reset() and cannot be copied "
                f"({_first_line(error)}); give it reset(), or name its class"
            ) from error

    def _block_of(self, made: Any) -> int:
        """Give the samples of a block: what the user said, or the object."""
        block = getattr(made, "block_samples", None) if self._block is None else self._block
        if isinstance(block, (int, np.integer)) and not isinstance(block, bool) and block >= 1:
            if self.declared.hop_samples is None:
                self.declared = _with_hop(self.declared, int(block))
            return int(block)
        found = "has no block_samples" if block is None else f"has block_samples = {block!r}"
        raise SystemFaultError(
            f"{self.name}: {found}; say how many samples its blocks have with --block, or give "
            "the class block_samples"
        )

    def _refuse_plugins(self) -> None:
        """Point to the option for rtcore's plugins, whose process is a kernel."""
        from rtcore.plugin import Plugin

        value = self._target.value
        cls = value if inspect.isclass(value) else type(value)
        if issubclass(cls, Plugin):
            raise SystemFaultError(
                f"{self.name}: is a plugin of rtcore's; measure it as a chain, with -p {cls.id}"
            )

    @contextlib.contextmanager
    def _calls(self, when: str) -> Iterator[None]:
        """Turn what the user's code raises into a sentence; keep its prints off our output."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except SystemFaultError:
            raise
        except (Exception, SystemExit) as error:
            place = _place(error, getattr(self, "_target", None))
            raise SystemFaultError(
                f"{self.name}: raised {_first_line(error)}{place}, {when}; mend it there"
            ) from error


class _Stream:
    """One run of a stream; meets :class:`rtcore.latency.systems.base.Streaming`."""

    def __init__(self, system: CallableSystem, made: Any, block_samples: int) -> None:
        self.block_samples = block_samples
        self._system = system
        self._process = _with_rate(made.process, system.sample_rate)

    def process(self, x: Sound) -> Sound:
        """Give the next (channels, frames) of output for the next of input."""
        with self._system._calls(_given(x, "a block of ")):  # noqa: SLF001 - one module
            return checked(self._system, x, _as_array(self._process(_own(x))))


def _own(x: Sound) -> Sound:
    """Copy a sound for the user, who may write into it; one channel has one dimension."""
    return x[0].copy() if len(x) == 1 else x.copy()


def _given(x: Sound, what: str = "") -> str:
    """Say what the user's code was given."""
    shape = (x.shape[1],) if len(x) == 1 else x.shape
    return f"given {what}float64 samples of shape {shape}"


def _as_array(y: Any) -> Any:
    """Take an array out of a tensor, without importing what made it."""
    for step in ("detach", "cpu", "numpy"):
        if not isinstance(y, np.ndarray) and callable(getattr(y, step, None)):
            y = getattr(y, step)()
    return y


def _with_rate(function: Callable[..., Any], sample_rate: int) -> Callable[[Sound], Any]:
    """Bind the sample rate where a function asks for it by name or as its second argument."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # compiled functions may not tell
        return function
    for place, parameter in enumerate(parameters):
        if parameter.name in RATE_NAMES and place > 0:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                break
            name = parameter.name
            return lambda x: function(x, **{name: sample_rate})
    needed = [p for p in parameters if p.default is p.empty and p.kind in _POSITIONAL]
    return (lambda x: function(x, sample_rate)) if len(needed) == 2 else function


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _constructor_options(cls: type, sample_rate: int, channels: int) -> dict[str, int]:
    """Give a constructor the sample rate and the channels where it takes them."""
    try:
        names = set(inspect.signature(cls).parameters)
    except (TypeError, ValueError):
        return {}
    options = {name: sample_rate for name in RATE_NAMES if name in names}
    return options | ({"channels": channels} if "channels" in names else {})


def _callable_when_made(value: Any) -> bool:
    """Tell whether a value, or an object of the class that it is, can be called."""
    if inspect.isclass(value):
        return any("__call__" in vars(base) for base in value.__mro__)
    return callable(value)


def _with_hop(declared: Declared, hop: int) -> Declared:
    """Add the stride of a stream to what is declared."""
    from dataclasses import replace

    return replace(declared, hop_samples=hop)


def _first_line(error: BaseException) -> str:
    """Name an exception and say its message in one short line."""
    message = " ".join(str(error).split())
    message = message if len(message) <= 200 else message[:200] + " ..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _place(error: BaseException, target: Target | None) -> str:
    """Say in which line of the user's file an exception came about."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in line {error.lineno} of {Path(error.filename).name}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
    own = [f for f in frames if target is not None and f.filename == target.file]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f" in line {frame.lineno} of {Path(frame.filename).name}"


def _is_users(filename: str) -> bool:
    """Tell the user's files from this package and from Python's import machinery."""
    own = str(Path(__file__).parent.parent)
    return not filename.startswith(("<frozen", own)) and "importlib" not in filename
