# SPDX-License-Identifier: MIT
"""Streaming models of one's own, from rtcore's model bundles, as separators.

A bundle separates where its ``model.toml`` says ``channels = 8`` or ``channels = 4``. It hears the
mixture once for each stem (so that a mask, say, needs no more than the manifest's own words) and
gives the stems in the order vocals, drums, bass, other: with 8 channels left and right of each in
turn, with 4 channels one ear at a time, with states of its own for each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtcore.challenges.cadenza.metadata import STEMS
from rtcore.challenges.cadenza.remix import Stems
from rtcore.challenges.cadenza.separators.base import Separator
from rtcore.errors import CheckFailed, ModelError

__all__ = ["BundleSeparator"]

_EARS = 2


class BundleSeparator(Separator):
    """A bundle as a separator, at the delay at which it streams.

    Parameters
    ----------
    name : str
        The bundle's id, its folder or its ``model.toml``.

    Raises
    ------
    ModelError
        Where there is no such bundle, or it gives no stems.
    """

    streams = True

    def __init__(self, name: str) -> None:
        from rtcore.models import find_bundle

        self.bundle = find_bundle(name)
        manifest = self.bundle.manifest
        self.name = f"onnx:{manifest.id}"
        if manifest.channels not in (len(STEMS), _EARS * len(STEMS)):
            what = f"has channels = {manifest.channels}, and a separator gives 4 stems of one ear "
            remedy = f"(channels = 4) or of both (channels = 8), in the order {', '.join(STEMS)}"
            raise ModelError(f"{self.bundle.folder}: {what}{remedy}")
        self._place = str(self.bundle.folder)
        self._by_ear = manifest.channels == len(STEMS)
        self._rate = 0

    def separate(
        self, mixture: np.ndarray, sample_rate: int, stem: Callable[[str], np.ndarray]
    ) -> Stems:
        """Stream the mixture through the model."""
        del stem
        if sample_rate != self._rate:
            self._open(sample_rate)
        self._chain.restart()
        whole = np.pad(mixture, ((0, 0), (0, self.latency_frames)))
        heard = np.repeat(whole, len(STEMS), 0) if self._by_ear else np.tile(whole, (4, 1))
        found = self._chain.process(heard.astype(self._chain.spec.dtype)).astype(np.float64)
        self._check()
        order = (_EARS, len(STEMS)) if self._by_ear else (len(STEMS), _EARS)
        by_stem = found.reshape(*order, -1)
        if self._by_ear:
            by_stem = by_stem.swapaxes(0, 1)
        return dict(zip(STEMS, by_stem, strict=True))

    def identity(self) -> list[str]:
        """Name the bundle and fingerprint its files."""
        from rtcore.batch import fingerprint

        files = sorted([*self.bundle.folder.glob("*.toml"), *self.bundle.files()])
        return [self.name, *(fingerprint(path) for path in files)]

    def _open(self, sample_rate: int) -> None:
        from rtcore import Chain
        from rtcore.plugins import Model

        channels = _EARS * len(STEMS)
        model = Model(bundle=self._place)
        self._chain = Chain([model], sample_rate=sample_rate, channels=channels, dtype="float32")
        self._rate, self.latency_frames = sample_rate, self._chain.latency_frames

    def _check(self) -> None:
        """Refuse stems in which the model was replaced by the dry sound."""
        self._chain.stream.poll()
        faults = getattr(self._chain.nodes[0].node.plugin, "faults")  # noqa: B009 - Model's own
        if faults["hops"]:
            self._rate = 0
            reason = faults["reason"] or "it gave NaN or Inf"
            what = f"{self.name}: the model failed in {faults['hops']} hops ({reason})"
            raise CheckFailed(f"{what}, so nothing was written; mend that model")
