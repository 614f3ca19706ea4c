# SPDX-License-Identifier: MIT
import importlib.metadata

import pytest

from rtcore.doctor import Status, software


class TestPackages:
    @pytest.mark.parametrize(
        ("have", "sign", "wanted", "good"),
        [
            ("0.5.6", "==", "0.5.6", True),
            ("0.5.6+local", "==", "0.5.6", True),
            ("0.5.60", "==", "0.5.6", False),
            ("1.26", ">=", "1.26", True),
            ("10.0", ">=", "9.1", True),
            ("2.0rc1", ">=", "1.26", True),
            ("1.25.9", ">=", "1.26", False),
            ("garbage", ">=", "1", False),
        ],
    )
    def test_versions(self, have, sign, wanted, good):
        """Versions are compared by numbers, not by letters."""
        assert good == software.fits(have, sign, wanted)

    def test_wrong_and_missing(self, plant, monkeypatch):
        """What does not fit is named with the command that mends it."""
        needs = ["numpy>=99", "no-such-thing==1.0", "click>=1", 'pytest>=8; extra == "test"']
        monkeypatch.setattr(importlib.metadata, "requires", lambda _name: needs)
        found = software.packages(plant())[1]
        assert Status.BAD == found.status
        expected = [f"python -m pip install '{need}'" for need in needs[:2]]
        assert expected == [fix.command for fix in found.fixes]

    def test_ours(self, plant):
        """The versions in this environment fit."""
        assert [Status.GOOD] * 2 == [one.status for one in software.packages(plant())]


class TestOnnx:
    def test_ours(self, plant):
        """The package's own library answers through its C API."""
        version = importlib.metadata.version("onnxruntime")
        found = software.onnx_runtime(plant())
        assert (Status.GOOD, version) == (found.status, found.figures["version"])

    def test_none(self, plant, monkeypatch):
        """Without a library models cannot run, and the rest can."""
        monkeypatch.setattr(software, "onnx_library", lambda: None)
        assert Status.IMPROVE == software.onnx_runtime(plant()).status

    def test_broken(self, plant, monkeypatch, tmp_path):
        """A file that is no library is bad, with the loader's reason."""
        file = tmp_path / "libonnxruntime.so.1"
        file.write_bytes(b"no library")
        monkeypatch.setattr(software, "onnx_library", lambda: file)
        found = software.onnx_runtime(plant())
        assert Status.BAD == found.status
        assert "libonnxruntime.so.1 cannot be used" in found.found


class TestCache:
    def test_size(self, plant, tmp_path, monkeypatch):
        """Entries and their size are counted."""
        (tmp_path / "a.nbc").write_bytes(bytes(2000))
        (tmp_path / "other").write_bytes(bytes(10))
        monkeypatch.setattr("rtcore.kernels.cache.folder", lambda: tmp_path)
        monkeypatch.setattr("rtcore.kernels.cache.notes", list)
        found = software.cache(plant())[0]
        assert {"entries": 1, "size_bytes": 2000} == found.figures

    def test_not_writable(self, plant, monkeypatch):
        """Without a cache each start compiles, which is bad, and quiet on standard error."""
        monkeypatch.setattr("rtcore.kernels.cache.folder", lambda: None)
        found = software.cache(plant())[0]
        assert Status.BAD == found.status
        assert "RTCORE_CACHE_DIR" in found.remedy
