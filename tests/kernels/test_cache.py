# SPDX-License-Identifier: MIT
"""The cache is trustworthy: no edit, upgrade or accident ever runs old code, and it hits."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil

import pytest
from project import PLAY, Project, finish
from rights import without_privileges

from rtcore.kernels import cache
from rtcore.kernels.cache import KernelCache

ONE = 3.0 * 5 * 7


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A project whose plugin was played once, and what that run reported."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.first = project.play(code=PLAY)
    return project


@pytest.fixture
def project(warm, tmp_path):
    """A copy of the warm project at its own place, to be edited and damaged."""
    copy = object.__new__(Project)
    copy.source, copy.cache, copy.stamp = warm.source, tmp_path / "cache", warm.stamp
    originals = {path: path.read_text() for path in warm.source.glob("*.py")}
    stamps = {path: path.stat().st_mtime for path in originals}
    shutil.copytree(warm.cache, copy.cache)
    yield copy
    for path, text in originals.items():
        path.write_text(text)
        os.utime(path, (stamps[path], stamps[path]))


def is_kernel(name):
    return name.startswith("process__")


class TestHits:
    def test_the_first_start_compiles(self, warm):
        """With an empty cache everything is compiled and kept."""
        assert ONE == warm.first["y"]
        assert [] == warm.first["loaded"]
        assert 1 == len([name for name in warm.first["made"] if is_kernel(name)])
        assert "stream_run" in warm.first["made"]

    def test_the_second_start_hits_for_everything(self, project):
        """The second start compiles nothing: no kernel and no internal function."""
        before = project.entries()
        second = project.play(code=PLAY)
        assert ONE == second["y"]
        assert [] == second["made"]
        assert any(map(is_kernel, second["loaded"]))
        assert "" == second["stderr"]
        assert before == project.entries()

    def test_it_does_not_matter_what_else_is_loaded(self, project):
        """What one command has compiled serves another, which has other parts of rtcore loaded."""
        more = "import rtcore.engine, rtcore.latency, rtcore.onnx, rtcore.cli.process"
        assert (ONE, []) == (project.play()["y"], project.play(more)["made"])

    def test_the_engine_hits_as_well(self, project):
        """A second start of an engine, with all backends' callbacks, compiles nothing."""
        code = """
            import numpy as np
            from rtcore import Chain
            from rtcore.engine import Engine, FileBackend, Memory
            from rtcore.engine.callbacks import jack_address, portaudio_address
            from main_plugin import Main
            jack_address(), portaudio_address()
            heard = Memory()
            chain = Chain([Main()], channels=1)
            with Engine(chain, FileBackend(np.ones((1, 640))), output=heard) as engine:
                engine.wait(60)
            engine.stats()
            y = float(heard.samples[0, 0])
            print(json.dumps({"y": y, "loaded": loaded, "made": made}))
        """
        assert ONE == project.play(code=code)["y"]
        entries = project.entries()
        second = project.play(code=code)
        assert (ONE, []) == (second["y"], second["made"])
        assert entries == project.entries()


class TestEdits:
    @pytest.mark.parametrize(
        ("name", "before", "after", "expected"),
        [
            ("main_plugin.py", "value = shape(", "value = 2 * shape(", 2 * ONE),
            ("helpers.py", "return deep(value)", "return 2 + deep(value)", 9.0 * 15),
            ("helpers.py", "return value\n", "return value + 1\n", ONE + 1),
            ("deeper.py", "value * 7", "value * 11", 3.0 * 5 * 11),
            ("constants.py", "FACTOR = 3", "FACTOR = 4", 4.0 * 5 * 7),
            ("constants.py", "REACHED = 5", "REACHED = 6", 3.0 * 6 * 7),
            ("found_by_name.py", "return value\n", "return value + 3\n", ONE + 3),
            ("found_by_name.py", "CAPTURED = 1", "CAPTURED = 2", 2 * ONE),
            ("main_plugin.py", '"count": "i8"', '"count": "i4", "more": "real"', ONE),
        ],
        ids=[
            "kernel",
            "helper",
            "helper through its module",
            "helper of a helper",
            "constant",
            "constant through its module",
            "helper that no import statement names",
            "captured variable",
            "state layout",
        ],
    )
    def test_an_edit_is_noticed(self, project, name, before, after, expected):
        """Editing anything that a kernel uses compiles it anew; undoing that finds the old code."""
        entries = project.entries()
        project.edit(name, before, after)
        changed = project.play()
        assert expected == changed["y"]
        assert 1 == len([made for made in changed["made"] if is_kernel(made)])
        assert set(entries) < set(project.entries())

    def test_the_time_stamp_says_nothing(self, project):
        """An edit is noticed though the file has the size and the time of before."""
        path = project.source / "deeper.py"
        stat = path.stat()
        project.edit("deeper.py", "value * 7", "value * 9")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert 3.0 * 5 * 9 == project.play()["y"]

    def test_a_touched_file_hits(self, project):
        """A file that was only touched or moved in time is not compiled again."""
        for path in project.source.glob("*.py"):
            os.utime(path, (1_800_000_000, 1_800_000_000))
        assert [] == project.play()["made"]

    def test_computed_constants(self, project):
        """A constant that is computed at import counts with its value, not with its source."""
        changed = project.play(COMPUTED="2")
        assert 2 * ONE == changed["y"]
        assert [] == project.play(COMPUTED="2")["made"]
        assert [] == project.play()["made"]

    def test_an_edit_undone_finds_the_old_code(self, project):
        """The entries of before are still right when the edit is taken back."""
        project.edit("deeper.py", "value * 7", "value * 13")
        project.play()
        project.edit("deeper.py", "value * 13", "value * 7")
        back = project.play()
        assert (ONE, []) == (back["y"], back["made"])

    def test_an_upgrade_compiles_anew(self, project):
        """Another version of Numba finds no old code."""
        changed = project.play("import numba; numba.__version__ = '99.0'")
        assert (ONE, []) == (changed["y"], changed["loaded"])

    @pytest.mark.parametrize("package", ["rtcore", "numba", "llvmlite", "numpy"])
    def test_versions_that_count(self, monkeypatch, package):
        """The version of rtcore and of all that it compiles with is part of an entry's name."""
        before = cache._environment.__wrapped__()
        if package == "rtcore":
            monkeypatch.setattr(importlib.metadata, "version", lambda _name: "99.0")
        else:
            monkeypatch.setattr(importlib.import_module(package), "__version__", "99.0")
        assert before != cache._environment.__wrapped__()


class TestAccidents:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[: len(data) // 2],
            lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        ],
        ids=["empty", "truncated", "one bit"],
    )
    def test_a_damaged_entry_is_compiled_anew(self, project, damage):
        """A torn or corrupted entry is never run; it is replaced without a word."""
        for path in project.cache.iterdir():
            if path.name.startswith("main_plugin."):
                path.write_bytes(damage(path.read_bytes()))
        entries = project.entries()
        again = project.play()
        assert (ONE, "") == (again["y"], again["stderr"])
        assert 1 == len([made for made in again["made"] if is_kernel(made)])
        assert [] == project.play()["made"]
        assert entries == project.entries()

    def test_two_processes_at_once(self, tmp_path):
        """Two processes that compile both types of one kernel at once end with right code."""
        project = Project(tmp_path)
        kinds = ["float32", "float64"] * 2
        reports = [finish(p) for p in [project.start(dtype=kind) for kind in kinds]]
        assert [ONE] * 4 == [report["y"] for report in reports]
        again = [project.play(dtype=kind) for kind in kinds[:2]]
        assert [(ONE, [])] * 2 == [(report["y"], report["made"]) for report in again]
        assert [] == [name for name in project.entries() if not name.endswith(".nbc")]

    @pytest.mark.parametrize("way", ["file", "below a file", "proc"])
    def test_no_folder(self, project, tmp_path, way):
        """Without a folder that can be written everything works, with one sentence."""
        blocked = tmp_path / "blocked"
        blocked.write_text("in the way")
        place = {"file": blocked, "below a file": blocked / "cache", "proc": "/proc/rtcore/cache"}
        report = project.play(RTCORE_CACHE_DIR=str(place[way]))
        assert ONE == report["y"]
        assert 1 == report["stderr"].count("\n")
        assert report["stderr"].startswith(f"kernel cache: cannot write to {place[way]} (")
        assert "set RTCORE_CACHE_DIR to a folder that can be written\n" in report["stderr"]

    def test_read_only_folder(self, project):
        """A folder that can only be read still gives its entries, with one sentence."""
        project.cache.chmod(0o555)
        try:
            report = project.play(within=without_privileges())
        finally:
            project.cache.chmod(0o755)
        assert (ONE, [], 1) == (report["y"], report["made"], report["stderr"].count("\n"))

    def test_a_folder_that_refuses_writing(self, project):
        """The same where writing fails for any reason (root may write in read-only folders)."""
        refuse = """
            import tempfile
            def refuse(*args, **kwargs):
                raise OSError(30, "Read-only file system")
            tempfile.TemporaryFile = tempfile.mkstemp = refuse
        """
        full = project.play(refuse)
        assert (ONE, []) == (full["y"], full["made"])
        project.edit("deeper.py", "value * 7", "value * 17")
        report = project.play(refuse)
        assert 3.0 * 5 * 17 == report["y"]
        assert 1 == report["stderr"].count("\n")
        assert "(Read-only file system)" in report["stderr"]


class TestPruning:
    def test_old_entries_go(self, tmp_path, monkeypatch):
        """What nothing has used for long is removed, and nothing else."""
        monkeypatch.setattr(cache, "folder", lambda: tmp_path)
        for name, age_days in (("old.nbc", 100), ("new.nbc", 1), ("old.txt", 100)):
            path = tmp_path / name
            path.touch()
            stamp = path.stat().st_mtime - age_days * 86400
            os.utime(path, (stamp, stamp))
        assert 1 == cache.prune(90)
        assert ["new.nbc", "old.txt"] == sorted(p.name for p in tmp_path.iterdir())

    def test_a_hit_keeps_an_entry_young(self, project):
        """An entry that was used is not old, whenever it was made."""
        for path in project.cache.iterdir():
            os.utime(path, (1_000_000_000, 1_000_000_000))
        project.play()
        used = [p for p in project.cache.iterdir() if p.stat().st_mtime > 1_000_000_001]
        assert any(path.name.startswith("main_plugin.") for path in used)

    def test_numba_cannot_switch_it_off(self):
        """What Numba may ask of a cache leaves ours alone."""

        def nothing():
            pass

        own = KernelCache(nothing)
        for verb in (own.enable, own.disable, own.flush):
            verb()
        assert (0, 0) == (own.hits, own.misses)
