"""How long a file, a function and a line may be."""

from __future__ import annotations

import ast
from typing import Iterator, Tuple

from . import functions
from .registry import rule
from .tree import File, Tree

FILE_LINES = 600
FUNCTION_LINES = 80
COLUMNS = 100


@rule("file-length", allowable=True)
def file_length(tree: Tree):
    """No C++, Python or shell file has more than 600 lines."""
    for file in tree.code():
        if not file.is_cmake and len(file.lines) > FILE_LINES:
            yield file.path, FILE_LINES + 1, (
                f"{len(file.lines)} lines: split the file by what it is about "
                f"(limit {FILE_LINES}), or list it with a reason in tests/lint/allow.txt"
            )


def _python_functions(file: File) -> Iterator[Tuple[str, int, int]]:
    def walk(node: ast.AST, prefix: str):
        for child in ast.iter_child_nodes(node):
            scope = prefix
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield prefix + child.name, child.lineno, child.end_lineno or child.lineno
                scope = f"{prefix}{child.name}."
            elif isinstance(child, ast.ClassDef):
                scope = f"{prefix}{child.name}."
            yield from walk(child, scope)

    yield from walk(ast.parse(file.text), "")


@rule("function-length", allowable=True)
def function_length(tree: Tree):
    """No C++ or Python function has more than 80 lines, lambdas inside it included."""
    for file in tree:
        # A short file cannot hold a long function; most files end here.
        if not (file.is_cxx or file.is_python) or len(file.lines) <= FUNCTION_LINES:
            continue
        if file.is_cxx:
            found = [(f.name, f.line, f.end) for f in functions.functions(file.cxx)]
        else:
            try:
                found = list(_python_functions(file))
            except (SyntaxError, ValueError) as error:
                yield file.path, getattr(error, "lineno", 1) or 1, f"not Python: {error}"
                continue
        for name, line, end in found:
            if end - line + 1 > FUNCTION_LINES:
                yield file.path, line, (
                    f"{name} has {end - line + 1} lines: split it (limit {FUNCTION_LINES}), or "
                    f"list {file.path}:{name} with a reason in tests/lint/allow.txt"
                ), name


@rule("line-length", allowable=True)
def line_length(tree: Tree):
    """No line of C++, Python, shell or CMake has over 100 characters; URLs and includes may."""
    for file in tree.code():
        for number, line in enumerate(file.lines, 1):
            if len(line) <= COLUMNS or "://" in line:
                continue
            if file.is_cxx and line.lstrip().startswith("#include"):
                continue
            yield file.path, number, f"{len(line)} columns: wrap the line at {COLUMNS}"
