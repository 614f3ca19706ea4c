# SPDX-License-Identifier: MIT
"""Which way models run on this machine."""

from __future__ import annotations

import os

from rtcore.errors import ConfigError, DeviceError
from rtcore.onnx.fallback import fallback_runtime
from rtcore.onnx.native import native_runtime
from rtcore.onnx.session import Runtime

VARIABLE = "RTCORE_ONNX"


def choose_runtime() -> Runtime:
    """Give the best runtime that is there: natively, or else through Python.

    The environment variable ``RTCORE_ONNX`` forces ``native`` or ``python``.

    Returns
    -------
    Runtime
        Its `how` says which it is, and why it is not native.

    Raises
    ------
    ConfigError
        Where the variable says anything else.
    DeviceError
        Where the runtime that was asked for, or any, is not there.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "native", "python"):
        raise ConfigError(VARIABLE, f"is '{wanted}'; set it to native or python, or unset it")
    if wanted == "native":
        return native_runtime()
    if wanted == "python":
        return fallback_runtime(f"{VARIABLE} is set to python")
    try:
        return native_runtime()
    except DeviceError as error:
        return fallback_runtime(str(error))
