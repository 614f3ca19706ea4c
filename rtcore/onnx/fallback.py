# SPDX-License-Identifier: MIT
"""Models through ONNX Runtime's Python package, where its C library cannot be used.

Compiled code calls the same functions with the same arguments; here they are callbacks that take
the interpreter's lock.  So a busy Python thread makes such a model late.
"""

from __future__ import annotations

import atexit
import ctypes
import re
import time
import weakref
from collections.abc import Callable
from ctypes import c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from rtcore.errors import DeviceError
from rtcore.kernels.jit import c_entry
from rtcore.onnx.call import TEXT_BYTES
from rtcore.onnx.files import refusal
from rtcore.onnx.session import Binding, Runtime, Session
from rtcore.onnx.tensors import Tensor, dtype_of

_QUIET = 4
_CODE = re.compile(r"\[ONNXRuntimeError\] : (\d+) : \w+ : ")
_RUN = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
_WORD = types.uintp
_SETTLE_S = 0.1  # for calls that wait for the lock when the interpreter ends
_LAST_S = 2.0  # for runs that are told to end early: they do so at the model's next node


# A status is here the address of its text, which is also what a record calls its binding.
def _message(status: int) -> int:
    """Give the text of a status."""
    return status


def _release(status: int) -> None:
    """Free nothing: the text belongs to the binding."""


def _refuse(_session: int, _options: int, binding: int) -> int:
    """Fail as a run does, without the interpreter."""
    return binding


@cache
def _entries() -> dict[str, Any]:
    """Compile what needs no interpreter."""
    return {
        "message": c_entry(_message, _WORD(_WORD)),
        "release": c_entry(_release, types.void(_WORD)),
        "refuse": c_entry(_refuse, _WORD(_WORD, _WORD, _WORD)),
    }


_alive: weakref.WeakKeyDictionary[Binding, Any] = weakref.WeakKeyDictionary()  # to RunOptions
_under_way: set[object] = set()  # runs that have begun and not ended


@atexit.register
def _part_from_python() -> None:
    """Let no native thread enter an interpreter that ends: the process would abort."""
    bindings = list(_alive.items())
    for binding, options in bindings:
        binding.call["run"] = _entries()["refuse"].address
        options.terminate = True
    if bindings:
        time.sleep(_SETTLE_S)
    end = time.monotonic() + _LAST_S
    while _under_way and time.monotonic() < end:
        time.sleep(_SETTLE_S)


class PythonRuntime(Runtime):
    """Models through Python.

    Parameters
    ----------
    ort : module
        ``onnxruntime``.
    reason : str
        Why they do not run natively.
    """

    native = False

    def __init__(self, ort: Any, reason: str) -> None:
        self._ort = ort
        self.version = str(ort.__version__)
        self.how = (
            f"models run in ONNX Runtime {self.version} through Python, and come late when Python "
            f"is busy: {reason}"
        )

    def _open(self, path: Path) -> Session:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = _QUIET
        for pool in ("intra_op", "inter_op"):
            options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
        try:
            session = self._ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            text = " ".join(str(error).split())
            code = _CODE.match(text)
            number = int(code[1]) if code else 0
            raise refusal(path, self.version, number, _CODE.sub("", text)) from error
        quiet = self._ort.RunOptions()
        quiet.log_severity_level = _QUIET
        return PythonSession(path, session, quiet)


class PythonSession(Session):
    """A model in the hands of ``onnxruntime.InferenceSession``.

    Parameters
    ----------
    path : Path
        Where the model came from.
    session : InferenceSession
        The model.
    options : RunOptions
        Of each run.
    """

    def __init__(self, path: Path, session: Any, options: Any) -> None:
        inputs = tuple(_tensor(path, "input", node) for node in session.get_inputs())
        outputs = tuple(_tensor(path, "output", node) for node in session.get_outputs())
        super().__init__(path, inputs, outputs)
        self._session = session
        self._options = options

    def _bind(
        self, inputs: dict[str, np.ndarray[Any, Any]], outputs: dict[str, np.ndarray[Any, Any]]
    ) -> Binding:
        bound = self._session.io_binding()
        for bind, arrays in ((bound.bind_input, inputs), (bound.bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        text = ctypes.create_string_buffer(b"Python has ended", TEXT_BYTES)
        run = _RUN(_runner(self._session, self._options, bound, text))
        functions = {
            "run": int(ctypes.cast(run, c_void_p).value or 0),
            "binding": ctypes.addressof(text),
            "message": _entries()["message"].address,
            "release": _entries()["release"].address,
        }
        binding = Binding(self.path, inputs, outputs, functions, (run, text))
        _alive[binding] = self._options
        return binding

    def _close(self) -> None:
        self._session = None


def _runner(session: Any, options: Any, bound: Any, text: Any) -> Callable[..., int]:
    """Make the function behind a binding's address; an exception would vanish in a callback."""

    def run(*_unused: object) -> int:
        mark = object()
        _under_way.add(mark)
        try:
            session.run_with_iobinding(bound, options)
        except BaseException as error:  # noqa: BLE001 - nobody above could catch it
            reason = str(error).removeprefix("Error in execution: ")
            text.value = reason.encode("utf-8", "replace")[: TEXT_BYTES - 1]
            return ctypes.addressof(text)
        finally:
            _under_way.discard(mark)
        return 0

    return run


def _tensor(path: Path, kind: str, node: Any) -> Tensor:
    sizes = tuple(size if isinstance(size, int) else None for size in node.shape)
    return Tensor(node.name, sizes, dtype_of(path, kind, node.name, node.type))


def fallback_runtime(reason: str = "it was asked for") -> Runtime:
    """Give the runtime that goes through Python.

    Parameters
    ----------
    reason : str
        Why; a part of the runtime's sentence.

    Raises
    ------
    DeviceError
        Where the package onnxruntime cannot be imported.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(
            f"onnxruntime cannot be imported: {error}; run: pip install onnxruntime"
        ) from error
    return PythonRuntime(onnxruntime, reason)
