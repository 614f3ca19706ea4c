# SPDX-License-Identifier: MIT
"""Declarations of what a user may turn: live parameters and settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from rtcore.errors import ParameterError


def _range_sentence(value: float, low: float | None, high: float | None, unit: str) -> str | None:
    """Say what is wrong with a number, or nothing."""
    suffix = f" {unit}" if unit else ""
    if low is not None and value < low:
        return f"must be at least {low:g}{suffix}, got {value:g}"
    if high is not None and value > high:
        return f"must be at most {high:g}{suffix}, got {value:g}"
    return None


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            is_scalar = not isinstance(value, (str, bytes, bool)) and float(value) == value
        except (TypeError, ValueError):
            is_scalar = False
        if not is_scalar:
            raise ParameterError(key, f"must be a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ParameterError(key, f"must be a finite number, got {number:g}")
    return number


class _Declared:
    """Attribute access to a declared value."""

    _name = ""
    default: Any

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "_name", name)

    @overload
    def __get__(self, plugin: None, owner: type) -> _Declared: ...
    @overload
    def __get__(self, plugin: Any, owner: type) -> Any: ...
    def __get__(self, plugin: Any, owner: type) -> Any:
        return self if plugin is None else plugin._values[self._name]  # noqa: SLF001 - Plugin's store

    def __set__(self, plugin: Any, value: Any) -> None:
        msg = (
            f"{self._name} cannot be assigned; use plugin.update({self._name}=...) or "
            "chain.update(...)"
        )
        raise AttributeError(msg)


@dataclass(frozen=True, eq=False)
class Param(_Declared):
    """A number that may change while it plays, without a click.

    Parameters
    ----------
    default : float
        Value where the user gives none.
    min, max : float, optional
        Bounds, both allowed values.
    unit : str
        Unit of the user's number; it also stands at the end of the parameter's name.
    smoothing_s : float
        Length of the linear ramp to a new value.  Above 0 the kernel gets an array with one value
        per frame, at 0 a single number of the stream's real type.
    doc : str
        One line for the user.
    kernel_name : str, optional
        What the kernel calls it, where that differs (its unit does).
    convert : function, optional
        Maps (value, sample_rate in Hz) to what the kernel gets.
    """

    default: float
    min: float | None = None
    max: float | None = None
    unit: str = ""
    smoothing_s: float = 0.0
    doc: str = ""
    kernel_name: str = ""
    convert: Callable[[float, float], float] | None = None

    def check(self, key: str, value: Any) -> float:
        """Give the value as a float, or raise :class:`~rtcore.errors.ParameterError`."""
        number = _number(key, value)
        wrong = _range_sentence(number, self.min, self.max, self.unit)
        if wrong:
            raise ParameterError(key, wrong)
        return number

    def in_kernel(self, value: float, sample_rate: float) -> float:
        """Map the user's value to the kernel's."""
        return value if self.convert is None else float(self.convert(value, sample_rate))


@dataclass(frozen=True, eq=False)
class Setting(_Declared):
    """Anything else that shapes a plugin; changing it re-prepares it under a cross-fade.

    Parameters
    ----------
    default : object
        Value where the user gives none.
    type : type, optional
        ``int``, ``float``, ``str`` or ``bool``: checked, and an int is accepted for a float.
    min, max : float, optional
        Bounds of numbers.
    choices : sequence, optional
        The only values allowed.
    unit, doc : str
        As for :class:`Param`.
    validate : function, optional
        Called with the value; gives the value to keep, raises ``ValueError`` with a sentence.
    required : bool
        Whether the user must give it: nothing that stands here would do.
    """

    default: Any
    type: type | None = None
    min: float | None = None
    max: float | None = None
    choices: Sequence[Any] | None = None
    unit: str = ""
    doc: str = ""
    validate: Callable[[Any], Any] | None = None
    required: bool = False

    def check(self, key: str, value: Any) -> Any:
        """Give the value to keep, or raise :class:`~rtcore.errors.ParameterError`."""
        if self.type in (int, float):
            number = _number(key, value)
            if self.type is int and number != int(number):
                raise ParameterError(key, f"must be a whole number, got {number:g}")
            wrong = _range_sentence(number, self.min, self.max, self.unit)
            if wrong:
                raise ParameterError(key, wrong)
            value = int(number) if self.type is int else number
        elif self.type is not None and not isinstance(value, self.type):
            raise ParameterError(key, f"must be a {self.type.__name__}, got {value!r}")
        if self.choices is not None and value not in self.choices:
            listed = ", ".join(repr(c) for c in self.choices)
            raise ParameterError(key, f"must be one of {listed}, got {value!r}")
        if self.validate is None:
            return value
        try:
            return self.validate(value)
        except (ValueError, TypeError) as error:
            raise ParameterError(key, str(error)) from error


def db_to_amplitude(value_db: float, _sample_rate: float = 0.0) -> float:
    """Convert decibels to an amplitude ratio, as a ``convert`` of :class:`Param`."""
    return float(10.0 ** (value_db / 20.0))
