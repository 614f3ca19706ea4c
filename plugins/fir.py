# SPDX-License-Identifier: MIT
"""Any filter that is given by its impulse response.

The latency it declares is the place of the main peak of the impulse response, so that a branch
beside it can be aligned by it.  For the usual linear-phase filters this is the group delay.
"""

from __future__ import annotations

import os
import reprlib
from pathlib import Path

import numpy as np

from rtcore import ParameterError, Plugin, Prepared, RtcoreError, Setting, Spec, kernel
from rtcore.dsp import fir_block, fir_buffers, fir_facts

MAX_TAPS = 65536

_FORMS = "a list of numbers, one such list for each channel, or a WAV, .npy, .txt or .csv file"
_TEXT_SUFFIXES = (".txt", ".csv", ".tsv")


def _checked(value: object) -> object:
    """Keep the name of a file; turn anything else into rows of numbers."""
    if isinstance(value, (str, os.PathLike)):
        if not os.fspath(value):
            raise ValueError(f"is an empty name; give {_FORMS}")
        return os.fspath(value)
    return _rows(value).tolist()


def _rows(value: object) -> np.ndarray:
    """Give taps as an array (1 or channels, taps), or say what is wrong with them."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError("has channels of different lengths; fill the shorter with zeros") from None
    if array.size == 0:
        raise ValueError(f"is empty; give at least one number: {_FORMS}")
    if array.dtype.kind not in "iuf" or array.ndim not in {1, 2}:
        raise ValueError(f"must be {_FORMS}, got {reprlib.repr(value)}")
    rows = np.atleast_2d(array.astype(np.float64))
    if rows.shape[1] > MAX_TAPS:
        raise ValueError(f"has {rows.shape[1]} taps, at most {MAX_TAPS} are allowed; cut it")
    bad = np.argwhere(~np.isfinite(rows))
    if bad.size:
        channel, tap = bad[0]
        raise ValueError(
            f"tap {tap} of channel {channel} is {rows[channel, tap]}; all must be finite"
        )
    return rows


def _from_file(path: Path, sample_rate: float) -> np.ndarray:
    """Read taps from a file of any kind."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _rows(np.load(path, allow_pickle=False))
    if suffix in _TEXT_SUFFIXES:
        return _rows(_from_text(path.read_text("utf-8-sig")))
    return _rows(_from_sound(path, sample_rate))


def _from_text(text: str) -> np.ndarray:
    """Read one line for each tap and one column for each channel, or all taps in one line."""
    # Where semicolons part the numbers, a comma is a decimal comma.
    plain = text.replace(",", ".").replace(";", " ") if ";" in text else text.replace(",", " ")
    lines = [line.partition("#")[0].split() for line in plain.splitlines()]
    table = [[float(word) for word in line] for line in lines if line]
    if len({len(line) for line in table}) > 1:
        raise ValueError("has lines of different lengths; write one column for each channel")
    array = np.array(table)
    return array if len(table) <= 1 else array.T


def _from_sound(path: Path, sample_rate: float) -> np.ndarray:
    """Read an impulse response that was recorded or exported as sound."""
    from rtcore.audiofile import info, read

    header = info(path)
    if header.sample_rate != sample_rate:
        raise ValueError(
            f"has {header.sample_rate} Hz and the stream has {sample_rate:g} Hz; resample the file"
        )
    if header.frames is not None and header.frames > MAX_TAPS:
        raise ValueError(f"has {header.frames} taps, at most {MAX_TAPS} are allowed; cut it")
    return read(path)[0]


class FIR(Plugin):
    """Filter the sound with an impulse response of your own."""

    id = "fir"
    taps = Setting(
        [1.0],
        validate=_checked,
        doc=f"impulse response: {_FORMS} (one line for each tap, one column for each channel)",
    )
    state = {"position": "i8"}
    buffers = {"taps": "real[:, :]", "history": "real[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Load the taps and bring them to the stream's channels."""
        rows = self._load(spec)
        if rows.shape[0] not in {1, spec.channels}:
            what = (
                f"has {rows.shape[0]} channels and the stream has {spec.channels}; give one list "
                "of taps for all channels, or one for each"
            )
            raise ParameterError("taps", what)
        with np.errstate(over="ignore", under="ignore"):
            heard = rows.astype(spec.dtype)
        if not np.isfinite(heard).all():
            raise ParameterError("taps", f"has numbers too large for {spec.dtype}; scale them down")
        buffers = fir_buffers(heard, spec.channels, spec.max_frames)
        return Prepared(**fir_facts(heard), buffers=buffers)

    def _load(self, spec: Spec) -> np.ndarray:
        if not isinstance(self.taps, str):
            return _rows(self.taps)
        path = Path(self.taps).expanduser()
        try:
            return _from_file(path, spec.sample_rate)
        except OSError as error:
            what = (
                f"{path}: cannot be read ({error.strerror or error}); check its name and its rights"
            )
        except RtcoreError as error:
            what = str(error)
        except (ValueError, EOFError) as error:
            what = f"{path}: {error}"
        raise ParameterError("taps", what)

    @kernel
    def process(x, y, state, taps, history):
        """Convolve; see :func:`rtcore.dsp.fir_block`."""
        state.position = fir_block(x, taps, history, state.position, y)
