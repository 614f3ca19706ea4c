# SPDX-License-Identifier: MIT
"""Models through ONNX Runtime's C functions: a run needs neither the interpreter nor its lock."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.kernels.rt import flush_denormals, restore_float_mode
from rtcore.onnx.capi import QUIET, Library, RefusalError, library
from rtcore.onnx.files import refusal
from rtcore.onnx.session import Binding, Runtime, Session
from rtcore.onnx.tensors import CODES, Tensor, dtype_of

_ALL_OPTIMISATIONS = 99
_SEQUENTIAL = 0
#: See onnxruntime_session_options_config_keys.h.  A spinning thread would burn a core between
#: frames; how subnormal numbers are treated is up to the thread that runs the model.
_ENTRIES = {
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
    "session.set_denormal_as_zero": "0",
}


class Owned:
    """An object of ONNX Runtime's, freed when nothing refers to it.

    Parameters
    ----------
    lib : Library
        Whose object it is.
    kind : str
        Such as ``"Session"``.
    address : int
        Where it is.
    *needs : object
        What it may only be freed before.
    """

    def __init__(self, lib: Library, kind: str, address: int, *needs: object) -> None:
        self.address = address
        # At exit the system frees everything; until then a native thread may still run it.
        weakref.finalize(self, _free, lib, kind, address, needs).atexit = False


def _free(lib: Library, kind: str, address: int, _needs: object) -> None:
    lib.release(kind, address)


class NativeRuntime(Runtime):
    """Models without Python.

    Parameters
    ----------
    lib : Library
        The C library.
    """

    native = True

    def __init__(self, lib: Library) -> None:
        self._library = lib
        self.version = lib.version
        self.how = f"models run in ONNX Runtime {lib.version}, called without the interpreter"

    def _open(self, path: Path) -> Session:
        lib = self._library
        try:
            with _options(lib) as options, _own_float_mode():
                made = lib.make("CreateSession", lib.environment, bytes(path), options)
        except RefusalError as error:
            raise refusal(path, lib.version, error.code, error.reason) from error
        return NativeSession(lib, path, Owned(lib, "Session", made))


class NativeSession(Session):
    """A model in ONNX Runtime's hands.

    Parameters
    ----------
    lib : Library
        The C library.
    path : Path
        Where the model came from.
    owned : Owned
        The session.
    """

    def __init__(self, lib: Library, path: Path, owned: Owned) -> None:
        inputs, outputs = (_tensors(lib, path, owned.address, k) for k in ("Input", "Output"))
        super().__init__(path, inputs, outputs)
        self._library = lib
        self._owned: Owned | None = owned
        self._options: Owned | None = Owned(lib, "RunOptions", lib.make("CreateRunOptions"))
        lib.call("RunOptionsSetRunLogSeverityLevel", self._options.address, QUIET)

    def _bind(
        self, inputs: dict[str, np.ndarray[Any, Any]], outputs: dict[str, np.ndarray[Any, Any]]
    ) -> Binding:
        lib, session, options = self._library, self._owned, self._options
        assert session is not None
        assert options is not None
        made = lib.make("CreateIoBinding", session.address)
        owned = Owned(lib, "IoBinding", made, session, options)
        for function, arrays in (("BindInput", inputs), ("BindOutput", outputs)):
            for name, array in arrays.items():
                with _value(lib, array) as value:  # the binding holds what it needs of it
                    lib.call(function, owned.address, name.encode(), value)
        functions = {
            "run": lib.address("RunWithBinding"),
            "session": session.address,
            "options": options.address,
            "binding": owned.address,
            "message": lib.address("GetErrorMessage"),
            "release": lib.address("ReleaseStatus"),
        }
        return Binding(self.path, inputs, outputs, functions, owned)

    def _close(self) -> None:
        self._owned = self._options = None


@contextmanager
def _options(lib: Library) -> Iterator[int]:
    """Make the options of a session that runs on the caller's thread alone."""
    made = lib.make("CreateSessionOptions")
    try:
        lib.call("SetIntraOpNumThreads", made, 1)
        lib.call("SetInterOpNumThreads", made, 1)
        lib.call("SetSessionExecutionMode", made, _SEQUENTIAL)
        lib.call("SetSessionGraphOptimizationLevel", made, _ALL_OPTIMISATIONS)
        lib.call("SetSessionLogSeverityLevel", made, QUIET)
        for key, value in _ENTRIES.items():
            lib.call("AddSessionConfigEntry", made, key.encode(), value.encode())
        yield made
    finally:
        lib.release("SessionOptions", made)


@contextmanager
def _own_float_mode() -> Iterator[None]:
    """Keep how this thread treats subnormal numbers: the first session of a process sets it."""
    mode = flush_denormals()
    restore_float_mode(mode)
    try:
        yield
    finally:
        restore_float_mode(mode)


@contextmanager
def _value(lib: Library, array: np.ndarray[Any, Any]) -> Iterator[int]:
    """Make a tensor over an array's memory."""
    sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
    code = CODES[array.dtype][0]
    made = lib.make(
        "CreateTensorWithDataAsOrtValue",
        lib.memory,
        array.ctypes.data,
        array.nbytes,
        sizes,
        array.ndim,
        code,
    )
    try:
        yield made
    finally:
        lib.release("Value", made)


def _tensors(lib: Library, path: Path, session: int, kind: str) -> tuple[Tensor, ...]:
    """Read what a model takes (``"Input"``) or gives (``"Output"``)."""
    count = lib.number(f"SessionGet{kind}Count", session)
    return tuple(_tensor(lib, path, session, kind, k) for k in range(count))


def _tensor(lib: Library, path: Path, session: int, kind: str, index: int) -> Tensor:
    text = lib.make(f"SessionGet{kind}Name", session, index, lib.allocator)
    name = ctypes.string_at(text).decode()
    lib.call("AllocatorFree", lib.allocator, text)
    info = lib.make(f"SessionGet{kind}TypeInfo", session, index)
    try:
        tensor = lib.make("CastTypeInfoToTensorInfo", info)  # a part of info, or nothing
        if not tensor:
            dtype_of(path, kind.lower(), name, "no tensor")
        code = lib.number("GetTensorElementType", tensor, kind=ctypes.c_int)
        dtype = dtype_of(path, kind.lower(), name, code)
        rank = lib.number("GetDimensionsCount", tensor)
        sizes = (ctypes.c_int64 * rank)()
        lib.call("GetDimensions", tensor, sizes, rank)
    finally:
        lib.release("TypeInfo", info)
    return Tensor(name, tuple(size if size >= 0 else None for size in sizes), dtype)


def native_runtime() -> Runtime:
    """Give the runtime that needs no interpreter.

    Raises
    ------
    DeviceError
        Where ONNX Runtime's C library is not there, or too old.
    """
    return NativeRuntime(library())
