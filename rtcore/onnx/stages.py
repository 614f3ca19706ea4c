# SPDX-License-Identifier: MIT
"""Stages of a model bundle, as its manifest declares them: what goes in, and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

#: What a model can be given of the sound; see :mod:`rtcore.onnx.program` for how each is made.
FeatureName = Literal[
    "hop",  # the new samples; behind a stage that gave a hop, that one
    "frame",  # the last `window` samples, under the analysis window; behind a stage, what it gave
    "past_output",  # the last samples that went out
    "spectrum",  # of the frame, real and imaginary part of each bin side by side
    "real",
    "imaginary",
    "magnitude",
    "log_power",  # log10 of the squared magnitude, at least `floor`
    "sine",  # of the phase
    "cosine",
    "lost",  # 1 where the hop `age` hops ago never came, else 0
]
#: What a model can give of the sound.
TargetName = Literal[
    "hop",
    "frame",
    "spectrum",
    "real",
    "imaginary",
    "magnitude",
    "sine",
    "cosine",
    "mask",  # real factors on the spectrum
    "complex_mask",  # real and imaginary part side by side
    "patch",  # what is heard in lost hops, of this hop and the foreseen one; see `Frame`
]
SPECTRAL = {
    *("spectrum", "real", "imaginary", "magnitude", "log_power", "sine", "cosine"),
    *("mask", "complex_mask"),
}
#: What makes a sound together; a magnitude alone keeps the phase.
_SOUNDS: tuple[set[str], ...] = (
    *({"hop"}, {"frame"}, {"spectrum"}, {"mask"}, {"complex_mask"}, {"magnitude"}, {"patch"}),
    {"real", "imaginary"},
    {"magnitude", "sine", "cosine"},
)
Window = Literal["rect", "hann", "sqrt-hann", "hamming"]

LONGEST = 1 << 20
MOST = 64
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
Samples = Annotated[int, Field(ge=0, le=LONGEST)]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
NumberOf = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """A piece of an input that is made of the sound.

    Attributes
    ----------
    feature : str
        See :data:`FeatureName`.
    samples : int or None
        How many, for ``past_output``.
    age : int
        Of the hop that ``lost`` tells of: 0 is the newest.
    repeat : int
        How often the number of ``lost`` is written.
    floor : float
        The least power, for ``log_power``.
    """

    model_config = STRICT

    feature: FeatureName
    samples: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    age: Annotated[int, Field(ge=0, le=MOST)] = 0
    repeat: Annotated[int, Field(ge=1, le=LONGEST)] = 1
    floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1e-12

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.feature == "past_output") != (self.samples is not None):
            raise ValueError("past_output needs samples, and only it has them")
        return self


class Source(BaseModel):
    """Where one input of a model comes from: exactly one of these.

    Attributes
    ----------
    parts : tuple of Part
        Features of the sound, one behind the other.
    state : str or None
        The output of the call before.
    initial : float
        What a state holds at first.
    constant : float or None
        The same number at every call.
    parameter : str or None
        One of the bundle's ``parameters``.
    side : str or None
        The vector of one of the bundle's ``sides`` that holds.
    """

    model_config = STRICT

    parts: Annotated[tuple[Part, ...], Field(strict=False, max_length=MOST)] = ()
    state: Text | None = None
    initial: NumberOf = 0.0
    constant: NumberOf | None = None
    parameter: Text | None = None
    side: Text | None = None

    @field_validator("parts", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return [_part(one) for one in value] if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        told = [
            bool(self.parts),
            *(v is not None for v in (self.state, self.constant, self.parameter, self.side)),
        ]
        if sum(told) != 1:
            raise ValueError(
                "an input comes from one of a feature, parts, state, constant, parameter, side"
            )
        return self


class Target(BaseModel):
    """What one output of a model is: exactly one of these.

    Attributes
    ----------
    parts : tuple of str
        Of the sound, one behind the other; see :data:`TargetName`.
    control : str or None
        A number to look at, under this name.
    """

    model_config = STRICT

    parts: Annotated[tuple[TargetName, ...], Field(strict=False, max_length=MOST)] = ()
    control: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.parts) == (self.control is not None):
            raise ValueError("an output is sound, in one part or more, or a control")
        return self


def _part(value: Any) -> Any:
    return {"feature": value} if isinstance(value, str) else value


def _source(value: Any) -> Any:
    """Let a word or a table with ``feature`` stand for a single part."""
    if isinstance(value, str) or (isinstance(value, dict) and "feature" in value):
        return {"parts": [_part(value)]}
    return value


def _target(value: Any) -> Any:
    return {"parts": [value]} if isinstance(value, str) else value


class Stage(BaseModel):
    """One ONNX file.

    Attributes
    ----------
    file : str
        Its name in the bundle's folder.
    sha256 : str or None
        Its checksum, in 64 hexadecimal digits.
    inputs : dict of str to Source
        Of every input of the model.
    outputs : dict of str to Target
        Of its outputs; those that are states need not be named.
    """

    model_config = STRICT

    file: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    inputs: dict[str, Source]
    outputs: dict[str, Target]

    @field_validator("inputs", mode="before")
    @classmethod
    def _inputs(cls, value: Any) -> Any:
        return {k: _source(v) for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("outputs", mode="before")
    @classmethod
    def _outputs(cls, value: Any) -> Any:
        return {k: _target(v) for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _plain_name(self) -> Self:
        if Path(self.file).name != self.file or self.file in {".", ".."} or "\0" in self.file:
            raise ValueError(f"file must be a name in the bundle's own folder, found {self.file!r}")
        return self

    @model_validator(mode="after")
    def _one_sound(self) -> Self:
        parts = [part for target in self.outputs.values() for part in target.parts]
        if parts and (len(parts) > len(set(parts)) or set(parts) not in _SOUNDS):
            whole = "; ".join(" + ".join(sorted(sound)) for sound in _SOUNDS)
            raise ValueError(
                f"the outputs of a stage make its sound once and whole, of one of: {whole}; found "
                f"{' + '.join(parts)}"
            )
        return self
