# SPDX-License-Identifier: MIT
"""Build the program of a bundle: features, runs of its stages, the sound made of the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from rtcore.dsp.stft import stft_window
from rtcore.errors import ModelError
from rtcore.onnx.fitting import as_float32, as_number, filled, known
from rtcore.onnx.manifest import Manifest
from rtcore.onnx.opcodes import Op
from rtcore.onnx.patches import patch_tables
from rtcore.onnx.program import Memory, Placed, Program, Region, Steps, Wiring
from rtcore.onnx.stages import SPECTRAL, Part, Source, Stage, Target

_RE, _IM = 0, 1


def build(manifest: Manifest, models: Sequence[Any], parameters: Mapping[str, float]) -> Program:
    """Build the program of one instance of a bundle.

    Parameters
    ----------
    manifest : Manifest
        What the bundle declares.
    models : sequence
        A session for each stage, with ``inputs`` and ``outputs``: tensors with name, shape, dtype.
    parameters : mapping of str to float
        Values of the bundle's parameters.

    Returns
    -------
    Program

    Raises
    ------
    ModelError
        Where the manifest does not fit its models, naming the stage and the tensor.
    """
    return _Builder(manifest, parameters).build(models)


class _Builder:
    """One walk over a manifest."""

    def __init__(self, manifest: Manifest, parameters: Mapping[str, float]) -> None:
        self._manifest, self._parameters = manifest, parameters
        self._memory, self._steps = Memory(), Steps()
        self._channels = range(manifest.channels)
        hop, window = manifest.hop, manifest.window
        self._hop, self._window, self._bins = hop, window, window // 2 + 1
        room = self._memory.room
        self._entry = [room(hop) for _ in self._channels]
        self._exit = [room(hop) for _ in self._channels]
        self._history = [room(window) if window > hop else self._entry[c] for c in self._channels]
        self._known = self._entry
        self._patches: list[int] = []
        self._frame = self._history  # under the analysis window
        self._made: list[Region] = []  # the frame that a model gave
        self._spectrum: list[tuple[Region, Region]] = []
        self._sound = "input"  # what holds the newest version: input, spectrum, frame or hop
        self._stale = False  # whether the frame is newer than the spectrum
        self._past: list[Region] = []
        self._flags = 1
        widths = [side.width for side in manifest.sides.values()]
        # Where the vector of each begins among all of them.
        self._sides = dict(zip(manifest.sides, accumulate([0, *widths]), strict=False))
        self._controls: dict[str, Placed] = {}

    def build(self, models: Sequence[Any]) -> Program:
        """Write all steps of a hop."""
        gate, jump = self._manifest.gate, None
        self._take_in()
        if gate is not None and gate.runs == "heard":
            jump = self._steps.add(Op.UNLESS_HEARD)
        wirings = [
            self._stage(number, stage, model)
            for number, (stage, model) in enumerate(zip(self._manifest.stage, models, strict=True))
        ]
        if gate is not None and jump is None:
            jump = self._steps.add(Op.UNLESS_HEARD)
        self._give_out(jump)
        heard = 0
        if gate is not None:
            heard = 1 if gate.hears == "newest" else -(-self._window // self._hop)
        return Program(
            self._steps.array(),
            self._memory.initial(),
            tuple(wirings),
            tuple(self._entry),
            tuple(self._exit),
            tuple(self._known),
            self._controls,
            max(self._flags, heard),
            heard,
        )

    def _take_in(self) -> None:
        """Bring the new hop into the frame."""
        add, hop, window = self._steps.add, self._hop, self._window
        if self._manifest.frame.foresight:
            at = window - 2 * hop
            self._known = [Region(history.at + at, hop) for history in self._history]
            for channel, (entry, history) in enumerate(
                zip(self._entry, self._history, strict=True)
            ):
                add(Op.SHIFT, history.at, count=window - hop, extra=hop)
                add(Op.FORESEE, history.at + at, entry.at, channel, hop)
        elif window > hop:
            for entry, history in zip(self._entry, self._history, strict=True):
                add(Op.SHIFT, history.at, count=window, extra=hop)
                add(Op.COPY, history.at + window - hop, entry.at, count=hop)
        if self._manifest.frame.analysis != "rect":
            shape = self._shape(self._manifest.frame.analysis)
            self._frame = [self._memory.room(window) for _ in self._channels]
            for history, frame in zip(self._history, self._frame, strict=True):
                add(Op.MULTIPLY, frame.at, history.at, shape.at, window)
        if self._manifest.spectral:
            room, bins = self._memory.room, self._bins
            self._spectrum = [(room(bins), room(bins)) for _ in self._channels]
            for frame, (re, im) in zip(self._frame, self._spectrum, strict=True):
                add(Op.TRANSFORM, frame.at, re.at, im.at, window)

    def _shape(self, name: str) -> Region:
        return self._memory.hold(stft_window(name, self._window))

    def _stage(self, number: int, stage: Stage, model: Any) -> Wiring:
        where = f"stage[{number}] ({stage.file})"
        inputs = {tensor.name: tensor for tensor in model.inputs}
        outputs = {tensor.name: tensor for tensor in model.outputs}
        for name in stage.inputs:
            known("input", name, inputs, where)
        for name in (n for n in inputs if n not in stage.inputs):
            raise ModelError(
                f"{where}: the manifest does not say what the model's input {name!r} is given; "
                "name it under inputs"
            )
        for name in stage.outputs:
            known("output", name, outputs, where)
        wiring = Wiring()
        over = [source.state for source in stage.inputs.values() if source.state is not None]
        for name, source in stage.inputs.items():
            at = f"{where}: input {name}"
            if source.state is not None:
                known("output", source.state, outputs, where)
                # Two places in turn would do for one reader only.
                shared = source.state in stage.outputs or over.count(source.state) > 1
                self._state(wiring, inputs[name], outputs[source.state], source, at, shared=shared)
            else:
                wiring.inputs[name] = self._input(inputs[name], source, at)
        self._steps.add(Op.RUN, number)
        places: dict[str, list[int]] = {}
        for name, target in stage.outputs.items():
            at = f"{where}: output {name}"
            wiring.outputs[name] = self._output(outputs[name], target, places, at)
        for taken, given in wiring.copied.items():
            before, after = wiring.inputs[taken].region, wiring.outputs[given].region
            self._steps.add(Op.COPY, before.at, after.at, count=before.count)
        if places:
            self._make_sound(places)
        return wiring

    def _make_sound(self, places: Mapping[str, Sequence[int]]) -> None:
        """Make the sound of what a stage gave: where each part of each channel lies."""
        if set(places) & SPECTRAL:
            self._transform()
        for channel in self._channels:
            self._apply({part: at[channel] for part, at in places.items()}, channel)
        self._patches = list(places.get("patch", []))
        self._sound = next((p for p in ("hop", "frame", "patch") if p in places), "spectrum")
        self._stale = self._sound == "frame" and bool(self._spectrum)

    def _state(
        self, wiring: Wiring, taken: Any, given: Any, source: Source, where: str, *, shared: bool
    ) -> None:
        """Give a state two places; calls use them in turn, or copy where others read it too."""
        shape = filled(taken.shape, None, where, "a state")
        count = int(np.prod(shape, dtype=np.int64))
        after = shape  # a model may leave its output's shape open, or say nothing of it
        if given.shape and not given.fits(shape):
            after = filled(given.shape, count, f"{where}: its next state {given.name}", "the state")
        if taken.dtype != given.dtype:
            msg = (
                f"{where} is of {taken.dtype} and {given.name}, which it takes over, of "
                f"{given.dtype}; name another output as its state"
            )
            raise ModelError(msg)
        as_number(source.initial, taken.dtype, where)
        wiring.inputs[taken.name] = self._memory.tensor(shape, taken.dtype, source.initial)
        wiring.outputs[given.name] = self._memory.tensor(after, given.dtype, 0.0)
        (wiring.copied if shared else wiring.states)[taken.name] = given.name

    def _input(self, tensor: Any, source: Source, where: str) -> Placed:
        if source.side is not None:
            return self._side(tensor, source.side, where)
        if not source.parts:
            number = source.constant or 0.0
            if source.parameter is not None:
                number = self._parameters[source.parameter]
            shape = filled(tensor.shape, None, where, "a number")
            as_number(number, tensor.dtype, where)
            return self._memory.tensor(shape, tensor.dtype, number)
        as_float32(tensor.dtype, where)
        count = sum(self._count(part) for part in source.parts)
        what = " + ".join(part.feature for part in source.parts)
        shape = filled(tensor.shape, count, where, what)
        region = self._memory.room(count)
        at = region.at
        for part in source.parts:
            each = self._count(part) // len(self._channels)
            for channel in self._channels:
                self._feature(part, channel, at)
                at += each
        return Placed(region, shape, np.dtype(np.float32))

    def _side(self, tensor: Any, name: str, where: str) -> Placed:
        """Let an input be the vector of a side input."""
        as_float32(tensor.dtype, where)
        width = self._manifest.sides[name].width
        shape = filled(tensor.shape, width, where, f"the side input {name}")
        region = self._memory.room(width)
        self._steps.add(Op.SIDE, region.at, self._sides[name], count=width)
        return Placed(region, shape, np.dtype(np.float32))

    def _count(self, part: Part) -> int:
        one = {
            "hop": self._hop,
            "frame": self._window,
            "past_output": part.samples or 0,
            "lost": part.repeat,
            "spectrum": 2 * self._bins,
        }.get(part.feature, self._bins)
        return one * len(self._channels)

    def _feature(self, part: Part, channel: int, at: int) -> None:
        """Write one feature of one channel to a place in an input."""
        add, name = self._steps.add, part.feature
        if name == "hop":
            newest = self._exit if self._sound == "hop" else self._entry
            add(Op.COPY, at, newest[channel].at, count=self._hop)
        elif name == "frame":
            self._restore()
            frame = self._made[channel] if self._sound == "frame" else self._frame[channel]
            add(Op.COPY, at, frame.at, count=self._window)
        elif name == "past_output":
            past = self._remembered(part.samples or 1)[channel]
            add(Op.COPY, at, past.at + past.count - (part.samples or 1), count=part.samples or 1)
        elif name == "lost":
            self._flags = max(self._flags, part.age + 1)
            add(Op.FLAG, at, part.age, count=part.repeat)
        else:
            self._spectral_feature(part, channel, at)

    def _spectral_feature(self, part: Part, channel: int, at: int) -> None:
        self._transform()
        add, bins, name = self._steps.add, self._bins, part.feature
        re, im = self._spectrum[channel]
        if name == "spectrum":
            add(Op.SPREAD, at, re.at, 1, bins, 2)
            add(Op.SPREAD, at + 1, im.at, 1, bins, 2)
        elif name in {"real", "imaginary"}:
            add(Op.COPY, at, (re if name == "real" else im).at, count=bins)
        elif name == "log_power":
            floor = self._memory.hold([part.floor])
            add(Op.LOG_POWER, at, re.at, im.at, bins, floor.at)
        else:
            kinds = {"magnitude": Op.MAGNITUDE, "sine": Op.SINE, "cosine": Op.COSINE}
            add(kinds[name], at, re.at, im.at, bins)

    def _remembered(self, samples: int) -> list[Region]:
        """Give what went out of each channel, at least so many samples of it."""
        if not self._past:
            longest = max(
                part.samples or 1
                for stage in self._manifest.stage
                for source in stage.inputs.values()
                for part in source.parts
            )
            self._past = [self._memory.room(max(longest, samples)) for _ in self._channels]
        return self._past

    def _output(
        self, tensor: Any, target: Target, places: dict[str, list[int]], where: str
    ) -> Placed:
        """Give an output its place, and note where its parts lie."""
        as_float32(tensor.dtype, where)
        if target.control is not None:
            shape = filled(tensor.shape, None, where, "a control")
            placed = self._memory.tensor(shape, tensor.dtype, 0.0)
            self._controls[target.control] = placed
            return placed
        sizes = {"hop": self._hop, "frame": self._window, "spectrum": 2 * self._bins,
                 "complex_mask": 2 * self._bins, "patch": 2 * self._hop}  # fmt: skip
        each = [sizes.get(part, self._bins) for part in target.parts]
        count = sum(each) * len(self._channels)
        shape = filled(tensor.shape, count, where, " + ".join(target.parts))
        region, at = self._memory.room(count), 0
        for part, size in zip(target.parts, each, strict=True):
            places[part] = [region.at + at + size * channel for channel in self._channels]
            at += size * len(self._channels)
        return Placed(region, shape, np.dtype(np.float32))

    def _apply(  # noqa: C901 - one case for each kind of target
        self, places: dict[str, int], channel: int
    ) -> None:
        """Make one channel's sound of what a model gave."""
        add, bins = self._steps.add, self._bins
        if "hop" in places:
            add(Op.COPY, self._exit[channel].at, places["hop"], count=self._hop)
        if "frame" in places:
            add(Op.COPY, self._own_frame(channel).at, places["frame"], count=self._window)
        if not self._spectrum:
            return
        re, im = self._spectrum[channel]
        if "spectrum" in places:
            add(Op.SPREAD, re.at, places["spectrum"], 2, bins, 1)
            add(Op.SPREAD, im.at, places["spectrum"] + 1, 2, bins, 1)
        for part, plane in (("real", re), ("imaginary", im)):
            if part in places:
                add(Op.COPY, plane.at, places[part], count=bins)
        if "mask" in places:
            for plane in (re, im):
                add(Op.MULTIPLY, plane.at, plane.at, places["mask"], bins)
        if "complex_mask" in places:
            factors = [self._memory.room(bins) for _ in range(2)]
            for k, plane in enumerate(factors):
                add(Op.SPREAD, plane.at, places["complex_mask"] + k, 2, bins, 1)
            add(Op.ROTATE, re.at, factors[_RE].at, factors[_IM].at, bins, im.at)
        if "magnitude" in places:
            self._polar(places, re, im)

    def _polar(self, places: dict[str, int], re: Region, im: Region) -> None:
        """Make a spectrum of a magnitude and a phase: the model's, or else the sound's own."""
        add, bins = self._steps.add, self._bins
        sine, cosine = places.get("sine"), places.get("cosine")
        if sine is None or cosine is None:
            phase = [self._memory.room(bins) for _ in range(2)]
            add(Op.COSINE, phase[_RE].at, re.at, im.at, bins)
            add(Op.SINE, phase[_IM].at, re.at, im.at, bins)
            cosine, sine = phase[_RE].at, phase[_IM].at
        add(Op.MULTIPLY, re.at, places["magnitude"], cosine, bins)
        add(Op.MULTIPLY, im.at, places["magnitude"], sine, bins)

    def _own_frame(self, channel: int) -> Region:
        if not self._made:
            self._made = [self._memory.room(self._window) for _ in self._channels]
        return self._made[channel]

    def _transform(self) -> None:
        """Let the spectrum be that of the newest frame."""
        if not self._stale:
            return
        for frame, (re, im) in zip(self._made, self._spectrum, strict=True):
            self._steps.add(Op.TRANSFORM, frame.at, re.at, im.at, self._window)
        self._stale = False

    def _restore(self) -> None:
        """Let the frame be the sound of the newest spectrum."""
        if self._sound != "spectrum":
            return
        for channel, (re, im) in enumerate(self._spectrum):
            self._steps.add(Op.RESTORE, self._own_frame(channel).at, re.at, im.at, self._window)
        self._sound = "frame"

    def _give_out(self, jump: int | None) -> None:
        """Put the frames together and give out a hop; where the model is unheard, as it came."""
        add, hop = self._steps.add, self._hop
        self._restore()
        if self._sound == "patch":
            self._patch()
        elif self._sound in {"input", "hop"}:
            if self._sound == "hop" and jump is not None:
                end = add(Op.GO)
                self._steps.land(jump)
                self._copy_through()
                self._steps.land(end)
            elif self._sound == "input":
                if jump is not None:
                    self._steps.land(jump)
                self._copy_through()
        else:
            self._overlap(jump)
        for past, out in zip(self._past, self._exit, strict=False):
            add(Op.SHIFT, past.at, count=past.count, extra=min(hop, past.count))
            kept = min(hop, past.count)
            add(Op.COPY, past.at + past.count - kept, out.at + hop - kept, count=kept)

    def _patch(self) -> None:
        """Let patches take the place of hops that never came."""
        hop, cut = self._hop, self._manifest.frame
        for entry, out, patch, frame in zip(
            self._entry, self._exit, self._patches, self._history, strict=True
        ):
            kept = self._memory.hold(
                patch_tables(hop, cut.fade, cut.hindsight, (frame.at, frame.count))
            )
            self._steps.add(Op.PATCH, out.at, entry.at, kept.at, hop, patch)

    def _copy_through(self) -> None:
        for place, out in zip(self._known, self._exit, strict=True):
            self._steps.add(Op.COPY, out.at, place.at, count=self._hop)

    def _overlap(self, jump: int | None) -> None:
        add, hop, window = self._steps.add, self._hop, self._window
        room = self._memory.room
        sums = [room(window) for _ in self._channels]
        pieces = [room(window) for _ in self._channels]
        synthesis = self._manifest.frame.synthesis
        self._under_window(self._made, pieces, synthesis)
        if jump is not None:
            end = add(Op.GO)
            self._steps.land(jump)
            gate = self._manifest.gate
            own = gate.synthesis if gate is not None and gate.synthesis else synthesis
            self._under_window(self._frame, pieces, own)
            self._steps.land(end)
        for piece, total, out in zip(pieces, sums, self._exit, strict=True):
            add(Op.ADD, total.at, piece.at, count=window)
            add(Op.COPY, out.at, total.at, count=hop)
            add(Op.SHIFT, total.at, count=window, extra=hop)
            add(Op.FILL, total.at + window - hop, count=hop)

    def _under_window(self, frames: list[Region], pieces: list[Region], name: str) -> None:
        shape = self._shape(name)
        for frame, piece in zip(frames, pieces, strict=True):
            self._steps.add(Op.MULTIPLY, piece.at, frame.at, shape.at, self._window)
