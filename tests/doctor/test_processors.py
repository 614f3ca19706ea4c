# SPDX-License-Identifier: MIT
import struct

import pytest

from rtcore.doctor import Machine, Status, processors

CPU = "/sys/devices/system/cpu"
UBUNTU = "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n"


def governors(*names, driver="acpi-cpufreq"):
    files = {f"{CPU}/cpu{k}/cpufreq/scaling_governor": f"{n}\n" for k, n in enumerate(names)}
    return files | {f"{CPU}/cpu0/cpufreq/scaling_driver": driver}


def commands(judgement):
    return [fix.command for fix in judgement.fixes]


class TestGovernor:
    def test_performance(self, plant):
        """All cores at performance are good."""
        found = processors.governor(plant(governors("performance", "performance")))
        assert (Status.GOOD, "performance on 2 of 2 CPUs") == (found.status, found.found)

    @pytest.mark.parametrize(
        ("driver", "status"),
        [
            ("acpi-cpufreq", Status.BAD),
            ("intel_cpufreq", Status.BAD),
            ("intel_pstate", Status.IMPROVE),
            ("amd-pstate-epp", Status.IMPROVE),
        ],
    )
    def test_powersave(self, plant, driver, status):
        """Powersave is the lowest clock, but for two drivers where it adapts."""
        found = processors.governor(plant(governors("powersave", "performance", driver=driver)))
        assert status == found.status
        assert "powersave on 1" in found.found
        assert "sudo cpupower frequency-set -g performance" in commands(found)

    def test_governor_that_adapts(self, plant):
        """Schedutil could be better."""
        assert Status.IMPROVE == processors.governor(plant(governors("schedutil"))).status

    def test_no_frequency_scaling(self, plant):
        """None is unknown on a real machine, and as it should be in a virtual one."""
        assert Status.UNKNOWN == processors.governor(plant()).status
        virtual = plant({"/proc/cpuinfo": "flags\t\t: fpu hypervisor\n"})
        assert Status.GOOD == processors.governor(virtual).status

    @pytest.mark.parametrize(
        ("release", "package"),
        [
            ("ID=debian\n", "sudo apt install linux-cpupower"),
            (UBUNTU, 'sudo apt install linux-tools-common "linux-tools-$(uname -r)"'),
            ("ID=fedora\n", "sudo dnf install kernel-tools"),
            ("ID=arch\n", "sudo pacman -S cpupower"),
            ("ID=endeavouros\nID_LIKE=arch\n", "sudo pacman -S cpupower"),
            ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install kernel-tools"),
        ],
    )
    def test_package_of_the_distribution(self, plant, release, package):
        """The tool is installed by the name that the distribution gives it."""
        found = processors.governor(plant(governors("ondemand") | {"/etc/os-release": release}))
        assert [package, "sudo cpupower frequency-set -g performance"] == commands(found)

    def test_tuned(self, plant):
        """Where tuned runs it is asked, since it would set the governor back."""
        found = processors.governor(plant(governors("ondemand") | {"/proc/7/comm": "tuned\n"}))
        assert ["sudo tuned-adm profile latency-performance"] == commands(found)


class TestSleep:
    def test_wish_that_may_be_held(self, plant):
        """A file that can be written is good; no wish is not shown."""
        machine = plant({"/dev/cpu_dma_latency": struct.pack("i", 2_000_000_000)})
        found = processors.dma_latency(machine)
        assert Status.GOOD == found.status
        assert "now" not in found.found

    def test_wish_that_may_not_be_held(self, plant, monkeypatch):
        """Without rights the remedy is a udev rule, for the distribution's group."""
        monkeypatch.setattr(Machine, "writable", lambda *_: False)
        machine = plant(
            {"/dev/cpu_dma_latency": struct.pack("i", 70), "/etc/os-release": "ID=arch"}
        )
        found = processors.dma_latency(machine)
        assert (Status.IMPROVE, 70) == (found.status, found.figures["now_us"])
        assert 'GROUP="realtime"' in commands(found)[0]
        assert all(fix.root for fix in found.fixes)

    def test_wish_in_a_container(self, plant, monkeypatch):
        """In a container no udev rule helps."""
        monkeypatch.setattr(Machine, "writable", lambda *_: False)
        found = processors.dma_latency(plant({"/dev/cpu_dma_latency": "", "/.dockerenv": ""}))
        assert (Status.IMPROVE, ()) == (found.status, found.fixes)

    def test_wish_of_another_program(self, plant, monkeypatch):
        """Who may not write is content where somebody else holds 0."""
        monkeypatch.setattr(Machine, "writable", lambda *_: False)
        found = processors.dma_latency(plant({"/dev/cpu_dma_latency": struct.pack("i", 0)}))
        assert Status.GOOD == found.status

    def test_no_such_file(self, plant):
        """Without the file it is unknown in a container."""
        assert Status.IMPROVE == processors.dma_latency(plant()).status
        assert Status.UNKNOWN == processors.dma_latency(plant({"/.dockerenv": ""})).status

    @pytest.mark.parametrize(
        ("latency_us", "disabled", "status"),
        [(2, "0", Status.GOOD), (890, "0", Status.IMPROVE), (890, "1", Status.GOOD)],
    )
    def test_deepest_state(self, plant, latency_us, disabled, status):
        """Only a deep state that is switched on counts."""
        state = f"{CPU}/cpu0/cpuidle/state"
        machine = plant(
            {
                f"{state}0/name": "POLL",
                f"{state}0/latency": "0",
                f"{state}1/name": "C10",
                f"{state}1/latency": str(latency_us),
                f"{state}1/disable": disabled,
            }
        )
        assert status == processors.idle_states(machine).status


class TestQuota:
    @pytest.mark.parametrize(
        ("content", "status"),
        [
            ("max 100000", Status.GOOD),
            ("50000 100000", Status.BAD),
            ("400000 100000", Status.IMPROVE),
            ("nonsense", Status.GOOD),
            ("100000 0", Status.GOOD),
        ],
    )
    def test_second_version(self, plant, content, status):
        """A quota below one CPU is bad, a larger one could be better."""
        machine = plant({"/proc/self/cgroup": "0::/box\n", "/sys/fs/cgroup/box/cpu.max": content})
        assert status == processors.quota(machine).status

    def test_quota_further_up(self, plant):
        """The tightest quota on the way up counts."""
        machine = plant(
            {
                "/proc/self/cgroup": "0::/a/b\n",
                "/sys/fs/cgroup/a/b/cpu.max": "300000 100000",
                "/sys/fs/cgroup/a/cpu.max": "20000 100000",
            }
        )
        found = processors.quota(machine)
        assert (Status.BAD, 0.2) == (found.status, found.figures["cpus"])

    def test_container_at_the_top(self, plant):
        """In a container its own group is the top."""
        machine = plant(
            {
                "/proc/self/cgroup": "0::/\n",
                "/sys/fs/cgroup/cpu.max": "50000 100000",
                "/.dockerenv": "",
            }
        )
        assert ["docker update --cpus 2 CONTAINER"] == commands(processors.quota(machine))

    def test_first_version(self, plant):
        """The first version's files are read as well; -1 is no quota."""
        groups = {"/proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/x\n"}
        folder = "/sys/fs/cgroup/cpu,cpuacct/x"
        files = {f"{folder}/cpu.cfs_quota_us": "50000", f"{folder}/cpu.cfs_period_us": "100000"}
        assert Status.BAD == processors.quota(plant(groups | files)).status
        files[f"{folder}/cpu.cfs_quota_us"] = "-1"
        assert Status.GOOD == processors.quota(plant(groups | files)).status


class TestOthers:
    @pytest.mark.parametrize(
        ("stolen", "status"), [(0, Status.GOOD), (5, Status.IMPROVE), (50, Status.BAD)]
    )
    def test_steal_between_two_readings(self, plant, stolen, status):
        """The share of stolen ticks between two readings is judged."""
        first = processors.stolen(plant({"/proc/stat": "cpu  100 0 100 500 0 0 0 7 0 0\n"}))
        line = f"cpu  300 0 200 {1200 - stolen} 0 0 0 {7 + stolen} 0 0\n"
        second = processors.stolen(plant({"/proc/stat": line}))
        found = processors.steal(first, second, testing=True)
        assert status == found.status
        assert pytest.approx(stolen / 10.0) == found.figures["percent"]

    def test_steal_without_readings(self, plant):
        """Nothing to read, or no time between, is unknown."""
        assert processors.stolen(plant({"/proc/stat": "cpu 1 2 3"})) is None
        assert Status.UNKNOWN == processors.steal_since_start(plant()).status
        assert Status.UNKNOWN == processors.steal((1, 9), (1, 9), testing=True).status

    @pytest.mark.parametrize(
        ("active", "status"),
        [("0", Status.GOOD), ("1", Status.IMPROVE), ("?", Status.UNKNOWN)],
    )
    def test_smt(self, plant, active, status):
        """SMT could be better on a real machine."""
        assert status == processors.smt(plant({f"{CPU}/smt/active": active})).status

    def test_one_cpu(self, plant, monkeypatch):
        """A process that may use one CPU only shares it with all else."""
        monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {3}, raising=False)
        files = {f"{CPU}/cpu{k}/online": "1" for k in range(8)}
        found = processors.cpus(plant(files))
        assert (Status.BAD, "1 of 8 may be used") == (found.status, found.found)

    @pytest.mark.parametrize(
        ("text", "status"),
        [("0.1 0 0", Status.GOOD), ("9.5 1 1", Status.IMPROVE), ("?", Status.UNKNOWN)],
    )
    def test_load(self, plant, text, status):
        """A busy machine could be better."""
        files = {f"{CPU}/cpu0/online": "1", f"{CPU}/cpu1/online": "1", "/proc/loadavg": text}
        assert status == processors.load(plant(files)).status

    @pytest.mark.parametrize(
        ("files", "kind"),
        [
            ({"/.dockerenv": ""}, "docker"),
            ({"/run/.containerenv": ""}, "podman"),
            ({"/run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
            ({"/proc/1/environ": b"A=b\0container=lxc\0"}, "lxc"),
            ({"/proc/1/cgroup": "0::/kubepods/x\n"}, "kubepods"),
            ({}, None),
        ],
    )
    def test_container(self, plant, files, kind):
        """Each manager leaves its mark."""
        assert kind == plant(files).container

    @pytest.mark.parametrize(
        ("files", "name"),
        [
            ({"/sys/class/dmi/id/sys_vendor": "QEMU\n"}, "QEMU"),
            (
                {"/sys/class/dmi/id/product_name": "VMware Virtual Platform"},
                "VMware Virtual Platform",
            ),
            ({"/sys/hypervisor/type": "xen\n"}, "xen"),
            ({"/proc/cpuinfo": "flags : fpu hypervisor sse\n"}, "an unnamed hypervisor"),
            (
                {"/proc/cpuinfo": "flags : fpu sse\n", "/sys/class/dmi/id/sys_vendor": "LENOVO"},
                None,
            ),
        ],
    )
    def test_hypervisor(self, plant, files, name):
        """A virtual machine is known by its maker's name or the processor's flag."""
        machine = plant(files)
        assert name == machine.hypervisor
        expected = Status.GOOD if name is None else Status.IMPROVE
        assert expected == processors.virtual(machine)[0].status
