# SPDX-License-Identifier: MIT
"""Models in ONNX Runtime, run from compiled code over memory that stays in place.

>>> runtime = choose_runtime()                                  # doctest: +SKIP
>>> session = runtime.open("model.onnx")                        # doctest: +SKIP
>>> binding = session.bind({"x": x}, {"y": y})                  # doctest: +SKIP
>>> run_model(binding.call_address)  # here or in a kernel      # doctest: +SKIP
0
"""

from __future__ import annotations

import os

from rtcore.errors import ConfigError, DeviceError
from rtcore.onnx.call import CALL, run_model
from rtcore.onnx.fallback import fallback_runtime
from rtcore.onnx.native import native_runtime
from rtcore.onnx.session import Binding, Runtime, Session
from rtcore.onnx.tensors import Tensor

__all__ = [
    "CALL",
    "Binding",
    "Runtime",
    "Session",
    "Tensor",
    "choose_runtime",
    "fallback_runtime",
    "native_runtime",
    "run_model",
]

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
