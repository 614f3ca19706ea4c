# SPDX-License-Identifier: MIT
"""What may make a thread wait for memory."""

from __future__ import annotations

import re
from collections.abc import Callable

from rtcore.doctor.machine import Machine
from rtcore.doctor.record import Fix, Judgement, good, improve, unknown

_HUGE = "/sys/kernel/mm/transparent_hugepage"
_EAGER = 30


def swap(machine: Machine) -> Judgement:
    """Memory that was swapped out takes milliseconds to come back (vm.swappiness, sysctl/vm)."""
    lines = machine.text("/proc/swaps")
    if lines is None:
        return unknown("swap", "/proc/swaps cannot be read")
    places = len([line for line in lines.splitlines()[1:] if line.strip()])
    eager = machine.number("/proc/sys/vm/swappiness")
    if not places:
        return good("swap", "there is none", places=0)
    found = f"{places} swap {'area' if places == 1 else 'areas'}, vm.swappiness {eager}"
    if eager is not None and eager <= _EAGER:
        return good("swap", found, places=places, swappiness=eager)
    return improve(
        "swap",
        f"{found}: memory goes out to disk early where it is not locked",
        "lower vm.swappiness to 10",
        Fix("echo vm.swappiness=10 | sudo tee /etc/sysctl.d/90-audio.conf", root=True),
        Fix("sudo sysctl --system", root=True),
        places=places,
        swappiness=eager,
    )


def overcommit(machine: Machine) -> Judgement:
    """Whether memory that is only reserved counts (kernel docs, overcommit-accounting)."""
    mode = machine.number("/proc/sys/vm/overcommit_memory")
    if mode is None or mode not in (0, 1, 2):
        return unknown("memory overcommit", "vm.overcommit_memory cannot be read")
    if mode < 2:
        return good("memory overcommit", f"allowed (mode {mode})", mode=mode)
    return improve(
        "memory overcommit",
        "never (mode 2): threads and compiled code reserve more than they use, and may be refused",
        "set vm.overcommit_memory to 0, the kernel's default",
        Fix("sudo sysctl vm.overcommit_memory=0", root=True, lasts=False),
        mode=mode,
    )


def huge_pages(machine: Machine) -> Judgement:
    """Judge whether touching new memory may wait for the kernel to tidy up (transhuge)."""
    chosen = {name: _chosen(machine.text(f"{_HUGE}/{name}")) for name in ("enabled", "defrag")}
    if chosen["enabled"] is None:
        return unknown("huge pages", "the kernel does not tell")
    found = f"{chosen['enabled']}, defrag {chosen['defrag'] or 'unknown'}"
    if chosen["enabled"] != "always" or chosen["defrag"] not in ("always", None):
        return good("huge pages", found, **chosen)
    return improve(
        "huge pages",
        f"{found}: a thread that touches new memory may wait for the kernel to tidy up",
        "give them only to programs that ask",
        Fix(f"echo madvise | sudo tee {_HUGE}/enabled", root=True, lasts=False),
        **chosen,
    )


def _chosen(text: str | None) -> str | None:
    """Give the word in brackets, which is the choice that holds."""
    match = re.search(r"\[(\w[\w+-]*)\]", text or "")
    return match[1] if match else None


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "swap": swap,
    "memory overcommit": overcommit,
    "huge pages": huge_pages,
}
