# SPDX-License-Identifier: MIT
import gzip

import pytest

from rtcore.doctor import Status, memory, system

VERSION = "/proc/sys/kernel/version"
CLOCKS = "/sys/devices/system/clocksource/clocksource0"
DYNAMIC = "#1 SMP PREEMPT_DYNAMIC Debian 6.1"


def commands(judgement):
    return [fix.command for fix in judgement.fixes]


class TestKernel:
    @pytest.mark.parametrize(
        ("files", "status", "mode"),
        [
            ({"/sys/kernel/realtime": "1\n"}, Status.GOOD, "rt"),
            ({VERSION: "#1 SMP PREEMPT_RT Debian"}, Status.GOOD, "rt"),
            ({VERSION: "#1 SMP PREEMPT Mon"}, Status.GOOD, "full"),
            ({VERSION: DYNAMIC, "/proc/cmdline": "quiet preempt=full"}, Status.GOOD, "full"),
            ({VERSION: DYNAMIC, "/proc/cmdline": "preempt=none"}, Status.IMPROVE, "none"),
            (
                {VERSION: DYNAMIC, "/sys/kernel/debug/sched/preempt": "none (voluntary) full"},
                Status.IMPROVE,
                "voluntary",
            ),
            (
                {
                    VERSION: DYNAMIC,
                    "/proc/sys/kernel/osrelease": "6.1.0-9\n",
                    "/boot/config-6.1.0-9": "CONFIG_X=y\nCONFIG_PREEMPT=y\n",
                },
                Status.GOOD,
                "full",
            ),
            (
                {VERSION: DYNAMIC, "/proc/config.gz": gzip.compress(b"CONFIG_PREEMPT_NONE=y\n")},
                Status.IMPROVE,
                "none",
            ),
            ({VERSION: DYNAMIC, "/proc/config.gz": b"no gzip"}, Status.UNKNOWN, None),
            ({VERSION: "#1 SMP Mon"}, Status.IMPROVE, "none or voluntary"),
            ({}, Status.UNKNOWN, None),
        ],
    )
    def test_preemption(self, plant, files, status, mode):
        """The mode is read from wherever the system shows it."""
        found = system.preemption(plant(files))
        assert (status, mode) == (found.status, found.figures.get("mode"))

    @pytest.mark.parametrize(
        ("release", "expected"),
        [
            ("ID=debian", "sudo update-grub"),
            ("ID=fedora", 'sudo grubby --update-kernel=ALL --args="preempt=full"'),
            ("ID=arch", "sudo grub-mkconfig -o /boot/grub/grub.cfg"),
        ],
    )
    def test_the_start_is_changed_as_the_distribution_does(self, plant, release, expected):
        """The last command is the distribution's own, and needs a restart."""
        files = {VERSION: DYNAMIC, "/proc/cmdline": "preempt=none", "/etc/os-release": release}
        found = system.preemption(plant(files))
        assert expected == commands(found)[-1]
        assert found.fixes[-1].reboot

    def test_no_word_where_it_has_no_effect(self, plant):
        """A kernel that cannot choose is not told to."""
        assert () == system.preemption(plant({VERSION: "#1 SMP Mon"})).fixes

    @pytest.mark.parametrize(
        ("files", "status"),
        [
            ({"/proc/cmdline": "quiet threadirqs", "/proc/asound/card0/id": "PCH"}, Status.GOOD),
            ({"/proc/cmdline": "quiet", "/proc/asound/card0/id": "PCH"}, Status.IMPROVE),
            ({"/proc/cmdline": "quiet"}, Status.GOOD),
            ({"/sys/kernel/realtime": "1", "/proc/asound/card0/id": "PCH"}, Status.GOOD),
        ],
    )
    def test_threaded_interrupts(self, plant, files, status):
        """They matter where there is a sound card."""
        assert status == system.threaded_interrupts(plant(files)).status

    @pytest.mark.parametrize(
        ("now", "offered", "status"),
        [
            ("tsc", "tsc hpet", Status.GOOD),
            ("kvm-clock", "kvm-clock", Status.GOOD),
            ("arch_sys_counter", "arch_sys_counter", Status.GOOD),
            ("hpet", "hpet acpi_pm", Status.BAD),
            ("hpet", "tsc hpet acpi_pm", Status.BAD),
            ("xen", "xen", Status.IMPROVE),
        ],
    )
    def test_clock_source(self, plant, now, offered, status):
        """A slow clock is bad; the fast one is named where it is offered."""
        files = {f"{CLOCKS}/current_clocksource": now, f"{CLOCKS}/available_clocksource": offered}
        found = system.clock(plant(files))
        assert status == found.status
        assert (status != Status.GOOD and "tsc" in offered) == bool(found.fixes)

    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_other_systems(self, plant, platform):
        """Without Linux real-time sound is impossible, and the doctor says so."""
        found = system.operating_system(plant(platform=platform))
        assert found.impossible
        assert not system.operating_system(plant()).impossible


class TestMemory:
    @pytest.mark.parametrize(
        ("swaps", "swappiness", "status"),
        [
            ("Filename Type\n", "60", Status.GOOD),
            ("Filename Type\n/dev/sda2 partition\n", "60", Status.IMPROVE),
            ("Filename Type\n/dev/sda2 partition\n", "10", Status.GOOD),
        ],
    )
    def test_swap(self, plant, swaps, swappiness, status):
        """Swap that is used early could be better."""
        files = {"/proc/swaps": swaps, "/proc/sys/vm/swappiness": swappiness}
        assert status == memory.swap(plant(files)).status

    @pytest.mark.parametrize(
        ("mode", "status"),
        [("0", Status.GOOD), ("1", Status.GOOD), ("2", Status.IMPROVE), ("x", Status.UNKNOWN)],
    )
    def test_overcommit(self, plant, mode, status):
        """Mode 2 could be better."""
        files = {"/proc/sys/vm/overcommit_memory": mode}
        assert status == memory.overcommit(plant(files)).status

    @pytest.mark.parametrize(
        ("enabled", "defrag", "status"),
        [
            ("always [madvise] never", "always [madvise]", Status.GOOD),
            ("[always] madvise never", "[always] defer never", Status.IMPROVE),
            ("[always] madvise never", "always [defer+madvise] never", Status.GOOD),
            ("nonsense", "", Status.UNKNOWN),
        ],
    )
    def test_huge_pages(self, plant, enabled, defrag, status):
        """Only pages that are tidied up at once for everybody could be better."""
        folder = "/sys/kernel/mm/transparent_hugepage"
        machine = plant({f"{folder}/enabled": enabled, f"{folder}/defrag": defrag})
        assert status == memory.huge_pages(machine).status
