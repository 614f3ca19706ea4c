# SPDX-License-Identifier: MIT
"""``rtcore audiogram`` shows losses and the gain they need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtcore.hearing import gain_per_octave, standard_audiogram


class TestShow:
    """One listener."""

    def test_standard(self, rtcore):
        """A standard audiogram shows its levels, its gain per octave and its severity."""
        result = rtcore("audiogram", "show", "N3")
        assert 0 == result.exit_code
        assert "N3, left ear: severe loss" in result.stdout
        gains = [f"{gain:.1f}" for gain in gain_per_octave(standard_audiogram("N3")).values()]
        rows = [
            line.split()[2:] for line in result.stdout.splitlines() if line.startswith("gain dB")
        ]
        assert [gains, gains] == rows

    @pytest.mark.parametrize("words", [["n3"], ["--audiogram", "N3"]])
    def test_names(self, rtcore, words):
        """The name may be an argument or an option, in small letters."""
        shown = rtcore("audiogram", "show", *words)
        assert rtcore("audiogram", "show", "N3").stdout == shown.stdout

    def test_levels(self, rtcore):
        """Levels on the command line are shown for each ear."""
        levels = ["--left", "0,0,0", "--right", "60 60 60", "--frequencies", "500;2000;4000"]
        result = rtcore("audiogram", "show", *levels, "--json")
        entry = json.loads(result.stdout)
        assert ("none", "severe") == (entry["left"]["severity"], entry["right"]["severity"])
        assert [60.0, 60.0, 60.0] == entry["right"]["levels_db_hl"]

    def test_csv(self, rtcore, home):
        """A CSV file is an audiogram."""
        Path("me.csv").write_text("ear,250,1000,4000\nleft,20,30,40\nright,25,35,45\n")
        entry = json.loads(rtcore("audiogram", "show", "me.csv", "--json").stdout)
        assert ("me", [20.0, 30.0, 40.0]) == (entry["name"], entry["left"]["levels_db_hl"])

    def test_listener_id(self, rtcore, book):
        """An id is looked up in the listeners file."""
        entry = json.loads(rtcore("audiogram", "show", "L2", "--listeners", book, "--json").stdout)
        assert ("L2", [30.0, 40.0]) == (entry["id"], entry["left"]["levels_db_hl"])

    def test_unknown_id(self, rtcore, book):
        """An id that is not there is refused with the file's name and its size."""
        result = rtcore("audiogram", "show", "L99", "--listeners", book)
        assert 2 == result.exit_code
        assert f"there is no listener 'L99' in {book}" in result.stderr


class TestList:
    """Many listeners."""

    def test_standard(self, rtcore):
        """The ten standard audiograms are listed."""
        lines = rtcore("audiogram", "list").stdout.splitlines()
        names = ["N1", "N2", "N3", "N4", "N5", "N6", "N7", "S1", "S2", "S3"]
        assert names == [line.split()[0] for line in lines[1:]]

    def test_listeners(self, rtcore, book):
        """The listeners of a file are listed, both ears in one cell where they differ."""
        text = rtcore("audiogram", "list", "--listeners", book).stdout
        assert "35/36" in text
        assert {"L1", "L2"} == set(
            json.loads(rtcore("audiogram", "list", "--listeners", book, "--json").stdout)
        )


@pytest.fixture
def book(home) -> Path:
    """Write a listeners file with two listeners."""
    people = {
        name: {
            "name": name,
            "audiogram_cfs": [500, 4000],
            "audiogram_levels_l": [base, base + 10],
            "audiogram_levels_r": [base + 1, base + 11],
        }
        for name, base in (("L1", 35), ("L2", 30))
    }
    (home / "book.json").write_text(json.dumps(people))
    return home / "book.json"
