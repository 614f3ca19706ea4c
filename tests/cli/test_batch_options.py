# SPDX-License-Identifier: MIT
"""Commands that do many jobs: which of them, how far they are, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import job_works
import pytest
from click.testing import CliRunner
from command_line import empty_home, invoke

from rtcore.audiofile import write
from rtcore.batch import Ledger, run_jobs
from rtcore.cli import output
from rtcore.cli.batch_options import Tally, batch_options, follow, tell_plan


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--loud", is_flag=True)
@batch_options("scenes")
@output.json_option
def make(folder, loud, batch, as_json):
    """Make numbered files; every third is bad where it is loud."""
    jobs = batch.share(job_works.jobs_in(folder, 9, key="loud" if loud else "soft"))
    ledger = Ledger(folder, batch.shard)
    if batch.dry_run:
        tell_plan(jobs, ledger, batch.unit, as_json=as_json)
        return
    with ledger.writing():
        if batch.again:
            ledger.forget()
        work = job_works.odd_ones_fail if loud else job_works.write_slowly
        how = {"workers": batch.jobs or 1, "scheduler": batch.scheduler}
        outcomes = run_jobs(jobs, work, ledger, **how)
        tally = follow(outcomes, Tally(batch.unit), "making", len(jobs))
    tally.tell(folder, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)


def run(*words):
    return CliRunner().invoke(make, [str(word) for word in words])


def counts(result):
    return [int(word) for word in result.stdout.split(": ")[-1].split() if word.isdigit()]


def test_done_then_skipped(tmp_path):
    """A second run skips all, and one that is told to does all again."""
    assert [9, 0, 0] == counts(run(tmp_path))
    assert [0, 9, 0] == counts(run(tmp_path))
    assert [9, 0, 0] == counts(run(tmp_path, "--again"))


def test_limit_and_shards(tmp_path):
    """The first so many are shared out; shares make up what was limited, and no more."""
    assert [2, 0, 0] == counts(run(tmp_path, "--limit", 4, "--shard", "1/2"))
    assert ["0.wav", "2.wav"] == sorted(p.name for p in tmp_path.glob("*.wav"))
    assert [2, 0, 0] == counts(run(tmp_path, "--limit", 4, "--shard", "2/2"))
    assert [0, 4, 0] == counts(run(tmp_path, "--limit", 4))
    assert [5, 4, 0] == counts(run(tmp_path))


def test_dry_run(tmp_path):
    """A dry run says what is done already and what is not, and makes nothing, not even folders."""
    target = tmp_path / "out"
    assert f"{target}: 9 scenes to do, 0 done already" in run(target, "--dry-run").stdout
    assert not target.exists()
    target.mkdir()
    run(target, "--limit", 3)
    told = json.loads(run(target, "--dry-run", "--json").stdout)
    assert ["0.wav", "1.wav", "2.wav"] == told["done"]
    assert [f"{k}.wav" for k in range(3, 9)] == told["to_do"]
    assert "  8.wav" in run(target, "--dry-run").stdout.splitlines()
    assert 3 == len(list(target.glob("*.wav")))


def test_failures(tmp_path):
    """Failures are told by name with their reason, stale outputs go, and the exit code is 1."""
    run(tmp_path)
    result = run(tmp_path, "--loud")
    assert 1 == result.exit_code
    assert [6, 0, 3] == counts(result)
    assert "error: 2.wav: too loud" in result.stderr.splitlines()
    assert "3 older outputs of scenes that failed now (2.wav, 5.wav, 8.wav) were" in result.stderr
    assert not (tmp_path / "2.wav").exists()
    told = json.loads(run(tmp_path, "--loud", "--json").stdout)
    assert (0, 6, 3) == (told["done"], told["skipped"], told["failed"])
    assert {"done", "skipped", "failed"} >= {scene["status"] for scene in told["scenes"]}


def test_many_failures(capsys):
    """Only the first twenty reasons are printed."""
    from rtcore.batch import Outcome

    tally = Tally("scenes")
    for k in range(25):
        tally.add(Outcome(f"s{k}", "failed", "bad", 2))
    tally.tell(Path("out"))
    out, err = capsys.readouterr()
    assert "out: 0 done, 0 skipped, 25 failed\n" == out
    assert "error: s19: bad" == err.splitlines()[-2]
    assert "error: 5 more scenes failed; --json lists all of them" == err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shard", "3/2"], "which is no share"),
        (["--jobs", 2, "--scheduler", "tcp://x"], "give --jobs or --scheduler, not both"),
        (["--limit", 0], "0 is not in the range"),
    ],
)
def test_wrong_options(tmp_path, words, sentence):
    """What cannot be meant is refused."""
    result = run(tmp_path, *words)
    assert sentence in f"{result.stderr}{result.exception}"
    assert 0 != result.exit_code


def test_rate_in_lines(monkeypatch, capsys):
    """Without a terminal there is a line a minute, with the rate and the time left."""
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress("making", 12, "scenes", rate=True) as advance:
        for _ in range(6):
            now[0] += 30.0
            advance(1)
        now[0] += 1.0
        advance(5)
        now[0] += 60.0
        advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert "making: 17 %, 2 scenes/min, 5 min left" == lines[0]
    assert 4 == len(lines)


@pytest.fixture
def rtcore(tmp_path, monkeypatch):
    """The command line, in an empty folder."""
    with empty_home(tmp_path, monkeypatch):
        yield invoke


def test_shares_of_a_set(rtcore):
    """Shares of a real set, done one after the other, are the same as the whole in one run."""
    import numpy as np

    noise = np.random.default_rng(1)
    Path("in").mkdir()
    for k in range(4):
        x = noise.normal(0.0, 0.1, 3200)
        x[640:960] = 0.0
        write(f"in/{k}.wav", x, 16000, subtype="PCM_16")
        lost = "".join("1\n" if p == 2 else "0\n" for p in range(10))
        Path(f"in/{k}_is_lost.txt").write_text(lost)
    words = ["plc", "conceal", "in"]
    assert 0 == rtcore(*words, "whole", "--jobs", 1).exit_code
    for shard in ("1/3", "2/3", "3/3"):
        result = rtcore(*words, "shared", "--jobs", 1, "--shard", shard)
        assert 0 == result.exit_code, result.stderr
    assert "0 done, 4 skipped, 0 failed" in rtcore(*words, "shared", "--jobs", 2).stdout
    for k in range(4):
        assert Path(f"whole/{k}.wav").read_bytes() == Path(f"shared/{k}.wav").read_bytes()
