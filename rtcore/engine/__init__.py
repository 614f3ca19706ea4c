# SPDX-License-Identifier: MIT
"""Play chains live: engine, backends, safety."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtcore.engine.backends.jack import JackBackend
    from rtcore.engine.backends.portaudio import PortAudioBackend
    from rtcore.engine.backends.timer import FileBackend, TimerBackend
    from rtcore.engine.engine import Engine, State
    from rtcore.engine.feed import Memory
    from rtcore.engine.safety import Safety

_HOME = {
    "Engine": "engine",
    "State": "engine",
    "Memory": "feed",
    "Safety": "safety",
    "TimerBackend": "backends.timer",
    "FileBackend": "backends.timer",
    "JackBackend": "backends.jack",
    "PortAudioBackend": "backends.portaudio",
}

__all__ = [
    "Engine",
    "FileBackend",
    "JackBackend",
    "Memory",
    "PortAudioBackend",
    "Safety",
    "State",
    "TimerBackend",
]


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: sound libraries are only loaded by who needs them."""
    if name not in _HOME:
        msg = f"module 'rtcore.engine' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"rtcore.engine.{_HOME[name]}"), name)
    globals()[name] = value
    return value
