# SPDX-License-Identifier: MIT
"""One block of memory for everything that a processor changes while it runs.

Because it is one block, a reset is one copy of the block as it was prepared: allowed on the audio
thread, and equal to a fresh start by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_ALIGN = 64  # a cache line, and enough for any vector load


class Arena:
    """Arrays laid end to end, each at a multiple of 64 bytes.

    Parameters
    ----------
    pieces : mapping
        Name to (dtype, shape).
    """

    def __init__(self, pieces: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
        sizes = [
            int(np.prod(shape, dtype=np.int64)) * dtype.itemsize for dtype, shape in pieces.values()
        ]
        offsets = np.cumsum([0, *(-(-size // _ALIGN) * _ALIGN for size in sizes)])
        raw = np.zeros(int(offsets[-1]) + _ALIGN, np.uint8)
        start = -raw.ctypes.data % _ALIGN
        self.memory = raw[start : start + int(offsets[-1])]
        self._views = {
            name: self.memory[offset : offset + size].view(dtype).reshape(shape)
            for (name, (dtype, shape)), size, offset in zip(
                pieces.items(), sizes, offsets, strict=False
            )
        }

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """Give one of the arrays, as a view."""
        return self._views[name]
