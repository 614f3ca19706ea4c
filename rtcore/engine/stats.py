# SPDX-License-Identifier: MIT
"""What the engine counted, as plain numbers; read without a lock while it plays."""

from __future__ import annotations

import math
from typing import Any

from rtcore.engine.native import NativeEngine

_FLOOR_DB = -150.0


def _db(amplitude: float) -> float:
    return max(20.0 * math.log10(amplitude), _FLOOR_DB) if amplitude > 0 else _FLOOR_DB


def _levels(levels: Any) -> list[dict[str, float | int]]:
    return [
        {
            "peak_dbfs": round(_db(float(level["peak"])), 2),
            "recent_peak_dbfs": round(_db(float(level["recent_peak"])), 2),
            "rms_dbfs": round(_db(math.sqrt(max(float(level["mean_square"]), 0.0))), 2),
            "clipped_samples": int(level["clips"]),
        }
        for level in levels
    ]


def read_stats(engine: NativeEngine) -> dict[str, Any]:
    """Collect everything that the audio thread wrote.

    Parameters
    ----------
    engine : NativeEngine
        Playing or stopped.

    Returns
    -------
    dict
        JSON-able; durations in milliseconds, levels in dB re full scale (RMS 1.0 is 0 dB).
    """
    stats, safety = engine.stats[0], engine.safety[0]
    blocks = int(stats["blocks"])
    late = int(stats["late_total"])
    seconds = int(stats["frames"]) / engine.chain.sample_rate
    return {
        "blocks": blocks,
        "frames": int(stats["frames"]),
        "seconds": round(seconds, 3),
        "block_frames": [int(stats["smallest_block"]), int(stats["largest_block"])],
        "late": {
            "total": late,
            "since_start": int(stats["late_since_start"]),
            "longest_run": int(stats["late_longest"]),
            "percent": round(100.0 * late / blocks, 3) if blocks else 0.0,
        },
        "load": round(engine.histograms["busy"].sum_ns / 1e9 / seconds, 4) if seconds else 0.0,
        "interval_ms": engine.histograms["interval"].summary_ms(),
        "busy_ms": engine.histograms["busy"].summary_ms(),
        "slack_ms": engine.histograms["slack"].summary_ms(),
        "input": _levels(engine.levels_in),
        "output": _levels(engine.levels_out),
        "input_faults": engine.chain.stream.input_faults,
        "input_dry_frames": int(stats["input_dry"]),
        "recorder_lost_frames": int(stats["tap_lost"]),
        "limited_frames": int(safety["limited_frames"]),
        "volume_db": round(_db(float(safety["volume"])), 1),
        "plugins": engine.chain.table.stats(),  # a swap may have put others in their places
    }
