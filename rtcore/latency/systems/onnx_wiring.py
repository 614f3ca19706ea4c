# SPDX-License-Identifier: MIT
"""Find out where a streaming ONNX model takes its sound, gives it, and keeps its memory.

A streaming model is called once a hop. It takes a window of samples, of which the last ones are
new, and its states; it gives a hop of samples and the next states. Which tensor is what follows
from the user's words, else from the shapes, else from the names; where two readings are equally
good, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcore.errors import did_you_mean
from rtcore.latency.systems.base import SystemFaultError

#: Element types that sound and states may have.
FLOATS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
_TYPES: dict[str, Any] = {
    **FLOATS,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_RATES = {"sr", "fs", "rate", "sample_rate", "samplerate", "sampling_rate"}
_SOUND = re.compile(
    r"audio|wav|sound|signal|noisy|mix|speech|frame|samples|pcm|chunk|enh|clean|denoised"
)
_SOUND_WORDS = {"x", "y", "input", "output", "in", "out"}
_STATE = re.compile(r"state|hidden|cache|memory|buffer|history|past|lstm|gru|rnn|context")
_STATE_WORDS = {"h", "c", "h0", "c0", "hn", "cn", "mem", "buf", "ctx", "s", "z"}
_DIRECTIONS = {"in", "out", "input", "output", "inputs", "outputs", "new", "next", "prev", "old"}
_DIRECTIONS |= {"cur", "current", "n", "i", "o", "t", "previous", "final", "initial", "init"}
_BINS = (129, 161, 201, 241, 257, 321, 481, 513, 961, 1025, 2049)
_LARGEST_RATIO = 128
_SMALLEST_HOP = 8


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model.

    Attributes
    ----------
    name : str
        In the model.
    shape : tuple of (int or None)
        None where it is open.
    kind : str
        As ONNX Runtime says it, such as ``tensor(float)``.
    """

    name: str
    shape: tuple[int | None, ...]
    kind: str

    @classmethod
    def of(cls, arg: Any) -> Tensor:
        """Take one over from an ONNX Runtime session."""
        dims = tuple(d if isinstance(d, int) and d >= 0 else None for d in arg.shape)
        return cls(arg.name, dims, arg.type)

    @property
    def dtype(self) -> Any:
        """Type of its elements as NumPy calls it; None where none fits."""
        return _TYPES.get(self.kind)

    def __str__(self) -> str:
        dims = ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name} [{dims}] {self.kind.removeprefix('tensor(').rstrip(')')}"


@dataclass(frozen=True)
class Options:
    """What the user says of a model; see :class:`rtcore.latency.systems.onnx_model.OnnxSystem`."""

    audio_input: str | None = None
    audio_output: str | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    hop: int | None = None
    window: int | None = None


@dataclass(frozen=True)
class Wiring:
    """What each tensor of a model is for.

    Attributes
    ----------
    audio_input, audio_output : Tensor
        Where the sound goes in and comes out.
    time_axis : int
        Of `audio_input`.
    states : mapping of Tensor to Tensor
        Inputs that are zero at first, and the outputs that they take over afterwards.
    constants : mapping of str to ndarray
        Inputs that stay as they are, such as the sample rate.
    """

    audio_input: Tensor
    audio_output: Tensor
    time_axis: int
    states: Mapping[Tensor, Tensor]
    constants: Mapping[str, np.ndarray]

    def score(self) -> int:
        """Tell how well the names fit."""
        good = _sounds(self.audio_input) + _sounds(self.audio_output)
        kept = [*self.states, *self.states.values()]
        same = sum(_stem(a.name) == _stem(b.name) for a, b in self.states.items())
        return 2 * good - sum(_sounds(tensor) for tensor in kept) + same


def wire(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    options: Options,
    sample_rate: int,
    channels: int,
) -> Wiring:
    """Find out what each tensor is for.

    Parameters
    ----------
    name : str
        Of the model, for the sentences.
    inputs, outputs : sequence of Tensor
        Of the model.
    options : Options
        What the user says; the rest is recognised.
    sample_rate : int
        In Hz, for an input that asks for it.
    channels : int
        Of the sound.

    Raises
    ------
    SystemFaultError
        Where a name of the user's is not there, or nothing, or more than one thing, fits.
    """
    _check_names(name, inputs, outputs, options)
    constants = _constants(inputs, options, sample_rate)
    free = [tensor for tensor in inputs if tensor.name not in constants]
    found = list(_readings(free, outputs, options, channels, constants))
    best = max((reading.score() for reading in found), default=0)
    found = [reading for reading in found if reading.score() == best]
    if len(found) == 1:
        return found[0]
    listed = f"inputs {_listed(inputs)}; outputs {_listed(outputs)}"
    if found:
        raise SystemFaultError(
            f"{name}: its tensors can be read in {len(found)} ways ({listed}); name the sound "
            "with --onnx-input and --onnx-output, and each state with --onnx-state IN=OUT"
        )
    raise SystemFaultError(
        f"{name}: its sound and its states were not recognised ({listed}); "
        "name them with --onnx-input, --onnx-output, --onnx-state IN=OUT, --onnx-constant "
        "NAME=VALUE, --hop and --window, or, for a model of spectra or of several stages, measure "
        "a Python function around it with --callable"
    )


def time_axis(shape: Sequence[int | None], channels: int) -> int | None:
    """Find the axis of the samples in [N], [1, N], [1, 1, N], [1, N, 1] or [1, channels, N].

    Open axes before it are a batch of one; None where the shape is no sound.
    """
    if not 1 <= len(shape) <= 3:
        return None
    large = [axis for axis, size in enumerate(shape) if size is not None and size != 1]
    late = [axis for axis, size in enumerate(shape) if size is None and (axis or len(shape) == 1)]
    if len(large) == 1 and late and late[-1] > large[0]:
        large.append(late[-1])  # [1, channels, ?]
    if not large:
        return late[-1] if late else len(shape) - 1
    if len(large) == 1:
        return large[0]
    return large[1] if len(large) == 2 and shape[large[0]] == channels > 1 else None


def plausible_hop(hop: int, window: int | None) -> bool:
    """Tell sound from scores and probabilities, by how much of it comes out of a window."""
    if window is None:
        return hop >= _SMALLEST_HOP
    return hop == window or (hop >= _SMALLEST_HOP and hop <= window <= hop * _LARGEST_RATIO)


def _is_spectrum(size: int | None) -> bool:
    """Tell frames of a spectrum, n / 2 + 1 bins, from a number of samples."""
    return size is not None and any(
        size == 2 * bins or (size % 2 and size % bins == 0) for bins in _BINS
    )


def sound_channels(tensor: Tensor, axis: int) -> int:
    """Count the channels that a model takes at once: the product of the axes before time."""
    return int(np.prod([size or 1 for size in tensor.shape[:axis]], dtype=int))


def _check_names(
    name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], options: Options
) -> None:
    """Refuse names that the model does not have."""
    ins = [*options.states, *options.constants, *filter(None, [options.audio_input])]
    outs = [*options.states.values(), *filter(None, [options.audio_output])]
    for kind, wanted, there in (("input", ins, inputs), ("output", outs, outputs)):
        known = [tensor.name for tensor in there]
        for word in wanted:
            if word not in known:
                near = did_you_mean(word, known)
                raise SystemFaultError(
                    f"{name}: the model has no {kind} {word!r}{near}; there are {', '.join(known)}"
                )


def _constants(
    inputs: Sequence[Tensor], options: Options, sample_rate: int
) -> dict[str, np.ndarray]:
    """Fill the inputs that stay as they are: what the user says, and the sample rate."""
    found = {}
    for tensor in inputs:
        value = options.constants.get(tensor.name)
        single = all(size in (1, None) for size in tensor.shape)
        if value is None and single and tensor.name.lower() in _RATES:
            value = sample_rate
        if value is not None and tensor.dtype is not None:
            shape = [1 if size is None else size for size in tensor.shape]
            found[tensor.name] = np.full(shape, value, tensor.dtype)
    return found


def _readings(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    options: Options,
    channels: int,
    constants: Mapping[str, np.ndarray],
) -> Iterable[Wiring]:
    """Give every way in which the tensors can be a sound with states."""
    for sound in inputs:
        axis = _input_axis(sound, options, channels)
        if axis is None:
            continue
        for given in outputs:
            if not _may_be_output(given, sound.shape[axis], options, channels):
                continue
            rest = [tensor for tensor in inputs if tensor is not sound]
            states = _paired(rest, [t for t in outputs if t is not given], options.states)
            if states is not None:
                yield Wiring(sound, given, axis, states, constants)


def _input_axis(tensor: Tensor, options: Options, channels: int) -> int | None:
    """Give the axis of the samples if a tensor may be the sound that goes in."""
    if tensor.kind not in FLOATS or tensor.name in options.states:
        return None
    axis = time_axis(tensor.shape, channels)
    if options.audio_input is not None:
        return axis if tensor.name == options.audio_input else None
    return None if axis is None or _is_spectrum(tensor.shape[axis]) else axis


def _may_be_output(tensor: Tensor, window: int | None, options: Options, channels: int) -> bool:
    """Tell whether a tensor may be the sound that comes out of a window."""
    if tensor.kind not in FLOATS or tensor.name in options.states.values():
        return False
    axis = time_axis(tensor.shape, channels)
    if options.audio_output is not None:
        return tensor.name == options.audio_output
    if axis is None:
        return False
    hop = tensor.shape[axis]
    if hop is None or hop == window:
        return True
    if options.hop is not None:
        return hop == options.hop
    return plausible_hop(hop, window) and not _is_spectrum(hop)


def _paired(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], said: Mapping[str, str]
) -> dict[Tensor, Tensor] | None:
    """Give each state the output that becomes it; None where one has none.

    By the user's words, then by equal names without "in" and "out", then in their order.
    """
    left = list(outputs)
    pairs: dict[Tensor, Tensor] = {}
    rules = (
        lambda a, b: said.get(a.name) == b.name,
        lambda a, b: _stem(a.name) == _stem(b.name),
        lambda _a, _b: True,
    )
    for rule in rules:
        for state in [tensor for tensor in inputs if tensor not in pairs]:
            fits = (t for t in left if rule(state, t) and _same(state, t))
            match = next(fits, None)
            if match is not None:
                pairs[state] = match
                left.remove(match)
    return {t: pairs[t] for t in inputs} if len(pairs) == len(inputs) else None


def _same(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors can be one state before and after a hop."""
    sizes = zip(a.shape, b.shape, strict=False)
    return (
        a.kind == b.kind
        and a.dtype is not None
        and len(a.shape) == len(b.shape)
        and all(m is None or n is None or m == n for m, n in sizes)
    )


def _stem(name: str) -> str:
    """Take from a name what says "before" or "after": h0, h_in, hn and h_out are all h."""
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    words = [re.sub(r"(?<=^[a-z])[0n](?=\d*$)", "", word) for word in words]
    return "_".join(word for word in words if word not in _DIRECTIONS)


def _sounds(tensor: Tensor) -> int:
    """Tell from a name whether a tensor is a sound (1), a state (-1), or anything (0)."""
    name = tensor.name.lower()
    if _STATE.search(name) or name in _STATE_WORDS or _stem(name) in _STATE_WORDS:
        return -1
    return int(bool(_SOUND.search(name)) or name in _SOUND_WORDS)


def _listed(tensors: Sequence[Tensor]) -> str:
    """List tensors with shapes and types."""
    return ", ".join(map(str, tensors)) or "none"
