# SPDX-License-Identifier: MIT
"""Memory of models: none of ours per run, none left behind, nothing freed while it is in use."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
import small_models

from rtcore.onnx import run_model


def in_a_process(code, path, **environment):
    """Run code in a process of its own, `path` being a model; give what it prints."""
    before = f"import sys\nimport numpy as np\npath = {str(path)!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", before + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.split()


BIND = """
    from rtcore.onnx import choose_runtime, run_model
    session = choose_runtime().open(path)
    x, h = (np.ones(tensor.shape, np.float32) for tensor in session.inputs)
    binding = session.bind({"x": x, "h": h}, {"mask": np.ones_like(x), "h_out": np.ones_like(h)})
"""


def test_a_run_allocates_nothing_of_ours(tmp_path):
    """A thousand runs allocate no more than one."""
    code = """
    from numba.core.runtime import rtsys
    from rtcore.onnx.call import run_often

    def allocations(runs):
        before = rtsys.get_allocation_stats()
        assert runs == run_often(np.uint64(binding.call_address), runs)
        after = rtsys.get_allocation_stats()
        return after.alloc - before.alloc + after.mi_alloc - before.mi_alloc

    allocations(1)
    print(allocations(1000) - allocations(1))
    """
    path = small_models.gru(tmp_path / "m.onnx")
    assert ["0"] == in_a_process(
        textwrap.dedent(BIND) + textwrap.dedent(code), path, NUMBA_NRT_STATS="1"
    )


RESIDENT = """
    import os
    from rtcore.onnx import choose_runtime, run_model

    def resident():
        pages = int(open("/proc/self/statm").read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def grown(task, times):
        for _ in range(200):
            task()
        before = resident()
        for _ in range(times):
            task()
        return (resident() - before) / times

    def bind(session):
        x, h = (np.ones(tensor.shape, np.float32) for tensor in session.inputs)
        out = {"mask": np.ones_like(x), "h_out": np.ones_like(h)}
        return session.bind({"x": x, "h": h}, out)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["native", "python"])
def test_opening_and_closing_leaves_nothing(tmp_path, way):
    """After 1000 models opened, bound, run and dropped, the process has not grown by theirs."""
    code = """
    def once():
        with choose_runtime().open(path) as session:
            binding = bind(session)
            assert 0 == run_model(binding.call_address)

    print(grown(once, 1000))
    """
    path = small_models.gru(tmp_path / "m.onnx")
    (grown,) = in_a_process(
        textwrap.dedent(RESIDENT) + textwrap.dedent(code), path, RTCORE_ONNX=way
    )
    assert float(grown) < 16384  # an open one takes at least 70 kB


@pytest.mark.parametrize("way", ["native", "python"])
def test_binding_leaves_nothing(tmp_path, way):
    """After 5000 bindings that were dropped, the process has not grown by theirs."""
    code = """
    session = choose_runtime().open(path)
    print(grown(lambda: bind(session), 5000))
    """
    path = small_models.gru(tmp_path / "m.onnx")
    (grown,) = in_a_process(
        textwrap.dedent(RESIDENT) + textwrap.dedent(code), path, RTCORE_ONNX=way
    )
    assert float(grown) < 1024  # one that lives takes at least 3.5 kB


def test_a_binding_outlives_its_session(runtime, tmp_path):
    """The model stays as long as a binding of it, and goes with the last."""
    path = small_models.half(tmp_path / "m.onnx")
    session = runtime.open(path)
    x, y = np.ones(5, np.float16), np.zeros(5, np.float16)
    binding = session.bind({"x": x}, {"y": y})
    session.close()
    del session
    gc.collect()
    assert 0 == run_model(binding.call_address)
    assert [2.0] * 5 == y.tolist()


def test_the_arrays_live_as_long_as_the_binding(runtime, tmp_path):
    """A binding holds its memory; without it, that goes."""

    class Array(np.ndarray):
        """An array that can be watched."""

    session = runtime.open(small_models.half(tmp_path / "m.onnx"))
    x, y = (np.ones(5, np.float16).view(Array) for _ in range(2))
    watched = [weakref.ref(x), weakref.ref(y)]
    binding = session.bind({"x": x}, {"y": y})
    del x, y
    gc.collect()
    assert 0 == run_model(binding.call_address)
    assert [2.0] * 5 == watched[1]().tolist()
    del binding
    gc.collect()
    assert [None, None] == [reference() for reference in watched]


def test_native_objects_are_freed_in_order(tmp_path, monkeypatch):
    """First the binding, then the options and the session; each once."""
    from rtcore.onnx import native_runtime
    from rtcore.onnx.capi import Library

    freed = []
    release = Library.release

    def noted(self, kind, address):
        freed.append(kind)
        release(self, kind, address)

    path = small_models.half(tmp_path / "m.onnx")
    with native_runtime().open(path) as session:
        x = np.ones(5, np.float16)
        binding = session.bind({"x": x}, {"y": x.copy()})
    gc.collect()
    monkeypatch.setattr(Library, "release", noted)
    del session
    gc.collect()
    assert [] == freed
    del binding
    gc.collect()
    assert "IoBinding" == freed[0]
    assert ["RunOptions", "Session"] == sorted(freed[1:])


@pytest.mark.parametrize("way", ["native", "python"])
def test_the_interpreter_ends_in_peace(tmp_path, way):
    """A process that leaves models open ends well."""
    code = BIND + '    print(run_model(binding.call_address), "end")\n'
    path = small_models.gru(tmp_path / "m.onnx")
    assert ["0", "end"] == in_a_process(code, path, RTCORE_ONNX=way)


@pytest.mark.parametrize("way", ["native", "python"])
def test_the_interpreter_ends_under_a_running_model(tmp_path, way):
    """A process ends well though a native thread still runs a model, again and again."""
    code = """
    import ctypes, time
    from numba import types
    from rtcore.kernels.jit import c_entry

    def forever(call_at):
        runs = 0
        while runs >= 0:
            runs += 1 - run_model(call_at)
        return np.uintp(runs)

    entry = c_entry(forever, types.uintp(types.uintp))
    create = ctypes.CDLL(None).pthread_create
    create.argtypes = (ctypes.c_void_p,) * 4
    thread = ctypes.c_uint64()
    print(create(ctypes.byref(thread), None, entry.address, binding.call_address))
    time.sleep(0.05)
    """
    path = small_models.gru(tmp_path / "m.onnx")
    source = textwrap.dedent(BIND) + textwrap.dedent(code)
    file = tmp_path / "run.py"
    file.write_text(source)  # numba wants the source of what it compiles
    runner = f"import runpy\nrunpy.run_path({str(file)!r}, {{'path': path, 'np': np}})\n"
    assert ["0"] == in_a_process(runner, path, RTCORE_ONNX=way)


def test_opening_keeps_the_float_mode(tmp_path):
    """The first session of a process leaves alone how the thread treats subnormal numbers."""
    code = """
    from rtcore.kernels.rt import FLUSH_BITS, flush_denormals, restore_float_mode
    from rtcore.onnx import native_runtime

    before = flush_denormals()
    native_runtime().open(path)
    inside = flush_denormals()
    restore_float_mode(before)
    print(inside & FLUSH_BITS == FLUSH_BITS)
    """
    assert ["True"] == in_a_process(code, small_models.half(tmp_path / "m.onnx"))
