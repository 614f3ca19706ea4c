# SPDX-License-Identifier: MIT
"""What can go wrong, in one tree.

::

    RtcoreError                 exit code 2: wrong usage or bad input
    ├── ConfigError             a chain, listener or session file says something impossible
    ├── AudioFileError          an audio file cannot be read or written
    ├── PluginError             a plugin cannot be found or loaded
    │   ├── KernelError         a kernel breaks a real-time rule (allocates, may raise, ...)
    │   └── ParameterError      a parameter is unknown, of the wrong type or out of range
    ├── StreamError             samples of the wrong shape or type were handed to a chain
    ├── ModelError              a model cannot be opened, fed or run
    ├── RemoteError             a message is none, or the other side refused it
    │   └── SessionError        it belongs to no session, or came before
    ├── CheckFailed             exit code 1: everything ran, and a limit was broken
    └── DeviceError             exit code 3: a device or the environment failed
        └── NoSuchDeviceError   exit code 2: a device was named that does not exist

``str(error)`` is the sentence a user reads: it names the file or the key, says what was
found there, and what to do about it. The command line prints it without a traceback and
leaves with the error's ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class RtcoreError(Exception):
    """Base of every error that rtcore raises on purpose."""

    exit_code: ClassVar[int] = 2


class ConfigError(RtcoreError):
    """A configuration says something impossible.

    Parameters
    ----------
    where : str
        Path of the key, such as ``plugin[2].compressor.ratio``.
    what : str
        What is wrong and how to mend it.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.where = where
        self.what = what

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, str]]:
        """Pickle with both parts, so that worker processes can report it."""
        return type(self), (self.where, self.what)


class AudioFileError(RtcoreError):
    """An audio file cannot be read or written."""


class PluginError(RtcoreError):
    """A plugin cannot be found or loaded."""


class KernelError(PluginError):
    """A kernel breaks a rule of real-time code."""


class ParameterError(PluginError):
    """A parameter is unknown, of the wrong type or out of range.

    Parameters
    ----------
    key : str
        Name of the parameter, without the plugin's path.
    what : str
        What is wrong and how to mend it.
    """

    def __init__(self, key: str, what: str) -> None:
        super().__init__(f"{key}: {what}")
        self.key = key
        self.what = what

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, str]]:
        """Pickle with both parts, so that worker processes can report it."""
        return type(self), (self.key, self.what)


class StreamError(RtcoreError):
    """Samples of the wrong shape or type were handed to a chain."""


class ModelError(RtcoreError):
    """An ONNX model cannot be opened, bound to memory or run."""


class RemoteError(RtcoreError):
    """A message is none of rtcore's protocol, or the other side refused it."""


class SessionError(RemoteError):
    """A message belongs to no session, or came before."""


class CheckFailed(RtcoreError):  # noqa: N818 - it reports a verdict, not a malfunction
    """Everything ran, and a limit was broken."""

    exit_code: ClassVar[int] = 1


class DeviceError(RtcoreError):
    """A device or the environment failed."""

    exit_code: ClassVar[int] = 3


class NoSuchDeviceError(DeviceError):
    """A device was named that does not exist."""

    exit_code: ClassVar[int] = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give a hint about the nearest known word, or an empty string.

    Parameters
    ----------
    word : str
        What the user wrote.
    known : iterable of str
        What would have been accepted.

    Returns
    -------
    str
        `` (did you mean 'nalr'?)`` with its leading space, or ``""``.
    """
    import difflib  # only now: most runs have no error

    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
