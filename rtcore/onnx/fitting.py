# SPDX-License-Identifier: MIT
"""Whether a manifest fits its models, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rtcore.errors import ModelError, did_you_mean


def known(what: str, name: str, there: Iterable[str], where: str) -> None:
    """Refuse a name that the model does not have.

    Raises
    ------
    ModelError
        With the nearest name and all there are.
    """
    names = list(there)
    if name not in names:
        listed = ", ".join(names) or "none"
        msg = (
            f"{where}: the model has no {what} {name!r}{did_you_mean(name, names)}; it has {listed}"
        )
        raise ModelError(msg)


def filled(
    shape: Sequence[int | None], count: int | None, where: str, what: str
) -> tuple[int, ...]:
    """Give a tensor's shape with its open axes decided.

    Open axes hold one thing each, but for the last, which holds what is left of `count`.

    Parameters
    ----------
    shape : sequence of int or None
        As the model has it; None where an axis is open.
    count : int or None
        Numbers that it has to hold; any where None.
    where, what : str
        For the message: the tensor, and what is to be put there.

    Raises
    ------
    ModelError
        Where it cannot hold so many.
    """
    sizes = [1 if n is None else n for n in shape]
    fixed = int(np.prod([n for n in shape if n is not None], dtype=np.int64))
    open_axes = [k for k, n in enumerate(shape) if n is None]
    if count is not None and open_axes and fixed > 0 and count % fixed == 0:
        sizes[open_axes[-1]] = count // fixed
    if count is not None and int(np.prod(sizes, dtype=np.int64)) != count:
        drawn = " x ".join("any" if n is None else str(n) for n in shape) or "one number"
        msg = (
            f"{where} has the shape {drawn}, and {what} has {count} numbers; put the two in "
            "agreement"
        )
        raise ModelError(msg)
    return tuple(sizes)


def as_float32(dtype: np.dtype[Any], where: str) -> None:
    """Refuse a tensor of sound, or a side input, that is not of float32.

    Raises
    ------
    ModelError
        With its type.
    """
    if dtype != np.float32:
        msg = (
            f"{where} is of {dtype}; sound goes in and out as float32, and so do vectors; export "
            "the model that way"
        )
        raise ModelError(msg)


def as_number(value: float, dtype: np.dtype[Any], where: str) -> None:
    """Refuse a number that a tensor's type cannot hold.

    Raises
    ------
    ModelError
        With the number and the type.
    """
    if dtype.kind == "f":
        good = abs(value) <= float(np.finfo(dtype).max)
    elif dtype.kind == "b":
        good = value in (0.0, 1.0)
    else:
        span = np.iinfo(dtype)
        good = value == int(value) and span.min <= value < span.max
    if not good:
        raise ModelError(f"{where} is of {dtype}, which cannot hold {value:g}; give another number")
