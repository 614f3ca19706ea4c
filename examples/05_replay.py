# SPDX-License-Identifier: MIT
"""Turn parameters while it plays, then play the same session again from its log.

The log holds each change with the frame at which it took effect, so the offline copy is equal.
On a device the safety stage fades the sound in; these samples differ, as they should.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from rtcore import Chain, Engine
from rtcore.engine import JackBackend, Memory, PortAudioBackend, TimerBackend
from rtcore.engine.backends.base import Backend
from rtcore.engine.backends.devices import list_devices
from rtcore.offline import stream_blocks
from rtcore.plugins import Delay, Gain
from rtcore.replay import read_session
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


def play(given: argparse.Namespace, log: Path) -> tuple[np.ndarray, np.ndarray]:
    """Play a session with a few changes; give what came in and what went out."""
    speech = speech_like(given.seconds, 48000).astype(np.float32)
    backend = backend_for(given.backend, speech)
    chain = Chain([Gain(), Delay()], sample_rate=backend.sample_rate() or 48000.0, channels=2)
    heard, played = Memory(), Memory()
    records = {"recorded_input": heard, "output": played, "log": log}
    with Engine(chain, backend, **records) as engine:
        for gain_db in (-3.0, -9.0, 0.0):
            engine.wait(given.seconds / 4)
            engine.update("gain", gain_db=gain_db)
        engine.wait(given.seconds / 4)
    return heard.samples, played.samples


def main() -> None:
    """Play live, then offline."""
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        heard, played = play(given, Path(folder) / "session.jsonl")
        session = read_session(Path(folder) / "session.jsonl")
    chain = session.config.build()
    again = np.concatenate(list(stream_blocks(chain, [heard], tail=False, log=session)), axis=1)
    count = min(again.shape[1], played.shape[1])
    different = int(np.count_nonzero(again[:, :count] != played[:, :count]))
    print(f"{len(session.actions)} changes, {count} frames, {different} samples differ")


main()
