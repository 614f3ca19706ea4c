# SPDX-License-Identifier: MIT
"""A plugin that allocates while it plays, and gets past the compiler's door by blinding it."""

from __future__ import annotations

import numpy as np

from rtcore import Plugin, kernel
from rtcore.kernels import decorator

decorator.refuse_unfit = lambda *_: None


class Sneaky(Plugin):
    """Copy, by way of fresh memory."""

    id = "sneaky"

    @kernel
    def process(x, y):
        fresh = np.zeros(x.shape[1])
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                fresh[i] = x[c, i]
            for i in range(x.shape[1]):
                y[c, i] = fresh[x.shape[1] - 1 - i]
