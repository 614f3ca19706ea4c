# SPDX-License-Identifier: MIT
"""How loud a number is: between amplitudes in the computer and dB SPL at the ear.

A calibration is one number per device and direction: the sound pressure level that an RMS of
1.0 stands for. Nobody has measured it at first; then 100 dB SPL is assumed (the convention of
the Clarity and Cadenza challenges), and each level shown is marked as uncalibrated.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import tempfile
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Final, Literal, get_args

from rtcore.errors import ConfigError

Direction = Literal["input", "output"]

DEFAULT_DB_SPL_AT_RMS_1: Final = 100.0
MIN_DB_SPL_AT_RMS_1: Final = 0.0
MAX_DB_SPL_AT_RMS_1: Final = 200.0

_REMEDY: Final = "delete the file and run 'rtcore calibrate' again"
_CREST_OF_SINE: Final = math.sqrt(2.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What sound pressure level a signal stands for.

    Parameters
    ----------
    db_spl_at_rms_1 : float
        Level of a signal whose RMS is 1.0, 0 to 200 dB SPL. A full-scale sine (peak 1.0) is
        3 dB below it: 97 dB SPL by default.
    measured : bool
        False for the assumed value: every level is then marked as uncalibrated.

    Raises
    ------
    ConfigError
        When the level is not a number from 0 to 200.

    Examples
    --------
    >>> Calibration().describe(Calibration().db_spl(1 / math.sqrt(2)))
    '97 dB SPL (uncalibrated)'
    """

    db_spl_at_rms_1: float = DEFAULT_DB_SPL_AT_RMS_1
    measured: bool = False

    def __post_init__(self) -> None:
        """Refuse a level that no microphone or loudspeaker has."""
        level = self.db_spl_at_rms_1
        bad_type = isinstance(level, bool) or not isinstance(level, Real)
        if bad_type or not MIN_DB_SPL_AT_RMS_1 <= level <= MAX_DB_SPL_AT_RMS_1:
            what = (
                f"must be a number from {MIN_DB_SPL_AT_RMS_1:g} to "
                f"{MAX_DB_SPL_AT_RMS_1:g} dB SPL, got {reprlib.repr(level)}"
            )
            raise ConfigError("calibration.db_spl_at_rms_1", what)
        object.__setattr__(self, "db_spl_at_rms_1", float(level))

    @classmethod
    def from_reading(cls, reading_db_spl: float, rms: float) -> Calibration:
        """Make a measured calibration from a sound level meter.

        Parameters
        ----------
        reading_db_spl : float
            What the meter shows, in dB SPL.
        rms : float
            RMS of the signal that was played, or that the microphone delivered, above 0.
        """
        if not (math.isfinite(rms) and rms > 0.0):
            what = f"the signal's RMS is {rms:g}; play or record a tone while you read the meter"
            raise ConfigError("calibration", what)
        return cls(reading_db_spl - 20.0 * math.log10(rms), measured=True)

    def db_spl(self, rms: float) -> float:
        """Give the level in dB SPL of a signal with this RMS; minus infinity for silence."""
        if rms <= 0.0:
            return -math.inf
        return 20.0 * math.log10(rms) + self.db_spl_at_rms_1

    def rms_for_db_spl(self, db_spl: float) -> float:
        """Give the RMS of a signal with this level.

        It is also the peak below which no signal of any shape can exceed the level.
        """
        return float(10.0 ** ((db_spl - self.db_spl_at_rms_1) / 20.0))

    def peak_for_db_spl(self, db_spl: float) -> float:
        """Give the peak amplitude of a sine with this level (3 dB above its RMS)."""
        return _CREST_OF_SINE * self.rms_for_db_spl(db_spl)

    def db_spl_of_peak(self, peak: float) -> float:
        """Give the level in dB SPL of a sine with this peak amplitude."""
        return self.db_spl(peak / _CREST_OF_SINE)

    def describe(self, db_spl: float) -> str:
        """Write a level for people, with a mark until the device has been measured."""
        return f"{db_spl:.0f} dB SPL{'' if self.measured else ' (uncalibrated)'}"


def calibration_path(folder: str | os.PathLike[str] | None = None) -> Path:
    """Give the file in which calibrations are stored (the user's configuration folder)."""
    if folder is None:
        from platformdirs import user_config_dir

        folder = user_config_dir("rtcore")
    return Path(folder, "calibration.json")


def load_calibrations(
    folder: str | os.PathLike[str] | None = None,
) -> dict[tuple[str, Direction], Calibration]:
    """Read all stored calibrations by device and direction; none where nothing was stored.

    Raises
    ------
    ConfigError
        When the file is there and cannot be read or understood.
    """
    path = calibration_path(folder)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(str(path), f"cannot be read ({reason}); {_REMEDY}") from None
    return _parse(text, path)


def load_calibration(
    device: str, direction: Direction, *, folder: str | os.PathLike[str] | None = None
) -> Calibration:
    """Give the stored calibration of a device, or the unmeasured default.

    Parameters
    ----------
    device : str
        Name of the device, as the device list shows it.
    direction : {"input", "output"}
        Microphone side or loudspeaker side.
    folder : path, optional
        Where the store lies; the user's configuration folder when absent.

    Raises
    ------
    ConfigError
        When the store cannot be read or understood.
    """
    _check_direction(direction)
    return load_calibrations(folder).get((device, direction), Calibration())


def save_calibration(
    calibration: Calibration,
    device: str,
    direction: Direction,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Store the calibration of a device, in place of an earlier one.

    Returns
    -------
    Path
        The file written (to a temporary name first, then renamed).

    Raises
    ------
    ConfigError
        When the store cannot be read, understood or written.
    """
    _check_direction(direction)
    stored = load_calibrations(folder) | {(device, direction): calibration}
    entries = [
        {
            "device": name,
            "direction": side,
            "db_spl_at_rms_1": value.db_spl_at_rms_1,
            "measured": value.measured,
        }
        for (name, side), value in sorted(stored.items())
    ]
    path = calibration_path(folder)
    try:
        _write_by_rename(path, json.dumps({"calibrations": entries}, indent=2) + "\n")
    except OSError as error:
        what = f"cannot be written ({error.strerror}); make the folder writable"
        raise ConfigError(str(path), what) from None
    return path


def _check_direction(direction: str) -> None:
    """Refuse anything but input and output."""
    if direction not in get_args(Direction):
        what = f"must be 'input' or 'output', got {reprlib.repr(direction)}"
        raise ConfigError("direction", what)


def _parse(text: str, path: Path) -> dict[tuple[str, Direction], Calibration]:
    """Check the stored text."""
    from pydantic import ValidationError  # it takes a tenth of a second

    from rtcore.hearing._schemas import CalibrationFile, first_problem

    try:
        content = CalibrationFile.model_validate(json.loads(text))
    except ValidationError as error:
        key, what = first_problem(error)
        place = f"{path}: {key}" if key else str(path)
        raise ConfigError(place, f"{what}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise ConfigError(str(path), f"is not JSON; {_REMEDY}") from None
    stored: dict[tuple[str, Direction], Calibration] = {}
    for index, entry in enumerate(content.calibrations):
        place = f"{path}: calibrations[{index}]"
        if (entry.device, entry.direction) in stored:
            what = f"the {entry.direction} of '{entry.device}' comes twice; {_REMEDY}"
            raise ConfigError(place, what)
        try:
            value = Calibration(entry.db_spl_at_rms_1, entry.measured)
        except ConfigError as error:
            raise ConfigError(f"{place}.db_spl_at_rms_1", f"{error.what}; {_REMEDY}") from None
        stored[entry.device, entry.direction] = value
    return stored


def _write_by_rename(path: Path, text: str) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
