# SPDX-License-Identifier: MIT
"""Ctrl-C comes between the steps of a run, not into the middle of one."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import job_works
import pytest

from rtcore.batch import Ledger, run_jobs
from rtcore.batch.interrupts import held_back


def press():
    """Press Ctrl-C; its handler has run behind this."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def python_handler():
    """Let Ctrl-C raise KeyboardInterrupt, also where a shell that ran the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.default_int_handler is signal.signal(signal.SIGINT, before)


def test_waits_for_the_end_of_the_step():
    """What was begun is ended, then Ctrl-C is heard, once."""
    steps = []
    with pytest.raises(KeyboardInterrupt), held_back():
        press()
        press()
        steps.append("ended")
    assert ["ended"] == steps
    with held_back():
        steps.append("again")
    assert ["ended", "again"] == steps


def test_an_error_of_the_step_is_not_lost():
    """Ctrl-C is told, and what went wrong before it stands behind it."""
    with pytest.raises(KeyboardInterrupt) as told, held_back():
        press()
        raise OSError("no room")
    assert "no room" == str(told.value.__context__)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_not_pythons_stays(handler):
    """Where Ctrl-C is ignored or left to the system it stays so."""
    signal.signal(signal.SIGINT, handler)
    with held_back():
        assert handler == signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_other_threads_do_as_they_did():
    """Only the first thread hears Ctrl-C, so that others have nothing to hold back."""
    ended = []

    def step():
        with held_back():
            ended.append(True)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert [True] == ended


class Interrupted(ThreadPoolExecutor):
    """Ctrl-C comes while the third job is given to it."""

    given = 0

    def submit(self, *words):
        """Count the jobs that were taken to the end."""
        if self.given == 2:
            press()
        future = super().submit(*words)
        self.given += 1
        return future


def test_while_a_job_is_given_away(tmp_path):
    """The job is given away to the end, then the run ends; nothing waits for ever."""
    ledger = Ledger(tmp_path)
    jobs = job_works.jobs_in(tmp_path, 9)
    with Interrupted(1) as executor, ledger.writing(), pytest.raises(KeyboardInterrupt):
        list(run_jobs(jobs, job_works.write_slowly, ledger, scheduler=executor))
    assert 3 == executor.given
    assert len(list(tmp_path.glob("*.wav"))) <= 3
