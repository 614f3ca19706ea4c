# SPDX-License-Identifier: MIT
"""What counts of a plugin's code does not depend on what a process did before."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

CODE = """
    import json, sys
    from rtcore.challenges.codefiles import code_files
    from rtcore.host import find
    for name in sys.argv[1:]:
        __import__(name)
    print(json.dumps([str(path) for path in code_files(find("hold-last"))]))
"""
#: What rtcore imports late, in one process or another.
LATE = ["rich.console", "pydantic", "rtcore.audiofile", "rtcore.engine", "rtcore.cli.process"]


def files(*imported):
    """Give the files as a fresh process sees them."""
    command = [sys.executable, "-c", textwrap.dedent(CODE), *imported]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_does_not_depend_on_the_process(home):
    """The same files count, whatever was imported, each once; the plugin's own is among them."""
    alone = files()
    assert alone == files(*LATE)
    assert len(set(alone)) == len(alone)
    assert str((home.parent / "plugins/for_plc_tests.py").resolve()) in alone


def test_follows_what_a_plugin_imports(home):
    """A module of the user's that the plugin imports counts, what is installed does not."""
    plugins = home.parent / "plugins"
    (plugins / "my_tables.py").write_text("GAIN = 1.0\n")
    plugin = plugins / "for_plc_tests.py"
    lines = ["import sys", f"sys.path.append({str(plugins)!r})", "import my_tables", "import click"]
    plugin.write_text("\n".join([*lines, plugin.read_text()]))
    found = files()
    assert str((plugins / "my_tables.py").resolve()) in found
    assert not any("click" in Path(path).parts for path in found)
