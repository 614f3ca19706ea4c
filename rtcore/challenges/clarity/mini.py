# SPDX-License-Identifier: MIT
"""Make a little set in the format of CEC2: a newcomer tries the whole flow in a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtcore.audiofile import read, write
from rtcore.challenges.clarity import head
from rtcore.challenges.clarity.mini_rooms import HEAD, MICROPHONES, write_heads, write_room
from rtcore.challenges.clarity.scenes import (
    RATE_HZ,
    Head,
    Interferer,
    Place,
    Room,
    Scene,
    Target,
    Turn,
    View,
)
from rtcore.challenges.forms import write_json
from rtcore.challenges.people import listener_entry
from rtcore.challenges.plc.setwriter import whole_folder
from rtcore.challenges.plc.sources import clean_files
from rtcore.challenges.resampling import resampled
from rtcore.errors import RtcoreError
from rtcore.hearing import CLARITY_FREQUENCIES_HZ, Audiogram, Listener, standard_audiogram
from rtcore.synth import speech_like

__all__ = ["MiniSettings", "make_mini"]

_SPEECH_RMS = 0.0178  # 65 dB SPL
_AFTER = 255  # frames that a head's impulse response of 256 adds to each file
_INT16 = 32767.0 / 32768.0  # the official renderer writes 32767 times the sample, cut
_DISTANCE_M = 1.5
_PLACES = 3  # of a file that are tried before it counts as silent
#: A scene that is built begins up to 2 s before its target and ends 1 s after it.
_BUILT_LONGER_S = 3.0
_AZIMUTHS_DEG = ((-60.0, 45.0, 90.0), (30.0, -90.0, -30.0), (75.0, -45.0, 120.0))
#: Left and right ear, after Bisgaard; the challenge caps thresholds at 80 dB HL.
_EARS = (("N3", "N3"), ("N4", "N4"), ("S2", "N3"), ("N2", "N4"))
_CAP_DB_HL = 80.0


@dataclass(frozen=True)
class MiniSettings:
    """What a little set shall be like.

    Attributes
    ----------
    scenes : int
        How many.
    listeners : int
        For each scene, up to four.
    seconds : float
        Length of the target's speech; a scene has half a second more.
    snr_db : tuple of float
        Between which the ratio of target to interferers is drawn, at the better ear.
    split : str
        Name of the set: "dev".
    seed : int
        The same seed gives the same bytes.
    rooms : bool
        Whether there is what the official builder and renderer need: about 4 MB for each scene.
    """

    scenes: int = 3
    listeners: int = 2
    seconds: float = 2.0
    snr_db: tuple[float, float] = (0.0, 10.0)
    split: str = "dev"
    seed: int = 0
    rooms: bool = False


def make_mini(
    folder: Path,
    settings: MiniSettings = MiniSettings(),
    *,
    speech: Path | None = None,
    noise: Path | None = None,
    on_scene: Callable[[int], None] | None = None,
) -> list[Scene]:
    """Make a set; the folder appears when all of it is there.

    Parameters
    ----------
    folder : Path
        A folder that does not exist yet or is empty; it gets ``clarity_data``.
    settings : MiniSettings
        What the set shall be like.
    speech, noise : Path, optional
        Folders of sounds for targets and interferers; made from nothing where None.
    on_scene : function, optional
        Called with 1 for each scene.

    Returns
    -------
    list of Scene

    Raises
    ------
    ConfigError, AudioFileError
        Where the folder is in use or there are no sounds; nothing is left then.
    """
    with whole_folder(folder) as part:
        maker = _Maker(part / "clarity_data", settings, speech, noise)
        for number in range(settings.scenes):
            maker.add(number)
            if on_scene is not None:
                on_scene(1)
        maker.close()
    return maker.scenes


class _Maker:
    """Writes scene after scene, and the lists at the end."""

    def __init__(
        self, root: Path, settings: MiniSettings, speech: Path | None, noise: Path | None
    ) -> None:
        self._settings, self._root = settings, root
        self._set = root / settings.split
        self._speech = [] if speech is None else clean_files(speech)
        self._noise = [] if noise is None else clean_files(noise)
        self.scenes: list[Scene] = []
        self._rooms: list[Room] = []
        self._targets: list[dict[str, Any]] = []
        self._maskers: dict[str, list[dict[str, Any]]] = {"speech": [], "noise": []}
        for name in ("scenes", "targets", "interferers/speech", "interferers/noise"):
            (self._set / name).mkdir(parents=True)
        (root / "metadata").mkdir()

    def add(self, number: int) -> None:
        """Make a scene: a target ahead, two interferers beside it, in a room."""
        rng = np.random.default_rng([self._settings.seed, number])
        frames = round(self._settings.seconds * RATE_HZ)
        start = round(rng.uniform(0.25, 0.35) * RATE_HZ)
        duration = start + frames + round(0.2 * RATE_HZ)
        room = _room(number)
        maskers = [
            self._masker(kind, duration, number, k + 1)
            for k, kind in enumerate(("noise", "speech"))
        ]
        scene = Scene(
            dataset=self._settings.split,
            room=room.name,
            scene=f"S{6001 + number:05d}",
            target=Target(
                name=self._target(frames, number), time_start=start, time_end=start + frames
            ),
            duration=duration,
            interferers=maskers,
            SNR=round(float(rng.uniform(*self._settings.snr_db)), 4),
            listener=Head(
                rotation=[Turn(sample=float(start + k), angle=90.0) for k in (0, 8820)],
                hrir_filename=[f"{HEAD}-{mic}" for mic in MICROPHONES],
            ),
        )
        self._render(scene, _AZIMUTHS_DEG[number % len(_AZIMUTHS_DEG)], rng)
        self.scenes.append(scene)
        self._rooms.append(room)

    def _target(self, frames: int, number: int) -> str:
        """Write the target's dry speech; give its name."""
        name = f"T001_MIN_{number + 1:05d}"
        x = self._sound(self._speech, frames, number, 0)
        write(self._set / "targets" / f"{name}.wav", 0.9 * x / np.abs(x).max(), RATE_HZ,
              subtype="PCM_16")  # fmt: skip
        self._targets.append(
            {"prompt": "", "prompt_id": f"MIN_{number + 1:05d}", "speaker": "T001",
             "wavfile": name, "index": number + 1, "dot": "", "dataset": self._settings.split,
             "sex": "M", "nsamples": frames, "duration": frames / RATE_HZ, "fs": RATE_HZ}
        )  # fmt: skip
        return name

    def _masker(self, kind: Any, frames: int, number: int, position: int) -> Interferer:
        """Write an interferer's dry sound; give its entry of the scene."""
        files = self._speech if kind == "speech" else self._noise
        name = f"{'mini' if kind == 'speech' else 'CIN_mini'}_{number + 1:03d}"
        x = self._sound(files, frames, number, position, steady=kind == "noise")
        path = self._set / "interferers" / kind / f"{name}.wav"
        write(path, 0.5 * x / np.abs(x).max(), RATE_HZ, subtype="PCM_16")
        facts = {"dataset": self._settings.split, "nsamples": frames,
                 "duration": frames / RATE_HZ, "fs": RATE_HZ, "type": kind}  # fmt: skip
        if kind == "speech":
            self._maskers[kind].append({"utterances": [], "speaker": name, **facts})
        else:
            self._maskers[kind].append(
                {"ID": name, "class": "Mini", "source": "", "file": "", **facts}
            )
        return Interferer(
            position=position, time_start=0, time_end=frames, type=kind, name=path.name, offset=0
        )

    def _sound(
        self, files: list[Path], frames: int, number: int, which: int, *, steady: bool = False
    ) -> np.ndarray:
        """Read a piece of a file, another one where it is silent, or make one from nothing."""
        seed = 1000 * self._settings.seed + 10 * number + which
        if not files:
            speech = speech_like(frames / RATE_HZ, RATE_HZ, seed=seed)[:frames]
            return _steady(speech, seed) if steady else speech
        first, rng = (number + 7 * which) % len(files), np.random.default_rng(seed)
        for path in (*files[first:], *files[:first]):
            for _ in range(_PLACES):
                piece = _piece(path, frames, rng)
                if np.any(piece):
                    return piece
        raise RtcoreError(f"{path.parent}: the pieces taken from its files are silent; "
                          "take other sounds")  # fmt: skip

    def _render(self, scene: Scene, azimuths: tuple[float, ...], rng: np.random.Generator) -> None:
        """Write what the microphones hear."""
        total = scene.duration + _AFTER
        dry = np.zeros(total)
        active = slice(scene.target.time_start, scene.target.time_end)
        dry[active] = self._dry("targets", scene.target.name)
        noises = [
            np.pad(self._dry(f"interferers/{i.type}", i.name), (0, _AFTER))
            for i in scene.interferers
        ]
        tails = [head.room_tail(x, rng, RATE_HZ) for x in (dry, *noises)]
        gains: tuple[float, float] | None = None
        for mic in (1, 0, 2, 3):  # levels are set at the front microphones
            target = head.at_ears(dry, 0.0, mic, RATE_HZ) + tails[0]
            noise = sum(
                head.at_ears(x, azimuth, mic, RATE_HZ) + tail
                for x, azimuth, tail in zip(noises, azimuths, tails[1:], strict=False)
            )
            gains = gains or _gains(target[:, active], np.asarray(noise)[:, active], scene.SNR)
            target, noise = gains[0] * target, gains[1] * np.asarray(noise)
            self._write(scene, f"target_CH{mic}", target)
            self._write(scene, f"interferer_CH{mic}", noise)
            self._write(scene, f"mix_CH{mic}", target + noise)
        direct = head.at_ears(dry, 0.0, 1, RATE_HZ)
        self._write(scene, "target_anechoic_CH1", direct / np.abs(direct).max())
        still = np.full((1, scene.duration), -1.0)  # the view vector, by the official formula
        write(self._set / "scenes" / f"{scene.scene}_hr.wav", still, RATE_HZ, subtype="DOUBLE")

    def _dry(self, folder: str, name: str) -> np.ndarray:
        return read(self._set / folder / f"{name.removesuffix('.wav')}.wav", "float64")[0][0]

    def _write(self, scene: Scene, what: str, x: np.ndarray) -> None:
        path = self._set / "scenes" / f"{scene.scene}_{what}.wav"
        write(path, _INT16 * x, RATE_HZ, subtype="PCM_16")

    def close(self) -> None:
        """Write the lists."""
        folder, split = self._root / "metadata", self._settings.split
        people = {f"L{k + 1:04d}": _listener(k) for k in range(len(_EARS))}
        ids = list(people)
        heard = {
            scene.scene: [
                ids[(k + n) % len(ids)] for n in range(min(self._settings.listeners, len(ids)))
            ]
            for k, scene in enumerate(self.scenes)
        }
        lists: dict[str, Any] = {
            f"scenes.{split}": self.scenes,
            f"rooms.{split}": self._rooms,
            "listeners": {id_: listener_entry(person) for id_, person in people.items()},
            f"scenes_listeners.{split}": heard,
            "target_speech_list": self._targets,
            "masker_speech_list": self._maskers["speech"],
            "masker_nonspeech_list": self._maskers["noise"],
            "masker_music_list": [],
            "mini": {"made_by": "rtcore clarity make-mini", "settings": asdict(self._settings)},
        }
        if self._settings.rooms:
            self._add_rooms(lists["masker_music_list"])
        for name, content in lists.items():
            write_json(folder / f"{name}.json", content)

    def _add_rooms(self, music: list[dict[str, Any]]) -> None:
        """Write what scenes are built and rendered from: the longest that the builder may draw."""
        frames = round((self._settings.seconds + _BUILT_LONGER_S) * RATE_HZ)
        for position, kind in enumerate(("noise", "speech"), 1):
            self._masker(kind, frames, len(self.scenes), position)
        name = "mini_music.wav"
        (self._set / "interferers/music").mkdir()
        write(self._set / "interferers/music" / name, _chords(frames), RATE_HZ, subtype="PCM_16")
        music.append(
            {"track": "mini", "artist": "mini", "album": "mini", "file": name, "type": "music",
             "license": "", "dataset": self._settings.split, "nsamples": frames,
             "duration": frames / RATE_HZ, "fs": RATE_HZ}
        )  # fmt: skip
        write_heads(self._root)
        for number, room in enumerate(self._rooms):
            rng = np.random.default_rng([self._settings.seed, number, 1])
            write_room(self._set / "rooms", room, rng)


def _piece(path: Path, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take a piece of a file's first channel; a short one is played again and again."""
    x, rate = read(path, "float64")
    x = resampled(x[:1], rate, RATE_HZ)[0]
    x = np.tile(x, -(-frames // len(x)))
    at = rng.integers(0, len(x) - frames + 1)
    return np.asarray(x[at : at + frames])


def _chords(frames: int) -> np.ndarray:
    """Play a plain chord every half second."""
    t = np.arange(frames) / RATE_HZ
    x = np.sum([np.sin(2.0 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6, 440.0)], axis=0)
    return np.asarray(0.1 * x * np.exp(-6.0 * (t % 0.5)))


def _gains(target: np.ndarray, noise: np.ndarray, snr_db: float) -> tuple[float, float]:
    """Give the factors that make the target 65 dB SPL and the better ear's ratio what it shall be.

    Levels are plain RMS; the official renderer weights them for speech.
    """
    level, other = (np.sqrt(np.mean(x**2, axis=1)) for x in (target, noise))
    gain = _SPEECH_RMS / float(level.max())
    ratio = float((level / other).max())
    return gain, gain * ratio * 10.0 ** (-snr_db / 20.0)


def _steady(x: np.ndarray, seed: int) -> np.ndarray:
    """Make noise with the long-term spectrum of a sound, by giving it other phases."""
    spectrum = np.fft.rfft(x)
    phases = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, len(spectrum))
    return np.asarray(np.fft.irfft(np.abs(spectrum) * np.exp(1j * phases), len(x)))


def _listener(number: int) -> Listener:
    """Make a listener of the list."""
    name = f"L{number + 1:04d}"
    left, right = (
        Audiogram([min(_CAP_DB_HL, 5.0 * round(ear.at(f) / 5.0)) for f in CLARITY_FREQUENCIES_HZ])
        for ear in map(standard_audiogram, _EARS[number])
    )
    return Listener(left, right, name, name)


def _room(number: int) -> Room:
    """Make a room: the listener looks along the second axis, at the target."""
    azimuths = np.radians(_AZIMUTHS_DEG[number % len(_AZIMUTHS_DEG)])
    across, along = -_DISTANCE_M * np.sin(azimuths), 2.0 + _DISTANCE_M * np.cos(azimuths)
    around = [
        [round(float(x), 4), round(float(y), 4), 1.2] for x, y in zip(across, along, strict=True)
    ]
    return Room(
        name=f"R{6001 + number:05d}",
        dimensions="5.0x6.0x2.8",
        target=View(position=[0.0, 2.0 + _DISTANCE_M, 1.2], view_vector=[0.0, -1.0, 0.0]),
        listener=View(position=[0.0, 2.0, 1.2], view_vector=[0.0, 1.0, 0.0]),
        interferers=[Place(position=position) for position in around],
    )
