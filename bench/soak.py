# SPDX-License-Identifier: MIT
"""Play hours of hard signals through a model bundle: memory must stay flat, states finite.

Twelve hours of audio by default, through the file backend as fast as the model goes: a minute each
of silence, full-scale noise, full-scale DC, losses only, speech, and two of them in turn. Where no
bundle is named, a small GRU is made (which needs the package onnx). The exit status is 1 where a
hop failed, a state or the output was not finite, or memory grew by more than a megabyte an hour.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _common import table, write_json

from rtcore import Chain
from rtcore.chain.records import Command
from rtcore.engine import Engine, FileBackend
from rtcore.host import find
from rtcore.kernels.context import Flag
from rtcore.synth import speech_like

_MINUTE_S = 60.0
_ROUND_S = 6 * _MINUTE_S  # all signals once
_GROWTH_MIB_H = 1.0
_BANDS, _HIDDEN, _HOP = 161, 48, 160
_MANIFEST = """
id = "soak-gru"
description = "A mask on the spectrum, of a small GRU with weights by chance"
licence = "MIT"
sample_rate = 16000
hop = 160
latency = 160
lookahead = 319
[frame]
window = 320
analysis = "sqrt-hann"
synthesis = "sqrt-hann"
[[stage]]
file = "gru.onnx"
inputs = { x = "log_power", h = { state = "h_out" } }
outputs = { mask = "mask" }
"""


def small_gru(folder: Path) -> Path:
    """Write a bundle of a seeded GRU: log power in, mask out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {
        "w": (1, 3 * _HIDDEN, _BANDS),
        "r": (1, 3 * _HIDDEN, _HIDDEN),
        "b": (1, 6 * _HIDDEN),
        "out": (_HIDDEN, _BANDS),
    }
    weights = [
        numpy_helper.from_array((0.2 * rng.standard_normal(shape)).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    weights.append(numpy_helper.from_array(np.array([1]), "axis"))
    gru = {"hidden_size": _HIDDEN, "linear_before_reset": 1}
    nodes = [
        helper.make_node("GRU", ["x", "w", "r", "b", "", "h"], ["all", "h_out"], **gru),
        helper.make_node("Squeeze", ["all", "axis"], ["flat"]),
        helper.make_node("MatMul", ["flat", "out"], ["weighted"]),
        helper.make_node("Sigmoid", ["weighted"], ["mask"]),
    ]

    def tensor(name: str, size: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size])

    graph = helper.make_graph(
        nodes, "soak", [tensor("x", _BANDS), tensor("h", _HIDDEN)],
        [tensor("mask", _BANDS), tensor("h_out", _HIDDEN)], weights,
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "gru.onnx")
    (folder / "model.toml").write_text(_MANIFEST, "utf-8")
    return folder


def stretches(rate: int, channels: int) -> Iterator[tuple[str, np.ndarray[Any, Any], bool]]:
    """Give a minute of each signal, over and over: its name, sound and whether it is lost."""
    frames = round(_MINUTE_S * rate)
    rng = np.random.default_rng(1)
    speech = speech_like(_MINUTE_S, float(rate)).reshape(-1)[:frames]
    noise = np.sign(rng.standard_normal((channels, frames))).astype(np.float32)
    speech = np.tile(np.asarray(speech, np.float32), (channels, 1))
    while True:
        yield "silence", np.zeros_like(noise), False
        yield "full-scale noise", noise, False
        yield "full-scale DC", np.ones_like(noise), False
        yield "all lost", np.zeros_like(noise), True
        yield "speech", speech, False
        half = frames // 2
        yield "alternating", np.concatenate([noise[:, :half], speech[:, half:]], axis=1), False


def resident_mib() -> float:
    """Give the memory that the process holds now; the most it ever held where that is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20
    return pages * resource.getpagesize() / 2**20


class Watch:
    """The recording that nobody keeps: looks at all that comes, and now and then at the states."""

    def __init__(self, chain: Chain) -> None:
        self._rate, self._model = chain.sample_rate, chain.nodes[0].node
        self._frames, self._next = 0, 0
        self.peak, self.bad = 0.0, 0
        self.memory: list[float] = []

    def write(self, samples: np.ndarray[Any, Any]) -> None:
        """Take (channels, frames)."""
        self._frames += samples.shape[1]
        self.peak = max(self.peak, float(np.abs(samples).max()))
        if self._frames >= self._next:
            self._next += round(_ROUND_S * self._rate)
            self.bad += int(not np.isfinite(self._model.buffer("memory")).all())
            self.memory.append(resident_mib())
            hours, memory = self._frames / self._rate / 3600.0, self.memory[-1]
            print(f"{hours:6.2f} h  {memory:7.1f} MiB  peak {self.peak:.3g}", flush=True)


def played(chain: Chain, hours: float) -> Iterator[np.ndarray[Any, Any]]:
    """Give the sound of all stretches, and queue the marks of those that are lost."""
    rate = round(chain.sample_rate)
    left, at, before = round(hours * 3600.0 * rate), 0, False
    for _name, x, lost in stretches(rate, chain.channels_in):
        if lost != before:
            flags = int(Flag.LOST) if lost else 0
            say = {"event": "flags", "flags": flags}
            chain.stream.send(Command.FLAGS, flags, at_frame=at, say=say)
        before = lost
        for start in range(0, min(left, x.shape[1]), rate):
            yield x[:, start : min(start + rate, left)]
        left, at = left - x.shape[1], at + x.shape[1]
        if left <= 0:
            return


def soak(chain: Chain, hours: float) -> dict[str, Any]:
    """Play through the file backend, and count what goes wrong."""
    model, watch, began = chain.nodes[0].node, Watch(chain), time.monotonic()
    with Engine(chain, FileBackend(played(chain, hours)), output=watch) as engine:
        engine.wait()
    stats = engine.stats()
    # The first round fills caches; from then on nothing may grow.
    settled = watch.memory[1:] or watch.memory
    grown = (settled[-1] - settled[0]) / max(stats["seconds"] / 3600.0, 1e-9)
    faults = getattr(model.plugin, "faults", {"hops": 0})
    return {
        "hours": stats["seconds"] / 3600.0,
        "times real time": stats["seconds"] / (time.monotonic() - began),
        "peak": watch.peak,
        "not finite": watch.bad + sum(step["faults"] for step in chain.stats()),
        "failed hops": faults["hops"],
        "first MiB": settled[0],
        "last MiB": settled[-1],
        "growth MiB/h": grown,
    }


def main() -> int:
    """Soak, print, write, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", nargs="?", help="its name or folder; a small GRU by default")
    parser.add_argument("--hours", type=float, default=12.0, help="of audio (%(default)s)")
    parser.add_argument("--rate", type=int, help="of the stream, in Hz; the model's by default")
    parser.add_argument("--channels", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        from rtcore.models import find_bundle

        bundle = find_bundle(options.bundle or str(small_gru(Path(folder))))
        chain = Chain(
            [find("model")(bundle=str(bundle.folder))],
            sample_rate=options.rate or bundle.manifest.sample_rate,
            channels=options.channels,
        )
        found = {"bundle": bundle.manifest.id, **soak(chain, options.hours)}
    table([{k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}], "soak")
    write_json(options.json, {"shows": (__doc__ or "").splitlines()[0], "rows": [found]})
    long_enough = found["hours"] >= 0.5  # growth says nothing after minutes
    grows = long_enough and found["growth MiB/h"] > _GROWTH_MIB_H
    wrong = found["not finite"] or found["failed hops"] or grows
    if wrong:
        print(f"not clean: {json.dumps(found)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
