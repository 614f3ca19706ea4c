# SPDX-License-Identifier: MIT
"""The challenges' own baselines, as systems for the latency lab.

Their own code runs wherever it can be imported without a network: pyclarity's NAL-R, compressor
and loudness matching. What needs one (source separation, audio-visual enhancement) is replaced by
something that knows less of the future, so that what is found is the baseline's own doing.
"""

from __future__ import annotations

import warnings

import numpy as np

from rtcore.latency.result import Declared
from rtcore.latency.systems.base import System

RATE = 44100
NALR = {"nfir": 220, "sample_rate": RATE}  # recipes/cec2/baseline/config.yaml
COMPRESSOR = {
    "fs": RATE,
    "attack": 50,
    "release": 1000,
    "threshold": 0.35,
    "attenuation": 0.1,
    "rms_buffer_size": 0.064,
}
FREQUENCIES_HZ = np.array([250, 500, 1000, 2000, 3000, 4000, 6000, 8000])
LEVELS_DB = np.array([35, 35, 40, 50, 55, 60, 65, 65])  # N3 of IEC 60118-15
GAINS_DB = {"vocals": 6, "drums": 0, "bass": -10, "other": 3}


class Baseline(System):
    """A whole-file function of a (channels, frames) sound."""

    kind = "callable"

    def __init__(self, name, function, *, sample_rate=RATE, channels=2):
        super().__init__(name, sample_rate, channels, Declared())
        self.function = function

    def run(self, x):
        """Process a whole sound."""
        return self.function(np.array(x, np.float64))


def _hearing_aid():
    """Give pyclarity's NAL-R, its filter for the listener, and its compressor."""
    from clarity.enhancer import compressor, nalr
    from clarity.utils.audiogram import Audiogram

    aid = nalr.NALR(**NALR)
    taps, _ = aid.build(Audiogram(levels=LEVELS_DB, frequencies=FREQUENCIES_HZ))
    return aid, taps, compressor.Compressor(**COMPRESSOR)


def clarity_cec2(*, delay_removed=0):
    """Give CEC2's baseline: NAL-R, compressor and tanh, for each ear (recipes/cec2/baseline).

    The challenge keeps the 220 samples that the filter adds; here they are cut off at the end, or
    `delay_removed` samples at the start and the rest at the end.
    """
    nalr, taps, compressor = _hearing_aid()

    def process(x):
        ears = [compressor.process(nalr.apply(taps, row))[0] for row in x]
        y = np.clip(np.tanh(np.stack(ears)), -1.0, 1.0)
        y = np.pad(y, ((0, 0), (0, delay_removed)))
        return y[:, delay_removed : delay_removed + x.shape[1]]

    return Baseline("Clarity CEC2 baseline", process)


def cadenza_icassp24():
    """Give the baseline of Cadenza ICASSP 2024: gains, remix and loudness match, then NAL-R.

    Separation is the one part that is not its own: a split into bands by first-order filters,
    which knows nothing of the future.
    """
    from recipes.cad_icassp_2024.baseline.evaluate import apply_gains, remix_stems

    nalr, taps, _ = _hearing_aid()

    def process(x):
        with warnings.catch_warnings(), np.errstate(divide="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # the loudness of silence
            stems = apply_gains(_split(x.T), RATE, GAINS_DB)
            remix = remix_stems(stems, x.T, RATE)
        return np.stack([nalr.apply(taps, row)[: x.shape[1]] for row in remix.T])

    return Baseline("Cadenza ICASSP 2024 baseline", process)


def _split(x):
    """Split a (frames, channels) sound into stems that add up to it."""
    from scipy.signal import lfilter

    low, middle = (lfilter([1.0 - pole], [1.0, -pole], x, axis=0) for pole in (0.98, 0.7))
    parts = (middle - low, x - middle, low)
    stems = dict(zip(("vocals", "drums", "bass"), parts, strict=True))
    return {**stems, "other": 0.1 * x}


def avse(*, sample_rate=16000):
    """Give what ends AVSEC's baselines, after an enhancer of one sample.

    Their test scripts divide the estimate by its largest magnitude before they write it. The
    networks see whole clips as well; what stands in for them is a gate without any memory.
    """

    def process(x):
        estimate = x * np.abs(x) / (0.1 + np.abs(x))
        return estimate / max(float(np.abs(estimate).max()), 1e-9)

    return Baseline("AVSE baseline", process, sample_rate=sample_rate, channels=1)
