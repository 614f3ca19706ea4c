# SPDX-License-Identifier: MIT
import os

import pytest

from rtcore.doctor import Status, privileges
from rtcore.engine.privileges import Note


def commands(judgement):
    return [fix.command for fix in judgement.fixes]


@pytest.fixture
def refused(monkeypatch):
    """Let the system refuse real-time priority and locked memory."""
    monkeypatch.setattr("rtcore.engine.privileges.request_fifo", lambda _id: Note("no", "do"))
    monkeypatch.setattr("rtcore.engine.privileges.lock_memory", lambda: Note("no", "do"))
    monkeypatch.setattr("resource.getrlimit", lambda _which: (0, 0))


class TestRefused:
    def test_debian(self, plant, refused):
        """The limits go into a file for the group audio, and need a new log-in."""
        found = privileges.real_time_priority(plant({"/etc/os-release": "ID=debian"}))
        assert Status.BAD == found.status
        assert not found.impossible
        assert "@audio - rtprio 95" in commands(found)[0]
        assert 'sudo usermod -aG audio "$USER"' == commands(found)[1]
        assert all(fix.root and fix.login for fix in found.fixes)

    def test_arch(self, plant, refused):
        """Arch has a package and a group for it."""
        found = privileges.real_time_priority(plant({"/etc/os-release": "ID=arch"}))
        expected = ["sudo pacman -S realtime-privileges", 'sudo usermod -aG realtime "$USER"']
        assert expected == commands(found)

    def test_container(self, plant, refused):
        """A container gets its limits from outside."""
        found = privileges.locked_memory(plant({"/.dockerenv": ""}))
        assert Status.IMPROVE == found.status
        assert "--ulimit memlock=-1" in found.remedy

    def test_forbidden_by_something_else(self, plant, refused, monkeypatch):
        """Where the limit would allow it, no limit is to be raised."""
        monkeypatch.setattr("resource.getrlimit", lambda _which: (95, 95))
        found = privileges.real_time_priority(plant())
        assert (Status.BAD, ()) == (found.status, found.fixes)
        assert "control group" in found.remedy

    def test_limits(self, plant, refused):
        """A limit below the priority that rtcore asks for is bad."""
        rtprio, nice = privileges.limits(plant())
        assert (Status.BAD, Status.GOOD) == (rtprio.status, nice.status)


class TestGranted:
    def test_granted(self, plant, monkeypatch):
        """What is granted is good, whatever the limit says."""
        monkeypatch.setattr("rtcore.engine.privileges.request_fifo", lambda _id: None)
        monkeypatch.setattr("resource.getrlimit", lambda _which: (0, 0))
        assert Status.GOOD == privileges.real_time_priority(plant()).status
        assert Status.GOOD == privileges.limits(plant())[0].status

    def test_locking_is_undone(self, plant, monkeypatch):
        """Memory is unlocked again after the try."""
        calls = []
        monkeypatch.setattr("rtcore.engine.privileges.lock_memory", lambda: calls.append("lock"))
        monkeypatch.setattr(
            "rtcore.engine.privileges.unlock_memory", lambda: calls.append("unlock")
        )
        assert Status.GOOD == privileges.locked_memory(plant()).status
        assert ["lock", "unlock"] == calls


class TestGroup:
    @pytest.fixture(autouse=True)
    def user(self, monkeypatch):
        """Be an ordinary user called me, in group 1000."""
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(os, "getegid", lambda: 1000)
        monkeypatch.setattr(os, "getgroups", lambda: [1000])
        monkeypatch.setenv("USER", "me")
        monkeypatch.setattr(privileges, "_members", lambda *_: [])

    @pytest.mark.parametrize(
        ("group", "remedy"),
        [
            ("audio:x:29:pulse\n", "join the group audio"),
            ("audio:x:29:pulse,me\n", "log out and in again"),
            ("video:x:44:\n", "write rtprio"),
            ("", "write rtprio"),
            ("audio:x:no:\nnonsense", "write rtprio"),
        ],
    )
    def test_not_a_member(self, plant, group, remedy):
        """A user who was added after the log-in is told to log in again."""
        found = privileges.audio_group(plant({"/etc/group": group}))
        assert Status.IMPROVE == found.status
        assert remedy in found.remedy

    def test_member(self, plant):
        """A member is content."""
        machine = plant({"/etc/group": "audio:x:1000:\n"})
        assert Status.GOOD == privileges.audio_group(machine).status


@pytest.mark.parametrize(
    ("runtime", "status"),
    [("950000", Status.GOOD), ("-1", Status.GOOD), ("0", Status.BAD), ("x", Status.UNKNOWN)],
)
def test_share(plant, runtime, status):
    """Real-time threads need a share of the time."""
    folder = "/proc/sys/kernel/sched_rt"
    machine = plant({f"{folder}_runtime_us": runtime, f"{folder}_period_us": "1000000"})
    assert status == privileges.throttling(machine).status


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({}, Status.GOOD),
        ({"/proc/5/comm": "rtkit-daemon"}, Status.GOOD),
        ({"/proc/5/comm": "pipewire", "/etc/os-release": "ID=fedora"}, Status.IMPROVE),
    ],
)
def test_rtkit(plant, files, status):
    """Only a sound server needs RealtimeKit."""
    assert status == privileges.rtkit(plant(files)).status
