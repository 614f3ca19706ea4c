# SPDX-License-Identifier: MIT
"""Hold docs/troubleshooting.md complete: each sentence that rtcore can say has a cause and a cure.

The sentences are read from the source: what is handed to an error, a note or a warning, with each
inserted value written as ``…``. The document names a sentence by a distinctive piece of it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "troubleshooting.md"
GAP = "…"
#: Errors of Python's that nobody sees as a sentence: they speak to programmers.
SILENT = {"AttributeError", "AssertionError", "ImportError", "SystemExit", "OutOfTime"}
#: Functions that say something to the user.
SPEAKERS = {"late_notice", "Note", "_note", "warn", "_message", "_say", "fail", "Finding"}
#: Errors whose first argument is a place, such as plugin[2].compressor.ratio.
PLACED = {"ConfigError", "ParameterError"}
#: What a function returns that gives a place and a sentence.
PAIR = "tuple[str, str]"
SHORTEST = 12  # letters of a piece that is distinctive, without gaps


def sources() -> list[Path]:
    """List the files whose sentences users may read."""
    files = sorted([*(ROOT / "rtcore").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
    return [file for file in files if file.name != "errors.py"]


def texts(node: ast.AST, scope: ast.AST, module: ast.Module, depth: int = 0) -> list[str]:
    """Give the forms that an expression can take as a text; values become gaps."""
    if depth > 8:
        return [GAP]
    again = (scope, module, depth + 1)
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else [GAP]
    if isinstance(node, ast.JoinedStr):
        forms = [""]
        for part in node.values:
            forms = [form + tail for form in forms for tail in texts(part, *again)]
        return forms
    if isinstance(node, ast.FormattedValue):
        spelled = isinstance(node.value, ast.Name | ast.Call | ast.IfExp)
        return texts(node.value, *again) if spelled else [GAP]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in texts(node.left, *again) for b in texts(node.right, *again)]
    if isinstance(node, ast.IfExp):
        return [*texts(node.body, *again), *texts(node.orelse, *again)]
    return looked_up(node, *again)


def looked_up(node: ast.AST, scope: ast.AST, module: ast.Module, depth: int) -> list[str]:
    """Give the texts behind a name, a table or a function of the same file."""
    found: list[ast.AST] = []
    if isinstance(node, ast.Name):
        found = [value for name, value in assigned(scope) if name == node.id]
        found = found or [value for name, value in constants(module) if name == node.id]
    elif isinstance(node, ast.Call) and called(node) == "format":
        forms = texts(node.func.value, scope, module, depth)
        return [re.sub(r"\{\w*\}", GAP, form) for form in forms]
    elif isinstance(node, ast.Call) and called(node) == "get":
        name = ast.unparse(node.func.value)
        tables = [v for n, v in assigned(scope) if n == name and isinstance(v, ast.Dict)]
        found = [value for table in tables for value in table.values]
    elif isinstance(node, ast.Call):
        return [form for answer in answers(called(node), module) for form in answer] or [GAP]
    return [form for value in found for form in texts(value, scope, module, depth)] or [GAP]


def assigned(scope: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Give what a function assigns to its names."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value


def constants(module: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Give the constants of a file."""
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign):
            yield from assigned(node)


def answers(name: str, module: ast.Module) -> Iterator[list[str]]:
    """Give the texts that a function of the same file returns, if that is its work."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            if ast.unparse(node.returns or ast.Constant(None)) not in ("str", "str | None"):
                return
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield texts(inner.value, node, module, 2)


def called(node: ast.Call) -> str:
    """Name the function of a call."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def said_by(node: ast.AST) -> list[ast.AST]:
    """Give the arguments of a call, or the values of a yield, that users read."""
    if not isinstance(node, ast.Call):
        return []
    name = called(node)
    loud = name == "echo" and any(word.arg == "err" for word in node.keywords)
    if name in SPEAKERS or loud:
        return list(node.args)
    if (name.endswith("Error") or name == "CheckFailed") and name not in SILENT:
        return list(node.args[1:] if name in PLACED else node.args)
    return []


def scopes(module: ast.Module) -> Iterator[ast.AST]:
    """Give the functions of a file, then the file itself."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.Module):
            yield node


def sentences(file: Path) -> dict[str, int]:
    """Read the sentences of a file, each with its line."""
    module = ast.parse(file.read_text("utf-8"))
    found: dict[str, int] = {}
    checks = "testing" in file.parts
    for scope in scopes(module):
        pairs = ast.unparse(getattr(scope, "returns", None) or ast.Constant(None)) == PAIR
        inner = {id(n) for f in ast.walk(scope) if isinstance(f, ast.FunctionDef) and f is not scope
                 for n in ast.walk(f)}  # fmt: skip
        for node in ast.walk(scope):
            if id(node) in inner:
                continue
            spoken = said_by(node)
            if checks and isinstance(node, ast.Yield) and node.value is not None:
                spoken = [node.value]
            if pairs and isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                spoken = [node.value.elts[-1]]
            for argument in spoken:
                for form in texts(argument, scope, module):
                    found.setdefault(re.sub("…+", GAP, " ".join(form.split())), node.lineno)
    return {form: line for form, line in found.items() if letters(form) >= SHORTEST}


def letters(text: str) -> int:
    """Count what is not a gap."""
    return sum(len(piece.strip(" :;,.()'")) for piece in text.split(GAP))


def keys() -> list[str]:
    """Read the pieces that the document names: the first cell of each row of its tables."""
    rows = re.findall(r"^\| `(.+?)` \|(.+)\|(.+)\|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return [key for key, _cause, _cure in rows]


def document_says(form: str, known: list[str]) -> bool:
    """Tell whether a sentence has a row: whether one of the pieces stands in it."""
    return any(key in form for key in known)


EVERYTHING = [
    pytest.param(form, id=f"{file.relative_to(ROOT)}:{line}")
    for file in sources()
    for form, line in sentences(file).items()
]


@pytest.mark.parametrize("form", EVERYTHING)
def test_every_sentence_has_a_cause_and_a_cure(form):
    """Each sentence that users may read has a row in docs/troubleshooting.md."""
    remedy = "add a row `piece of it` | cause | cure to docs/troubleshooting.md"
    assert document_says(form, keys()), f"nothing explains: {form!r}; {remedy}"


def test_every_row_belongs_to_a_sentence():
    """Each row explains a sentence that is still in the source."""
    forms = [param.values[0] for param in EVERYTHING]
    assert [] == [key for key in keys() if not any(key in form for form in forms)]


def test_rows_are_distinctive_and_single():
    """Each row's piece is long enough to be found, and stands in one row only."""
    known = keys()
    assert [] == [key for key in known if letters(key) < SHORTEST or known.count(key) > 1]


def test_a_new_sentence_would_be_noticed(tmp_path):
    """Sentences are found in all the ways in which rtcore's code writes them."""
    file = tmp_path / "new.py"
    file.write_text(
        textwrap.dedent(
            """
            def check(value):
                if value < 0:
                    raise ConfigError("place", f"plain sentence, got {value:g}")
                what = f"{value} in a variable"
                if value > 9:
                    raise ParameterError("key", f"{what}; with a remedy")
                msg = ("two parts "
                       "of one text")
                raise PluginError(msg) from None

            def reason() -> str:
                return "answer of a function"

            def other(kind, note):
                note.warn("spoken warning")
                table = {"a": "sentence in a table"}
                raise DeviceError(f"{table.get(kind, 0)}, got {kind}")

            def third():
                raise ValueError(f"why: {reason()}")
            """
        ),
        "utf-8",
    )
    expected = {
        "plain sentence, got …",
        "… in a variable; with a remedy",
        "two parts of one text",
        "spoken warning",
        "sentence in a table, got …",
        "why: answer of a function",
    }
    assert expected == set(sentences(file))
