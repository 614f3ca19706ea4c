# SPDX-License-Identifier: MIT
"""What commands print: a bar for people, a line a minute for logs, JSON for programs."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rtcore.cli import output


class TestProgress:
    """Long work."""

    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock that the test turns."""
        now = [0.0]
        monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
        return now

    def test_one_line_a_minute(self, clock, capsys):
        """Without a terminal there is a line a minute, however often work is reported."""
        with output.progress("processing", 1000) as advance:
            for _ in range(100):
                clock[0] += 2.0
                advance(10)
        lines = capsys.readouterr().err.splitlines()
        assert ["processing: 30 %", "processing: 60 %", "processing: 90 %"] == lines

    def test_unknown_length(self, clock, capsys):
        """Where the end is unknown the line counts."""
        with output.progress("processing", None) as advance:
            clock[0] = 61.0
            advance(480)
        assert "processing: 480 frames\n" == capsys.readouterr().err

    def test_bar_on_a_terminal(self, home):
        """On a terminal a bar is drawn, and it is gone when the work is done."""
        code = (
            "import time\nfrom rtcore.cli.output import progress\n"
            "with progress('processing', 10) as advance:\n"
            "    for k in range(10):\n        advance(1)\n        time.sleep(0.03)\n"
        )
        master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        child = subprocess.Popen([sys.executable, "-c", code], stderr=slave, env=env)
        os.close(slave)
        drawn = b""
        try:
            while piece := os.read(master, 4096):
                drawn += piece
        except OSError:  # Linux' way to say that the other end was closed
            pass
        os.close(master)
        assert 0 == child.wait()
        assert b"processing" in drawn
        assert b"%" in drawn


class TestProse:
    """Sentences."""

    def test_no_break_before_a_unit(self, capsys, monkeypatch):
        """Lines suit the terminal, and a number stays with its unit."""
        monkeypatch.setattr(output, "columns_there", lambda: 24)
        output.print_prose("the sound is more than 220 samples (5 ms) late", hanging="  ")
        lines = capsys.readouterr().out.splitlines()
        assert ["the sound is more than", "  220 samples (5 ms)", "  late"] == lines

    def test_a_pipe(self, capsys):
        """Elsewhere than on a terminal lines are of a length that reads well."""
        output.print_prose("word " * 100)
        lines = capsys.readouterr().out.splitlines()
        assert 99 == max(map(len, lines))
        assert 100 == sum(line.count("word") for line in lines)


class TestTables:
    """Cells."""

    def test_numbers_stand_right(self, capsys):
        """Columns of numbers are aligned at the right, texts at the left, gaps are dashes."""
        output.print_table(["name", "value"], [("a", 1.5), ("bcd", 10)], "title")
        output.print_table(["x"], [(None,)])
        lines = capsys.readouterr().out.splitlines()
        assert ["title", "name  value", "a       1.5", "bcd      10", "x", "-"] == lines

    def test_markup_is_text(self, capsys):
        """Brackets in a cell are no markup."""
        output.print_table(["x"], [("[bold]plugin[0]",)])
        assert "[bold]plugin[0]" in capsys.readouterr().out

    def test_json(self, capsys):
        """Paths become texts, and numbers that JSON does not know become null."""
        output.print_json({"path": Path("a/b"), "peak": -math.inf, "list": (1, None, "ä")})
        printed = capsys.readouterr().out
        assert {"path": "a/b", "peak": None, "list": [1, None, "ä"]} == json.load(
            io.StringIO(printed)
        )
