# SPDX-License-Identifier: MIT
"""What computer and software a measurement holds for."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_PACKAGES = (
    "rtcore",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "onnxruntime",
    "soundfile",
    "sounddevice",
    "pedalboard",
    "pyclarity",
)
_CPU_INFO = Path("/proc/cpuinfo")
_GOVERNORS = Path("/sys/devices/system/cpu")


def machine(**known: Any) -> dict[str, Any]:
    """Describe the computer and the software that figures hold for.

    Parameters
    ----------
    **known
        What the caller knows beside it, such as the audio driver.

    Returns
    -------
    dict
        JSON-able. ``virtual`` is None where the system does not tell, ``governor`` where the
        kernel does not scale the processor's frequency. Nothing in it names a person or a host.
    """
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "cores_allowed": _allowed(),
        "virtual": virtual(),
        "governor": governor(),
        "load_average": _load(),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _versions(),
        **known,
    }


def processor(info: Path = _CPU_INFO) -> str:
    """Give the processor's name, where the system tells."""
    names = _cpu_lines(info, "model name")
    return names[0] if names else platform.processor() or platform.machine()


def virtual(info: Path = _CPU_INFO) -> bool | None:
    """Say whether this is a virtual machine; None where the processor does not tell."""
    flags = _cpu_lines(info, "flags")
    return "hypervisor" in flags[0].split() if flags else None


def governor(folder: Path = _GOVERNORS) -> str | None:
    """Name what chooses the processor's frequency; several names where cores differ."""
    found = set()
    for file in folder.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found.add(file.read_text("ascii").strip())
        except (OSError, ValueError):
            continue
    return ", ".join(sorted(found)) or None


def _cpu_lines(info: Path, key: str) -> list[str]:
    """Give the values of a key, one for each core."""
    try:
        lines = info.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key]


def _allowed() -> int | None:
    """Count the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count()


def _load() -> list[float] | None:
    """Give the load average of the last 1, 5 and 15 minutes."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def _versions() -> dict[str, str]:
    """Give the versions of the packages that matter, as far as they are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
