# SPDX-License-Identifier: MIT
"""``rtcore latency``: any system, its verdict as table, JSON and report, and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

QUICK = ("--no-compute", "--positions", "64", "--duration", "0.3s")

MODULE = '''
import numpy as np

def fir(x, sample_rate):
    """220 future samples, which is 5 ms at 44.1 kHz."""
    y = 2.0 * x
    y[:-220] += 0.1 * x[220:]
    return y

def further(x):
    y = 2.0 * x
    y[:-221] += 0.1 * x[221:]
    return y

def late(x):
    return np.concatenate((np.zeros(100), x[:-100]))

def chatty(x):
    import ctypes, subprocess
    print("from Python")
    ctypes.CDLL(None).puts(b"from C")
    subprocess.run(["echo", "from a child"], check=True)
    return x

def normalised(x):
    return x / max(np.abs(x).max(), 1e-9)

def shorter(x):
    return x[:-1]

class Blocks:
    block_samples = 128

    def process(self, block):
        return 0.5 * block
'''


@pytest.fixture
def module(home, monkeypatch):
    """A module in the current folder, forgotten afterwards."""
    (home / "planted_module.py").write_text(MODULE)
    yield home
    sys.modules.pop("planted_module", None)


def found(result, code=0):
    """Read the JSON of a run that ended with a code."""
    assert code == result.exit_code, result.output
    return json.loads(result.stdout)


class TestCallables:
    def test_at_the_limit(self, rtcore, module):
        """220 future samples at 44.1 kHz keep Clarity's 5 ms; the JSON has all that is promised."""
        call = ("--callable", "planted_module:fir", "--rate", 44100, "--rule", "clarity", "--json")
        data = found(rtcore("latency", *call, *QUICK))
        assert (220, 44100, False) == (
            data["lookahead_samples"],
            data["sample_rate"],
            data["whole_file"],
        )
        assert data["latency_samples"] == pytest.approx(0.0, abs=0.5)
        assert [("clarity", "pass")] == [(r["name"], r["verdict"]) for r in data["rules"]]
        assert {"name", "samples", "how"} <= set(data["rules"][0]["terms"][0])

    def test_beyond_the_limit(self, rtcore, module):
        """One sample more breaks the rule: exit code 1, and the sentence has both numbers."""
        call = ("--callable", "planted_module:further", "--rule", "clarity")
        result = rtcore("latency", *call, *QUICK)
        assert 1 == result.exit_code
        assert "fail" in result.stdout
        assert "221 samples" in result.stdout

    def test_without_a_rule_nothing_is_enforced(self, rtcore, module):
        """Without --rule all rules are shown, and the exit code is 0."""
        data = found(rtcore("latency", "--callable", "planted_module:normalised", "--json", *QUICK))
        assert data["whole_file"]
        assert "normalised to its peak" in data["cause"]
        assert {"fail", "unverified"} == {rule["verdict"] for rule in data["rules"]}
        assert 7 == len(data["rules"])

    def test_every_rule(self, rtcore, module):
        """--rule all enforces each: a normalisation breaks them, with its cause."""
        result = rtcore(
            "latency", "--callable", "planted_module:normalised", "--rule", "all", *QUICK
        )
        assert 1 == result.exit_code
        assert "the whole file is normalised" in " ".join(result.stdout.split())

    def test_a_delay(self, rtcore, module):
        """A pure delay is measured as such, and what is declared otherwise fails the check."""
        call = ("--callable", "planted_module:late", "--rule", "clarity", "--json", *QUICK)
        data = found(rtcore("latency", *call))
        assert (-100, 100.0, 0) == (
            data["lookahead_samples"],
            data["latency_samples"],
            data["aligned_lookahead_samples"],
        )
        data = found(rtcore("latency", *call, "--latency", "50"), 1)
        assert "50" in data["rules"][0]["reason"]

    def test_blocks_are_timed(self, rtcore, module):
        """A class with process(block) is timed block by block."""
        call = ("--callable", "planted_module:Blocks", "--seconds", "0.3", "--json")
        compute = found(rtcore("latency", *call, *QUICK[1:]))["compute"]
        assert ("paced", 128) == (compute["how"], compute["block_samples"])
        assert {"p50", "p95", "p99", "p99.9", "max"} == set(compute["ms"])
        assert compute["rtf"] > 0
        assert compute["hogged"]["blocks"] > 0


class TestOtherSystems:
    def test_a_command(self, rtcore, home):
        """A program that works on files is measured through files."""
        (home / "half.py").write_text(
            "import sys, soundfile as sf\n"
            "x, rate = sf.read(sys.argv[1])\n"
            "sf.write(sys.argv[2], 0.5 * x, rate, subtype='FLOAT')\n"
        )
        call = ("--command", f"{sys.executable} half.py {{in}} {{out}}", "--budget", "1")
        data = found(rtcore("latency", *call, "--rule", "clarity", "--json", *QUICK))
        assert (0, "command") == (data["lookahead_samples"], data["kind"])

    def test_a_chain(self, rtcore, home):
        """A chain declares what is measured; the delay of NAL-R shows only when it is taken out."""
        data = found(rtcore("latency", "-p", "nalr:audiogram=N3", "--json", *QUICK))
        assert (0, 110.0, 110) == (
            data["lookahead_samples"],
            data["latency_samples"],
            data["aligned_lookahead_samples"],
        )
        assert 110 == data["declared"]["latency_samples"]
        assert all(rule["verdict"] != "fail" for rule in data["rules"])

    def test_pairs(self, rtcore, home):
        """Sounds are written, processed elsewhere, and judged; a further round narrows it down."""
        import soundfile as sf

        def elsewhere():
            (home / "pairs" / "out").mkdir(exist_ok=True)
            for path in (home / "pairs" / "in").iterdir():
                x, rate = sf.read(path)
                sf.write(home / "pairs" / "out" / path.name, 0.5 * x, rate, subtype="FLOAT")

        made = rtcore("latency", "--make-pairs", "pairs", "--rate", 16000, "--duration", "0.5s")
        assert 0 == made.exit_code, made.output
        assert "rtcore latency --judge pairs" in made.stdout
        elsewhere()
        assert 0 == rtcore("latency", "--make-pairs", "pairs").exit_code
        elsewhere()
        again = rtcore("latency", "--make-pairs", "pairs", "--rate", 44100)
        assert 2 == again.exit_code
        assert "holds pairs already" in again.stderr
        data = found(rtcore("latency", "--judge", "pairs", "--rule", "clarity", "--json"))
        assert (0, 16000, "pairs") == (
            data["lookahead_samples"],
            data["sample_rate"],
            data["kind"],
        )


class TestOutput:
    def test_tables(self, rtcore, home):
        """The tables name every fact, what was tried and what could have been missed."""
        call = ("-p", "gain", "--positions", "64", "--seconds", "0.3", "--rule", "all")
        result = rtcore("latency", *call)
        assert 0 == result.exit_code, result.output
        for words in (
            "look-ahead, output as it stands",
            "delay of the output",
            "less often than that could have been missed",
            "beside a busy thread",
            "avsec-low-latency",
            "unverified",
        ):
            assert words in " ".join(result.stdout.split()), words

    def test_narrow(self, rtcore, home, monkeypatch):
        """On a terminal of 80 columns no line is longer, with every rule and term shown."""
        monkeypatch.setattr("rtcore.cli.output.columns_there", lambda: 80)
        result = rtcore("latency", "-p", "gain", "--rule", "all", "--seconds", "0.3", *QUICK[1:])
        assert [] == [line for line in result.stdout.splitlines() if len(line) > 80]
        assert "avsec-low-latency" in result.stdout

    def test_each_reason_once(self, rtcore, module):
        """What several rules say alike stands in one line, with their names."""
        call = ("--callable", "planted_module:further", "--rule", "clarity")
        result = rtcore("latency", *call, "--rule", "cadenza-causal", *QUICK)
        said = " ".join(result.stdout.split())
        assert "clarity, cadenza-causal: the look-ahead of 221 samples" in said
        assert 1 == said.count("is more than 220 samples")

    def test_what_a_system_prints(self, rtcore_process, module):
        """What the system prints goes to standard error: standard output is the JSON alone."""
        call = ("--callable", "planted_module:chatty", "--json", "--budget", "1")
        result = rtcore_process("latency", *call, *QUICK)
        assert 0 == result.returncode, result.stderr
        assert "callable" == json.loads(result.stdout)["kind"]
        assert {"from Python", "from C", "from a child"} <= set(result.stderr.splitlines())

    def test_a_reader_that_goes_away(self, home):
        """A broken pipe is not the exit code of a broken rule."""
        call = (
            "-m rtcore latency -p gain --rule clarity --no-compute --positions 64 --duration 0.3s"
        )
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, *call.split()]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (141, "") == (done.returncode, done.stderr)

    def test_report(self, rtcore, home):
        """The report holds the command that makes it again."""
        result = rtcore("latency", "-p", "gain", "--report", "out.html", "--json", *QUICK)
        found(result)
        assert "out.html" in result.stderr
        assert "<html" in (home / "out.html").read_text("utf-8")


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "sentence"),
        [
            (("--rule", "clarty"), "did you mean 'clarity'?"),
            (("--callable", "planted_module:shorter"), "pad or cut its output to the length"),
            (("--callable", "planted_module:nothing"), "has no function or class 'nothing'"),
            (("--callable", "planted_module:fir", "--onnx", "m.onnx"), "name one system"),
            (("-p", "gain", "--make-pairs", "pairs"), "name one system"),
            (
                ("--timeout", "3"),
                "--timeout has no effect on a chain; leave it out, or use it with",
            ),
            (("--callable", "planted_module:fir", "--window", "64"), "--window has no effect on"),
            (("--judge", "pairs", "--seconds", "1"), "has no effect on --judge"),
            (("--make-pairs", "pairs", "--json"), "has no effect on --make-pairs"),
            (("-p", "gain", "--budget", "nan"), "nan is no number"),
            (("-p", "gain", "--seconds", "1e9"), "'--seconds': 1000000000.0 is not in the range"),
            (("-p", "gain", "--duration", "0.1s"), "--duration: must lie between 0.2 s and 600 s"),
            (("-p", "gain", "--duration", "99999s"), "must lie between 0.2 s and 600 s"),
            (("-p", "gain", "--hop", "0"), "--hop: must lie between 1 sample and 600 s"),
            (("-p", "gain", "--report", "no/such/folder.html"), "the report cannot be written"),
            (("-p", "gain", "--report", "."), "the report cannot be written"),
            (("--command", "true {in} {out}"), "writ"),
            (("--command", "false {in} {out}"), "ended with exit code 1"),
            (("--judge", "nowhere"), "nowhere"),
            (("-p", "gain", "--duration", "soon"), "is no duration; write 512 for samples"),
            (("-p", "gain", "--duration", "1.5"), "is no duration; write 512 for samples"),
            (("--onnx", "none.onnx"), "none.onnx"),
        ],
    )
    def test_sentences(self, rtcore, module, call, sentence):
        """Bad input gets a sentence and exit code 2, and no traceback."""
        quick = QUICK if {"--callable", "--command", "--onnx"} & set(call) else ()
        result = rtcore("latency", *call, *(quick[:3] if "--duration" in call else quick))
        assert 2 == result.exit_code, result.output
        assert sentence in result.stderr
        assert "Traceback" not in result.output

    def test_a_command_that_hangs(self, rtcore, home):
        """A command that does not end is ended, with a sentence."""
        sleeper = f"{sys.executable} -c 'import time; time.sleep(60)' {{in}} {{out}}"
        result = rtcore("latency", "--command", sleeper, "--timeout", "0.5", *QUICK)
        assert 2 == result.exit_code
        assert "0.5 s" in result.stderr
