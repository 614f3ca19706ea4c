# SPDX-License-Identifier: MIT
"""Push packets one by one, some of which never came, and hear no gaps.

This is how a receiver of internet telephony uses rtcore: one call for each 20 ms, with the packet
or with None. How far the result is from what was sent is told for three ways of concealment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rtcore import Concealer
from rtcore.audiofile import write
from rtcore.engine.backends.devices import list_devices
from rtcore.synth import speech_like

RATE, PACKET = 16000, 320


def arguments() -> argparse.Namespace:
    """Read the command line; that of all examples, though this one plays no sound itself."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-l", "--list-devices", action="store_true", help="list them and leave")
    parser.add_argument("--backend", choices=("auto", "portaudio", "jack", "timer"), default="auto")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the call")
    parser.add_argument("--out", type=Path, help="a folder for what was sent and what is heard")
    given = parser.parse_args()
    if given.list_devices:
        parser.exit(message="\n".join(f"{d.index} {d.full_name}" for d in list_devices()) + "\n")
    return given


def lossy(packets: int, seed: int = 1) -> np.ndarray:
    """Draw which packets are lost: one in nine, in bursts of two to three (a Gilbert model)."""
    rng, lost = np.random.default_rng(seed), np.zeros(packets, bool)
    for k in range(5, packets):
        lost[k] = rng.random() < (0.6 if lost[k - 1] else 0.05)
    return lost


def distance_db(sent: np.ndarray, heard: np.ndarray) -> float:
    """Compare spectra: how far their levels are apart, in dB (the log-spectral distance)."""
    window = np.hanning(512)
    levels = []
    for x in (sent, heard):
        frames = np.lib.stride_tricks.sliding_window_view(x, 512)[::256] * window
        levels.append(10.0 * np.log10(np.abs(np.fft.rfft(frames)) ** 2 + 1e-6))
    return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=1)).mean())


def main() -> None:
    """Send a call over a bad line, three times."""
    given = arguments()
    sent = speech_like(given.seconds, RATE).astype(np.float32)
    sent = 5.0 * sent[: sent.size // PACKET * PACKET]
    packets, lost = sent.reshape(-1, PACKET), lossy(sent.size // PACKET)
    print(f"{len(packets)} packets of 20 ms, {lost.sum()} of them lost")
    for name in ("plc-zero", "plc-repeat", "plc-pitch"):
        concealer = Concealer(name, sample_rate=RATE, packet_ms=20)
        heard = np.concatenate(
            [concealer.push(None if gone else p) for p, gone in zip(packets, lost, strict=True)]
        )
        print(f"{name}: {distance_db(sent, heard):.2f} dB from what was sent")
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
            write(given.out / f"{name}.wav", heard[np.newaxis], RATE)
    if given.out:
        write(given.out / "sent.wav", sent[np.newaxis], RATE)


main()
