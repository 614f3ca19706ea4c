# SPDX-License-Identifier: MIT
"""What a kernel reads of its side inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.kernels.abi import pointer
from rtcore.kernels.context import SIDE
from rtcore.kernels.decorator import helper


@helper
def side_vector(ctx: Any, number: int) -> Any:
    """Give the vector of a side input that holds in this block; for use in kernels.

    Parameters
    ----------
    ctx : record
        As the kernel gets it.
    number : int
        Place of the input among those that the plugin declares, from 0.

    Returns
    -------
    ndarray of float32, shape (width,)
        Not to be written; empty where there is no such input.
    """
    there = 0 <= number < ctx.side_count
    views = carray(pointer(np.uintp(ctx.side), SIDE), (ctx.side_count,))
    values = np.uintp(views[number].values) if there else np.uintp(0)
    width = views[number].width if there else 0
    return carray(pointer(values, np.float32), (width,))
