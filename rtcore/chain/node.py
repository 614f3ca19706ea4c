# SPDX-License-Identifier: MIT
"""The native memory of one prepared plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.chain.arena import Arena
from rtcore.chain.asking import ask_attached, ask_hop, ask_prepared, ask_sides
from rtcore.chain.placement import allowance_frames, runs_on_worker
from rtcore.chain.reblock import minimum_delay_frames, reblock_address, reblock_fill, reblock_pieces
from rtcore.chain.sides import Slot
from rtcore.errors import PluginError
from rtcore.kernels.context import ABI_VERSION, CONTROL, HEADER, SIDE
from rtcore.kernels.histogram import Histogram
from rtcore.plugin import Plugin, Prepared, Spec

if TYPE_CHECKING:
    from rtcore.chain.worker import Worker

_MUTE_S = 0.005


def state_record(plugin: type[Plugin], real: np.dtype[Any]) -> np.dtype[Any]:
    """Lay out a plugin's state record for one real type."""
    fields: list[tuple[str, str]] = list(HEADER)
    for name, (_, ndim) in plugin.buffer_types().items():
        fields += [(name, "u8"), *((f"{name}_{k}", "i8") for k in range(ndim))]
    for name, kind in plugin.state.items():
        fields.append((name, real.str if kind == "real" else kind))
    return np.dtype(fields, align=True)


class Node:
    """A plugin, prepared for a stream.

    Parameters
    ----------
    plugin : Plugin
        Copied; the caller's object is left alone.
    spec : Spec
        The stream it will run in.
    block_frames : int
        Every block is a multiple of this; matters to plugins with a hop.
    """

    def __init__(self, plugin: Plugin, spec: Spec, block_frames: int = 1) -> None:
        self.plugin = plugin.copy()
        self.spec = spec
        self.hop_frames = hop = ask_hop(self.plugin, spec)
        inner = replace(spec, max_frames=hop) if hop else spec
        prepared = ask_prepared(self.plugin, inner)
        self.reblock_frames = minimum_delay_frames(hop, block_frames) if hop else 0
        apart = runs_on_worker(self.plugin, hop)
        allowance = allowance_frames(self.plugin, spec, hop, block_frames) if apart and hop else 0
        self.reblock_frames += allowance
        self.latency_frames = int(prepared.latency_frames) + self.reblock_frames
        # How long a worker has nothing to give when it begins to play, in whole blocks.
        self.warm_frames = -(-self.latency_frames // block_frames) * block_frames if apart else 0
        self.lookahead_frames = int(prepared.lookahead_frames)
        self.tail_frames = int(prepared.tail_frames) + self.reblock_frames
        self.channels_in = spec.channels
        self.channels_out = int(
            spec.channels if prepared.channels_out is None else prepared.channels_out
        )
        self.histogram = Histogram()
        self.sides = ask_sides(self.plugin, spec)
        self.side_views = np.zeros(max(1, len(self.sides)), SIDE)
        self.slots: dict[str, Slot] = {}  # what feeds them
        self.take_from({name: Slot(name, declared, spec) for name, declared in self.sides.items()})
        self.last = np.zeros(self.channels_out, spec.dtype)
        self.controls, self._ramps = self._make_controls(inner.max_frames)
        self.worker: Worker | None = None
        self._build(prepared, inner.max_frames, None if apart else hop)
        self.played, self.pristine = self.arena, self.arena.memory.copy()
        if apart and hop:
            self._give_to_worker(hop, allowance)

    def _build(self, prepared: Prepared, most_frames: int, hop: int | None) -> None:
        cls, real = type(self.plugin), self.spec.dtype
        record = state_record(cls, real)
        arrays = self._arrays(prepared)
        per_frame = {p.kernel_name or name: p.smoothing_s > 0 for name, p in cls.params.items()}
        self.address = cls.process.address(real, record, cls.buffer_types(), per_frame)
        pieces = {
            "record": (record, (1,)),
            **{f"buffer {n}": (a.dtype, a.shape) for n, a in arrays.items()},
        }
        if hop:
            channels = (self.channels_in, self.channels_out)
            pieces |= reblock_pieces(hop, self.reblock_frames, channels, self.spec.max_frames, real)
        self.arena = Arena(pieces)
        self.record = self.arena["record"]
        for name, value in prepared.state.items():
            self._set_scalar(name, value, "prepare")
        for name, array in arrays.items():
            place = self.arena[f"buffer {name}"]
            place[...] = array
            self.record[name] = place.ctypes.data
            for k, length in enumerate(array.shape):
                self.record[f"{name}_{k}"] = length
        self.record["rt_abi_version"] = ABI_VERSION
        self.record["rt_channels_in"] = self.channels_in
        self.record["rt_channels_out"] = self.channels_out
        self.record["rt_max_frames"] = most_frames
        self.record["rt_controls"] = self.controls.ctypes.data
        self.state_address = self.record.ctypes.data
        if hop:
            outer = reblock_fill(
                self.arena,
                self.address,
                self.state_address,
                self.reblock_frames,
                self.spec.max_frames,
            )
            self.address, self.state_address = reblock_address(real), outer.ctypes.data
        self._attach(arrays)

    def _give_to_worker(self, hop: int, allowance: int) -> None:
        """Put a worker between the chain and what was built."""
        from rtcore.chain.worker import Processor, Worker  # to load it takes a while

        controls, ramps = self._make_controls(hop)
        self.record["rt_controls"] = controls.ctypes.data
        processor = Processor(
            plugin=self.plugin,
            spec=self.spec,
            hop=hop,
            channels=(self.channels_in, self.channels_out),
            fn=self.address,
            state=self.state_address,
            arena=self.arena,
            pristine=self.arena.memory.copy(),
            aimed=self.controls,
            controls=controls,
            keep=(ramps, self.keep),
            sides=tuple(declared.width for declared in self.sides.values()),
        )
        self.worker = Worker(
            processor,
            delay_frames=self.reblock_frames,
            latency_frames=self.latency_frames,
            allowance=allowance,
        )
        self.address, self.state_address = self.worker.address, self.worker.state_address
        self.played, self.pristine = self.worker.arena, self.worker.pristine

    def _attach(self, names: Iterable[str]) -> None:
        """Let the plugin hand the addresses of its buffers to code of its own."""
        attached = ask_attached(self.plugin, {name: self.buffer(name) for name in names})
        self.keep = attached.keep  # what the addresses in the state point to lives as we do
        for name, value in attached.state.items():
            self._set_scalar(name, value, "attach")

    def _set_scalar(self, name: str, value: Any, method: str) -> None:
        if name not in type(self.plugin).state:
            msg = (
                f"plugin '{self.plugin.id}': {method}() gives state '{name}', which the "
                "class does not declare"
            )
            raise PluginError(msg)
        try:
            number = np.asarray(value)
            if number.ndim or number.dtype.kind not in "biuf":
                raise TypeError
            self.record[name] = value
        except (TypeError, ValueError, OverflowError):
            kind = type(self.plugin).state[name]
            msg = (
                f"plugin '{self.plugin.id}': {method}() gives state '{name}' the value {value!r}; "
                f"it is declared as one number of type {kind!r}"
            )
            raise PluginError(msg) from None

    def _arrays(self, prepared: Prepared) -> dict[str, np.ndarray[Any, Any]]:
        """Bring the plugin's buffers to their declared types."""
        declared = type(self.plugin).buffer_types()
        wrong = set(declared) ^ set(prepared.buffers)
        if wrong:
            msg = (
                f"plugin '{self.plugin.id}': prepare() must give the declared buffers "
                f"({', '.join(declared) or 'none'}), got {', '.join(prepared.buffers) or 'none'}"
            )
            raise PluginError(msg)
        found = {}
        for name, (kind, ndim) in declared.items():
            try:
                array = np.array(
                    prepared.buffers[name], self.spec.dtype if kind == "real" else kind, order="C"
                )
            except (TypeError, ValueError, OverflowError) as error:
                msg = (
                    f"plugin '{self.plugin.id}': prepare() gives buffer '{name}' what is no array "
                    f"of {kind} ({error}); give a rectangular array of numbers"
                )
                raise PluginError(msg) from None
            if array.ndim != ndim:
                msg = (
                    f"plugin '{self.plugin.id}': buffer {name} has {array.ndim} "
                    f"dimensions, declared are {ndim}"
                )
                raise PluginError(msg)
            found[name] = array
        return found

    def _make_controls(
        self, max_frames: int
    ) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
        params = type(self.plugin).params
        controls = np.zeros(max(1, len(params)), CONTROL)
        ramps = []
        for slot, (name, param) in enumerate(params.items()):
            frames = max(1, self.spec.frames(param.smoothing_s)) if param.smoothing_s > 0 else 0
            values = np.zeros(max_frames if frames else 1, self.spec.dtype)
            ramps.append(values)
            controls[slot]["target"] = self.kernel_value(name)
            controls[slot]["ramp_frames"] = frames
            controls[slot]["capacity"] = values.size
            controls[slot]["values"] = values.ctypes.data
        return controls, ramps

    def kernel_value(self, name: str) -> float:
        """Give a parameter's value as the kernel gets it."""
        value = self.plugin.values[name]
        return type(self.plugin).params[name].in_kernel(value, self.spec.sample_rate)

    def slot(self, name: str) -> int:
        """Give the place of a live parameter among the controls."""
        return list(type(self.plugin).params).index(name)

    def fill_step(self, step: Any) -> None:
        """Write this node's part of a STEP record."""
        step["fn"] = self.address
        step["state"] = self.state_address
        step["memory"] = self.played.memory.ctypes.data
        step["controls"] = self.controls.ctypes.data
        step["pristine"] = self.pristine.ctypes.data
        step["memory_bytes"] = self.played.memory.nbytes
        step["control_count"] = len(type(self.plugin).params)
        step["channels_in"] = self.channels_in
        step["channels_out"] = self.channels_out
        step["last"] = self.last.ctypes.data
        step["mute_frames"] = max(1, self.spec.frames(_MUTE_S))
        step["histogram"] = self.histogram.address
        step["warm_frames"] = self.warm_frames
        step["side_count"] = len(self.sides)
        step["side"] = self.side_views.ctypes.data

    def take_from(self, slots: Mapping[str, Slot]) -> None:
        """Let the side inputs be read from these places; they live as long as this node."""
        self.slots = {**self.slots, **slots}
        for view, name in zip(self.side_views, self.sides, strict=False):
            view["values"] = self.slots[name].values.ctypes.data
            view["width"] = self.slots[name].values.size

    def buffer(self, name: str) -> np.ndarray[Any, Any]:
        """Give one of the plugin's buffers as it is now: a view, which compiled code may change."""
        return self.arena[f"buffer {name}"]

    @property
    def subnormals(self) -> int:
        """Count subnormal numbers in the buffers of the stream's real type and in real scalars."""
        real = self.spec.dtype
        values = [
            np.asarray(self.record[n]).reshape(-1)
            for n, k in type(self.plugin).state.items()
            if k == "real"
        ]
        kinds = type(self.plugin).buffer_types()
        values += [
            self.arena[f"buffer {name}"].reshape(-1)
            for name, (kind, _) in kinds.items()
            if kind == "real"
        ]
        tiny = np.finfo(real).tiny
        return int(sum(np.count_nonzero((v != 0) & (np.abs(v) < tiny)) for v in values))
