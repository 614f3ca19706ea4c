# SPDX-License-Identifier: MIT
import ctypes
import os
import time

import numpy as np
import pytest
from numba import carray, cfunc, types
from waiting import PATIENCE_S, reaches

from rtcore.engine.backends import jackclient, libjack
from rtcore.engine.backends.bounded import OutOfTime, bounded
from rtcore.engine.backends.jackclient import JackClient
from rtcore.errors import DeviceError


@cfunc(types.int32(types.uint32, types.voidptr), error_model="numpy")
def count_blocks(frames, argument):
    words = carray(argument, (2,), np.int64)
    words[0] += 1
    words[1] = frames
    return np.int32(0)


def running_client():
    client = JackClient("rtcore-t")
    words = np.zeros(2, np.int64)
    client.keep(words, count_blocks)
    client.set_process_callback(count_blocks.address, words.ctypes.data)
    client.activate()
    return client, words


class TestBounded:
    def test_gives_the_result(self):
        """A call that returns in time gives its result."""
        assert bounded(lambda: 7, 5.0) == 7

    def test_raises_the_call_s_error(self):
        """A call that fails raises its own exception in the caller."""
        with pytest.raises(ZeroDivisionError):
            bounded(lambda: 1 / 0, 5.0)

    def test_late_results_are_cleared_away(self):
        """What comes after the caller went on is handed to `too_late`."""
        late = []

        def slow():
            time.sleep(0.3)
            return "handle"

        with pytest.raises(OutOfTime):
            bounded(slow, 0.01, too_late=late.append)
        assert reaches(lambda: late == ["handle"])


class TestLibrary:
    def test_symbols_have_addresses(self):
        """The functions that compiled code calls are found."""
        libjack_or_skip()
        assert libjack.symbol("jack_port_get_buffer") > 0
        assert libjack.symbol("jack_get_cycle_times") > 0

    def test_unknown_symbol(self):
        """A function that libjack lacks is named in the message."""
        libjack_or_skip()
        with pytest.raises(DeviceError, match="jack_no_such_thing"):
            libjack.symbol("jack_no_such_thing")

    def test_missing_library(self, monkeypatch):
        """Without libjack the message names the package to install."""
        monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libnosuchjack.so.0")
        with pytest.raises(DeviceError, match="apt install libjack-jackd2-0"):
            libjack.load.__wrapped__()

    def test_tally_counts_without_python(self):
        """The native word counts each call of its C callback."""
        tally = libjack.Tally()
        call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(tally.callback)
        for _ in range(3):
            assert call(tally.address) == 0
        assert tally.count == 3


def libjack_or_skip():
    try:
        libjack.load()
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.mark.live
class TestClient:
    def test_no_server(self, jack_name, capfd):
        """Without a server the sentence says how to start one, and C prints nothing."""
        with pytest.raises(DeviceError, match=f"'{jack_name}' is not running; start it"):
            JackClient("rtcore-t", jack_name)
        out, err = capfd.readouterr()
        # libjack's data base, which all servers share, writes by itself where another server's
        # end has just removed it; no function can keep it from that.
        told = [line for line in err.splitlines() if not line.startswith("/dev/shm/jack_db-")]
        assert ("", []) == (out, told)
        assert any("server" in message for message in libjack.messages())

    def test_blocks_arrive(self, jack_server, capfd):
        """The compiled callback is called with the server's block size."""
        client, words = running_client()
        assert reaches(lambda: words[0] > 20)
        assert (48000, 64, 64) == (client.sample_rate, client.block_frames, words[1])
        assert client.close()
        blocks = words[0]
        time.sleep(0.05)
        assert blocks == words[0]
        assert ("", "") == capfd.readouterr()

    def test_server_by_name(self, jack_server, monkeypatch):
        """The server's name can be an argument instead of an environment variable."""
        monkeypatch.delenv("JACK_DEFAULT_SERVER")
        with JackClient("rtcore-t", jack_server.name) as client:
            assert client.name == "rtcore-t"

    def test_names_are_made_unique(self, jack_server):
        """Two clients may wish for one name."""
        with JackClient("rtcore-t") as first, JackClient("rtcore-t") as second:
            assert first.name != second.name

    def test_ports_and_physical_connections(self, jack_server):
        """Ports are registered and paired with the sound card's in order."""
        client, _ = running_client()
        with client:
            ins, outs = client.register_ports(2, 2)
            made = client.connect_physical(ins, outs)
            assert made == [
                ("system:capture_1", ins[0].name),
                ("system:capture_2", ins[1].name),
                (outs[0].name, "system:playback_1"),
                (outs[1].name, "system:playback_2"),
            ]
            assert {p.name for p in outs} <= set(client.ports("output"))
            client.connect(*made[0])  # connected already: no error
            client.disconnect(*made[0])
            with pytest.raises(DeviceError, match="cannot disconnect"):
                client.disconnect(*made[0])

    def test_mono_output_goes_to_both_ears(self, jack_server):
        """A single output port is connected to the first two loudspeakers."""
        client, _ = running_client()
        with client:
            ins, outs = client.register_ports(0, 1)
            made = client.connect_physical(ins, outs)
            assert ["system:playback_1", "system:playback_2"] == [d for _, d in made]

    def test_unknown_port(self, jack_server):
        """A port that does not exist is named together with the nearest one."""
        client, _ = running_client()
        with client:
            outs = client.register_ports(0, 1)[1]
            with pytest.raises(DeviceError, match=r"'system:playbak_1'.*'system:playback_1'"):
                client.connect(outs[0], "system:playbak_1")
            with pytest.raises(DeviceError, match="there is no port 'nowhere'"):
                client.latency_frames("nowhere", "capture")

    def test_port_name_taken(self, jack_server):
        """A second port of the same name is refused in words."""
        with JackClient("rtcore-t") as client:
            client.register("in_1", "input")
            with pytest.raises(DeviceError, match="port in_1 cannot be registered"):
                client.register("in_1", "input")

    def test_callbacks_are_set_before_activation(self, jack_server):
        """Setting the process callback of an active client is refused."""
        client, _ = running_client()
        with client, pytest.raises(DeviceError, match="active"):
            client.set_process_callback(count_blocks.address, 0)

    def test_latency_ranges(self, jack_server):
        """A connected port knows how far the sound card is; ports of others do too."""
        client, _ = running_client()
        with client:
            ins, outs = client.register_ports(1, 1)
            client.connect_physical(ins, outs)
            assert reaches(lambda: client.latency_frames(ins[0], "capture")[1] > 0)
            low, high = client.latency_frames("system:capture_1", "capture")
            assert 0 < low <= high

    def test_freewheel(self, jack_server):
        """Freewheeling goes faster than real time, and can be left."""
        client, words = running_client()

        def hurries():  # 0.8 s of sound in half of that: more than a server's catching up
            before, start = words[0], time.monotonic()
            assert reaches(lambda: words[0] - before > 600)
            return time.monotonic() - start < 0.4

        with client:
            client.freewheel(True)
            assert reaches(hurries)
            client.freewheel(False)
            before = words[0]
            assert reaches(lambda: words[0] > before)

    def test_deactivate(self, jack_server):
        """After `deactivate` no callback runs."""
        client, words = running_client()
        with client:
            client.deactivate()
            blocks = words[0]
            time.sleep(0.05)
            assert blocks == words[0]

    def test_closed_client(self, jack_server):
        """A closed client closes again without harm and refuses the rest in words."""
        client, _ = running_client()
        assert client.close()
        assert client.close()
        assert client.block_frames == 64
        with pytest.raises(DeviceError, match="closed"):
            client.activate()

    def test_xruns_are_counted(self, jack_server):
        """The count starts at zero and is a plain number."""
        with JackClient("rtcore-t") as client:
            assert client.xruns >= 0
            assert client.cpu_load >= 0.0
            assert client.realtime is False


@pytest.mark.live
class TestServerDeath:
    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_loss_and_return(self, jack_server, capfd, end):
        """A server that goes away is noticed, left and, when it is back, used again."""
        for _ in range(2):
            client, words = running_client()
            assert reaches(lambda: words[0] > 5)  # noqa: B023 - called at once
            getattr(jack_server, end)()
            assert client.wait_lost(PATIENCE_S)
            with pytest.raises(DeviceError, match="went away; start it again"):
                client.ports()
            assert client.block_frames == 64
            assert client.close()
            with pytest.raises(DeviceError, match="is not running"):
                JackClient("rtcore-t")
            jack_server.start()
        client, words = running_client()
        assert reaches(lambda: words[0] > 5)
        assert not client.lost
        assert client.close()
        assert ("", "") == capfd.readouterr()

    def test_forgotten_client(self, jack_server):
        """Opening anew closes dead clients first, since libjack would crash otherwise."""
        dead, words = running_client()
        jack_server.kill()
        assert dead.wait_lost(PATIENCE_S)
        jack_server.start()
        client, words = running_client()
        assert dead.closed
        assert reaches(lambda: words[0] > 5)
        assert client.close()

    def test_deaf_server(self, jack_server):
        """A server that hangs costs the caller its time limit, no more, and can be replaced."""
        client, words = running_client()
        client.timeout_s = 0.5
        jack_server.pause()
        with pytest.raises(DeviceError, match="did not answer within"):
            client.register("late", "input")
        with pytest.raises(DeviceError, match="did not answer within"):
            JackClient("rtcore-t", timeout_s=0.5)
        assert not client.close(0.5)
        assert client in jackclient._abandoned
        assert not client.close()
        jack_server.kill()
        jack_server.start()
        client, words = running_client()
        assert reaches(lambda: words[0] > 5)
        assert client.close()

    @pytest.mark.parametrize("fate", ["alive", "kill", "pause"])
    def test_exit(self, jack_server, python, fate):
        """A process leaves in order with an open client, whatever became of the server."""
        process = python(
            """
            import sys
            from rtcore.engine.backends.jackclient import JackClient
            client = JackClient("rtcore-t")
            client.register_ports(1, 1)
            client.activate()
            print("ready", flush=True)
            sys.stdin.readline()
            """
        )
        assert process.stdout.readline() == "ready\n"
        if fate != "alive":
            getattr(jack_server, fate)()
        out, err = process.communicate("go\n", timeout=PATIENCE_S)
        assert (0, "", "") == (process.returncode, out, err)
        os.kill(jack_server.pid, 0) if fate == "alive" else None
