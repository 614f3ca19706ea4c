# SPDX-License-Identifier: MIT
"""Fit a hearing aid to an audiogram: NAL-R gain, the CEC2 compressor, a limiter.

The output is measured: insertion gain in third-octave bands against the prescription.
"""

from __future__ import annotations

import argparse

import numpy as np

from rtcore import Chain, Engine, Listener
from rtcore.engine import JackBackend, Memory, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.hearing import OCTAVES_HZ, gain_per_octave, standard_audiogram
from rtcore.hearing.insertion import insertion_gain_db
from rtcore.presets import hearing_aid
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
    """Play for N3, a moderate loss, and measure what came out."""
    given = arguments()
    speech = speech_like(given.seconds, 48000).astype(np.float32)
    backend = backend_for(given.backend, speech)
    rate = backend.sample_rate() or 48000.0
    ear = standard_audiogram("N3")
    aid = hearing_aid(Listener.both(ear), sample_rate=rate, channels=2)
    chain = Chain(aid, sample_rate=rate, channels=2)
    heard, played = Memory(), Memory()
    with Engine(chain, backend, recorded_input=heard, output=played, on_message=print) as engine:
        engine.wait(given.seconds)
    print(f"latency of the chain: {1e3 * chain.latency_s:.2f} ms")
    gains = insertion_gain_db(heard.samples[0], played.samples[0], rate, OCTAVES_HZ)
    for frequency, prescribed in gain_per_octave(ear).items():
        if frequency in gains:
            print(f"{frequency:5g} Hz: {gains[frequency]:5.1f} dB, prescribed {prescribed:4.1f} dB")


main()
