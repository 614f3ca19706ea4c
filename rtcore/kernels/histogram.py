# SPDX-License-Identifier: MIT
"""Histograms of durations, written by one thread and read by any other without a lock.

Buckets are log-linear: 16 to each doubling, so that a percentile is right within 6 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.kernels.abi import pointer
from rtcore.kernels.jit import native

_STEPS = 16
_STEP_BITS = 4
#: Buckets for up to 2**40 ns, 18 minutes.
BUCKETS = _STEPS * 37


@native
def bucket_of(ns: int) -> int:
    """Give the bucket of a duration."""
    if ns < _STEPS:
        return max(ns, 0)
    octave = 0
    rest = ns
    while rest >= 2 * _STEPS:
        rest >>= 1
        octave += 1
    return min((octave << _STEP_BITS) + rest, BUCKETS - 1)


@native
def histogram_add(address: int, ns: int) -> None:
    """Count one duration."""
    counts = carray(pointer(address, np.int64), (BUCKETS + 2,))
    counts[bucket_of(ns)] += 1
    counts[BUCKETS] = max(counts[BUCKETS], ns)  # the maximum and the sum are exact
    counts[BUCKETS + 1] += ns


def _upper_edges() -> np.ndarray[Any, Any]:
    index = np.arange(BUCKETS)
    octave = np.maximum(index // _STEPS - 1, 0)
    base = np.where(index < _STEPS, index, index - octave * _STEPS)
    return (base + 1) * (1 << octave) - 1


_EDGES = _upper_edges()


class Histogram:
    """Counts of durations in nanoseconds."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS + 2, np.int64)

    @property
    def address(self) -> int:
        """Where compiled code finds it."""
        return int(self._counts.ctypes.data)

    def __len__(self) -> int:
        """Count the durations."""
        return int(self._counts[:BUCKETS].sum())

    @property
    def max_ns(self) -> int:
        """The longest duration, exactly."""
        return int(self._counts[BUCKETS])

    @property
    def sum_ns(self) -> int:
        """All durations together, exactly."""
        return int(self._counts[BUCKETS + 1])

    def percentile_ns(self, percent: float) -> int:
        """Give a duration that ``percent`` of all do not exceed, 6 % too long at most."""
        counts = self._counts[:BUCKETS].copy()
        total = int(counts.sum())
        if total == 0:
            return 0
        rank = max(1, int(np.ceil(total * percent / 100.0)))
        bucket = int(np.searchsorted(np.cumsum(counts), rank))
        return min(int(_EDGES[min(bucket, BUCKETS - 1)]), self.max_ns)

    def summary_ms(self) -> dict[str, float]:
        """Give p50, p95, p99, p99.9 and the maximum in milliseconds."""
        wanted = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
        found = {name: self.percentile_ns(p) / 1e6 for name, p in wanted.items()}
        return {**found, "max": self.max_ns / 1e6}

    def clear(self) -> None:
        """Forget everything."""
        self._counts[:] = 0
