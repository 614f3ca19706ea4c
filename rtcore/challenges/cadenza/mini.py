# SPDX-License-Identifier: MIT
"""Make a little Cadenza set that is whole and valid: to try everything in a minute."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.atomicfile import write_whole
from rtcore.audiofile import read, write
from rtcore.challenges.cadenza.at_mic import at_mic_jobs, make_file, write_songs
from rtcore.challenges.cadenza.band import played
from rtcore.challenges.cadenza.layout import find_places
from rtcore.challenges.cadenza.metadata import MIXTURE, SAMPLE_RATE_HZ, STEMS
from rtcore.challenges.cadenza.scenes import write_scenes
from rtcore.challenges.people import listener_entry
from rtcore.challenges.plc.setwriter import whole_folder
from rtcore.challenges.resampling import resampled
from rtcore.errors import ConfigError
from rtcore.hearing import Audiogram, Listener, standard_audiogram

__all__ = ["MiniSettings", "make_mini"]

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
_LEVELS_DB = (-10, -6, -3, 3, 6, 10)
_ANGLES = (22.5, 30, 37.5)
_MIC, _SUBJECT = "BTE_fr", "MINI"
_HEAD_RADIUS_M, _SOUND_M_S = 0.0875, 343.0
_TAPS, _DELAY = 128, 16
_LISTENERS = {"L0001": "N2 N2", "L0002": "N3 N3", "L0003": "S2 S1", "L0004": "N4 N3"}
#: At which the challenges' listeners are measured.
_CLARITY_HZ = (250.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0)
#: Far below full scale: NAL-R adds up to 25 dB, and nothing shall be clipped.
_PEAK = 0.04


@dataclass(frozen=True)
class MiniSettings:
    """What a little set shall be like.

    Attributes
    ----------
    tracks, seconds : int, float
        How many tracks, and how long each is.
    scenes, listeners : int
        Of each track, and of each scene.
    seed : int
        The same seed gives the same bytes.
    """

    tracks: int = 2
    seconds: float = 3.0
    scenes: int = 1
    listeners: int = 2
    seed: int = 0


def make_mini(
    target: Path, settings: MiniSettings = MiniSettings(), stems: Path | None = None
) -> dict[str, int]:
    """Make a set: music, impulse responses, metadata, scenes, and the music at the microphones.

    Parameters
    ----------
    target : Path
        A new folder; it appears when it is whole.
    settings : MiniSettings
        How much of it.
    stems : Path, optional
        A folder of tracks (each with vocals, drums, bass and other), or with a folder of sounds
        for each stem. A band made from nothing plays where there is none.

    Returns
    -------
    dict of str to int
        How many tracks, scenes, pairs and files of sound there are.

    Raises
    ------
    ConfigError
        Where the target is in the way, or the stems are not all there.
    """
    with whole_folder(target) as folder:
        names = []
        for number, (name, track) in enumerate(_tracks(settings, stems)):
            names.append(f"{number + 1:02d} {name}")
            _write_track(folder / "audio" / "music" / "train" / names[-1], track)
        _write_responses(folder / "audio" / "hrtf")
        _write_metadata(folder / "metadata", names)
        places = find_places(folder, "train")
        scenes, heard, _ = write_scenes(
            places, per_track=settings.scenes, per_scene=settings.listeners
        )
        files = [make_file(job.task) for job in at_mic_jobs(places)]
        write_songs(places)
    pairs = sum(len(listeners) for listeners in heard.values())
    return {"tracks": len(names), "scenes": len(scenes), "pairs": pairs, "files": len(files)}


# -- music ----------------------------------------------------------------------------------------


def _tracks(
    settings: MiniSettings, stems: Path | None
) -> Iterator[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Give the tracks' names and stems."""
    if stems is None:
        for number in range(settings.tracks):
            seed = 1000 * settings.seed + number
            yield (
                f"Made from nothing {seed}",
                {stem: played(stem, settings.seconds, seed) for stem in STEMS},
            )
        return
    frames = round(settings.seconds * SAMPLE_RATE_HZ)
    for number, files in enumerate(_sources(stems, settings.tracks)):
        random = np.random.default_rng([settings.seed, number])
        name = next(iter(files.values())).parent.name if _is_track(files) else stems.resolve().name
        yield name, {stem: _excerpt(path, frames, random) for stem, path in files.items()}


def _is_track(files: dict[str, Path]) -> bool:
    return len({path.parent for path in files.values()}) == 1


def _sources(folder: Path, count: int) -> Iterator[dict[str, Path]]:
    """Find the files of tracks; the first ones again where there are too few."""
    if not folder.is_dir():
        raise ConfigError(str(folder), "is no folder; name one with stems of music")
    tracks = sorted(
        {path.parent for path in folder.rglob(f"{STEMS[0]}.*") if path.suffix in _SUFFIXES}
    )
    found = {track: _stems_of(track) for track in tracks}
    whole = [files for files in found.values() if len(files) == len(STEMS)]
    if whole:
        for track, files in found.items():
            lacking = [stem for stem in STEMS if stem not in files]
            if lacking:
                what = f"has no {' and no '.join(lacking)}; add it, or take the track away"
                raise ConfigError(str(track), what)
        yield from itertools.islice(itertools.cycle(whole), count)
        return
    apart = {stem: _sounds(folder / stem) for stem in STEMS}
    missing = [stem for stem, sounds in apart.items() if not sounds]
    if missing:
        what = f"has no track with {', '.join(STEMS)}, and no sounds in {', '.join(missing)}"
        raise ConfigError(str(folder), f"{what}; name a folder of tracks, or of such folders")
    for number in range(count):
        yield {stem: sounds[number % len(sounds)] for stem, sounds in apart.items()}


def _stems_of(track: Path) -> dict[str, Path]:
    found = {stem: [track / f"{stem}{suffix}" for suffix in _SUFFIXES] for stem in STEMS}
    there = {stem: [path for path in paths if path.exists()] for stem, paths in found.items()}
    return {stem: paths[0] for stem, paths in there.items() if paths}


def _sounds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def _excerpt(path: Path, frames: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Take a piece of a file, in stereo at 44.1 kHz; a short one is played again and again."""
    x, rate = read(path)
    y = resampled(np.tile(x, (2, 1)) if len(x) == 1 else x[:2], rate, SAMPLE_RATE_HZ)
    if y.shape[-1] < frames:
        y = np.tile(y, -(-frames // max(1, y.shape[-1])))
    begin = int(random.integers(y.shape[-1] - frames + 1))
    return np.asarray(y[:, begin : begin + frames])


def _write_track(folder: Path, stems: dict[str, NDArray[np.float64]]) -> None:
    """Write stems, and the mixture that is their sum, below full scale."""
    folder.mkdir(parents=True)
    mixture = np.sum(list(stems.values()), axis=0)
    peak = max(float(np.abs(x).max(initial=0.0)) for x in (mixture, *stems.values()))
    scale = _PEAK / peak if peak > 0.0 else 1.0
    for name, x in {MIXTURE: mixture, **stems}.items():
        path = folder / f"{name}.wav"
        write(path, scale * x, SAMPLE_RATE_HZ, subtype="PCM_16", round_=True)


# -- heads ----------------------------------------------------------------------------------------


def _write_responses(folder: Path) -> None:
    """Write what a loudspeaker at each angle sends to the two ears of a round head."""
    folder.mkdir(parents=True)
    for angle, (side, sign) in itertools.product(_ANGLES, (("n", -1.0), ("p", 1.0))):
        ears = [_response(sign * angle, ear) for ear in (-1.0, 1.0)]
        write(folder / f"{_MIC}-{_SUBJECT}-{side}{angle}.wav", np.stack(ears), SAMPLE_RATE_HZ)


def _response(angle_degrees: float, ear: float) -> NDArray[np.float64]:
    """Give the impulse response of one ear: -1 left, 1 right.

    The delay is R. S. Woodworth's (Experimental Psychology, 1938), the shadow of the head a shelf
    after C. P. Brown and R. O. Duda ("A structural model for binaural sound synthesis", IEEE
    Trans. Speech Audio Process. 6(5), 1998), applied between 0 Hz and half the sample rate.
    """
    lateral = np.radians(angle_degrees) * ear  # towards this ear > 0
    radius_s = _HEAD_RADIUS_M / _SOUND_M_S
    delay_s = -radius_s * np.sin(lateral) if lateral > 0 else -radius_s * lateral
    hz = np.fft.rfftfreq(_TAPS, 1.0 / SAMPLE_RATE_HZ)
    turn = 1j * hz * 2.0 * np.pi * radius_s / 2.0
    shelf = (1.0 + (1.0 + np.sin(lateral)) * turn) / (1.0 + turn)
    late = np.exp(-2j * np.pi * hz * (_DELAY / SAMPLE_RATE_HZ + delay_s))
    return np.asarray(0.5 * np.fft.irfft(shelf * late, _TAPS))


# -- metadata -------------------------------------------------------------------------------------


def _write_metadata(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    files: dict[str, Any] = {
        "gains.json": {f"gain_{k + 1:04d}": gains for k, gains in enumerate(_all_gains())},
        "head_loudspeaker_positions.json": {
            f"hlp_{k + 1:04d}": {
                "subject": _SUBJECT,
                "left_angle": -left,
                "right_angle": right,
                "mic": _MIC,
            }
            for k, (left, right) in enumerate(itertools.product(_ANGLES, _ANGLES))
        },
        "listeners.train.json": {
            id_: listener_entry(_listener(id_, losses)) for id_, losses in _LISTENERS.items()
        },
        "musdb18.train.json": [
            {"Track Name": name, "Split": "train", "Path": f"train/{name}"} for name in names
        ],
    }
    for name, content in files.items():
        text = json.dumps(content, indent=4, ensure_ascii=False)
        write_whole(folder / name, text, "the metadata")


def _all_gains() -> Iterator[dict[str, int]]:
    """Give the challenge's gains: none to three of the stems altered, by 3, 6 or 10 dB."""
    for altered in range(4):
        for which in itertools.combinations(STEMS, altered):
            for levels in itertools.product(_LEVELS_DB, repeat=altered):
                yield dict.fromkeys(STEMS, 0) | dict(zip(which, levels, strict=True))


def _listener(id_: str, losses: str) -> Listener:
    """Make a listener of two standard losses."""
    left, right = (
        Audiogram(standard_audiogram(name).resample(_CLARITY_HZ).levels_db_hl, _CLARITY_HZ)
        for name in losses.split()
    )
    return Listener(left, right, id_, id_)
