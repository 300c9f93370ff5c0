"""Every command README.md shows is run by a test: `tests/lint/readme_commands.txt` says which."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Set, Tuple

from .cmake import words
from .registry import rule
from .tree import File, Tree

README = "README.md"
PATH = "tests/lint/readme_commands.txt"
_LANGUAGES = {"sh", "bash", "shell", "console"}
_OPEN = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+-]*)")
_ENTRY = re.compile(r"^(.*\S)\s+(?:→|->)\s+(\S+)\s+(\S+)$")
_TARGET = re.compile(r"^([^\s#:=.][^:=#\n]*?)\s*::?(?!=)", re.MULTILINE)


def _without_comment(line: str) -> str:
    """The command without a trailing `# remark` that stands in no quotes."""
    for match in re.finditer(r"(?:^|\s)#", line):
        before = line[: match.start()]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return before.strip()
    return line.strip()


def _blocks(file: File) -> Iterator[Tuple[str, List[Tuple[int, str]]]]:
    fence, language, lines = "", "", []
    for number, line in enumerate(file.lines, 1):
        mark = _OPEN.match(line)
        if not fence and mark:
            fence, language, lines = mark.group(1), mark.group(2).lower(), []
        elif fence and line.strip().startswith(fence):
            yield language, lines
            fence = ""
        elif fence:
            lines.append((number, line))


def commands(file: File) -> Iterator[Tuple[int, str]]:
    """(line, command) of each shown; in a console block only what follows a prompt `$ `."""
    for language, lines in _blocks(file):
        if language not in _LANGUAGES:
            continue
        pending, start = "", 0
        for number, line in lines:
            text = line.strip()
            prompt = text.startswith("$ ")
            if not pending and language == "console" and not prompt:
                continue
            text = pending + _without_comment(text[2:] if prompt else text)
            start = start if pending else number
            pending = ""
            if text.endswith("\\"):
                pending = text[:-1].rstrip() + " "
            elif text:
                yield start, text


def _tests(tree: Tree) -> Set[str]:
    """Names of tests: the word after NAME in any CMake file."""
    names: Set[str] = set()
    for file in tree:
        if file.is_cmake:
            found = words(file)
            names.update(after for word, after in zip(found, found[1:]) if word == "NAME")
    return names


def _targets(tree: Tree) -> Set[str]:
    makefile = tree.get("Makefile")
    if not makefile:
        return set()
    return {word for rule_ in _TARGET.findall(makefile.text) for word in rule_.split()}


@rule("readme-command")
def readme_command(tree: Tree):
    """Every command in README.md is in readme_commands.txt with the test or target that runs it."""
    readme, table = tree.get(README), tree.get(PATH)
    shown = list(commands(readme)) if readme else []
    runs: Dict[str, Set[str]] = {}
    listed = set()
    for number, line in enumerate(table.lines if table else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        entry = _ENTRY.match(line.strip())
        if not entry or entry.group(2) not in ("ctest", "make"):
            yield PATH, number, "write `command → ctest NAME` or `command → make TARGET`"
            continue
        command, kind, name = entry.groups()
        listed.add(command)
        if command not in {text for _, text in shown}:
            yield PATH, number, f"README.md does not show `{command}`: delete this line"
        if not runs:
            runs = {"ctest": _tests(tree), "make": _targets(tree)}
        if name not in runs[kind]:
            what = "test NAME in a CMakeLists.txt" if kind == "ctest" else "target in Makefile"
            yield PATH, number, f"there is no {what} called `{name}`"
    for number, command in shown:
        if command not in listed:
            yield README, number, f"no test runs `{command}`: add one and name it in {PATH}"
