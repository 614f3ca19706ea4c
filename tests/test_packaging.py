# SPDX-License-Identifier: MIT
"""What an installed rtcore holds, and how its plugins and models are found."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rtcore

CHECKOUT = Path(__file__).resolve().parents[1]
IN_WHEEL = pytest.mark.skipif(
    "RTCORE_TEST_WHEEL" not in os.environ, reason="the tests run against the checkout"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's data folder of its own, and no search path from outside."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("RTCORE_PLUGIN_PATH", raising=False)
    monkeypatch.delenv("RTCORE_MODEL_PATH", raising=False)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def user_plugin(home: Path, name: str, text: str) -> Path:
    return write(home / "data" / "rtcore" / "plugins" / name, text)


def python(code: str, cwd: Path) -> str:
    """Run code in a fresh interpreter that does not look into its own folder."""
    script = write(cwd / "script.py", code)
    command = [sys.executable, "-P", str(script)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


class TestWheel:
    """The distribution as it is installed."""

    def test_version_is_the_metadata(self):
        """The version that rtcore tells is the one of pyproject and of the installed metadata."""
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
        assert importlib.metadata.version("rtcore") == rtcore.__version__
        assert project["version"] == rtcore.__version__

    @IN_WHEEL
    def test_the_checkout_is_not_what_is_tested(self, home):
        """This process and its children import the installed rtcore."""
        child = python("import rtcore; print(rtcore.__file__)", home)
        assert "site-packages" in Path(rtcore.__file__).parts
        assert rtcore.__file__ == child

    @IN_WHEEL
    @pytest.mark.parametrize("name", ["plugins", "models", "bench", "tests"])
    def test_no_top_level_name_is_taken(self, home, name):
        """The environment has no top-level package that collides with other people's code."""
        code = f"import importlib.util as u; print(u.find_spec({name!r}))"
        assert python(code, home) == "None"

    @IN_WHEEL
    def test_wheel_holds_every_module(self):
        """Each Python file of rtcore/, plugins/ and models/ is installed, but none of training."""
        expected = {
            target + str(path.relative_to(CHECKOUT / folder))
            for folder, target in [
                ("rtcore", "rtcore/"),
                ("plugins", "rtcore/_plugins/"),
                ("models", "rtcore/_models/"),
            ]
            for path in (CHECKOUT / folder).rglob("*.py")
            if "plc_training" not in path.parts
        }
        files = importlib.metadata.files("rtcore")
        assert files is not None
        assert expected == {str(file) for file in files if file.suffix == ".py"}
        assert "rtcore/py.typed" in map(str, files)

    def test_sounddevice_is_pinned(self):
        """The private door of sounddevice is held to the version it was tried with."""
        requires = importlib.metadata.requires("rtcore")
        assert requires is not None
        assert "sounddevice==0.5.6" in requires

    def test_import_is_lazy(self, home):
        """Importing rtcore loads neither numpy nor the compiler."""
        code = "import rtcore, sys; print({'numpy', 'numba', 'sounddevice'} & set(sys.modules))"
        assert python(code, home) == "set()"

    def test_every_public_name_is_there(self):
        """Each name that rtcore promises can be had."""
        assert [] == [name for name in rtcore.__all__ if not hasattr(rtcore, name)]

    def test_unknown_name(self):
        """A name that rtcore does not have is refused as by any module."""
        with pytest.raises(AttributeError, match="no attribute 'Equaliser'"):
            rtcore.Equaliser  # noqa: B018


class TestPlugins:
    """``rtcore.plugins`` as a part of Python's import system."""

    def test_user_folder(self, home):
        """A file in the user's folder is a module, and its class can be imported by name."""
        user_plugin(home, "mine.py", "class Mine:\n    x = 3\n")
        code = (
            "import rtcore.plugins.mine as m\n"
            "from rtcore.plugins import Mine, mine\n"
            "print(Mine is m.Mine, mine is m, Mine.__module__)"
        )
        assert python(code, home) == "True True rtcore.plugins.mine"

    def test_environment_comes_first(self, home, monkeypatch):
        """Of two plugins of one name, that of RTCORE_PLUGIN_PATH hides the user's."""
        user_plugin(home, "mine.py", "class Mine:\n    x = 'folder'\n")
        write(home / "first" / "mine.py", "class Mine:\n    x = 'environment'\n")
        monkeypatch.setenv("RTCORE_PLUGIN_PATH", os.pathsep.join([str(home / "first"), "", "/no"]))
        assert python("from rtcore.plugins import Mine; print(Mine.x)", home) == "environment"

    def test_first_party_comes_last(self, home):
        """The search path is the user's folder, then rtcore's own."""
        path = python("import rtcore.plugins as p; print(*p.__path__, sep='\\n')", home).split("\n")
        assert str(home / "data" / "rtcore" / "plugins") == path[0]
        assert Path(path[1]).name in {"_plugins", "plugins"}
        assert 2 == len(path)

    def test_broken_file_hinders_no_other(self, home):
        """A file with an error in it does not stop another file's class from being found."""
        user_plugin(home, "a_broken.py", "this is no Python")
        user_plugin(home, "b_exits.py", "raise ValueError('no')")
        user_plugin(home, "other_file.py", "class Mine:\n    x = 3\n")
        assert python("from rtcore.plugins import Mine; print(Mine.x)", home) == "3"

    def test_class_in_broken_file(self, home):
        """Asking for a class whose own file fails names the file and the reason."""
        file = user_plugin(home, "mine.py", "import nowhere_at_all\nclass Mine:\n    x = 3\n")
        code = (
            "from rtcore.errors import PluginError\n"
            "try:\n    from rtcore.plugins import Mine\n"
            "except PluginError as error:\n    print(error)"
        )
        expected = (
            f"{file}: the plugin Mine cannot be loaded, because importing this file failed with "
            "ModuleNotFoundError: No module named 'nowhere_at_all'; mend the file"
        )
        assert expected == python(code, home)

    def test_nearest_class(self, home):
        """A misspelt class is refused with the nearest one."""
        user_plugin(home, "mine.py", "class MineOwn:\n    x = 3\n")
        code = (
            "import rtcore.plugins as p\n"
            "try:\n    p.MineOwm\n"
            "except AttributeError as error:\n    print(error)"
        )
        assert python(code, home).endswith("(did you mean 'MineOwn'?)")

    def test_imported_class_is_not_its_importers(self, home):
        """A class is found in the file that defines it, though another imports it earlier."""
        user_plugin(home, "a_user.py", "from rtcore.plugins.z_home import Mine\n")
        user_plugin(home, "z_home.py", "class Mine:\n    x = 3\n")
        code = "from rtcore.plugins import Mine; print(Mine.__module__)"
        assert python(code, home) == "rtcore.plugins.z_home"

    def test_pickled_by_spawn(self, home):
        """An object of a plugin's class goes to a spawned process and comes back."""
        user_plugin(home, "mine.py", "class Mine:\n    x = 3\n    def get(self): return self.x\n")
        code = (
            "import multiprocessing as mp\n"
            "from concurrent.futures import ProcessPoolExecutor\n"
            "from rtcore.plugins import Mine\n"
            "if __name__ == '__main__':\n"
            "    mine = Mine()\n"
            "    mine.x = 5\n"
            "    with ProcessPoolExecutor(1, mp_context=mp.get_context('spawn')) as pool:\n"
            "        print(pool.submit(mine.get).result())\n"
        )
        assert python(code, home) == "5"


MANIFEST = """
id = "{}"
description = "A model"
licence = "MIT"
sample_rate = 16000
hop = 16
[[stage]]
file = "model.onnx"
inputs = {{ x = "hop" }}
outputs = {{ y = "hop" }}
"""


class TestModels:
    """``rtcore.models`` follows the same rule."""

    def test_environment_comes_first(self, home, monkeypatch):
        """Of two bundles of one name, that of RTCORE_MODEL_PATH hides the user's."""
        from rtcore import models

        for place in ("data/rtcore/models/plc", "data/rtcore/models/other", "first/plc"):
            name = place.rpartition("/")[2]
            write(home / place / "model.toml", MANIFEST.format(name))
        monkeypatch.setenv("RTCORE_MODEL_PATH", str(home / "first"))
        assert {"other", "plc"} <= {info.name for info in models.all_bundles()}
        assert home / "first" / "plc" == models.find_bundle("plc").folder

    def test_unknown_bundle(self, home):
        """An unknown name is refused with the nearest one and the folders searched."""
        from rtcore import models

        write(home / "data" / "rtcore" / "models" / "conceal" / "model.toml", "")
        with pytest.raises(rtcore.ModelError, match=r"'konceal'.*did you mean 'conceal'"):
            models.find_bundle("konceal")
