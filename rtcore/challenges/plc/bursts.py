# SPDX-License-Identifier: MIT
"""What a trace is like: its loss rate, its bursts, its stratum and its loss-rate cell.

The challenge sorts traces by their longest burst into three strata and each stratum by loss rate
into 14 cells of equally many traces (INTERSPEECH 2022 Deep PLC challenge, section 3.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "CELLS",
    "STRATA",
    "Bursts",
    "Stratum",
    "bursts_of",
    "histogram",
    "loss_cells",
    "run_lengths",
    "stratum_of",
]

PACKET_MS = 20
CELLS = 14


@dataclass(frozen=True)
class Stratum:
    """A class of traces: the longest burst has more than ``above`` and up to ``upto`` packets."""

    name: str
    above: int
    upto: int


STRATA = (
    Stratum("to 120 ms", 0, 6),
    Stratum("120 to 320 ms", 6, 16),
    Stratum("320 to 1000 ms", 16, 50),
)


@dataclass(frozen=True)
class Bursts:
    """A trace in figures.

    Attributes
    ----------
    packets, lost : int
        How many there are, and how many of them never came.
    bursts : int
        Runs of lost packets.
    longest : int
        Packets of the longest run; 0 where nothing was lost.
    """

    packets: int
    lost: int
    bursts: int
    longest: int

    @property
    def loss_rate(self) -> float:
        """Share of the packets that were lost, 0 to 1."""
        return self.lost / self.packets if self.packets else 0.0

    @property
    def mean_burst(self) -> float:
        """Mean length of a run of lost packets; 0 where nothing was lost."""
        return self.lost / self.bursts if self.bursts else 0.0

    @property
    def longest_ms(self) -> int:
        """Duration of the longest burst in milliseconds."""
        return self.longest * PACKET_MS


def run_lengths(lost: np.ndarray, value: bool = True) -> np.ndarray:
    """Give the lengths of the runs of lost (or received) packets, in their order.

    Parameters
    ----------
    lost : array of bool, shape (packets,)
        True where a packet was lost.
    value : bool
        Of the runs that are measured.
    """
    marks = np.concatenate([[False], np.asarray(lost, bool) == value, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(marks))
    return edges[1::2] - edges[::2]


def bursts_of(lost: np.ndarray) -> Bursts:
    """Count a trace's packets, losses and bursts."""
    runs = run_lengths(lost)
    return Bursts(len(lost), int(np.sum(lost)), len(runs), int(runs.max(initial=0)))


def histogram(traces: Sequence[np.ndarray]) -> np.ndarray:
    """Count bursts by length: element k holds how many bursts of k + 1 packets there are."""
    runs = np.concatenate([run_lengths(trace) for trace in traces] or [np.zeros(0, int)])
    return np.bincount(runs, minlength=1)[1:]


def stratum_of(lost: np.ndarray) -> int | None:
    """Give the number of a trace's stratum among :data:`STRATA`.

    Returns
    -------
    int or None
        None where nothing was lost or a burst is longer than a second: the challenge drops these.
    """
    longest = bursts_of(lost).longest
    for number, stratum in enumerate(STRATA):
        if stratum.above < longest <= stratum.upto:
            return number
    return None


def loss_cells(loss_rates: Sequence[float] | np.ndarray, cells: int = CELLS) -> np.ndarray:
    """Sort traces into cells of equally many by their loss rates, lowest first.

    Parameters
    ----------
    loss_rates : sequence of float
        Of the traces of one stratum.
    cells : int
        How many cells; with fewer traces each gets a cell of its own.

    Returns
    -------
    numpy.ndarray of int, shape (traces,)
        The cell of each trace, 0 to ``cells - 1``. Equal rates keep their order.
    """
    rates = np.asarray(loss_rates, float)
    cells = min(cells, len(rates))
    numbers = np.empty(len(rates), int)
    numbers[np.argsort(rates, kind="stable")] = np.arange(len(rates)) * cells // max(1, len(rates))
    return numbers
