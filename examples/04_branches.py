# SPDX-License-Identifier: MIT
"""Mix the dry sound with a compressed one, then treat the two ears differently.

Branches are aligned in time by what their plugins declare, so nothing combs.
"""

from __future__ import annotations

import argparse

import numpy as np

from rtcore import Chain, Engine, Parallel, PerEar
from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.plugins import NALR, Compressor, Gain, Limiter
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
    """Play, and show where the latency comes from."""
    given = arguments()
    backend = backend_for(given.backend, speech_like(given.seconds, 48000))
    dry_and_loud = Parallel([], [Compressor(threshold=0.01), Limiter()], gains_db=[0.0, -6.0])
    ears = PerEar(left=[NALR(audiogram="N2", ear="left")], right=[Gain(gain_db=-3.0)])
    rate = backend.sample_rate() or 48000.0
    chain = Chain([dry_and_loud, ears, Limiter()], sample_rate=rate, channels=2)
    for placed in chain.nodes:
        print(f"{placed.path}: {placed.node.latency_frames} frames")
    print(f"the whole chain: {chain.latency_frames} frames")
    with Engine(chain, backend, on_message=print) as engine:
        engine.wait(given.seconds)
    for plugin in engine.stats()["plugins"]:
        print(f"{plugin['place']}: p50 {1e3 * plugin['busy_ms']['p50']:.1f} us a block")


main()
