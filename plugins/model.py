# SPDX-License-Identifier: MIT
"""Streaming ONNX models, frame by frame, from bundles that need no code.

Whatever a model needs is declared in its ``model.toml`` (see :mod:`rtcore.onnx.manifest`).  A model
of another sample rate, or of fewer channels, runs in any stream: the sound is resampled around
it, and it runs once for each group of channels with states of its own.

A hop of which a run returns an error, or gives NaN or Inf, is replaced by the dry sound at the
same latency, and the model begins again; see :mod:`rtcore.onnx.guard` and :attr:`Model.faults`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rtcore import Attached, ParameterError, Plugin, Prepared, Setting, SideInput, Spec, kernel
from rtcore.dsp.fft import fft_tables
from rtcore.dsp.foresight import foresight_memory
from rtcore.models import Bundle, find_bundle
from rtcore.onnx.apart import TABLES, addresses, fill_tables
from rtcore.onnx.guard import FAULTS, NOT_FINITE, guard_buffers
from rtcore.onnx.hop import play_hop
from rtcore.onnx.rates import RatePlan, plan_rates
from rtcore.onnx.runner import LoadedBundle


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"must be a table of names to numbers, got {value!r}")
    return dict(value)


def _name(value: str) -> str:
    if not value:
        raise ValueError("is empty; name a model bundle (see `rtcore models list`)")
    return value


class Model(Plugin):
    """Run a streaming ONNX model, such as a denoiser, from a bundle."""

    id = "model"
    bundle = Setting(
        "",
        type=str,
        validate=_name,
        required=True,
        doc="the name of a model bundle, its folder, or its model.toml",
    )
    parameters = Setting({}, validate=_table, doc="values of the bundle's parameters, by name")
    placement = Setting(
        "inline", choices=("inline", "worker"), doc="in the audio thread, or on a worker's"
    )
    worker_allowance_s = Setting(None, doc="how much later a worker's output is; one hop if None")
    worker_late = Setting(
        "conceal", choices=("conceal", "dry", "silence"), doc="what is heard where it is late"
    )
    state = {
        "filled": "i8",  # samples gathered towards the model's next hop
        "held": "i8",  # samples that are ready
        "read": "i8",  # the oldest of them
        "heard_flags": "i8",
        "down_in": "i8",  # frames of the stream for one phase; 0: the rates are equal
        "down_out": "i8",
        "zeros": "i8",  # whether hops of zeros count as lost
        "flagged": "i8",  # whether any of the samples gathered so far never came
    }
    buffers = {
        "program": "i8[:, :]",
        "memory": "f4[:, :]",
        "places": "i8[:, :]",
        "calls": "u8[:, :, :]",
        "parity": "i8[:, :]",
        "apart": "u8[:]",
        "tables": "u8[:, :]",
        "lost": "f4[:]",
        "foreseen": "f8[:, :, :]",
        "fed": "f4[:]",
        "gathered": "f4[:, :]",
        "ready": "f4[:, :]",
        "arrived": "f4[:, :]",
        "leaving": "f4[:, :]",
        "taps_in": "f4[:, :]",
        "past_in": "f4[:, :]",
        "taps_out": "f4[:, :]",
        "past_out": "f4[:, :]",
        "fft_factors": "i8[:]",
        "fft_cos": "f8[:]",
        "fft_sin": "f8[:]",
        "fft_work": "f8[:, :]",
        "fft_scratch": "f8[:, :]",
        "initial": "f4[:]",
        "checked": "i8[:, :]",
        "guard": "i8[:, :]",
        "faults": "i8[:]",
        "limits": "i8[:]",
        "dry": "f4[:, :]",
        "offset": "f4[:, :]",
        "came": "real[:, :]",
        "shares": "f8[:]",
        "kept": "i8[:]",
    }

    @property
    def conceals(self) -> bool:
        """Whether the bundle fills packets that never came."""
        return find_bundle(self.bundle).manifest.concealment

    def hop(self, spec: Spec) -> int:
        """Give the stream's frames of a hop."""
        return self._plan(spec).frames

    def sides(self, spec: Spec) -> dict[str, SideInput]:
        """Give the bundle's side inputs; all channels are given the same vectors."""
        return {name: side.declared() for name, side in self._found(spec).manifest.sides.items()}

    def _found(self, spec: Spec) -> Bundle:
        """Find the bundle for a stream."""
        del spec
        return find_bundle(self.bundle)

    def _open(self, spec: Spec) -> LoadedBundle:
        """Open the models."""
        return LoadedBundle(self._found(spec), self.parameters)

    def _plan(self, spec: Spec) -> RatePlan:
        manifest = self._found(spec).manifest
        if spec.sample_rate != int(spec.sample_rate):
            what = f"cannot run in a stream of {spec.sample_rate} Hz; use a whole number of Hz"
            raise ParameterError("bundle", f"{manifest.id} {what}")
        return plan_rates(int(spec.sample_rate), manifest.sample_rate, manifest.hop)

    def prepare(self, spec: Spec) -> Prepared:
        """Open the models and lay out their memory."""
        loaded = self._loaded = self._open(spec)
        plan, manifest, program = self._plan(spec), loaded.bundle.manifest, loaded.program
        each = manifest.channels
        if spec.channels % each:
            what = (
                f"{manifest.id} takes {each} channels at a time and the stream has {spec.channels}"
            )
            raise ParameterError("bundle", f"{what}; give a multiple of {each}")
        behind = (plan.delay_samples + manifest.latency) * plan.ratio + plan.filter_frames
        latency = round(behind)
        tail = manifest.latency if manifest.tail is None else manifest.tail
        ahead = manifest.lookahead * plan.ratio + plan.filter_frames
        return Prepared(
            latency_frames=latency,
            lookahead_frames=math.ceil(ahead),
            tail_frames=math.ceil(
                behind + (tail - manifest.latency) * plan.ratio + plan.filter_frames
            ),
            state={
                "held": plan.delay_samples,
                "heard_flags": program.heard_flags,
                "down_in": plan.down.down if plan.down else 0,
                "down_out": plan.up.down if plan.up else 0,
            },
            buffers=self._buffers(plan, spec.channels, spec.channels // each),
        )

    def _buffers(self, plan: RatePlan, channels: int, instances: int) -> dict[str, Any]:
        program, manifest = self._loaded.program, self._loaded.bundle.manifest
        none = np.zeros((0, 0))
        down, up = plan.down, plan.up
        return {
            "program": program.steps,
            "memory": np.tile(program.memory, (instances, 1)),
            "places": np.array(
                [
                    [place.at for place in side]
                    for side in (program.entry, program.exit, program.known)
                ]
            ),
            "calls": np.zeros((instances, len(manifest.stage), 2), np.uint64),
            "parity": np.zeros((instances, len(manifest.stage)), np.int64),
            "apart": addresses(program.steps),
            "tables": np.zeros((instances, TABLES.itemsize // 8), np.uint64),
            "lost": np.zeros(program.flags),
            "foreseen": self._foreseen(instances),
            "fed": np.zeros(sum(side.width for side in manifest.sides.values())),
            "gathered": np.zeros((channels, manifest.hop)),
            "ready": np.zeros((channels, plan.delay_samples + plan.samples + 2 * manifest.hop)),
            "arrived": np.zeros((channels, plan.samples)),
            "leaving": np.zeros((channels, plan.samples)),
            "taps_in": down.taps if down else none,
            "past_in": down.history(channels, plan.frames) if down else none,
            "taps_out": up.taps if up else none,
            "past_out": up.history(channels, plan.samples) if up else none,
            "fft_scratch": np.zeros((3, manifest.window)),
            **fft_tables(manifest.window if manifest.spectral else 2),
            **guard_buffers(manifest, program, channels),
            "came": none,
            "shares": np.zeros(0),
            "kept": np.zeros(0, np.int64),
        }

    def _foreseen(self, instances: int) -> np.ndarray:
        """Give the memories of models that foresee; without, one without any room."""
        manifest = self._loaded.bundle.manifest
        if not manifest.frame.foresight:
            return np.zeros((instances, 0, 0))
        one = foresight_memory(manifest.sample_rate, manifest.channels)
        return np.tile(one, (instances, 1, 1))

    def attach(self, buffers: Mapping[str, np.ndarray]) -> Attached:
        """Bind the models to the memory."""
        bindings = self._loaded.bind(buffers["memory"])
        for instance, stages in enumerate(bindings):
            for stage, pair in enumerate(stages):
                buffers["calls"][instance, stage] = [one.call_address for one in pair]
        fill_tables(buffers)
        self._bindings = [one for stages in bindings for pair in stages for one in pair]
        self._counts, self._memory = buffers["faults"], buffers["memory"]
        return Attached(keep=(self._loaded, bindings))

    @property
    def controls(self) -> dict[str, np.ndarray]:
        """The newest numbers that the models give to look at, of the plugin that a chain plays.

        ``chain.nodes[0].node.plugin.controls``: by name, arrays of shape (instances, ...).
        """
        return {
            name: np.stack([placed.view(row).copy() for row in self._memory])
            for name, placed in self._loaded.program.controls.items()
        }

    @property
    def faults(self) -> dict[str, Any]:
        """What went wrong since the last reset, of the plugin that a chain plays.

        ``chain.nodes[0].node.plugin.faults``: ``hops`` that were replaced because the model
        failed, how many of them were ``not_finite``, and the first ``reason`` of a run, or None.
        """
        reasons = [one.error for one in self._bindings if one.error is not None]
        return {
            "hops": int(self._counts[FAULTS]),
            "not_finite": int(self._counts[NOT_FINITE]),
            "reason": reasons[0] if reasons else None,
        }

    def failures(self) -> tuple[int, str]:
        """Tell how many hops were replaced since the last reset, and why first."""
        faults = self.faults
        return faults["hops"], faults["reason"] or "the model gave NaN or Inf"

    process = kernel(play_hop)
