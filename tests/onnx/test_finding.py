# SPDX-License-Identifier: MIT
"""Bundles are found by their names, folders and manifests, in the order of the places."""

from __future__ import annotations

import re
import shutil

import pytest
from bundles import declare, model
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.errors import ConfigError, ModelError, ParameterError, RtcoreError
from rtcore.models import all_bundles, find_bundle

HOP = 32
STAGE = {"file": "model.onnx", "inputs": {"x": "hop"}, "outputs": {"y": "hop"}}


class TestFinding:
    """Bundles by name, folder and file."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path, monkeypatch):
        monkeypatch.setenv("RTCORE_MODEL_PATH", str(tmp_path / "a") + ":" + str(tmp_path / "b"))

    def test_by_name_folder_and_file(self, tmp_path):
        """All three name the same bundle."""
        folder = declare(tmp_path / "a" / "any", id="mine", hop=HOP, stage=[STAGE])
        for name in ("mine", str(folder), str(folder / "model.toml")):
            assert folder == find_bundle(name).folder
        assert [folder / "model.onnx"] == find_bundle("mine").files()

    def test_a_relative_folder(self, tmp_path, monkeypatch):
        """A folder beside the reader is found by `./name`, and stays a path."""
        folder = declare(tmp_path / "near", id="other", hop=HOP, stage=[STAGE])
        monkeypatch.chdir(tmp_path)
        assert folder == find_bundle("./near").folder

    def test_two_of_one_id(self, tmp_path):
        """The first on the path is found, and the list tells of the other."""
        first = declare(tmp_path / "a" / "one", id="mine", hop=HOP, stage=[STAGE])
        second = declare(tmp_path / "b" / "two", id="mine", hop=HOP, stage=[STAGE])
        assert first == find_bundle("mine").folder
        found = {info.folder: info.error for info in all_bundles() if info.name == "mine"}
        assert {first: "", second: f"hidden by {first}, which has the same id"} == found

    def test_none(self):
        """A name that is not there is refused with the nearest and the places to put it."""
        with pytest.raises(
            ModelError, match=r"no model bundle is called 'mina'.*RTCORE_MODEL_PATH"
        ):
            find_bundle("mina")
        with pytest.raises(ModelError, match="there is no such model bundle; check the path"):
            find_bundle("./nowhere/mina")

    def test_a_broken_one(self, tmp_path):
        """One whose manifest is broken is listed, and asking for it says why."""
        declare(tmp_path / "a", hop=HOP, stage=[STAGE])
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "a").mkdir()
        declare(tmp_path / "a" / "broken", id="broken", hop=-1, stage=[STAGE])
        assert [True] == ["hop: " in i.error for i in all_bundles() if i.name == "broken"]
        with pytest.raises(ConfigError, match="hop: does not fit"):
            find_bundle("broken")

    def test_empty(self):
        """The plugin needs a name, and an empty one is none."""
        with pytest.raises(ParameterError, match=r"bundle.*is empty; name a model bundle"):
            model("")
        from rtcore.host import find

        with pytest.raises(ParameterError, match=r"bundle.*must be given to 'model'"):
            find("model")()

    @given(name=st.text(max_size=20))
    @settings(max_examples=100, deadline=None)
    def test_any_name(self, name):
        """Any text is a bundle's name or refused in a sentence."""
        try:
            find_bundle(name)
        except RtcoreError as error:
            assert re.search(r"\w", str(error))  # noqa: PT017 - both ways are good
