# SPDX-License-Identifier: MIT
"""A plugin project of several files, and runs of it in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

FILES = {
    "main_plugin.py": """
        import importlib
        import numpy as np
        import constants
        import helpers
        from constants import COMPUTED, FACTOR
        from helpers import shape
        from rtcore import Param, Plugin, Prepared, helper, kernel

        found = importlib.import_module("found_by_" + "name")
        by_name = found.by_name


        def made(gain):
            @helper
            def scale(value):
                return value * gain

            return scale


        scale = made(found.CAPTURED)


        class Main(Plugin):
            '''Multiply by all that can be edited.'''

            id = "main"
            state = {"count": "i8"}

            @kernel
            def process(x, y, state):
                for c in range(x.shape[0]):
                    for i in range(x.shape[1]):
                        value = shape(x[c, i]) * FACTOR * COMPUTED * constants.REACHED
                        y[c, i] = scale(by_name(helpers.reached(value)))
                state.count += 1
        """,
    "constants.py": """
        import os

        FACTOR = 3
        REACHED = 5
        COMPUTED = int(os.environ.get("COMPUTED", "1"))
        """,
    "helpers.py": """
        from deeper import deep
        from rtcore import helper


        @helper
        def shape(value):
            return deep(value)


        @helper
        def reached(value):
            return value
        """,
    "deeper.py": """
        from rtcore import helper


        @helper
        def deep(value):
            return value * 7
        """,
    "found_by_name.py": """
        from rtcore import helper

        CAPTURED = 1


        @helper
        def by_name(value):
            return value
        """,
}

REPORT = """
    import atexit, json, sys
    from rtcore.kernels.cache import KernelCache
    loaded, made = [], []
    ask, keep = KernelCache.load_overload, KernelCache.save_overload

    def load_overload(self, sig, target):
        result = ask(self, sig, target)
        if result is not None:
            loaded.append(self._fn.__qualname__)
        return result

    def save_overload(self, sig, data):
        made.append(self._fn.__qualname__)
        return keep(self, sig, data)

    KernelCache.load_overload, KernelCache.save_overload = load_overload, save_overload
"""

PLAY = """
    import numpy as np
    from rtcore import Chain
    from main_plugin import Main
    chain = Chain([Main()], channels=1, dtype=DTYPE)
    y = chain.process(np.full((1, 8), 1.0))
    assert (y == y[0, 0]).all()
    print(json.dumps({"y": float(y[0, 0]), "loaded": loaded, "made": made}))
"""

# The kernel alone, called as the chain's loop calls it: that loop takes long to compile.
CALL = """
    import ctypes
    import numpy as np
    from rtcore import Spec
    from rtcore.chain.node import Node
    from main_plugin import Main
    node = Node(Main(), Spec(48000.0, 1, 8, np.dtype(DTYPE)))
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int32)
    function = kind(node.address)
    x, y = np.ones((1, 8), DTYPE), np.zeros((1, 8), DTYPE)
    context = np.zeros(256, np.uint8)
    at = [array.ctypes.data for array in (context, x, y)]
    assert function(node.state_address, *at, 8) == 0
    assert (y == y[0, 0]).all()
    print(json.dumps({"y": float(y[0, 0]), "loaded": loaded, "made": made}))
"""


class Project:
    """Plugin files in a folder, with a cache folder beside it."""

    def __init__(self, folder):
        self.source = folder / "source"
        self.cache = folder / "cache"
        self.source.mkdir()
        self.stamp = 1_700_000_000
        for name, text in FILES.items():
            self.write(name, textwrap.dedent(text).lstrip())

    def write(self, name, text):
        """Write a file, each time with another time stamp."""
        self.stamp += 10
        path = self.source / name
        path.write_text(text)
        os.utime(path, (self.stamp, self.stamp))

    def edit(self, name, before, after):
        """Replace a piece of a file that must be there."""
        text = (self.source / name).read_text()
        assert before in text
        self.write(name, text.replace(before, after))

    def start(self, before="", *, code=CALL, dtype="float32", within=(), **environment):
        """Start a process that calls the plugin's kernel, or does what `code` says.

        The words of `within` come before its command.
        """
        here = {**os.environ, "RTCORE_CACHE_DIR": str(self.cache), "PYTHONPATH": str(self.source)}
        here |= {"PYTHONDONTWRITEBYTECODE": "1", **environment}
        parts = (before, REPORT, f"DTYPE = '{dtype}'", code)
        text = "\n".join(textwrap.dedent(part) for part in parts)
        return subprocess.Popen(
            [*within, sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=here,
        )

    def play(self, before="", **options):
        """Run code in a process of its own; give what it reports, and its stderr."""
        return finish(self.start(before, **options))

    def entries(self):
        """Give the names of the cache's files."""
        return sorted(path.name for path in self.cache.iterdir())


def finish(process):
    """Wait for a process and read its report."""
    out, err = process.communicate(timeout=240)
    assert 0 == process.returncode, err
    return {**json.loads(out), "stderr": err}
