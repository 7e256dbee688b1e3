"""Modules and functions stay small enough to read at once."""

import ast

import pytest

from tests.support.repository import APP, ROOT, python_files, relative

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, without its signature (a command's options are long) and its docstring."""
    first = function.body[1 if ast.get_docstring(function) is not None and len(function.body) > 1 else 0]
    assert function.end_lineno is not None
    return function.end_lineno - first.lineno + 1


def long_functions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > MAX_FUNCTION_LINES
    ]


@pytest.mark.parametrize("folder", ["app", "tests", "benchmarks", "scripts", "migrations"])
def test_modules_are_short(folder):
    lengths = {
        relative(path): len(path.read_text("utf-8").splitlines()) for path in python_files(ROOT / folder)
    }
    assert not {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES}


def test_functions_are_short():
    found = {relative(path): long_functions(path.read_text("utf-8")) for path in python_files(APP)}
    assert not {name: functions for name, functions in found.items() if functions}


def test_a_long_function_is_found():
    statements = "    x = 1\n" * MAX_FUNCTION_LINES
    assert long_functions(f'def short():\n    """Says so."""\n{statements}') == []
    assert long_functions(f"async def long():\n{statements}    y = 1\n") == ["long"]


def test_modules_say_what_they_are_for():
    silent = {
        relative(path)
        for path in python_files(APP)
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    }
    assert not {name for name in silent if not name.endswith("__init__.py")}
