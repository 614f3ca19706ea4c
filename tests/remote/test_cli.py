# SPDX-License-Identifier: MIT
"""``rtcore ctl`` and ``rtcore top`` against a server in a process of its own."""

from __future__ import annotations

import json

import pytest
from commands import assert_refused, rtcore

GAIN = "plugin/gain/gain_db"


@pytest.fixture
def ctl(server, tmp_path):
    """Run ``rtcore ctl`` in an empty folder."""
    return lambda *words: rtcore(
        "ctl", "--to", server.control, "--timeout", 60, *words, cwd=tmp_path
    )


def test_values_are_set_and_read(ctl):
    """Negative numbers are values, not options."""
    assert 0 == ctl("set", GAIN, "-6.5").returncode
    assert "-6.5\n" == ctl("get", GAIN).stdout


def test_the_list_has_a_row_for_each_parameter(ctl):
    """The table has the path to type; the JSON has everything."""
    table = ctl("list").stdout
    assert GAIN in table
    assert "-120 .. 40" in table
    assert "gain" == json.loads(ctl("list", "--json").stdout)["plugins"][0]["id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", GAIN, "1000"), "must be at most 40 dB"),
        (("set", GAIN), "give each path its value"),
        (("get", "plugin/gian/x"), "did you mean 'gain'?"),
        (("load", "absent.toml"), "there is no such chain file"),
        (("recall", "absent"), "there is no preset 'absent'"),
        (("bypass", "maybe"), "maybe"),
    ],
)
def test_a_refusal_is_a_sentence(ctl, words, said):
    """The server's sentences reach the user, with exit code 2."""
    assert_refused(ctl(*words), said)


def test_a_chain_file_is_loaded(ctl, tmp_path):
    """The file lies where ctl runs, not on the server."""
    (tmp_path / "chain.toml").write_text(
        '[[plugin]]\nid = "gain"\ngain_db = -20\n[[plugin]]\nid = "compressor"\n'
    )
    assert "" == ctl("load", "chain.toml").stderr
    assert "-20.0\n" == ctl("get", GAIN).stdout


def test_a_snapshot_is_restored(ctl, tmp_path):
    """What `snapshot` prints, `restore` takes."""
    ctl("set", GAIN, "-8")
    (tmp_path / "shot.json").write_text(ctl("snapshot").stdout)
    ctl("set", GAIN, "-1")
    assert "" == ctl("restore", "shot.json").stderr
    assert "-8.0\n" == ctl("get", GAIN).stdout
    (tmp_path / "shot.json").write_text("[")
    assert_refused(ctl("restore", "shot.json"), "is no snapshot")


def test_a_script_runs_in_one_connection_until_a_line_fails(ctl, tmp_path):
    """Lines are ctl's own commands; the sentence names the file and the line."""
    (tmp_path / "steps.txt").write_text(
        f"# quiet\nset {GAIN} -3\nwait 0.01\nget {GAIN}\n\nset {GAIN} 99\nget {GAIN}\n"
    )
    done = ctl("script", "steps.txt")
    assert (2, "-3.0\n") == (done.returncode, done.stdout)
    assert "steps.txt, line 6: set failed" in done.stderr
    assert "must be at most 40 dB" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dance", "'dance' is no command of a script"),
        ("script x", "'script' is no command of a script"),
        ("wait long", "wait needs a number of seconds"),
        ("wait inf", "wait needs a number of seconds"),
        ("get", "missing argument 'PATH'; mend that line"),
        ("get 'x", "a quotation mark has no partner"),
    ],
)
def test_a_bad_line_is_named(ctl, tmp_path, line, said):
    """Each sentence names the file and the line."""
    (tmp_path / "steps.txt").write_text(f"{line}\n")
    assert_refused(ctl("script", "steps.txt"), f"steps.txt, line 1: {said}")


def test_watch_prints_a_line_for_each_message(ctl):
    """Each line is a JSON object with its topic."""
    done = ctl("watch", "stats", "--count", 2)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["stats", "stats"] == [line["topic"] for line in lines]
    assert 1 == lines[1]["seq"] - lines[0]["seq"]


def test_top_shows_plugins_levels_and_device(server, tmp_path):
    """In a pipe one table is printed; as JSON it is the message itself."""
    words = ("top", "--to", server.control, "--timeout", 60)
    done = rtcore(*words, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    for piece in ("running on timer", "plugin[0].gain", "p99 us", "concealed ms", "output 2",
                  "interval p50", "xruns 0"):  # fmt: skip
        assert piece in done.stdout
    assert "running" == json.loads(rtcore(*words, "--json", cwd=tmp_path).stdout)["state"]


@pytest.mark.parametrize("command", [("ctl", "state"), ("top",)])
def test_a_server_that_is_not_there_is_an_environment_failure(tmp_path, command):
    """Exit code 3, and one sentence."""
    name, *words = command
    done = rtcore(name, "--timeout", 0.2, "--to", "127.0.0.1:9", *words, cwd=tmp_path)
    assert (3, 1) == (done.returncode, done.stderr.count("error:"))
    assert "is rtcore serve running there" in done.stderr
