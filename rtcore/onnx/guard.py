# SPDX-License-Identifier: MIT
"""A model that fails must not stop the sound: its hops are replaced by the dry sound.

A hop fails where a run returns an error, or where any number that a model gave is NaN or Inf.
The dry sound, as late as the model's, takes its place; the instance begins again from its initial
states, and is heard again when its frames hold whole sound.  At each change of source the step
between the two fades away, so nothing clicks.  Hops that did not fail are not touched.  However
long a model fails the sound goes on: it is tried at every hop.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtcore.kernels import helper
from rtcore.onnx.manifest import Manifest
from rtcore.onnx.program import Program

FADE_S = 0.005
_EXPONENT = np.int32(0x7F800000)
#: Nobody plays sound so loud: beyond it float32 would soon be infinite.
LOUDEST = 1e9

# Places in a row of `guard`.
SETTLING, FADING, DRY = range(3)
# Places in `faults`.
FAULTS, NOT_FINITE = range(2)

Buffers = dict[str, np.ndarray[Any, Any]]


def guard_buffers(manifest: Manifest, program: Program, channels: int) -> Buffers:
    """Lay out what a plugin needs to guard its instances.

    Parameters
    ----------
    manifest : Manifest
        Of the bundle.
    program : Program
        Of one instance.
    channels : int
        Of the stream.

    Returns
    -------
    dict of str to ndarray
        ``initial``: an instance's memory at first; ``checked``: (at, count) of what a model
        gives; ``guard``: (instances, 3), see the places above; ``faults``: counts; ``limits``:
        hops until an instance is heard again, samples of a fade; ``dry``: (channels, latency +
        hop), the last sound without the model (the input, or for models that foresee its
        classical concealment); ``offset``: (2, channels), the last sample that went out, and what
        fades away.
    """
    hop, rate = manifest.hop, manifest.sample_rate
    given = [placed.region for wiring in program.wirings for placed in wiring.given()]
    checked = [(r.at, r.count) for r in [*given, *program.exit]]
    # Frames must fill first, then the sum of the frames that overlap.
    settle = 2 * (math.ceil(manifest.window / hop) - 1)
    return {
        "initial": program.memory,
        "checked": np.array(checked, np.int64),
        "guard": np.zeros((channels // manifest.channels, 3), np.int64),
        "faults": np.zeros(2, np.int64),
        "limits": np.array([settle, max(1, round(FADE_S * rate))]),
        "dry": np.zeros((channels, manifest.latency + hop), np.float32),
        "offset": np.zeros((2, channels), np.float32),
    }


@helper
def _finite(memory: Any, checked: Any) -> bool:
    """Tell whether all that a model gave is finite, by the exponents' bits."""
    bits = memory.view(np.int32)
    worst = np.int32(0)
    for row in range(checked.shape[0]):
        at, count = checked[row, 0], checked[row, 1]
        for k in range(count):
            worst = max(worst, bits[at + k] & _EXPONENT)
    return bool(worst < _EXPONENT)


@helper
def keep_dry(dry: Any, memory: Any, place: int, hop: int) -> None:
    """Remember a channel's hop as it is known without the model."""
    kept = dry.size - hop
    for i in range(kept):
        dry[i] = dry[i + hop]
    for i in range(hop):
        dry[kept + i] = memory[place + i]


@helper
def judge(
    status: int, memory: Any, parity: Any, initial: Any, checked: Any, own: Any, faults: Any,
    limits: Any,
) -> bool:  # fmt: skip
    """Decide whether an instance's hop is heard; where it failed, begin it again.

    Parameters
    ----------
    status : int
        Of the steps; 0 is good.
    memory, parity : arrays
        Of the instance.
    own : array of int, shape (3,)
        Its row of ``guard``.
    initial, checked, faults, limits : arrays
        See :func:`guard_buffers`.

    Returns
    -------
    bool
        False where the dry sound is to be heard.
    """
    finite = _finite(memory, checked) if status == 0 else True
    if status == 0 and finite:
        if own[SETTLING] == 0:
            return True
        own[SETTLING] -= 1
        return False
    faults[FAULTS] += 1
    faults[NOT_FINITE] += 0 if finite else 1
    own[SETTLING] = limits[0]
    for k in range(memory.size):
        memory[k] = initial[k]
    for k in range(parity.size):
        parity[k] = 0
    return False


@helper
def give_hop(
    source: Any, source_at: int, first: bool, fading: int, total: int, offset: Any, c: int,
    ready: Any, at: int, hop: int,
) -> None:  # fmt: skip
    """Write a hop of one channel into a ring; where its source is another, without a step.

    Parameters
    ----------
    source, source_at : array, int
        Where the hop begins.
    first : bool
        Whether another source begins with it.
    fading, total : int
        Samples that are left of a fade, and its length.
    offset : array, shape (2, channels)
        See :func:`guard_buffers`.
    ready, at, hop : array, int, int
        The ring, and where so many samples go.
    """
    if first:
        offset[1, c] = offset[0, c] - source[source_at]
    for i in range(hop):
        value = source[source_at + i]
        if i < fading:
            value += offset[1, c] * np.float32((fading - 1 - i) / total)
        ready[c, (at + i) % ready.shape[1]] = value
        offset[0, c] = value
