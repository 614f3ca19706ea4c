# SPDX-License-Identifier: MIT
"""Call one plugin's compiled code for block after block, as the engine does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from rtcore import Chain
from rtcore.kernels.abi import call_process
from rtcore.kernels.rt import FLUSH_BITS, flush_denormals, restore_float_mode


@njit(nogil=True)
def play(process: int, state: int, context: int, x: np.ndarray, y: np.ndarray, flush: bool) -> None:
    before = flush_denormals()
    if not flush:
        restore_float_mode(before & ~FLUSH_BITS)
    for block in range(x.shape[0]):
        source, target = np.uintp(x[block].ctypes.data), np.uintp(y[block].ctypes.data)
        call_process(process, state, context, source, target, np.int32(x.shape[2]))
    restore_float_mode(before)


def player(chain: Chain, x: np.ndarray, *, flush: bool = True) -> Callable[[], np.ndarray]:
    """Make a function that plays sound through a chain's first plugin, without the chain.

    Parameters
    ----------
    chain : Chain
        Its ``max_frames`` is the size of the blocks.
    x : array
        (channels, frames), of whole blocks.
    flush : bool
        Whether subnormal numbers are flushed to zero, as the engine has it.

    Returns
    -------
    function
        Gives the output in blocks, (blocks, channels, frames).
    """
    node, size = chain.nodes[0].node, chain.spec.max_frames
    blocks = np.ascontiguousarray(x.reshape(len(x), -1, size).swapaxes(0, 1))
    out = np.empty((len(blocks), node.channels_out, size), x.dtype)
    context = np.zeros(16, np.int64)
    places: list[Any] = [
        np.uintp(a) for a in (node.address, node.state_address, context.ctypes.data)
    ]

    def run() -> np.ndarray:
        play(*places, blocks, out, flush)
        assert context.size  # the plugin has its address only
        assert chain.nodes  # likewise
        return out

    return run
