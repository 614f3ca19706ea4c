# SPDX-License-Identifier: MIT
"""One table for a machine: what the shipped chains cost on it, and whether they say the truth.

Each row is a chain, paced like audio by the engine: every shipped plugin alone, the hearing aid
that ``rtcore demo`` plays, the baseline of the second Clarity challenge, and the example chains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.chain.config import ChainConfig, parse
from rtcore.errors import ConfigError, did_you_mean
from rtcore.latency.result import Timing
from rtcore.latency.systems.base import ChainSystem
from rtcore.latency.timing.compute import measure_compute

RATE_HZ = 48000
CHANNELS = 2

#: What plugins are given that would do nothing of interest by themselves.
_VALUES: dict[str, dict[str, Any]] = {
    "delay": {"delay_ms": 5.0},
    "fir": {"taps": (np.hanning(131)[1:-1] / 65.0).tolist()},  # a low-pass of linear phase
    "gain": {"gain_db": -6.0},
}
_EAR = [40, 45, 50, 55, 60]
_AUDIOGRAM = {"left": _EAR, "right": _EAR, "frequencies": [250, 500, 1000, 2000, 4000]}
_NALR = {"id": "nalr", "audiogram": _AUDIOGRAM, "ear": "left"}
_QUIET_COMPRESSOR = {"id": "compressor", "threshold": 0.1}

#: The chains of examples/chains, with the same words; that of CEC2 in single precision.
EXAMPLES: dict[str, dict[str, Any]] = {
    "cec2": {
        "sample_rate": 44100,
        "channels": 2,
        "dtype": "float32",
        "plugin": [
            {"id": "nalr", "audiogram": "N3", "nfir": 220},
            {
                "id": "compressor",
                "threshold": 0.35,
                "attenuation": 0.1,
                "attack_ms": 50,
                "release_ms": 1000,
                "rms_buffer_s": 0.064,
            },
            {"id": "softclip", "shape": "tanh"},
        ],
    },
    "parallel": {
        "plugin": [
            {
                "id": "parallel",
                "gains_db": [0, -6],
                "branch": [{}, {"plugin": [_QUIET_COMPRESSOR]}],
            },
            {"id": "limiter"},
        ]
    },
    "per_ear": {
        "channels": 2,
        "plugin": [{"id": "per_ear", "left": [_NALR], "right": [{"id": "gain", "gain_db": -3}]}],
    },
    "quieter": {"plugin": [{"id": "gain", "gain_db": -6.0}]},
}
_AID = "hearing_aid"


def rows() -> dict[str, str]:
    """Give the name of every row, and what it plays."""
    from rtcore.host import all_plugins

    shipped = [
        info
        for info in all_plugins()
        # One that needs what only the user has cannot be built from its name.
        if info.origin == "first-party" and info.cls is not None and not info.cls.needs()
    ]
    return {
        **{info.id: f"the plugin alone: {info.doc}" for info in shipped},
        _AID: "NAL-R, the compressor and the limiter for N3, as in rtcore demo",
        **{name: f"the chain of examples/chains/{name}.toml" for name in EXAMPLES},
    }


def chosen(names: Sequence[str]) -> list[str]:
    """Give the names of rows, in their order; all of them where none is named.

    Raises
    ------
    ConfigError
        Where there is no row of a name.
    """
    known = list(rows())
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError("bench", f"there is no row '{name}'{hint}; --list names all")
    return [name for name in known if name in names] if names else known


def build(
    name: str,
    sample_rate: float | None = None,
    channels: int | None = None,
    block_samples: int = 1,
) -> Chain:
    """Build the chain of a row.

    Parameters
    ----------
    name : str
        One of :func:`rows`.
    sample_rate : float, optional
        In Hz; the chain's own, or 48000, by default.
    channels : int, optional
        The chain's own, or 2, by default.
    block_samples : int
        Promised to the chain: one that works in hops is late by less in blocks that fit them.
    """
    config = _config(name)
    own = RATE_HZ if config.sample_rate is None else config.sample_rate
    return config.override(
        sample_rate=float(sample_rate or own),
        channels=channels or config.channels or CHANNELS,
        block_frames=block_samples,
    ).build()


def _config(name: str) -> ChainConfig:
    """Describe the chain of a row."""
    if name == _AID:
        from rtcore.hearing import resolve_listener
        from rtcore.presets import hearing_aid

        return ChainConfig(
            hearing_aid(resolve_listener("N3"), sample_rate=RATE_HZ, channels=CHANNELS)
        )
    if name in EXAMPLES:
        return parse(EXAMPLES[name])
    return parse({"plugin": [{"id": name, **_VALUES.get(name, {})}]})


def measure_row(
    name: str,
    *,
    block_samples: int = 64,
    seconds: float = 10.0,
    sample_rate: float | None = None,
    channels: int | None = None,
    hogged: bool = False,
    lookahead: bool = False,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Measure one row.

    Parameters
    ----------
    name : str
        One of :func:`rows`.
    block_samples : int
        Samples of a block.
    seconds : float
        How long it plays, twice so long where `hogged`.
    sample_rate : float, optional
        In Hz; the chain's own, or 48000, by default.
    channels : int, optional
        The chain's own, or 2, by default.
    hogged : bool
        Whether it plays again beside a busy Python thread.
    lookahead : bool
        Whether to measure the look-ahead as well, which takes half a minute.
    progress : function, optional
        Called with the seconds played since the last call.

    Returns
    -------
    dict
        JSON-able: the chain and its stream, durations in ms, ``declared`` and ``measured`` with
        latency and look-ahead in samples (None where unknown), and ``differs``, the names of those
        that do not agree.
    """
    chain = build(name, sample_rate, channels, block_samples)
    system = ChainSystem(chain, name)
    compute = measure_compute(
        system, block_samples=block_samples, seconds=seconds, hogged=hogged, progress=progress
    )
    declared = {
        "latency_samples": chain.latency_frames,
        "lookahead_samples": system.declared.implied_lookahead_samples,
    }
    measured = {
        "latency_samples": _latency(system),
        "lookahead_samples": _lookahead(system) if lookahead else None,
    }
    return {
        "name": name,
        "plays": [placed.node.plugin.id for placed in chain.nodes],
        "sample_rate_hz": chain.sample_rate,
        "channels": chain.channels_in,
        "dtype": str(chain.spec.dtype),
        "block_samples": compute.block_samples,
        "deadline_ms": compute.deadline_ms,
        "seconds": seconds,
        "idle": _plain(compute.idle),
        "hogged": None if compute.hogged is None else _plain(compute.hogged),
        "notes": list(compute.notes),
        "declared": declared,
        "measured": measured,
        "differs": [k for k, v in measured.items() if v is not None and v != declared[k]],
    }


def _plain(timing: Timing) -> dict[str, Any]:
    """Bring a record to what JSON knows."""
    return {
        **asdict(timing),
        "plugins": [dict(plugin) for plugin in timing.plugins],
        "histogram": [list(bucket) for bucket in timing.histogram],
    }


def _latency(system: ChainSystem) -> int | None:
    """Measure the delay in whole samples; None where it cannot be."""
    from rtcore.latency.delay import measure_delay

    found = measure_delay(system)
    return round(found.samples) if found.confidence > 0.0 else None


def _lookahead(system: ChainSystem) -> int:
    """Measure the look-ahead of the output as it stands, in samples."""
    from rtcore.latency.lookahead import measure_lookahead

    return measure_lookahead(system.in_full()).samples


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row's cells for a table, with their headings; durations in microseconds."""
    idle, hogged = row["idle"], row["hogged"]
    declared, measured = row["declared"], row["measured"]
    found = {
        "chain": row["name"],
        "rate Hz": round(row["sample_rate_hz"]),
        "block": row["block_samples"],
        "deadline us": round(1e3 * row["deadline_ms"]),
        **{f"{key} us": round(1e3 * idle["ms"][key], 1) for key in ("p50", "p99", "p99.9", "max")},
        "late": idle["late"],
        "of": idle["blocks"],
        "RTF %": round(100.0 * idle["rtf"], 2),
    }
    if hogged is not None:
        found["hogged p99.9 us"] = round(1e3 * hogged["ms"]["p99.9"], 1)
        found["hogged late"] = hogged["late"]
    found["latency declared"] = declared["latency_samples"]
    found["measured"] = _word(measured["latency_samples"])
    if measured["lookahead_samples"] is not None:
        found["look-ahead declared"] = _word(declared["lookahead_samples"])
        found["measured "] = measured["lookahead_samples"]
    return found


def _word(samples: int | None) -> int | str:
    return "unknown" if samples is None else samples


def disagreements(found: Sequence[dict[str, Any]]) -> list[str]:
    """Say of which rows declared and measured differ, one sentence each."""
    return [
        f"{row['name']}: {key.partition('_')[0]} of {row['declared'][key]} samples is declared, "
        f"{row['measured'][key]} are measured"
        for row in found
        for key in row["differs"]
    ]
