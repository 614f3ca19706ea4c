# SPDX-License-Identifier: MIT
"""Nothing that lies in /proc or /sys may stop the doctor."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.doctor import (
    Check,
    Machine,
    Status,
    examine,
    memory,
    privileges,
    processors,
    sound,
    system,
)

CPU = "/sys/devices/system/cpu"
FILES = [
    f"{CPU}/cpu0/cpufreq/scaling_governor",
    f"{CPU}/cpu0/cpufreq/scaling_driver",
    f"{CPU}/cpu0/cpuidle/state0/latency",
    f"{CPU}/cpu0/cpuidle/state0/name",
    f"{CPU}/smt/active",
    "/dev/cpu_dma_latency",
    "/etc/group",
    "/etc/os-release",
    "/proc/1/cgroup",
    "/proc/1/environ",
    "/proc/asound/cards",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/self/cgroup",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/sched_rt_period_us",
    "/proc/sys/kernel/sched_rt_runtime_us",
    "/proc/sys/kernel/version",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/swappiness",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/devices/system/clocksource/clocksource0/available_clocksource",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/fs/cgroup/cpu.max",
    "/sys/kernel/mm/transparent_hugepage/enabled",
]
PATH_CHECKS = {
    **processors.CHECKS,
    **system.CHECKS,
    **memory.CHECKS,
    "sound cards": sound.cards,
    "sound servers": sound.servers,
    "audio group": privileges.audio_group,
    "RealtimeKit": privileges.rtkit,
    "real-time share": privileges.throttling,
}
HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"", b"\0", b"-1", b"0", b"99999999999999999999999999", b"1e309", b"nan", b"max",
            b"max max", b"0 0", b"-1 -1", b"cpu  " + b"9 " * 400, b"0::/../../../etc", b"0::\0",
            "\uff11\uff12".encode(), b"\xff\xfe", b"[always", b"a:b:c:d", b"=\n==\n",
            b"\x1f\x8b\x08", b"9" * 5000, b"0::/" + b"x/" * 3000, b"cpu 1 2 3 4 5 6 7 8\ncpu",
        ]
    ),
)  # fmt: skip


def look(machine):
    checks = [Check("t", name, check) for name, check in PATH_CHECKS.items()]
    return [judgement for _, judgement in examine(machine, checks)]


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(FILES), HOSTILE))
def test_garbage_never_stops_a_check(files):
    """Whatever the files hold, no check fails, and each says something in one line."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name.lstrip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        found = look(Machine(folder, platform="linux", run=lambda _: None))
    assert [] == [one for one in found if one.found.startswith("could not be found out")]
    assert all(one.found and "\n" not in one.found + one.remedy for one in found)
    assert not any(one.impossible for one in found)


def test_nothing_at_all(plant):
    """An empty machine is judged without a failure."""
    assert len(look(plant())) >= len(PATH_CHECKS)


def test_folders_and_pipes_in_place_of_files(tmp_path):
    """What is no file is not read, so that nothing blocks."""
    for k, name in enumerate(FILES):
        path = tmp_path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if k % 2:
            path.mkdir()
        else:
            os.mkfifo(path)
    found = look(Machine(tmp_path, platform="linux", run=lambda _: None))
    assert not any(one.impossible for one in found)


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_other_systems_do_not_stop_it(plant, monkeypatch, platform):
    """Where Linux's functions are missing, checks answer all the same."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setscheduler", raising=False)
    machine = plant(platform=platform)
    found = look(machine)
    assert any(one.impossible for one in found)
    assert Status.BAD == privileges.real_time_priority(machine).status


def test_a_check_that_raises_becomes_unknown(plant):
    """The reason is told in one line, and later checks go on."""

    def broken(_machine):
        raise RuntimeError("two\nlines")

    checks = [Check("a", "first", broken), Check("b", "second", lambda m: [])]
    topic, judgement = next(examine(plant(), checks))
    assert ("a", "first", Status.UNKNOWN) == (topic, judgement.name, judgement.status)
    assert "could not be found out (RuntimeError: two lines)" == judgement.found
