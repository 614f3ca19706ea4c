# SPDX-License-Identifier: MIT
"""Draw rooms and scenes with pyclarity's own builder: same seed, same scenes.

The builder draws from Python's and NumPy's global generators, which are seeded once: the scenes of
``dev`` continue the random stream of ``train`` when both are drawn in one run, as in the official
recipe. It also changes how Python's json writes floats; here that ends with the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rtcore.atomicfile import write_whole
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity.scenes import read_scenes
from rtcore.errors import ConfigError, DeviceError
from rtcore.hearing.listener_files import read_json

__all__ = ["SPLITS", "BuildSettings", "Split", "build", "heads_of", "with_rooms_of"]

HEADS = (
    "BuK", "DADEC", "KEMAR", "VP_E1", "VP_E2", "VP_E4", "VP_E5", "VP_E6", "VP_E7", "VP_E8", "VP_E9",
    "VP_E11", "VP_E12", "VP_E13", "VP_N1", "VP_N3", "VP_N4", "VP_N5", "VP_N6",
)  # fmt: skip
_MICS = ("ED", "BTE_fr", "BTE_mid", "BTE_rear")


@dataclass(frozen=True)
class Split:
    """A part of the data, as the official recipe draws it.

    Attributes
    ----------
    name : str
        ``"train"``, ``"dev"`` or ``"demo"``.
    rooms, first_room : int
        How many room files there are, and the number of the first.
    scenes, first_scene : int
        How many scenes to draw, and the number of the first.
    rooms_at_random : bool
        Draw each scene's room; else they follow one another.
    rooms_from : str
        The part in whose folder the room files lie.
    """

    name: str
    rooms: int
    first_room: int
    scenes: int
    first_scene: int
    rooms_at_random: bool = False
    rooms_from: str = ""


#: In the official order, which decides what is drawn.
SPLITS = {
    "train": Split("train", 6000, 1, 6000, 1),
    "dev": Split("dev", 2500, 6001, 2500, 6001),
    "demo": Split("demo", 200, 6001, 100, 6001, rooms_at_random=True, rooms_from="dev"),
}


@dataclass(frozen=True)
class BuildSettings:
    """How scenes are drawn; the defaults are CEC2's.

    Times are in frames, angles in degrees.
    """

    seed: int = 0
    snr_db: tuple[float, float] = (-12, 6)
    interferers: tuple[int, ...] = (2, 3)
    before: tuple[int, int] = (66150, 88200)
    after: tuple[int, int] = (44100, 44100)
    heads: tuple[str, ...] = HEADS
    mics: tuple[str, ...] = _MICS
    turn: dict[str, Any] = field(
        default_factory=lambda: {
            "relative_start_time_range": [-28004, 38147],
            "duration_mean": 8820,
            "duration_sd": 441,
            "angle_initial_mean": 25,
            "angle_initial_sd": 5,
            "angle_final_range": [0, 10],
        }
    )


def build(
    root: Path,
    splits: list[Split],
    settings: BuildSettings = BuildSettings(),
    *,
    again: bool = False,
    on_split: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Write ``metadata/rooms.<split>.json`` and ``metadata/scenes.<split>.json``.

    Parameters
    ----------
    root : Path
        ``clarity_data``, with the room files and the lists of targets and maskers.
    splits : list of Split
        Which parts, in the order in which they are drawn.
    settings : BuildSettings
        How.
    again : bool
        Draw lists that are there already. By default they stay, as in the official recipe; a part
        that is passed over draws no random numbers.
    on_split : function, optional
        Called with 1 for each part.

    Returns
    -------
    dict of str to int
        Scenes drawn for each part; 0 where its list was there.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    ConfigError
        Where a list or a room file is missing or damaged.
    """
    made_folder(root / "metadata")
    counts = {}
    with _pyclarity_json() as (builder, encoder):
        builder.set_random_seed(settings.seed)
        for split in splits:
            rooms = root / "metadata" / f"rooms.{split.name}.json"
            scenes = root / "metadata" / f"scenes.{split.name}.json"
            counts[split.name] = 0
            if again or not rooms.exists():
                _write(rooms, _rooms(builder, root, split), encoder)
            if again or not scenes.exists():
                drawn = _scenes(builder, root, rooms, split, settings)
                _write(scenes, drawn, encoder)
                counts[split.name] = len(drawn)
            if on_split is not None:
                on_split(1)
    for split in splits:
        read_scenes(root / "metadata" / f"scenes.{split.name}.json")
    return counts


def _rooms(builder: Any, root: Path, split: Split) -> list[dict[str, Any]]:
    """Read the rooms from RAVEN's project files."""
    place = root / (split.rooms_from or split.name) / "rooms" / "rpf"
    maker = builder.RoomBuilder()
    with _told(str(place)):
        maker.build_from_rpf(str(place), n_rooms=split.rooms, start_room=split.first_room)
    rooms: list[dict[str, Any]] = maker.rooms
    return rooms


def _scenes(
    builder: Any, root: Path, rooms: Path, split: Split, settings: BuildSettings
) -> list[dict[str, Any]]:
    """Draw scenes in the official order of random numbers."""
    lists = root / "metadata"
    _check_targets(lists / "target_speech_list.json", split.name)
    maker = builder.RoomBuilder()
    maker.load(str(rooms))
    scene_maker = builder.SceneBuilder(
        rb=maker,
        scene_datasets={
            "n_scenes": split.scenes,
            "room_selection": "RANDOM" if split.rooms_at_random else "SEQUENTIAL",
            "scene_start_index": split.first_scene,
        },
        target={
            "target_speakers": str(lists / "target_speech_list.json"),
            "target_selection": "SEQUENTIAL",
            "pre_samples_range": list(settings.before),
            "post_samples_range": list(settings.after),
        },
        interferer={
            "speech_interferers": str(lists / "masker_speech_list.json"),
            "noise_interferers": str(lists / "masker_nonspeech_list.json"),
            "music_interferers": str(lists / "masker_music_list.json"),
            "number": list(settings.interferers),
            "start_time_range": [0, 0],
            "end_early_time_range": [0, 0],
        },
        snr_range=list(settings.snr_db),
        listener={"heads": list(settings.heads), "channels": list(settings.mics), **settings.turn},
        shuffle_rooms=False,
    )
    with _told(str(lists)):
        scene_maker.instantiate_scenes(split.name)
    drawn: list[dict[str, Any]] = scene_maker.scenes
    return [{**scene, "room": scene["room"]["name"]} for scene in drawn]


def _write(path: Path, content: list[dict[str, Any]], encoder: Any) -> None:
    """Write a list as the official builder does: floats with four decimals."""
    with encoder():
        text = json.dumps(content, indent=2)
    write_whole(path, text, "the list")


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Say in a sentence what the builder's own code raises."""
    try:
        yield
    except FileNotFoundError as error:
        what = f"lacks {Path(error.filename or '').name}, which scenes are drawn from"
        raise ConfigError(place, f"{what}; unpack the challenge's core data") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        what = f"cannot be drawn from ({type(error).__name__}: {error})"
        raise ConfigError(place, f"{what}; is it the challenge's own?") from error


@contextmanager
def _pyclarity_json() -> Iterator[tuple[Any, Any]]:
    """Import the builder without leaving its changes in Python's json and random numbers."""
    import random

    import numpy as np

    encoder = json.encoder
    kept = encoder.c_make_encoder  # type: ignore[attr-defined]
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - as it does
    try:
        import clarity.data.scene_builder_cec2 as builder
    except ImportError as error:
        what = f"scenes need the package pyclarity, which cannot be used ({error})"
        raise DeviceError(f"{what}; run `pip install 'rtcore[clarity]'`") from error
    finally:
        encoder.c_make_encoder = kept  # type: ignore[attr-defined]
        vars(encoder).pop("float", None)

    @contextmanager
    def rounding() -> Iterator[None]:
        encoder.c_make_encoder = None  # type: ignore[attr-defined]
        encoder.float = builder.RoundingFloat  # type: ignore[attr-defined]
        try:
            yield
        finally:
            encoder.c_make_encoder = kept  # type: ignore[attr-defined]
            del encoder.float  # type: ignore[attr-defined]

    tqdm, builder.tqdm = builder.tqdm, lambda items: items
    try:
        yield builder, rounding
    finally:
        builder.tqdm = tqdm
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002 - as it does


def with_rooms_of(root: Path, split: Split) -> Split:
    """Give a part that uses the rooms of which there are project files.

    Raises
    ------
    ConfigError
        Where there are none.
    """
    place = root / (split.rooms_from or split.name) / "rooms" / "rpf"
    numbers = {
        int(path.name[1:6])
        for path in place.glob("R*_t.rpf")
        if re.fullmatch(r"R\d{5}_t\.rpf", path.name)
    }
    if not numbers:
        raise ConfigError(str(place), "holds no R*_t.rpf; unpack the challenge's core data")
    first = split.first_room if split.first_room in numbers else min(numbers)
    count = next(n for n in range(1, len(numbers) + 2) if first + n not in numbers)
    return replace(split, first_room=first, rooms=min(split.rooms, count))


def heads_of(root: Path) -> tuple[str, ...]:
    """Give the heads that scenes may have: the challenge's, or those of a set without any of them.

    Parameters
    ----------
    root : Path
        ``clarity_data``; a head is in ``hrir/HRIRs_MAT``, with all its microphones.
    """
    places = [path.stem for path in (root / "hrir" / "HRIRs_MAT").glob(f"*-{_MICS[0]}.mat")]
    found = sorted(place.removesuffix(f"-{_MICS[0]}") for place in places)
    return HEADS if not found or set(found) & set(HEADS) else tuple(found)


def _check_targets(path: Path, split: str) -> None:
    """Refuse a list without targets for a part; the builder would draw scenes without any."""
    found = read_json(path)
    entries = found if isinstance(found, list) else []
    if not any(isinstance(e, dict) and e.get("dataset") == split for e in entries):
        what = f"has no target whose dataset is '{split}'"
        raise ConfigError(str(path), f"{what}; name another part, or the challenge's own list")
