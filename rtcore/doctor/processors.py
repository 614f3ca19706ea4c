# SPDX-License-Identifier: MIT
"""How the processor is driven: its speed, its sleep, its number, and who else uses it."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from rtcore.doctor.machine import Machine, install
from rtcore.doctor.record import Fix, Judgement, bad, good, improve, unknown

_CPU = "/sys/devices/system/cpu"
_DMA = "/dev/cpu_dma_latency"
_NO_WISH_US = 2_000_000_000
_RULE = 'KERNEL=="cpu_dma_latency", GROUP="{}", MODE="0660"'
_DEEP_US = 100


def governor(machine: Machine) -> Judgement:
    """Judge what sets the clock frequency (kernel docs, admin-guide/pm/cpufreq.rst).

    ``powersave`` means the lowest frequency with most drivers, and a policy of its own with
    intel_pstate and amd-pstate-epp (admin-guide/pm/intel_pstate.rst).
    """
    names = machine.names(f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor")
    read = [machine.text(name) for name in names]
    counts = Counter(text for text in read if text)
    if not names:
        where = " (usual in a virtual machine)" if machine.hypervisor else ""
        found = f"no frequency scaling is offered here{where}"
        return good("CPU governor", found) if machine.hypervisor else unknown("CPU governor", found)
    if not counts:
        return unknown("CPU governor", "scaling_governor cannot be read")
    text = ", ".join(f"{name} on {count}" for name, count in sorted(counts.items()))
    found = f"{text} of {len(names)} CPUs"
    figures: dict[str, Any] = {"governors": dict(counts)}
    if set(counts) == {"performance"}:
        return good("CPU governor", found, **figures)
    driver = machine.text(f"{_CPU}/cpu0/cpufreq/scaling_driver") or ""
    slowest = "powersave" in counts and driver not in ("intel_pstate", "amd-pstate-epp")
    judge = bad if slowest else improve
    what = "; the clock stays at its lowest" if slowest else "; the clock rises too late for blocks"
    remedy = "choose the governor performance while you play"
    return judge("CPU governor", found + what, remedy, *_governor_fixes(machine), **figures)


def _governor_fixes(machine: Machine) -> tuple[Fix, ...]:
    command = install(machine, debian="linux-cpupower", fedora="kernel-tools", arch="cpupower")
    if (machine.text("/etc/os-release") or "").find("ID=ubuntu") >= 0:
        command = 'sudo apt install linux-tools-common "linux-tools-$(uname -r)"'
    get = (Fix(command, root=True),) if command else ()
    fixes = (*get, Fix("sudo cpupower frequency-set -g performance", root=True, lasts=False))
    if "tuned" in machine.processes:  # tuned would set it back
        fixes = (Fix("sudo tuned-adm profile latency-performance", root=True),)
    return fixes


def dma_latency(machine: Machine) -> Judgement:
    """Judge the wish for short wake-ups, which holds while its file is open (PM QoS).

    rtcore holds it at 0 µs itself while it plays live, where it may.
    """
    from rtcore.doctor.privileges import group_of

    if not machine.exists(_DMA):
        found = f"{_DMA} does not exist"
        if machine.container or machine.hypervisor:
            return unknown("CPU wake-up wish", f"{found}; whoever runs this machine decides")
        return improve("CPU wake-up wish", found, "use a kernel with CONFIG_CPU_IDLE")
    raw = machine.bytes_of(_DMA, 4) or b""
    now = struct.unpack("i", raw)[0] if len(raw) == 4 else None
    text = f", now {now} µs" if now is not None and 0 <= now < _NO_WISH_US else ""
    if machine.writable(_DMA):
        found = f"rtcore holds {_DMA} at 0 µs while it plays{text}"
        return good("CPU wake-up wish", found, now_us=now)
    if now == 0:
        return good("CPU wake-up wish", f"another program holds {_DMA} at 0 µs", now_us=0)
    if machine.container:
        remedy = f"start the container with --device {_DMA}, and with rights to write there"
        return improve("CPU wake-up wish", f"{_DMA} is not writable", remedy, now_us=now)
    rule = _RULE.format(group_of(machine))
    file = "/etc/udev/rules.d/99-cpu-dma-latency.rules"
    return improve(
        "CPU wake-up wish",
        f"{_DMA} is not writable, so the CPU may sleep deeply between blocks{text}",
        f"allow it to the group {group_of(machine)} by a udev rule",
        Fix(f"echo '{rule}' | sudo tee {file}", root=True),
        Fix("sudo udevadm control --reload", root=True),
        Fix("sudo udevadm trigger --subsystem-match=misc", root=True),
        now_us=now,
    )


def idle_states(machine: Machine) -> Judgement:
    """How long the deepest sleep takes to leave (kernel docs, admin-guide/pm/cpuidle.rst)."""
    states: dict[str, int] = {}
    for name in machine.names(f"{_CPU}/cpu0/cpuidle/state[0-9]*"):
        latency = machine.number(f"{name}/latency")
        if latency is not None and machine.text(f"{name}/disable") != "1":
            states[machine.text(f"{name}/name") or name[-1]] = latency
    if not states:
        where = "; the hypervisor decides" if machine.hypervisor else ""
        return unknown("C-states", f"no sleep states are listed{where}")
    deepest = max(states, key=lambda name: states[name])
    found = f"the deepest of {len(states)}, {deepest}, takes {states[deepest]} µs to leave"
    if states[deepest] < _DEEP_US:
        return good("C-states", found, states_us=states)
    if machine.exists(_DMA) and machine.writable(_DMA):
        return good("C-states", f"{found}; rtcore rules it out while it plays", states_us=states)
    fix = Fix(f"sudo cpupower idle-set -D {_DEEP_US}", root=True, lasts=False)
    remedy = "let rtcore hold /dev/cpu_dma_latency, or switch deep sleep off"
    return improve("C-states", found, remedy, fix, states_us=states)


def cpus(machine: Machine) -> Judgement:
    """How many CPUs this process may use (sched_setaffinity(2))."""
    online = len(machine.names(f"{_CPU}/cpu[0-9]*")) or os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity is not None else online
    found = f"{allowed} of {max(online, allowed)} may be used"
    figures: dict[str, Any] = {"allowed": allowed, "online": online}
    if allowed == 1:
        remedy = "give it two CPUs at least: one for the sound, one for everything else"
        return bad("CPUs", found, remedy, **figures)
    if allowed < 4:
        remedy = "close other programs while you play; they share the CPUs with the sound"
        return improve("CPUs", found, remedy, **figures)
    return good("CPUs", found, **figures)


def quota(machine: Machine) -> Judgement:
    """Judge the control group's share; all threads wait once it is used up (cgroup-v2)."""
    name = "CPU quota"
    tightest: tuple[float, str] | None = None
    for file, share in _quotas(machine):
        if tightest is None or share < tightest[0]:
            tightest = share, file
    if tightest is None:
        return good(name, "no control group limits this process")
    share, file = tightest
    found = f"{file} allows {share:g} CPUs, and pauses every thread when they are used up"
    if share < 1.0:
        remedy = "raise the quota to 1 CPU at least (docker: --cpus), or remove it"
        return bad(name, found, remedy, *_quota_fix(machine), cpus=share)
    return improve(name, found, "remove the quota (docker: --cpus=0)", cpus=share)


def _quota_fix(machine: Machine) -> tuple[Fix, ...]:
    if machine.container:
        return (Fix("docker update --cpus 2 CONTAINER"),)
    return ()


def _quotas(machine: Machine) -> list[tuple[str, float]]:
    """Give the quota of each control group from ours up to the top, in CPUs."""
    found: list[tuple[str, float]] = []
    for line in (machine.text("/proc/self/cgroup") or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3 or "\0" in line:
            continue
        second = parts[1] == ""
        if not second and "cpu" not in parts[1].split(","):
            continue
        tops = (
            ["/sys/fs/cgroup"] if second else ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
        )
        steps = [step for step in parts[2].split("/") if step not in ("", ".", "..")]
        for top in tops:
            for depth in range(len(steps), -1, -1):
                share = _quota_in(machine, "/".join([top, *steps[:depth]]), second=second)
                if share is not None:
                    found.append(share)
    return found


def _quota_in(machine: Machine, folder: str, *, second: bool) -> tuple[str, float] | None:
    """Read one control group's quota in CPUs; None for none."""
    if second:
        file = f"{folder}/cpu.max"
        quota_text, _, period_text = (machine.text(file) or "max 100000").partition(" ")
    else:
        file = f"{folder}/cpu.cfs_quota_us"
        quota_text = machine.text(file) or "-1"
        period_text = machine.text(f"{folder}/cpu.cfs_period_us") or ""
    try:
        quota_us, period_us = int(quota_text), int(period_text)
    except ValueError:
        return None
    return (file, round(quota_us / period_us, 3)) if quota_us > 0 and period_us > 0 else None


def smt(machine: Machine) -> Judgement:
    """Two threads of one core share its units, so a neighbour slows a block down."""
    active = machine.text(f"{_CPU}/smt/active")
    if active == "0":
        return good("SMT", "is off: each CPU is a core of its own")
    if active != "1":
        return unknown("SMT", "the kernel does not tell")
    if machine.hypervisor:
        return good("SMT", "is shown; only the host could switch it off")
    return improve(
        "SMT",
        "is on: two CPUs share a core, and a busy neighbour makes blocks slower",
        "only where blocks are late without a reason: switch it off",
        Fix(f"echo off | sudo tee {_CPU}/smt/control", root=True, lasts=False),
    )


def load(machine: Machine) -> Judgement:
    """How busy the machine was in the last minute (proc_loadavg(5))."""
    numbers = re.findall(r"\d+(?:\.\d+)?", machine.text("/proc/loadavg") or "")
    if not numbers:
        return unknown("load", "/proc/loadavg cannot be read")
    online = len(machine.names(f"{_CPU}/cpu[0-9]*")) or os.cpu_count() or 1
    average = float(numbers[0])
    found = f"{average:g} of {online} CPUs were busy in the last minute"
    if average <= 0.5 * online:
        return good("load", found, average=average, cpus=online)
    return improve("load", found, "close what is busy (`top` shows it)", average=average)


def virtual(machine: Machine) -> list[Judgement]:
    """Whether somebody else decides when this machine runs."""
    found = []
    if machine.hypervisor:
        what = f"runs on {machine.hypervisor}, which may pause it at any time"
        remedy = "play on a real machine, or pin the virtual CPUs to cores of their own"
        found.append(improve("virtual machine", what, remedy))
    else:
        found.append(good("virtual machine", "no sign of one"))
    kind = machine.container
    text = f"{kind}; its limits come from whoever started it" if kind else "no sign of one"
    found.append(good("container", text))
    return found


def stolen(machine: Machine) -> tuple[int, int] | None:
    """Read the clock ticks stolen by other virtual machines, and all ticks (proc_stat(5))."""
    for line in (machine.text("/proc/stat") or "").splitlines():
        if line.startswith("cpu "):
            ticks = [int(word) for word in re.findall(r"\d+", line)[:8]]
            return (ticks[7], sum(ticks)) if len(ticks) == 8 else None
    return None


def steal(
    before: tuple[int, int] | None, after: tuple[int, int] | None, *, testing: bool
) -> Judgement:
    """Judge the share of time that other virtual machines took between two readings."""
    name = "steal time in the self-test" if testing else "steal time"
    if before is None or after is None or after[1] <= before[1]:
        return unknown(name, "/proc/stat does not tell")
    share = 100.0 * max(after[0] - before[0], 0) / (after[1] - before[1])
    since = "" if testing else " since the start"
    found = f"{share:.2g} % of the time{since} went to other virtual machines"
    if share < 0.05:
        return good(name, found, percent=share)
    remedy = "ask for dedicated CPUs, or play on a real machine"
    return (bad if share >= 2.0 else improve)(name, found, remedy, percent=share)


def steal_since_start(machine: Machine) -> Judgement:
    """Judge it since the machine was started; the self-test measures it afresh."""
    return steal((0, 0), stolen(machine), testing=False)


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "CPU governor": governor,
    "CPU wake-up wish": dma_latency,
    "C-states": idle_states,
    "CPUs": cpus,
    "CPU quota": quota,
    "SMT": smt,
    "load": load,
    "virtual machine": virtual,
    "steal time": steal_since_start,
}
