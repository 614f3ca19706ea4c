# SPDX-License-Identifier: MIT
"""docs/models.md is complete, and its manifests are those that are tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from rtcore.onnx.manifest import Frame, Gate, Manifest, Parameter
from rtcore.onnx.stages import FeatureName, Part, Source, Stage, Target, TargetName, Window

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).parent / "bundles"
DOCUMENT = ROOT / "docs" / "models.md"


@pytest.fixture
def document():
    """Read it."""
    if not DOCUMENT.is_file():
        pytest.skip("the documents are not here")
    return DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize(
    "form",
    [Manifest, Frame, Gate, Parameter, Part, Source, Stage, Target],
    ids=lambda f: f.__name__,
)
def test_every_key_is_explained(document, form):
    """Each key of each table stands in the document."""
    text = document.replace("frame.window", "`window`")
    assert [] == [k for k in form.model_fields if not re.search(rf"`[^`]*\b{k}\b[^`]*`", text)]


@pytest.mark.parametrize("words", [FeatureName, TargetName, Window])
def test_every_word_is_explained(document, words):
    """Each feature, target and window stands in the document."""
    assert [] == [word for word in get_args(words) if f"`{word}`" not in document]


@pytest.mark.parametrize("file", sorted(MANIFESTS.glob("*.toml")), ids=lambda f: f.stem)
def test_manifests_are_the_tested_ones(document, file):
    """The manifests shown are, letter by letter, those that the tests run."""
    assert f"<!-- file: {file.stem}/model.toml -->\n```toml\n{file.read_text()}```" in document
