# SPDX-License-Identifier: MIT
"""The kernel: whether it is one, how soon it lets go, and what its clock costs."""

from __future__ import annotations

import contextlib
import gzip
import platform
import zlib
from collections.abc import Callable

from rtcore.doctor.machine import Machine
from rtcore.doctor.record import Fix, Judgement, bad, good, improve, unknown

_CLOCKS = "/sys/devices/system/clocksource/clocksource0"
_MODES = ("none", "voluntary", "full", "lazy")
_FAST_CLOCKS = {
    "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase",
    "riscv_clocksource", "tod", "stp",
}  # fmt: skip


def operating_system(machine: Machine) -> Judgement:
    """Look for Linux: other systems lack clock_nanosleep(2) or unnamed semaphores."""
    kind = platform.machine().lower()
    if not machine.platform.startswith("linux"):
        remedy = "play live on Linux; rtcore process and the checks of plugins may run here"
        found = f"{machine.platform}; the engine is written for Linux"
        return bad("operating system", found, remedy, impossible=True)
    known = kind in {"x86_64", "amd64", "aarch64", "arm64"}
    found = f"Linux on {kind}"
    if known:
        return good("operating system", found)
    return unknown("operating system", f"{found}; rtcore is tested on x86-64 and aarch64")


def preemption(machine: Machine) -> Judgement:
    """How soon the kernel lets a waiting thread run (kernel docs: ``preempt=``, PREEMPT_RT)."""
    version = machine.text("/proc/sys/kernel/version") or machine.text("/proc/version") or ""
    if machine.text("/sys/kernel/realtime") == "1" or "PREEMPT_RT" in version:
        return good("kernel preemption", "a real-time kernel (PREEMPT_RT)", mode="rt")
    if not version:
        return unknown("kernel preemption", "the kernel does not tell its version")
    mode = _mode(machine, version)
    if mode == "full":
        return good(
            "kernel preemption", "full (a real-time kernel would be better still)", mode=mode
        )
    if mode is None:
        found = "can be chosen at the start (PREEMPT_DYNAMIC); which one holds is not shown"
        return unknown("kernel preemption", found, "start the kernel with preempt=full")
    found = f"{mode}: the kernel finishes its own work before it lets the sound run"
    if "PREEMPT_DYNAMIC" not in version:  # then the word at the start has no effect
        remedy = "install a low-latency or real-time kernel"
        return improve("kernel preemption", found, remedy, mode=mode)
    remedy = "start the kernel with preempt=full, or install a real-time kernel"
    fixes = start_fixes(machine, "preempt=full")
    return improve("kernel preemption", found, remedy, *fixes, mode=mode)


def _mode(machine: Machine, version: str) -> str | None:
    """Give the mode, from the words of the start, the scheduler's file or the kernel's config."""
    for word in reversed(machine.words):
        if word.startswith("preempt=") and word[8:] in _MODES:
            return word[8:]
    shown = machine.text("/sys/kernel/debug/sched/preempt") or ""
    chosen = shown.partition("(")[2].partition(")")[0]
    if chosen in _MODES:
        return chosen
    config = _config(machine)
    for line, mode in (
        ("CONFIG_PREEMPT=y", "full"),
        ("CONFIG_PREEMPT_LAZY=y", "lazy"),
        ("CONFIG_PREEMPT_VOLUNTARY=y", "voluntary"),
        ("CONFIG_PREEMPT_NONE=y", "none"),
    ):
        if line in config:
            return mode
    if "PREEMPT_DYNAMIC" in version:
        return None
    return "full" if "PREEMPT" in version.split() else "none or voluntary"


def _config(machine: Machine) -> list[str]:
    """Read what the kernel was built with, where the system shows it."""
    release = machine.text("/proc/sys/kernel/osrelease") or "unknown"
    packed = machine.bytes_of("/proc/config.gz")
    if packed is not None:
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(packed).decode(errors="replace").splitlines()
    return (machine.text(f"/boot/config-{release}") or "").splitlines()


def start_fixes(machine: Machine, words: str) -> tuple[Fix, ...]:
    """Give the commands that add words to the kernel's command line."""
    if machine.container:
        return ()
    if machine.family == "fedora":
        return (Fix(f'sudo grubby --update-kernel=ALL --args="{words}"', root=True, reboot=True),)
    update = "sudo update-grub" if machine.family == "debian" else ""
    update = update or "sudo grub-mkconfig -o /boot/grub/grub.cfg"
    edit = f"sudoedit /etc/default/grub  # add {words} to GRUB_CMDLINE_LINUX_DEFAULT"
    return Fix(edit, root=True), Fix(update, root=True, reboot=True)


def threaded_interrupts(machine: Machine) -> Judgement:
    """Interrupts in threads can be put below the sound (kernel docs: ``threadirqs``; rtirq)."""
    version = machine.text("/proc/sys/kernel/version") or machine.text("/proc/version") or ""
    if machine.text("/sys/kernel/realtime") == "1" or "PREEMPT_RT" in version:
        return good("threaded interrupts", "always, on a real-time kernel")
    if "threadirqs" in machine.words:
        return good("threaded interrupts", "on (threadirqs)")
    if not machine.names("/proc/asound/card[0-9]*"):
        return good("threaded interrupts", "off, and no sound card has interrupts here")
    return improve(
        "threaded interrupts",
        "off, so interrupts of disks and networks come before the sound card's work",
        "start the kernel with threadirqs, and let rtirq order the threads",
        *start_fixes(machine, "threadirqs"),
    )


def clock(machine: Machine) -> Judgement:
    """Judge what a look at the clock costs: a few ns, or a trip into the kernel."""
    now = machine.text(f"{_CLOCKS}/current_clocksource")
    if not now:
        return unknown("clock source", "the kernel does not tell")
    if now in _FAST_CLOCKS:
        return good("clock source", now, source=now)
    offered = (machine.text(f"{_CLOCKS}/available_clocksource") or "").split()
    better = next((name for name in offered if name in _FAST_CLOCKS), None)
    found = f"{now}: each look at the clock is a slow call into the kernel"
    if better is not None:
        command = f"echo {better} | sudo tee {_CLOCKS}/current_clocksource"
        fix = Fix(command, root=True, lasts=False)
        return bad("clock source", found, f"choose {better}", fix, source=now)
    remedy = "look into `dmesg | grep -i tsc` why the TSC is not offered"
    return (improve if now == "xen" else bad)("clock source", found, remedy, source=now)


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "operating system": operating_system,
    "kernel preemption": preemption,
    "threaded interrupts": threaded_interrupts,
    "clock source": clock,
}
