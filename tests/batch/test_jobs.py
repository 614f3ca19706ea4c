# SPDX-License-Identifier: MIT
"""Jobs run side by side, are not done twice, and leave nothing half-done however a run ends."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import job_works
import pytest
import soundfile

from rtcore.batch import Ledger, named_job, run_jobs, run_named
from rtcore.batch.crew import Crew
from rtcore.batch.ledger import LEDGER
from rtcore.batch.processes import Processes
from rtcore.batch.tasks import Order
from rtcore.errors import ConfigError

WORKERS = pytest.mark.parametrize("workers", [1, 2])


def run(folder, count, work=job_works.write_slowly, workers=1, **options):
    ledger = Ledger(folder)
    with ledger.writing():
        jobs = job_works.jobs_in(folder, count, **options)
        return {o.name: o for o in run_jobs(jobs, work, ledger, workers=workers)}


def whole(folder, count):
    """Tell whether the files are there, whole, and nothing half-written beside them."""
    names = {p.name for p in folder.iterdir() if p.suffix in (".wav", ".part")}
    lengths = {soundfile.info(folder / name).frames for name in names}
    return names == {f"{k}.wav" for k in range(count)} and lengths == {job_works.FRAMES}


@WORKERS
def test_all_are_done_once(tmp_path, workers):
    """A first run does all jobs, a second skips them and tells the same results."""
    first = run(tmp_path, 7, workers=workers)
    assert {"done"} == {o.status for o in first.values()}
    assert whole(tmp_path, 7)
    second = run(tmp_path, 7, workers=workers)
    assert {"skipped"} == {o.status for o in second.values()}
    assert {n: o.result for n, o in first.items()} == {n: o.result for n, o in second.items()}
    if workers == 2:
        assert os.getpid() not in {o.result["process"] for o in first.values()}


def order(folder):
    """Ask for files that are written slowly."""
    return Order(pickle.dumps((job_works.write_slowly, None)), folder)


def packed(folder, number):
    """Give a task as it goes to a worker."""
    job = job_works.jobs_in(folder, number + 1)[-1]
    return pickle.dumps(job.task), job.outputs


def one_process():
    """Hire a process: whoever does tasks pins the threads of his own."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


class Grouping(Crew):
    """Gives away four at once from the first on."""

    group_s, largest_group = math.inf, 4


class Hasty:
    """Lends an executor, and forgets all reports of a group but the first."""

    def __init__(self, executor):
        self._executor = executor

    def submit(self, function, *arguments):
        """Submit what gives one report."""
        return self._executor.submit(job_works.first_of, function, *arguments)


def test_other_keys_are_done_again(tmp_path):
    """A job with another fingerprint, or none, is done again."""
    run(tmp_path, 3)
    assert {"done"} == {o.status for o in run(tmp_path, 3, key="other").values()}
    assert {"skipped"} == {o.status for o in run(tmp_path, 3, key="other").values()}


@WORKERS
def test_failures_stop_no_other(tmp_path, workers):
    """Each failure keeps its sentence and exit code, and the other jobs are done."""
    found = run(tmp_path, 9, job_works.odd_ones_fail, workers)
    failed = {n: (o.exit_code, o.error) for n, o in found.items() if o.status == "failed"}
    assert {"2.wav", "5.wav", "8.wav"} == set(failed)
    assert (1, "too loud") == failed["2.wav"]
    assert (3, True) == (failed["5.wav"][0], "No space left" in failed["5.wav"][1])
    assert (70, True) == (failed["8.wav"][0], "this is a mistake" in failed["8.wav"][1])
    assert 6 == sum(o.status == "done" for o in found.values())


def test_a_process_that_dies(tmp_path):
    """The job that kills its process fails; those beside it are done by others."""
    found = run(tmp_path, 9, job_works.fourth_one_dies, workers=2)
    assert ["4.wav"] == [n for n, o in found.items() if o.status != "done"]
    assert (3, True) == (found["4.wav"].exit_code, "died" in found["4.wav"].error)
    assert 9 == len(found)


@pytest.fixture
def groups(monkeypatch):
    """How many jobs went to a process at once, each time."""
    sizes, given = [], Processes._submitted

    def counted(crew, packed):
        sizes.append(len(packed))
        return given(crew, packed)

    monkeypatch.setattr(Processes, "_submitted", counted)
    return sizes


def test_short_jobs_go_in_groups(tmp_path, groups):
    """Where one of a group kills its process, the others of the group are done all the same."""
    found = run(tmp_path, 100, job_works.seventieth_one_dies, workers=2, wait_s=0.0)
    assert ["70.wav"] == [n for n, o in found.items() if o.status != "done"]
    assert (3, True) == (found["70.wav"].exit_code, "died" in found["70.wav"].error)
    assert 100 == len(found) <= sum(groups)
    assert 1 == groups[0], "nobody knows yet how long they take"
    assert 1 < max(groups) <= 8
    groups.clear()
    run(tmp_path, 8, workers=2, key="other", wait_s=0.1)
    assert {1} == set(groups), "long ones go one by one"


def test_failures_do_not_pass_for_short_jobs(tmp_path, groups):
    """What fails at once says nothing of how long the others take: they go one by one."""
    found = run(tmp_path, 24, job_works.first_ones_fail, workers=2, wait_s=0.06)
    assert 12 == sum(o.status == "done" for o in found.values())
    assert {1} == set(groups)


def test_long_jobs_in_a_group_are_given_back(tmp_path):
    """A group that takes long after all ends early, and gives as many reports as it has done."""
    with Ledger(tmp_path).writing(), one_process() as executor:
        tasks = [packed(tmp_path, k) for k in range(3)]
        reports = executor.submit(job_works.do_impatiently, order(tmp_path), tasks).result()
    assert [""] == [report.error for report in reports]
    assert reports[0].seconds > 0.0


def test_what_is_given_back_is_done(tmp_path):
    """An executor that does but the first of each group gets the others again."""
    ledger = Ledger(tmp_path)
    with ledger.writing(), one_process() as executor:
        crew = Grouping(order(tmp_path), Hasty(executor))
        for job in job_works.jobs_in(tmp_path, 9):
            crew.take(job)
        found = []
        while crew.busy:
            found += crew.collect(ledger)
    assert [f"{k}.wav" for k in range(9)] == sorted(o.name for o in found)
    assert {"done"} == {o.status for o in found}
    assert whole(tmp_path, 9)


@pytest.mark.parametrize("workers", [1, 2, "threads"])
def test_pinned_threads(tmp_path, workers):
    """Each process that works has one thread for each library, and this one as many as before."""
    from threadpoolctl import threadpool_info

    before = threadpool_info()
    words = [sys.executable, "-c", THREADS, tmp_path, workers]
    # In a process of its own: whoever lends an executor lends its process as well.
    told = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    inside, around = json.loads(told.stdout)
    assert inside
    assert {1} == {count for counts in inside for count in counts}
    assert ["unset"] == around or workers == "threads"
    assert before == threadpool_info()


THREADS = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import job_works
import numpy as np

from rtcore.batch import Ledger, named_job, run_jobs, run_named
from rtcore.batch.ledger import LEDGER
from rtcore.errors import ConfigError

if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    folder, word = Path(sys.argv[1]), sys.argv[2]
    ledger = Ledger(folder)
    own = {"scheduler": ThreadPoolExecutor(2)} if word == "threads" else {"workers": int(word)}
    with ledger.writing():
        jobs = job_works.jobs_in(folder, 3)
        found = [o.result["threads"] for o in run_jobs(jobs, job_works.threads, ledger, **own)]
    print(json.dumps([found, [os.environ.get("OMP_NUM_THREADS", "unset")]]))
"""


@WORKERS
def test_set_up_once(tmp_path, workers):
    """Each process is set up once, before its first job."""
    ledger = Ledger(tmp_path)
    job_works._value.clear()
    with ledger.writing():
        setup = (job_works.set_value, (7,))
        jobs = job_works.jobs_in(tmp_path, 6)
        own = {"workers": workers, "setup": setup}
        found = [o.result["values"] for o in run_jobs(jobs, job_works.tell_value, ledger, **own)]
    assert [[7]] * 6 == found


def test_set_up_fails(tmp_path):
    """What keeps a process from working is the reason of each job, in its own words."""
    ledger = Ledger(tmp_path)
    with ledger.writing():
        setup = (job_works.set_value, (-1,))
        jobs = job_works.jobs_in(tmp_path, 3)
        found = list(run_jobs(jobs, job_works.tell_value, ledger, workers=2, setup=setup))
    assert [(1, "no value of -1")] * 3 == [(o.exit_code, o.error) for o in found]


def test_no_function_of_a_module(tmp_path):
    """A function that no other process can find is refused before anything is begun."""
    ledger = Ledger(tmp_path)
    with ledger.writing(), pytest.raises(TypeError, match="take a module's own functions"):
        list(run_jobs(job_works.jobs_in(tmp_path, 1), lambda task: {}, ledger, workers=2))


def test_an_executor(tmp_path):
    """Any executor does jobs, and its owner keeps it."""
    ledger = Ledger(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as executor:
        with ledger.writing():
            jobs = job_works.jobs_in(tmp_path, 5)
            found = list(run_jobs(jobs, job_works.odd_ones_fail, ledger, scheduler=executor))
        assert 3 == executor.submit(len, "abc").result()
    assert ["done", "done", "failed", "done", "done"] == [o.status for o in found]
    assert (1, "too loud") == (found[2].exit_code, found[2].error)


class TestNamed:
    """Jobs of any function, known by its name."""

    @staticmethod
    def outcomes(folder, *, gain=2.0, function="job_works:copy_louder"):
        (folder / "out").mkdir(exist_ok=True)
        ledger = Ledger(folder / "out")
        with ledger.writing():
            outputs = [folder / "out" / "deep" / "b.txt"]
            job = named_job(function, [folder / "a.txt"], outputs, {"gain": gain})
            return next(iter(list(run_jobs([job], run_named, ledger))))

    def test_what_counts(self, tmp_path):
        """It is done once for the same input and parameters, and again for others."""
        made = tmp_path / "out" / "deep" / "b.txt"
        (tmp_path / "a.txt").write_text("a")
        assert "done" == self.outcomes(tmp_path).status
        assert "aa" == made.read_text()
        assert ("skipped", {"gain": 2.0}) == (
            (found := self.outcomes(tmp_path)).status, found.result)  # fmt: skip
        assert "done" == self.outcomes(tmp_path, gain=3.0).status
        (tmp_path / "a.txt").write_text("b")
        assert "done" == self.outcomes(tmp_path, gain=3.0).status
        assert "bbb" == made.read_text()

    def test_failures(self, tmp_path):
        """Nothing half-written and nothing stale stays; what was not written is told."""
        (tmp_path / "a.txt").write_text("a")
        self.outcomes(tmp_path)
        failed = self.outcomes(tmp_path, gain=-1.0)
        assert ("no gain below nothing", True) == (failed.error, failed.removed)
        assert "did not write it" in self.outcomes(tmp_path, gain=0.0).error
        assert [] == list((tmp_path / "out" / "deep").iterdir())

    @pytest.mark.parametrize("name", ["no_such_module:f", "job_works:no_such", "job_works", ":f"])
    def test_no_such_function(self, tmp_path, name):
        """A function that is not there is told by its name."""
        try:
            sentence = self.outcomes(tmp_path, function=name).error
        except ConfigError as error:
            sentence = str(error)
        assert "there is no such function" in sentence


class Runner:
    """A run in a process of its own, which can be ended in the middle."""

    def __init__(self, folder, count, wait_s, workers):
        words = [sys.executable, job_works.__file__, folder, count, wait_s, workers]
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = []

    def read(self, count):
        """Read so many lines."""
        self.lines += [self.process.stdout.readline().split() for _ in range(count)]

    def end(self, how, *, group=False):
        """End it; give the names that were done, the workers, and its stderr."""
        kill = os.killpg if group else os.kill
        kill(self.process.pid, how)
        out, err = self.process.communicate(timeout=60)
        lines = [*self.lines, *(line.split() for line in out.splitlines())]
        return {line[0] for line in lines}, {int(line[2]) for line in lines}, err


def gone(process, within_s=20.0):
    """Wait for a process that is not ours to disappear."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle(tmp_path, workers):
    """After kill -9 no process stays, no file is half there, and the next run does the rest."""
    runner = Runner(tmp_path, 40, 0.2, workers)
    runner.read(4)
    names, processes, _ = runner.end(signal.SIGKILL)
    assert all(gone(process) for process in processes)
    assert all(job_works.FRAMES == soundfile.info(p).frames for p in tmp_path.glob("*.wav"))
    found = run(tmp_path, 40)
    assert names <= {n for n, o in found.items() if o.status == "skipped"}
    assert whole(tmp_path, 40)
    rows = [json.loads(line)["name"] for line in (tmp_path / LEDGER).read_text().splitlines()]
    assert sorted(f"{k}.wav" for k in range(40)) == sorted(rows)


@pytest.mark.parametrize(("how", "group"), [(signal.SIGINT, True), (signal.SIGINT, False)])
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted(tmp_path, how, group, workers):
    """After Ctrl-C no process and no half-written file stays, and what is finished is known."""
    runner = Runner(tmp_path, 40, 0.4, workers)
    runner.read(3)
    names, processes, err = runner.end(how, group=group)
    # Of this process alone; where it was just handling an error, that one is told as well.
    assert 1 == err.count("KeyboardInterrupt")
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert all(gone(process) for process in processes)
    assert [] == list(tmp_path.glob(".rtcore-*.part"))
    skipped = {n for n, o in run(tmp_path, 40).items() if o.status == "skipped"}
    assert names <= skipped
    assert 40 > len(skipped)
