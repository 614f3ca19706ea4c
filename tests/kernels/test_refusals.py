# SPDX-License-Identifier: MIT
"""What cannot be a kernel is refused with its line; what can be has the right float mode."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numba import njit
from sounds import Asserts, noise

from rtcore import Chain, KernelError, Param, Plugin, PluginError, Prepared, kernel
from rtcore.kernels.jit import FLAGS
from rtcore.kernels.rt import FLUSH_BITS, flush_denormals, restore_float_mode


class Temporary(Plugin):
    id = "r_temporary"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            y[c, 0] = 0
            y[c] = x[c] * 2 + x[c]  # allocates


class Zeros(Plugin):
    id = "r_zeros"

    @kernel
    def process(x, y):
        spare = np.zeros(x.shape[1])  # allocates
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                spare[i] += x[c, i]
                y[c, i] = spare[i]


class Raises(Plugin):
    id = "r_raises"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                if x[c, i] > 2:
                    raise ValueError("loud")  # may raise
                y[c, i] = x[c, i]


class Lists(Plugin):
    id = "r_lists"

    @kernel
    def process(x, y):
        found = [0.0]  # allocates
        for i in range(x.shape[1]):
            found.append(x[0, i])  # noqa: PERF401
        for c in range(y.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = found[i]


class Untyped(Plugin):
    id = "r_untyped"

    @kernel
    def process(x, y):
        for i in range(x.shape[1]):
            y[0, i] = x[0, i] + "a"


class Unknown(Plugin):
    id = "r_unknown"
    gain = Param(1.0, smoothing_s=0.01)
    state = {"count": "i8"}
    buffers = {"line": "real[:]"}

    def prepare(self, spec):
        return Prepared(buffers={"line": np.zeros(4)})

    @kernel
    def process(x, y, gian):
        for i in range(x.shape[1]):
            y[0, i] = gian[i] * x[0, i]


class Divides(Plugin):
    id = "r_divides"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] / (x[c, i] - x[c, i] + 1) // 1


class Slices(Plugin):
    id = "r_slices"
    buffers = {"line": "real[:, :]"}

    def prepare(self, spec):
        return Prepared(buffers={"line": np.zeros((spec.channels, spec.max_frames))})

    @kernel
    def process(x, y, line):
        for c in range(x.shape[0]):
            source, target = x[c], line[c, : x.shape[1]]
            for i in range(source.size):
                target[i] = source[i]
            y[c, :] = 0
            for i in range(source.size):
                y[c, i] += target[i]


class Decay(Plugin):
    id = "r_decay"
    state = {"level": "real"}

    @kernel
    def process(x, y, state):
        for i in range(x.shape[1]):
            for c in range(x.shape[0]):
                state.level = state.level * x[c, i]
                y[c, i] = state.level


def line_with(cls, mark):
    """Give the file and the number of the line that ends in a comment."""
    rows, first = inspect.getsourcelines(cls.process.fn)
    place = next(k for k, row in enumerate(rows) if row.rstrip().endswith(f"# {mark}"))
    return f"{inspect.getsourcefile(cls)}, line {first + place}: kernel 'process' {mark}"


class TestRefusals:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("cls", [Temporary, Zeros, Lists])
    def test_allocation(self, cls, dtype):
        """A kernel that would allocate is refused, naming the line, and is not kept."""
        for _ in range(2):
            with pytest.raises(KernelError) as refusal:
                Chain([cls()], dtype=dtype)
            assert line_with(cls, "allocates") in str(refusal.value)
            assert "write a loop" in str(refusal.value)

    @pytest.mark.parametrize("cls", [Raises, Asserts])
    def test_exceptions(self, cls):
        """A kernel that may raise is refused, naming the line and the place in the chain."""
        with pytest.raises(KernelError) as refusal:
            Chain([Divides(), cls()])
        assert line_with(cls, "may raise") in str(refusal.value)
        assert str(refusal.value).startswith(f"plugin[1].{cls.id}: ")

    @pytest.mark.parametrize("cls", [Divides, Slices])
    def test_harmless_forms(self, cls):
        """Divisions, slices and fills that neither allocate nor raise are welcome."""
        x = noise(2, 100)
        y = Chain([cls()]).process(x)
        assert np.array_equal(x // 1 if cls is Divides else x, y)

    def test_captured_variables(self):
        """A kernel that captures a variable is refused; the sentence says what to use."""
        captured = 3.0

        def process(x, y):
            y[0, 0] = captured

        where = rf"line {process.__code__.co_firstlineno}: kernel 'process' captures captured"
        with pytest.raises(KernelError, match=where):
            kernel(process)

    def test_self(self):
        """A kernel is no method."""

        def process(self, x, y):
            pass

        with pytest.raises(
            KernelError, match=r"take x and y first \(no self\), got \(self, x, y\)"
        ):
            kernel(process)

    def test_unknown_argument(self):
        """A kernel that asks for what there is not hears what there is."""
        with pytest.raises(KernelError) as refusal:
            Chain([Unknown()], channels=1)
        expected = "asks for 'gian', which is no parameter, buffer, state or ctx; it can have: "
        assert f"{expected}x, y, ctx, state, line, gain" in str(refusal.value)

    def test_type_error(self):
        """What Numba cannot type is told in one sentence with the line."""
        with pytest.raises(KernelError) as refusal:
            Chain([Untyped()], channels=1)
        text = str(refusal.value)
        line = Untyped.process.fn.__code__.co_firstlineno + 3
        assert f"line {line}: kernel 'process' does not compile: " in text
        assert 1 == len(text.splitlines())
        assert "Traceback" not in text

    def test_wrong_buffers(self):
        """A prepare() that forgets a buffer hears which are declared."""

        class Forgets(Slices):
            id = "r_forgets"

            def prepare(self, spec):
                return Prepared()

        with pytest.raises(PluginError, match=r"must give the declared buffers \(line\), got none"):
            Chain([Forgets()])

    def test_a_failing_prepare(self):
        """Whatever a plugin's prepare() raises is told with the plugin's place."""

        class Fails(Slices):
            id = "r_fails"

            def prepare(self, spec):
                return 1 / 0

        with pytest.raises(PluginError, match=r"plugin\[0\].r_fails: .*ZeroDivisionError"):
            Chain([Fails()])


class TestFlags:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_nan_tests_work(self, dtype):
        """Under the kernels' flags NaN and Inf are seen by all the usual tests."""

        @njit(**FLAGS)
        def seen(values):
            count = 0
            for value in values:
                count += np.isnan(value) + 2 * (value != value) + 4 * (not np.isfinite(value))  # noqa: PLR0124
            return count

        assert 7 + 4 == seen(np.array([np.nan, np.inf, 1.0], dtype))

    def test_what_is_allowed(self):
        """No flag but the fusing of multiply and add changes what numbers mean."""
        assert {"contract"} == FLAGS["fastmath"]
        assert ("numpy", False) == (FLAGS["error_model"], FLAGS["boundscheck"])


class TestSubnormals:
    @pytest.mark.parametrize(("dtype", "small"), [("float32", 1e-20), ("float64", 1e-160)])
    def test_flushed_inside(self, dtype, small):
        """A product that would be subnormal is zero inside a chain, and leaves none in state."""
        chain = Chain([Decay()], channels=1, dtype=dtype)
        chain.nodes[0].node.record["level"] = 1.0
        y = chain.process(np.full((1, 3), small, dtype))[0]
        assert y[0] > 0
        assert [0.0, 0.0] == list(y[1:])
        assert 0 == chain.nodes[0].node.subnormals

    def test_restored_on_the_caller_s_thread(self):
        """The caller's own arithmetic has subnormals before and after."""
        tiny = np.float32(1e-20)
        before = tiny * np.float32(1e-20)
        Chain([Decay()], channels=1).process(np.ones((1, 10)))
        assert before == tiny * np.float32(1e-20)
        assert before > 0

    def test_flags_of_the_thread(self):
        """Flushing sets the thread's flags and gives those of before."""
        mode = flush_denormals()
        try:
            assert FLUSH_BITS == flush_denormals() & FLUSH_BITS
            assert np.float32(1e-20) * np.float32(1e-20) == 0
        finally:
            restore_float_mode(mode)
        assert 0 == mode & FLUSH_BITS

    def test_subnormal_input(self):
        """1e-40 in gives exact zeros out."""
        chain = Chain([Slices()], channels=2)
        assert not chain.process(np.full((2, 100), 1e-40, np.float32)).any()
