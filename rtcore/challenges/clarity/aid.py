# SPDX-License-Identifier: MIT
"""Hearing aids for a challenge: any chain, with each listener's audiogram put into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.challenges.clarity.layout import Edition
from rtcore.errors import ConfigError
from rtcore.hearing import Audiogram, Listener

if TYPE_CHECKING:
    from rtcore.chain import Chain, Element
    from rtcore.chain.config import ChainConfig

__all__ = ["EARS", "NOBODY", "Aid", "baseline", "for_listener"]

#: Outputs of a hearing aid.
EARS = 2
#: A word that any setting may have in place of the listener.
_WORD = "listener"
#: For fingerprints: the listener's own go in beside the chain's.
NOBODY = Listener.both(Audiogram([0.0] * 8), "nobody")

#: Long enough for little to be done between blocks, short enough for a core's cache.
_AT_ONCE_FRAMES = 2048
_NFIR = 220
_OFFICIAL_HZ = 44100
_RMS_FRAMES = 2822  # int(0.064 * 44100)


def baseline(edition: Edition) -> ChainConfig:
    """Give the challenge's own hearing aid: NAL-R, the slow compressor, tanh.

    CEC3's baseline builds the compressor without the sample rate, so that sound of 48 kHz gets the
    constants of 44.1 kHz; so does this one, since it is the baseline.
    """
    from rtcore.chain.config import parse

    stretch = _OFFICIAL_HZ / edition.sample_rate
    tables: list[dict[str, Any]] = [
        {"id": "nalr", "audiogram": _WORD, "nfir": _NFIR},
        {
            "id": "compressor",
            "threshold": 0.35,
            "attenuation": 0.1,
            "attack_ms": 50.0 * stretch,
            "release_ms": 1000.0 * stretch,
            "rms_buffer_s": 0.064 if stretch == 1.0 else (_RMS_FRAMES + 0.5) / edition.sample_rate,
        },
        {"id": "softclip", "shape": "tanh"},
    ]
    words = {
        "sample_rate": edition.sample_rate,
        "channels": EARS,
        "dtype": "float64",
        "max_frames": _AT_ONCE_FRAMES,
    }
    return parse({**words, "plugin": tables})


def for_listener(elements: list[Element], listener: Listener) -> list[Element]:
    """Give processors that know who listens.

    Every setting named ``audiogram``, and every one that says ``"listener"``, gets the listener.

    Parameters
    ----------
    elements : list
        As a chain file gives them; they stay as they are.
    listener : Listener
        Both ears.
    """
    return [_aware(element, listener) for element in elements]


def _aware(element: Any, listener: Listener) -> Any:
    from rtcore.chain.graph import Parallel, PerEar

    if isinstance(element, Parallel):
        branches = [for_listener(branch, listener) for branch in element.branches]
        return Parallel(*branches, gains_db=element.gains_db)
    if isinstance(
        element, PerEar
    ):  # a branch has one channel, which any plugin takes for a left ear
        ears = [Listener.both(ear, listener.name) for ear in listener.ears]
        return PerEar(
            *(for_listener(b, ear) for b, ear in zip(element.branches, ears, strict=True))
        )
    values = element.values
    told = {
        key: listener
        for key in type(element).settings
        if key == "audiogram" or (isinstance(values[key], str) and values[key] == _WORD)
    }
    return type(element)(**(values | told)) if told else element


@dataclass(frozen=True)
class Aid:
    """A hearing aid that is fitted to listener after listener.

    Attributes
    ----------
    config : ChainConfig
        The chain; where it names no rate and no channels it takes those of the sound.
    mics : tuple of int
        Microphone pairs that it hears, as channels in their order: left and right of the first,
        then of the second.
    mean : bool
        It hears the mean of the pairs instead, as CEC3's baseline does.
    """

    config: ChainConfig
    mics: tuple[int, ...] = (1,)
    mean: bool = False

    @property
    def channels(self) -> int:
        """How many channels go in."""
        return EARS if self.mean else EARS * len(self.mics)

    def chain(self, listener: Listener, sample_rate: int) -> Chain:
        """Build the chain for a listener.

        Raises
        ------
        ConfigError
            Where it is for another rate or other channels, or does not give two.
        """
        name = self.config.source or "the chain"
        if self.config.sample_rate not in (None, float(sample_rate)):
            what = f"is for {self.config.sample_rate:g} Hz, and the scene has {sample_rate} Hz"
            if self.config.source:
                raise ConfigError(name, f"{what}; take sample_rate out of it")
            raise ConfigError("the baseline", f"{what}; resample the scene, or name a chain")
        if self.config.channels not in (None, self.channels):
            what = f"is for {self.config.channels} channels, and the microphones chosen with "
            what += f"--mics give {self.channels}"
            raise ConfigError(name, f"{what}; take channels out of it")
        fitted = replace(self.config, elements=for_listener(self.config.elements, listener))
        chain = fitted.override(sample_rate=float(sample_rate), channels=self.channels).build()
        if chain.channels_out != EARS:
            what = f"gives {chain.channels_out} channels; a hearing aid's output has two, the left"
            raise ConfigError(name, f"{what} and the right ear's")
        return chain

    def heard(self, signals: list[np.ndarray]) -> np.ndarray:
        """Put what the microphone pairs hear into the channels of the chain.

        Parameters
        ----------
        signals : list of array, shape (2, frames)
            One for each of `mics`, of one length.
        """
        if not self.mean:
            return signals[0] if len(signals) == 1 else np.concatenate(signals, axis=0)
        # In float32 and in this order, as CEC3's baseline does it.
        total = signals[0].astype(np.float32)
        for signal in signals[1:]:
            total = total + signal.astype(np.float32)
        return np.asarray(total / np.float32(len(signals)), np.float64)
