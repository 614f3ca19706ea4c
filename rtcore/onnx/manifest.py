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
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, model_validator

from rtcore.errors import ModelError, PluginError
from rtcore.onnx.stages import (
    LONGEST,
    MOST,
    SPECTRAL,
    STRICT,
    NumberOf,
    Samples,
    Stage,
    Text,
    Window,
)
from rtcore.sides import MAX_WIDTH, SideInput
from rtcore.tomlfile import read_form

MANIFEST = "model.toml"


class Frame(BaseModel):
    """How the sound is cut into frames and put together again.

    Attributes
    ----------
    window : int or None
        Length of a frame in samples; the hop where absent.
    analysis, synthesis : str
        Window functions (periodic) before the model and behind it.
    foresight : bool
        For models that conceal: the frame ends one hop ahead.  Its last hop is the classical
        guess of what comes next, and hops that never came are their classical substitute.  The
        model gives a ``patch`` of two hops, this one and the next, under a squared sine window:
        where a hop never came the sum of the patches that overlap is heard, any other as it came.
    fade : int
        Samples of the hop behind a loss in which the last patch fades out.
    hindsight : int
        Samples by which all is heard later, so that as many at the end of a loss can be joined to
        what came behind it, which then is heard as it came; instead of ``fade``.
    """

    model_config = STRICT

    window: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    analysis: Window = "rect"
    synthesis: Window = "rect"
    foresight: bool = False
    fade: Samples = 0
    hindsight: Samples = 0


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

    model_config = STRICT

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

    model_config = STRICT

    default: NumberOf
    min: NumberOf
    max: NumberOf
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

    model_config = STRICT

    width: Annotated[int, Field(ge=1, le=MAX_WIDTH)]
    initial: NumberOf | Annotated[tuple[NumberOf, ...], Field(strict=False)] = 0.0
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

    model_config = STRICT

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
    description: Text
    licence: Text
    source: Annotated[str, Field(max_length=5000)] = ""
    sample_rate: Annotated[int, Field(ge=1000, le=384000)]
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    hop: Annotated[int, Field(ge=1, le=LONGEST)]
    latency: Samples = 0
    lookahead: Samples = 0
    tail: Samples | None = None
    concealment: bool = False
    frame: Frame = Frame()
    gate: Gate | None = None
    parameters: dict[str, Parameter] = {}
    sides: Annotated[dict[str, Side], Field(max_length=MOST)] = {}
    stage: Annotated[tuple[Stage, ...], Field(strict=False, min_length=1, max_length=MOST)]

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
        self._foresees()
        if self.gate is not None and hops and self.latency:
            raise ValueError(
                f"a gate passes hops on as they came, which does not fit a latency of "
                f"{self.latency}; let the model give frames, or leave the gate out"
            )
        return self

    def _foresees(self) -> None:
        """Refuse what does not go with foresight, or needs it."""
        given = {part for s in self.stage for o in s.outputs.values() for part in o.parts}
        if ("patch" in given) != self.frame.foresight:
            raise ValueError(
                "frame.foresight needs a model that gives a patch, and a patch needs it"
            )
        if self.frame.foresight:
            self._joins()
            return
        for key in ("fade", "hindsight"):
            if getattr(self.frame, key):
                raise ValueError(f"frame.{key} needs frame.foresight = true")

    def _joins(self) -> None:
        """Refuse what does not fit a model that conceals by foresight."""
        frame, half = self.frame, self.hop // 2
        if self.window < 2 * self.hop:
            raise ValueError(f"frame.window must be at least two hops, {2 * self.hop} samples")
        for key in ("fade", "hindsight"):
            if getattr(frame, key) > half:
                raise ValueError(f"frame.{key} must be at most half a hop, {half} samples")
        if frame.fade and frame.hindsight:
            raise ValueError("frame.fade and frame.hindsight exclude one another")
        if self.gate is not None or not self.concealment:
            raise ValueError("frame.foresight goes with concealment = true, without gate")
        ahead = self.hop + frame.hindsight - 1 if frame.hindsight else 0
        if (self.latency, self.lookahead) != (frame.hindsight, ahead):
            raise ValueError(
                f"with foresight and frame.hindsight = {frame.hindsight} latency must be "
                f"{frame.hindsight} and lookahead {ahead}, found {self.latency} and "
                f"{self.lookahead}"
            )

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
