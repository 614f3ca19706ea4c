# SPDX-License-Identifier: MIT
"""Who listens: audiograms, listeners, the gain they need, and how loud a number is."""

from __future__ import annotations

from rtcore.hearing.audiogram import CLARITY_FREQUENCIES_HZ, Audiogram
from rtcore.hearing.bisgaard import BISGAARD, BISGAARD_FREQUENCIES_HZ, standard_audiogram
from rtcore.hearing.calibration import (
    Calibration,
    calibration_path,
    load_calibration,
    load_calibrations,
    save_calibration,
)
from rtcore.hearing.listener import Listener, load_listeners, read_listener, resolve_listener
from rtcore.hearing.prescription import (
    MAX_NFIR,
    NALR_FREQUENCIES_HZ,
    OCTAVES_HZ,
    check_nfir,
    gain_per_octave,
    nalr_gain_at_db,
    nalr_gain_db,
    nalr_taps,
)

__all__ = [
    "BISGAARD",
    "BISGAARD_FREQUENCIES_HZ",
    "CLARITY_FREQUENCIES_HZ",
    "MAX_NFIR",
    "NALR_FREQUENCIES_HZ",
    "OCTAVES_HZ",
    "Audiogram",
    "Calibration",
    "Listener",
    "calibration_path",
    "check_nfir",
    "gain_per_octave",
    "load_calibration",
    "load_calibrations",
    "load_listeners",
    "nalr_gain_at_db",
    "nalr_gain_db",
    "nalr_taps",
    "read_listener",
    "resolve_listener",
    "save_calibration",
    "standard_audiogram",
]
