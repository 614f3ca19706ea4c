# SPDX-License-Identifier: MIT
"""Write audio files that are whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from rtcore.audiofile import limits
from rtcore.audiofile.limits import BLOCK_FRAMES
from rtcore.audiofile.quantise import INTEGER_BITS, Quantiser, interleaved
from rtcore.errors import AudioFileError, StreamError

if TYPE_CHECKING:
    import soundfile

_WAV_MAX_BYTES = 2**32 - 2**16  # sizes in a WAV header have 32 bits
_NO_PEAK_CHUNK = 0x1050  # SFC_SET_ADD_PEAK_CHUNK of sndfile.h


def write(
    path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int, **options: Any
) -> None:
    """Write a whole file; see `Writer` for the options and the errors.

    Parameters
    ----------
    path : path-like
        The file; its suffix chooses the format.
    samples : numpy.ndarray, shape (channels, frames) or (frames,)
        Full scale is 1.
    sample_rate : int
        In Hz.
    **options
        Keyword arguments of `Writer`.
    """
    with Writer(path, sample_rate, len(np.atleast_2d(samples)), **options) as out:
        out.write(samples)


class _Sink:
    """A file that remembers its first error, which libsndfile would swallow.

    That may be Ctrl-C too: an exception cannot pass through libsndfile.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.error is not None:
            return 0
        try:
            return self._file.write(data)
        except BaseException as error:  # noqa: BLE001 - raised again by the Writer
            self.error = error
            return 0

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except BaseException as error:  # noqa: BLE001 - raised again by the Writer
            self.error = self.error or error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except BaseException as error:  # noqa: BLE001 - seeking flushes what was buffered
            self.error = self.error or error
            return -1

    def tell(self) -> int:
        try:
            return self._file.tell()
        except BaseException as error:  # noqa: BLE001 - raised again by the Writer
            self.error = self.error or error
            return -1


class Writer:
    """Write an audio file; it appears under its name when it is whole, or not at all.

    Parameters
    ----------
    path : path-like
        The file; ``.wav``, ``.flac``, ``.ogg`` or ``.rf64`` (WAV beyond 4 GiB).
    sample_rate : int
        In Hz, from 1,000 to 384,000.
    channels : int
        From 1 to 64 (FLAC: 8).
    subtype : str, optional
        ``FLOAT`` (WAV's default), ``DOUBLE``, ``PCM_16``, ``PCM_24`` (FLAC's default), ``PCM_32``,
        ``VORBIS`` (OGG's default), ...
    round_ : bool
        Round integer samples to the nearest one. By default they are truncated toward zero, as
        the challenges' code does.
    dither : bool
        Add triangular noise of one step before rounding to integers; implies `round_`.
    seed : int
        Of the dither, which is the same for any division into blocks.
    source : path-like, optional
        The file that the sound comes from, so that it is not overwritten.

    Attributes
    ----------
    frames : int
        Written so far.
    clipped : int
        Integer samples that had to be clipped so far.
    peak : float
        The largest magnitude so far, before it was clipped.

    Raises
    ------
    AudioFileError
        If the name, the folder, the format or the numbers are impossible; in `write` and at the
        end if a sample is no number or the disk is full.

    Examples
    --------
    >>> with Writer("out.wav", 44100, channels=2, subtype="PCM_16") as out:  # doctest: +SKIP
    ...     for block in blocks("in.wav"):
    ...         out.write(block)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        *,
        subtype: str | None = None,
        round_: bool = False,
        dither: bool = False,
        seed: int = 0,
        source: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self._format = limits.format_of(self.path)
        self.subtype = limits.subtype_of(self.path, self._format, subtype)
        limits.check_sample_rate(self.path, sample_rate)
        limits.check_channels(self.path, self._format, channels)
        limits.check_target(self.path, None if source is None else Path(source))
        self.sample_rate, self.channels = int(sample_rate), int(channels)
        self._quantiser: Quantiser | None = None
        if self.subtype in INTEGER_BITS:
            self._quantiser = Quantiser(
                INTEGER_BITS[self.subtype], rounding=round_ or dither, dither=dither, seed=seed
            )
        self.frames = 0
        self.peak = 0.0

    @property
    def clipped(self) -> int:
        """Integer samples that had to be clipped so far."""
        return self._quantiser.clipped if self._quantiser else 0

    def __enter__(self) -> Self:
        # A link is written through, so that the file it points to is the one replaced.
        self._target = Path(os.path.realpath(self.path))
        self._part = self._target.with_name(f".rtcore-{secrets.token_hex(6)}.part")
        try:  # a signal may come between the moment when the file is there and when we have it
            with self._sentences():
                self._file = self._part.open("xb+")
                self._sink = _Sink(self._file)
                self._sound = self._open_sound()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._sentences() if kind is None else suppress(Exception):
                self._sound.close()
                self._file.flush()
                self._raise_sink()
            if kind is None:
                with self._sentences():
                    self._file.close()
                    self._part.replace(self._target)
        finally:
            self._discard()

    def write(self, samples: np.ndarray) -> None:
        """Append samples.

        Parameters
        ----------
        samples : numpy.ndarray, shape (channels, frames) or (frames,)
            Floating point, full scale is 1; one channel may be one-dimensional.
        """
        block = np.atleast_2d(np.asarray(samples))
        if block.ndim != 2 or len(block) != self.channels or block.dtype.kind != "f":
            raise StreamError(
                f"{self.path}: got {block.dtype} samples of shape {np.shape(samples)} for "
                f"{self.channels} channels; hand over floats of shape (channels, frames)"
            )
        for start in range(0, block.shape[1], BLOCK_FRAMES):
            self._write_block(block[:, start : start + BLOCK_FRAMES])

    def _write_block(self, block: np.ndarray) -> None:
        """Check, convert and encode one block of bounded length."""
        block = _plain(block)
        self.peak = max(self.peak, limits.checked_peak(self.path, block, self.frames))
        data = self._quantiser(block) if self._quantiser else interleaved(block)
        with self._sentences():
            self._sound.write(data)
            self._raise_sink()
        self.frames += block.shape[1]
        if self._format.name == "WAV" and self._sink.tell() > _WAV_MAX_BYTES:
            raise AudioFileError(
                f"{self.path}: a WAV file cannot hold more than 4 GiB; write .rf64 or .flac"
            )

    def _open_sound(self) -> soundfile.SoundFile:
        """Open libsndfile's encoder on the temporary file."""
        import soundfile

        sound = soundfile.SoundFile(
            self._sink, "w", self.sample_rate, self.channels, self.subtype, None, self._format.name
        )
        # soundfile has no public way for either of these.
        with suppress(AttributeError):
            # It seeks to the end and back for each block, which takes as long as the writing.
            sound._info.seekable = 0  # noqa: SLF001
            # The PEAK chunk holds the time of day: without it equal samples give equal files.
            sf_command, null = soundfile._snd.sf_command, soundfile._ffi.NULL  # noqa: SLF001
            sf_command(sound._file, _NO_PEAK_CHUNK, null, 0)  # noqa: SLF001
        return sound

    def _raise_sink(self) -> None:
        """Raise what the disk said, or that Ctrl-C was pressed meanwhile."""
        if self._sink.error is not None:
            raise self._sink.error

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turn the errors of disk and encoder into sentences."""
        import soundfile

        try:
            yield
        except AudioFileError:
            raise
        except (OSError, soundfile.LibsndfileError, AssertionError) as error:
            sink = getattr(self, "_sink", None)
            cause: BaseException = error
            if sink is not None and sink.error is not None:
                cause = sink.error
            if not isinstance(cause, (OSError, soundfile.LibsndfileError, AssertionError)):
                raise cause from None  # Ctrl-C, which libsndfile took for a failing disk
            raise AudioFileError(f"{self.path}: cannot be written: {_reason(cause)}") from error

    def _discard(self) -> None:
        """Close and remove whatever is left of the temporary file."""
        with suppress(OSError, AttributeError):  # there may be none yet
            self._file.close()
        with suppress(OSError):
            self._part.unlink()


def _reason(error: BaseException) -> str:
    """Say why a file could not be written, and what helps."""
    if not isinstance(error, OSError):
        return f"{getattr(error, 'error_string', error)}; choose another subtype or sample rate"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full ({error.strerror}); free some space or choose another folder"
    return f"{error.strerror or error}; choose another folder"


def _plain(samples: np.ndarray) -> np.ndarray:
    """Give samples as libsndfile and compiled code take them: one of two types, and in order."""
    wide = samples.dtype.itemsize >= np.dtype(np.float64).itemsize
    return np.require(samples, np.float64 if wide else np.float32, ["C", "W"])
