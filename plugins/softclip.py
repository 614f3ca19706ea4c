# SPDX-License-Identifier: MIT
"""Bend loud peaks smoothly, so that nothing leaves full scale."""

from __future__ import annotations

from rtcore import Plugin, Prepared, Setting, Spec, kernel
from rtcore.dsp import tanh_block

_SHAPES = ("tanh", "cubic")


class SoftClip(Plugin):
    """Bend loud peaks smoothly, so that nothing leaves full scale.

    Soft sounds pass with a gain of 1; the result lies from -1 to 1. Harmonics are the price.

    Parameters
    ----------
    shape : {"tanh", "cubic"}
        ``tanh(x)``, as the baseline of the second Clarity Enhancement Challenge has it, or
        ``x - 4 x^3 / 27`` up to an input of 1.5 and full scale above, which is quicker.
    """

    id = "softclip"
    shape = Setting("tanh", choices=_SHAPES, doc="curve from the input to the output")
    state = {"shape": "i8"}

    def prepare(self, spec: Spec) -> Prepared:
        """Tell the kernel the shape by number."""
        del spec
        return Prepared(state={"shape": _SHAPES.index(self.shape)})

    @kernel
    def process(x, y, state):
        """Apply the curve to each sample."""
        for c in range(x.shape[0]):
            if state.shape == 0:
                tanh_block(x[c], y[c])
            else:
                for i in range(x.shape[1]):
                    inside = min(max(x[c, i], -1.5), 1.5)
                    y[c, i] = inside * (1.0 - inside * inside * (4.0 / 27.0))
