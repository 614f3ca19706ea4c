# SPDX-License-Identifier: MIT
"""Run the code blocks of README.md and docs/, and compare what they print.

In a document ``sh`` blocks are commands, ``python`` blocks are programs, and a ``text`` block
holds what the block before it prints. A comment above a block says
more:

    <!-- file: NAME -->        the block is written to that file
    <!-- exit: 1 -->           the command leaves with this code
    <!-- figures vary -->      the numbers printed depend on the machine: only words are compared
    <!-- not run: REASON -->   the block is not run
    <!-- needs: MODULE -->     the block is run only where that Python module can be imported

In a ``text`` block ``...`` stands for anything on that line.

All blocks of a document share one folder and one environment, in their order.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"((?:<!-- .*? -->\n)*)```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


@dataclass
class Block:
    """A code block of a document."""

    kind: str
    text: str
    line: int
    marks: dict[str, str] = field(default_factory=dict)


def blocks(document: Path) -> list[Block]:
    """Read the code blocks of a document."""
    content = document.read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(content):
        pairs = [m.partition(":") for m in re.findall(r"<!-- (.*?) -->", match[1])]
        marks = {key.strip(): value.strip() for key, _, value in pairs}
        line = content.count("\n", 0, match.start(2)) + 1
        found.append(Block(match[2], match[3], line, marks))
    return found


class Reader:
    """Somebody who types a document's commands, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "reader"
        self.folder.mkdir()
        (self.folder / "examples").symlink_to(ROOT / "examples")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "XDG_DATA_HOME": str(folder / "data")}
        self.environment.pop("RTCORE_PLUGIN_PATH", None)

    def do(self, block: Block) -> tuple[int, str]:
        """Follow one block; give the exit code and what was printed."""
        if "file" in block.marks:
            target = self.folder / block.marks["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
            return 0, ""
        if block.kind == "python":
            return self._run([sys.executable, "-c", block.text])
        kept = self.folder.parent / "environment"
        script = f"trap 'env -0 > {kept}' EXIT\n{block.text}"
        code, printed = self._run(["bash", "-c", script])
        lines = kept.read_text("utf-8").split("\0")
        self.environment |= dict(line.split("=", 1) for line in lines if "=" in line)
        return code, printed

    def _run(self, command: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        return done.returncode, done.stdout


def plain(text: str, *, figures: bool) -> list[str]:
    """Leave out what may differ: spaces, notes on the first start, and figures where told."""
    text = text if figures else _NUMBER.sub("#", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("compiling (the first")]


def agree(expected: list[str], given: list[str]) -> bool:
    """Compare lines; dots stand for anything."""
    patterns = [re.escape(line).replace(re.escape("..."), ".*") for line in expected]
    same = len(patterns) == len(given)
    return same and all(re.fullmatch(p, g) for p, g in zip(patterns, given, strict=True))


def importable(name: str) -> bool:
    """Tell whether a module, of an extra say, can be imported."""
    command = [sys.executable, "-c", f"import {name}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_do_what_the_document_says(document, tmp_path):
    """Every code block of a document runs, and prints what the document shows."""
    reader = Reader(tmp_path)
    printed, figures = None, True
    for block in blocks(document):
        where = f"{document.name}, line {block.line}"
        if "not run" in block.marks:
            assert block.marks["not run"], f"{where}: say why it is not run"
            printed = None
        elif "needs" in block.marks and not importable(block.marks["needs"]):
            printed = None
        elif block.kind == "text" and "file" not in block.marks:
            if printed is not None:
                expected, given = (plain(t, figures=figures) for t in (block.text, printed))
                assert agree(expected, given), f"{where}: prints {given}, expected {expected}"
        else:
            known = block.kind in ("sh", "python") or "file" in block.marks
            assert known, f"{where}: say what to do with this block"
            code, printed = reader.do(block)
            assert int(block.marks.get("exit", 0)) == code, f"{where}: {printed}"
            figures = "figures vary" not in block.marks


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    """Every link to a file of the repository names one that exists."""
    targets = _LINK.findall(document.read_text("utf-8"))
    assert [] == [t for t in targets if not (document.parent / t).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_exist(document):
    """Every test that a document names is there."""
    names = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", document.read_text("utf-8")))
    missing = []
    for path, test in names:
        file = ROOT / path
        if not file.is_file() or (test and f"def {test}(" not in file.read_text("utf-8")):
            missing.append(f"{path}::{test}" if test else path)
    assert [] == missing
