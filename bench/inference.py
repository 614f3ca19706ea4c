# SPDX-License-Identifier: MIT
"""Show what it costs to run a model once per frame, with and without Python, idle and hogged.

Two models at 100 frames per second, as audio paces them: *tiny* adds two times sixteen numbers, so
that the call is all that it costs; *gru* has two recurrent layers of 256 units, and its states are
fed back.  Four ways to run them: *native* is ``run_model`` in compiled code; *fallback* is the same
where ONNX Runtime's C library cannot be used; *binding* is ``InferenceSession.run_with_iobinding``
in Python, over the same memory; *run* is ``InferenceSession.run``.  Each has a thread of its own,
with real-time priority where the system grants it.

In a hogged phase a second Python thread counts as fast as it can; ``--switch`` is the time in
seconds after which Python takes the lock from it (rtcore sets 0.0001 while sound plays; 0.005 is
Python's own).

*run* is the time of one call, *ready* the time from when a frame was due until its result was
there; a frame is late when its result comes after the next one was due.  The phases of all ways
take turns.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _common import arguments, table, write_json
from numba import njit

from rtcore.engine.privileges import request_fifo
from rtcore.kernels.rt import CLOCK_MONOTONIC, TIMER_ABSTIME, clock_nanosleep, now_ns
from rtcore.latency.timing.hog import hog
from rtcore.onnx import Runtime, Session, fallback_runtime, native_runtime, run_model

HOP_NS = 10_000_000
WARM_UP = 20
HIDDEN, BANDS = 256, 320

Pace = Callable[[np.ndarray, np.ndarray], None]


def tiny(path: Path) -> None:
    """Write a model that does next to nothing."""
    from onnx import TensorProto, helper, save

    def tensor(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [16])

    nodes = [helper.make_node("Add", ["x", "h"], ["h_out"])]
    graph = helper.make_graph(nodes, "tiny", [tensor("x"), tensor("h")], [tensor("h_out")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, path)


def gru(path: Path) -> None:
    """Write a model of two recurrent layers; all its states are one tensor."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    sizes = {"w0": (BANDS,), "r0": (HIDDEN,), "w1": (HIDDEN,), "r1": (HIDDEN,)}
    constants = [
        numpy_helper.from_array(
            rng.normal(0.0, 0.05, (1, 3 * HIDDEN, *size)).astype(np.float32), name
        )
        for name, size in sizes.items()
    ]
    mask = rng.normal(0.0, 0.05, (HIDDEN, BANDS)).astype(np.float32)
    constants.append(numpy_helper.from_array(mask, "out"))
    constants.append(numpy_helper.from_array(np.array([1]), "axis"))
    nodes = [helper.make_node("Split", ["h"], ["h0", "h1"], axis=0)]
    source = "x"
    for k in (0, 1):
        words = [source, f"w{k}", f"r{k}", "", "", f"h{k}"]
        nodes.append(helper.make_node("GRU", words, [f"all{k}", f"g{k}"], hidden_size=HIDDEN))
        source = f"y{k}"
        nodes.append(helper.make_node("Squeeze", [f"all{k}", "axis"], [source]))
    nodes.append(helper.make_node("MatMul", [source, "out"], ["y"]))
    nodes.append(helper.make_node("Concat", ["g0", "g1"], ["h_out"], axis=0))

    def tensor(name: str, *size: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, size)

    inputs = [tensor("x", 1, 1, BANDS), tensor("h", 2, 1, HIDDEN)]
    outputs = [tensor("y", 1, 1, BANDS), tensor("h_out", 2, 1, HIDDEN)]
    graph = helper.make_graph(nodes, "gru", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, path)


@njit(nogil=True)
def pace_native(
    calls: np.ndarray, pause: np.ndarray, scratch: int, due: np.ndarray, stamps: np.ndarray
) -> None:
    """Run a model when each frame is due; note when it began and when it was done."""
    for k in range(due.size):
        pause[0], pause[1] = due[k] // 1_000_000_000, due[k] % 1_000_000_000
        at = np.uintp(pause.ctypes.data)
        clock_nanosleep(np.int32(CLOCK_MONOTONIC), np.int32(TIMER_ABSTIME), at, np.uintp(0))
        stamps[k, 0] = now_ns(scratch)
        run_model(calls[k % 2])
        stamps[k, 1] = now_ns(scratch)


def pace_python(run: Callable[[int], object], due: np.ndarray, stamps: np.ndarray) -> None:
    """Do the same from Python."""
    for k, when in enumerate(due.tolist()):
        time.sleep(max(0, when - time.monotonic_ns()) / 1e9)
        stamps[k, 0] = time.monotonic_ns()
        run(k)
        stamps[k, 1] = time.monotonic_ns()


def memories(session: Session) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Make the inputs and outputs of two bindings that hand the states to one another."""
    made = {t.name: np.zeros(t.shape, t.dtype) for t in (*session.inputs, *session.outputs)}
    made["x"] += np.random.default_rng(0).normal(0.0, 0.1, made["x"].shape).astype(np.float32)
    swapped = made | {"h": made["h_out"], "h_out": made["h"]}
    return [
        tuple({t.name: each[t.name] for t in side} for side in (session.inputs, session.outputs))
        for each in (made, swapped)
    ]


def compiled(path: Path, runtime: Callable[[], Runtime]) -> Pace:
    """Prepare a way that compiled code goes."""
    session = runtime().open(path)
    bindings = [session.bind(*memory) for memory in memories(session)]
    calls = np.array([binding.call_address for binding in bindings], np.uint64)
    pause, clock = np.zeros(2, np.int64), np.zeros(2, np.int64)

    def pace(due: np.ndarray, stamps: np.ndarray) -> None:
        assert bindings
        pace_native(calls, pause, np.uint64(clock.ctypes.data), due, stamps)

    return pace


def python_session(path: Path) -> Any:
    """Open a model in Python, with the same options as natively."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def binding(path: Path) -> Pace:
    """Prepare the way through Python that binds memory once."""
    session = python_session(path)
    memory = memories(native_runtime().open(path))
    bound = []
    for inputs, outputs in memory:
        bound.append(session.io_binding())
        for bind, arrays in ((bound[-1].bind_input, inputs), (bound[-1].bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run(frame: int) -> None:
        assert memory
        session.run_with_iobinding(bound[frame % 2])

    return partial(pace_python, run)


def plain(path: Path) -> Pace:
    """Prepare the way that everybody knows."""
    session = python_session(path)
    inputs, outputs = memories(native_runtime().open(path))[0]

    def run(_frame: int) -> None:
        results = dict(zip(outputs, session.run(list(outputs), inputs), strict=True))
        inputs["h"] = results["h_out"]

    return partial(pace_python, run)


MODELS = {"tiny": tiny, "gru": gru}
WAYS = {
    "native": partial(compiled, runtime=native_runtime),
    "fallback": partial(compiled, runtime=fallback_runtime),
    "binding": binding,
    "run": plain,
}


def phase(pace: Pace, frames: int, *, hogged: bool) -> tuple[np.ndarray, bool]:
    """Run one phase on a thread; give due, begin and end of its frames, and its priority."""
    result = np.zeros((frames + WARM_UP, 3), np.int64)
    granted = []

    def body() -> None:
        granted.append(request_fifo(threading.get_native_id()) is None)
        result[:, 0] = time.monotonic_ns() + HOP_NS * np.arange(1, len(result) + 1)
        stamps = np.zeros((len(result), 2), np.int64)
        pace(result[:, 0].copy(), stamps)
        result[:, 1:] = stamps

    with hog() if hogged else contextlib.nullcontext():
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    return result[WARM_UP:], granted[0]


def row(model: str, way: str, load: str, frames: np.ndarray) -> dict[str, Any]:
    """Sum up all frames of one model, way and load."""
    due, begin, end = frames.T / 1e3
    run, ready = np.percentile(end - begin, [50, 99]), np.percentile(end - due, [50, 99, 100])
    return {
        "model": model,
        "load": load,
        "way": way,
        "frames": len(frames),
        "run p50 us": float(run[0]),
        "run p99 us": float(run[1]),
        "ready p50 us": float(ready[0]),
        "ready p99 us": float(ready[1]),
        "ready max us": float(ready[2]),
        "late %": 100.0 * float((end - due > HOP_NS / 1e3).mean()),
    }


def main() -> int:
    """Measure, print and write."""
    options = arguments(__doc__, repeats=3, seconds=1.25, switch=0.005)
    sys.setswitchinterval(options.switch)
    frames = max(1, round(options.seconds * 1e9 / HOP_NS))
    seen: dict[tuple[str, str, str], list[np.ndarray]] = {}
    realtime = True
    with tempfile.TemporaryDirectory() as folder:
        ways = {}
        for model, write in MODELS.items():
            path = Path(folder) / f"{model}.onnx"
            try:
                write(path)
            except ImportError:
                print("the package onnx makes the models; install it: pip install onnx")
                return 0
            ways |= {(model, way): prepare(path) for way, prepare in WAYS.items()}
        for pace in ways.values():
            phase(pace, 1, hogged=False)  # compiles, and warms up
        turns = itertools.product(range(options.repeats), MODELS, ("idle", "hog"), WAYS)
        for _, model, load, way in turns:
            stamps, granted = phase(ways[model, way], frames, hogged=load == "hog")
            realtime = realtime and granted
            seen.setdefault((model, way, load), []).append(stamps)
    rows = [row(*key, np.concatenate(parts)) for key, parts in seen.items()]
    table(rows, f"100 frames per second, {'with' if realtime else 'without'} real-time priority")
    write_json(
        options.json,
        {
            "shows": (__doc__ or "").splitlines()[0],
            "how": native_runtime().how,
            "realtime": realtime,
            "switch_s": options.switch,
            "rows": rows,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
