# SPDX-License-Identifier: MIT
"""What a model takes and gives, and whether an array fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.errors import ModelError, did_you_mean

#: ``ONNXTensorElementDataType`` of each type that can be bound, and ONNX Runtime's name of it.
CODES: dict[np.dtype[Any], tuple[int, str]] = {
    np.dtype(np.float32): (1, "tensor(float)"),
    np.dtype(np.int32): (6, "tensor(int32)"),
    np.dtype(np.int64): (7, "tensor(int64)"),
    np.dtype(np.bool_): (9, "tensor(bool)"),
    np.dtype(np.float16): (10, "tensor(float16)"),
    np.dtype(np.float64): (11, "tensor(double)"),
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Parameters
    ----------
    name : str
        Its name in the model.
    shape : tuple of (int or None)
        ``None`` where the model leaves an axis open.  ``()`` is a number, or an output about
        which the model says nothing.
    dtype : numpy dtype
        float32, float64, float16, int64, int32 or bool.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        sizes = ["?" if size is None else str(size) for size in self.shape]
        comma = "," if len(sizes) == 1 else ""
        return f"{self.dtype} of shape ({', '.join(sizes)}{comma})"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of this shape can be bound."""
        return len(shape) == len(self.shape) and all(
            want in (None, size) for want, size in zip(self.shape, shape, strict=True)
        )


def dtype_of(path: object, kind: str, name: str, wanted: object) -> np.dtype[Any]:
    """Give the NumPy type of a code or a name of ONNX Runtime, or refuse it.

    Raises
    ------
    ModelError
        Where rtcore cannot bind this type.
    """
    for dtype, known in CODES.items():
        if wanted in known:
            return dtype
    types = ", ".join(str(dtype) for dtype in CODES)
    raise ModelError(
        f"{path}: {kind} '{name}' has a type that rtcore does not bind ({wanted}); export the "
        f"model with tensors of {types}"
    )


def check_arrays(
    path: object,
    kind: str,
    tensors: tuple[Tensor, ...],
    arrays: Mapping[str, np.ndarray[Any, Any]],
) -> None:
    """Refuse arrays that do not fit a model's inputs or outputs.

    Parameters
    ----------
    path : path
        The model, for the sentence.
    kind : str
        ``"input"``, all of which are needed, or ``"output"``, of which one is enough.
    tensors : tuple of Tensor
        What the model has.
    arrays : mapping of str to ndarray
        What is to be bound.

    Raises
    ------
    ModelError
        Naming the tensor, what was found and what is wanted.
    """
    known = {tensor.name: tensor for tensor in tensors}
    for name, array in arrays.items():
        if name not in known:
            raise ModelError(
                f"{path}: the model has no {kind} '{name}'{did_you_mean(name, known)}; it has: "
                f"{', '.join(known)}"
            )
        _check_array(f"{path}: {kind} '{name}'", kind, known[name], array)
    missing = [name for name in known if name not in arrays]
    if missing and (kind == "input" or not arrays):
        raise ModelError(f"{path}: {kind} '{missing[0]}' is not bound; give an array for it")


def _check_array(where: str, kind: str, tensor: Tensor, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise ModelError(f"{where} wants a NumPy array, got {type(array).__name__}")
    open_rank = kind == "output" and not tensor.shape
    if array.dtype != tensor.dtype or not (open_rank or tensor.fits(array.shape)):
        raise ModelError(
            f"{where} wants {tensor}, got an array of {array.dtype} of shape {array.shape}"
        )
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ModelError(
            f"{where} wants an array whose numbers lie one after the other; copy it with "
            "numpy.ascontiguousarray"
        )
    if kind == "output" and not array.flags.writeable:
        raise ModelError(f"{where} is bound to an array that cannot be written")


def refuse_overlaps(
    path: object,
    inputs: Mapping[str, np.ndarray[Any, Any]],
    outputs: Mapping[str, np.ndarray[Any, Any]],
) -> None:
    """Refuse an output that would overwrite an input, or another output, while a model runs.

    Raises
    ------
    ModelError
        Naming the two.
    """
    for at, (name, array) in enumerate(outputs.items()):
        others = [("input", *pair) for pair in inputs.items()]
        others += [("output", *pair) for pair in list(outputs.items())[:at]]
        for kind, other, memory in others:
            # The arrays are contiguous, so their bounds tell the whole truth.
            if np.may_share_memory(array, memory):
                raise ModelError(
                    f"{path}: output '{name}' shares memory with {kind} '{other}'; give each its "
                    "own, and let two bindings take turns where a state is fed back"
                )
