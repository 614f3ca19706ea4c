# SPDX-License-Identifier: MIT
"""What is said about the computer that figures hold for."""

from __future__ import annotations

import json

import pytest

from rtcore.machine import governor, machine, processor, virtual

CORE = "processor\t: {}\nmodel name\t: Some CPU: fast one\nflags\t\t: fpu sse2{}\n\n"


@pytest.fixture
def info(tmp_path):
    """Write a file like /proc/cpuinfo of two cores."""

    def write(flag=""):
        file = tmp_path / "cpuinfo"
        file.write_text("".join(CORE.format(k, flag) for k in range(2)))
        return file

    return write


def test_everything_can_be_written_as_json_and_more_can_be_added():
    """What the caller knows stands beside what is found."""
    found = json.loads(json.dumps(machine(driver="dummy")))
    assert "dummy" == found["driver"]
    assert {"rtcore", "numpy", "numba"} <= set(found["packages"])
    assert found["cores"] >= found["cores_allowed"] >= 1


def test_the_processors_name_may_hold_a_colon(info):
    """Only the first colon of a line ends its key."""
    assert "Some CPU: fast one" == processor(info())


@pytest.mark.parametrize(("flag", "expected"), [("", False), (" hypervisor", True)])
def test_a_virtual_machine_is_known_by_its_flag(info, flag, expected):
    """The processor tells programs that a hypervisor lies below them."""
    assert expected is virtual(info(flag))


def test_a_system_that_does_not_tell_is_not_guessed(tmp_path):
    """Without the kernel's files nothing is claimed."""
    assert virtual(tmp_path / "cpuinfo") is None
    assert governor(tmp_path) is None
    assert processor(tmp_path / "cpuinfo")


def test_governors_that_differ_are_all_named(tmp_path):
    """Each core may have its own, and each is named once."""
    for core, name in enumerate(("powersave", "performance", "powersave")):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{name}\n")
    assert "performance, powersave" == governor(tmp_path)
