# SPDX-License-Identifier: MIT
"""Mistakes of plugin authors, and interruptions, end in one sentence and leave nothing behind."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from rtcore import Chain, KernelError, Param, Plugin, PluginError, Prepared, kernel


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
