# SPDX-License-Identifier: MIT
"""``model.toml``: everything that a streaming model needs, declared beside its weights.

A model is called once a hop.  What it is given is composed of *features* of the sound (the new
samples, a windowed frame, its spectrum, ...), states, constants and parameters; what it gives
becomes the sound again (samples, a frame, a spectrum, a mask on it), the next states, or a
number to look at.  A bundle may have several stages, each an ONNX file, run one after the other::

    id = "denoiser"
    description = "Take noise out of speech"
    licence = "MIT"
    sample_rate = 16000
    hop = 128                                     # new samples of each call
    latency = 384                                 # of the output behind the hop, in samples
    lookahead = 511                               # of the aligned output, in samples

    [frame]
    window = 512
    analysis = "sqrt-hann"
    synthesis = "sqrt-hann"

    [[stage]]
    file = "model.onnx"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    [stage.inputs]
    mix = "spectrum"
    h = { state = "h_next" }
    [stage.outputs]
    mask = "mask"
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from rtcore.errors import ModelError, PluginError
from rtcore.sides import MAX_WIDTH, SideInput
from rtcore.tomlfile import read_form

MANIFEST = "model.toml"

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
]
SPECTRAL = {
    *("spectrum", "real", "imaginary", "magnitude", "log_power", "sine", "cosine"),
    *("mask", "complex_mask"),
}
#: What makes a sound together; a magnitude alone keeps the phase.
_SOUNDS: tuple[set[str], ...] = (
    *({"hop"}, {"frame"}, {"spectrum"}, {"mask"}, {"complex_mask"}, {"magnitude"}),
    {"real", "imaginary"},
    {"magnitude", "sine", "cosine"},
)
Window = Literal["rect", "hann", "sqrt-hann", "hamming"]

_LONGEST = 1 << 20
_MOST = 64
_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
_Samples = Annotated[int, Field(ge=0, le=_LONGEST)]
_Text = Annotated[str, Field(min_length=1, max_length=5000)]
_NumberOf = Annotated[float, Field(allow_inf_nan=False)]


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

    model_config = _STRICT

    feature: FeatureName
    samples: Annotated[int, Field(ge=1, le=_LONGEST)] | None = None
    age: Annotated[int, Field(ge=0, le=_MOST)] = 0
    repeat: Annotated[int, Field(ge=1, le=_LONGEST)] = 1
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

    model_config = _STRICT

    parts: Annotated[tuple[Part, ...], Field(strict=False, max_length=_MOST)] = ()
    state: _Text | None = None
    initial: _NumberOf = 0.0
    constant: _NumberOf | None = None
    parameter: _Text | None = None
    side: _Text | None = None

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

    model_config = _STRICT

    parts: Annotated[tuple[TargetName, ...], Field(strict=False, max_length=_MOST)] = ()
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

    model_config = _STRICT

    file: _Text
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


class Frame(BaseModel):
    """How the sound is cut into frames and put together again.

    Attributes
    ----------
    window : int or None
        Length of a frame in samples; the hop where absent.
    analysis, synthesis : str
        Window functions (periodic) before the model and behind it.
    """

    model_config = _STRICT

    window: Annotated[int, Field(ge=1, le=_LONGEST)] | None = None
    analysis: Window = "rect"
    synthesis: Window = "rect"


class Gate(BaseModel):
    """For models that conceal: when the model's output is heard.

    Attributes
    ----------
    hears : str
        ``newest``: the model is heard where the newest hop of the frame never came; ``any``:
        where any hop of the frame never came.
    runs : str
        ``always``, or ``heard``: only where it is heard.
    synthesis : str
        Window behind a frame that is not the model's.
    """

    model_config = _STRICT

    hears: Literal["newest", "any"]
    runs: Literal["always", "heard"] = "always"
    synthesis: Window | None = None


class Parameter(BaseModel):
    """A number that the user may set.

    Attributes
    ----------
    default, min, max : float
        Its value where the user gives none, and its bounds.
    unit, doc : str
        For people.
    """

    model_config = _STRICT

    default: _NumberOf
    min: _NumberOf
    max: _NumberOf
    unit: Annotated[str, Field(max_length=60)] = ""
    doc: Annotated[str, Field(max_length=5000)] = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.default <= self.max:
            raise ValueError("default must lie between min and max")
        return self


class Side(BaseModel):
    """Vectors that are fed while the model plays; see :class:`rtcore.SideInput`.

    Attributes
    ----------
    width : int
        Numbers in a vector.
    initial : float or tuple of float
        What holds until the first one comes.
    rate_hz : float or None
        Vectors in a second.
    lateness_s : float or None
        How late one may come and still be used.
    doc : str
        For people.
    """

    model_config = _STRICT

    width: Annotated[int, Field(ge=1, le=MAX_WIDTH)]
    initial: _NumberOf | Annotated[tuple[_NumberOf, ...], Field(strict=False)] = 0.0
    rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    lateness_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    doc: Annotated[str, Field(max_length=5000)] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        try:
            self.declared()
        except PluginError as error:
            raise ValueError(str(error).removeprefix("side input: ")) from None
        return self

    def declared(self) -> SideInput:
        """Give it as a plugin declares it."""
        return SideInput(self.width, self.initial, self.rate_hz, self.lateness_s, self.doc)


class Manifest(BaseModel):
    """A model bundle.

    Attributes
    ----------
    id : str
        The bundle's name.
    description, licence, source : str
        What it does to the sound, under which licence, and where it comes from.
    sample_rate : int
        In Hz.
    channels : int
        Of the sound that one run of the model takes; a stream of more gets several.
    hop : int
        New samples of each call.
    latency, lookahead : int
        In samples at the model's rate: how late the output is beside gathering a hop, and how far
        an aligned output sample depends on the future.
    tail : int or None
        Samples that go on sounding after the input's end; the latency where absent.
    concealment : bool
        Whether it fills lost packets.
    frame, gate, stage, parameters, sides
        See there.
    """

    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
    description: _Text
    licence: _Text
    source: Annotated[str, Field(max_length=5000)] = ""
    sample_rate: Annotated[int, Field(ge=1000, le=384000)]
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    hop: Annotated[int, Field(ge=1, le=_LONGEST)]
    latency: _Samples = 0
    lookahead: _Samples = 0
    tail: _Samples | None = None
    concealment: bool = False
    frame: Frame = Frame()
    gate: Gate | None = None
    parameters: dict[str, Parameter] = {}
    sides: Annotated[dict[str, Side], Field(max_length=_MOST)] = {}
    stage: Annotated[tuple[Stage, ...], Field(strict=False, min_length=1, max_length=_MOST)]

    @property
    def window(self) -> int:
        """Length of a frame in samples."""
        return self.frame.window or self.hop

    @property
    def spectral(self) -> bool:
        """Whether a spectrum is made of the frames."""
        given = {p.feature for s in self.stage for i in s.inputs.values() for p in i.parts}
        taken = {part for s in self.stage for o in s.outputs.values() for part in o.parts}
        return bool((given | taken) & SPECTRAL)

    @model_validator(mode="after")
    def _whole(self, _info: ValidationInfo | None = None) -> Self:
        if self.window < self.hop:
            raise ValueError(f"frame.window must be at least the hop of {self.hop} samples")
        if self.spectral and self.window % 2:
            raise ValueError("frame.window must be even where there is a spectrum")
        hops = any("hop" in o.parts for s in self.stage for o in s.outputs.values())
        if self.gate is not None and hops and self.latency:
            raise ValueError(
                f"a gate passes hops on as they came, which does not fit a latency of "
                f"{self.latency}; let the model give frames, or leave the gate out"
            )
        return self

    @model_validator(mode="after")
    def _names(self) -> Self:
        for number, stage in enumerate(self.stage):
            for name, source in stage.inputs.items():
                place = f"stage[{number}].inputs.{name}"
                if source.parameter is not None and source.parameter not in self.parameters:
                    raise ValueError(
                        f"{place} asks for the parameter {source.parameter!r}, which is not among "
                        "parameters"
                    )
                if source.side is not None and source.side not in self.sides:
                    raise ValueError(
                        f"{place} asks for the side input {source.side!r}, which is not among sides"
                    )
        for what, names in (("parameter", self.parameters), ("side input", self.sides)):
            for name in names:
                if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                    raise ValueError(f"{what} {name!r} needs a name of letters, digits and _")
        return self


def load_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read a bundle's manifest.

    Parameters
    ----------
    path : path
        A ``model.toml``, or the folder in which it lies.

    Returns
    -------
    Manifest

    Raises
    ------
    ModelError
        Where a folder has none.
    ConfigError
        Naming the file and the key, what was found there and what is wanted.
    """
    file = Path(path)
    if file.is_dir():
        file /= MANIFEST
        if not file.is_file():
            raise ModelError(f"{path}: is no model bundle; it has no {MANIFEST}")
    return read_form(file, str(file), Manifest, what="a model's manifest")
