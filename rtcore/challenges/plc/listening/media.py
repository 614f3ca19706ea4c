# SPDX-License-Identifier: MIT
"""Sounds and pictures of sounds as text that stands in a page."""

from __future__ import annotations

import base64
import io
from functools import cache

import numpy as np

__all__ = ["FORMATS", "RANGE_DB", "audio_uri", "loudest_db", "picture_uri", "power_picture"]

#: Name to libsndfile's format, its subtype and the type that a browser knows.
FORMATS = {
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "ogg": ("OGG", "VORBIS", "audio/ogg"),
    "wav": ("WAV", "PCM_16", "audio/wav"),
}
#: From the loudest spot of a clip's pictures down to black.
RANGE_DB = 75.0
_WINDOW_S, _SHORTEST_HOP_S = 0.032, 0.006
_COLUMNS, _ROWS, _LEVELS = 720, 128, 64


def audio_uri(x: np.ndarray, sample_rate: int, kind: str) -> str:
    """Give a sound as a ``data:`` address.

    Parameters
    ----------
    x : array, shape (frames,)
        Full scale is 1.
    sample_rate : int
        In Hz.
    kind : str
        Of :data:`FORMATS`.
    """
    import soundfile

    container, subtype, mime = FORMATS[kind]
    out = io.BytesIO()
    soundfile.write(out, np.clip(x, -1.0, 1.0), sample_rate, format=container, subtype=subtype)
    return _uri(mime, out.getvalue())


def power_picture(x: np.ndarray, sample_rate: int) -> np.ndarray:
    """Give a sound's power over time and frequency, in dB.

    Returns
    -------
    numpy.ndarray, shape (rows, columns)
        Up to 255 rows, the highest frequencies first, and up to 720 columns over the whole sound.
    """
    size = max(2, round(_WINDOW_S * sample_rate))
    hop = max(1, round(_SHORTEST_HOP_S * sample_rate), -(-len(x) // _COLUMNS))
    columns = max(1, -(-len(x) // hop))
    padded = np.zeros((columns - 1) * hop + size)
    padded[size // 2 : size // 2 + len(x)] = x[: len(padded) - size // 2]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    each = max(1, power.shape[1] // _ROWS)
    rows = power.shape[1] // each
    bands = power[:, : rows * each].reshape(columns, rows, each).mean(axis=2)
    return 10.0 * np.log10(np.maximum(bands.T[::-1], 1e-12))


def loudest_db(pictures: list[np.ndarray]) -> float:
    """Give the level at which the pictures of one clip are brightest, the same for all of them."""
    return max((float(np.max(picture)) for picture in pictures), default=0.0)


def picture_uri(power_db: np.ndarray, top_db: float) -> str:
    """Give a picture of power as a ``data:`` address of a PNG."""
    from PIL import Image

    level = np.clip((power_db - top_db) / RANGE_DB + 1.0, 0.0, 1.0)
    image = Image.fromarray(np.rint(level * (_LEVELS - 1)).astype(np.uint8), "P")
    image.putpalette(_palette())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return _uri("image/png", out.getvalue())


@cache
def _palette() -> bytes:
    from matplotlib import colormaps

    colours = colormaps["magma"](np.linspace(0.0, 1.0, _LEVELS))[:, :3]
    return np.rint(255.0 * colours).astype(np.uint8).tobytes()


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
