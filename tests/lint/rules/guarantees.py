"""Every guarantee of docs/concepts.md that is there has a test that carries its number."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Tuple

from .registry import rule
from .tree import Tree

CONCEPTS = "docs/concepts.md"
_ROW = re.compile(r"^\| (G\d+) \|.*\|\s*([^|]*?)\s*\|$")
# In C++ the name of a test case begins with them, in Python what the file says of itself.
_CARRIED = re.compile(r'(?:\bTEST_CASE\(\s*"|^"""|^    """)((?:\[G\d+\])+)', re.MULTILINE)


def carried(tree: Tree) -> Iterator[Tuple[str, int, str]]:
    """(path, line, number) of each number that a test carries."""
    for file in tree:
        if not file.path.startswith("tests/") or not file.name.endswith(("_test.cpp", "_test.py")):
            continue
        for match in _CARRIED.finditer(file.text):
            line = file.text.count("\n", 0, match.start(1)) + 1
            for number in re.findall(r"G\d+", match.group(1)):
                yield file.path, line, number


@rule("guarantee-tested")
def guarantee_tested(tree: Tree):
    """Every guarantee that is not planned has a test whose name begins with its [number]."""
    concepts = tree.get(CONCEPTS)
    rows: Dict[str, Tuple[int, str]] = {}
    for number, line in enumerate(concepts.lines if concepts else [], 1):
        row = _ROW.match(line)
        if row:
            rows[row.group(1)] = (number, row.group(2))
    tested = set()
    for path, line, name in carried(tree):
        tested.add(name)
        if name not in rows:
            yield path, line, f"{CONCEPTS} has no guarantee {name}"
        elif rows[name][1] == "planned":
            yield path, line, f"{CONCEPTS} says of {name} that it is planned"
    for name, (number, state) in rows.items():
        if state != "planned" and name not in tested:
            yield CONCEPTS, number, f"no test carries [{name}] at the beginning of its name"
