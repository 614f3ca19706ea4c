# SPDX-License-Identifier: MIT
"""What the tests of the PortAudio backend do in processes of their own."""

from __future__ import annotations

import json

import numpy as np
from sounds import Count, Late, Smear
from waiting import reaches

from rtcore import Chain, DeviceError
from rtcore.engine import Engine, JackBackend, Memory, PortAudioBackend, Safety

OFF = Safety(enabled=False)
BLOCK = 64


def wait_for(condition):
    """Wait for something that must come true."""
    assert reaches(condition), "it never came true"


def count():
    """Send a frame counter through PortAudio to a JACK client, and look at what arrives."""
    heard = Memory()
    ears = JackBackend(outputs=0, connect=False, client_name="ears")
    playing = Engine(Chain([Count()]), PortAudioBackend(kind="output"), safety=OFF)
    with Engine(Chain([]), ears, safety=OFF, output=heard), playing:
        client = ears.client

        def ports():
            return [p for p in client.ports("output") if not p.startswith(("ears", "system"))]

        wait_for(lambda: len(ports()) >= 2)
        for port, into in zip(ports(), ears.inputs, strict=False):
            client.connect(port, into.name)
        start = playing.stats()["blocks"]
        wait_for(lambda: playing.stats()["blocks"] - start > 750)
    print(json.dumps(look(heard.samples)))


def look(samples):
    """Say whether blocks came whole, aligned and in order; a block that never came is silence."""
    sounding = np.flatnonzero(samples[1])
    left, right = samples[:, sounding[0] : sounding[-1] + 1]
    left, right = left[100 * BLOCK :], right[100 * BLOCK :]
    shift = int(-left[np.flatnonzero(left)[0]] - np.flatnonzero(left)[0]) % BLOCK
    left, right = left[shift:], right[shift:]
    blocks = left[: left.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    whole = [block for block in blocks if block.any()]
    torn = [
        b.tolist() for b in whole if not np.array_equal(b[0] + np.arange(BLOCK), b) or b[0] % BLOCK
    ]
    starts = np.array([block[0] for block in whole])
    return {
        "torn": torn,
        "whole": len(whole),
        "increasing": bool((np.diff(starts) > 0).all()),
        "alike": bool(np.array_equal(left, right)),
    }


def reproduce(kind):
    """Play through the server's sound card and compare with the same chain offline."""

    def build():
        return Chain([Smear(pole=0.6), Count(), Late(frames=100)])

    output, heard = Memory(), Memory()
    backend = PortAudioBackend(kind=kind)
    engine = Engine(build(), backend, safety=OFF, output=output, recorded_input=heard)
    with engine:
        wait_for(lambda: engine.stats()["blocks"] > 200)
    same = np.array_equal(build().render(heard.samples, tail=False), output.samples)
    print(json.dumps({"equal": same, "state": engine.state, "reason": engine.stop_reason}))


def channels(ins, outs):
    """Open a stereo chain on a device with other channel counts; tell which it got."""
    backend = PortAudioBackend(input_channels=ins, output_channels=outs)
    with Engine(Chain([Count()]), backend, safety=OFF) as engine:
        wait_for(lambda: engine.stats()["blocks"] > 50)
        record = engine._native.record
        print(json.dumps([int(record["device_in"][0]), int(record["device_out"][0])]))


def refusals():
    """Tell what is said about a device that is not there, and about blocks of the wrong size."""
    said = []
    for chain, backend in (
        (Chain([]), PortAudioBackend(output_device="nonesuch")),
        (Chain([], block_frames=48), PortAudioBackend()),
    ):
        engine = Engine(chain, backend)
        try:
            engine.start()
        except DeviceError as error:
            assert engine.state == "failed"
            said.append(str(error))
    print(json.dumps(said))


def round_trip(block_frames):
    """Lead PortAudio's first output to its first input, and measure the way three times."""
    from rtcore.engine.backends.jackclient import JackClient
    from rtcore.latency.roundtrip.looprun import Setup
    from rtcore.latency.roundtrip.measuring import measure

    def loop(_engine):
        with JackClient("patch") as client:
            ends = [
                next(p for p in client.ports(side) if not p.startswith("system"))
                for side in ("output", "input")
            ]
            client.connect(*ends)

    setup = Setup(48000.0, seconds=0.2, settle_s=0.1)
    backends = lambda: PortAudioBackend(block_frames=block_frames)  # noqa: E731
    runs = measure(backends, setup, restarts=3, connect=loop)
    print(
        json.dumps(
            {
                "frames": [run.echo.frames for run in runs],
                "bit_exact": all(run.echo.bit_exact for run in runs),
                "reported": runs[-1].reported.total_frames,
            }
        )
    )
