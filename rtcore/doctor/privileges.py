# SPDX-License-Identifier: MIT
"""What this user may do: real-time priority, locked memory, the groups for them.

The limits come from pam_limits at log-in (limits.conf(5), limits.d); jackaudio.org/faq/
linux_rt_config.html has the lines for a group. Arch packages the same as ``realtime-privileges``
with the group ``realtime`` (ArchWiki, "Realtime process management").
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from rtcore.doctor.machine import Machine, install
from rtcore.doctor.record import Fix, Judgement, bad, good, improve, unknown

LIMITS_FILE = "/etc/security/limits.d/audio.conf"
_LINES = r"@audio - rtprio 95\n@audio - memlock unlimited\n@audio - nice -19\n"
_RT_RUNTIME = "/proc/sys/kernel/sched_rt_runtime_us"


def group_of(machine: Machine) -> str:
    """Name the group that gets real-time rights on this distribution."""
    return "realtime" if machine.family == "arch" else "audio"


def limit_fixes(machine: Machine) -> tuple[Fix, ...]:
    """Give the commands that grant real-time priority and locked memory."""
    if machine.container:
        words = "--ulimit rtprio=95 --ulimit memlock=-1 --cap-add SYS_NICE"
        return (Fix(f"docker run {words} IMAGE"),)  # at its start, from outside
    join = Fix(f'sudo usermod -aG {group_of(machine)} "$USER"', root=True, login=True)
    if machine.family == "arch":
        return Fix("sudo pacman -S realtime-privileges", root=True), join
    write = Fix(f"printf '{_LINES}' | sudo tee {LIMITS_FILE}", root=True, login=True)
    return write, join


def limit_remedy(machine: Machine) -> str:
    """Say the same in words."""
    if machine.container:
        return "start the container with --ulimit rtprio=95 --ulimit memlock=-1"
    if machine.family == "arch":
        return "install realtime-privileges, join the group realtime and log in again"
    return f"write rtprio and memlock into {LIMITS_FILE}, join the group audio and log in again"


def fifo_refusal() -> str | None:
    """Try SCHED_FIFO on a thread of our own; give what was refused, or None."""
    from rtcore.engine.privileges import request_fifo

    answers: list[str | None] = []

    def ask() -> None:
        note = request_fifo(threading.get_native_id())
        answers.append(note.what if note is not None else None)

    thread = threading.Thread(target=ask, name="rtcore-doctor")
    thread.start()
    thread.join()
    return answers[0] if answers else "the question was not answered"


def real_time_priority(machine: Machine) -> Judgement:
    """Try SCHED_FIFO, which keeps ordinary programs from delaying a block (sched(7)).

    Where the limit allows it and it is refused all the same, a control group without a share of
    real-time (CONFIG_RT_GROUP_SCHED) or a service's RestrictRealtime= (systemd.exec(5)) forbids it.
    """
    import resource

    from rtcore.engine.privileges import PRIORITY

    refusal = fifo_refusal()
    if refusal is None:
        return good("real-time priority", f"SCHED_FIFO {PRIORITY} is granted", granted=True)
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if limit == resource.RLIM_INFINITY or limit >= PRIORITY:
        return bad(
            "real-time priority",
            f"SCHED_FIFO {PRIORITY} is refused, though the limit allows it",
            "start rtcore outside of this service or control group, which forbids it",
            granted=False,
            refusal=refusal,
        )
    return bad(
        "real-time priority",
        f"SCHED_FIFO {PRIORITY} is refused, so other programs can delay a block",
        limit_remedy(machine),
        *limit_fixes(machine),
        granted=False,
        refusal=refusal,
    )


def limits(machine: Machine) -> list[Judgement]:
    """Judge the limits behind it (getrlimit(2)), which CAP_SYS_NICE goes around."""
    import resource

    from rtcore.engine.privileges import PRIORITY

    fifo = fifo_refusal() is None
    rtprio = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    nice = resource.getrlimit(resource.RLIMIT_NICE)[0]
    text = "unlimited" if rtprio == resource.RLIM_INFINITY else str(rtprio)
    found: list[Judgement] = []
    if rtprio == resource.RLIM_INFINITY or rtprio >= PRIORITY:
        found.append(good("rtprio limit", f"{text}, rtcore asks for {PRIORITY}", limit=rtprio))
    elif fifo:
        found.append(good("rtprio limit", f"{text}, but this user stands above it", limit=rtprio))
    else:
        remedy = limit_remedy(machine)
        what = f"{text}, and rtcore asks for {PRIORITY}"
        found.append(bad("rtprio limit", what, remedy, *limit_fixes(machine), limit=rtprio))
    reach = "any" if nice == resource.RLIM_INFINITY else f"{20 - nice} or above"
    needed = "; with real-time priority it is not needed" if fifo else ""
    found.append(good("nice limit", f"nice may be {reach}{needed}", limit=nice))
    return found


def locked_memory(machine: Machine) -> Judgement:
    """Memory that is locked is not swapped out under the sound (mlockall(2))."""
    import resource

    from rtcore.engine.privileges import lock_memory, unlock_memory

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    text = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit / 2**20:g} MiB"
    note = lock_memory()
    if note is None:
        unlock_memory()
        return good("locked memory", f"can be locked (limit {text})", limit_bytes=limit)
    return improve(
        "locked memory",
        f"cannot be locked (limit {text}), so swapping may interrupt the sound",
        limit_remedy(machine),
        *limit_fixes(machine),
        limit_bytes=limit,
    )


def audio_group(machine: Machine) -> Judgement:
    """Look for the group that the limits are written for, and that owns ``/dev/snd``."""
    import grp

    wanted = group_of(machine)
    members: dict[str, list[str]] = {}
    numbers: dict[str, int] = {}
    for line in (machine.text("/etc/group") or "").splitlines():
        parts = line.split(":")
        if len(parts) == 4 and parts[2].isdigit():
            numbers[parts[0]], members[parts[0]] = int(parts[2]), parts[3].split(",")
    if os.geteuid() == 0:
        return good("audio group", "root needs none")
    number = numbers.get(wanted)
    if number is None:
        remedy = limit_remedy(machine)
        return improve("audio group", f"there is no group {wanted}", remedy, *limit_fixes(machine))
    if number in (*os.getgroups(), os.getegid()):
        return good("audio group", f"this user is in the group {wanted}")
    user = next((n for n in (os.environ.get("USER"), os.environ.get("LOGNAME")) if n), "")
    if user and user in (*members[wanted], *_members(grp, wanted)):
        what = f"this user was added to the group {wanted} after this log-in"
        return improve("audio group", what, "log out and in again")
    join = Fix(f'sudo usermod -aG {wanted} "$USER"', root=True, login=True)
    what = f"this user is not in the group {wanted}"
    return improve("audio group", what, f"join the group {wanted} and log in again", join)


def _members(grp: object, name: str) -> list[str]:
    """Ask the system's own list as well: groups may come from a directory service."""
    try:
        return list(grp.getgrnam(name).gr_mem)  # type: ignore[attr-defined]
    except (KeyError, OSError):
        return []


def rtkit(machine: Machine) -> Judgement:
    """RealtimeKit hands real-time priority to PipeWire and PulseAudio; rtcore asks the kernel."""
    service = "/usr/share/dbus-1/system-services/org.freedesktop.RealtimeKit1.service"
    if "rtkit-daemon" in machine.processes:
        return good("RealtimeKit", "runs; sound servers get their priority from it")
    if machine.exists(service):
        return good("RealtimeKit", "is installed; it starts when a sound server asks")
    if not machine.processes & {"pipewire", "pulseaudio"}:
        return good("RealtimeKit", "is not installed, and no sound server needs it")
    command = install(machine, debian="rtkit", fedora="rtkit", arch="rtkit")
    return improve(
        "RealtimeKit",
        "is not installed, so the sound server may run without real-time priority",
        "install rtkit and start the sound server again",
        *((Fix(command, root=True, login=True),) if command else ()),
    )


def throttling(machine: Machine) -> Judgement:
    """How much of each period real-time threads may use (kernel docs, sched-rt-group)."""
    runtime = machine.number(_RT_RUNTIME)
    period = machine.number("/proc/sys/kernel/sched_rt_period_us")
    if runtime is None or not period or period < 0:
        return unknown("real-time share", f"{_RT_RUNTIME} cannot be read")
    if runtime < 0:
        return good("real-time share", "all of the time", runtime_us=runtime)
    share = 100.0 * runtime / period
    if share >= 50.0:
        return good("real-time share", f"{share:.0f} % of the time", runtime_us=runtime)
    command = Fix("sudo sysctl kernel.sched_rt_runtime_us=950000", root=True, lasts=False)
    what = f"real-time threads get {share:.0f} % of the time only"
    return bad("real-time share", what, "give them 95 %, the kernel's default", command)


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "real-time priority": real_time_priority,
    "limits": limits,
    "locked memory": locked_memory,
    "audio group": audio_group,
    "RealtimeKit": rtkit,
    "real-time share": throttling,
}
