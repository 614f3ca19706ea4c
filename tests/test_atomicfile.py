# SPDX-License-Identifier: MIT
"""Files of results: whole or not there, and refused early."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtcore.atomicfile import check_place, write_whole
from rtcore.errors import RtcoreError

FULL = Path("/dev/full")


def test_replaces_at_once(tmp_path):
    """What was there is replaced, nothing else stays behind, and others may read it."""
    path = tmp_path / "r.html"
    path.write_text("earlier")
    earlier = os.umask(0o022)
    try:
        write_whole(path, "ä\n", "the report")
    finally:
        os.umask(earlier)
    assert ([path], "ä\n".encode()) == (list(tmp_path.iterdir()), path.read_bytes())
    assert 0o644 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("act", [check_place, lambda p, what: write_whole(p, "text", what)])
@pytest.mark.parametrize("name", ["no/such/folder", ".", "a\0b", "n" * 300])
def test_places_that_cannot_be(tmp_path, act, name):
    """Both refuse the same places, with one sentence, and leave nothing behind."""
    with pytest.raises(RtcoreError, match=r"the report cannot be written \(.+\); choose another"):
        act(tmp_path / name, "the report")
    assert [] == list(tmp_path.iterdir())


def test_check_leaves_nothing(tmp_path):
    """A place that was tried is as it was."""
    check_place(tmp_path / "new", "the report")
    assert [] == list(tmp_path.iterdir())


def test_a_pipe_is_written_to(tmp_path):
    """A pipe, such as /dev/stdout, gets the text; no file is put in its place."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    check_place(path, "the report")
    write_whole(path, "text", "the report")
    assert b"text" == os.read(reader, 100)
    os.close(reader)
    assert path.is_fifo()


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux' /dev/full")
def test_a_full_disk():
    """A full disk is named as the reason."""
    with pytest.raises(RtcoreError, match="No space left on device"):
        write_whole(FULL, "text", "the report")
