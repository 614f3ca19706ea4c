# SPDX-License-Identifier: MIT
"""Check the sizes in a WAV header, which libsndfile corrects without a word.

RIFF, RIFX (big-endian) and RF64/BW64 (64-bit sizes in a ``ds64`` chunk), after Microsoft's
Multimedia Programming Interface 1.0 and EBU Tech 3306.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from rtcore.errors import AudioFileError

_STREAMED = 0xFFFFFFFF
_STREAMED_SIZES = {0, _STREAMED, 0x7FFFF000}  # of programs that cannot go back: ffmpeg, sox
_ORDER = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}


def readable(file: FileIO, path: Path) -> int | StreamedWav:
    """Check an open file and say what libsndfile shall read.

    Parameters
    ----------
    file : io.FileIO
        Unbuffered, at its beginning, of any format.
    path : pathlib.Path
        For the message.

    Returns
    -------
    int or StreamedWav
        The file's descriptor, or, for a streamed WAV whose header says that it is empty, a view
        of it that says otherwise.

    Raises
    ------
    AudioFileError
        If it is a WAV file that ends before its samples do.
    """
    total = os.fstat(file.fileno()).st_size
    order = _order(file)
    found = _data_chunk(file, order, total) if order else None
    if found is None:
        file.seek(0)
        return file.fileno()
    offset, size = found
    present = total - offset
    if size == 0 and present > 0 and not _only_chunks(file, order, offset, total):
        file.seek(0)
        return StreamedWav(file, offset - 4)
    if size not in _STREAMED_SIZES and size > present:
        raise AudioFileError(
            f"{path}: is truncated: its header promises {size} bytes of samples, and the file "
            f"holds {present}; copy or download it again"
        )
    file.seek(0)
    return file.fileno()


def _order(file: FileIO) -> str:
    """Give the byte order of a WAV file, or nothing for another format."""
    head = file.read(12)
    return _ORDER.get(head[:4], "") if head[8:12] == b"WAVE" else ""


def _chunks(file: FileIO, order: str, offset: int, total: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk the chunks: name, offset of the content, size."""
    while offset + 8 <= total:
        file.seek(offset)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        yield name, offset + 8, size
        offset += 8 + size + size % 2


def _data_chunk(file: FileIO, order: str, total: int) -> tuple[int, int] | None:
    """Find the samples: their offset and the size that the header gives them."""
    wide_size = None
    for name, offset, size in _chunks(file, order, 12, total):
        if name == b"ds64" and offset + 16 <= total:
            file.seek(offset + 8)
            (wide_size,) = struct.unpack(f"{order}Q", file.read(8))
        if name == b"data":
            use_wide = wide_size is not None and size == _STREAMED
            return offset, wide_size if use_wide and wide_size is not None else size
    return None


def _only_chunks(file: FileIO, order: str, offset: int, total: int) -> bool:
    """Tell whether what follows an empty data chunk is metadata up to the end."""
    end = offset
    for name, start, size in _chunks(file, order, offset, total):
        if not (name.isascii() and name.decode("latin-1").isprintable()):
            return False
        end = start + size + size % 2
    return end in (total, total + 1)


class StreamedWav:
    """A WAV file as libsndfile should see it: samples until the end of the file.

    libsndfile understands a data size of 0xFFFFFFFF as that, but takes 0 at its word.
    """

    def __init__(self, file: FileIO, size_offset: int) -> None:
        self._file = file
        self._size_offset = size_offset

    def read(self, size: int = -1) -> bytes:
        """Read on, with the four bytes of the data size replaced."""
        start = self._file.tell()
        data = bytearray(self._file.read(size))
        for index in range(4):
            at = self._size_offset + index - start
            if 0 <= at < len(data):
                data[at] = 0xFF
        return bytes(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the position."""
        return self._file.tell()
