# SPDX-License-Identifier: MIT
"""A little set's rooms and heads: the official builder and renderer take them for real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from rtcore.audiofile import read
from rtcore.challenges.clarity.build import HEADS, heads_of
from rtcore.challenges.clarity.mini_rooms import harmonics, write_heads
from rtcore.challenges.clarity.scenes import read_scenes

#: What the official renderer takes for a source ahead, where it is not zero.
AHEAD = {0: 1.0, 3: 1.7320509, 6: -1.1180342, 8: 1.9364915, 13: -1.6201853, 15: 2.09165,
         20: 1.125, 22: -1.6770511, 24: 2.2185302, 31: 1.6056539, 33: -1.7343045,
         35: 2.326814, 42: -1.1267347, 44: 1.6327935, 46: -1.7886358, 48: 2.4209614}  # fmt: skip


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Write the heads' files; give their folder."""
    root = tmp_path_factory.mktemp("heads")
    (root / "metadata").mkdir()
    write_heads(root)
    return root


def test_harmonics_are_the_renderers():
    """A source ahead has the official coefficients; all are orthogonal with a power of 1."""
    expected = np.zeros(49)
    expected[list(AHEAD)] = list(AHEAD.values())
    ahead = harmonics(np.array([[1.0, 0.0, 0.0]]))[0]
    # The renderer's own last two numbers are slips of the pen: 2.42 to which 20.6 comes again.
    assert np.allclose(expected, ahead, atol=2e-3)
    z, weights = np.polynomial.legendre.leggauss(10)
    turn = np.arange(20) * np.pi / 10
    across = np.sqrt(1.0 - z**2)[:, None]
    points = np.stack([across * np.cos(turn), across * np.sin(turn), z[:, None] + 0.0 * turn], -1)
    y = harmonics(points.reshape(-1, 3))
    gram = (y * np.repeat(weights, 20)[:, None]).T @ y / 40.0
    assert np.allclose(np.eye(49), gram, atol=1e-9)


@pytest.mark.parametrize(("y", "ear"), [(-1.0, 0), (1.0, 1)])
def test_left_is_left(heads, y, ear):
    """Decoded as the renderer does it, a source at the left is louder and earlier at the left."""
    about = json.loads((heads / "metadata/hrir_data.json").read_text())
    responses = loadmat(heads / "hrir/HRIRs_MAT/MINI-BTE_fr.mat")["M_data"]
    assert (256, len(about["matrix"]), 2) == responses.shape
    source = harmonics(np.array([[0.0, y, 0.0]]))[0]
    loudspeakers = source @ np.linalg.pinv(np.array(about["matrix"]))
    heard = np.einsum("tse,s->te", responses, loudspeakers)
    power = np.sum(heard**2, axis=0)
    assert power[ear] > 2.0 * power[1 - ear]
    low = np.fft.rfft(heard, axis=0)
    low[round(2000 / 44100 * 256) :] = 0.0
    heard = np.fft.irfft(low, axis=0)
    lags = np.correlate(heard[:, ear], heard[:, 1 - ear], "full")
    assert -40 < np.argmax(lags) - (len(heard) - 1) < -15, "0.65 ms are 29 frames"


@pytest.mark.xdist_group("renderer")
def test_a_head_that_turns_left_has_the_front_at_its_right():
    """The renderer's rotation has the same sense as the files' axes."""
    hoa = pytest.importorskip("clarity.data.HOA_tools_cec2", reason="pyclarity is not installed")
    from scipy.spatial.transform import Rotation

    turn = np.linalg.inv(Rotation.from_euler("y", 90, degrees=True).as_matrix())
    rotated = harmonics(np.array([[1.0, 0.0, 0.0]]))[0] @ hoa.compute_rotation_matrix(6, turn)
    assert np.allclose(harmonics(np.array([[0.0, 1.0, 0.0]]))[0], rotated, atol=1e-9)


def test_heads(heads, tmp_path):
    """A set with heads of its own is drawn with these; any other with the challenge's."""
    assert ("MINI",) == heads_of(heads)
    assert heads_of(tmp_path) == HEADS
    folder = tmp_path / "hrir/HRIRs_MAT"
    folder.mkdir(parents=True)
    for name in ("MINI", HEADS[3]):
        (folder / f"{name}-ED.mat").touch()
    assert heads_of(tmp_path) == HEADS


@pytest.mark.xdist_group("renderer")
def test_build_and_render_a_little_set(rtcore, home):
    """From nothing to scenes: the official builder reads the rooms, the renderer everything."""
    pytest.importorskip("librosa", reason="pyclarity's renderer needs librosa")
    words = ("--rooms", "--scenes", 1, "--listeners", 1, "--seconds", 0.5)
    assert 0 == rtcore("clarity", "make-mini", "mini", *words).exit_code
    root = Path("mini/clarity_data")
    rooms = root / "metadata/rooms.dev.json"
    made = json.loads(rooms.read_text())
    run = rtcore("clarity", "build", "mini", "--split", "dev", "--scenes", 1, "--again")
    assert 0 == run.exit_code, run.stderr
    assert made == json.loads(rooms.read_text())
    [scene] = read_scenes(root / "metadata/scenes.dev.json")
    assert all(name.startswith("MINI-") for name in scene.listener.hrir_filename)
    run = rtcore("clarity", "render", "mini", "--jobs", 1)
    assert 0 == run.exit_code, run.stderr
    assert "1 done, 0 skipped, 0 failed" in run.stdout
    active = slice(scene.target.time_start, scene.target.time_end)
    for mic in range(4):
        target, rate = read(root / f"dev/scenes/{scene.scene}_target_CH{mic}.wav")
        mix, _ = read(root / f"dev/scenes/{scene.scene}_mix_CH{mic}.wav")
        assert (2, scene.duration + 255, 44100) == (*mix.shape, rate)
        assert 0.003 < np.sqrt(np.mean(target[:, active] ** 2)) < 0.1
        assert np.abs(mix).max() < 1.0
    assert 0 == rtcore("clarity", "enhance", "mini", "out", "--jobs", 1).exit_code
