# SPDX-License-Identifier: MIT
"""Ask C libraries in a process of its own: one that hangs or crashes there harms nobody here.

``python -m rtcore.doctor.probe WHAT`` prints what it finds out as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0


def ask(what: str, *arguments: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
    """Run a probe in a child process.

    Parameters
    ----------
    what : {"jack", "portaudio", "onnxruntime"}
        The library.
    timeout_s : float
        After which the child is ended.

    Returns
    -------
    dict
        What it found; ``{"error": reason}`` where it could not.
    """
    command = [sys.executable, "-m", "rtcore.doctor.probe", what, *arguments]
    environment = {**os.environ, "JACK_NO_START_SERVER": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {timeout_s:g} s"}
    lines = done.stdout.decode(errors="replace").splitlines()
    for line in reversed(lines):  # libraries may print as well
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    return {"error": f"the process that asked ended with status {done.returncode}"}


def jack() -> dict[str, Any]:
    """Load libjack; describe the server that runs, if one does, without starting any."""
    from rtcore.engine.backends import libjack
    from rtcore.engine.backends.jackclient import JackClient
    from rtcore.errors import DeviceError

    libjack.load()
    try:
        with JackClient("rtcore-doctor", timeout_s=3.0) as client:
            return {
                "server": True,
                "rate_hz": client.sample_rate,
                "block_frames": client.block_frames,
                "realtime": client.realtime,
                "cpu_load": client.cpu_load,
                "inputs": len(client.ports("output", physical=True)),
                "outputs": len(client.ports("input", physical=True)),
            }
    except DeviceError as error:
        return {"server": False, "reason": str(error), "missing": "is not running" in str(error)}


def portaudio() -> dict[str, Any]:
    """Load PortAudio and list its devices."""
    from rtcore.engine.backends.devices import list_devices, portaudio

    version = str(portaudio().get_portaudio_version()[1])
    return {"version": version, "devices": [f"{d.full_name}" for d in list_devices()]}


def onnxruntime(library: str) -> dict[str, Any]:
    """Load ONNX Runtime's library and ask its C API for the version.

    ``OrtGetApiBase`` gives two function pointers: GetApi and GetVersionString
    (onnxruntime_c_api.h, struct OrtApiBase).
    """
    base = ctypes.CDLL(library).OrtGetApiBase
    base.restype = ctypes.POINTER(ctypes.c_void_p * 2)
    version = ctypes.CFUNCTYPE(ctypes.c_char_p)(base().contents[1] or 0)()
    return {"version": (version or b"").decode(errors="replace"), "file": Path(library).name}


def main(words: list[str]) -> int:
    """Answer one question on standard output."""
    probes: dict[str, Callable[..., dict[str, Any]]] = {
        "jack": jack, "portaudio": portaudio, "onnxruntime": onnxruntime,
    }  # fmt: skip
    try:
        answer = probes[words[0]](*words[1:])
    except Exception as error:  # noqa: BLE001 - the reason is the answer
        answer = {"error": " ".join(str(error).split()) or type(error).__name__}
    print(json.dumps(answer), flush=True)  # noqa: T201 - that is the answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
