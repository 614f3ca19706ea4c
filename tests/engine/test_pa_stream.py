# SPDX-License-Identifier: MIT
import inspect
import json

import pytest
from waiting import PATIENCE_S

from rtcore.engine.backends import devices
from rtcore.engine.backends.pa_stream import NativePortAudioStream, StreamSettings
from rtcore.errors import DeviceError

# What every child process starts with: a compiled callback that counts blocks, frames of the last
# block, and which directions it was given.
CHILD = """
import json, sys
import numpy as np
from numba import carray, cfunc, types
from rtcore.engine.backends import devices
from rtcore.engine.backends.devices import find_device
from rtcore.engine.backends.pa_stream import NativePortAudioStream, StreamSettings
from rtcore.errors import DeviceError
from waiting import reaches

address = types.uintp
@cfunc(types.int32(address, address, address, address, address, types.voidptr),
       error_model="numpy")
def count(source, target, frames, times, flags, user):
    words = carray(user, (4,), np.int64)
    words[0] += 1
    words[1] = frames
    words[2] = (source != 0) + 2 * (target != 0)
    return np.int32(words[3])

words = np.zeros(4, np.int64)

def stream(**changes):
    words[:] = 0
    settings = {"input_device": 0, "output_device": 0, "block_frames": 64} | changes
    return NativePortAudioStream(
        count.address, words.ctypes.data, StreamSettings(**settings), keep=(count, words))

def say(*what):
    print(json.dumps(what), flush=True)

def plays():
    first = int(words[0])
    return reaches(lambda: words[0] >= first + 10)
"""


def heard(process):
    line = process.stdout.readline()
    return json.loads(line) if line else process.communicate(timeout=PATIENCE_S)


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


class TestPrivateDoor:
    """rtcore stands on private names of sounddevice; an update of it must pass here first."""

    @pytest.fixture
    def sd(self):
        try:
            return devices.portaudio()
        except DeviceError as error:
            pytest.skip(str(error))

    def test_version(self, sd):
        """The version is the one that was examined; after an update, run these tests and pin."""
        assert sd.__version__ == "0.5.6"

    def test_signature(self, sd):
        """`_StreamBase` takes the arguments that rtcore passes by name."""
        expected = [
            *("self", "kind", "samplerate", "blocksize", "device", "channels", "dtype"),
            *("latency", "extra_settings", "callback", "finished_callback", "clip_off"),
            *("dither_off", "never_drop_input"),
            *("prime_output_buffers_using_stream_callback", "userdata", "wrap_callback"),
        ]
        assert expected == list(inspect.signature(sd._StreamBase.__init__).parameters)

    def test_callback_and_user_data_reach_portaudio(self, sd, monkeypatch):
        """A C callback and a C pointer are handed to `Pa_OpenStream` as they are."""
        seen = []

        class Library:
            def __getattr__(self, name):
                return getattr(real, name)

            def Pa_OpenStream(self, *arguments):  # noqa: N802 - PortAudio's name
                seen.extend(arguments)
                return -9999 + 14  # device unavailable

        real = sd._lib
        info = {"default_low_input_latency": 0.01, "default_samplerate": 48000.0}
        monkeypatch.setattr(sd, "query_devices", lambda *a: info)
        monkeypatch.setattr(sd, "_lib", Library())
        stream = sd._StreamBase.__new__(sd._StreamBase)
        with pytest.raises(sd.PortAudioError, match="Device unavailable") as caught:
            sd._StreamBase.__init__(
                stream,
                kind="input",
                samplerate=48000.0,
                blocksize=64,
                device=0,
                channels=1,
                dtype="float32",
                latency="low",
                callback=sd._ffi.cast("PaStreamCallback*", 0x1234),
                userdata=sd._ffi.cast("void*", 0x5678),
            )
        assert [0x1234, 0x5678] == [int(sd._ffi.cast("uintptr_t", p)) for p in seen[-2:]]
        assert caught.value.args[1] == -9985

    def test_other_private_names(self, sd):
        """What `renew`, the exit and the stream use is there."""
        for name in ("_ffi", "_lib", "_initialized", "_initialize", "_terminate", "_check"):
            assert hasattr(sd, name)
        assert callable(sd._exit_handler)
        for name in ("IsStreamActive", "StartStream", "StopStream", "CloseStream"):
            assert hasattr(sd._lib, f"Pa_{name}")


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({}, "input: a duplex stream needs a device"),
            ({"kind": "input", "input_device": 0, "input_channels": 0}, "at least 1 channel"),
            ({"kind": "output", "output_device": 0, "block_frames": -1}, "got -1 and 48000"),
            ({"kind": "output", "output_device": 0, "sample_rate": 0.0}, "above 0 Hz"),
        ],
    )
    def test_refused(self, settings, says):
        """Settings that can never work are refused in words."""
        with pytest.raises(DeviceError, match=says):
            StreamSettings(**settings)

    def test_unknown_device(self):
        """A device that does not exist is refused before PortAudio is asked."""
        try:
            devices.portaudio()
        except DeviceError as error:
            pytest.skip(str(error))
        settings = StreamSettings("output", output_device=4711)
        with pytest.raises(DeviceError, match="output device 4711: there is no such device"):
            NativePortAudioStream(0, 0, settings)


@pytest.mark.live
class TestStream:
    def test_kinds_channels_and_blocks(self, jack_server, python):
        """Each kind, unequal channel counts and any block size play, and close in silence."""
        process = python(
            CHILD
            + """
for changes in ({}, {"kind": "input", "input_channels": 1}, {"kind": "output"},
                {"input_channels": 1, "output_channels": 2}, {"block_frames": 0},
                {"block_frames": 100}, {"latency": 0.05}, {"latency": ("low", "high")}):
    with stream(**changes) as s:
        good = plays() and s.active and not s.finished and s.cpu_load >= 0
        say(good, int(words[1]), int(words[2]), s.sample_rate)
    say(s.closed, s.finished, s.close())
"""
        )
        for frames, directions in (
            *((64, 3), (64, 1), (64, 2), (64, 3)),
            *((64, 3), (100, 3), (64, 3), (64, 3)),
        ):
            assert [True, frames, directions, 48000.0] == heard(process)
            assert [True, False, True] == heard(process)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    def test_refusals(self, jack_server, python):
        """What the device cannot do is said with the device's name and a remedy."""
        process = python(
            CHILD
            + """
for changes in ({"sample_rate": 44100.0}, {"input_channels": 3}, {"output_device": 99}):
    try:
        stream(**changes)
    except DeviceError as error:
        say(str(error))
with stream() as s:
    pass
try:
    s.start()
except DeviceError as error:
    say(str(error))
"""
        )
        for words in (
            "does not run at 44100 Hz; use its own rate (48000 Hz)",
            "it has 2 input channels, and 3 were asked for",
            "output device 99: there is no such device",
            "the stream is closed; open a new one",
        ):
            assert words in heard(process)[0]
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    def test_callback_ends_the_stream(self, jack_server, python):
        """A callback that returns 1 finishes the stream, which can then be closed."""
        process = python(
            CHILD
            + """
s = stream()
s.start()
good = plays()
words[3] = 1
say(good, reaches(lambda: s.finished), s.close(lost=False), devices.is_wounded())
"""
        )
        assert [True, True, True, False] == heard(process)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)


@pytest.mark.live
class TestServerDeath:
    def test_loss_and_return(self, jack_server, python):
        """A killed server is noticed, the stream abandoned, and a fresh one plays on, twice."""
        process = python(
            CHILD
            + """
for _ in range(3):
    devices.renew()
    s = stream()
    s.start()
    say(plays())
    sys.stdin.readline()
    say(reaches(lambda: s.finished), s.close(), s.closed, s.cpu_load, devices.is_wounded())
    try:
        stream()
    except DeviceError as error:
        say(str(error))
    sys.stdin.readline()
"""
        )
        for _ in range(3):
            assert [True] == heard(process)
            jack_server.kill()
            go_on(process)
            assert [True, False, True, 0.0, True] == heard(process)
            assert "renew it before opening again" in heard(process)[0]
            jack_server.start()
            go_on(process)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    @pytest.mark.parametrize("fate", ["alive", "kill", "pause"])
    @pytest.mark.parametrize("opened", [True, False])
    def test_exit(self, jack_server, python, fate, opened):
        """A process leaves in order, whatever became of the server, with and without a stream."""
        act = (
            "s = stream(); s.start(); say(plays())" if opened else "say(devices.list_devices()!=[])"
        )
        process = python(CHILD + act + "\nsys.stdin.readline()\n")
        assert [True] == heard(process)
        if fate != "alive":
            getattr(jack_server, fate)()
        out, err = process.communicate("\n", timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    def test_exit_where_sounddevice_was_first(self, jack_server, python):
        """A program that imported sounddevice before rtcore leaves in order as well."""
        process = python(
            "import sounddevice\n" + CHILD + "say(len(devices.list_devices()) > 0)\n"
            "sys.stdin.readline()\n"
        )
        assert [True] == heard(process)
        jack_server.kill()
        out, err = process.communicate("\n", timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    def test_deaf_server(self, jack_server, python):
        """A server that hangs costs a close its time limit, no more."""
        process = python(
            CHILD
            + """
s = stream()
s.start()
say(plays())
sys.stdin.readline()
say(s.close(), devices.is_wounded())
"""
        )
        assert [True] == heard(process)
        jack_server.pause()
        go_on(process)
        assert [False, True] == heard(process)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)
