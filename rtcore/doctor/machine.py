# SPDX-License-Identifier: MIT
"""The machine as files and commands show it; tests put a folder in the place of ``/``."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_LONGEST = 1 << 18
_COMMAND_S = 3.0
_HYPERVISORS = (
    "qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "parallels", "bochs", "amazon ec2",
    "google compute", "virtual machine", "openstack", "firecracker",
)  # fmt: skip

Run = Callable[[Sequence[str]], str | None]


def run_command(words: Sequence[str]) -> str | None:
    """Run a program that only asks; give what it prints, or None where that is not possible."""
    if shutil.which(words[0]) is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words of our own
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


class Machine:
    """Reads the system's files below a root.

    Parameters
    ----------
    root : Path
        Where ``/proc``, ``/sys``, ``/dev`` and ``/etc`` lie.
    platform : str
        As `sys.platform` names it.
    run : function
        Runs a command that only asks; see `run_command`.
    """

    def __init__(
        self, root: str | Path = "/", *, platform: str = sys.platform, run: Run = run_command
    ) -> None:
        self.root = Path(root)
        self.platform = platform
        self.run = run

    def path(self, name: str) -> Path:
        """Give the place of an absolute name below the root."""
        return self.root / name.lstrip("/")

    def exists(self, name: str) -> bool:
        """Tell whether there is something of that name."""
        with contextlib.suppress(OSError, ValueError):
            return self.path(name).exists()
        return False

    def bytes_of(self, name: str, most: int = _LONGEST) -> bytes | None:
        """Read a file's first bytes; None where it is missing, unreadable or would block."""
        try:
            path = self.path(name)
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
                return None
            with path.open("rb", buffering=0) as file:
                return file.read(most)
        except (OSError, ValueError):
            return None

    def text(self, name: str) -> str | None:
        """Read a short text file, without space around it."""
        content = self.bytes_of(name)
        return None if content is None else content.decode("utf-8", "replace").strip()

    def number(self, name: str) -> int | None:
        """Read a file that holds one whole number."""
        try:
            return int(self.text(name) or "")
        except ValueError:
            return None

    def names(self, pattern: str) -> list[str]:
        """List the absolute names that fit a pattern, in order."""
        try:
            found = sorted(self.root.glob(pattern.lstrip("/")))
        except (OSError, ValueError):
            return []
        return ["/" + str(path.relative_to(self.root)) for path in found]

    def writable(self, name: str) -> bool:
        """Tell whether this process may write there."""
        return os.access(self.path(name), os.W_OK)

    @functools.cached_property
    def processes(self) -> frozenset[str]:
        """The names of all programs that run (at most 15 letters of each, as the kernel has it)."""
        names = (self.text(name) for name in self.names("/proc/[0-9]*/comm"))
        return frozenset(name for name in names if name)

    @functools.cached_property
    def words(self) -> tuple[str, ...]:
        """The kernel's command line."""
        return tuple((self.text("/proc/cmdline") or "").split())

    @functools.cached_property
    def family(self) -> str:
        """The kind of distribution: ``debian``, ``fedora``, ``arch`` or ``other``."""
        pairs = [line.partition("=") for line in (self.text("/etc/os-release") or "").splitlines()]
        release = {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
        like = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".lower().split()
        known = {
            "debian": "debian", "ubuntu": "debian", "fedora": "fedora", "rhel": "fedora",
            "centos": "fedora", "arch": "arch",
        }  # fmt: skip
        return next((known[word] for word in like if word in known), "other")

    @functools.cached_property
    def hypervisor(self) -> str | None:
        """What this virtual machine runs on; None on bare metal, as far as can be seen.

        The processor's flag ``hypervisor`` is CPUID 1, ECX bit 31, which no real processor sets.
        """
        vendor = self.text("/sys/class/dmi/id/sys_vendor") or ""
        product = self.text("/sys/class/dmi/id/product_name") or ""
        named = " ".join(f"{vendor} {product}".split())
        if any(mark in named.lower() for mark in _HYPERVISORS):
            return named
        kind = self.text("/sys/hypervisor/type")
        if kind:
            return kind
        info = (self.text("/proc/cpuinfo") or "").splitlines()
        flags = next((line for line in info if line.startswith("flags")), "")
        return "an unnamed hypervisor" if "hypervisor" in flags.split() else None

    @functools.cached_property
    def container(self) -> str | None:
        """The kind of container that this process runs in, if any.

        The marks are those of systemd-detect-virt(1): the managers' own files, and ``container=``
        in the environment of process 1.
        """
        named = self.text("/run/systemd/container")
        if named:
            return named
        for name, kind in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
            if self.exists(name):
                return kind
        for entry in (self.bytes_of("/proc/1/environ") or b"").split(b"\0"):
            if entry.startswith(b"container="):
                return entry[10:].decode(errors="replace")
        groups = self.text("/proc/1/cgroup") or ""
        return next((k for k in ("docker", "kubepods", "lxc", "libpod") if k in groups), None)


def install(machine: Machine, **packages: str) -> str:
    """Give the command that installs a package, by kind of distribution; empty where unknown."""
    tool = {"debian": "apt install", "fedora": "dnf install", "arch": "pacman -S"}
    package = packages.get(machine.family)
    return f"sudo {tool[machine.family]} {package}" if package else ""
