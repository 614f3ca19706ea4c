# SPDX-License-Identifier: MIT
"""The summary of commands whose outputs may be clipped: how many failed, and what was cut off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rtcore.cli.batch_options import Tally

__all__ = ["ClippedTally"]

_SHOWN = 20
_EARS = 2


@dataclass
class ClippedTally(Tally):
    """What became of all pairs, and what was clipped.

    Results have ``frames``, ``clipped`` (samples of both ears) and the ``peak`` before clipping,
    or that in dB re full scale as ``peak_db``.
    """

    def tell(self, target: Path, *, as_json: bool = False) -> None:
        """Print the summary, and each file of which samples were clipped."""
        super().tell(target, as_json=as_json)
        clipped = [outcome for outcome in self.good if outcome.result["clipped"]]
        if as_json or not clipped:
            return
        click.echo(f"clipped in {len(clipped)} of {len(self.good)} files:")
        for outcome in sorted(clipped, key=lambda o: -o.result["clipped"])[:_SHOWN]:
            click.echo(f"  {outcome.name}: {_told(outcome.result)}")
        if len(clipped) > _SHOWN:
            click.echo(f"  and {len(clipped) - _SHOWN} more; --json lists all of them")


def _told(result: Mapping[str, Any]) -> str:
    """Say how much of a file was clipped, and how far it went beyond full scale."""
    samples = result["clipped"]
    share = 100.0 * samples / (_EARS * result["frames"])
    peak_db = result["peak_db"] if "peak_db" in result else 20.0 * math.log10(result["peak"])
    return f"{samples} samples ({share:.2g} %), peak {peak_db:+.1f} dB"
