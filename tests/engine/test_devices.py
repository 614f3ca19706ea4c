# SPDX-License-Identifier: MIT
import json
import os
import sys

import pytest
from waiting import PATIENCE_S

from rtcore.engine.backends import devices
from rtcore.engine.backends.devices import Device, find_device
from rtcore.errors import DeviceError


def device(index, name, api="ALSA", ins=2, outs=2, **more):
    return Device(index, name, api, ins, outs, 48000.0, 0.01, 0.04, 0.01, 0.04, **more)


DEVICES = [
    device(0, "HDA Intel PCH: ALC257 Analog"),
    device(1, "HDMI 0", ins=0, outs=8),
    device(2, "USB Microphone", ins=1, outs=0),
    device(3, "system", "JACK Audio Connection Kit", default_input=True, default_output=True),
    device(4, "system monitor", "JACK Audio Connection Kit"),
]


class TestFind:
    @pytest.mark.parametrize(
        ("which", "kind", "index"),
        [
            (None, "duplex", 3),
            (0, "duplex", 0),
            ("1", "output", 1),
            ("usb", "input", 2),
            ("analog", "duplex", 0),
            ("SYSTEM", "output", 3),
            ("monitor, jack", "duplex", 4),
        ],
    )
    def test_found(self, which, kind, index):
        """A device is found by index, by a piece of its name in any case, or as the default."""
        assert index == find_device(which, kind, DEVICES).index

    @pytest.mark.parametrize(
        ("which", "kind", "says"),
        [
            ("hd", "output", r"2 devices fit \(0 = .*; 1 = .*\); give more of the name"),
            ("usb microfone", "input", r"no input device has this.*mean 'USB Microphone'\?"),
            ("usb", "output", "it has 1 inputs and 0 outputs, so it cannot be used for output"),
            (1, "input", "it has 0 inputs and 8 outputs"),
            (9, "duplex", r"device 9: there is no such index.*\(for duplex: 0, 3, 4\)"),
        ],
    )
    def test_not_found(self, which, kind, says):
        """A device that cannot be had gives a sentence with what there is instead."""
        with pytest.raises(DeviceError, match=says):
            find_device(which, kind, DEVICES)

    @pytest.mark.parametrize(
        ("known", "says"), [([], "no sound device"), (DEVICES[1:2], "no input device")]
    )
    def test_nothing_there(self, known, says):
        """A machine without a fitting device is pointed to the timer."""
        with pytest.raises(DeviceError, match=f"{says} was found.*timer"):
            find_device(None, "input", known)

    def test_default_needs_both_directions(self):
        """Where no device is the default of both directions, the first able one is taken."""
        some = [device(0, "a"), device(1, "b", default_input=True)]
        assert find_device(None, "duplex", some).index == 0
        assert find_device(None, "input", some).index == 1


class TestDevice:
    def test_as_json(self):
        """A device goes into JSON and comes back equal."""
        text = json.dumps(DEVICES[3].as_dict())
        assert DEVICES[3] == Device(**json.loads(text))


class TestLibrary:
    def test_sounddevice_missing(self, monkeypatch):
        """Without sounddevice the sentence says what to install."""
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        with pytest.raises(DeviceError, match="pip install sounddevice"):
            devices.portaudio()

    def test_portaudio_missing(self, monkeypatch, tmp_path):
        """Without PortAudio the sentence names the Debian package."""
        (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(DeviceError, match="apt install libportaudio2"):
            devices.portaudio()

    def test_quiet_stderr(self, capfd):
        """Only what C prints meanwhile is swallowed."""
        os.write(2, b"before ")
        with devices.quiet_stderr():
            os.write(2, b"noise ")
        os.write(2, b"after")
        assert ("", "before after") == capfd.readouterr()


@pytest.mark.live
class TestLiveList:
    CODE = """
        import json, sys
        from rtcore.engine.backends import devices
        def show():
            names = [(d.name, d.input_channels, d.default_output) for d in devices.list_devices()]
            print(json.dumps([n for n in names if n[0] == "system"]), flush=True)
        show()
        for line in sys.stdin:
            devices.renew()
            show()
    """

    def ask(self, process):
        process.stdin.write("renew\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    @pytest.mark.parametrize("fate", ["alive", "kill"])
    def test_renew(self, jack_server, python, fate):
        """The list follows a server that comes and goes, in silence, to the process's end."""
        process = python(self.CODE)
        assert [["system", 2, True]] == json.loads(process.stdout.readline())
        assert [["system", 2, True]] == self.ask(process)
        jack_server.kill()
        assert [] == self.ask(process)
        assert [] == self.ask(process)
        jack_server.start()
        assert [["system", 2, True]] == self.ask(process)
        if fate == "kill":
            jack_server.kill()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)

    def test_no_server(self, jack_name, python):
        """Without a server nothing is printed and nothing fails."""
        out, err = (process := python(self.CODE)).communicate(timeout=PATIENCE_S)
        assert (0, "[]\n", "") == (process.returncode, out, err)
