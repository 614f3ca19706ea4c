# SPDX-License-Identifier: MIT
"""A Dask cluster does the same jobs to the same bytes, and its workers may die."""

from __future__ import annotations

import logging
import os
import signal
import sys
import types
from pathlib import Path

import job_works
import numpy as np
import pytest
from command_line import invoke
from dask_cluster import DaskCluster

from rtcore.audiofile import write
from rtcore.batch import Ledger, cluster, run_jobs
from rtcore.errors import DeviceError

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler with two workers."""
    with DaskCluster(tmp_path_factory.mktemp("dask")) as running:
        running.add_worker()
        running.add_worker()
        with distributed.Client(running.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield running


@pytest.fixture
def own_dask(tmp_path):
    """A scheduler that a test may do anything to."""
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask") as running:
        yield running


@pytest.fixture
def out(tmp_path):
    """A folder for outputs."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def outcomes(folder, work, count, wait_s=0.0, **how):
    """Do jobs one by one as they end."""
    ledger = Ledger(folder)
    with ledger.writing():
        yield from run_jobs(job_works.jobs_in(folder, count, wait_s), work, ledger, **how)


def test_same_bytes(tmp_path, dask):
    """One process, two, and a cluster write the same bytes and tell the same results."""
    found = {}
    hows = {"1": {}, "2": {"workers": 2}, "dask": {"scheduler": dask.address}}
    for name, how in hows.items():
        folder = tmp_path / name
        folder.mkdir()
        results = {o.name: o.result for o in outcomes(folder, job_works.multiply, 6, **how)}
        found[name] = results, {p.name: p.read_bytes() for p in folder.glob("*.wav")}
    assert 6 == len(found["1"][1])
    assert found["1"] == found["2"]
    assert found["1"] == found["dask"]
    again = outcomes(tmp_path / "dask", job_works.multiply, 6)
    assert {"skipped"} == {o.status for o in again}


def test_failures_and_threads(out, dask):
    """Bad jobs keep their reasons, a worker has one thread, and it stands where the run began."""
    found = {o.name: o for o in outcomes(out, job_works.odd_ones_fail, 9, scheduler=dask.address)}
    failed = {n: (o.exit_code, o.error.split("(")[0]) for n, o in found.items() if o.error}
    assert {"2.wav", "5.wav", "8.wav"} == set(failed)
    assert (1, "too loud") == failed["2.wav"]
    assert (3, 70) == (failed["5.wav"][0], failed["8.wav"][0])
    pinned = outcomes(out, job_works.threads, 2, scheduler=dask.address)
    assert {"skipped", "done"} >= {o.status for o in pinned}


def test_set_up_and_place(out, dask, monkeypatch):
    """A worker is set up once for each run; relative paths are meant from where it was started."""
    monkeypatch.chdir(out.parent)
    setup = (job_works.set_value, (5,))
    how = {"scheduler": dask.address, "setup": setup}
    found = list(outcomes(Path("out"), job_works.tell_value, 6, **how))
    assert {"done"} == {o.status for o in found}, found
    assert {str(out.parent)} == {o.result["folder"] for o in found}
    assert os.getpid() not in {o.result["process"] for o in found}
    assert all([5] == o.result["values"] for o in found)
    assert 6 == len(list(out.glob("*.wav")))


def test_threads_are_one(out, dask):
    """The libraries of a worker have one thread each."""
    found = list(outcomes(out, job_works.threads, 3, scheduler=dask.address))
    assert {1} == {count for o in found for count in o.result["threads"]}


def test_another_version(out, dask, monkeypatch):
    """Workers with another rtcore are refused before any job."""
    import rtcore

    monkeypatch.setattr(rtcore, "__version__", "0.0.1")
    with pytest.raises(DeviceError, match=r"and this run was started with 0\.0\.1"):
        list(outcomes(out, job_works.multiply, 1, scheduler=dask.address))


def test_a_chain(tmp_path, dask, monkeypatch):
    """A chain with a plugin of the user's makes the same files on a cluster as in one process."""
    noise = np.random.default_rng(2).normal(0.0, 0.1, (3, 8000))
    (tmp_path / "in").mkdir()
    for k, x in enumerate(noise):
        x[640:960] = 0.0
        write(tmp_path / "in" / f"{k}.wav", x, 16000, subtype="PCM_16")
        lost = "".join("1\n" if p == 2 else "0\n" for p in range(25))
        (tmp_path / "in" / f"{k}_is_lost.txt").write_text(lost)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "halved.py").write_text(HALVED)
    monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(tmp_path / "plugins"))
    monkeypatch.chdir(tmp_path)
    for out, *how in (("one", "--jobs", 1), ("cluster", "--scheduler", dask.address)):
        result = invoke("plc", "conceal", "in", out, "-p", "halved", *how)
        assert 0 == result.exit_code, result.stderr
        assert "3 done, 0 skipped, 0 failed" in result.stdout
    for k in range(3):
        assert Path(f"one/{k}.wav").read_bytes() == Path(f"cluster/{k}.wav").read_bytes()


HALVED = '''
from rtcore import Plugin, kernel


class Halved(Plugin):
    """Make the sound softer."""

    id = "halved"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = 0.5 * x[c, i]
'''


def test_workers_die(out, own_dask, caplog, monkeypatch):
    """One worker of two is killed, then the last; another comes, and every job is done once."""
    monkeypatch.setattr(cluster, "_LOOK_S", 0.05)  # these jobs are shorter than a usual look
    first, second = own_dask.add_worker(), own_dask.add_worker()
    found = []
    with caplog.at_level(logging.WARNING, cluster.__name__):
        for outcome in outcomes(out, job_works.write_slowly, 12, 0.1, scheduler=own_dask.address):
            found.append(outcome)
            if len(found) == 3:
                first.kill()
            if len(found) == 6:
                second.kill()
                second.wait()
                own_dask.add_worker("--nthreads", 2)
    assert ["done"] * 12 == [o.status for o in found], found
    assert sorted(f"{k}.wav" for k in range(12)) == sorted(o.name for o in found)
    assert "there is no worker at" in caplog.text
    assert "has 2 threads, and does one job at a time" in caplog.text
    assert {"skipped"} == {o.status for o in outcomes(out, job_works.write_slowly, 12)}
    assert 12 == len(list(out.glob("*.wav")))


def test_scheduler_dies(out, own_dask):
    """Without its scheduler a run ends with a sentence, and the next does the rest."""
    own_dask.add_worker()
    found = []
    with pytest.raises(DeviceError, match="the Dask scheduler is gone"):
        for outcome in outcomes(out, job_works.write_slowly, 9, 0.2, scheduler=own_dask.address):
            found.append(outcome.name)
            if len(found) == 3:
                own_dask.scheduler.send_signal(signal.SIGKILL)
    rest = {o.name: o.status for o in outcomes(out, job_works.write_slowly, 9)}
    assert set(found) <= {name for name, status in rest.items() if status == "skipped"}
    assert 9 == len(list(out.glob("*.wav")))


def test_a_job_that_kills_workers(tmp_path, out):
    """A job that workers do not survive is given up, and others are done."""
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask", allowed_failures=1) as dask:
        for _ in range(3):
            dask.add_worker()
        ledger = Ledger(out)
        zero, one = job_works.jobs_in(out, 2)
        with ledger.writing():
            found = [
                *run_jobs([one], job_works.kills_its_process, ledger, scheduler=dask.address),
                *run_jobs([zero], job_works.kills_its_process, ledger, scheduler=dask.address),
            ]
    assert ["failed", "done"] == [o.status for o in found]
    assert (3, True) == (found[0].exit_code, "that tried it died" in found[0].error)


def test_a_function_of_a_script(out, monkeypatch):
    """A function that no machine of a cluster could import is refused."""
    script = types.ModuleType("__main__")
    exec("def work(task):\n    return {}", script.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", script)
    with pytest.raises(TypeError, match="stands in a script"):
        list(outcomes(out, script.work, 1, scheduler="tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "tcp://"])
def test_nobody_there(out, address, monkeypatch):
    """An address where no scheduler answers is told."""
    monkeypatch.setattr(cluster, "_ANSWER_S", 0.5)
    with pytest.raises(DeviceError, match="no Dask scheduler answers there"):
        list(outcomes(out, job_works.multiply, 1, scheduler=address))


def test_without_dask(out, monkeypatch):
    """Without the extra a sentence says which."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DeviceError, match=r"rtcore\[dask\]"):
        list(outcomes(out, job_works.multiply, 1, scheduler="tcp://127.0.0.1:1"))
