# SPDX-License-Identifier: MIT
"""ONNX Runtime's C library: found, chosen, and what it is told and asked."""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import small_models
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import ConfigError, DeviceError, ModelError
from rtcore.onnx import capi, choose_runtime, native_runtime
from rtcore.onnx.tensors import CODES, Tensor, check_arrays


def refusal(runtime, path, **options):
    """Open a model that cannot be; give the sentence."""
    with pytest.raises(ModelError) as caught:
        runtime.open(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_the_installed_library_is_used(monkeypatch):
    """Where the wheel brings the C library, models run without Python."""
    monkeypatch.delenv("RTCORE_ONNX", raising=False)
    runtime = choose_runtime()
    assert runtime.native
    assert runtime.how == (
        f"models run in ONNX Runtime {runtime.version}, called without the interpreter"
    )


def test_the_library_is_opened_once():
    """All sessions of a process share one environment."""
    assert native_runtime()._library is native_runtime()._library


@pytest.mark.parametrize(("word", "native"), [("native", True), ("python", False)])
def test_a_way_can_be_forced(monkeypatch, word, native):
    """RTCORE_ONNX decides."""
    monkeypatch.setenv("RTCORE_ONNX", word)
    assert native == choose_runtime().native


def test_an_unknown_way_is_refused(monkeypatch):
    """RTCORE_ONNX knows two words."""
    monkeypatch.setenv("RTCORE_ONNX", "fast")
    with pytest.raises(ConfigError, match=r"^RTCORE_ONNX: is 'fast'; set it to native or python"):
        choose_runtime()


def planted(monkeypatch, folder):
    """Let the package be found in a folder."""
    (folder / "capi").mkdir()
    spec = importlib.machinery.ModuleSpec("onnxruntime", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(capi.importlib.util, "find_spec", lambda _name: spec)
    monkeypatch.delenv("RTCORE_ONNX", raising=False)
    return folder / "capi"


def falls_back(reason):
    """Expect the way through Python, with a reason."""
    with pytest.raises(DeviceError, match=reason):
        native_runtime()
    runtime = choose_runtime()
    assert not runtime.native
    assert reason in runtime.how


def test_a_wheel_without_the_library_falls_back(monkeypatch, tmp_path):
    """An old wheel has no C library: models run through Python, and `how` says why."""
    planted(monkeypatch, tmp_path)
    falls_back("the installed onnxruntime has no C library in ")


def test_a_damaged_library_falls_back(monkeypatch, tmp_path):
    """A file that is no library is not the end."""
    (planted(monkeypatch, tmp_path) / "libonnxruntime.so.1.99.0").write_bytes(b"not this")
    falls_back("cannot be used as ONNX Runtime's C library: ")


def test_a_foreign_library_falls_back(monkeypatch, tmp_path):
    """A library without OrtGetApiBase is not called."""
    import _ctypes

    shutil.copy(_ctypes.__file__, planted(monkeypatch, tmp_path) / "libonnxruntime.so")
    falls_back("cannot be used as ONNX Runtime's C library: ")


def test_an_old_library_falls_back(monkeypatch, capfd):
    """A library that lacks the functions says nothing itself; `how` does."""
    path = capi.library_path()
    monkeypatch.setattr(capi, "API_VERSION", 1000)
    monkeypatch.setattr(capi, "library", lambda: capi.Library(path))
    monkeypatch.setattr("rtcore.onnx.native.library", lambda: capi.Library(path))
    monkeypatch.delenv("RTCORE_ONNX", raising=False)
    falls_back("and rtcore calls 1.1000 or newer; install a newer onnxruntime")
    assert ("", "") == capfd.readouterr()


def test_a_missing_package_is_told(monkeypatch):
    """Without onnxruntime there is one sentence with the remedy."""
    monkeypatch.setattr(capi.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DeviceError, match=r"^onnxruntime is not installed; run: pip install onnx"):
        native_runtime()


def test_finding_the_library_needs_no_compiler():
    """`rtcore doctor` and manifests are quick: neither numba nor onnxruntime is imported."""
    code = """
import sys
from rtcore.onnx.capi import library_path
library_path()
print("numba" in sys.modules, "onnxruntime" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["False", "False"] == done.stdout.split()


def test_versions_are_read():
    """The second number of a version counts."""
    assert [31, 17, 0, 0] == [capi._minor(v) for v in ("1.31.1", "1.17", "1", "1.x.2")]


def test_tensors_are_described(runtime, tmp_path):
    """Names, shapes with None for open axes, and types come from the model."""
    found = runtime.open(small_models.lookup(tmp_path / "m.onnx"))
    assert found.inputs == (
        Tensor("x", (3, None), np.dtype(np.float32)),
        Tensor("rows", (2,), np.dtype(np.int64)),
    )
    assert found.outputs == (Tensor("y", (2, None), np.dtype(np.float32)),)
    other = runtime.open(small_models.many_types(tmp_path / "t.onnx"))
    assert ["bool", "int32", "int32", "float64"] == [str(t.dtype) for t in other.inputs]
    assert () == other.inputs[3].shape


def test_a_missing_file_is_told(runtime, tmp_path):
    """The sentence names the path and the remedy."""
    assert refusal(runtime, tmp_path / "no.onnx").endswith(
        "there is no such model file; check its name and folder"
    )


def test_a_folder_is_told(runtime, tmp_path):
    """A folder is no model."""
    assert refusal(runtime, tmp_path).endswith("this is a folder; name the .onnx file in it")


def test_an_empty_file_is_told(runtime, tmp_path):
    """An empty file is no model, though it is a valid empty message to some readers."""
    (tmp_path / "m.onnx").write_bytes(b"")
    assert refusal(runtime, tmp_path / "m.onnx").endswith("is empty; fetch it again")


def test_an_unreadable_file_is_told(runtime, tmp_path, monkeypatch):
    """The system's reason is in the sentence."""

    def denied(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rtcore.onnx.files.Path.open", denied)
    assert "cannot be read: Permission denied; check its name and its rights" in refusal(
        runtime, tmp_path / "m.onnx"
    )


def test_a_pipe_is_told(runtime, tmp_path):
    """A pipe is not read, which could take for ever."""
    os.mkfifo(tmp_path / "m.onnx")
    assert refusal(runtime, tmp_path / "m.onnx").endswith("copy the model into one")


def test_an_impossible_name_is_told(runtime):
    """A name that no file can have is refused as any other."""
    assert "check its name and its rights" in refusal(runtime, "a\0b.onnx")


def test_any_name_will_do(runtime, tmp_path):
    """A model's path may have blanks and letters of any alphabet."""
    path = tmp_path / "so n Übermodell 模型.onnx"
    small_models.half(tmp_path / "m.onnx").rename(path)
    assert "x" == runtime.open(path).inputs[0].name


@pytest.mark.parametrize(
    "content", [b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\x00" * 100, b"<html>not found</html>"]
)
def test_a_foreign_file_is_told(runtime, tmp_path, content):
    """A file of another kind is refused with what to do."""
    (tmp_path / "m.onnx").write_bytes(content)
    sentence = refusal(runtime, tmp_path / "m.onnx")
    assert f"ONNX Runtime {runtime.version} refuses this model: " in sentence
    assert sentence.endswith("the file is damaged or no ONNX model; fetch it again")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_told(runtime, tmp_path, part):
    """A download that was cut off is refused, wherever it was cut."""
    whole = small_models.gru(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: int(part * len(whole))])
    assert "refuses this model: " in refusal(runtime, tmp_path / "m.onnx")


def test_missing_weights_are_told(runtime, tmp_path):
    """A model whose weights lie in another file needs that file."""
    path = small_models.with_weights_outside(tmp_path / "m.onnx")
    runtime.open(path)
    (tmp_path / "weights.bin").unlink()
    assert refusal(runtime, path).endswith("copy the file with its weights into the same folder")


def test_a_model_of_the_future_is_told(runtime, tmp_path):
    """An operator set that ONNX Runtime does not know asks for a newer one."""
    onnx = small_models.onnx
    model = onnx.load(small_models.half(tmp_path / "m.onnx"))
    model.opset_import[0].version = 900
    onnx.save(model, tmp_path / "m.onnx")
    sentence = refusal(runtime, tmp_path / "m.onnx")
    assert sentence.endswith("export it for another opset, or install a newer onnxruntime")
    assert ".cc:" not in sentence  # where in its source is nobody's concern
    assert ".h:" not in sentence


def test_a_type_beyond_binding_is_told(runtime, tmp_path):
    """Text goes through no sound engine."""
    sentence = refusal(runtime, small_models.text(tmp_path / "m.onnx"))
    assert "input 'x' has a type that rtcore does not bind (" in sentence
    assert "float32, int32, int64, bool, float16, float64" in sentence


def test_the_sum_is_checked(runtime, tmp_path):
    """A file of another sum is refused with both; letters may be of either case."""
    path = small_models.half(tmp_path / "m.onnx")
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    runtime.open(path, sha256=right.upper())
    sentence = refusal(runtime, path, sha256="0" * 64)
    assert f"its SHA-256 is {right}, expected {'0' * 64}; fetch it again" in sentence


def bind_refusal(session, inputs, outputs):
    """Bind what does not fit; give the sentence without the path."""
    with pytest.raises(ModelError) as caught:
        session.bind(inputs, outputs)
    return str(caught.value).removeprefix(f"{session.path}: ")


def test_what_does_not_fit_is_told(runtime, tmp_path):
    """Names, types, shapes, memory: each with the tensor, what was found and what is wanted."""
    session = runtime.open(small_models.lookup(tmp_path / "m.onnx"))
    x, rows, y = np.zeros((3, 4), np.float32), np.zeros(2, np.int64), np.zeros((2, 4), np.float32)

    def told(outputs=None, **inputs):
        given_in = {"x": x, "rows": rows, **inputs}
        kept = {name: array for name, array in given_in.items() if array is not None}
        return bind_refusal(session, kept, {"y": y} if outputs is None else outputs)

    locked = y.copy()
    locked.flags.writeable = False
    assert told(row=x) == "the model has no input 'row' (did you mean 'rows'?); it has: x, rows"
    assert told(rows=None) == "input 'rows' is not bound; give an array for it"
    assert told(outputs={}) == "output 'y' is not bound; give an array for it"
    assert told(x=x.astype(float)) == (
        "input 'x' wants float32 of shape (3, ?), got an array of float64 of shape (3, 4)"
    )
    assert told(rows=rows[:1]) == (
        "input 'rows' wants int64 of shape (2,), got an array of int64 of shape (1,)"
    )
    assert told(x=[[1.0]]) == "input 'x' wants a NumPy array, got list"
    assert told(x=np.zeros((4, 3), np.float32).T).startswith("input 'x' wants an array whose numb")
    assert told(outputs={"y": locked}) == "output 'y' is bound to an array that cannot be written"
    shared = np.zeros((3, 4), np.float32)
    assert told(x=shared, outputs={"y": shared[:2]}).startswith(
        "output 'y' shares memory with input 'x'; give each its own"
    )


def test_outputs_may_not_share_memory(runtime, tmp_path):
    """Two outputs in one place would overwrite one another."""
    session = runtime.open(small_models.many_types(tmp_path / "m.onnx"))
    inputs = {tensor.name: small_models.numbers(tensor) for tensor in session.inputs}
    place = np.zeros(4, np.float64)
    sentence = bind_refusal(session, inputs, {"y": place, "chosen": place.view(np.int32)[:4]})
    assert "output 'chosen' shares memory with output 'y'" in sentence


shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


@given(
    st.lists(st.one_of(st.none(), st.integers(1, 4)), max_size=4).map(tuple),
    st.sampled_from(list(CODES)),
    shapes,
    st.sampled_from([*CODES, np.dtype(np.uint8), np.dtype(">f4")]),
)
def test_only_arrays_that_fit_pass(wanted, dtype, shape, given_dtype):
    """An input's array passes exactly where its type and all its fixed axes are the model's."""
    right = dtype == given_dtype and len(wanted) == len(shape)
    right = right and all(w is None or w == s for w, s in zip(wanted, shape, strict=True))
    tensor = Tensor("x", wanted, dtype)

    def check():
        check_arrays("m.onnx", "input", (tensor,), {"x": np.zeros(shape, given_dtype)})

    if right:
        check()
    else:
        with pytest.raises(ModelError, match=re.escape(f"of shape {shape}")):
            check()


def test_a_closed_model_is_not_bound(runtime, tmp_path):
    """A closed session says so; closing twice is no error."""
    with runtime.open(small_models.half(tmp_path / "m.onnx")) as session:
        pass
    session.close()
    x = np.zeros(5, np.float16)
    assert bind_refusal(session, {"x": x}, {"y": x.copy()}) == (
        "this model was closed; open it again"
    )
