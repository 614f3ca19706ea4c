# SPDX-License-Identifier: MIT
import json

import pytest
from click.testing import CliRunner

from rtcore.cli import main
from rtcore.doctor import Check, Fix, Judgement, Status, all_checks
from rtcore.doctor.record import bad, good, improve


@pytest.fixture
def doctor(monkeypatch):
    """Run the command on planted judgements, or on the real ones."""

    def run(*args, found=None):
        if found is not None:
            checks = [Check("topic", one.name, lambda _m, one=one: one) for one in found]
            monkeypatch.setattr("rtcore.doctor.all_checks", lambda: checks)
        return CliRunner().invoke(main, ["doctor", *args])

    return run


LOGIN = Fix("sudo usermod -aG audio me", root=True, login=True)
PLANTED = [
    good("fine", "all is well"),
    improve("weak", "rather weak", "strengthen it", LOGIN),
    bad("broken", "in two", "glue it", LOGIN, Fix("glue", lasts=False), Fix("boot", reboot=True)),
]


class TestPlanted:
    def test_lines(self, doctor):
        """One line for a finding and one for a remedy."""
        done = doctor("--quick", found=PLANTED)
        expected = [
            "topic",
            "good fine: all is well",
            "could be better weak: rather weak",
            "→ strengthen it",
            "bad broken: in two",
            "→ glue it",
            "",
            "1 good, 1 could be better, 1 bad; rtcore doctor --fix-hints prints commands that help",
        ]
        assert expected == [" ".join(line.split()) for line in done.output.splitlines()]
        assert 0 == done.exit_code

    def test_json(self, doctor):
        """JSON holds the figures, the commands, and whether it is possible."""
        done = doctor("--quick", "--json", found=PLANTED)
        given = json.loads(done.output)
        assert given["possible"]
        assert {"good": 1, "could be better": 1, "bad": 1, "unknown": 0} == given["summary"]
        assert "sudo usermod -aG audio me" == given["findings"][1]["fixes"][0]["command"]

    def test_hints(self, doctor):
        """Each command stands once, with what it needs; all else is a comment."""
        done = doctor("--fix-hints", found=PLANTED)
        lines = done.output.splitlines()
        assert ["sudo usermod -aG audio me", "glue", "boot"] == [
            line for line in lines if line and not line.startswith("#")
        ]
        assert "# (needs root, takes effect after a new log-in)" in lines
        assert "# (until the next restart only)" in lines
        assert "# (takes effect after a restart of the machine)" in lines

    def test_no_hints(self, doctor):
        """Where nothing is wrong no command is printed."""
        done = doctor("--fix-hints", found=PLANTED[:1])
        assert all(line.startswith("#") for line in done.output.splitlines() if line)

    @pytest.mark.parametrize("option", ["--quick", "--json", "--fix-hints"])
    def test_impossible(self, doctor, option):
        """What makes real-time sound impossible is said, and the exit code is 1."""
        done = doctor("--quick", option, found=[bad("that", "is so", "mend it", impossible=True)])
        assert 1 == done.exit_code
        assert "real-time sound is impossible here: that" in done.stderr
        if option == "--json":
            assert not json.loads(done.stdout)["possible"]

    def test_bad_seconds(self, doctor):
        """A length out of range is refused."""
        assert 2 == doctor("--seconds", "0").exit_code


class TestReal:
    def test_quick(self, doctor):
        """This machine is judged without a failure of a check."""
        done = doctor("--quick", "--json")
        found = json.loads(done.stdout)["findings"]
        assert done.exit_code in (0, 1)
        assert [] == [f for f in found if "could not be found out" in f["found"]]
        assert {s.value for s in Status} >= {f["status"] for f in found}
        assert len(found) >= len(all_checks())

    def test_every_trouble_has_a_remedy(self, doctor):
        """What is bad or could be better says what to do."""
        found = json.loads(doctor("--quick", "--json").stdout)["findings"]
        troubled = [f for f in found if f["status"] in ("bad", "could be better")]
        assert [] == [f["name"] for f in troubled if not f["remedy"]]

    def test_root_is_marked(self, doctor):
        """Commands with sudo are marked as needing root."""
        found = json.loads(doctor("--quick", "--json").stdout)["findings"]
        fixes = [fix for f in found for fix in f["fixes"]]
        assert [] == [fix for fix in fixes if ("sudo" in fix["command"]) != fix["root"]]


def test_judgement_is_plain():
    """A judgement becomes plain values."""
    assert "bad" == Judgement("a", Status.BAD, "b").as_dict()["status"]
