# SPDX-License-Identifier: MIT
import errno
import gc
import os
import struct
import sys
import threading

import pytest

from rtcore.engine import privileges
from rtcore.engine.privileges import LiveMode, Note, hold_awake, lock_memory, request_fifo


def refuse(code):
    def refusal(*arguments):
        raise OSError(code, os.strerror(code))

    return refusal


class TestFifo:
    def test_granted_or_noted(self):
        """A thread of our own gets the priority, or a note says why not."""
        results = []

        def work():
            note = request_fifo(threading.get_native_id(), 10)
            results.append((note, os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        note, policy = results[0]
        assert (policy == os.SCHED_FIFO) == (note is None)

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            (errno.EPERM, "rtprio 70"),
            (errno.ESRCH, "has ended"),
            (errno.EINVAL, "choose one from 1 to 99"),
        ],
    )
    def test_refusal_is_a_note(self, monkeypatch, code, says):
        """Each refusal becomes one line with a remedy."""
        monkeypatch.setattr(os, "sched_setscheduler", refuse(code))
        note = request_fifo(0)
        assert says in str(note)
        assert "\n" not in str(note)


class TestMemory:
    def test_limit_is_respected(self, monkeypatch):
        """Under a limit nothing is locked, since later allocations would fail."""
        monkeypatch.setattr(privileges, "_may_lock_all", lambda: False)
        assert "memlock unlimited" in str(lock_memory())

    def test_granted_or_noted(self):
        """Locking works or gives a note, and can be undone."""
        assert isinstance(lock_memory(), Note | None)
        privileges.unlock_memory()


class TestAwake:
    def test_held(self, tmp_path):
        """A zero is written, and the file stays open."""
        path = tmp_path / "cpu_dma_latency"
        path.touch()
        descriptor, note = hold_awake(path)
        assert note is None
        assert struct.pack("i", 0) == path.read_bytes()
        os.close(descriptor)

    def test_absent(self, tmp_path):
        """A kernel without the file gives a note."""
        descriptor, note = hold_awake(tmp_path / "nothing")
        assert descriptor is None
        assert "does not exist" in str(note)

    def test_forbidden(self, monkeypatch):
        """A refusal names the udev rule that allows it."""
        monkeypatch.setattr(os, "open", refuse(errno.EACCES))
        assert "udev rule" in str(hold_awake()[1])


class TestLiveMode:
    def state(self):
        return gc.isenabled(), sys.getswitchinterval(), gc.get_freeze_count() > 0

    def test_sets_and_restores(self):
        """The collector and the switch interval are as before afterwards, also when nested."""
        before = self.state()
        with LiveMode(memory=False, awake=False) as live:
            inside = self.state()
            with LiveMode(memory=False, awake=False):
                assert inside == self.state()
            assert inside == self.state()
            assert [] == live.notes
        assert (False, pytest.approx(1e-4), True) == inside
        assert before == self.state()

    def test_restores_after_an_error(self):
        """An exception inside restores as well."""
        before = self.state()
        with pytest.raises(ZeroDivisionError), LiveMode(memory=False, awake=False):
            _ = 1 / 0
        assert before == self.state()

    def test_leaves_a_disabled_collector_alone(self):
        """A program that runs without the collector keeps it so."""
        gc.disable()
        try:
            with LiveMode(memory=False, awake=False):
                pass
            assert not gc.isenabled()
        finally:
            gc.enable()

    def test_refusals_become_notes(self, monkeypatch):
        """Nothing that is refused raises, and the same note is kept once."""
        monkeypatch.setattr(privileges, "_may_lock_all", lambda: False)
        monkeypatch.setattr(os, "sched_setscheduler", refuse(errno.EPERM))
        with LiveMode(awake=False) as live:
            live.request_fifo(0)
            live.request_fifo(0)
        assert ["memory", "no real-time"] == [
            note.what.split(" is")[0].split(" priority")[0] for note in live.notes
        ]

    def test_everything(self):
        """The real thing runs with whatever rights the tests have."""
        with LiveMode() as live:
            assert all(isinstance(note, Note) for note in live.notes)
