# SPDX-License-Identifier: MIT
"""Packages and their versions, ONNX Runtime's C API, and the cache of compiled code."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from rtcore.doctor.machine import Machine
from rtcore.doctor.probe import ask
from rtcore.doctor.record import Fix, Judgement, bad, good, improve, unknown
from rtcore.errors import DeviceError
from rtcore.onnx.capi import library_path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)\s*(==|>=)\s*([0-9][0-9.]*)$")
_LITTLE_BYTES = 200 << 20


def packages(_machine: Machine) -> list[Judgement]:
    """Compare installed versions with those that rtcore was made for."""
    found = [good("Python", platform.python_version())]
    try:
        wanted = importlib.metadata.requires("rtcore") or []
    except importlib.metadata.PackageNotFoundError:
        remedy = "install it, so that its requirements are known"
        return [*found, unknown("packages", "rtcore runs without being installed", remedy)]
    wrong, right = [], []
    for line in wanted:
        match = _PIN.match(line)
        if match is None:  # an extra, or a form that we do not write
            continue
        name, sign, version = match.groups()
        have = _version(name)
        if have is None or not fits(have, sign, version):
            wrong.append((name, f"{name} {have or 'is missing'} (needs {sign} {version})", line))
        else:
            right.append(f"{name} {have}")
    if not wrong:
        shown = ", ".join(text for text in right if text.split()[0] in _SHOWN)
        found.append(good("packages", shown, packages=right))
        return found
    fixes = tuple(Fix(f"python -m pip install '{line}'") for _, _, line in wrong)
    text = ", ".join(text for _, text, _ in wrong)
    found.append(bad("packages", text, "install the versions that rtcore was made for", *fixes))
    return found


_SHOWN = ("numpy", "numba", "sounddevice", "onnxruntime")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(have: str, sign: str, wanted: str) -> bool:
    """Compare versions by their leading numbers; ``==`` is exact up to a local suffix."""
    if sign == "==":
        return have.partition("+")[0] == wanted
    return _numbers(have) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    leading = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()


def onnx_library() -> Path | None:
    """Find the shared library in the installed package, without importing it."""
    try:
        return library_path()
    except DeviceError:
        return None


def onnx_runtime(_machine: Machine) -> Judgement:
    """Models run through ONNX Runtime's C API, from compiled code, without Python."""
    library = onnx_library()
    if library is None:
        remedy = "install the package onnxruntime again; only models need it"
        fix = Fix("python -m pip install --force-reinstall onnxruntime")
        return improve("ONNX Runtime", "the package has no C library", remedy, fix)
    answer = ask("onnxruntime", str(library))
    if "error" in answer:
        remedy = "install the package onnxruntime again"
        fix = Fix("python -m pip install --force-reinstall onnxruntime")
        found = f"{library.name} cannot be used: {answer['error']}"
        return bad("ONNX Runtime", found, remedy, fix)
    version = str(answer.get("version", ""))
    return good("ONNX Runtime", f"C API {version} in {library.name}", version=version)


def cache(_machine: Machine) -> list[Judgement]:
    """Where compiled code is kept, and whether there is room."""
    from rtcore.kernels import cache as kernels

    before = set(kernels.notes())
    with contextlib.redirect_stderr(io.StringIO()):  # its note becomes our judgement
        folder = kernels.folder()
    refused = [note for note in kernels.notes() if note not in before] or list(before)
    if folder is None or any("cannot write" in note for note in refused):
        remedy = "set RTCORE_CACHE_DIR to a folder that can be written"
        fix = Fix('export RTCORE_CACHE_DIR="$HOME/.rtcore-cache"', lasts=False)
        what = "cannot be written, so each start compiles for half a minute"
        return [bad("code cache", what, remedy, fix)]
    sizes = [entry.stat().st_size for entry in folder.glob("*.nbc")]
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {len(sizes)} entries, {sum(sizes) / 2**20:.1f} MiB"
    found = [good("code cache", text, entries=len(sizes), size_bytes=sum(sizes))]
    room = f"{free / 2**30:.1f} GiB free for the cache"
    if free >= _LITTLE_BYTES:
        return [*found, good("disk space", room, free_bytes=free)]
    return [*found, improve("disk space", room, "free some space there", free_bytes=free)]


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "packages": packages,
    "ONNX Runtime": onnx_runtime,
    "code cache": cache,
}
