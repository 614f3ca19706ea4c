# SPDX-License-Identifier: MIT
import pytest

from rtcore.doctor import Machine, Status, probe, sound


@pytest.mark.live
def test_running_server(jack_server):
    """The doctor finds a running JACK server, with its rate and period."""
    answer = probe.ask("jack")
    assert (48000, 64) == (answer["rate_hz"], answer["block_frames"])
    found = sound.jack_server(Machine(), answer)
    assert "runs at 48000 Hz with 64 frames, 1.33 ms" in found.found
    assert Status.IMPROVE == found.status  # the tests' server runs without real-time priority


@pytest.mark.live
def test_no_server(jack_name):
    """Where none runs, none is started."""
    answer = probe.ask("jack")
    assert (False, True) == (answer["server"], answer["missing"])
    assert "rtcore starts none" in sound.jack_server(Machine(), answer).found


@pytest.mark.live
def test_stuck_server(jack_server):
    """A server that hangs is told of, and holds nobody up."""
    jack_server.pause()
    answer = probe.ask("jack")
    assert not answer["server"]
    assert Status.UNKNOWN == sound.jack_server(Machine(), answer).status
