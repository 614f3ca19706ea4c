# SPDX-License-Identifier: MIT
"""Make the separator that a user names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtcore.challenges.cadenza.separators.base import Nothing, Oracle, Separator
from rtcore.errors import ConfigError, did_you_mean

__all__ = ["NAMES", "SeparatorChoice", "make_separator"]

#: What a user may name; ``onnx:`` goes before the name of a bundle.
NAMES = ("hdemucs", "openunmix", "onnx:BUNDLE", "oracle", "none")
_ONNX = "onnx:"


@dataclass(frozen=True)
class SeparatorChoice:
    """What shall separate.

    Attributes
    ----------
    name : str
        One of `NAMES`.
    weights : Path or None
        Of a network; torch's own folder where None.
    device : str
        On which a network runs.
    compat : bool
        Whether the official quirk of the chunks is kept.
    """

    name: str = "hdemucs"
    weights: Path | None = None
    device: str = "cpu"
    compat: bool = False


def make_separator(choice: SeparatorChoice) -> Separator:
    """Make a separator; a network looks for its weights when it is made ready.

    Raises
    ------
    ConfigError
        Where there is none of that name.
    ModelError
        Where its bundle is not there.
    """
    from rtcore.challenges.cadenza.separators.networks import HybridDemucs, OpenUnmix

    networks = {"hdemucs": HybridDemucs, "openunmix": OpenUnmix}
    if choice.name in networks:
        make = networks[choice.name]
        return make(choice.weights, device=choice.device, compat=choice.compat)
    if choice.weights is not None:
        what = f"are for {' and '.join(networks)}, and not for '{choice.name}'; leave them out"
        raise ConfigError("--weights", what)
    if choice.device != "cpu":
        what = f"is for {' and '.join(networks)}, and not for '{choice.name}'; leave it out"
        raise ConfigError("--device", what)
    if choice.name.startswith(_ONNX):
        from rtcore.challenges.cadenza.separators.bundle import BundleSeparator

        return BundleSeparator(choice.name.removeprefix(_ONNX))
    for made in (Oracle, Nothing):
        if choice.name == made.name:
            return made()
    hint = did_you_mean(choice.name, NAMES)
    what = f"there is no separator '{choice.name}'{hint}; there are {', '.join(NAMES)}"
    raise ConfigError("--separator", what)
