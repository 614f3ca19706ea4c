# SPDX-License-Identifier: MIT
"""Steps of models that conceal by foresight: the frame that they are given, and the joint.

Patches are two hops long under a squared sine, which two of them that overlap add up to one.
A patch is no louder than the frame that the model saw, some headroom aside, so that it ends in
silence where the classical guess does.  Behind a loss there are two kinds of joint:

* the end of the last patch, which no other covers, is lifted to what it would be without its
  window, and cross-faded into what came (*fade*); or
* all that came is heard as it came, a little later, so that the end of the loss can be cross-faded
  into what the hop behind it tells of the samples before it (*hindsight*).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.dsp.backcast import backcast
from rtcore.dsp.foresight import foresee
from rtcore.kernels import helper
from rtcore.kernels.part import part

__all__ = ["foresee_hop", "hindsight_order", "patch_hop", "patch_tables"]

#: Times the peak of what it is made of: no patch is louder, nor what hindsight tells.
_HEADROOM = 1.5
#: Coefficients that go back from a hop: 4 ms of it, while that is quick to fit.
_HIGHEST_ORDER = 128


@helper
def hindsight_order(hop: int) -> int:
    """Give the order of the predictor that goes back from a hop of some samples."""
    return min(_HIGHEST_ORDER, 2 * hop // 5)


def patch_tables(
    hop: int, fade: int, hindsight: int, frame: tuple[int, int]
) -> np.ndarray[Any, Any]:
    """Give what a ``PATCH`` step keeps, as it is at first.

    Parameters
    ----------
    hop : int
        Samples of a hop.
    fade : int
        Of the cross-fade behind a loss; at most half a hop, or the lift would be large.
    hindsight : int
        Samples at the end of a loss that are joined to what came behind it, and by which all is
        later; one of both is 0.
    frame : tuple of int
        Where the model's frame lies, and how long it is.

    Returns
    -------
    ndarray, shape (3 * hop + 5 + hindsight,)
        The end of the last patch, the weights of it and of what came, the last flag, the fade, the
        frame, the hindsight, and as many samples that are to go out.
    """
    k = np.arange(fade)
    fall = np.cos(0.5 * np.pi * (k + 0.5) / max(fade, 1)) ** 2
    covered = np.cos(np.pi * k / (2 * hop)) ** 2
    table = np.zeros(3 * hop + 5 + hindsight)
    table[hop : hop + fade] = fall / covered
    table[2 * hop : 2 * hop + fade] = 1.0 - fall
    table[3 * hop + 1 : 3 * hop + 5] = fade, *frame, hindsight
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
def _join(memory: Any, held: int, count: int, entry: int, hop: int, scratch: Any) -> None:
    """Cross-fade the end of a loss into what the hop behind it tells of the samples before it."""
    most = _HEADROOM * _loudest(memory, entry, hop)
    told = scratch[0, hop : hop + count]
    backcast(memory[entry : entry + hop], hindsight_order(hop), told, scratch)
    for i in range(count):
        share = (i + 0.5) / count
        sample = min(max(told[i], -most), most)
        memory[held + i] += share * (sample - memory[held + i])


@helper
def patch_hop(memory: Any, row: Any, lost: bool, scratch: Any) -> None:
    """Give out a hop as it came, or what the patches hold for it, and keep the patch's end.

    Parameters
    ----------
    memory : array of float32
        The instance's numbers.
    row : array of int
        The step: see :class:`rtcore.onnx.opcodes.Op`.
    lost : bool
        Whether the hop never came.
    scratch : array of float64, shape (3, at least two hops)
        Overwritten.
    """
    out, entry, kept, hop, patch = row[1], row[2], row[3], row[4], row[5]
    after_loss = memory[kept + 3 * hop] != 0
    fade, later = int(memory[kept + 3 * hop + 1]), int(memory[kept + 3 * hop + 4])
    held = kept + 3 * hop + 5
    _bound(memory, kept, hop, patch)
    if later > 0 and after_loss and not lost:
        _join(memory, held, later, entry, hop, scratch)
    for i in range(later):
        memory[out + i] = memory[held + i]
    for i in range(hop):
        if lost:
            sample = memory[kept + i] + memory[patch + i]
        elif after_loss and i < fade:
            end, came = memory[kept + hop + i], memory[kept + 2 * hop + i]
            sample = memory[kept + i] * end + memory[entry + i] * came
        else:
            sample = memory[entry + i]
        memory[out + later + i if i < hop - later else held + i - (hop - later)] = sample
        memory[kept + i] = memory[patch + hop + i]
    memory[kept + 3 * hop] = 1.0 if lost else 0.0
