# SPDX-License-Identifier: MIT
"""Models that run: the same numbers as anybody's, from any thread, and failures that tell why."""

from __future__ import annotations

import ctypes
import errno
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import small_models
from numba import carray, njit, types

from rtcore import Chain, Plugin, Prepared, kernel
from rtcore.errors import ModelError
from rtcore.kernels.abi import pointer, store_release
from rtcore.kernels.jit import c_entry
from rtcore.kernels.rt import flush_denormals, restore_float_mode
from rtcore.latency.timing.hog import hog
from rtcore.onnx import CALL, fallback_runtime, native_runtime, run_model
from rtcore.onnx.call import TEXT_BYTES

SHARED = Path(__file__).parents[3] / "shared" / "data" / "models"
PEERS = (
    "denoise/gtcrn_simple.onnx",
    "denoise/dtln_model_1.onnx",
    "denoise/dtln_model_2.onnx",
    "plc/tPLCnet_s.onnx",
    "vad/silero_vad_16k_op15.onnx",
)
MODELS = ("gru", "convolution", "lookup", "half", "many_types", "halves")


@njit(nogil=True)
def run_turns(first, second, turns):
    """Run two bindings in turns; count what fails."""
    failures = 0
    for turn in range(turns):
        failures += run_model(first if turn % 2 == 0 else second)
    return failures


def thread_body(task_at):
    """Run the model of a task, (call, runs wanted, runs done), on a thread of the system's."""
    task = carray(pointer(task_at, np.int64), (3,))
    done = 0
    for _ in range(task[1]):
        done += 1 - run_model(task[0])
    store_release(task_at + np.uintp(16), done)
    return np.uintp(0)


LIBC = ctypes.CDLL(None)
HOLDING = ctypes.PyDLL(None)  # its calls do not let go of the interpreter's lock


def start_thread(task, library=LIBC):
    """Start a thread that Python knows nothing of; give its id."""
    entry = c_entry(thread_body, types.uintp(types.uintp))
    thread = ctypes.c_uint64()
    create = library.pthread_create
    create.argtypes = (ctypes.c_void_p,) * 4
    assert 0 == create(ctypes.byref(thread), None, entry.address, task.ctypes.data)
    start_thread.entries.append(entry)
    return thread


start_thread.entries = []


def join(library, thread, seconds):
    """Wait for a thread of the system's, at most until a time; give the error number."""
    until = time.time() + seconds
    limit = (ctypes.c_int64 * 2)(int(until), int(until % 1 * 1e9))
    wait = library.pthread_timedjoin_np
    wait.argtypes = (ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p)
    return wait(thread.value, None, limit)


def bound(runtime, path, size=7, seed=0):
    """Open a model and bind it to fresh memory."""
    session = runtime.open(path)
    inputs = {t.name: small_models.numbers(t, seed + k, size) for k, t in enumerate(session.inputs)}
    right = small_models.expected(path, inputs)
    outputs = {name: np.zeros(value.shape, value.dtype) for name, value in right.items()}
    return session.bind(inputs, outputs), right


def equal(binding, right):
    """Tell whether all outputs have the very bits that they should have."""
    return all(array.tobytes() == right[name].tobytes() for name, array in binding.outputs.items())


@pytest.mark.parametrize("model", MODELS)
def test_the_numbers_are_onnx_runtimes_own(runtime, tmp_path, model):
    """Every type and kind of model gives the very bits of InferenceSession.run."""
    path = getattr(small_models, model)(tmp_path / "m.onnx")
    binding, right = bound(runtime, path)
    assert not equal(binding, right)
    assert 0 == run_model(binding.call_address)
    assert equal(binding, right)
    assert (0, None) == (binding.failures, binding.error)


@pytest.mark.parametrize("model", PEERS)
def test_published_models_run(runtime, model):
    """Published models give the very bits of InferenceSession.run."""
    path = SHARED / model
    if not path.is_file():
        pytest.skip("the published model is not here")
    if "silero" not in model:
        binding, right = bound(runtime, path, size=1)
    else:
        sound = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32)
        inputs = {"input": sound, "state": np.zeros((2, 1, 128), np.float32)}
        inputs["sr"] = np.array(16000)
        right = small_models.expected(path, inputs)
        outputs = {name: np.zeros_like(value) for name, value in right.items()}
        binding = runtime.open(path).bind(inputs, outputs)
    assert 0 == run_model(binding.call_address)
    assert equal(binding, right)


def test_inputs_are_read_in_place(runtime, tmp_path):
    """What changes in the bound memory is what the next run hears."""
    path = small_models.convolution(tmp_path / "m.onnx")
    binding, _ = bound(runtime, path, size=50)
    for seed in range(5):
        binding.inputs["x"][:] = np.random.default_rng(seed).normal(size=(1, 1, 50))
        assert 0 == run_model(binding.call_address)
        assert equal(binding, small_models.expected(path, binding.inputs))


def test_states_take_turns(runtime, tmp_path):
    """Two bindings hand a state back and forth, as feeding it back by hand does."""
    path = small_models.gru(tmp_path / "m.onnx")
    session = runtime.open(path)
    x, mask = small_models.numbers(session.inputs[0]), np.zeros((1, 1, 32), np.float32)
    states = np.zeros((2, 1, 1, 24), np.float32)
    pair = [
        session.bind({"x": x, "h": states[k]}, {"mask": mask, "h_out": states[1 - k]})
        for k in (0, 1)
    ]
    fed = {"x": x, "h": states[0].copy()}
    for _ in range(11):
        right = small_models.expected(path, fed)
        fed["h"] = right["h_out"]
    assert 0 == run_turns(*(np.uint64(b.call_address) for b in pair), 11)
    assert right["mask"].tobytes() == mask.tobytes()
    assert right["h_out"].tobytes() == states[1].tobytes()


def test_some_outputs_are_enough(runtime, tmp_path):
    """An output that nobody bound is not computed."""
    path = small_models.many_types(tmp_path / "m.onnx")
    session = runtime.open(path)
    inputs = {tensor.name: small_models.numbers(tensor) for tensor in session.inputs}
    no = np.zeros(4, np.bool_)
    binding = session.bind(inputs, {"no": no})
    assert 0 == run_model(binding.call_address)
    assert (~inputs["yes"]).tolist() == no.tolist()


def test_a_failure_is_counted_and_told(runtime, tmp_path):
    """A run that fails gives 1, keeps the first reason, and the next good run is good."""
    binding, right = bound(runtime, small_models.lookup(tmp_path / "m.onnx"))
    rows = binding.inputs["rows"].copy()
    binding.inputs["rows"][0] = 77
    assert 1 == run_model(binding.call_address)
    binding.inputs["rows"][0] = 88
    assert 1 == run_model(binding.call_address)
    assert 2 == binding.failures
    assert "while running Gather node" in binding.error
    assert "idx=77 must be within the inclusive range [-3,2]" in binding.error
    binding.inputs["rows"][:] = rows
    assert 0 == run_model(binding.call_address)
    assert equal(binding, right)
    binding.forget_failures()
    assert (0, None) == (binding.failures, binding.error)


def test_both_ways_give_the_same_reason(tmp_path):
    """The reason of a failure is in the same words, native or not."""
    reasons = []
    for runtime in (native_runtime(), fallback_runtime()):
        binding, _ = bound(runtime, small_models.lookup(tmp_path / "m.onnx"))
        binding.inputs["rows"][0] = 77
        assert 1 == run_model(binding.call_address)
        reasons.append(binding.error)
    assert reasons[0] == reasons[1]


def test_a_failure_says_nothing_on_the_terminal(runtime, tmp_path, capfd):
    """ONNX Runtime does not write while sound plays."""
    binding, _ = bound(runtime, small_models.lookup(tmp_path / "m.onnx"))
    binding.inputs["rows"][0] = 77
    assert 1 == run_model(binding.call_address)
    assert ("", "") == capfd.readouterr()


def test_an_output_of_the_wrong_size_fails(runtime, tmp_path):
    """Where an axis is open, a run tells that the bound array does not fit, and writes nothing."""
    session = runtime.open(small_models.lookup(tmp_path / "m.onnx"))
    x, rows = np.ones((3, 4), np.float32), np.zeros(2, np.int64)
    guarded = np.zeros((4, 3), np.float32)
    binding = session.bind({"x": x, "rows": rows}, {"y": guarded[:2]})
    assert 1 == run_model(binding.call_address)
    assert "shape" in binding.error.lower()
    assert not guarded.any()


def test_a_long_reason_is_cut(tmp_path):
    """A reason longer than its place ends in a zero, and what lies behind it is untouched."""
    path = tmp_path / "m.onnx"
    long = "name" * 300
    nodes = [small_models.node("Gather", "x rows", "y", axis=0, name=long)]
    small_models.save(
        path,
        nodes,
        {"x": (small_models.FLOAT, [3]), "rows": (small_models.LONG, [1])},
        {"y": (small_models.FLOAT, [1])},
    )
    binding, _ = bound(native_runtime(), path)
    binding.inputs["rows"][0] = 77
    records = np.zeros(2, CALL)
    records[:1] = binding.call
    assert 1 == run_model(records.ctypes.data)
    told = bytes(records["text"][0])
    assert TEXT_BYTES - 1 == told.index(b"\0")
    assert told.startswith(b"Non-zero status code returned while running Gather node. Name:'name")
    assert not records[1:].tobytes().strip(b"\0")


def test_python_gets_a_sentence(runtime, tmp_path):
    """From Python, a failed run or warm-up is an error with the file and the reason."""
    path = small_models.lookup(tmp_path / "m.onnx")
    session = runtime.open(path)
    y = np.full((2, 4), 3.0, np.float32)
    inputs = {"x": np.ones((3, 4), np.float32), "rows": np.array([77, 0])}
    binding = session.bind(inputs, {"y": y})
    for run in (binding.run, lambda: session.warm_up(binding)):
        with pytest.raises(ModelError, match="idx=77") as caught:
            run()
        assert str(caught.value).startswith(f"{path}: the model failed while it ran: ")


def test_warming_up_leaves_no_trace(runtime, tmp_path):
    """Warming up runs the model, and the bound memory is as before."""
    path = small_models.gru(tmp_path / "m.onnx")
    session = runtime.open(path)
    binding, right = bound(runtime, path)
    binding.outputs["mask"][:] = 5.0
    session.warm_up(binding, runs=3)
    assert (binding.outputs["mask"] == 5.0).all()
    binding.run()
    assert equal(binding, right)


class Model(Plugin):
    """Run a model for each block, and play the sound as it is."""

    id = "model_in_a_kernel"
    state = {"call": "u8", "failures": "i8", "runs": "i8"}

    def prepare(self, spec):
        return Prepared(state={"call": Model.at})

    @kernel
    def process(x, y, state):
        state.failures += run_model(state.call)
        state.runs += 1
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


def test_a_kernel_may_run_a_model(runtime, tmp_path):
    """The rules for kernels accept run_model: it neither allocates nor raises."""
    binding, right = bound(runtime, small_models.halves(tmp_path / "m.onnx"))
    Model.at = binding.call_address
    chain = Chain([Model()], sample_rate=48000, channels=1)
    chain.process(np.zeros((1, 24), np.float32))
    record = chain.nodes[0].node.record
    assert [0, 1] == [int(record[name][0]) for name in ("failures", "runs")]
    assert equal(binding, right)


def test_a_native_thread_runs_beside_a_hog(runtime, tmp_path):
    """A thread that Python knows nothing of runs models while Python is busy."""
    binding, right = bound(runtime, small_models.gru(tmp_path / "m.onnx"))
    task = np.array([binding.call_address, 20, -1])
    with hog():
        assert 0 == join(LIBC, start_thread(task), 60)
    assert 20 == task[2]
    assert equal(binding, right)


def test_the_interpreter_is_not_needed(tmp_path):
    """While this thread keeps the interpreter's lock, a native thread gets its runs done."""
    binding, right = bound(native_runtime(), small_models.gru(tmp_path / "m.onnx"))
    task = np.array([binding.call_address, 20, -1])
    assert 0 == join(HOLDING, start_thread(task), 60)
    assert 20 == task[2]
    assert equal(binding, right)


def test_the_fallback_needs_the_interpreter(tmp_path):
    """The test above has teeth: through Python the thread cannot go on."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(10)  # nor may it slip in between two lines of this test
    binding, right = bound(fallback_runtime(), small_models.gru(tmp_path / "m.onnx"))
    task = np.array([binding.call_address, 1, -1])
    thread = start_thread(task, HOLDING)
    waited = join(HOLDING, thread, 0.3), int(task[2])
    sys.setswitchinterval(before)
    assert (errno.ETIMEDOUT, -1) == waited
    assert 0 == join(LIBC, thread, 60)
    assert equal(binding, right)


def test_threads_share_a_session(tmp_path):
    """Several bindings of one session run at once."""
    path = small_models.gru(tmp_path / "m.onnx")
    session = native_runtime().open(path)
    x, h = (small_models.numbers(tensor) for tensor in session.inputs)
    right = small_models.expected(path, {"x": x, "h": h})
    outputs = [{"mask": np.zeros_like(right["mask"]), "h_out": np.zeros_like(h)} for _ in range(4)]
    bindings = [session.bind({"x": x, "h": h}, each) for each in outputs]
    threads = [threading.Thread(target=b.run, args=(200,)) for b in bindings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(b, right) for b in bindings)


@njit(nogil=True)
def run_flushed(call_at):
    """Run a model on a thread that treats subnormal numbers as zeros."""
    mode = flush_denormals()
    status = run_model(call_at)
    restore_float_mode(mode)
    return status


def test_subnormal_numbers_are_up_to_the_thread(tmp_path):
    """Where a thread flushes subnormal numbers, so does the model; elsewhere it keeps them."""
    binding, _ = bound(native_runtime(), small_models.halves(tmp_path / "m.onnx"))
    binding.inputs["x"][:] = 1.2e-38
    assert 0 == run_flushed(np.uint64(binding.call_address))
    assert not binding.outputs["y"].any()
    assert 0 == run_model(binding.call_address)
    assert (binding.outputs["y"] == np.float32(1.2e-38) / np.float32(2)).all()
