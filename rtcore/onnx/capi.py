# SPDX-License-Identifier: MIT
"""ONNX Runtime's C library, as the installed wheel brings it: found, opened and typed.

No compiler and no header are needed.  ``OrtGetApiBase`` hands out one table of functions,
``OrtApi`` (onnxruntime_c_api.h), to which new versions only append: an index once given holds for
good.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from rtcore.errors import DeviceError

#: The oldest table that has all that is used here is that of 1.4; older wheels than 1.17 are not
#: tried by anybody, and rtcore does not install beside them.
API_VERSION = 17
QUIET = 4  # ORT_LOGGING_LEVEL_FATAL: what fails comes as a status, and is told once

_OUT = POINTER(c_void_p)
_SIZES = POINTER(c_int64)
#: Place in OrtApi and arguments of each function that gives a status.
_CHECKED: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateEnv": (3, (c_int, c_char_p, _OUT)),
    "CreateSession": (7, (c_void_p, c_char_p, c_void_p, _OUT)),
    "CreateSessionOptions": (10, (_OUT,)),
    "SetSessionExecutionMode": (13, (c_void_p, c_int)),
    "SetSessionLogSeverityLevel": (22, (c_void_p, c_int)),
    "SetSessionGraphOptimizationLevel": (23, (c_void_p, c_int)),
    "SetIntraOpNumThreads": (24, (c_void_p, c_int)),
    "SetInterOpNumThreads": (25, (c_void_p, c_int)),
    "SessionGetInputCount": (30, (c_void_p, POINTER(c_size_t))),
    "SessionGetOutputCount": (31, (c_void_p, POINTER(c_size_t))),
    "SessionGetInputTypeInfo": (33, (c_void_p, c_size_t, _OUT)),
    "SessionGetOutputTypeInfo": (34, (c_void_p, c_size_t, _OUT)),
    "SessionGetInputName": (36, (c_void_p, c_size_t, c_void_p, _OUT)),
    "SessionGetOutputName": (37, (c_void_p, c_size_t, c_void_p, _OUT)),
    "CreateRunOptions": (39, (_OUT,)),
    "RunOptionsSetRunLogSeverityLevel": (41, (c_void_p, c_int)),
    "CreateTensorWithDataAsOrtValue": (
        49,
        (c_void_p, c_void_p, c_size_t, _SIZES, c_size_t, c_int, _OUT),
    ),
    "CastTypeInfoToTensorInfo": (55, (c_void_p, _OUT)),
    "GetTensorElementType": (60, (c_void_p, POINTER(c_int))),
    "GetDimensionsCount": (61, (c_void_p, POINTER(c_size_t))),
    "GetDimensions": (62, (c_void_p, _SIZES, c_size_t)),
    "CreateCpuMemoryInfo": (69, (c_int, c_int, _OUT)),
    "AllocatorFree": (76, (c_void_p, c_void_p)),
    "GetAllocatorWithDefaultOptions": (78, (_OUT,)),
    "AddSessionConfigEntry": (130, (c_void_p, c_char_p, c_char_p)),
    "CreateIoBinding": (134, (c_void_p, _OUT)),
    "BindInput": (136, (c_void_p, c_char_p, c_void_p)),
    "BindOutput": (137, (c_void_p, c_char_p, c_void_p)),
}
#: Functions that free an object and give nothing.
_RELEASING = {
    "ReleaseStatus": 93,
    "ReleaseSession": 95,
    "ReleaseValue": 96,
    "ReleaseRunOptions": 97,
    "ReleaseTypeInfo": 98,
    "ReleaseSessionOptions": 100,
    "ReleaseIoBinding": 135,
}
#: Functions that compiled code calls through their address.
_RUNNING = {"GetErrorMessage": 2, "RunWithBinding": 133}
_GET_ERROR_CODE = 1


class RefusalError(Exception):
    """ONNX Runtime's own answer to a call; :mod:`rtcore.onnx` makes a sentence of it.

    Parameters
    ----------
    code : int
        ``OrtErrorCode``.
    reason : str
        Its text.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _ApiBase(ctypes.Structure):
    _fields_ = (
        ("GetApi", ctypes.CFUNCTYPE(c_void_p, c_uint32)),
        ("GetVersionString", ctypes.CFUNCTYPE(c_char_p)),
    )


class Library:
    """The C functions of one ONNX Runtime, with one environment for the whole process.

    Parameters
    ----------
    path : Path
        The shared library.

    Raises
    ------
    DeviceError
        Where it cannot be opened, is no ONNX Runtime, or is too old.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = ctypes.CDLL(str(path))
            get_base = self._handle.OrtGetApiBase
        except (OSError, AttributeError) as error:
            raise DeviceError(
                f"{path} cannot be used as ONNX Runtime's C library: {error}"
            ) from error
        get_base.restype = POINTER(_ApiBase)
        base = get_base().contents
        self.version = str(base.GetVersionString().decode())
        # Asked for a table that it does not have, the library would complain on stderr.
        new_enough = _minor(self.version) >= API_VERSION
        table = base.GetApi(API_VERSION) if new_enough else None
        if not table:
            raise DeviceError(
                f"{path} is ONNX Runtime {self.version}, and rtcore calls 1.{API_VERSION} or "
                "newer; install a newer onnxruntime"
            )
        self._table = ctypes.cast(table, POINTER(c_void_p))
        self._functions = {
            name: ctypes.CFUNCTYPE(c_void_p, *arguments)(self._table[place])
            for name, (place, arguments) in _CHECKED.items()
        }
        self._release = {
            name: ctypes.CFUNCTYPE(None, c_void_p)(self._table[place])
            for name, place in _RELEASING.items()
        }
        self._code = ctypes.CFUNCTYPE(c_int, c_void_p)(self._table[_GET_ERROR_CODE])
        self._text = ctypes.CFUNCTYPE(c_char_p, c_void_p)(self.address("GetErrorMessage"))
        self.environment = self.make("CreateEnv", QUIET, b"rtcore")
        self.allocator = self.make("GetAllocatorWithDefaultOptions")  # not ours to free
        self.memory = self.make("CreateCpuMemoryInfo", 0, 0)  # lives as long as the process

    def address(self, name: str) -> int:
        """Give the address of a function for compiled code."""
        return int(self._table[_RUNNING.get(name) or _RELEASING[name]] or 0)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function; raise :class:`RefusalError` where it answers with a status."""
        status = self._functions[name](*arguments)
        if status:
            code, text = self._code(status), self._text(status) or b""
            self.release("Status", status)
            raise RefusalError(code, " ".join(text.decode("utf-8", "replace").split()))

    def make(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument is where it puts the address of an object."""
        place = c_void_p()
        self.call(name, *arguments, ctypes.byref(place))
        return int(place.value or 0)

    def number(self, name: str, *arguments: Any, kind: Any = c_size_t) -> int:
        """Call a function whose last argument is where it puts a number."""
        place = kind()
        self.call(name, *arguments, ctypes.byref(place))
        return int(place.value)

    def release(self, kind: str, address: int) -> None:
        """Free an object, such as a ``"Session"``."""
        self._release[f"Release{kind}"](address)


def _minor(version: str) -> int:
    """Read the 31 of 1.31.1; 0 where there is none."""
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def library_path() -> Path:
    """Find ONNX Runtime's C library in the installed wheel, without importing the package.

    Raises
    ------
    DeviceError
        Where the package is not installed, or its wheel brings no C library.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise DeviceError("onnxruntime is not installed; run: pip install onnxruntime")
    folder = Path(spec.origin).parent / "capi"
    found = sorted({*folder.glob("libonnxruntime.so*"), *folder.glob("libonnxruntime*.dylib")})
    if not found:
        raise DeviceError(
            f"the installed onnxruntime has no C library in {folder}; install a newer onnxruntime"
        )
    return found[-1]


_one_at_a_time = threading.Lock()


def library() -> Library:
    """Open the C library, once in a process; see :class:`Library` for what may be raised."""
    with _one_at_a_time:  # ONNX Runtime wants one environment
        return _opened(library_path())


@cache
def _opened(path: Path) -> Library:
    return Library(path)
