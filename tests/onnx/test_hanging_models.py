# SPDX-License-Identifier: MIT
"""A model that hangs on a worker is abandoned, reported, and does not break the program's end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from bundles import RATE, chain_of, one_stage, passing
from small_models import FLOAT, constant, node, onnx, save
from waiting import PATIENCE_S, reaches

from rtcore.engine import Engine, TimerBackend
from rtcore.onnx.choice import VARIABLE

HOP, HANG_AT = 128, 20
TURNS = 12_000_000  # of a product of 64 x 64: many seconds, far longer than a stop waits

PROGRAM = """
import sys
import numpy as np
from rtcore import Chain
from rtcore.engine import Engine, TimerBackend
from rtcore.host import find

x = np.zeros((1, 128 * 40), np.float32)
x[0, 128 * 20] = 1.0
model = find("model")(bundle=sys.argv[1], placement="worker")
chain = Chain([model], sample_rate=16000, channels=1, block_frames=128)
with Engine(chain, TimerBackend(x, block_frames=128)) as engine:
    engine.wait(60)
print(engine.stop_reason)
"""


@pytest.fixture
def folder(tmp_path):
    """Make a bundle that passes sound on, and hangs for seconds at a hop with a sample of 1."""
    value, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    vector, flag, number = (FLOAT, [1, 64]), (kinds.BOOL, []), (kinds.INT64, [])
    inside = [
        node("MatMul", "before w", "product"),
        node("Tanh", "product", "after"),
        node("Identity", "on", "still_on"),
    ]
    taken = {"turn": number, "on": flag, "before": vector}
    body = onnx.helper.make_graph(
        inside,
        "body",
        [value(name, *kind) for name, kind in taken.items()],
        [value("still_on", *flag), value("after", *vector)],
    )
    nodes = [
        node("ReduceMax", "x", "most", keepdims=0),
        node("Greater", "most limit", "wrong"),
        node("Cast", "wrong", "one", to=int(kinds.INT64)),
        node("Mul", "one many", "turns"),
        node("Loop", "turns always v", "last", body=body),
        node("ReduceSum", "last", "sum", keepdims=0),
        node("Mul", "sum nothing", "zero"),
        node("Add", "x zero", "y"),
    ]
    rng = np.random.default_rng(0)
    constants = [
        constant("limit", 0.9),
        constant("many", TURNS, np.int64),
        constant("always", np.True_, np.bool_),
        constant("v", np.ones((1, 64))),
        constant("w", rng.normal(size=(64, 64)) * 0.1),
        constant("nothing", 0.0),
    ]
    shape = (FLOAT, [1, HOP])
    save(tmp_path / "model.onnx", nodes, {"x": shape}, {"y": shape}, constants)
    return one_stage(tmp_path, {"x": "hop"}, {"y": "hop"}, hop=HOP)


@pytest.mark.parametrize("runtime", ["native", "python"])
def test_the_program_ends_well(folder, runtime):
    """It is told that the worker was abandoned, and the program ends as any other."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, VARIABLE: runtime},
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    assert "plugin[0].model: its worker hung and was abandoned" in done.stdout


def policies():
    """Give the scheduling policies of all threads of workers that are still there."""
    workers = [t for t in threading.enumerate() if t.name == "rtcore-worker-model"]
    return [os.sched_getscheduler(t.native_id) & ~os.SCHED_RESET_ON_FORK for t in workers]


def test_others_have_their_turn(folder):
    """A worker that hangs while the engine plays loses what real-time priority it was granted."""
    x = np.zeros((1, HOP * 300), np.float32)
    x[0, HANG_AT * HOP] = 1.0
    chain = chain_of(folder, placement="worker")
    with Engine(chain, TimerBackend(x, block_frames=64)) as engine:
        assert reaches(lambda: engine.stats()["plugins"][0]["worker"]["late"]["total"] > 10)
        assert reaches(lambda: set(policies()) == {os.SCHED_OTHER})
        assert "running" == engine.state


@pytest.mark.parametrize("way", ["swap", "update"])
def test_one_that_was_replaced_meanwhile(folder, tmp_path, way):
    """A worker that hangs is reported at the end, though another has taken its place."""
    passing(tmp_path / "other" / "model.onnx", HOP)
    one_stage(tmp_path / "other", {"x": "hop"}, {"y": "hop"}, hop=HOP)
    x = np.zeros((1, HOP * 300), np.float32)
    x[0, HANG_AT * HOP] = 1.0
    told = []
    chain = chain_of(folder, placement="worker")
    other = chain_of(tmp_path / "other", placement="worker")
    with Engine(chain, TimerBackend(x, block_frames=64), on_message=told.append) as engine:
        assert not engine.wait(1.5 * HANG_AT * HOP / RATE)
        if way == "swap":
            engine.swap(other)
        else:
            engine.update("model", bundle=str(tmp_path / "other"))
        assert engine.wait(60)
    assert set(policies()) <= {os.SCHED_OTHER}
    told = [line for line in told if "its worker hung and was abandoned" in line]
    assert 1 == len(told)
    assert "its worker hung and was abandoned" in engine.stop_reason
    assert not engine.stats()["plugins"][0]["worker"]["abandoned"]
