# SPDX-License-Identifier: MIT
"""A bundle's sessions, opened once, and its bindings over the memory of a plugin."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from rtcore.errors import ModelError
from rtcore.models import Bundle
from rtcore.onnx.builder import build
from rtcore.onnx.choice import VARIABLE, choose_runtime
from rtcore.onnx.program import Program
from rtcore.onnx.session import Binding, Runtime, Session

_WARM_UP_RUNS = 10


@lru_cache(maxsize=1)
def _runtime(wanted: str) -> Runtime:
    del wanted  # the environment's, so that a change of it is noticed
    return choose_runtime()


def runtime() -> Runtime:
    """Give the process's way to run models."""
    return _runtime(os.environ.get(VARIABLE, ""))


class LoadedBundle:
    """A bundle with its models open.

    Parameters
    ----------
    bundle : Bundle
        Manifest and folder.
    parameters : mapping of str to float
        Values of its parameters; defaults where absent.

    Attributes
    ----------
    program : Program
        Of one instance.

    Raises
    ------
    ModelError
        Where a model cannot be opened or does not fit the manifest, or a parameter is unknown
        or out of range.
    """

    def __init__(self, bundle: Bundle, parameters: Mapping[str, float]) -> None:
        self.bundle = bundle
        manifest = bundle.manifest
        values = {name: declared.default for name, declared in manifest.parameters.items()}
        for name, value in parameters.items():
            _check_parameter(bundle, name, value)
            values[name] = float(value)
        self.sessions: tuple[Session, ...] = tuple(
            runtime().open(bundle.folder / stage.file, stage.sha256) for stage in manifest.stage
        )
        try:
            self.program: Program = build(manifest, self.sessions, values)
        except ModelError as error:
            msg = f"{bundle.folder}: {error}"
            raise ModelError(msg) from None

    def bind(self, memory: np.ndarray[Any, Any]) -> list[list[tuple[Binding, Binding]]]:
        """Bind every stage of every instance, for even and for odd calls, and warm up.

        Parameters
        ----------
        memory : ndarray of float32, shape (instances, numbers)
            At its final address.
        """
        found = []
        for row in memory:
            stages = []
            for session, wiring in zip(self.sessions, self.program.wirings, strict=True):
                pair = [self._binding(session, wiring.of(parity), row) for parity in (0, 1)]
                stages.append((pair[0], pair[1]))
            found.append(stages)
        self._warm_up(found, memory)
        return found

    def _binding(self, session: Session, placed: Any, row: np.ndarray[Any, Any]) -> Binding:
        inputs, outputs = placed
        return session.bind(
            {name: tensor.view(row) for name, tensor in inputs.items()},
            {name: tensor.view(row) for name, tensor in outputs.items()},
        )

    def _warm_up(self, bindings: Any, memory: np.ndarray[Any, Any]) -> None:
        before = memory.copy()
        for stages in bindings:
            for session, pair in zip(self.sessions, stages, strict=True):
                for binding in pair:
                    session.warm_up(binding, _WARM_UP_RUNS)
        memory[...] = before


def _check_parameter(bundle: Bundle, name: str, value: Any) -> None:
    declared = bundle.manifest.parameters.get(name)
    if declared is None:
        listed = ", ".join(bundle.manifest.parameters) or "none"
        raise ModelError(f"{bundle.folder}: the bundle has no parameter '{name}'; it has: {listed}")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not declared.min <= value <= declared.max:
        unit = f" {declared.unit}" if declared.unit else ""
        msg = (
            f"{bundle.folder}: parameter '{name}' must be a number from {declared.min:g} to "
            f"{declared.max:g}{unit}, got {value!r}"
        )
        raise ModelError(msg)
