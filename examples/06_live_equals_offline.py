# SPDX-License-Identifier: MIT
"""Play a chain file live and offline, and compare every sample.

Live and offline run the same compiled code, so the two outputs are equal bit for bit.
On a device the safety stage fades the sound in; these samples differ, as they should.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rtcore import Chain, Engine
from rtcore.engine import JackBackend, Memory, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.synth import speech_like


def arguments() -> argparse.Namespace:
    """Read the command line that all examples have."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-l", "--list-devices", action="store_true", help="list them and leave")
    parser.add_argument("--backend", choices=("auto", "portaudio", "jack", "timer"), default="auto")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to play")
    given = parser.parse_args()
    if given.list_devices:
        parser.exit(message="\n".join(f"{d.index} {d.full_name}" for d in list_devices()) + "\n")
    return given


def backend_for(name: str, source: np.ndarray) -> Backend:
    """Choose a device; where there is none, the timer plays a sound of our own."""
    if name == "jack":
        return JackBackend()
    if name == "portaudio" or (name == "auto" and list_devices()):
        return PortAudioBackend()
    return TimerBackend(source)


def main() -> None:
    """Play the hearing aid of CEC2, and compare."""
    given = arguments()
    speech = speech_like(given.seconds, 44100).astype(np.float32)
    backend = backend_for(given.backend, speech)
    path = Path(__file__).parent / "chains" / "cec2.toml"
    stream = {"dtype": "float32", "sample_rate": backend.sample_rate() or 44100.0}
    chain = Chain.from_toml(path, **stream)
    heard, played = Memory(), Memory()
    records = {"recorded_input": heard, "output": played}
    with Engine(chain, backend, **records) as engine:
        engine.wait(given.seconds)
    offline = Chain.from_toml(path, **stream).render(heard.samples)
    count = min(offline.shape[1], played.samples.shape[1])
    different = int(np.count_nonzero(offline[:, :count] != played.samples[:, :count]))
    stats = engine.stats()
    print(f"{stats['blocks']} blocks live on {stats['backend']}, {stats['late']['total']} late")
    print(f"{count} frames of {chain.channels_out} channels: {different} samples differ")


main()
