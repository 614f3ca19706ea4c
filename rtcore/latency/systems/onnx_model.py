# SPDX-License-Identifier: MIT
"""Streaming ONNX models, called once a hop, as systems to be measured.

The model's output for the k-th hop stands at the place of that hop: a model that needs the whole
of a hop looks ahead by up to ``hop - 1`` samples. Where its window is longer than its hop, the
window ends with the hop, and the rest is what came before (zeros at first).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.errors import did_you_mean
from rtcore.latency.result import Declared
from rtcore.latency.systems.base import Sound, System, SystemFaultError
from rtcore.latency.systems.onnx_wiring import Options, Tensor, plausible_hop, sound_channels, wire


class OnnxSystem(System):
    """A streaming ONNX model, run by ONNX Runtime in one thread.

    Parameters
    ----------
    path : str
        The model's file.
    sample_rate : int
        In Hz; also fed to an input named ``sr`` or the like.
    channels : int
        Of the sound. A model of one channel runs once for each, with states of its own.
    declared : Declared, optional
        What the user says of it; `hop_samples` follows from the model where it is not given.
    audio_input, audio_output : str, optional
        Names of the tensors of the sound, where they are not recognised.
    states : mapping of str to str, optional
        Inputs to the outputs that they take over at the next hop; they begin with zeros.
    constants : mapping of str to float, optional
        Inputs that stay as they are, filled with a number.
    hop : int, optional
        New samples of each call, where the model leaves it open.
    window : int, optional
        Samples that it is given at each call, where the model leaves it open; the hop otherwise.

    Raises
    ------
    SystemFaultError
        Where the file is no model, cannot be understood, or does not run.
    """

    kind = "onnx"

    def __init__(
        self,
        path: str,
        sample_rate: int,
        channels: int = 1,
        declared: Declared | None = None,
        *,
        audio_input: str | None = None,
        audio_output: str | None = None,
        states: Mapping[str, str] | None = None,
        constants: Mapping[str, float] | None = None,
        hop: int | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__(path, sample_rate, channels, declared or Declared())
        options = Options(audio_input, audio_output, states or {}, constants or {}, hop, window)
        self._session = _session(path)
        inputs = [Tensor.of(arg) for arg in self._session.get_inputs()]
        outputs = [Tensor.of(arg) for arg in self._session.get_outputs()]
        self.wiring = wire(path, inputs, outputs, options, self.sample_rate, channels)
        self.window_samples = self._window(options)
        self._copies = self._copies_needed()
        kept = self.wiring.states
        self._shape = self._input_shape()
        self._inputs = [tensor.name for tensor in kept]
        self._outputs = [self.wiring.audio_output.name, *(out.name for out in kept.values())]
        self.hop_samples = self._probed_hop(hop)
        if self.declared.hop_samples is None:
            # No more is declared for the user: a window says how far a model may look ahead, not
            # how far it does, and what is declared must agree with what is measured.
            self.declared = replace(self.declared, hop_samples=self.hop_samples)

    def run(self, x: Sound) -> Sound:
        """Process a whole sound from a fresh start, the last hop filled up with zeros."""
        stream, hop, frames = self.streaming(), self.hop_samples, x.shape[1]
        padded = np.pad(x, ((0, 0), (0, -frames % hop)))
        y = np.empty_like(padded)
        for start in range(0, padded.shape[1], hop):
            y[:, start : start + hop] = stream.process(padded[:, start : start + hop])
        return y[:, :frames]

    def streaming(self) -> _Stream:
        """Give a fresh stream, whose blocks are hops."""
        return _Stream(self, self._copies)

    def call(self, sound: Sound, states: Mapping[str, Any]) -> tuple[Sound, dict[str, Any]]:
        """Call the model once.

        Parameters
        ----------
        sound : ndarray
            (channels of the model, window).
        states : mapping of str to ndarray
            As :meth:`zero_states` or the last call gave them.

        Returns
        -------
        sound : ndarray
            (channels of the model, samples), in the model's own shape and type.
        states : dict of str to ndarray
            For the next call.
        """
        given = self.wiring.audio_input
        feeds: dict[str, Any] = {given.name: sound.astype(given.dtype).reshape(self._shape)}
        feeds.update(states, **self.wiring.constants)
        try:
            y, *after = self._session.run(self._outputs, feeds)
        except Exception as error:
            raise SystemFaultError(
                f"{self.name}: does not run with a window of {self.window_samples} samples "
                f"({_reason(error)}); try another --hop and --window"
            ) from error
        return y, dict(zip(self._inputs, after, strict=True))

    def zero_states(self) -> dict[str, Any]:
        """Give the states of a fresh start; open axes have the size 1."""
        return {
            tensor.name: np.zeros([1 if n is None else n for n in tensor.shape], tensor.dtype)
            for tensor in self.wiring.states
        }

    def _window(self, options: Options) -> int:
        """Give the samples of each call: the model's, else what the user says."""
        for option, value in (("--hop", options.hop), ("--window", options.window)):
            if value is not None and value < 1:
                raise SystemFaultError(
                    f"{self.name}: {option} is {value} samples; give at least one sample"
                )
        there = self.wiring.audio_input.shape[self.wiring.time_axis]
        said = options.window or options.hop
        if there is not None and options.window not in (None, there):
            raise SystemFaultError(
                f"{self.name}: takes windows of {there} samples, and --window says "
                f"{options.window}; leave it out"
            )
        window = there or said
        if window is None:
            raise SystemFaultError(
                f"{self.name}: takes any number of samples at a time; say how many with --hop"
            )
        if options.hop is not None and options.hop > window:
            raise SystemFaultError(
                f"{self.name}: takes windows of {window} samples, and --hop says {options.hop}; "
                "give a hop that is no longer"
            )
        return window

    def _input_shape(self) -> list[int]:
        """Give the shape of the sound that goes in: open axes are a batch of one."""
        shape = [size or 1 for size in self.wiring.audio_input.shape]
        shape[self.wiring.time_axis] = self.window_samples
        return shape

    def _copies_needed(self) -> int:
        """Tell how often the model runs for each hop: once for each channel, or once."""
        at_once = sound_channels(self.wiring.audio_input, self.wiring.time_axis)
        return 1 if at_once == self.channels else self.channels

    def _probed_hop(self, said: int | None) -> int:
        """Run the model once on silence: what it gives is its hop, and the states fit."""
        rows = self.channels // self._copies
        states = self.zero_states()
        y, after = self.call(np.zeros((rows, self.window_samples)), states)
        for (name, before), now in zip(states.items(), after.values(), strict=True):
            if before.shape != now.shape:
                raise SystemFaultError(
                    f"{self.name}: its state {name} is {list(before.shape)} before a hop and "
                    f"{list(now.shape)} after it; name the states with --onnx-state IN=OUT"
                )
        hop = y.size // rows
        wanted = said or hop
        likely = said is not None or plausible_hop(hop, self.window_samples)
        if not likely or y.size % rows or hop != wanted or hop > self.window_samples:
            raise SystemFaultError(
                f"{self.name}: gives {y.size} samples of shape {list(y.shape)} for a window of "
                f"{self.window_samples} and a hop of {wanted}; a hop of sound must come out, so "
                "give another --hop, or name the sound with --onnx-input and --onnx-output"
            )
        return hop


class _Stream:
    """One run of a model; meets :class:`rtcore.latency.systems.base.Streaming`."""

    def __init__(self, system: OnnxSystem, copies: int) -> None:
        self.block_samples = system.hop_samples
        self._system = system
        self._states = [system.zero_states() for _ in range(copies)]
        self._window = np.zeros((system.channels, system.window_samples))

    def process(self, x: Sound) -> Sound:
        """Give the next (channels, hop) of output for the next of input."""
        hop = self.block_samples
        if self._window.shape[1] > hop:
            x = self._window = np.concatenate((self._window[:, hop:], x), axis=1)
        rows = len(x) // len(self._states)
        y = np.empty((len(x), hop))
        for copy, states in enumerate(self._states):
            part = slice(copy * rows, (copy + 1) * rows)
            made, self._states[copy] = self._system.call(x[part], states)
            y[part] = made.reshape(rows, hop)
        return y


def _session(path: str) -> Any:
    """Open a model: one thread, which sleeps where it waits, and no log."""
    file = Path(path)
    if not file.is_file():
        folder = file.parent
        known = sorted(p.name for p in folder.glob("*.onnx")) if folder.is_dir() else []
        raise SystemFaultError(
            f"{path}: there is no such model{did_you_mean(file.name, known)}; name an .onnx file"
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise SystemFaultError(
            f"{path}: is no model that ONNX Runtime can load ({_reason(error)}); export it again"
        ) from error


def _reason(error: Exception) -> str:
    """Say in one short line what ONNX Runtime says in many."""
    text = " ".join(str(error).split()).rstrip(".")
    text = text.split(" : ", 3)[-1]  # [ONNXRuntimeError] : 10 : INVALID_GRAPH : what is wrong
    return text if len(text) <= 200 else f"{text[:200]} ..."
