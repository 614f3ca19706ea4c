# SPDX-License-Identifier: MIT
"""What is claimed of something, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One claim of a manifest, and what came of it.

    Attributes
    ----------
    what : str
        What is claimed.
    declared, measured : str
        In words.
    holds : bool or None
        None where it could not be told.
    note : str
        What else one should know.
    """

    what: str
    declared: str
    measured: str
    holds: bool | None
    note: str = ""
