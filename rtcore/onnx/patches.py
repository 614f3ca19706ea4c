# SPDX-License-Identifier: MIT
"""Steps of models that conceal by foresight: the frame that they are given, and the joint.

Patches are two hops long under a squared sine, which two of them that overlap add up to one.
Behind a loss the end of the last patch, which no other covers, is lifted to what it would be
without its window, and cross-faded into what came.  A patch is no louder than the frame that the
model saw, some headroom aside, so that it ends in silence where the classical guess does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.dsp.foresight import foresee
from rtcore.kernels import helper
from rtcore.onnx.part import part

__all__ = ["foresee_hop", "patch_hop", "patch_tables"]


#: Times the peak of the frame: no patch is louder.
_HEADROOM = 1.5


def patch_tables(hop: int, fade: int, frame: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Give what a ``PATCH`` step keeps, as it is at first.

    Parameters
    ----------
    hop : int
        Samples of a hop.
    fade : int
        Of the cross-fade behind a loss; at most half a hop, or the lift would be large.

    frame : tuple of int
        Where the model's frame lies, and how long it is.

    Returns
    -------
    ndarray, shape (3 * hop + 4,)
        The end of the last patch, the weights of it and of what came, the last flag, the fade, the
        frame.
    """
    k = np.arange(fade)
    fall = np.cos(0.5 * np.pi * (k + 0.5) / max(fade, 1)) ** 2
    covered = np.cos(np.pi * k / (2 * hop)) ** 2
    table = np.zeros(3 * hop + 4)
    table[hop : hop + fade] = fall / covered
    table[2 * hop : 2 * hop + fade] = 1.0 - fall
    table[3 * hop + 1 :] = fade, *frame
    return table


@part
def foresee_hop(memory: Any, row: Any, lost: bool, foreseen: Any) -> None:
    """Write the last two hops of a frame."""
    target, entry, channel, hop = row[1], row[2], row[3], row[4]
    foresee(
        memory[entry : entry + hop],
        lost,
        memory[target : target + hop],
        memory[target + hop : target + 2 * hop],
        foreseen[2 * channel],
        foreseen[2 * channel + 1],
    )


@helper
def _loudest(memory: Any, at: int, count: int) -> float:
    """Give the peak of a piece of memory; NaN counts as nothing."""
    peak = 0.0
    for k in range(at, at + count):
        peak = max(peak, abs(np.float64(memory[k])))
    return peak


@helper
def _bound(memory: Any, kept: int, hop: int, patch: int) -> None:
    """Let a patch be no louder than its frame allows."""
    most = _HEADROOM * _loudest(
        memory, int(memory[kept + 3 * hop + 2]), int(memory[kept + 3 * hop + 3])
    )
    peak = _loudest(memory, patch, 2 * hop)
    if peak > most:
        gain = most / peak
        for k in range(patch, patch + 2 * hop):
            memory[k] *= gain


@helper
def patch_hop(memory: Any, row: Any, lost: bool) -> None:
    """Give out a hop as it came, or what the patches hold for it, and keep the patch's end."""
    out, entry, kept, hop, patch = row[1], row[2], row[3], row[4], row[5]
    after_loss = memory[kept + 3 * hop] != 0
    fade = int(memory[kept + 3 * hop + 1])
    _bound(memory, kept, hop, patch)
    for i in range(hop):
        if lost:
            memory[out + i] = memory[kept + i] + memory[patch + i]
        elif after_loss and i < fade:
            end, came = memory[kept + hop + i], memory[kept + 2 * hop + i]
            memory[out + i] = memory[kept + i] * end + memory[entry + i] * came
        else:
            memory[out + i] = memory[entry + i]
        memory[kept + i] = memory[patch + hop + i]
    memory[kept + 3 * hop] = 1.0 if lost else 0.0
