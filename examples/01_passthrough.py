# SPDX-License-Identifier: MIT
"""Hand the sound from the microphone to the headphones, and count what happens.

The chain is empty: what is left is the latency of the devices, and the safety stage.
"""

from __future__ import annotations

import argparse

import numpy as np

from rtcore import Chain, Engine
from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
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
    """Play, then print the counts."""
    given = arguments()
    backend = backend_for(given.backend, speech_like(given.seconds, 48000))
    chain = Chain([], sample_rate=backend.sample_rate() or 48000.0, channels=2)
    with Engine(chain, backend, on_message=print) as engine:
        engine.wait(given.seconds)
    stats = engine.stats()
    print(f"backend {stats['backend']}: {stats['blocks']} blocks, {stats['late']['total']} late")
    print(f"device latency: {stats['latency']['device_frames'] or 'none'}")
    print(f"input peaks: {[level['peak_dbfs'] for level in stats['input']]} dBFS")


main()
