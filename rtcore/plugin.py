# SPDX-License-Identifier: MIT
"""Plugins: declared parameters, a state layout, and a compiled ``process`` function.

The verbs are the same everywhere (``prepare``, ``process``, ``update``, ``reset``) and so are the
facts (``latency_frames``, ``lookahead_frames``, ``tail_frames``, ``placement``).  A plugin object
holds settings only; the memory it runs in belongs to the chain, so one object can stand in many
chains.
"""

from __future__ import annotations

import copy
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rtcore.errors import ParameterError, PluginError, did_you_mean
from rtcore.kernels import Kernel
from rtcore.parameters import Param, Setting
from rtcore.sides import SideInput

__all__ = ["Attached", "Param", "Plugin", "Prepared", "Setting", "SideInput", "Spec"]

_BUFFER = re.compile(r"^(real|[iu][1248]|f[48])\[(:(?:, ?:)*)\]$")
_SCALAR = re.compile(r"^(real|[iu][1248]|f[48]|b1)$")
_HANDED = ("x", "y", "ctx", "state")


@dataclass(frozen=True)
class Spec:
    """The stream that a plugin is prepared for.

    Parameters
    ----------
    sample_rate : float
        In Hz.
    channels : int
        Channels that come in.
    max_frames : int
        No block is longer.
    dtype : numpy dtype
        float32 or float64, the stream's real type.
    listeners : Path, optional
        File in which a listener named by id is looked up.
    """

    sample_rate: float
    channels: int
    max_frames: int
    dtype: np.dtype[Any]
    listeners: Path | None = None

    def frames(self, seconds: float) -> int:
        """Round a time to frames of this stream."""
        return round(seconds * self.sample_rate)


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` answers: the facts, and the memory that the kernel starts from.

    Parameters
    ----------
    latency_frames : int
        How late the output is.
    lookahead_frames : int
        How far into the future of its own time-aligned input an output sample depends.
    tail_frames : int
        How many frames the output goes on after the input has ended.
    channels_out : int, optional
        As many as come in by default.
    state : mapping
        Initial values of the scalars declared in ``Plugin.state``; zero where absent.
    buffers : mapping
        Initial arrays for the buffers declared in ``Plugin.buffers``; all must be given.
    """

    latency_frames: int = 0
    lookahead_frames: int = 0
    tail_frames: int = 0
    channels_out: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    buffers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Attached:
    """What ``attach`` answers: what native code made of the buffers' addresses.

    Parameters
    ----------
    state : mapping
        Values of scalars declared in ``Plugin.state``, such as the address of a native object.
    keep : object
        Lives as long as the memory that the kernel runs in; hold here what those addresses
        point to.
    """

    state: Mapping[str, int] = field(default_factory=dict)
    keep: object = None


class Plugin:
    """Base of all processors.

    Parameters
    ----------
    **settings
        Values of the declared parameters and settings.

    Raises
    ------
    ParameterError
        Where one is unknown, of the wrong type or out of range.

    Examples
    --------
    >>> class Invert(Plugin):
    ...     '''Turn the wave upside down.'''
    ...     id = "invert"
    ...     @kernel
    ...     def process(x, y):
    ...         for c in range(x.shape[0]):
    ...             for i in range(x.shape[1]):
    ...                 y[c, i] = -x[c, i]
    """

    #: The name in chain files and on the command line.
    id: ClassVar[str]
    #: Scalars kept between blocks: name to NumPy type name, or "real" for the stream's own type.
    state: ClassVar[Mapping[str, str]] = {}
    #: Arrays kept between blocks: name to a type such as ``"real[:, :]"`` or ``"i8[:]"``.
    buffers: ClassVar[Mapping[str, str]] = {}
    #: ``process`` is then always called with exactly this many frames; see also :meth:`hop`.
    hop_frames: ClassVar[int | None] = None
    #: Vectors that are fed while it plays, by name; see also :meth:`sides`.
    side_inputs: ClassVar[Mapping[str, SideInput]] = {}
    #: False for a kernel that reads deadlines or time stamps.
    deterministic: ClassVar[bool] = True
    #: Where it runs: "inline" on the audio thread, or, where it has a hop, on a thread of its own
    #: ("worker").  This and the next two may also be a :class:`Setting`.
    placement: ClassVar[Any] = "inline"
    #: By how much later than inline a worker's output is, in seconds; None for one hop.
    worker_allowance_s: ClassVar[Any] = None
    #: What is heard in place of a hop that is late: "conceal" goes on with the sound, "dry" is the
    #: input, "silence" nothing.
    worker_late: ClassVar[Any] = "conceal"
    #: Whether it fills packets that never came: how far it looks ahead shows only where some are
    #: missing.
    conceals: Any = False
    process: ClassVar[Any]
    params: ClassVar[dict[str, Param]] = {}
    settings: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the declarations of a plugin and check that they fit together."""
        super().__init_subclass__(**kwargs)
        merged = {k: v for base in reversed(cls.__mro__) for k, v in vars(base).items()}
        cls.params = {k: v for k, v in merged.items() if isinstance(v, Param)}
        cls.settings = {k: v for k, v in merged.items() if isinstance(v, Setting)}
        if not isinstance(merged.get("process"), Kernel):
            return  # an abstract base
        if not isinstance(getattr(cls, "id", None), str):
            msg = (
                f"plugin class {cls.__module__}.{cls.__qualname__} has no id; give it "
                "one, such as id = 'mygain'"
            )
            raise PluginError(msg)
        cls._check_kinds()
        cls._check_names()

    @classmethod
    def _check_kinds(cls) -> None:
        """Refuse types of scalars and buffers that a kernel cannot have."""
        for table in ("state", "buffers"):
            if not isinstance(getattr(cls, table), Mapping):
                msg = (
                    f"plugin '{cls.id}': {table} must be a dictionary of names to types, such as "
                    f"{{'level': 'real'}}, got {getattr(cls, table)!r}"
                )
                raise PluginError(msg)
        for name, kind in cls.state.items():
            if not (isinstance(kind, str) and _SCALAR.match(kind)):
                msg = (
                    f"plugin '{cls.id}': state {name} has the type {kind!r}; write 'real', 'f8', "
                    "'i8' or 'b1', and declare arrays in buffers"
                )
                raise PluginError(msg)
        for name, kind in cls.buffers.items():
            if not (isinstance(kind, str) and _BUFFER.match(kind)):
                msg = (
                    f"plugin '{cls.id}': buffer {name} has the type {kind!r}; write it "
                    "like 'real[:, :]' or 'i8[:]'"
                )
                raise PluginError(msg)

    @classmethod
    def _check_names(cls) -> None:
        """Refuse names that mean two things, or that the host uses itself."""
        taken = dict.fromkeys(_HANDED, "what every kernel is handed")
        named = [("parameter", p.kernel_name or name) for name, p in cls.params.items()]
        named += [("buffer", name) for name in cls.buffers]
        # The record also holds each buffer's lengths.
        lengths = [f"{n}_{k}" for n, (_, dims) in cls.buffer_types().items() for k in range(dims)]
        named += [("length of a buffer", name) for name in lengths]
        named += [("state", name) for name in cls.state]
        for what, name in named:
            usable = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
            if not usable or name.startswith("rt_"):
                msg = (
                    f"plugin '{cls.id}': {what} has the name {name!r}; choose a name of letters, "
                    "digits and _ that does not begin with rt_"
                )
                raise PluginError(msg)
            if name in taken:
                msg = (
                    f"plugin '{cls.id}': {what} '{name}' has the name of {taken[name]}; choose "
                    "another name"
                )
                raise PluginError(msg)
            taken[name] = f"a {what}"

    def __init__(self, **settings: Any) -> None:
        known: dict[str, Param | Setting] = {**self.params, **self.settings}
        for key in settings:
            if key not in known:
                listed = ", ".join(known) or "none"
                raise ParameterError(
                    key,
                    f"no such parameter of '{self.id}'{did_you_mean(key, known)}; it has: {listed}",
                )
        for key in self.needs():
            if key not in settings:
                doc = self.settings[key].doc
                raise ParameterError(key, f"must be given to '{self.id}'{doc and f': {doc}'}")
        self._values = {
            key: declared.check(key, settings.get(key, declared.default))
            for key, declared in known.items()
        }

    def __repr__(self) -> str:
        """Show the class and what differs from the defaults."""
        known: dict[str, Any] = {**self.params, **self.settings}
        changed = [f"{k}={v!r}" for k, v in self._values.items() if v is not known[k].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    @classmethod
    def needs(cls) -> list[str]:
        """Name the settings without which no plugin of this class can be made."""
        return [name for name, setting in cls.settings.items() if setting.required]

    @property
    def values(self) -> dict[str, Any]:
        """The values of all parameters and settings, by name."""
        return dict(self._values)

    def hop(self, spec: Spec) -> int | None:
        """Say with how many frames ``process`` is always called; asked before :meth:`prepare`.

        Parameters
        ----------
        spec : Spec
            The stream as it comes; :meth:`prepare` then gets ``max_frames`` equal to the hop.

        Returns
        -------
        int or None
            Hop in frames, at least 1; None for blocks of any size.  The class's ``hop_frames``
            by default.
        """
        del spec
        return type(self).hop_frames

    def sides(self, spec: Spec) -> Mapping[str, SideInput]:
        """Say which vectors are fed while it plays; asked before :meth:`prepare`.

        The kernel reads them by their place in this order, with :func:`rtcore.side_vector`.

        Parameters
        ----------
        spec : Spec
            The stream as it comes.

        Returns
        -------
        mapping of str to SideInput
            The class's ``side_inputs`` by default.
        """
        del spec
        return type(self).side_inputs

    def prepare(self, spec: Spec) -> Prepared:
        """Say how the plugin runs in a stream; on the control thread, may allocate.

        Parameters
        ----------
        spec : Spec
            The stream.

        Returns
        -------
        Prepared
            Facts and initial memory.
        """
        del spec
        return Prepared()

    def attach(self, buffers: Mapping[str, np.ndarray[Any, Any]]) -> Attached:
        """Hand the buffers' addresses to native code; on the control thread, after ``prepare``.

        Parameters
        ----------
        buffers : mapping
            Name to the array that the kernel gets: at its final address, at a multiple of 64
            bytes, filled with its initial values.  What is written into it here is what a reset
            restores.

        Returns
        -------
        Attached
            Scalars for the state, and an object that lives as long as this memory.

        Notes
        -----
        A reset copies the memory back as it stands after this call, so everything that is
        remembered from block to block must lie in the buffers and the state.
        """
        del buffers
        return Attached()

    def failures(self) -> tuple[int, str]:
        """Tell how often the plugin could not do its work although the sound went on.

        Asked on the control thread, of the plugin that a chain plays, at any time.

        Returns
        -------
        int, str
            How many hops (or blocks) it had to replace since the last reset, and why first.
            Where that is more than none, an engine tells its user, and statistics have it.
        """
        return 0, ""

    def update(self, **settings: Any) -> Plugin:
        """Give a copy of this plugin with other values.

        To change a plugin that is playing use :meth:`rtcore.Chain.update` or
        :meth:`rtcore.Engine.update`.

        Raises
        ------
        ParameterError
            As when a plugin is made.
        """
        return type(self)(**{**self._values, **settings})

    def copy(self) -> Plugin:
        """Give an independent copy."""
        twin = copy.copy(self)
        twin._values = dict(self._values)  # noqa: SLF001 - our own class
        return twin

    @classmethod
    def buffer_types(cls) -> dict[str, tuple[str, int]]:
        """Give each buffer's element type and number of dimensions."""
        found = {}
        for name, kind in cls.buffers.items():
            match = _BUFFER.match(kind)
            if match:
                found[name] = (match.group(1), match.group(2).count(":"))
        return found
