# SPDX-License-Identifier: MIT
"""Chains that need no file."""

from __future__ import annotations

from rtcore.chain import Element
from rtcore.errors import ConfigError
from rtcore.hearing import MAX_NFIR, Listener
from rtcore.host import find

_NFIR = 220  # of the Clarity baselines, at their rate
_NFIR_RATE_HZ = 44100.0


def hearing_aid(listener: Listener, *, sample_rate: float, channels: int) -> list[Element]:
    """Make a hearing aid for one person: NAL-R gain, the CEC2 compressor, a limiter.

    Parameters
    ----------
    listener : Listener
        Channel 0 is the left ear and channel 1 the right one; a single channel is the left ear.
    sample_rate : float
        In Hz. The filter lasts 5 ms at any rate (220 taps at 44.1 kHz), so that latency and
        precision are the same everywhere.
    channels : int
        1 or 2.

    Returns
    -------
    list
        Elements of a :class:`rtcore.Chain`. The gain can exceed 39 dB, hence the limiter: no peak
        leaves it above -1 dB re full scale.

    Raises
    ------
    ConfigError
        Where there are more channels than ears.
    """
    if channels not in (1, 2):
        what = f"a hearing aid is made for one or two ears, got {channels} channels"
        raise ConfigError("channels", f"{what}; give a mono or stereo file or device")
    nfir = min(MAX_NFIR, 2 * round(_NFIR / 2 * sample_rate / _NFIR_RATE_HZ))
    return [find("nalr")(audiogram=listener, nfir=nfir), find("compressor")(), find("limiter")()]
