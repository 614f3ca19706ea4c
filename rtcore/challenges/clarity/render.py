# SPDX-License-Identifier: MIT
"""Render scenes with pyclarity's own renderer, scene by scene, on all cores.

A scene is rendered into a folder of its own, and its files get their names when all are there.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rtcore.batch import Job, Ledger, Outcome, fingerprint, run_jobs
from rtcore.batch.ledger import made_folder
from rtcore.challenges.clarity.scenes import Cec1Scene, Scene, read_scenes
from rtcore.errors import AudioFileError, ConfigError, DeviceError, RtcoreError

__all__ = ["RenderPlaces", "RenderSettings", "places_of", "render", "render_jobs", "scenes_of"]

_SIGNALS = ("target", "interferer", "mix")


@dataclass(frozen=True)
class RenderPlaces:
    """Where the renderer finds what it needs, and where scenes go."""

    rooms: Path
    hoa_irs: Path
    hrirs: Path
    hrir_data: Path
    targets: Path
    interferers: Path
    scenes: Path


@dataclass(frozen=True)
class RenderSettings:
    """How scenes are rendered; the defaults are CEC2's.

    Attributes
    ----------
    order : int
        Of the ambisonics.
    equalise : bool
        Make all interferers equally loud first.
    reference : int
        Microphone pair at which the ratio is set.
    norms : tuple of float
        By which the pairs' signals are divided.
    """

    order: int = 6
    equalise: bool = False
    reference: int = 1
    norms: tuple[float, ...] = (12.0, 3.0, 3.0, 3.0)


@dataclass(frozen=True)
class Task:
    """One scene to be rendered."""

    scene: dict[str, Any] = field(repr=False)
    outputs: tuple[Path, ...] = ()


def places_of(root: Path, split: str) -> RenderPlaces:
    """Give the places of a challenge's own folder."""
    part = root / split
    return RenderPlaces(
        rooms=root / "metadata" / f"rooms.{split}.json",
        hoa_irs=part / "rooms" / "HOA_IRs",
        hrirs=root / "hrir" / "HRIRs_MAT",
        hrir_data=root / "metadata" / "hrir_data.json",
        targets=part / "targets",
        interferers=part / "interferers",
        scenes=part / "scenes",
    )


def scenes_of(path: Path) -> list[Scene]:
    """Read scenes of CEC2.

    Raises
    ------
    ConfigError
        Where they are no such scenes: those of CEC1 have impulse responses for two ears.
    """
    found = read_scenes(path)
    scenes = [scene for scene in found if isinstance(scene, Scene)]
    if len(scenes) < len(found) or any(isinstance(s, Cec1Scene) for s in found):
        raise ConfigError(str(path), "holds scenes of CEC1, which are not rendered; name CEC2's")
    return scenes


def render_jobs(
    scenes: list[Scene], places: RenderPlaces, settings: RenderSettings
) -> Iterator[Job]:
    """List the jobs: the files of a scene each."""
    for scene in scenes:
        outputs = _outputs(scene, places.scenes, settings)
        entry = scene.model_dump()
        text = json.dumps([entry, repr(settings), _version()], sort_keys=True)
        try:
            key = fingerprint(text, *_inputs(scene, places))
        except AudioFileError:
            key = ""  # the worker finds the same fault and reports it
        yield Job(scene.scene, outputs[0], key, Task(entry, outputs), outputs[1:])


def _outputs(scene: Scene, folder: Path, settings: RenderSettings) -> tuple[Path, ...]:
    mics = range(len(scene.listener.hrir_filename))
    names = [f"{kind}_CH{mic}.wav" for mic in mics for kind in _SIGNALS]
    names += [f"target_anechoic_CH{settings.reference}.wav", "hr.wav"]
    return tuple(folder / f"{scene.scene}_{name}" for name in names)


def _inputs(scene: Scene, places: RenderPlaces) -> list[Path]:
    """List the files that a scene is rendered from."""
    heard = [("t", places.targets / f"{scene.target.name}.wav")]
    heard += [
        (f"i{k}", places.interferers / one.type / one.name)
        for k, one in enumerate(scene.interferers, 1)
    ]
    responses = [places.hoa_irs / f"HOA_{scene.room}_{name}.wav" for name, _ in heard]
    heads = [places.hrirs / f"{name}.mat" for name in scene.listener.hrir_filename]
    return [*(path for _, path in heard), *responses, *heads, places.hrir_data, places.rooms]


def render(
    scenes: list[Scene],
    places: RenderPlaces,
    ledger: Ledger,
    settings: RenderSettings = RenderSettings(),
    **how: Any,
) -> Iterator[Outcome]:
    """Render scenes; what an earlier run rendered from the same files is skipped.

    Parameters
    ----------
    scenes : list of Scene
        Which ones.
    places : RenderPlaces
        Where everything lies.
    ledger : Ledger
        Of ``places.scenes``, within its ``writing()``.
    settings : RenderSettings
        How.
    **how
        Of :func:`rtcore.batch.run_jobs`: workers, scheduler.

    Yields
    ------
    Outcome
        One for each scene, as they end.

    Raises
    ------
    DeviceError
        Where pyclarity is missing.
    """
    _pyclarity()
    jobs = render_jobs(scenes, places, settings)
    yield from run_jobs(jobs, _work, ledger, setup=(_set_up, (places, settings)), **how)


class _Renderer:
    """pyclarity's renderer; its table of rotations takes seconds to make."""

    def __init__(self, places: RenderPlaces, settings: RenderSettings) -> None:
        for path in (places.rooms, places.hrir_data):
            if not path.is_file():
                what = "is missing, and scenes are rendered with it"
                raise ConfigError(str(path), f"{what}; unpack the challenge's core data")
        self._places, self._norms = places, list(settings.norms)
        self._paths = SimpleNamespace(
            hoairs=str(places.hoa_irs),
            hrirs=str(places.hrirs),
            targets=str(places.targets),
            interferers=f"{places.interferers}/{{type}}",
            scenes="",
        )
        metadata = SimpleNamespace(
            room_definitions=str(places.rooms), hrir_metadata=str(places.hrir_data)
        )
        module = _pyclarity()
        module.tqdm = lambda items: items
        self._renderer = module.SceneRenderer(
            self._paths,
            metadata,
            ambisonic_order=settings.order,
            equalise_loudness=settings.equalise,
            reference_channel=settings.reference,
            channel_norms=self._norms,
        )

    def work(self, task: Task) -> dict[str, Any]:
        """Render the scene of a job."""
        scene = Scene.model_validate(task.scene)
        for path in _inputs(scene, self._places):
            if not path.is_file():
                what = f"is missing, and scene {scene.scene} is rendered from it"
                raise ConfigError(str(path), f"{what}; unpack the challenge's data, or make it")
        if scene.room not in self._renderer.room_dict:
            what = f"scene {scene.scene} is in the room '{scene.room}', which is not in it"
            raise ConfigError(str(self._places.rooms), f"{what}; build both lists again")
        target = task.outputs[0].parent
        part = made_folder(target / f".rtcore-{scene.scene}.rendering")
        try:
            self._paths.scenes = str(part)
            # As many as there are microphones: it refuses more.
            self._renderer.channel_norms = self._norms[: len(scene.listener.hrir_filename)]
            try:
                with warnings.catch_warnings():  # SciPy's, of chunks that other programs wrote
                    warnings.simplefilter("ignore")
                    self._renderer.render_scenes([task.scene])
            except (ValueError, IndexError, KeyError, TypeError) as error:
                what = f"cannot be rendered ({type(error).__name__}: {error})"
                raise RtcoreError(
                    f"{scene.scene}: {what}; check its sounds and its times"
                ) from error
            for path in task.outputs:
                (part / path.name).replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return {"frames": scene.duration, "files": len(task.outputs)}


def _pyclarity() -> Any:
    try:
        import clarity.data.scene_renderer_cec2 as renderer
    except ImportError as error:
        what = f"rendering needs the package pyclarity, which cannot be used ({error})"
        raise DeviceError(f"{what}; run `pip install 'rtcore[clarity]'`") from error
    return renderer


def _version() -> str:
    from importlib import metadata

    return metadata.version("pyclarity")


#: The renderer of this worker process.
_own: list[_Renderer] = []


def _set_up(places: RenderPlaces, settings: RenderSettings) -> None:
    _own[:] = [_Renderer(places, settings)]


def _work(task: Task) -> dict[str, Any]:
    return _own[0].work(task)
