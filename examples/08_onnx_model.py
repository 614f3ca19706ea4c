# SPDX-License-Identifier: MIT
"""Play through a streaming ONNX model: a bundle of yours, or a small spectral gate made here."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from rtcore import Chain, Engine
from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.plugins import Model
from rtcore.synth import speech_like

MANIFEST = """id = "gate"
description = "Take away what is quieter than a threshold, bin by bin"
licence = "MIT"
sample_rate = 16000
hop = 256
latency = 256
lookahead = 511
frame = { window = 512, analysis = "sqrt-hann", synthesis = "sqrt-hann" }
parameters = { threshold = { default = 0.1, min = 0.0, max = 100.0 } }
[[stage]]
file = "gate.onnx"
inputs = { magnitude = "magnitude", threshold = { parameter = "threshold" } }
outputs = { mask = "mask" }
"""


def make_bundle(folder: Path) -> Path:
    """Write a model of two operators, and its manifest."""
    from onnx import TensorProto, parser, save

    text = """<ir_version: 8, opset_import: ["" : 17]>
    gate (float[1, 257] magnitude, float[1] threshold) => (float[1, 257] mask) {
        loud = Greater (magnitude, threshold)
        mask = Cast <to = %d> (loud)
    }"""
    save(parser.parse_model(text % TensorProto.FLOAT), folder / "gate.onnx")
    (folder / "model.toml").write_text(MANIFEST, "utf-8")
    return folder


def backend_for(name: str, source: np.ndarray) -> Backend:
    """Choose a device; where there is none, the timer plays a sound of our own."""
    devices = {"jack": JackBackend, "portaudio": PortAudioBackend}
    return devices[name]() if name in devices else TimerBackend(source)


def main() -> None:
    """Play, and tell what it cost and whether the model failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-l", "--list-devices", action="store_true", help="list them and leave")
    parser.add_argument("--backend", choices=("portaudio", "jack", "timer"), default="timer")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to play")
    parser.add_argument("--bundle", help="its name or folder")
    given = parser.parse_args()
    if given.list_devices:
        parser.exit(message="\n".join(f"{d.index} {d.full_name}" for d in list_devices()) + "\n")
    backend = backend_for(given.backend, speech_like(given.seconds, 48000))
    rate = backend.sample_rate() or 48000.0
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = Model(bundle=given.bundle or str(make_bundle(Path(folder))))
            chain = Chain([model], sample_rate=rate, channels=2)
        except ImportError:
            parser.exit(message="name a --bundle, or make one here: pip install onnx\n")
    print(f"latency {1e3 * chain.latency_s:.1f} ms at {rate:g} Hz")
    with Engine(chain, backend, on_message=print) as engine:
        engine.wait(given.seconds)
    print(f"hops that failed: {chain.nodes[0].node.plugin.faults['hops']}")


main()
