# SPDX-License-Identifier: MIT
"""Packages that only some of Cadenza's commands need, and the sentence where one is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from rtcore.errors import DeviceError

__all__ = ["needed"]


def needed(package: str, purpose: str, extra: str) -> ModuleType:
    """Import a package of an extra.

    Parameters
    ----------
    package : str
        Its name in ``import``.
    purpose : str
        What is done with it, as a clause: "networks are run".
    extra : str
        The extra of rtcore that brings it.

    Raises
    ------
    DeviceError
        Where it cannot be imported, with the remedy.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        absent = f"{error.name} is not installed, and {purpose} with {package}"
        raise DeviceError(f"{absent}; pip install 'rtcore[{extra}]'") from error
    except (ImportError, OSError) as error:
        # torchaudio's library loads only beside the very torch that it was built for.
        broken = f"{package} cannot be imported ({str(error).splitlines()[0]})"
        remedy = "install builds of torch and torchaudio that fit together: of one version, from "
        raise DeviceError(f"{broken}; {remedy}one index") from error
