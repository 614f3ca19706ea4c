# SPDX-License-Identifier: MIT
"""The host finds plugins everywhere, and one broken file hinders nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rtcore import host
from rtcore.errors import PluginError

GAIN = '''\
from rtcore import Param, Plugin, kernel


class {cls}(Plugin):
    """Make it louder, says {id}."""

    id = "{id}"
    amount = Param(1.0, min=0.0, max=9.0)

    @kernel
    def process(x, y, amount):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = amount * x[c, i]
'''


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders on the search path, and an empty user's folder."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("RTCORE_PLUGIN_PATH", f"{one}{os.pathsep}{two}")
    before = set(sys.modules)
    yield one, two
    for name in set(sys.modules) - before:
        if name.startswith("rtcore.plugins."):
            del sys.modules[name]


def put(folder: Path, name: str, plugin_id: str, cls: str = "Louder") -> Path:
    file = folder / f"{name}.py"
    file.write_text(GAIN.format(cls=cls, id=plugin_id), "utf-8")
    return file


def infos(name: str) -> list[host.PluginInfo]:
    return [info for info in host.all_plugins() if info.id == name]


class TestFind:
    """One plugin by its name."""

    def test_by_id(self, folders):
        """A plugin is found by its id, in a file of any name."""
        put(folders[0], "anyname", "louder_a")
        assert "louder_a" == host.find("louder_a").id

    def test_by_class_name(self, folders):
        """A plugin is found by the name of its class."""
        put(folders[1], "louder_b", "louder_b", "LouderB")
        assert "LouderB" == host.find("LouderB").__name__

    def test_imports_no_other_file(self, folders):
        """Finding one plugin leaves the files of others alone."""
        put(folders[0], "louder_c", "louder_c")
        put(folders[0], "aaa_other", "other_c")
        host.find("louder_c")
        assert "rtcore.plugins.louder_c" in sys.modules
        assert "rtcore.plugins.aaa_other" not in sys.modules

    def test_computed_id(self, folders):
        """An id that stands nowhere in the text is found by loading everything."""
        file = put(folders[0], "computed", "X")
        file.write_text(file.read_text().replace('id = "X"', 'id = "comp" + "uted_d"'))
        assert "computed_d" == host.find("computed_d").id

    def test_package(self, folders):
        """A folder with an __init__ that takes its class from an inner module is a plugin."""
        inner = folders[0] / "packed"
        inner.mkdir()
        put(inner, "impl", "packed", "Packed")
        (inner / "__init__.py").write_text("from .impl import Packed\n")
        assert "Packed" == host.find("packed").__name__

    def test_earlier_folder_wins(self, folders):
        """Of two plugins with one id the one on the earlier folder is found."""
        put(folders[0], "zzz", "twice", "First")
        put(folders[1], "twice", "twice", "Second")
        assert "First" == host.find("twice").__name__

    def test_search_path_is_read_each_time(self, folders, monkeypatch):
        """A module of the same name in a folder that has since taken the first place wins."""
        put(folders[0], "moving", "moving", "Before")
        put(folders[1], "moving", "moving", "After")
        assert "Before" == host.find("moving").__name__
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", str(folders[1]))
        assert "After" == host.find("moving").__name__

    def test_folder_made_later(self, folders):
        """A user's folder that did not exist at the first look is seen at the next."""
        with pytest.raises(PluginError):
            host.find("latecomer")
        user = folders[0].parent / "data" / "rtcore" / "plugins"
        user.mkdir(parents=True)
        put(user, "latecomer", "latecomer")
        assert "latecomer" == host.find("latecomer").id
        assert ["user"] == [info.origin for info in infos("latecomer")]

    def test_unknown(self, folders):
        """An unknown name gives the nearest one and the folders."""
        put(folders[0], "louder_e", "louder_e")
        with pytest.raises(PluginError, match="no plugin 'luoder_e'") as caught:
            host.find("luoder_e")
        assert "did you mean 'louder_e'?" in str(caught.value)
        assert str(folders[1]) in str(caught.value)

    def test_imported_classes_do_not_count(self, folders):
        """A file that merely imports another's plugin does not offer it a second time."""
        put(folders[0], "louder_f", "louder_f", "LouderF")
        (folders[0] / "user_f.py").write_text("from rtcore.plugins.louder_f import LouderF\n")
        assert 1 == len(infos("louder_f"))


class TestBroken:
    """Files that cannot be loaded."""

    @pytest.mark.parametrize(
        ("text", "line", "what"),
        [
            ("import rtcore\n\ndef (:\n", 3, "SyntaxError"),
            ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError"),
            ("import sys\nsys.exit(4)\n", 2, "SystemExit"),
            ("import no_such_module_at_all\n", 1, "ModuleNotFoundError"),
        ],
    )
    def test_is_listed_with_file_and_line(self, folders, text, line, what):
        """A broken file is listed with its line and reason, and others are found all the same."""
        (folders[0] / "broken.py").write_text(text)
        put(folders[0], "sound", "sound")
        (info,) = infos("broken")
        assert f"broken.py, line {line}: " in info.error
        assert what in info.error
        assert "sound" == host.find("sound").id

    def test_asked_for_by_name(self, folders):
        """Asking for the broken one says what is wrong with its file."""
        (folders[0] / "broken.py").write_text("1 / 0\n")
        with pytest.raises(PluginError, match=r"broken\.py, line 1: .*ZeroDivisionError"):
            host.find("broken")

    def test_plugin_without_id(self, folders):
        """A class without an id is named in a sentence."""
        file = put(folders[0], "noid", "noid")
        file.write_text(file.read_text().replace('id = "noid"', ""))
        (info,) = infos("noid")
        assert "has no id" in info.error

    def test_same_id_twice(self, folders):
        """The later of two plugins with one id is reported with the file that took it."""
        first = put(folders[0], "one_g", "same_g")
        put(folders[1], "two_g", "same_g")
        winner, loser = infos("same_g")
        assert "" == winner.error
        assert f"is taken by {first}" in loser.error

    def test_same_file_name_twice(self, folders):
        """The later of two files with one name is reported as hidden."""
        first = put(folders[0], "same_h", "same_h")
        put(folders[1], "same_h", "other_h")
        _, loser = infos("same_h")
        assert f"is hidden by {first}" in loser.error


class TestEntryPoints:
    """Plugins of installed packages."""

    @pytest.fixture
    def package(self, folders, tmp_path, monkeypatch):
        """A package on sys.path whose metadata offers plugins."""

        def install(points: str) -> None:
            site = tmp_path / "site"
            info = site / "loud_pack-1.0.dist-info"
            info.mkdir(parents=True)
            put(site, "loud_pack_module", "third_party", "ThirdParty")
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-pack\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[rtcore.plugins]\n{points}\n")
            monkeypatch.syspath_prepend(str(site))

        yield install
        sys.modules.pop("loud_pack_module", None)

    def test_found(self, package):
        """A plugin of an installed package is found by the entry point's name."""
        package("third_party = loud_pack_module:ThirdParty")
        assert "ThirdParty" == host.find("third_party").__name__

    def test_found_by_class_name(self, package):
        """It is also found by the name of its class."""
        package("third_party = loud_pack_module:ThirdParty")
        assert "third_party" == host.find("ThirdParty").id

    def test_listed(self, package):
        """It is listed with the package that it comes from."""
        package("third_party = loud_pack_module:ThirdParty")
        (info,) = infos("third_party")
        assert "entry point third_party of loud-pack" == info.origin
        assert info.file is not None

    @pytest.mark.parametrize("value", ["loud_pack_module:Nothing", "no_pack:X", "os.path:join"])
    def test_broken(self, package, value):
        """An entry point that leads nowhere is listed with its reason and hinders nobody."""
        package(f"lost = {value}")
        (info,) = infos("lost")
        assert info.cls is None
        assert f"entry point lost = {value}: " in info.error
