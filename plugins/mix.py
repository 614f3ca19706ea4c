# SPDX-License-Identifier: MIT
"""Send each output a weighted sum of the inputs: mono to stereo, stereo to mono, any matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtcore import ParameterError, Plugin, Prepared, Setting, Spec, kernel

_MAX_CHANNELS = 64


def _stereo(channels: int) -> list[list[float]] | None:
    return [[1.0], [1.0]] if channels == 1 else _only(channels, 2, np.eye(2).tolist())


def _only(channels: int, wanted: int, gains: list[list[float]]) -> list[list[float]] | None:
    return gains if channels == wanted else None


#: Name to the matrix for a number of input channels; None where it has no meaning.
_PRESETS = {
    "stereo": _stereo,
    "mono": lambda channels: [[1.0 / channels] * channels],
    "left": lambda channels: _only(channels, 2, [[1.0, 0.0]]),
    "right": lambda channels: _only(channels, 2, [[0.0, 1.0]]),
    "swap": lambda channels: _only(channels, 2, [[0.0, 1.0], [1.0, 0.0]]),
    "mid_side": lambda channels: _only(channels, 2, [[0.5, 0.5], [0.5, -0.5]]),
}


def _matrix(value: Any) -> tuple[tuple[float, ...], ...]:
    """Check a matrix of gains; an empty one means that the preset counts."""
    form = "must be a list of rows, one for each output, such as [[1, 0], [0.5, 0.5]]"
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray)):
        raise ValueError(f"{form}, got {value!r}")  # noqa: TRY004 - becomes a ParameterError
    try:
        rows = tuple(tuple(float(gain) for gain in row) for row in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{form}, got {value!r}") from error
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1 or widths == [0] or len(rows) > _MAX_CHANNELS:
        raise ValueError(f"{form}, got {len(rows)} rows of {' and '.join(map(str, widths))} gains")
    if not np.isfinite(np.array(rows)).all():
        raise ValueError("all gains must be finite numbers")
    return rows


class Mix(Plugin):
    """Send each output a weighted sum of the inputs.

    Parameters
    ----------
    preset : {"stereo", "mono", "left", "right", "swap", "mid_side"}
        ``stereo`` gives one channel to both ears and leaves two as they are, ``mono`` gives the
        mean of all inputs, ``mid_side`` half of the sum and half of the difference.
    gains : matrix
        One row for each output, one column for each input, amplitude ratios; where given it
        counts in place of the preset.
    """

    id = "mix"
    preset = Setting("stereo", choices=tuple(_PRESETS), doc="a matrix by name")
    gains = Setting((), validate=_matrix, doc="rows are outputs, columns inputs; wins over preset")
    buffers = {"weights": "real[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Fit the matrix to the stream."""
        weights = self.gains or _PRESETS[self.preset](spec.channels)
        if weights is None:
            raise ParameterError(
                "preset",
                f"'{self.preset}' needs 2 channels, the stream has {spec.channels}; give gains "
                "with one column for each",
            )
        if len(weights[0]) != spec.channels:
            raise ParameterError(
                "gains",
                f"must have one column for each of the stream's {spec.channels} channels, "
                f"got {len(weights[0])}",
            )
        return Prepared(channels_out=len(weights), buffers={"weights": np.array(weights)})

    @kernel
    def process(x, y, weights):
        """Add the inputs, always in the same order."""
        for o in range(y.shape[0]):
            weight = weights[o, 0]
            for i in range(x.shape[1]):
                y[o, i] = weight * x[0, i]
            for c in range(1, x.shape[0]):
                weight = weights[o, c]
                for i in range(x.shape[1]):
                    y[o, i] += weight * x[c, i]
