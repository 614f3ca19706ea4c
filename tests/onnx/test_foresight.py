# SPDX-License-Identifier: MIT
"""Models that conceal by foresight: what they are given, and how what they give is joined."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import one_stage
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import play
from small_models import FLOAT, constant, node, save

from rtcore import Chain
from rtcore.dsp import foresee, foresight_memory
from rtcore.host import find
from rtcore.models import find_bundle

RATE, HOP, WINDOW, FADE = 16000, 160, 512, 80
SHAPE = np.sin(np.pi * np.arange(2 * HOP) / (2 * HOP)) ** 2


JOINTS = {"fade": {"fade": FADE}, "hindsight": {"hindsight": FADE}}


@pytest.fixture(scope="module", params=JOINTS)
def folder(request, tmp_path_factory):
    """Make a bundle that gives the classical guess back, under its window."""
    where = tmp_path_factory.mktemp("guess")
    take = np.zeros((WINDOW, 2 * HOP))
    take[WINDOW - 2 * HOP :] = np.diag(SHAPE)
    save(
        where / "model.onnx",
        [node("MatMul", "frame take", "weighted"), node("Add", "weighted nothing", "made")],
        {"frame": (FLOAT, [1, WINDOW]), "lost": (FLOAT, [1, 1])},
        {"made": (FLOAT, [1, 2 * HOP])},
        [constant("take", take), constant("nothing", 0.0)],
    )
    return declared(where, "model.onnx", request.param)


def declared(where, file, joint="fade"):
    """Write the manifest of a model that patches."""
    late = {"latency": FADE, "lookahead": HOP + FADE - 1} if joint == "hindsight" else {}
    return one_stage(
        where,
        {"frame": "frame", "lost": "lost"},
        {"made": "patch"},
        file,
        hop=HOP,
        concealment=True,
        frame={"window": WINDOW, "foresight": True, **JOINTS[joint]},
        **late,
    )


def broken(path, value):
    """Make a model that gives the same number for all samples, such as NaN."""
    return save(
        path,
        [node("Mul", "frame zero", "none"), node("Add", "none value", "all"),
         node("Slice", "all start end axis", "made")],
        {"frame": (FLOAT, [1, WINDOW]), "lost": (FLOAT, [1, 1])},
        {"made": (FLOAT, [1, 2 * HOP])},
        [constant("zero", 0.0), constant("value", value), constant("start", [0], np.int64),
         constant("end", [2 * HOP], np.int64), constant("axis", [1], np.int64)],
    )  # fmt: skip


def before(hop):
    """Say what came before a hop: Burg's method, written for the eye, and its filter backwards."""
    forward, backward, a = hop[1:].astype(float), hop[:-1].astype(float), np.ones(1)
    for _ in range(2 * HOP // 5):
        reflection = -2.0 * forward @ backward / (forward @ forward + backward @ backward)
        padded = np.append(a, 0.0)
        a = padded + reflection * padded[::-1]
        forward, backward = (
            (forward + reflection * backward)[1:],
            (backward + reflection * forward)[:-1],
        )
    line = list(hop[::-1])
    for _ in range(FADE):
        line.append(-np.dot(a[1:], line[: -a.size : -1]))
    return np.array(line[HOP:])[::-1]


def by_hand(x, lost, joint):
    """Conceal a mono sound hop by hop, as the documentation of manifests says."""
    now, ahead = foresight_memory(RATE)
    end, after, out = np.zeros(HOP, np.float32), False, []
    fall = np.cos(0.5 * np.pi * (np.arange(FADE) + 0.5) / FADE) ** 2
    rise = (np.arange(FADE) + 0.5) / FADE
    for k, gone in enumerate(lost):
        hop = x[k * HOP : (k + 1) * HOP]
        known, coming = np.zeros(HOP, np.float32), np.zeros(HOP, np.float32)
        foresee(hop, bool(gone), known, coming, now, ahead)
        patch = np.concatenate([known, coming]) * SHAPE
        heard = end + patch[:HOP] if gone else hop.copy()
        if after and not gone and joint == "fade":
            guess = end[:FADE] / SHAPE[HOP : HOP + FADE]
            heard[:FADE] = fall * guess + (1.0 - fall) * hop[:FADE]
        if after and not gone and joint == "hindsight":
            out[-1][-FADE:] += rise * (before(hop) - out[-1][-FADE:])
        end, after = patch[HOP:], gone
        out.append(heard)
    return np.concatenate(out)


@settings(max_examples=15)
@given(lost=st.lists(st.booleans(), min_size=3, max_size=30), seed=st.integers(0, 99))
def test_patches_are_joined_as_documented(folder, lost, seed):
    """The program gives what the description gives, computed by hand, with either joint."""
    x = 0.2 * np.random.default_rng(seed).standard_normal(HOP * len(lost)).astype(np.float32)
    frame = find_bundle(folder).manifest.frame
    joint = "hindsight" if frame.hindsight else "fade"
    chain = Chain(
        [find("model")(bundle=str(folder))], sample_rate=RATE, channels=1, block_frames=HOP
    )
    y = play(chain, x[np.newaxis], lost, HOP)[0]
    late = frame.hindsight
    assert late == chain.latency_frames
    x[np.repeat(lost, HOP)] = 0.0
    expected = np.concatenate([np.zeros(late), by_hand(x, lost, joint)])
    np.testing.assert_allclose(y, expected[: y.size], atol=2e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_fails_leaves_the_classical_substitute(folder, tmp_path, value):
    """NaN from the model is replaced by the sound as it is known without it."""
    broken(tmp_path / "model.onnx", value)
    lost = [False] * 10 + [True] * 3 + [False] * 7
    t = np.arange(HOP * len(lost)) / RATE
    x = (0.3 * np.sin(2.0 * np.pi * 200.0 * t)).astype(np.float32)[np.newaxis]
    model = find("model")(bundle=str(declared(tmp_path, "model.onnx")))
    chain = Chain([model], sample_rate=RATE, channels=1, block_frames=HOP)
    y = play(chain, x, lost, HOP)
    gap = slice(10 * HOP, 13 * HOP)
    np.testing.assert_allclose(x[0, gap], y[0, gap], atol=0.02)
    assert len(lost) == chain.nodes[0].node.plugin.faults["hops"]


def test_a_patch_is_bounded_by_its_frame(tmp_path):
    """A model that shouts is brought down to the loudness of what it saw."""
    broken(tmp_path / "model.onnx", 50.0)
    lost = [False] * 10 + [True] * 10
    x = (0.1 * np.random.default_rng(0).standard_normal((1, HOP * 20))).astype(np.float32)
    model = find("model")(bundle=str(declared(tmp_path, "model.onnx")))
    chain = Chain([model], sample_rate=RATE, channels=1, block_frames=HOP)
    y = play(chain, x, lost, HOP)
    assert 0.2 < np.abs(y[:, 10 * HOP :]).max() < 4.0 * np.abs(x).max()
