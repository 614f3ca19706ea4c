# SPDX-License-Identifier: MIT
"""Score a concealed sound: by models of listeners, and by its distance from the clean sound.

PLCMOS v2 and DNSMOS are those of Microsoft's package speechmos, PESQ of pesq and STOI of pystoi
(``pip install 'rtcore[plc]'``); every table names the package and its version.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.challenges.plc.distances import log_spectral_distance, si_sdr
from rtcore.errors import ConfigError, DeviceError, did_you_mean

__all__ = ["MEASURES", "PLCMOS_SEED", "SHORTEST_S", "Column", "Measure", "Scorer", "choose", "how"]

#: PLCMOS draws raters from NumPy's global generator; the challenge's script seeds it so.
PLCMOS_SEED = 23
#: PESQ takes nothing shorter.
SHORTEST_S = 0.25
_MODEL_HZ = 16000


@dataclass(frozen=True)
class Column:
    """A number that a measure gives.

    Attributes
    ----------
    key, label : str
        For programs, and for people.
    unit : str
        Empty for scores.
    higher_is_better : bool
        Whether a larger number means less damage.
    digits : int
        Behind the point, for people.
    """

    key: str
    label: str
    unit: str = ""
    higher_is_better: bool = True
    digits: int = 2


@dataclass(frozen=True)
class Measure:
    """A way to score.

    Attributes
    ----------
    columns : tuple of Column
        What it gives; the first is the one to look at.
    package : str
        Of PyPI, whose implementation this is; empty for rtcore's own.
    compares : bool
        Whether it needs the clean sound.
    model_rate : bool
        Whether the sound is brought to 16 kHz before.
    remark : str
        What a reader of its numbers must know.
    """

    columns: tuple[Column, ...]
    package: str = ""
    compares: bool = True
    model_rate: bool = True
    remark: str = ""


MEASURES: dict[str, Measure] = {
    "plcmos": Measure(
        (Column("plcmos_v2", "PLCMOS v2"),),
        "speechmos",
        compares=False,
        remark=f"NumPy seeded with {PLCMOS_SEED} before each clip",
    ),
    "dnsmos": Measure(
        (
            Column("dnsmos_ovrl", "DNSMOS OVRL"),
            Column("dnsmos_sig", "DNSMOS SIG"),
            Column("dnsmos_bak", "DNSMOS BAK"),
            Column("dnsmos_p808", "DNSMOS P.808"),
        ),
        "speechmos",
        compares=False,
    ),
    "pesq": Measure((Column("pesq_wb", "PESQ-WB"),), "pesq"),
    "stoi": Measure(
        (Column("stoi", "STOI", digits=3),), "pystoi", model_rate=False, remark="at 10 kHz inside"
    ),
    "lsd": Measure(
        (Column("lsd_db", "LSD", "dB", higher_is_better=False),),
        model_rate=False,
        remark="Hann 32 ms every 8 ms, floor -80 dB",
    ),
    "si-sdr": Measure((Column("si_sdr_db", "SI-SDR", "dB", digits=1),), model_rate=False),
}


def choose(names: Sequence[str] | None, *, compares: bool) -> tuple[str, ...]:
    """Check the names of measures; without any, give all that can be had.

    Parameters
    ----------
    names : sequence of str or None
        Of :data:`MEASURES`.
    compares : bool
        Whether there are clean sounds.

    Raises
    ------
    ConfigError
        Where a name is unknown, or needs clean sounds that are not there.
    """
    if names is None:
        return tuple(name for name, m in MEASURES.items() if compares or not m.compares)
    for name in names:
        if name not in MEASURES:
            what = f"there is no measure '{name}'{did_you_mean(name, MEASURES)}"
            raise ConfigError("--measures", f"{what}; choose among {', '.join(MEASURES)}")
        if MEASURES[name].compares and not compares:
            what = f"{name} compares with the clean sound; name its folder with --reference"
            raise ConfigError("--measures", what)
    return tuple(dict.fromkeys(names))


def how(measures: Sequence[str], sample_rates: Sequence[int] = ()) -> dict[str, str]:
    """Say how each measure was obtained: package, version, and what was done to the sound.

    Parameters
    ----------
    measures : sequence of str
        Of :data:`MEASURES`.
    sample_rates : sequence of int
        Of the clips, in Hz.

    Returns
    -------
    dict of str to str
        Measure to a line.
    """
    others = sorted({rate for rate in sample_rates if rate != _MODEL_HZ})
    lines = {}
    for name in measures:
        measure = MEASURES[name]
        package = measure.package or "rtcore"
        parts = [f"{package} {_version(package)}"]
        if measure.model_rate and others:
            rates = " and ".join(f"{rate:g} Hz" for rate in others)
            parts.append(f"at 16000 Hz, after resampling from {rates}")
        elif measure.model_rate:
            parts.append("at 16000 Hz")
        parts += [measure.remark] if measure.remark else []
        lines[name] = ", ".join(parts)
    return lines


class Scorer:
    """Scores clip after clip.

    Parameters
    ----------
    measures : sequence of str
        Of :data:`MEASURES`.

    Raises
    ------
    DeviceError
        Where a package is missing.
    """

    def __init__(self, measures: Sequence[str]) -> None:
        self.measures = tuple(measures)
        self._functions = {name: _LOADERS[name]() for name in self.measures}

    def score(
        self, heard: np.ndarray, sample_rate: int, clean: np.ndarray | None = None
    ) -> tuple[dict[str, float | None], list[str]]:
        """Score a clip.

        Parameters
        ----------
        heard : array, shape (frames,)
            Full scale is 1; at least 0.25 s.
        sample_rate : int
            In Hz.
        clean : array, shape (frames,), optional
            What it should sound like; measures that need it are left out without it.

        Returns
        -------
        scores : dict
            Column to value; None where a measure has none for this clip.
        notes : list of str
            Why a value is missing.
        """
        slow = _at_model_rate(heard, sample_rate)
        slow_clean = None if clean is None else _at_model_rate(clean, sample_rate)
        scores: dict[str, float | None] = {}
        notes: list[str] = []
        for name, function in self._functions.items():
            measure = MEASURES[name]
            if measure.compares and clean is None:
                continue
            x, s = (slow, slow_clean) if measure.model_rate else (heard, clean)
            rate = _MODEL_HZ if measure.model_rate else sample_rate
            try:
                values = function(x, s, rate)
            except _NoScoreError as error:
                notes.append(f"{measure.columns[0].label}: {error}")
                values = tuple(None for _ in measure.columns)
            scores.update(zip((c.key for c in measure.columns), values, strict=True))
        return scores, notes


class _NoScoreError(Exception):
    """A measure cannot judge this clip."""


#: Takes what was heard, the clean sound and the rate; gives one value for each column.
_Function = Callable[[np.ndarray, Any, int], tuple[float | None, ...]]


def _plcmos() -> _Function:
    model = _package("speechmos.plcmos", "speechmos", "plcmos").PLCMOS()
    model.session = _one_thread(model.model_path)

    def score(x: np.ndarray, _clean: None, _rate: int) -> tuple[float]:
        before = np.random.get_state()  # noqa: NPY002 - the package draws from this generator
        np.random.seed(PLCMOS_SEED)  # noqa: NPY002
        try:
            return (float(model(x)["plcmos"]),)
        finally:
            np.random.set_state(before)  # noqa: NPY002

    return score


def _dnsmos() -> _Function:
    package = _package("speechmos.dnsmos", "speechmos", "dnsmos")
    folder = Path(package.__file__).parent / "dnsmos_models"
    paths = [str(folder / name) for name in ("sig_bak_ovr.onnx", "model_v8.onnx")]
    model = package.DNSMOS(*paths)
    model.onnx_sess, model.p808_onnx_sess = map(_one_thread, paths)

    def score(x: np.ndarray, _clean: None, rate: int) -> tuple[float, ...]:
        found = model(x, rate, False)
        return tuple(float(found[k]) for k in ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos"))

    return score


def _pesq() -> _Function:
    package = _package("pesq", "pesq", "pesq")

    def score(x: np.ndarray, clean: np.ndarray, rate: int) -> tuple[float]:
        if not np.any(clean):
            raise _NoScoreError("the clean sound is silent")
        try:
            return (float(package.pesq(rate, clean, x, "wb")),)
        except package.NoUtterancesError:
            raise _NoScoreError("no speech was found in it") from None
        except ValueError:  # what became of silence inside
            raise _NoScoreError("nothing is to be heard in it") from None

    return score


def _stoi() -> _Function:
    package = _package("pystoi", "pystoi", "stoi")

    def score(x: np.ndarray, clean: np.ndarray, rate: int) -> tuple[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                return (float(package.stoi(clean, x, rate)),)
            except (RuntimeWarning, ValueError):
                raise _NoScoreError("there is too little speech in it") from None

    return score


def _lsd() -> _Function:
    return lambda x, clean, rate: (log_spectral_distance(clean, x, rate),)


def _si_sdr() -> _Function:
    def score(x: np.ndarray, clean: np.ndarray, _rate: int) -> tuple[float]:
        value = si_sdr(clean, x)
        if np.isnan(value):
            raise _NoScoreError("the clean sound is silent")
        return (value,)

    return score


_LOADERS: dict[str, Callable[[], _Function]] = {
    "plcmos": _plcmos,
    "dnsmos": _dnsmos,
    "pesq": _pesq,
    "stoi": _stoi,
    "lsd": _lsd,
    "si-sdr": _si_sdr,
}


def _package(module: str, package: str, measure: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        what = f"{measure} needs the package {package}, which cannot be used ({error})"
        remedy = "run `pip install 'rtcore[plc]'`, or leave it out with --measures"
        raise DeviceError(f"{what}; {remedy}") from error


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _one_thread(model: str) -> Any:
    """Open a model so that each of our processes uses one core; its numbers stay the same."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _at_model_rate(x: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring a sound to 16 kHz, within full scale: the models refuse what lies outside."""
    x = np.asarray(x, float)
    if sample_rate != _MODEL_HZ:
        from scipy.signal import resample_poly

        common = gcd(sample_rate, _MODEL_HZ)
        x = resample_poly(x, _MODEL_HZ // common, sample_rate // common)
    return np.clip(x, -1.0, 1.0)
