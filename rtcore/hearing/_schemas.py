# SPDX-License-Identifier: MIT
"""What the JSON files of this package look like, for pydantic; imported only to read them."""

from __future__ import annotations

import reprlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError


class ListenerEntry(BaseModel):
    """One listener of a Clarity or Cadenza ``listeners.json``; its further keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: str
    audiogram_cfs: list[float]
    audiogram_levels_l: list[float]
    audiogram_levels_r: list[float]


class CalibrationEntry(BaseModel):
    """The calibration of one direction of one device."""

    model_config = ConfigDict(strict=True, extra="forbid")

    device: str
    direction: Literal["input", "output"]
    db_spl_at_rms_1: float
    measured: bool


class CalibrationFile(BaseModel):
    """The calibrations that a user has stored."""

    model_config = ConfigDict(strict=True, extra="forbid")

    calibrations: list[CalibrationEntry]


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Put pydantic's first complaint into the key it concerns and a sentence.

    Returns
    -------
    tuple of two str
        The key, such as ``audiogram_cfs[2]`` (empty for the whole), and what is wrong.
    """
    problem = error.errors(include_url=False, include_context=False)[0]
    key = ""
    for step in problem["loc"]:
        key += f"[{step}]" if isinstance(step, int) else f".{step}"
    key = key.removeprefix(".")
    found = problem["input"]
    if problem["type"] == "missing":
        present = ", ".join(map(str, found)) if isinstance(found, dict) else reprlib.repr(found)
        return key, f"is missing; found {present or 'nothing'} beside it"
    if problem["type"] == "extra_forbidden":
        return key, "is an unknown key; remove it"
    return key, f"{problem['msg'].removeprefix('Input ')}, got {reprlib.repr(found)}"
