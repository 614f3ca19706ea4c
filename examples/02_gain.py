# SPDX-License-Identifier: MIT
"""Write a processor, play it, and turn its parameter while it plays.

A live parameter moves along a ramp (20 ms here), so that turning it never clicks.
"""

from __future__ import annotations

import argparse

import numpy as np

from rtcore import Chain, Engine, Param, Plugin, kernel
from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.parameters import db_to_amplitude
from rtcore.synth import speech_like


class Louder(Plugin):
    """Make the sound louder or softer."""

    id = "louder"
    gain_db = Param(
        0.0, min=-60.0, max=20.0, smoothing_s=0.02, kernel_name="gain", convert=db_to_amplitude
    )

    @kernel
    def process(x, y, gain):  # noqa: ANN001, ANN201, N805, D102 - a kernel
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = gain[i] * x[c, i]


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
    """Play, with the gain going down in four steps."""
    given = arguments()
    backend = backend_for(given.backend, speech_like(given.seconds, 48000))
    chain = Chain([Louder()], sample_rate=backend.sample_rate() or 48000.0, channels=2)
    with Engine(chain, backend, on_message=print) as engine:
        for gain_db in (0.0, -6.0, -12.0, -18.0):
            engine.update("louder", gain_db=gain_db)
            engine.wait(given.seconds / 4)
            peaks = [level["recent_peak_dbfs"] for level in engine.stats()["output"]]
            print(f"gain {gain_db:g} dB: output peaks {peaks} dBFS")


main()
