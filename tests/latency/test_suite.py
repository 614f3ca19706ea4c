# SPDX-License-Identifier: MIT
"""The table of a machine: its rows are what is shipped, and no chain says what is not so."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from sounds import Late

from rtcore import Chain, ConfigError, Prepared
from rtcore.cli import main
from rtcore.host import all_plugins
from rtcore.latency.timing import suite

CHAINS = Path(__file__).parents[2] / "examples" / "chains"


class Liar(Late):
    """A delay that declares too little."""

    id = "t_liar"

    def prepare(self, spec):
        """Declare two frames less."""
        true = super().prepare(spec)
        return Prepared(latency_frames=true.latency_frames - 2, buffers=true.buffers)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Run ``rtcore bench`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        return CliRunner().invoke(main, ["bench", *map(str, args)])

    return run


@pytest.fixture
def lying(monkeypatch):
    """Let every row play a chain that declares 8 samples and is 10 late."""
    made = lambda *_: Chain([Liar(frames=10)])  # noqa: E731 - it stands in for one
    monkeypatch.setattr(suite, "build", made)


def test_every_shipped_plugin_has_a_row():
    """A plugin that is added to the first-party folder is measured without being named here."""
    shipped = {
        info.id for info in all_plugins() if info.origin == "first-party" and not info.cls.needs()
    }
    assert shipped < set(suite.rows())
    assert {"hearing_aid", "cec2", "parallel", "per_ear", "quieter"} < set(suite.rows())


def test_the_example_chains_are_those_of_the_examples():
    """The rows' words are the files' words; only the baseline's type is another."""
    files = {file.stem: tomllib.loads(file.read_text("utf-8")) for file in CHAINS.glob("*.toml")}
    if not files:
        pytest.skip("the examples are not here")
    files["cec2"]["dtype"] = "float32"
    assert files == suite.EXAMPLES


@pytest.mark.parametrize("name", suite.rows())
def test_what_is_shipped_declares_the_latency_that_it_has(name):
    """Measured and declared latency of every shipped plugin and chain are the same sample."""
    row = suite.measure_row(name, seconds=0.1)
    assert row["declared"]["latency_samples"] == row["measured"]["latency_samples"]
    assert [] == row["differs"]
    assert row["idle"]["blocks"] > 0
    assert json.loads(json.dumps(row)) == row
    assert None not in suite.cells(row).values()


def test_a_row_has_the_rate_the_blocks_and_the_runs_that_were_asked_for():
    """The rate wins over the chain's own, and the hogged run stands beside the idle one."""
    row = suite.measure_row(
        "cec2", block_samples=32, seconds=0.1, sample_rate=48000, channels=1, hogged=True
    )
    assert (48000.0, 1, 32, "float32") == (
        row["sample_rate_hz"],
        row["channels"],
        row["block_samples"],
        row["dtype"],
    )
    assert ["nalr", "compressor", "softclip"] == row["plays"]
    assert row["hogged"]["blocks"] > 0
    assert "hogged late" in suite.cells(row)


@pytest.mark.parametrize(("block", "latency"), [(160, 80), (320, 80), (64, 208), (441, 239)])
def test_blocks_are_promised(block, latency):
    """A plugin with hops of 160 samples waits for what its blocks leave of a hop, and 5 ms."""
    row = suite.measure_row("plc", block_samples=block, seconds=0.1, sample_rate=16000, channels=1)
    assert latency == row["declared"]["latency_samples"] == row["measured"]["latency_samples"]


def test_the_look_ahead_is_compared_where_that_is_asked_for():
    """A delay of 240 samples looks ahead by -240, declared and measured."""
    row = suite.measure_row("delay", seconds=0.1, lookahead=True)
    assert -240 == row["declared"]["lookahead_samples"] == row["measured"]["lookahead_samples"]
    assert [] == row["differs"]
    assert -240 == suite.cells(row)["look-ahead declared"]


def test_a_wrong_declaration_is_found_and_said(lying):
    """Two samples too few are seen, and the sentence has both numbers."""
    row = suite.measure_row("gain", seconds=0.1)
    assert ["latency_samples"] == row["differs"]
    expected = "gain: latency of 8 samples is declared, 10 are measured"
    assert [expected] == suite.disagreements([row])


def test_names_choose_rows_in_the_tables_order():
    """All rows where none is named; those that are named once each, however they are ordered."""
    assert list(suite.rows()) == suite.chosen([])
    assert ["gain", "cec2"] == suite.chosen(["cec2", "gain", "gain"])


def test_an_unknown_row_is_refused_with_the_nearest():
    """A slip of the hand gets the right name."""
    with pytest.raises(ConfigError, match=r"no row 'softclp' \(did you mean 'softclip'\?\)"):
        suite.chosen(["softclp"])


def test_the_command_prints_a_table_and_writes_json(bench, tmp_path):
    """One row for each block, in the table and in the file, which names the machine."""
    file = tmp_path / "figures.json"
    done = bench("gain", "--seconds", "0.1", "--block", "32", "--block", "64", "--json", file)
    assert 0 == done.exit_code, done.output
    assert 2 == done.stdout.count("gain")
    written = json.loads(file.read_text())
    assert [32, 64] == [row["block_samples"] for row in written["rows"]]
    assert {"processor", "governor", "virtual", "packages"} < set(written["machine"])


def test_json_can_go_to_standard_output(bench):
    """Then nothing else stands there."""
    done = bench("gain", "--seconds", "0.1", "--json", "-")
    assert 0 == done.exit_code, done.output
    assert ["gain"] == [row["name"] for row in json.loads(done.stdout)["rows"]]


def test_a_wrong_declaration_leaves_with_1(bench, lying):
    """The table is shown all the same."""
    done = bench("gain", "--seconds", "0.1")
    assert 1 == done.exit_code
    assert "gain" in done.stdout
    assert "8 samples is declared, 10 are measured" in done.stderr


def test_the_rows_can_be_listed(bench):
    """Without measuring anything."""
    done = bench("--list")
    assert 0 == done.exit_code
    assert all(name in done.stdout for name in suite.rows())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gian"], "did you mean 'gain'?"),
        (["gain", "--json", "missing/figures.json"], "figures cannot be written (No such file"),
        (["gain", "--json", "."], "figures cannot be written (Is a directory"),
        (["gain", "--block", "0"], "block"),
        (["gain", "--seconds", "nan"], "seconds"),
    ],
)
def test_bad_options_are_refused_before_anything_is_measured(bench, monkeypatch, words, sentence):
    """With a sentence and exit code 2."""
    monkeypatch.setattr(suite, "measure_row", lambda *_, **__: pytest.fail("it measured"))
    done = bench(*words)
    assert 2 == done.exit_code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_writes_nothing(bench, tmp_path, monkeypatch):
    """An interrupted bench leaves with 130 and without a file."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "measure_row", interrupt)
    assert 130 == bench("gain", "--json", tmp_path / "figures.json").exit_code
    assert [] == list(tmp_path.iterdir())
