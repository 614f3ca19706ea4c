# SPDX-License-Identifier: MIT
# ruff: noqa: ANN001, ANN201, N805, RUF012 - the plugin in here is written as any is
"""Show what subnormal numbers cost each plugin, with and without flushing them to zero.

Each plugin's compiled code plays stereo sound in blocks of 64 frames: noise of RMS 0.1, then a tail
of noise of about 1e-40 (float32) or 1e-310 (float64), both with the processor's flags that flush
subnormals to zero, as the engine sets them, and without.  This goes past the chain's door, which
lets no subnormal in anyway; what arises inside a plugin, in a decaying state, only the flags catch.

*onepole* is no plugin of rtcore: it is the textbook's recursion, defined here, and shows what the
flags are for.  How much a subnormal costs depends on the processor: a hundred cycles and more for
each operation on many, next to nothing on some.  ``tail / noise`` is the time for the tail by the
time for the noise, of the fastest rounds: 1 is good.  *subnormals* counts what the tail leaves in
the state; delay lines copy, so they keep what the door would have stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _blocks import player
from _common import arguments, rounds, table, write_json

from rtcore import Chain, Plugin, Prepared, kernel
from rtcore.plugins import FIR, NALR, Compressor, Delay, Gain, Limiter, Meter, Mix, SoftClip

RATE_HZ, CHANNELS, BLOCK = 48000, 2, 64
TAPS = np.hanning(221).tolist()
TINY = {"float32": 1e-40, "float64": 1e-310}
SOUNDS = ("noise", "tail")
FLAGS = {"without": False, "with": True}


class OnePole(Plugin):
    """Smooth the sound with one pole."""

    id = "onepole"
    buffers = {"held": "real[:]"}

    def prepare(self, spec):
        """Make room for the last output."""
        return Prepared(buffers={"held": np.zeros(spec.channels)})

    @kernel
    def process(x, y, held):
        """Go a hundredth of the way to each sample."""
        for c in range(x.shape[0]):
            last = held[c]
            for i in range(x.shape[1]):
                last += (x[c, i] - last) * x.dtype.type(0.01)
                y[c, i] = last
            held[c] = last


PLUGINS: dict[str, Callable[[], Plugin]] = {
    "nalr": NALR,
    "compressor": Compressor,
    "softclip": SoftClip,
    "limiter": Limiter,
    "fir": lambda: FIR(taps=TAPS),
    "gain": lambda: Gain(gain_db=-6.0),
    "delay": lambda: Delay(delay_ms=1.0),
    "mix": Mix,
    "meter": Meter,
    "onepole": OnePole,
}


def sounds(dtype: str, seconds: float) -> dict[str, np.ndarray]:
    """Make the noise and the tail."""
    frames = max(1, round(seconds * RATE_HZ / BLOCK)) * BLOCK
    noise = np.random.default_rng(1).normal(0.0, 1.0, (CHANNELS, frames))
    return {"noise": (0.1 * noise).astype(dtype), "tail": (TINY[dtype] * noise).astype(dtype)}


def measure(dtype: str, seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Time all plugins for one real type; give a row for each."""
    functions: dict[str, Callable[[], Any]] = {}
    chains: dict[str, Chain] = {}
    heard = sounds(dtype, seconds)
    for name, make in PLUGINS.items():
        for sound in SOUNDS:
            for word, flush in FLAGS.items():
                chain = Chain(
                    [make()],
                    sample_rate=RATE_HZ,
                    channels=CHANNELS,
                    dtype=dtype,
                    max_frames=BLOCK,
                )
                chains[f"{name} {sound} {word}"] = chain
                functions[f"{name} {sound} {word}"] = player(chain, heard[sound], flush=flush)
    fastest = {name: min(seconds) for name, seconds in rounds(functions, repeats).items()}
    frames = heard["noise"].shape[1]
    return [row(dtype, name, fastest, chains, frames) for name in PLUGINS]


def row(
    dtype: str, name: str, seconds: dict[str, float], chains: dict[str, Chain], frames: int
) -> dict[str, Any]:
    """Tell how one plugin does."""
    found: dict[str, Any] = {"dtype": dtype, "plugin": name}
    found["noise, ns a frame"] = 1e9 * seconds[f"{name} noise with"] / frames
    for word in FLAGS:
        ratio = seconds[f"{name} tail {word}"] / seconds[f"{name} noise {word}"]
        found[f"tail / noise, {word}"] = ratio
    for word in FLAGS:
        found[f"subnormals, {word}"] = chains[f"{name} tail {word}"].nodes[0].node.subnormals
    return found


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__, repeats=9, seconds=2.0)
    rows = [row for dtype in TINY for row in measure(dtype, options.seconds, options.repeats)]
    table(rows, "a subnormal tail, without and with flushing to zero")
    write_json(options.json, {"shows": (__doc__ or "").splitlines()[0], "rows": rows})


if __name__ == "__main__":
    main()
