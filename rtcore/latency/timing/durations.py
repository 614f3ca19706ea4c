# SPDX-License-Identifier: MIT
"""Many durations, and what a report says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.kernels.histogram import _EDGES, BUCKETS, Histogram, bucket_of

PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
_Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Durations:
    """Durations in nanoseconds, each with how often it came.

    Attributes
    ----------
    values_ns, counts : ndarray
        Ascending, and none of the counts is 0.
    sum_ns : int
        All together, exactly.
    """

    values_ns: _Counts
    counts: _Counts
    sum_ns: int

    @classmethod
    def of(cls, values_ns: Sequence[int]) -> Durations:
        """Take durations as they were measured."""
        values, counts = np.unique(np.asarray(values_ns, np.int64), return_counts=True)
        return cls(values, counts, int(sum(values_ns)))

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    def percentile_ns(self, percent: float) -> int:
        """Give the smallest duration that ``percent`` of all do not exceed; 0 where none is."""
        if not self.count:
            return 0
        rank = max(1, int(np.ceil(self.count * percent / 100.0)))
        return int(self.values_ns[np.searchsorted(np.cumsum(self.counts), rank)])

    def summary_ms(self) -> dict[str, float]:
        """Give p50, p95, p99, p99.9 and the maximum in milliseconds."""
        found = {name: self.percentile_ns(p) / 1e6 for name, p in PERCENTILES.items()}
        return {**found, "max": self.percentile_ns(100.0) / 1e6}

    def histogram_ms(self) -> tuple[tuple[float, int], ...]:
        """Give the upper edge in ms and the count of each bucket that is not empty.

        There are 16 buckets to each doubling, as in :mod:`rtcore.kernels.histogram`.
        """
        places = np.searchsorted(_EDGES, self.values_ns)
        buckets = np.bincount(places, weights=self.counts, minlength=1).astype(np.int64)
        return tuple((float(_EDGES[k]) / 1e6, int(buckets[k])) for k in np.flatnonzero(buckets))


class Meanwhile:
    """What a histogram counts from now on, while compiled code goes on writing into it.

    Nothing is cleared but the word of the maximum: to add to a bucket takes compiled code more
    than one step, so clearing one could be undone. Where just that happens to the maximum, the
    edge of its bucket stands in for it.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._live: _Counts = histogram._counts  # noqa: SLF001 - a summary has no differences
        self._live[BUCKETS] = 0
        self._before = self._live.copy()

    def read(self) -> Durations:
        """Give what was counted since."""
        new = self._live - self._before
        places = np.flatnonzero(new[:BUCKETS])
        values = _EDGES[places].astype(np.int64)
        longest = int(self._live[BUCKETS])
        if places.size and bucket_of(longest) == places[-1]:
            values[-1] = longest
        return Durations(values, new[places], int(new[BUCKETS + 1]))
