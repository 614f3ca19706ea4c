# SPDX-License-Identifier: MIT
"""``rtcore models`` lists, shows and verifies; verify finds planted lies."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from bundles import adding_up, declare, dense, fragile, one_stage, passing
from click.testing import CliRunner
from small_models import FLOAT, constant, node, save

from rtcore.latency import bundles as bundle_claims
from rtcore.latency.bundles import verify_bundle
from rtcore.models import find_bundle

HOP, WINDOW = 128, 256
STATE = {"x": "hop", "s": {"state": "s_next"}}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give a folder in which bundles are looked for."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("RTCORE_MODEL_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def rtcore(place):
    """Run the command line in this process."""
    del place

    def run(*args):
        from rtcore.cli import main

        return CliRunner().invoke(main, ["models", *map(str, args)])

    return run


def honest(folder, **changes):
    """Make a bundle whose claims are true, or changed."""
    dense(folder / "model.onnx", {"x": WINDOW}, {"y": WINDOW}, scale=0.05)
    keys = {"latency": WINDOW - HOP, "lookahead": WINDOW - 1, **changes}
    return one_stage(
        folder, {"x": "frame"}, {"y": "frame"}, hop=HOP, frame={"window": WINDOW},
        id=folder.name, **keys,
    )  # fmt: skip


def through(folder, **changes):
    """Make a bundle that passes its frames."""
    passing(folder / "model.onnx", WINDOW)
    frame = {"window": WINDOW, "analysis": "hann"}
    keys = {"latency": WINDOW - HOP, "lookahead": 0, **changes}
    return one_stage(
        folder, {"x": "frame"}, {"y": "frame"}, hop=HOP, frame=frame, id=folder.name, **keys
    )


def summing(folder, keep=0.9, **changes):
    """Make a bundle with a state."""
    path = adding_up(folder / "model.onnx", HOP)
    if keep != 0.9:
        shape = (FLOAT, [1, HOP])
        nodes = [
            node("Mul", "s keep", "kept"),
            node("Add", "kept x", "s_next"),
            node("Identity", "s_next", "y"),
        ]
        outputs = {"y": shape, "s_next": shape}
        save(path, nodes, {"x": shape, "s": shape}, outputs, [constant("keep", keep)])
    return one_stage(folder, STATE, {"y": "hop"}, hop=HOP, id=folder.name, **changes)


def claims(folder):
    """Verify a bundle; give what holds by what is claimed."""
    return {c.what: c for c in verify_bundle(find_bundle(str(folder)), seconds=0.3)}


def broken(folder):
    """Name the claims that do not hold."""
    return sorted(what for what, claim in claims(folder).items() if claim.holds is False)


class TestList:
    """All bundles in a table."""

    def test_first_party(self, rtcore):
        """First-party bundles are there from the start."""
        result = rtcore("list")
        assert 0 == result.exit_code
        assert all(name in result.output for name in ("plc-wb", "plc-fb"))

    def test_none(self, rtcore, monkeypatch):
        """Where there is none, it says where to put one."""
        monkeypatch.setattr("rtcore.models.all_bundles", list)
        result = rtcore("list")
        assert 0 == result.exit_code
        assert "No model bundle is installed" in result.output
        assert "RTCORE_MODEL_PATH" in " ".join(result.output.split())

    def test_good_and_bad(self, rtcore, place):
        """Good ones stand in the table, bad ones below with their reason; alone it lists too."""
        summing(place / "good")
        (place / "bad").mkdir()
        (place / "bad" / "model.toml").write_text("id = 3")
        result = rtcore("list")
        assert 0 == result.exit_code
        table, _, rest = result.output.partition("Cannot be used")
        assert "good" in table
        assert "A model of a test" in table
        assert "bad" in rest
        assert result.output == rtcore().output

    def test_json(self, rtcore, place):
        """JSON has the manifest of each, and the error of a broken one."""
        summing(place / "good")
        (place / "bad").mkdir()
        (place / "bad" / "model.toml").write_text("id = 3")
        entries = {e["id"]: e for e in json.loads(rtcore("list", "--json").stdout)}
        assert [HOP, ""] == [entries["good"]["manifest"]["hop"], entries["good"]["error"]]
        assert "model.toml" in entries["bad"]["error"]
        assert "manifest" not in entries["bad"]


class TestShow:
    """What a bundle declares."""

    def test_text(self, rtcore, place):
        """Files, tensors, states, controls, parameters, rate, hop, latency and licence."""
        shape = (FLOAT, [1, HOP])
        nodes = [node("Mul", "x g", "a"), node("Add", "a s", "y"), node("Identity", "y", "n")]
        folder = place / "all"
        folder.mkdir()
        tensors = {"x": shape, "g": (FLOAT, [1]), "s": shape}
        save(folder / "model.onnx", nodes, tensors, {"y": shape, "n": shape})
        one_stage(
            folder,
            {"x": "hop", "g": {"parameter": "gain"}, "s": {"state": "n"}},
            {"y": "hop"},
            hop=HOP, id="all", parameters={"gain": {"default": 1, "min": 0, "max": 4}},
        )  # fmt: skip
        result = rtcore("show", "all")
        assert 0 == result.exit_code
        words = " ".join(result.output.split())
        for piece in ("A model of a test", "MIT", "16000 Hz", "128 samples (8 ms)", "model.onnx",
                      "state, takes over n; 0 at first", "parameter gain", "0 to 4"):  # fmt: skip
            assert piece in words

    def test_json(self, rtcore, place):
        """The same as JSON."""
        summing(place / "one")
        assert "one" == json.loads(rtcore("show", "one", "--json").stdout)["manifest"]["id"]

    def test_unknown(self, rtcore, place):
        """A name that is not there, with the nearest."""
        summing(place / "denoise")
        result = rtcore("show", "denoize")
        assert 2 == result.exit_code
        assert "did you mean 'denoise'" in result.output


class TestVerify:
    """Each claim is checked by running the model."""

    def test_honest(self, rtcore, place):
        """True claims hold: exit code 0; a missing checksum is open, and its text is given."""
        honest(place / "true")
        result = rtcore("verify", "true", "--seconds", "0.3")
        assert 0 == result.exit_code, result.output
        assert "holds" in result.output
        assert "BROKEN" not in result.output
        assert "sha256 =" in result.output

    def test_json_and_exit_code(self, rtcore, place):
        """A broken claim: exit code 1, a sentence, and JSON that names it."""
        through(place / "late", latency=0)
        result = rtcore("verify", "late", "--seconds", "0.3", "--json")
        assert 1 == result.exit_code
        assert "not as declared: late: latency" in result.stderr
        (found,) = [c for c in json.loads(result.stdout)["late"] if c["what"] == "latency"]
        assert found["holds"] is False

    def test_states_hold(self, place):
        """A state that is fed back changes and matters."""
        found = claims(summing(place / "sums"))
        assert found["model.onnx: state s"].holds is True
        assert found["streaming equals one piece"].holds is True

    def test_wrong_look_ahead(self, place):
        """A look-ahead that is said to be shorter than it is."""
        assert ["look-ahead, aligned"] == broken(honest(place / "a", lookahead=10))

    def test_wrong_latency(self, place):
        """A latency that is longer than it is."""
        assert "latency" in broken(through(place / "a", latency=WINDOW))
        assert [] == broken(through(place / "a"))

    def test_a_state_that_stays(self, place):
        """A state whose next value is always the same makes no difference."""
        folder = place / "a"
        folder.mkdir()
        shape = (FLOAT, [1, HOP])
        nodes = [node("Add", "x s", "y"), node("Identity", "s", "n")]
        save(folder / "model.onnx", nodes, {"x": shape, "s": shape}, {"y": shape, "n": shape})
        one_stage(folder, {"x": "hop", "s": {"state": "n"}}, {"y": "hop"}, hop=HOP, id="a")
        assert ["model.onnx: state s"] == broken(folder)

    def test_a_state_that_is_not_fed_back(self, place):
        """A state that the manifest holds constant, while the model gives its next value."""
        folder = summing(place / "a")
        inputs = {"x": "hop", "s": {"constant": 0}}
        one_stage(folder, inputs, {"y": "hop"}, hop=HOP, id="a")
        found = claims(folder)
        assert ["model.onnx: output s_next"] == broken(folder)
        assert 's = { state = "s_next" }' in found["model.onnx: output s_next"].note

    @pytest.mark.parametrize("keep", [1.02, 30.0])
    def test_a_model_that_blows_up(self, place, keep):
        """States that grow, slowly or at once."""
        assert "full-scale DC for 3 s" in broken(summing(place / "a", keep))

    def test_a_model_that_fails(self, place):
        """Runs that return an error, with the reason."""
        folder = place / "a"
        fragile(folder / "model.onnx", HOP)
        one_stage(folder, STATE, {"y": "hop"}, hop=HOP, id="a")
        found = claims(folder)["full-scale DC for 3 s"]
        assert found.holds is False
        assert "hops failed" in found.measured
        assert "Gather" in found.note

    def test_a_model_that_is_too_slow(self, place):
        """Four million products for each sample."""
        folder, size = place / "a", 2000
        folder.mkdir()
        constants = [
            constant("w", np.full((size, size), 0.001)),
            constant("v", np.full((size, 1), 0.001)),
        ]
        nodes = [node("MatMul", "x w", "a"), node("Tanh", "a", "b"), node("MatMul", "b v", "y")]
        tensors = {"x": (FLOAT, [1, size])}
        save(folder / "model.onnx", nodes, tensors, {"y": (FLOAT, [1, 1])}, constants)
        one_stage(folder, {"x": "frame"}, {"y": "hop"}, hop=1, frame={"window": size}, id="a")
        chain = bundle_claims._chain(find_bundle(str(folder)), 16000)
        (claim,) = bundle_claims._time(chain, 0.1)
        assert claim.holds is False
        assert "within 0.0625 ms" == claim.declared

    def test_a_slow_model_that_only_conceals(self, place):
        """Its time is that of hops that it conceals, though it runs at no others."""
        folder, size, hop = place / "a", 2000, 16
        folder.mkdir()
        shapes = {"w": (hop, size), "u": (size, size), "v": (size, hop)}
        constants = [constant(name, np.full(shape, 0.001)) for name, shape in shapes.items()]
        names = ["a", *(f"c{k}" for k in range(40))]
        nodes = [node("MatMul", "x w", "a")]
        for before, after in itertools.pairwise(names):
            nodes += [node("MatMul", f"{before} u", f"m{after}"), node("Tanh", f"m{after}", after)]
        nodes.append(node("MatMul", f"{names[-1]} v", "y"))
        tensors = {"x": (FLOAT, [1, hop])}
        save(folder / "model.onnx", nodes, tensors, {"y": (FLOAT, [1, hop])}, constants)
        gate = {"hears": "newest", "runs": "heard"}
        one_stage(folder, {"x": "frame"}, {"y": "frame"}, hop=hop, id="a", gate=gate)
        bundle = find_bundle(str(folder))
        (claim,) = bundle_claims._time(bundle_claims._chain(bundle, 16000), 0.2, lost=True)
        assert claim.holds is False
        assert "everything is lost" in claim.note

    def test_another_file(self, rtcore, place):
        """A checksum that differs is bad input, and nothing runs."""
        folder = place / "a"
        passing(folder / "model.onnx", HOP)
        stage = {"file": "model.onnx", "sha256": "0" * 64, "inputs": {"x": "hop"},
                 "outputs": {"y": "hop"}}  # fmt: skip
        declare(folder, stage=[stage], hop=HOP, id="a")
        result = rtcore("verify", "a")
        assert 2 == result.exit_code
        assert "another file than the one that was meant" in result.output

    def test_at_another_rate(self, place):
        """The claims are checked at the stream's rate too."""
        folder = honest(place / "a")
        found = verify_bundle(find_bundle(str(folder)), sample_rate=48000, seconds=0.3)
        assert [] == [c.what for c in found if c.holds is False]

    def test_wrong_options(self, rtcore, place):
        """Options out of range, or no bundle at all."""
        honest(place / "a")
        for words in (
            ["verify"],
            ["verify", "a", "--rate", "3"],
            ["verify", "a", "--seconds", "nan"],
        ):
            assert 2 == rtcore(*words).exit_code

    @pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
    def test_interrupted(self, place):
        """Ctrl-C ends it with a sentence and exit code 130."""
        honest(place / "a")
        command = [sys.executable, "-m", "rtcore", "models", "verify", "a", "--seconds", "600"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            time.sleep(8)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert 130 == process.returncode
        assert b"interrupted" in err
