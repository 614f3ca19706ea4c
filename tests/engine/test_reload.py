# SPDX-License-Identifier: MIT
"""A plugin's file is edited while it plays."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import reaches

import rtcore.plugins
from rtcore import Chain
from rtcore.engine import Engine, Memory, TimerBackend, reload
from rtcore.engine.reload import PluginWatch

SOURCE = '''
from rtcore import Param, Plugin, kernel
{top}

class Edited(Plugin):
    """Change the level."""

    id = "edited"
    level = Param(0.5, smoothing_s=0.01)

    @kernel
    def process(x, y, level):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] * level[i] * {factor}
'''
RATE = 48000


class Session:
    """A tone of 1.0 through the plugin, with its file and what was said."""

    def __init__(self, file, factor="1.0", top=""):
        self.file = file
        self.said = []
        self.heard = Memory()
        self.write(factor, top)
        edited = importlib.import_module(f"rtcore.plugins.{file.stem}").Edited
        chain = Chain([edited()], sample_rate=RATE, channels=1)
        ones = (np.ones((1, 4800), np.float32) for _ in range(10**6))
        self.engine = Engine(chain, TimerBackend(ones), output=self.heard).start()
        self.watch = PluginWatch(self.engine, self.said.append)
        self.watch.start()

    def write(self, factor, top=""):
        self.file.write_text(SOURCE.format(factor=factor, top=top))

    def wait_for(self, count):
        """Wait for a word and for what follows it: a cross-fade of 0.05 s."""
        assert reaches(lambda: len(self.said) >= count)
        said_at = self.engine.stats()["frames"]
        assert reaches(lambda: self.engine.stats()["frames"] > said_at + RATE // 4)
        return self.said[count - 1]

    def close(self):
        self.watch.stop()
        self.engine.stop()


def edit(file, text):
    """Change a file without a change of its length or of the second of its last change."""
    before = file.stat()
    assert before.st_size == len(text)
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns // 10**9 * 10**9 + 123))


def plugin_folder(tmp_path, monkeypatch):
    """Make a folder on the search path, and let Python keep byte code as it does for users."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.setattr(rtcore.plugins, "__path__", [str(folder), *rtcore.plugins.__path__])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    importlib.invalidate_caches()
    return folder


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Give a playing session."""
    folder = plugin_folder(tmp_path, monkeypatch)
    opened = Session(folder / f"edited_{tmp_path.name}.py")
    yield opened
    opened.close()


def test_new_code_is_cross_faded_in(session):
    """The level changes, no sample jumps, and the engine never stops, however quick the edit."""
    edit(session.file, SOURCE.format(factor="2.0", top=""))
    assert "new code plays" in session.wait_for(1)
    session.close()
    samples = session.heard.samples[0]
    assert (0.5, 1.0) == (samples[100], samples[-1])
    assert np.abs(np.diff(samples)).max() < 0.01
    assert session.engine.state == "stopped"


def test_broken_code_leaves_the_old_code_playing(session):
    """A slip of syntax, an unknown name, and an allocation are each reported with the line."""
    session.write("2.0)(")
    assert "SyntaxError" in session.wait_for(1)
    session.write("unknown_thing")
    assert "unknown_thing" in session.wait_for(2)
    session.write("np.zeros(3)[0]", top="import numpy as np")
    assert "allocates" in session.wait_for(3)
    assert all("the old code plays on" in said for said in session.said)
    session.write("4.0")
    assert "new code plays" in session.wait_for(4)
    session.close()
    samples = session.heard.samples[0]
    assert {0.5, 2.0} <= set(np.unique(samples).tolist())
    assert 2.0 == samples[-1]


def test_an_edited_helper_is_heard(tmp_path, monkeypatch):
    """A plugin whose helper module changed plays the new helper, however quick the edit was."""
    name = f"helper_of_{tmp_path.name}"
    (tmp_path / "lib").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    helper = tmp_path / "lib" / f"{name}.py"
    text = "from rtcore import helper\n\n\n@helper\ndef twice(v):\n    return v * {}\n"
    helper.write_text(text.format("1.0"))
    folder = plugin_folder(tmp_path, monkeypatch)
    session = Session(
        folder / f"edited_{tmp_path.name}.py", "twice(1.0)", f"from {name} import twice"
    )
    try:
        edit(helper, text.format("4.0"))
        assert "new code plays" in session.wait_for(1)
    finally:
        session.close()
    assert 2.0 == session.heard.samples[0, -1]


def test_a_module_that_is_imported_meanwhile_has_not_changed(tmp_path, monkeypatch):
    """It is not run again with the next edit, and keeps its byte code: others may use it."""
    name = f"late_of_{tmp_path.name}"
    (tmp_path / "lib").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (tmp_path / "lib" / f"{name}.py").write_text('runs = globals().get("runs", 0) + 1\n')
    folder = plugin_folder(tmp_path, monkeypatch)
    top = f"def later():\n    import {name}"
    session = Session(folder / f"edited_{tmp_path.name}.py", top=top)
    try:
        late = importlib.import_module(name)
        edit(session.file, SOURCE.format(factor="2.0", top=top))
        assert "new code plays" in session.wait_for(1)
    finally:
        session.close()
    assert [1, 1] == [late.runs, len(session.said)]
    assert Path(importlib.util.cache_from_source(late.__file__)).exists()


def test_installed_packages_are_not_watched(tmp_path, monkeypatch):
    """A plugin's author edits their own files; of an installed plugin those of its package."""
    for number, place in enumerate(("site-packages/mine", "plugins")):
        name = f"mine_{tmp_path.name}_{number}"
        for file in (
            f"{place}/{name}.py",
            f"{place}/near_{name}.py",
            f"site-packages/far_{name}.py",
        ):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text("")
            monkeypatch.syspath_prepend(str((tmp_path / file).parent))
        top = f"import near_{name}, far_{name}"
        (tmp_path / place / f"{name}.py").write_text(SOURCE.format(factor="1.0", top=top))
        plugin = importlib.import_module(name).Edited()
        node = Chain([plugin], sample_rate=RATE, channels=1).nodes[0].node
        watched = {path.stem for path in reload._authors_files(node)}
        assert {name, f"near_{name}"} == watched
