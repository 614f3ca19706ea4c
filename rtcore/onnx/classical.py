# SPDX-License-Identifier: MIT
"""A bundle without a network: the classical concealment, played by the same program loop."""

from __future__ import annotations

from pathlib import Path

from rtcore.models import Bundle
from rtcore.onnx.manifest import Frame, Manifest

__all__ = ["classical_bundle"]

_HOP_S = 0.01


def classical_bundle(sample_rate: float) -> Bundle:
    """Give a bundle that conceals by pitch at a rate.

    Parameters
    ----------
    sample_rate : float
        In Hz.

    Returns
    -------
    Bundle
        Of no stage; its folder does not exist.
    """
    hop = max(1, round(_HOP_S * sample_rate))
    manifest = Manifest.model_construct(
        id="plc-pitch",
        description="Go on with the pitch and the colour of the sound where packets are lost",
        licence="MIT",
        sample_rate=int(sample_rate),
        hop=hop,
        concealment=True,
        frame=Frame(window=2 * hop, foresight=True),
        stage=(),
    )
    return Bundle(manifest, Path("plc-pitch"))
