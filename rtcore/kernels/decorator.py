# SPDX-License-Identifier: MIT
"""``@kernel``: from a plain Python function to the C signature of a processor.

The author's function names what it needs: ``x`` and ``y``, and by name ``ctx``, ``state``, its
buffers and its live parameters.  A small C entry is generated that finds these behind the state
pointer and calls the compiled function.  The entry has no closure (a captured dispatcher is
pickled differently in each process, so that a cache would never hit): it is ordinary source text
compiled under the author's file name, with the function among its globals.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numba import carray, from_dtype, njit, types
from numba.core.errors import NumbaError

from rtcore.errors import KernelError
from rtcore.kernels.abi import pointer, pointer_like
from rtcore.kernels.cache import KernelCache
from rtcore.kernels.context import CONTEXT
from rtcore.kernels.controls import ramp, value
from rtcore.kernels.jit import FLAGS, c_entry
from rtcore.kernels.sources import digest_of_files
from rtcore.kernels.verify import refuse_unfit

REALS = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
_HANDED = ("x", "y", "ctx", "state")


def helper(fn: Callable[..., Any]) -> Any:
    """Compile a function for use inside kernels, under the kernels' own flags.

    Parameters
    ----------
    fn : function
        Takes numbers and arrays; follows the same rules as a kernel.

    Returns
    -------
    numba Dispatcher
        Callable from kernels and from Python.
    """
    return njit(nogil=True, **FLAGS)(fn)


def kernel(fn: Callable[..., Any]) -> Kernel:
    """Declare a plugin's ``process`` function.

    Parameters
    ----------
    fn : function
        Its arguments are taken by name: ``x`` (channels_in, frames) and ``y`` (channels_out,
        frames) always; ``ctx`` (the block's :data:`~rtcore.kernels.CONTEXT`), ``state``, buffers
        and parameters where it wants them.

    Returns
    -------
    Kernel
        Compiled on first use, for float32 and for float64.

    Raises
    ------
    KernelError
        Where the function can never be a kernel: it captures variables or lacks ``x`` or ``y``.
    """
    return Kernel(fn)


class Kernel:
    """The compiled forms of one author's function."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.names = tuple(inspect.signature(fn).parameters)
        where = (
            f"{fn.__code__.co_filename}, line {fn.__code__.co_firstlineno}: kernel '{fn.__name__}'"
        )
        if self.names[:2] != ("x", "y"):
            msg = f"{where} must take x and y first (no self), got ({', '.join(self.names)})"
            raise KernelError(msg)
        if fn.__closure__:
            captured = ", ".join(fn.__code__.co_freevars)
            msg = (
                f"{where} captures {captured} from around it; use a parameter, a state "
                "field or a module constant"
            )
            raise KernelError(msg)
        self._built: dict[Any, Any] = {}
        self._caches: dict[Any, KernelCache] = {}
        self._files = digest_of_files(fn)  # now: the file may be edited before the first block
        self._body = njit(nogil=True, forceinline=True, **FLAGS)(fn)

    def address(
        self,
        real: np.dtype[Any],
        record: np.dtype[Any],
        buffers: Mapping[str, tuple[str, int]],
        controls: Mapping[str, bool],
    ) -> int:
        """Compile (or load) the C entry for one real type and give its address.

        Parameters
        ----------
        real : dtype
            float32 or float64.
        record : dtype
            The state record: header, buffer pointers and sizes, the author's scalars.
        buffers : mapping
            Name to (``"real"`` or a NumPy type name, number of dimensions).
        controls : mapping
            Name to whether the kernel gets one value per frame.

        Returns
        -------
        int
            Address of ``int32 process(void*, const Context*, const real*, real*, int32)``.

        Raises
        ------
        KernelError
            Where the function does not compile, allocates or may raise.
        """
        return int(self._compiled(real, record, buffers, controls).address)

    def cache_of(self, real: np.dtype[Any]) -> KernelCache | None:
        """Give the cache of a compiled form, to see whether it was loaded or made."""
        return self._caches.get(real)

    def _compiled(self, real: Any, record: Any, buffers: Any, controls: Any) -> Any:
        key = (real, record.descr.__repr__(), tuple(buffers.items()), tuple(controls.items()))
        if key not in self._built:
            self._built[key] = self._compile(real, record, buffers, controls)
        return self._built[key]

    def _compile(self, real: Any, record: Any, buffers: Any, controls: Any) -> Any:
        source = self._entry_source(buffers, controls)
        scope: dict[str, Any] = {
            "carray": carray,
            "np": np,
            "pointer": pointer,
            "pointer_like": pointer_like,
            "rt_ramp": ramp,
            "rt_value": value,
            "rt_body": self._body,
            "__name__": self.fn.__module__,
        }
        exec(compile(source, self.fn.__code__.co_filename, "exec"), scope)  # noqa: S102 - our own text
        number, real_p = REALS[real], types.CPointer(REALS[real])
        signature = types.int32(
            types.CPointer(from_dtype(record)),
            types.CPointer(from_dtype(CONTEXT)),
            real_p,
            real_p,
            types.int32,
        )
        argument_types = self._argument_types(number, record, buffers, controls)
        cache = KernelCache(
            scope[self._entry_name],
            sources=self.fn,
            files=self._files,
            extra=source.encode() + repr(record.descr).encode(),
            check=lambda result: refuse_unfit(result, self.fn, argument_types),
        )
        self._caches[real] = cache
        try:
            return c_entry(scope[self._entry_name], signature, cache)
        except NumbaError as error:
            raise KernelError(self._sentence(error)) from error
        except KeyError as error:  # Numba's answer to a field that a record does not have
            sentence = self._undeclared(error)
            if sentence is None:
                raise
            raise KernelError(sentence) from error

    @property
    def _entry_name(self) -> str:
        """Name the entry after the very code behind it.

        Two kernels of one file, or two versions of one kernel, may have the same arguments and
        the same layout; they must share neither a cache entry nor a symbol in the process.
        """
        code = self.fn.__code__
        mark = hashlib.sha256(self._files)
        for part in (self.fn.__qualname__, code.co_firstlineno, code.co_code, code.co_names):
            mark.update(repr(part).encode())
        return f"{self.fn.__name__}__{mark.hexdigest()[:16]}"

    def _entry_source(
        self, buffers: Mapping[str, tuple[str, int]], controls: Mapping[str, bool]
    ) -> str:
        known = [*_HANDED, *buffers, *controls]
        lines = [
            f"def {self._entry_name}(rt_s, rt_c, rt_x, rt_y, rt_n):",
            "    state = carray(rt_s, (1,))[0]",
        ]
        for name in self.names:
            if name not in known:
                msg = (
                    f"{self.fn.__code__.co_filename}, line "
                    f"{self.fn.__code__.co_firstlineno}: kernel "
                    f"'{self.fn.__name__}' asks for '{name}', which is no parameter, "
                    "buffer, state or ctx; "
                    f"it can have: {', '.join(known)}"
                )
                raise KernelError(msg)
            lines += [f"    {line}" for line in self._fetch(name, buffers, controls)]
        call = f"rt_body({', '.join(self.names)})"
        lines.append(
            f"    return np.int32({call})"
            if self._returns_status()
            else f"    {call}\n    return np.int32(0)"
        )
        return "\n".join(lines) + "\n"

    def _fetch(self, name: str, buffers: Any, controls: Any) -> list[str]:
        if name == "state":
            return []
        if name == "ctx":
            return ["ctx = carray(rt_c, (1,))[0]"]
        if name in ("x", "y"):
            channels = "state.rt_channels_in" if name == "x" else "state.rt_channels_out"
            return [f"{name} = carray(rt_{name}, ({channels}, rt_n))"]
        if name in buffers:
            kind, ndim = buffers[name]
            shape = ", ".join(f"state.{name}_{k}" for k in range(ndim)) + ","
            typed = f"pointer_like(np.uintp(state.{name}), rt_x)"
            if kind != "real":
                typed = f"pointer(np.uintp(state.{name}), np.{np.dtype(kind).name})"
            return [f"{name} = carray({typed}, ({shape}))"]
        slot = list(controls).index(name)
        fetch = f"rt_ramp(np.uintp(state.rt_controls), {slot}, rt_n, rt_x)"
        return [
            f"{name} = {fetch}"
            if controls[name]
            else f"{name} = rt_value(np.uintp(state.rt_controls), {slot}, rt_x)"
        ]

    def _returns_status(self) -> bool:
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.fn)))
        return any(
            isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree)
        )

    def _argument_types(
        self, number: Any, record: Any, buffers: Any, controls: Any
    ) -> tuple[Any, ...]:
        found: dict[str, Any] = dict.fromkeys(("x", "y"), types.Array(number, 2, "C"))
        found |= {"state": from_dtype(record), "ctx": from_dtype(CONTEXT)}
        for name, (kind, ndim) in buffers.items():
            found[name] = types.Array(
                number if kind == "real" else from_dtype(np.dtype(kind)), ndim, "C"
            )
        for name, per_frame in controls.items():
            found[name] = types.Array(number, 1, "C") if per_frame else number
        return tuple(found[name] for name in self.names)

    def _undeclared(self, error: KeyError) -> str | None:
        """Say which field of `state` or `ctx` the function uses that is not there."""
        code, key = self.fn.__code__, error.args[0] if error.args else None
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.fn)))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or node.attr != key:
                continue
            owner = ast.unparse(node.value)
            line = code.co_firstlineno + node.lineno - 1
            where = f"{code.co_filename}, line {line}: kernel '{code.co_name}' uses {owner}.{key}"
            if owner == "ctx":
                return f"{where}, which the block's context does not have"
            return f"{where}, which is not declared in `state`; declare it there"
        return None

    def _sentence(self, error: NumbaError) -> str:
        """Say in one line what Numba could not compile, and where."""
        file = self.fn.__code__.co_filename
        text = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next(
            (
                line
                for line in text
                if not line.startswith(("File ", "Failed in", "During", "<source"))
            ),
            "",
        )
        lines = [
            int(n)
            for n in re.findall(
                rf'File "[^"]*{re.escape(Path(file).name)}", line (\d+)', str(error)
            )
        ]
        inside = [n for n in lines if n > self.fn.__code__.co_firstlineno]
        line = inside[0] if inside else self.fn.__code__.co_firstlineno
        return f"{file}, line {line}: kernel '{self.fn.__name__}' does not compile: {reason}"
