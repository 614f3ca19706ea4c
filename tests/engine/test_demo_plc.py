# SPDX-License-Identifier: MIT
"""``rtcore demo --plc``: what is heard live is what the same packets give offline."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import assert_refused, rtcore
from waiting import PATIENCE_S

from rtcore import Chain, audiofile
from rtcore.challenges.plc.loss_models import parse_model
from rtcore.host import find

RATE, PACKET = 16000, 320


def test_equals_offline(tmp_path):
    """The live output equals the concealer's, packet by packet; the counts add up."""
    done = rtcore("demo", "--plc", "--seconds", 2, "--block", 48, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    heard, _ = audiofile.read(tmp_path / "rtcore-demo.wav")
    lossy, _ = audiofile.read(tmp_path / "rtcore-demo-lossy.wav")
    lost = parse_model("gilbert:0.05,0.33").generate(1, 100, np.random.default_rng(0))[0]
    assert [int(lost.sum()), int((~lost).sum())] == [
        sum(second[key] for second in told["each_second"]) for key in ("concealed", "heard")
    ]
    for number, gone in enumerate(lost):
        packet = lossy[0, number * PACKET : (number + 1) * PACKET]
        assert not gone or not packet.any()
    chain = Chain([find("plc-pitch")()], sample_rate=RATE, channels=1)
    expected = [
        chain.process(lossy[:, k * PACKET : (k + 1) * PACKET].astype(np.float32), lost=bool(gone))
        for k, gone in enumerate(lost)
    ]
    frames = 100 * PACKET
    assert np.array_equal(np.concatenate(expected, axis=1), heard[:, :frames].astype(np.float32))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plc", "--loss", "gilbert:0.5"), "gilbert"),
        (("--loss", "gilbert:0.05,0.33"), "give both, or neither"),
        (("--plc", "--audiogram", "N3"), "leave the listener's options out"),
    ],
)
def test_refuses_what_does_not_fit(tmp_path, words, said):
    """One sentence, and no file."""
    assert_refused(rtcore("demo", *words, cwd=tmp_path), said)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_tells_what_was_played(tmp_path):
    """Ended within a second, it counts the packets of the piece that was played and written."""
    words = ["demo", "--plc", "--seconds", "60", "--json"]
    started = subprocess.Popen(
        [sys.executable, "-m", "rtcore", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    heard, end = tmp_path / "rtcore-demo.wav", time.monotonic() + PATIENCE_S
    # The files have temporary names while they are written; both are to hold some packets.
    while time.monotonic() < end:
        written = [path.stat().st_size for path in tmp_path.glob(".rtcore-*")]
        if len(written) == 2 and min(written) > 20 * PACKET * 2:
            break
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=PATIENCE_S)
    assert 0 == started.returncode, err
    told = json.loads(out)
    frames = audiofile.info(heard).frames
    counted = sum(second["heard"] + second["concealed"] for second in told["each_second"])
    assert frames == told["frames"]
    assert 0 < counted
    assert abs(frames - PACKET * counted) < PACKET * len(told["each_second"])
