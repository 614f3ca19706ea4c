# SPDX-License-Identifier: MIT
"""Find a Clarity set in its folder: lists, scenes, and the files of a scene.

File names differ between the challenges and between their documents and their files::

    S06001_mix_CH1.wav              CEC2, CEC3      S06001_mixed_CH1.wav        CEC1, documents
    S06001_target_anechoic_CH1.wav  CEC2            S06001_target_anechoic.wav  CEC1, documents
    S06001_reference.wav            CEC3

Either spelling is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rtcore.challenges.people import (
    Pair,
    People,
    SceneListeners,
    read_people,
    read_scene_listeners,
)
from rtcore.errors import ConfigError, did_you_mean

__all__ = ["EDITIONS", "OUTPUT", "ClaritySet", "Edition", "Signals", "find_set", "set_root"]

#: What a hearing aid's output is called, after its scene and its listener.
OUTPUT = "{scene}_{listener}_HA-output.wav"

_MIXES = ("{scene}_mix_CH{mic}.wav", "{scene}_mixed_CH{mic}.wav")
_TARGETS = ("{scene}_target_CH{mic}.wav",)
_ANECHOIC = ("{scene}_target_anechoic_CH1.wav", "{scene}_target_anechoic.wav")
_REFERENCES = ("{scene}_reference.wav",)
_LISTENERS = "listeners.json"
_HEARD = "scenes_listeners"
_HEADER_BYTES = 44  # of a WAV file


@dataclass(frozen=True)
class Edition:
    """What distinguishes the challenges.

    Attributes
    ----------
    name : str
        ``"cec2"`` (CEC1 too) or ``"cec3"``.
    folder : str
        Of the hearing aids' outputs.
    subtype : str
        libsndfile's name of the samples' type in them.
    sample_rate : int
        Of the official baseline, in Hz.
    mics : tuple of int
        Which microphone pairs the baseline hears; the mean of several.
    """

    name: str
    folder: str
    subtype: str
    sample_rate: int
    mics: tuple[int, ...]


EDITIONS = {
    "cec2": Edition("cec2", "enhanced_signals", "PCM_16", 44100, (1,)),
    "cec3": Edition("cec3", "amplified_signals", "FLOAT", 48000, (1, 2, 3)),
}


@dataclass(frozen=True)
class Signals:
    """The sounds of scenes.

    Attributes
    ----------
    folder : Path
        Where they lie.
    """

    folder: Path

    def mix(self, scene: str, mic: int) -> Path:
        """Give what a pair of microphones hears (0: close to the ear-drums)."""
        return self._find(_MIXES, scene, mic)

    def target(self, scene: str, mic: int = 1) -> Path:
        """Give the target alone at a pair of microphones."""
        return self._find(_TARGETS, scene, mic)

    def anechoic(self, scene: str) -> Path:
        """Give the target without a room."""
        return self._find(_ANECHOIC, scene)

    def reference(self, scene: str) -> Path | None:
        """Give CEC3's reference; None where there is none, as in the other challenges."""
        path = self.folder / _REFERENCES[0].format(scene=scene)
        return path if path.is_file() else None

    def _find(self, names: tuple[str, ...], scene: str, mic: int = 1) -> Path:
        """Give the file that is there; the first name where none is, for whoever needs it.

        A link that git has checked out as a text is none: the set's repository has such.
        """
        paths = [self.folder / name.format(scene=scene, mic=mic) for name in names]
        return next((path for path in paths if _is_sound(path)), paths[0])

    def scenes(self) -> set[str]:
        """Name the scenes of which there is a mix."""
        found = self.folder.glob("*_CH1.wav")
        ends = ("_mix_CH1.wav", "_mixed_CH1.wav")
        return {p.name.removesuffix(end) for p in found for end in ends if p.name.endswith(end)}


@dataclass(frozen=True)
class ClaritySet:
    """A set that was found.

    Attributes
    ----------
    signals : Signals
        Its scenes.
    people : People
        Its listeners.
    heard : SceneListeners
        Who hears what.
    edition : Edition
        Of which challenge it is.
    """

    signals: Signals
    people: People
    heard: SceneListeners
    edition: Edition

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs of scene and listener, in the order of the list."""
        return list(self.heard.pairs())

    def chosen(self, scenes: tuple[str, ...]) -> list[Pair]:
        """Give the pairs of some scenes; of all where none is named.

        Raises
        ------
        ConfigError
            Where the list has no such scene.
        """
        for scene in scenes:
            if scene not in self.heard.by_scene:
                hint = did_you_mean(scene, self.heard.by_scene)
                what = f"has no scene '{scene}'{hint}; name one of its {len(self.heard.by_scene)}"
                raise ConfigError(str(self.heard.path), what)
        return [pair for pair in self.pairs if not scenes or pair.scene in scenes]


def _is_sound(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size >= _HEADER_BYTES
    except OSError:
        return False


def find_set(
    source: Path,
    *,
    split: str | None = None,
    scenes: Path | None = None,
    listeners: Path | None = None,
    heard: Path | None = None,
) -> ClaritySet:
    """Find a set in its folder.

    Parameters
    ----------
    source : Path
        ``clarity_data``, the folder above it, or any with ``metadata`` and ``scenes``.
    split : str, optional
        ``train``, ``dev`` or ``eval``; needed where there are several.
    scenes, listeners, heard : Path, optional
        The folder of the scenes' sounds, ``listeners.json`` and ``scenes_listeners.json``, where
        they lie elsewhere.

    Raises
    ------
    ConfigError
        Where one is missing or empty, or there are several.
    """
    root = set_root(source)
    folder = scenes or _scenes_folder(root, split)
    if not folder.is_dir():
        what = "is no folder of scenes; check --split, --scenes and the set's name"
        raise ConfigError(str(folder), what)
    if next(folder.glob("*.wav"), None) is None:
        what = "has no wav file in it; render its scenes first, or name their folder with --scenes"
        raise ConfigError(str(folder), what)
    if split is None and folder.parent.parent == root:
        split = folder.parent.name
    signals = Signals(folder)
    people = read_people(listeners or root / "metadata" / _LISTENERS)
    pairs = read_scene_listeners(heard or _heard_file(root, split))
    return ClaritySet(signals, people, pairs, _edition(signals, pairs))


def set_root(source: Path) -> Path:
    """Find the folder that has metadata/: this one, or ``clarity_data`` in it.

    Raises
    ------
    ConfigError
        Where there is no such folder.
    """
    if not source.is_dir():
        raise ConfigError(str(source), "is no folder; name the set's, with metadata/ in it")
    for folder in (source, source / "clarity_data"):
        if (folder / "metadata").is_dir():
            return folder
    return source


def _scenes_folder(root: Path, split: str | None) -> Path:
    """Find the folder of the scenes' sounds."""
    if split is not None:
        return root / split / "scenes"
    found = [path for path in sorted(_candidates(root)) if path.is_dir()]
    if len(found) == 1:
        return found[0]
    if not found:
        what = "has no scenes/ and no dev/scenes/ in it; name the folder with --scenes"
        raise ConfigError(str(root), what)
    names = ", ".join(path.parent.name for path in found)
    raise ConfigError(str(root), f"has several sets of scenes ({names}); choose with --split")


def _candidates(root: Path) -> Iterator[Path]:
    yield root / "scenes"
    yield from root.glob("*/scenes")


def _heard_file(root: Path, split: str | None) -> Path:
    """Find the list of who hears what."""
    folder = root / "metadata"
    plain = folder / f"{_HEARD}.json"
    if split is not None and (folder / f"{_HEARD}.{split}.json").is_file():
        return folder / f"{_HEARD}.{split}.json"
    if plain.is_file():
        return plain
    found = sorted(folder.glob(f"{_HEARD}*.json"))
    if len(found) == 1:
        return found[0]
    what = f"has {len(found)} files {_HEARD}*.json; name one with --scenes-listeners"
    raise ConfigError(str(folder), what)


def _edition(signals: Signals, heard: SceneListeners) -> Edition:
    """Tell CEC3, which has references, from the others."""
    with_reference = any(signals.reference(scene) for scene in heard.by_scene)
    return EDITIONS["cec3" if with_reference else "cec2"]
