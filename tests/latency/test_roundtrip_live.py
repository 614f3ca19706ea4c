# SPDX-License-Identifier: MIT
"""The round trip of a device, measured over JACK's dummy driver."""

from __future__ import annotations

import contextlib
import json

import pytest
from jack_fixtures import JackServer
from jack_loops import between, loop, ports
from waiting import PATIENCE_S

from rtcore import DeviceError
from rtcore.engine import JackBackend
from rtcore.latency.roundtrip.longrun import Drift, measure_drift
from rtcore.latency.roundtrip.looprun import Setup
from rtcore.latency.roundtrip.measuring import RoundTrip, measure

RATE = 48000
QUICK = Setup(float(RATE), seconds=0.1, settle_s=0.02, way="loop")


@contextlib.contextmanager
def serving(name, **options):
    """Run a JACK server of a certain period and mode."""
    server = JackServer(name, **options)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.mark.live
class TestJackLoop:
    @pytest.mark.parametrize("sync", [True, False])
    @pytest.mark.parametrize("period", [32, 64, 128, 256])
    def test_equals_the_period_arithmetic(self, jack_name, period, sync):
        """The loop costs exactly one period, bit for bit, at each of 20 (or 5) restarts."""
        restarts = 20 if period == 64 else 5
        with serving(jack_name, period_frames=period, sync=sync):
            trip = RoundTrip("jack", QUICK, measure(ports, QUICK, restarts=restarts, connect=loop))
        assert restarts * (float(period),) == trip.frames
        assert all(run.echo.bit_exact for run in trip.runs)
        assert trip.constant
        assert trip.arithmetic.equal
        assert 0 == trip.reported.total_frames

    def test_over_restarts_of_the_server(self, jack_name):
        """Each new server gives the same."""
        frames = []
        for _ in range(3):
            with serving(jack_name):
                frames += RoundTrip("jack", QUICK, measure(ports, QUICK, connect=loop)).frames
        assert [64.0, 64.0, 64.0] == frames

    @pytest.mark.parametrize("frames", [1, 100])
    def test_through_another_program(self, jack_server, frames):
        """What another client adds is measured to the frame, on top of one period."""

        def connect(engine):
            engine.backend.client.connect(engine.backend.outputs[0], "between:in_1")
            engine.backend.client.connect("between:out_1", engine.backend.inputs[0])

        with between(frames):
            runs = measure(ports, QUICK, restarts=3, connect=connect)
        assert 3 * (64.0 + frames,) == RoundTrip("jack", QUICK, runs).frames

    def test_other_channels(self, jack_server):
        """The second output led to the third input."""

        def connect(engine):
            engine.backend.client.connect(engine.backend.outputs[1], engine.backend.inputs[2])

        setup = Setup(float(RATE), 1, 2, seconds=0.1, settle_s=0.02, way="loop")
        assert [64.0] == [run.echo.frames for run in measure(ports, setup, connect=connect)]

    def test_the_wrong_socket(self, jack_server):
        """A probe that came back on another input is found there."""

        def connect(engine):
            engine.backend.client.connect(engine.backend.outputs[0], engine.backend.inputs[1])

        setup = Setup(float(RATE), seconds=0.1, settle_s=0.02)
        with pytest.raises(DeviceError, match="came back on input 2 and not on input 1"):
            measure(ports, setup, connect=connect)

    def test_the_system_ports_report_their_latency(self, jack_server):
        """The sound card's ports say one period each way; the dummy's are not led to each other."""
        seen = []
        setup = Setup(float(RATE), seconds=0.1, settle_s=0.1)
        with pytest.raises(DeviceError, match="not even noise; lead output 1"):
            measure(JackBackend, setup, done=seen.append)
        assert (64, 64) == (
            seen[0].reported.capture_frames,
            seen[0].reported.playback_frames,
        )

    def test_drift(self, jack_server):
        """A loop of ports does not drift, and its clock is compared with the system's."""
        drift = measure_drift(ports(), QUICK, 5.0, connect=loop)
        assert isinstance(drift, Drift)
        assert 0 == drift.missed
        assert {64.0} == {frames for _, frames in drift.delays}
        assert 0.0 == drift.delay.ppm
        assert 0.0 < drift.delay.uncertainty_ppm < 0.1
        assert drift.clock is None or drift.clock.uncertainty_ppm > 0.0  # None: a gap a moment

    def test_a_server_that_dies(self, jack_server):
        """The measurement ends with a sentence instead of waiting for ever."""

        def connect(engine):
            loop(engine)
            jack_server.kill()

        with pytest.raises(DeviceError, match=r"lost during the measurement|went away"):
            measure(ports, QUICK, connect=connect)

    def test_a_server_that_hangs(self, jack_server, monkeypatch):
        """A device that gives no more blocks is given up."""
        monkeypatch.setattr("rtcore.latency.roundtrip.looprun._PATIENCE_S", 0.5)

        def connect(engine):
            loop(engine)
            jack_server.pause()

        with pytest.raises(DeviceError, match="the device stands still"):
            measure(ports, QUICK, connect=connect)


@pytest.mark.live
class TestPortAudio:
    @pytest.mark.parametrize(("block", "expected"), [(0, 64), (64, 128), (128, 192)])
    def test_over_jack(self, jack_server, python, block, expected):
        """A loop of PortAudio's own ports costs JACK's period, and one block where it is fixed."""
        process = python(f"import pa_runs; pa_runs.round_trip({block})")
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (0, "") == (process.returncode, err)
        report = json.loads(out)
        assert 3 * [expected] == report["frames"]
        assert report["bit_exact"]
        assert expected - 64 == report["reported"]
