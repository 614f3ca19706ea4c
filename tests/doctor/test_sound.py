# SPDX-License-Identifier: MIT
import subprocess
import sys

import pytest

from rtcore.doctor import Status, probe, sound

QUANTUM = """Found "settings" metadata 31
update: id:0 key:'clock.rate' value:'48000' type:''
update: id:0 key:'clock.quantum' value:'{}' type:''
update: id:0 key:'clock.force-quantum' value:'{}' type:''
"""
CARDS = """ 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7f10000 irq 31
 1 [USB            ]: USB-Audio - Scarlett 2i2 USB
"""
JACK = {"server": True, "rate_hz": 48000, "block_frames": 64, "realtime": True}


class TestServers:
    @pytest.mark.parametrize(
        ("block", "forced", "status", "frames"),
        [
            (1024, 0, Status.IMPROVE, 1024),
            (1024, 64, Status.GOOD, 64),
            (128, 0, Status.GOOD, 128),
        ],
    )
    def test_quantum(self, plant, block, forced, status, frames):
        """The forced quantum counts before the usual one."""
        machine = plant({"/proc/9/comm": "pipewire\n"}, run=lambda _: QUANTUM.format(block, forced))
        running, quantum = sound.servers(machine)
        assert "pipewire" in running.found
        assert (status, frames) == (quantum.status, quantum.figures["block_frames"])

    @pytest.mark.parametrize("printed", [None, "", "key:'clock.quantum' value:'many'", "\0"])
    def test_quantum_unknown(self, plant, printed):
        """Without a usable answer it is unknown."""
        assert Status.UNKNOWN == sound.quantum(plant(run=lambda _: printed)).status

    def test_pulseaudio_alone(self, plant):
        """PulseAudio without PipeWire or JACK could be better."""
        found = sound.servers(plant({"/proc/9/comm": "pulseaudio\n"}))
        assert [Status.GOOD, Status.IMPROVE] == [one.status for one in found]

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (JACK, Status.GOOD),
            (JACK | {"realtime": False}, Status.IMPROVE),
            (JACK | {"block_frames": 1024}, Status.IMPROVE),
            ({"server": False, "missing": True}, Status.GOOD),
            ({"server": False, "missing": False, "reason": "stuck"}, Status.UNKNOWN),
        ],
    )
    def test_jack_server(self, plant, answer, status):
        """A server's period and priority are judged; none at all is no fault."""
        assert status == sound.jack_server(plant(), answer).status


class TestLibraries:
    def look(self, plant, monkeypatch, **answers):
        monkeypatch.setattr(sound, "ask", lambda what: answers[what])
        return {one.name: one for one in sound.libraries(plant({"/etc/os-release": "ID=debian"}))}

    def test_both(self, plant, monkeypatch):
        """Both libraries, a server and a device are shown."""
        devices = {"version": "PortAudio V19", "devices": ["USB, ALSA"]}
        found = self.look(plant, monkeypatch, jack=JACK, portaudio=devices)
        assert {"libjack", "PortAudio", "JACK server", "sound devices"} == set(found)
        assert {Status.GOOD} == {one.status for one in found.values()}

    def test_one_is_enough(self, plant, monkeypatch):
        """One library that cannot be used could be better; its package is named."""
        devices = {"version": "PortAudio V19", "devices": []}
        found = self.look(plant, monkeypatch, jack={"error": "gone"}, portaudio=devices)
        assert Status.IMPROVE == found["libjack"].status
        assert "sudo apt install libjack-jackd2-0 jackd2" == found["libjack"].fixes[0].command
        assert not any(one.impossible for one in found.values())

    def test_none(self, plant, monkeypatch):
        """Without either no sound card can be played."""
        broken = {"error": "gone"}
        found = self.look(plant, monkeypatch, jack=broken, portaudio=broken)
        assert found["way to a sound card"].impossible


class TestCards:
    def test_cards(self, plant):
        """The names of the cards are listed."""
        found = sound.cards(plant({"/proc/asound/cards": CARDS}))
        assert "HDA-Intel - HDA Intel PCH; USB-Audio - Scarlett 2i2 USB" == found.found

    @pytest.mark.parametrize("text", ["--- no soundcards ---\n", ""])
    def test_none(self, plant, text):
        """No card could be better."""
        assert Status.IMPROVE == sound.cards(plant({"/proc/asound/cards": text})).status


class TestProbe:
    def child(self, monkeypatch, code, timeout_s=20.0):
        """Let the probe's process run other code."""
        real = subprocess.run

        def run(command, **options):
            return real([sys.executable, "-c", code], **options)

        monkeypatch.setattr(probe.subprocess, "run", run)
        return probe.ask("jack", timeout_s=timeout_s)

    def test_answer_after_chatter(self, monkeypatch):
        """What a library prints besides the answer does not matter."""
        code = "print('noise'); print('{\"a\": 1}'); print('[2]')"
        assert {"a": 1} == self.child(monkeypatch, code)

    def test_crash(self, monkeypatch):
        """A library that ends the process is told of."""
        code = "import os; os.kill(os.getpid(), 11)"
        assert "status -11" in self.child(monkeypatch, code)["error"]

    def test_hang(self, monkeypatch):
        """A library that hangs is given up."""
        found = self.child(monkeypatch, "import time; time.sleep(60)", timeout_s=0.3)
        assert {"error": "no answer within 0.3 s"} == found

    @pytest.mark.parametrize("words", [["nothing"], [], ["onnxruntime", "/no/such/library.so"]])
    def test_errors_are_answers(self, capsys, words):
        """Whatever goes wrong in the child becomes its answer."""
        assert 0 == probe.main(words)
        assert '{"error": ' in capsys.readouterr().out

    @pytest.mark.parametrize("what", ["jack", "portaudio"])
    def test_real_thing(self, what):
        """The real libraries give an answer or a reason."""
        assert isinstance(probe.ask(what), dict)
