# SPDX-License-Identifier: MIT
"""Refuse kernels that allocate, may raise or call the interpreter, naming the line.

The finished code is judged, not the source: whatever the optimiser could prove harmless is
welcome, and ``y[:] = x * 2 + x`` is not, since it makes a hidden temporary and checks shapes.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.compiler import CompileResult

from rtcore.errors import KernelError

_ALLOCATORS = ("NRT_MemInfo_alloc", "NRT_MemInfo_new", "NRT_MemInfo_varsize", "NRT_Allocate")
#: Numba describes each exception that compiled code can raise by such a constant.
_INTERPRETER = ("Py", "_Py", "numba_gil", "printf", "puts", "putchar")
#: Where Numba's own wrapper of an entry reports an error, which no entry of ours ever has.
_WRAPPER = "cfunc."
_RAISES = re.compile(r"@\.const\.picklebuf|@numba_runtime_build_excinfo_struct_dynamic")
_DEFINE = re.compile(r'^define [^@]*@"?([^"(]+)"?\(')
_CALL = re.compile(r'(?:call|invoke) [^@\n]*@"?([^"(]+)"?\(')
_DEBUG = re.compile(r"!dbg !(\d+)")
_LOCATION = re.compile(r"^!(\d+) = !DILocation\(.*?line: (\d+)", re.MULTILINE)


def refuse_unfit(result: CompileResult, author: Callable[..., Any], argument_types: Any) -> None:
    """Raise :class:`~rtcore.errors.KernelError` where compiled code breaks a real-time rule.

    Parameters
    ----------
    result : numba CompileResult
        The compiled C entry, with the author's function inlined or linked in.
    author : function
        The author's function, for the line number.
    argument_types : tuple
        Numba types of its arguments.
    """
    result.library.get_pointer_to_function(
        result.fndesc.llvm_cfunc_wrapper_name
    )  # links and optimises
    code = result.library.get_llvm_str()
    written = _raise_statement(author)
    allocates = _calls_allocator(code)
    functions = _functions(code)
    raises = any(_RAISES.search(body) for body in functions.values())
    own = (body for name, body in functions.items() if not name.startswith(_WRAPPER))
    interprets = any(map(_calls_interpreter, own))
    if not allocates and not raises and not interprets:
        return
    # A print is told first, for it also allocates or raises.
    # An allocation can fail and a raised exception is allocated: the author hears of the cause.
    prints = _print_statement(author) is not None
    if interprets and written is None and (prints or not (allocates or raises)):
        line = _print_statement(author) or _line_reaching(
            author, argument_types, _calls_interpreter
        )
        what = (
            "calls the interpreter (print?) on the audio thread; leave it out, and look at "
            "values in state instead"
        )
    elif allocates and written is None:
        line = _line_reaching(author, argument_types, _calls_allocator)
        what = (
            "allocates memory on the audio thread; write a loop, use out=, or declare a buffer "
            "and fill it in prepare()"
        )
    else:
        line = written or _line_reaching(
            author, argument_types, lambda body: bool(_RAISES.search(body))
        )
        what = (
            "may raise an exception on the audio thread; write a loop, or return a status other "
            "than 0 instead"
        )
    msg = f"{author.__code__.co_filename}, line {line}: kernel '{author.__name__}' {what}"
    raise KernelError(msg)


def _calls_allocator(body: str) -> bool:
    return any(name.startswith(_ALLOCATORS) for name in _CALL.findall(body))


def _calls_interpreter(body: str) -> bool:
    return any(name.startswith(_INTERPRETER) for name in _CALL.findall(body))


def _line_reaching(
    author: Callable[..., Any], argument_types: Any, offends: Callable[[str], bool]
) -> int:
    """Find the author's line whose call leads to a function whose code offends."""
    first = author.__code__.co_firstlineno
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dispatcher = njit(error_model="numpy", debug=True, _dbg_optnone=True)(author)
            dispatcher.compile(argument_types)
        code = next(iter(dispatcher.inspect_llvm().values()))
    except Exception:  # noqa: BLE001 - a diagnosis that fails must not hide the finding
        return first
    functions = _functions(code)
    reaching = {name for name, body in functions.items() if offends(body)}
    grown = True
    while grown:
        fresh = {
            n
            for n, body in functions.items()
            if n not in reaching and reaching & set(_CALL.findall(body))
        }
        grown = bool(fresh)
        reaching |= fresh
    lines = dict(_LOCATION.findall(code))
    end = first + len(inspect.getsourcelines(author)[0])
    for name, body in functions.items():
        if author.__name__ not in name:
            continue
        for row in body.splitlines():
            call, debug = _CALL.search(row), _DEBUG.search(row)
            if call and debug and (call.group(1) in reaching or offends(row)):
                line = int(lines.get(debug.group(1), 0))
                if first <= line < end:
                    return line
    return first


def _functions(code: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    rows: list[str] = []
    for row in code.splitlines():
        head = _DEFINE.match(row)
        if head:
            name, rows = head.group(1), []
        elif row == "}" and name:
            found[name] = "\n".join(rows)
            name = ""
        elif name:
            rows.append(row)
    return found


def _raise_statement(author: Callable[..., Any]) -> int | None:
    """Give the line of the first statement that raises by its nature."""
    return _first_line(author, lambda node: isinstance(node, (ast.Raise, ast.Assert)))


def _print_statement(author: Callable[..., Any]) -> int | None:
    """Give the line of the first call of print."""

    def prints(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) == "print"

    return _first_line(author, prints)


def _first_line(author: Callable[..., Any], fits: Callable[[ast.AST], bool]) -> int | None:
    rows, first = inspect.getsourcelines(author)
    tree = ast.parse(textwrap.dedent("".join(rows)))
    for node in ast.walk(tree):
        if fits(node):
            return first + getattr(node, "lineno", 1) - 1
    return None
