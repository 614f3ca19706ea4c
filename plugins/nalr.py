# SPDX-License-Identifier: MIT
"""NAL-R amplification: the gain that a hearing loss asks for, at each frequency.

The linear-phase filter of the Clarity and Cadenza baselines, one for each ear.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping

import numpy as np

from rtcore import Audiogram, ConfigError, Listener, Plugin, Prepared, Setting, Spec, kernel
from rtcore.dsp import fir_block, fir_buffers, fir_facts
from rtcore.hearing import MAX_NFIR, check_nfir, nalr_taps, resolve_listener


def _checked(value: object) -> object:
    """Refuse what cannot name a listener; files and ids are looked up once the stream is known."""
    if isinstance(value, Mapping):
        resolve_listener(value)
    elif not isinstance(value, (Listener, Audiogram, os.PathLike)) and not (
        isinstance(value, str) and value.strip()
    ):
        raise ValueError(
            "must be a listener's id, a standard audiogram such as 'N3', a CSV or JSON file, or a "
            f"table {{left = [..], right = [..], frequencies = [..]}}, got {reprlib.repr(value)}"
        )
    return value


class NALR(Plugin):
    """Amplify each frequency as a hearing loss asks for (the NAL-R prescription)."""

    id = "nalr"
    audiogram = Setting(
        "N3",
        validate=_checked,
        doc="who listens: a listener's id, N1 to N7 or S1 to S3 (N3: a moderate loss), a file or a "
        "table {left = [..], right = [..], frequencies = [..]} in dB HL and Hz",
    )
    nfir = Setting(
        220,
        type=int,
        min=2,
        max=MAX_NFIR,
        unit="frames",
        validate=check_nfir,
        doc="filter order, even; half of it is the latency, a longer one follows the prescription "
        "more closely at low frequencies",
    )
    ear = Setting(
        "auto",
        choices=("auto", "left", "right"),
        doc="auto: channel 0 is the left ear and channel 1 the right one, a single channel is the "
        "left ear; left or right: every channel is that ear",
    )
    state = {"position": "i8"}
    buffers = {"taps": "real[:, :]", "history": "real[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Design one filter for each channel."""
        ears = self._ears(self._listener(spec), spec.channels)
        taps = np.stack([nalr_taps(ear, self.nfir, spec.sample_rate) for ear in ears])
        facts = fir_facts(taps, latency_frames=self.nfir // 2)
        return Prepared(**facts, buffers=fir_buffers(taps, spec.channels, spec.max_frames))

    def _listener(self, spec: Spec) -> Listener:
        """Look up who listens; an error names the setting, and the file where there is one."""
        try:
            return resolve_listener(self.audiogram, listeners=spec.listeners)
        except ConfigError as error:
            if error.where.startswith("audiogram"):
                raise
            raise ConfigError("audiogram", str(error)) from error

    def _ears(self, listener: Listener, channels: int) -> list[Audiogram]:
        """Give each channel its ear."""
        if self.ear != "auto":
            return [getattr(listener, self.ear)] * channels
        if channels > len(listener.ears):
            what = (
                f"has {channels} channels and a listener two ears; reduce the stream to two "
                "channels, or say ear = 'left' or 'right' for all of them"
            )
            raise ConfigError("", what)
        return list(listener.ears[:channels])

    @kernel
    def process(x, y, state, taps, history):
        """Convolve; see :func:`rtcore.dsp.fir_block`."""
        state.position = fir_block(x, taps, history, state.position, y)
