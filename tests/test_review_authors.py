# SPDX-License-Identifier: MIT
"""Mistakes of plugin authors, and interruptions, end in one sentence and leave nothing behind."""

from __future__ import annotations

import inspect
import os
import signal
from pathlib import Path

import click
import numpy as np
import pytest

from rtcore import Chain, KernelError, Param, Plugin, PluginError, Prepared, audiofile, kernel
from rtcore.cli import root, scaffold
from rtcore.testing import check_plugin


class Copies(Plugin):
    """Leave the sound as it is."""

    id = "a_copies"
    state = {"count": "i8"}
    buffers = {"line": "real[:, :]"}
    answer = Prepared(buffers={"line": np.zeros((2, 4))})

    def prepare(self, spec):
        return self.answer

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class Undeclared(Plugin):
    """Use a state field that is nowhere declared."""

    id = "a_undeclared"

    @kernel
    def process(x, y, state):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]
        state.level = 1.0


class Prints(Plugin):
    """Print from the audio thread."""

    id = "a_prints"

    @kernel
    def process(x, y):
        print("hi")
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class Debugs(Plugin):
    """Print a number from the audio thread."""

    id = "a_debugs"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]
        print(x.shape[1])


class TestDeclarations:
    """What a class declares."""

    @pytest.mark.parametrize(
        ("declared", "said"),
        [
            ({"state": {"h": "list"}}, "state h has the type 'list'"),
            ({"state": {"h": "real[:]"}}, "declare arrays in buffers"),
            ({"state": {"h": []}}, r"state h has the type \[\]"),
            ({"state": ["h"]}, "state must be a dictionary"),
            ({"buffers": {"h": 3}}, "buffer h has the type 3"),
            ({"buffers": {"h": "f1[:]"}}, "buffer h has the type 'f1"),
            ({"state": {"rt_controls": "i8"}}, "state has the name 'rt_controls'"),
            ({"state": {"two words": "i8"}}, "state has the name 'two words'"),
            ({"state": {"line": "i8"}}, "state 'line' has the name of a buffer"),
            ({"state": {"line_0": "i8"}}, "'line_0' has the name of a length of a buffer"),
            ({"state": {"x": "i8"}}, "state 'x' has the name of what every kernel is handed"),
            ({"gain": Param(1.0), "state": {"gain": "i8"}}, "'gain' has the name of a parameter"),
            ({"gain": Param(1.0), "buffers": {"gain": "i8[:]"}}, "the name of a parameter"),
            ({"ctx": Param(1.0)}, "parameter 'ctx' has the name of what every kernel is handed"),
        ],
    )
    def test_refused(self, declared, said):
        """A declaration that cannot work is told when the class is made."""
        with pytest.raises(PluginError, match=said) as refusal:
            type("Wrong", (Copies,), {"id": "a_wrong", **declared})
        assert str(refusal.value).startswith("plugin 'a_wrong': ")

    def test_undeclared_state(self):
        """A state field that is not declared is told with its line."""
        with pytest.raises(KernelError) as refusal:
            Chain([Undeclared()])
        line = Undeclared.process.fn.__code__.co_firstlineno + 5
        assert f"line {line}: kernel 'process' uses state.level, which" in str(refusal.value)


class TestAnswers:
    """What prepare() returns."""

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (None, r"must return Prepared\(...\), got None"),
            (Prepared(latency_frames=None), "latency_frames as a whole number from 0"),
            (Prepared(lookahead_frames=-1), "lookahead_frames as a whole number from 0"),
            (Prepared(tail_frames=1.5), "tail_frames as a whole number from 0 .*, got 1.5"),
            (Prepared(channels_out=200), "channels_out as a whole number from 1 to 64, got 200"),
            (Prepared(state=[1]), "give state as a dictionary"),
            ({"state": {"count": "hello"}}, "gives state 'count' the value 'hello'"),
            ({"state": {"count": [1, 2]}}, "one number of type 'i8'"),
            ({"state": {"count": 2**70}}, "gives state 'count' the value"),
            (Prepared(buffers={"line": [[1], [2, 3]]}), "gives buffer 'line' what is no array"),
        ],
    )
    def test_refused(self, answer, said):
        """An answer that cannot be used is told with the plugin's place and the key."""
        if isinstance(answer, dict):
            answer = Prepared(**answer, buffers=Copies.answer.buffers)
        cls = type("Wrong", (Copies,), {"id": "a_wrong", "answer": answer})
        with pytest.raises(PluginError, match=said) as refusal:
            Chain([cls()])
        assert str(refusal.value).startswith("plugin[0].a_wrong: ")


@pytest.mark.parametrize("cls", [Prints, Debugs])
def test_print_is_refused(cls):
    """A kernel that prints would call the interpreter; it is refused with its line."""
    with pytest.raises(KernelError, match="calls the interpreter") as refusal:
        Chain([cls()])
    rows, first = inspect.getsourcelines(cls.process.fn)
    line = first + next(k for k, row in enumerate(rows) if "print(" in row)
    assert f"line {line}: kernel 'process'" in str(refusal.value)


class Unwritten(Plugin):
    """Leave the last frame of each block as it was."""

    id = "a_unwritten"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1] - 1):
                y[c, i] = x[c, i]


class Overwrites(Plugin):
    """Silence the input too."""

    id = "a_overwrites"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]
                x[c, i] = 0


OUTSIDE = """
from rtcore import Plugin, kernel


class Outside(Plugin):
    'Read far beyond the end.'

    id = "a_outside"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i + 100000000]
"""


class TestChecks:
    """What `rtcore plugins check` finds."""

    def test_an_unwritten_sample(self):
        """A sample of y that is not written is found, whatever stood there."""
        findings = check_plugin(Unwritten, only=["chunking"], allocations=False)
        assert "leaves frame 63 of y as it was" in findings[0].what

    def test_a_changed_input(self):
        """A write into x is found."""
        findings = check_plugin(Overwrites, only=["input"], allocations=False)
        assert "changes its input at frame 0" in findings[0].what

    @pytest.mark.parametrize("hidden", [False, True])
    def test_an_index_out_of_range(self, hidden, tmp_path, monkeypatch):
        """An index out of range is named; where it ends the process, that is told."""
        text = OUTSIDE
        if hidden:  # in a helper nobody checks indices
            text = text.replace("import Plugin", "import Plugin, helper").replace(
                "class Outside",
                "@helper\ndef far(v, c, i):\n    return v[c, i + 100000000]\n\n\nclass Outside",
            )
            text = text.replace("x[c, i + 100000000]", "far(x, c, i)")
        name = f"a_outside_{hidden}".lower()
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
        findings = check_plugin(__import__(name).Outside)
        assert ["crashes" if hidden else "indices"] == [f.check for f in findings]
        assert "look for indices out of range" in findings[0].what
        assert ("crashed (signal 11)" in findings[0].what) is hidden


class TestInterruptions:
    """Ctrl-C, SIGTERM and SIGHUP."""

    @pytest.mark.parametrize("door", ["write", "seek", "read", "tell"])
    def test_inside_libsndfile(self, door, tmp_path, monkeypatch):
        """Ctrl-C that arrives in a callback of libsndfile is Ctrl-C, and nothing is left."""

        class Pressed:
            def __init__(self, file):
                self.file = file

            def __getattr__(self, name):
                if name == door:
                    raise KeyboardInterrupt
                return getattr(self.file, name)

        def press():
            with audiofile.Writer(tmp_path / "a.wav", 48000, 1) as out:
                out._sink._file = Pressed(out._sink._file)
                if door in ("read", "tell"):  # libsndfile has no need of these here
                    getattr(out._sink, door)(*([4] if door == "read" else []))
                out.write(np.zeros((1, 100000)))

        with pytest.raises(KeyboardInterrupt):
            press()
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
    def test_signals(self, name):
        """A command is ended as by Ctrl-C, and the handlers of before are back afterwards."""
        number = getattr(signal, name)
        before = signal.getsignal(number)
        group = root.Cli(name="t", commands_at={})
        group.add_command(click.Command("wait", callback=lambda: signal.raise_signal(number)))
        assert root.INTERRUPTED == group.main(["wait"], standalone_mode=False)
        assert before == signal.getsignal(number)


def test_a_new_plugin_is_whole_or_not_there(tmp_path, monkeypatch):
    """Where writing a new plugin is interrupted, nothing is left."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scaffold, "_name_new", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scaffold.write_plugin("mine", Path(tmp_path))
    assert [] == list(tmp_path.iterdir())
