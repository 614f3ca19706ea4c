# SPDX-License-Identifier: MIT
"""The top of the command line: help without loading, errors without tracebacks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import rtcore as package
from rtcore.cli.root import COMMANDS, Cli
from rtcore.errors import CheckFailed, ConfigError, DeviceError

HEAVY = {"numpy", "numba", "scipy", "pydantic", "rich", "soundfile", "sounddevice", "platformdirs"}


class TestHelp:
    """What ``rtcore --help`` shows, and what it costs."""

    def test_loads_nothing_heavy(self, home):
        """Help needs no number crunching, no compiler and no table maker."""
        code = (
            "import sys\nsys.argv = ['rtcore', '--help']\n"
            "from rtcore.cli import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "print(sorted(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        loaded = set(eval(done.stdout.splitlines()[-1]))
        assert set() == HEAVY & loaded
        assert {"rtcore.cli.root"} == {m for m in loaded if m.startswith("rtcore.cli.")}

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_has_help(self, rtcore, name):
        """Each command's help can be had."""
        result = rtcore(name, "--help")
        assert 0 == result.exit_code
        assert f"Usage: rtcore {name}" in result.stdout
        assert COMMANDS[name][1] in rtcore("--help").stdout

    def test_version(self, rtcore):
        """The version is the package's."""
        assert f"rtcore {package.__version__}\n" == rtcore("--version").stdout

    def test_as_a_module(self, rtcore_process):
        """``python -m rtcore`` is the same command."""
        done = rtcore_process("--help")
        assert (0, "") == (done.returncode, done.stderr)
        assert "Usage: rtcore " in done.stdout


def failing(error: BaseException) -> Cli:
    """Make a command line with one command, which raises."""
    root = Cli("rtcore", commands_at={})

    @root.command()
    def fail() -> None:
        raise error

    return root


class TestErrors:
    """What becomes of exceptions."""

    @pytest.mark.parametrize(
        ("error", "code", "text"),
        [
            (
                ConfigError("plugin[0]", "is wrong; mend it"),
                2,
                "error: plugin[0]: is wrong; mend it\n",
            ),
            (CheckFailed("too late"), 1, "error: too late\n"),
            (DeviceError("no device"), 3, "error: no device\n"),
            (
                click.UsageError("Missing thing."),
                2,
                "error: missing thing; see: rtcore fail --help\n",
            ),
            (click.FileError("x", "gone"), 2, "error: could not open file 'x': gone\n"),
            (
                MemoryError(),
                3,
                "error: out of memory; close other programs, or use shorter blocks\n",
            ),
        ],
    )
    def test_sentence_and_code(self, home, error, code, text):
        """Each error becomes its sentence and its exit code."""
        result = CliRunner().invoke(failing(error), ["fail"])
        assert (code, text, "") == (result.exit_code, result.stderr, result.stdout)

    def test_system_error(self, home):
        """An error of the system is a failure of the environment."""
        result = CliRunner().invoke(failing(OSError(errno.EIO, "Input/output error")), ["fail"])
        assert 3 == result.exit_code
        assert "Input/output error" in result.stderr

    def test_mistake_of_ours(self, home):
        """A mistake in rtcore says so, how to learn more, and is no failed check."""
        result = CliRunner().invoke(failing(KeyError("x")), ["fail"])
        assert 70 == result.exit_code
        assert "this is a mistake in rtcore (KeyError: 'x')" in result.stderr
        assert "Traceback" not in result.stderr

    def test_debugging(self, home, monkeypatch):
        """RTCORE_DEBUG=1 shows where an error comes from, above its sentence."""
        monkeypatch.setenv("RTCORE_DEBUG", "1")
        result = CliRunner().invoke(failing(ConfigError("a", "b")), ["fail"])
        assert 2 == result.exit_code
        assert result.stderr.startswith("Traceback")
        assert result.stderr.endswith("error: a: b\n")

    def test_interrupt(self, home):
        """Ctrl-C gives a line and 130."""
        result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
        assert 130 == result.exit_code
        assert "interrupted" in result.stderr
        assert "Traceback" not in result.stderr

    def test_real_interrupt(self, home):
        """A process that gets SIGINT in a command leaves with 130 and without a traceback."""
        code = (
            "import time, click\nfrom rtcore.cli.root import Cli\n"
            "root = Cli('rtcore', commands_at={})\n"
            "@root.command()\ndef wait():\n    print('ready', flush=True)\n    time.sleep(60)\n"
            "root(['wait'])\n"
        )
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
            child.stdout.readline()
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
        assert 130 == child.returncode
        assert "Traceback" not in errors

    @pytest.mark.parametrize("then", ["time.sleep(60)", "raise RuntimeError('half compiled')"])
    def test_swallowed_interrupt(self, home, then):
        """Ctrl-C that hits a callback from C, which drops it, still ends the command.

        What called the callback may fail for want of what it should have done: no mistake of ours.
        """
        code = (
            "import ctypes, time, click\nfrom rtcore.cli.root import Cli\n"
            "def hit():\n    print('ready', flush=True)\n    time.sleep(60)\n"
            "callback = ctypes.CFUNCTYPE(None)(hit)\n"
            "root = Cli('rtcore', commands_at={})\n"
            f"@root.command()\ndef wait():\n    callback()\n    {then}\n"
            "root(['wait'])\n"
        )
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
            child.stdout.readline()
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
        assert 130 == child.returncode
        assert "interrupted; nothing half-written was left behind" == errors.strip()

    def test_closed_pipe(self, home):
        """A reader that goes away ends the command without a word."""
        command = [sys.executable, "-m", "rtcore", "audiogram", "list", "--json"]
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writing)
        assert (141, "") == (done.returncode, done.stderr)

    def test_unknown_command(self, rtcore):
        """An unknown command gives the nearest one."""
        result = rtcore("proces")
        assert 2 == result.exit_code
        expected = (
            "error: there is no command 'proces' (did you mean 'process'?); see: rtcore --help\n"
        )
        assert expected == result.stderr

    def test_unknown_option(self, rtcore):
        """An unknown option is one sentence."""
        result = rtcore("process", "--tial")
        assert 2 == result.exit_code
        assert 1 == len(result.stderr.splitlines())


@pytest.mark.parametrize("command", ["process", "latency", "bench"])
def test_examples_keep_their_lines(rtcore, command):
    """The examples in a command's help stand on lines of their own."""
    shown = rtcore(command, "--help").stdout
    assert "\\b" not in shown
    assert f"\n  rtcore {command}" in shown
