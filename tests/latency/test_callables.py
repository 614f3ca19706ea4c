# SPDX-License-Identifier: MIT
"""Python functions and streams as systems of the latency lab."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.latency.result import Declared
from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.systems.callables import CallableSystem

RATE = 16000

MODULE = """
import numpy as np

def half(x):
    return 0.5 * x

def rate(x, sample_rate):
    return np.full(x.shape, sample_rate)

def keyword(x, *, fs):
    return np.full(x.shape, fs)

def later(x, gain=2.0, sr=1):
    return np.full(x.shape, gain * sr)

def second(x, hertz):
    return np.full(x.shape, hertz)

def in_place(x):
    x *= 3.0
    return x

def shape(x):
    return np.full(x.shape[-1], x.ndim)

def loud(x):
    print("a hundred words")
    return x

def fails(x):
    return x @ np.zeros(3)

def leaves(x):
    raise SystemExit("no licence")

def nothing(x):
    pass

def batch(x):
    return x[np.newaxis, np.newaxis]

def frames_first(x):
    return x[:, np.newaxis]

def short(x):
    return x[:-5]

def text(x):
    return ["a"] * x.shape[-1]

def complex_(x):
    return x * 1j

def empty(x):
    return np.zeros((0, x.shape[-1]))

number = 3

class Tensor:
    def __init__(self, x):
        self.x = x
    def detach(self):
        return self
    def cpu(self):
        return self
    def numpy(self):
        return self.x.astype(np.float32)

def tensor(x):
    return Tensor(x)

class Sum:
    block_samples = 16
    def __init__(self, sample_rate=0, channels=0):
        self.total = 0.0
        self.seen = (sample_rate, channels)
    def process(self, block):
        assert block.shape[-1] == self.block_samples
        y = self.total + np.cumsum(block, axis=-1)
        self.total = y[..., -1:]
        return y

class Bare:
    def process(self, block):
        return block

class Reset(Sum):
    def reset(self):
        self.total = 0.0

class Stuck(Sum):
    def __deepcopy__(self, memo):
        raise TypeError("it holds a socket")

class Odd(Bare):
    block_samples = 0

class Half(Sum):
    def process(self, block):
        return block[..., ::2]

class Growing(Sum):
    def __init__(self):
        self.calls = 0
    def process(self, block):
        self.calls += 1
        return np.zeros((self.calls, block.shape[-1]))

class Unready:
    block_samples = 4
    def __init__(self, weights):
        pass
    def process(self, block):
        return block

class Called:
    def __call__(self, x):
        return -x

class Nothing:
    pass

copied, again, stuck = Sum(), Reset(), Stuck()

class Nested:
    @staticmethod
    def half(x):
        return 0.5 * x
"""


@pytest.fixture(autouse=True)
def _search_path(monkeypatch):
    """Forget afterwards which folders were searched for modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give a folder with a module, as the current one."""
    (tmp_path / "my_system.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("my_system", "_system_my_system", "other", "_system_other"):
        sys.modules.pop(name, None)


def sound(channels=1, frames=100):
    """Make a sound in which no sample is like another."""
    return np.linspace(-0.9, 0.9, channels * frames).reshape(channels, frames)


def make(name, channels=1, **options):
    """Make a system of the module."""
    return CallableSystem(f"my_system.py:{name}", RATE, channels, **options)


def refusal(name, channels=1, **options):
    """Make a system and run it; give the sentence that it is refused with."""
    with pytest.raises(SystemFaultError) as caught:
        CallableSystem(name, RATE, channels, **options).run(sound(channels))
    assert 2 == caught.value.exit_code
    return str(caught.value)


@pytest.mark.parametrize("place", ["my_system", "my_system.py", "./my_system.py"])
def test_modules_and_files_are_found(folder, place):
    """A function is named by its module in the current folder or by its file."""
    system = CallableSystem(f"{place}:half", RATE)
    np.testing.assert_array_equal(0.5 * sound(), system.run(sound()))
    assert ("callable", 1, None) == (system.kind, system.at_once, system.streaming())


def test_a_files_neighbours_can_be_imported(folder):
    """A file in another folder may import the files beside it."""
    (folder / "sub").mkdir()
    (folder / "sub" / "other.py").write_text("import beside\nf = beside.f\n")
    (folder / "sub" / "beside.py").write_text("def f(x):\n    return x\n")
    system = CallableSystem("sub/other.py:f", RATE)
    np.testing.assert_array_equal(sound(), system.run(sound()))
    sys.modules.pop("beside")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rate", RATE), ("keyword", RATE), ("later", 2 * RATE), ("second", RATE)],
)
def test_the_sample_rate_is_given_where_it_is_asked_for(folder, name, expected):
    """A second argument, or one with a known name, receives the sample rate."""
    assert {float(expected)} == set(make(name).run(sound())[0])


@pytest.mark.parametrize(("channels", "dimensions"), [(1, 1.0), (2, 2.0)])
def test_one_channel_has_one_dimension(folder, channels, dimensions):
    """Mono sounds come as (frames,), others as (channels, frames)."""
    assert dimensions == make("shape", channels).run(sound(channels))[0, 0]


def test_what_a_function_writes_stays_its_own(folder):
    """A function that works in place gets a copy each time."""
    x = sound(2)
    first = make("in_place", 2).run(x)
    np.testing.assert_array_equal(sound(2), x)
    np.testing.assert_array_equal(3.0 * x, first)


@pytest.mark.parametrize("name", ["tensor", "batch"])
def test_tensors_and_batches_of_one_are_taken(folder, name):
    """What has detach, cpu and numpy is taken for a tensor; leading axes of one are dropped."""
    np.testing.assert_allclose(sound(), make(name).run(sound()), atol=1e-7)


def test_objects_that_can_be_called_and_nested_names(folder):
    """A class of callables is made for each sound; names may have dots."""
    np.testing.assert_array_equal(-sound(), make("Called").run(sound()))
    np.testing.assert_array_equal(0.5 * sound(), make("Nested.half").run(sound()))


def test_prints_stay_off_our_output(folder, capsys):
    """What a function prints goes to the errors, so that JSON stays JSON."""
    make("loud").run(sound())
    assert ("", "a hundred words\n") == capsys.readouterr()


@settings(max_examples=30)
@given(
    channels=st.integers(1, 3),
    frames=st.integers(1, 200),
    block=st.integers(1, 70),
    name=st.sampled_from(["Sum", "copied", "again"]),
)
def test_a_stream_equals_the_whole(tmp_path_factory, channels, frames, block, name):
    """Blocks of any size give what the whole sound gives, and each run begins afresh."""
    file = tmp_path_factory.mktemp("hypothesis") / "my_system.py"
    file.write_text(MODULE.replace("block_samples = 16", f"block_samples = {block}"))
    system = CallableSystem(f"{file}:{name}", RATE, channels)
    x = sound(channels, frames)
    for _ in range(2):
        np.testing.assert_allclose(np.cumsum(x, axis=1), system.run(x), atol=1e-12)
    assert block == system.streaming().block_samples == system.declared.hop_samples


def test_constructors_get_what_they_ask_for(folder):
    """A class that takes the sample rate and the channels is made with them."""
    assert (RATE, 2) == make("Sum", 2)._fresh().seen


def test_the_block_may_be_said(folder):
    """--block serves classes that do not say it, and what the user declared stays."""
    declared = Declared(hop_samples=5)
    system = make("Bare", block=32, declared=declared)
    assert (32, 5) == (system.streaming().block_samples, system.declared.hop_samples)
    np.testing.assert_array_equal(sound(), system.run(sound()))


def test_a_stream_can_be_timed_block_by_block(folder):
    """A fresh stream remembers its own past only."""
    system = make("Sum", 2)
    one, other = system.streaming(), system.streaming()
    ones = np.ones((2, 16))
    one.process(ones)
    assert (32.0, 16.0) == (one.process(ones)[1, -1], other.process(ones)[1, -1])


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("my_system", "my_system: names no function; write it as module:function"),
        ("my_sytem:half", "no module 'my_sytem' (did you mean 'my_system'?); start rtcore in"),
        ("my_sytem.py:half", "no file my_sytem.py (did you mean 'my_system.py'?); check its"),
        (
            "my_system:hlaf",
            "my_system has no function or class 'hlaf' (did you mean 'half'?); check its",
        ),
        ("my_system:number", "is int, which cannot be called; name a function f(x)"),
        ("my_system:Nothing", "is type, which cannot be called; name a function f(x)"),
        ("my_system:fails", "raised ValueError: matmul"),
        ("my_system:fails", f"in line {MODULE[: MODULE.index('x @')].count(chr(10)) + 1} of my_s"),
        ("my_system:fails", "given float64 samples of shape (100,); mend it there"),
        ("my_system:leaves", "raised SystemExit: no licence in line"),
        ("my_system:nothing", "gave NoneType; let it return an array of real numbers"),
        ("my_system:text", "gave list; let it return an array of real numbers"),
        ("my_system:complex_", "gave complex128 samples of shape (1, 100); let it return"),
        ("my_system:empty", "gave no channel; let it return at least one"),
        ("my_system:short", "gave 95 samples for 100; pad or cut its output"),
        ("my_system:frames_first", "gave (100, 1); let it return channels first: (channels, 100)"),
        ("my_system:Bare", "has no block_samples; say how many samples its blocks have with --bl"),
        ("my_system:Odd", "has block_samples = 0; say how many"),
        ("my_system:Half", "gave 8 samples for 16; pad or cut"),
        ("my_system:Growing", "process gave blocks of [1, 2, 3, 4, 5, 6, 7] channels in one sound"),
        ("my_system:Unready", "raised TypeError: Unready.__init__() missing 1 required"),
        ("my_system:stuck", "has no reset() and cannot be copied (TypeError: it holds a socket)"),
        ("rtcore.plugins:Gain", "is a plugin of rtcore's; measure it as a chain, with -p gain"),
    ],
)
def test_what_is_wrong_is_said(folder, name, piece):
    """Each mistake in a name, a function or a stream gets its own sentence."""
    assert piece in refusal(name)


def test_a_block_for_a_function_is_refused(folder):
    """--block is only for what processes blocks."""
    assert "--block is for classes with process(block)" in refusal("my_system:half", block=8)


@pytest.mark.parametrize(
    ("source", "piece"),
    [
        ("import surely_not_there\n", "No module named 'surely_not_there' in line 1 of other.py"),
        ("def f(x)\n    return x\n", "in line 1 of other.py, while it was imported; mend it"),
        ("x = 1\n\nprint(1 / 0)\n", "ZeroDivisionError: division by zero in line 3 of other.py"),
    ],
)
@pytest.mark.parametrize("place", ["other", "other.py"])
def test_a_module_that_fails_is_told_with_its_line(folder, source, piece, place):
    """What a module raises while it is imported is said with file and line."""
    (folder / "other.py").write_text(textwrap.dedent(source))
    assert piece in refusal(f"{place}:f")


def test_a_message_of_many_lines_is_one_short_line(folder):
    """Long messages of exceptions are shortened, and line ends taken out."""
    (folder / "other.py").write_text("def f(x):\n    raise OSError('word\\n' * 500)\n")
    said = refusal("other:f")
    assert "\n" not in said
    assert len(said) < 400


def test_ctrl_c_in_a_function_is_no_fault(folder):
    """Ctrl-C passes through the user's code."""
    (folder / "other.py").write_text("def f(x):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        CallableSystem("other:f", RATE).run(sound())
