# SPDX-License-Identifier: MIT
"""Separators: what takes a mixture apart into vocals, drums, bass and other, all behind one door.

``hdemucs`` and ``openunmix`` are the baseline's networks, ``onnx:BUNDLE`` is a streaming model of
one's own, ``oracle`` knows the true stems and ``none`` leaves the mixture alone.
"""

from __future__ import annotations

from rtcore.challenges.cadenza.separators.base import Separator
from rtcore.challenges.cadenza.separators.choice import NAMES, SeparatorChoice, make_separator

__all__ = ["NAMES", "Separator", "SeparatorChoice", "make_separator"]
