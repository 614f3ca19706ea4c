# SPDX-License-Identifier: MIT
"""What the official builder and renderer read beside a little set: rooms, ambisonics, heads.

Rooms are project files with no more than the builder looks for. Impulse responses are a plane wave
in spherical harmonics of order 6 (N3D) and a decaying diffuse noise, seen from the listener:
x ahead, y to the right, z up, as in the challenge's own files. Heads are the sphere of
:mod:`rtcore.challenges.clarity.head` at virtual loudspeakers all around.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.atomicfile import write_whole
from rtcore.audiofile import write
from rtcore.challenges.clarity import head
from rtcore.challenges.clarity.scenes import RATE_HZ, Place, Room
from rtcore.challenges.forms import write_json

__all__ = ["HEAD", "MICROPHONES", "harmonics", "write_heads", "write_room"]

#: Name of the head, and of its microphone pairs CH0 to CH3.
HEAD, MICROPHONES = "MINI", ("ED", "BTE_fr", "BTE_mid", "BTE_rear")
_ORDER = 6
_LOUDSPEAKERS, _TAPS = 91, 256
_SOUND_M_S = 344.0
#: Brings speech with a peak of 0.9 to about 65 dB SPL behind the renderer's division by 3.
_GAIN = 0.2
#: The renderer divides the ear-drums' signals by 12, which are louder in real heads.
_EAR_DRUM_GAIN = 4.0
_RT60_S, _TAIL_DB = 0.1, -12.0


def harmonics(directions: NDArray[np.float64], order: int = _ORDER) -> NDArray[np.float64]:
    """Give real spherical harmonics degree by degree (ambisonic channel numbers), in N3D.

    Parameters
    ----------
    directions : array, shape (count, 3)
        Unit vectors.
    order : int
        The highest.

    Returns
    -------
    numpy.ndarray, shape (count, (order + 1) ** 2)
    """
    from scipy.special import lpmv

    x, y, z = directions.T
    azimuth = np.arctan2(y, x)
    columns = []
    for degree in range(order + 1):
        for index in range(-degree, degree + 1):
            m = abs(index)
            ratio = math.factorial(degree - m) / math.factorial(degree + m)
            norm = math.sqrt((2 * degree + 1) * (1 if m == 0 else 2) * ratio)
            turn = np.cos(m * azimuth) if index >= 0 else np.sin(m * azimuth)
            columns.append((-1) ** m * norm * lpmv(m, degree, z) * turn)
    return np.stack(columns, axis=1)


def write_room(folder: Path, room: Room, rng: np.random.Generator) -> None:
    """Write a room's project files and its ambisonic impulse responses.

    Parameters
    ----------
    folder : Path
        ``rooms`` of a part of the set.
    room : Room
        Where everybody is.
    rng : numpy.random.Generator
        Draws what the walls add.
    """
    sources: dict[str, Place] = {"t": room.target}
    sources |= {f"i{k}": place for k, place in enumerate(room.interferers, 1)}
    for name in ("rpf", "HOA_IRs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        path = folder / "rpf" / f"{room.name}_{name}.rpf"
        write_whole(path, _project(room, source), "the room")
        response = _ambisonics(room, source, rng)
        path = folder / "HOA_IRs" / f"HOA_{room.name}_{name}.wav"
        write(path, response, RATE_HZ, subtype="FLOAT")


def write_heads(root: Path) -> None:
    """Write a head's impulse responses at four pairs of microphones, and how they are decoded.

    Parameters
    ----------
    root : Path
        ``clarity_data``; ``hrir/HRIRs_MAT`` and ``metadata/hrir_data.json`` are written.
    """
    from scipy.io import savemat

    around = _around(_LOUDSPEAKERS)
    folder = root / "hrir" / "HRIRs_MAT"
    folder.mkdir(parents=True)
    for mic, name in enumerate(MICROPHONES):
        gain = _EAR_DRUM_GAIN if mic == 0 else 1.0
        # The formulas' head has y to the left.
        ears = [head.response_to(each * (1.0, -1.0, 1.0), mic, _TAPS, RATE_HZ) for each in around]
        savemat(folder / f"{HEAD}-{name}.mat", {"M_data": gain * np.stack(ears).transpose(2, 0, 1)})
    about: dict[str, Any] = {
        "selected_channels": [True] * _LOUDSPEAKERS,
        "matrix": (harmonics(around) / math.sqrt(4.0 * math.pi)).tolist(),
        "weights": [1.0] * (_ORDER + 1) ** 2,
    }
    write_json(root / "metadata" / "hrir_data.json", about)


def _around(count: int) -> NDArray[np.float64]:
    """Spread points evenly over a sphere: along a spiral that turns by the golden angle."""
    k = np.arange(count)
    z = 1.0 - (2.0 * k + 1.0) / count
    turn = k * math.pi * (3.0 - math.sqrt(5.0))
    across = np.sqrt(1.0 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


def _ambisonics(room: Room, source: Place, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give the impulse responses of a source, shape (49, frames)."""
    way = np.subtract(source.position, room.listener.position)
    distance_m = float(np.linalg.norm(way))
    ahead = np.array(room.listener.view_vector)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    direction = np.array([way @ ahead, way @ right, way[2]]) / distance_m
    late = round(distance_m / _SOUND_M_S * RATE_HZ)
    frames = round(_RT60_S * RATE_HZ)
    channels = (_ORDER + 1) ** 2
    tail = rng.normal(size=(channels, frames)) * 10.0 ** (-3.0 * np.arange(frames) / frames)
    tail[:, : round(0.002 * RATE_HZ)] = 0.0
    tail *= 10.0 ** (_TAIL_DB / 20.0) / math.sqrt(float(np.mean(np.sum(tail**2, axis=1))))
    response = np.pad(tail, ((0, 0), (late, 0)))
    response[:, late] += harmonics(direction[None])[0]
    return _GAIN * response


def _project(room: Room, source: Place) -> str:
    """Write what the builder looks for in a project file of the room simulation RAVEN."""
    view = getattr(source, "view_vector", room.target.view_vector)
    vectors = {
        "sourcePositions": source.position,
        "sourceViewVectors": view,
        "receiverPositions": room.listener.position,
        "receiverViewVectors": room.listener.view_vector,
    }
    lines = [f"{key} = {','.join(map(str, value))}" for key, value in vectors.items()]
    head_lines = [
        "# made by `rtcore clarity make-mini --rooms`: what the scene builder reads",
        "[Global]",
        f"ProjectName = CuboidRoom_{room.dimensions}",
        "[Rooms]",
        f"Model = {room.name}.ac",
        "[PrimarySources]",
    ]
    return "\n".join([*head_lines, *lines]) + "\n"
