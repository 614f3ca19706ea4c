# SPDX-License-Identifier: MIT
"""A causal, block-based audio engine: write a processor in Python, hear it without Python.

Names are loaded when they are first used, because ``rtcore --help`` needs none of them and
importing the compiler takes a third of a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtcore._version import __version__
    from rtcore.chain import Chain, Parallel, PerEar
    from rtcore.engine import Engine
    from rtcore.errors import (
        AudioFileError,
        CheckFailed,
        ConfigError,
        DeviceError,
        KernelError,
        ModelError,
        ParameterError,
        PluginError,
        RtcoreError,
        StreamError,
    )
    from rtcore.hearing import Audiogram, Listener
    from rtcore.kernels import helper, kernel
    from rtcore.kernels.side import side_vector
    from rtcore.plc import Concealer
    from rtcore.plugin import Attached, Param, Plugin, Prepared, Setting, Spec
    from rtcore.sides import SideInput

_HOME = {
    "__version__": "rtcore._version",
    "Plugin": "rtcore.plugin",
    "Param": "rtcore.plugin",
    "Setting": "rtcore.plugin",
    "Spec": "rtcore.plugin",
    "Prepared": "rtcore.plugin",
    "Attached": "rtcore.plugin",
    "SideInput": "rtcore.sides",
    "side_vector": "rtcore.kernels.side",
    "kernel": "rtcore.kernels",
    "helper": "rtcore.kernels",
    "Chain": "rtcore.chain",
    "Parallel": "rtcore.chain",
    "PerEar": "rtcore.chain",
    "Engine": "rtcore.engine",
    "Concealer": "rtcore.plc",
    "Audiogram": "rtcore.hearing",
    "Listener": "rtcore.hearing",
    "RtcoreError": "rtcore.errors",
    "ConfigError": "rtcore.errors",
    "AudioFileError": "rtcore.errors",
    "PluginError": "rtcore.errors",
    "KernelError": "rtcore.errors",
    "ModelError": "rtcore.errors",
    "ParameterError": "rtcore.errors",
    "StreamError": "rtcore.errors",
    "CheckFailed": "rtcore.errors",
    "DeviceError": "rtcore.errors",
}

__all__ = [
    "Attached",
    "AudioFileError",
    "Audiogram",
    "Chain",
    "CheckFailed",
    "Concealer",
    "ConfigError",
    "DeviceError",
    "Engine",
    "KernelError",
    "Listener",
    "ModelError",
    "Parallel",
    "Param",
    "ParameterError",
    "PerEar",
    "Plugin",
    "PluginError",
    "Prepared",
    "RtcoreError",
    "Setting",
    "SideInput",
    "Spec",
    "StreamError",
    "__version__",
    "helper",
    "kernel",
    "side_vector",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'rtcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what can be had, loaded or not."""
    return sorted({*globals(), *__all__})
