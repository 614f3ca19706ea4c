# SPDX-License-Identifier: MIT
"""Models in ONNX Runtime, run from compiled code over memory that stays in place.

::

    runtime = choose_runtime()
    session = runtime.open("model.onnx")
    binding = session.bind({"x": x}, {"y": y})
    run_model(binding.call_address)  # from Python, or in a kernel or worker: 0 is good

Names are loaded when they are first used: to read a model's manifest needs no compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtcore.onnx.call import CALL, run_model
    from rtcore.onnx.choice import choose_runtime
    from rtcore.onnx.fallback import fallback_runtime
    from rtcore.onnx.native import native_runtime
    from rtcore.onnx.session import Binding, Runtime, Session
    from rtcore.onnx.tensors import Tensor

_HOME = {
    "CALL": "rtcore.onnx.call",
    "run_model": "rtcore.onnx.call",
    "choose_runtime": "rtcore.onnx.choice",
    "fallback_runtime": "rtcore.onnx.fallback",
    "native_runtime": "rtcore.onnx.native",
    "Binding": "rtcore.onnx.session",
    "Runtime": "rtcore.onnx.session",
    "Session": "rtcore.onnx.session",
    "Tensor": "rtcore.onnx.tensors",
}

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


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'rtcore.onnx' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what can be had, loaded or not."""
    return sorted({*globals(), *__all__})
