# SPDX-License-Identifier: MIT
"""``rtcore plugins`` lists, shows, writes and checks."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from rtcore._searchpath import user_folder
from rtcore.audiofile import read
from rtcore.cli.scaffold import class_name

FIRST_PARTY = {"nalr", "compressor", "softclip", "limiter", "fir", "gain", "delay", "mix", "meter"}
FIRST_PARTY |= {"plc-zero", "plc-repeat", "plc-pitch"}


class TestList:
    """All plugins in a table."""

    def test_table(self, rtcore):
        """Each plugin stands in a line with what it does; `plugins` alone lists too."""
        result = rtcore("plugins", "list")
        assert 0 == result.exit_code
        assert re.search(
            r"^gain +Make the sound louder or softer\. +first-party", result.stdout, re.MULTILINE
        )
        assert result.stdout == rtcore("plugins").stdout

    def test_json(self, rtcore):
        """JSON names every first-party plugin."""
        entries = json.loads(rtcore("plugins", "list", "--json").stdout)
        assert set() == FIRST_PARTY - {entry["id"] for entry in entries}

    def test_broken_file(self, rtcore, home, monkeypatch):
        """A file that cannot be loaded is listed below with its line, and the rest is there."""
        (home / "broken.py").write_text("x = 1\ny = x / 0\n")
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(home))
        result = rtcore("plugins", "list")
        assert 0 == result.exit_code
        assert f"{home / 'broken.py'}, line 2: importing it failed" in result.stdout
        assert "Make the sound louder" in result.stdout


class TestShow:
    """One plugin in full."""

    def test_text(self, rtcore):
        """Parameters with unit and range, latency and origin are shown."""
        text = rtcore("plugins", "show", "nalr").stdout
        assert text.startswith("nalr (NALR), first-party: ")
        assert re.search(r"^nfir +220 +frames +2 to 1022", text, re.MULTILINE)
        assert "latency 110 frames (2.29 ms)" in text

    @pytest.mark.parametrize("name", sorted(FIRST_PARTY))
    def test_json(self, rtcore, name):
        """Every first-party plugin can be shown as JSON."""
        entry = json.loads(rtcore("plugins", "show", name, "--json").stdout)
        assert name == entry["id"]
        assert entry["latency_frames"] >= 0

    def test_class_name(self, rtcore):
        """A plugin can be named by its class."""
        assert rtcore("plugins", "show", "Gain").stdout == rtcore("plugins", "show", "gain").stdout


class TestNew:
    """From nothing to hearing it."""

    def test_printed_commands_work(self, rtcore, sound):
        """The plugin is written and each printed command that needs no device works."""
        printed = rtcore("plugins", "new", "mygain").stdout
        file = user_folder("plugins") / "mygain.py"
        assert f"Written: {file}" in printed
        commands = [line.split("#")[0] for line in printed.splitlines() if "rtcore " in line]
        assert ["process", "run", "plugins", "plugins"] == [c.split()[1] for c in commands]
        for command in commands[:1] + commands[3:]:
            arguments = shlex.split(command)[1:]
            result = rtcore(*(str(sound) if a == "IN.wav" else a for a in arguments))
            assert 0 == result.exit_code, result.stderr
        expected = np.float32(10 ** (-12 / 20)) * read(sound, "float32")[0]
        assert np.array_equal(expected, read("OUT.wav", "float32")[0])

    @pytest.mark.slow
    def test_keeps_the_contract(self, rtcore):
        """What was written passes the check that every plugin must pass."""
        rtcore("plugins", "new", "my_first_one")
        result = rtcore("plugins", "check", "my_first_one")
        assert 0 == result.exit_code, result.stdout
        assert "my_first_one keeps all" in result.stdout

    def test_folder(self, rtcore, home):
        """In a folder of one's own the search path is to be set first, and then it is found."""
        folder = home / "with blank"
        printed = rtcore("plugins", "new", "elsewhere", "--dir", folder).stdout
        assert f"export RTCORE_PLUGIN_PATH='{folder}'" in printed
        assert (folder / "elsewhere.py").is_file()

    def test_does_not_overwrite(self, rtcore, home):
        """A file that is there is left alone."""
        folder = home / "mine"
        rtcore("plugins", "new", "precious", "--dir", folder)
        (folder / "precious.py").write_text("my work of a week\n")
        result = rtcore("plugins", "new", "precious", "--dir", folder)
        assert 2 == result.exit_code
        assert "is there already" in result.stderr
        assert "my work of a week\n" == (folder / "precious.py").read_text()

    @pytest.mark.parametrize(
        "name", ["", "1st", "my-gain", "MyGain", "class", "a/b", "ä", "x" * 41]
    )
    def test_names(self, rtcore, name):
        """What cannot be a module's name is refused."""
        result = rtcore("plugins", "new", name)
        assert 2 == result.exit_code
        assert "is no name for a plugin" in result.stderr

    @pytest.mark.parametrize(
        ("name", "expected"), [("mygain", "Mygain"), ("my_gain", "MyGain"), ("a__b2", "AB2")]
    )
    def test_class_name(self, name, expected):
        """The class is named after the plugin."""
        assert expected == class_name(name)


class TestCheck:
    """The promises of a plugin."""

    def test_broken_promise(self, rtcore, home, monkeypatch):
        """A plugin that lies about its latency is told so, with exit code 1."""
        text = (
            "from rtcore import Plugin, Prepared, kernel\n"
            "class Liar(Plugin):\n    'Do nothing and call it late.'\n    id = 'liar'\n"
            "    def prepare(self, spec):\n        return Prepared(latency_frames=7)\n"
            "    @kernel\n    def process(x, y):\n        for c in range(x.shape[0]):\n"
            "            for i in range(x.shape[1]):\n                y[c, i] = x[c, i]\n"
        )
        Path("liar.py").write_text(text)
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(home))
        result = rtcore("plugins", "check", "liar", "--json")
        assert 1 == result.exit_code
        assert "latency" in {finding["check"] for finding in json.loads(result.stdout)}
        assert result.stderr.startswith("error: liar breaks ")
