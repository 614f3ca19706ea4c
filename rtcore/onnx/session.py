# SPDX-License-Identifier: MIT
"""Models and bindings, whichever way they run: natively or through Python."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from rtcore.errors import ModelError
from rtcore.onnx.call import CALL, failure_of, forget_failures, run_often
from rtcore.onnx.files import check_file
from rtcore.onnx.tensors import Tensor, check_arrays, refuse_overlaps

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Runtime(ABC):
    """A way to run models.

    Attributes
    ----------
    native : bool
        True where a run needs neither the interpreter nor its lock.
    version : str
        ONNX Runtime's own.
    how : str
        A sentence for the user: how models run, and why not better.
    """

    native: bool
    version: str
    how: str

    def open(self, path: str | os.PathLike[str], sha256: str | None = None) -> Session:
        """Load a model: one thread, no spinning, all optimisations.

        Parameters
        ----------
        path : path
            An .onnx file.
        sha256 : str, optional
            The sum that the file must have, in hexadecimal digits.

        Returns
        -------
        Session
            Ready to be bound; the first runs are slow, see :meth:`Session.warm_up`.

        Raises
        ------
        ModelError
            Where the file is missing, damaged, another one than was meant, or beyond this
            version of ONNX Runtime.
        """
        place = Path(path)
        check_file(place, sha256)
        return self._open(place)

    @abstractmethod
    def _open(self, path: Path) -> Session:
        """Load a file that is there."""


class Session(ABC):
    """A loaded model.

    Its native memory is freed when nothing refers to the session or to a binding of it, so a
    binding in use keeps working after :meth:`close`.

    Parameters
    ----------
    path : Path
        Where it came from.
    inputs, outputs : tuple of Tensor
        What it takes and gives.
    """

    def __init__(self, path: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        self.path = path
        self.inputs = inputs
        self.outputs = outputs
        self.closed = False

    def bind(self, inputs: Arrays, outputs: Arrays) -> Binding:
        """Tie the model to memory, which a run reads and writes in place.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            An array for each input, of its type and shape; any size where an axis is open.
        outputs : mapping of str to ndarray
            An array for one output at least; others are not computed.  Where an axis is open,
            the array must have the size that the model will give, or the run fails.

        Returns
        -------
        Binding
            Holds the arrays and what the model needs.

        Raises
        ------
        ModelError
            Where an array does not fit, an output shares memory with another array, or the
            session is closed.
        """
        if self.closed:
            raise ModelError(f"{self.path}: this model was closed; open it again")
        check_arrays(self.path, "input", self.inputs, inputs)
        check_arrays(self.path, "output", self.outputs, outputs)
        refuse_overlaps(self.path, inputs, outputs)
        return self._bind(dict(inputs), dict(outputs))

    def warm_up(self, binding: Binding, runs: int = 10) -> None:
        """Run a binding until it is fast, and leave its memory as it was.

        Parameters
        ----------
        binding : Binding
            Of this session.
        runs : int
            How often.

        Raises
        ------
        ModelError
            Where the model fails, with its reason.
        """
        before = {name: array.copy() for name, array in binding.outputs.items()}
        try:
            binding.run(runs)
        finally:
            for name, array in before.items():
                binding.outputs[name][...] = array

    def close(self) -> None:
        """Let go of the model; may be called twice."""
        self.closed = True
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _bind(
        self, inputs: dict[str, np.ndarray[Any, Any]], outputs: dict[str, np.ndarray[Any, Any]]
    ) -> Binding:
        """Bind arrays that fit."""

    @abstractmethod
    def _close(self) -> None:
        """Drop what only an open session needs."""


class Binding:
    """A model tied to memory.

    Parameters
    ----------
    path : Path
        The model, for sentences.
    inputs, outputs : dict of str to ndarray
        Used in place.
    functions : mapping of str to int
        The addresses in :data:`~rtcore.onnx.call.CALL`.
    keep : object
        Lives as long as the binding.

    Attributes
    ----------
    call : ndarray of CALL, shape (1,)
        What compiled code needs; at the same place as long as the binding lives.
    """

    def __init__(
        self,
        path: Path,
        inputs: dict[str, np.ndarray[Any, Any]],
        outputs: dict[str, np.ndarray[Any, Any]],
        functions: Mapping[str, int],
        keep: object,
    ) -> None:
        self.path = path
        self.inputs = inputs
        self.outputs = outputs
        self.call = np.zeros(1, CALL)
        for name, address in functions.items():
            self.call[name] = address
        self._keep = keep

    @property
    def call_address(self) -> int:
        """What :func:`~rtcore.onnx.call.run_model` takes; hold the binding while it is used."""
        return int(self.call.ctypes.data)

    @property
    def failures(self) -> int:
        """How many runs have failed."""
        return int(self.call["failures"][0])

    @property
    def error(self) -> str | None:
        """Why the first of them failed, in ONNX Runtime's words."""
        return failure_of(self.call)

    def forget_failures(self) -> None:
        """Count from zero again; while no thread runs the model."""
        forget_failures(self.call)

    def run(self, runs: int = 1) -> None:
        """Run the model from Python.

        Raises
        ------
        ModelError
            Where it fails, with its reason.
        """
        self.forget_failures()
        if run_often(np.uint64(self.call_address), runs) < runs:
            raise ModelError(f"{self.path}: the model failed while it ran: {self.error}")
