"""Scripts stop at the first error, and commands can be run."""

from __future__ import annotations

import re
from typing import Iterator

from . import tables
from .registry import rule
from .tree import File, Tree

_SOURCE = re.compile(r"""^\s*(?:source|\.)\s.*?([\w.-]+)["']?\s*$""", re.MULTILINE)
_SET = re.compile(r"^\s*set\s+-(\w+)", re.MULTILINE)


def _is_strict(text: str) -> bool:
    return any({"e", "u"} <= set(flags) for flags in _SET.findall(text))


def _sourced(tree: Tree, file: File) -> Iterator[File]:
    """The scripts a script reads in. Their folder is computed, so the file's name must do."""
    names = set(_SOURCE.findall(file.text))
    return (f for f in tree if f.name in names and f.is_shell)


@rule("shell-strict")
def shell_strict(tree: Tree):
    """Every script with an sh or bash shebang says `set -eu` (or -euo pipefail), or sources it."""
    for file in tree:
        if not file.shebang or not file.is_shell:
            continue
        if not _is_strict(file.text) and not any(
            _is_strict(sourced.text) for sourced in _sourced(tree, file)
        ):
            yield file.path, 1, "say `set -eu` (bash: `set -euo pipefail`) below the shebang"


@rule("shell-executable")
def shell_executable(tree: Tree):
    """Every file with a shebang in scripts/, .ci/ or tests/services/services is executable."""
    for file in tree:
        if not (file.under(*tables.COMMAND_FOLDERS) or file.path in tables.COMMANDS):
            continue
        if file.shebang and not file.is_executable:
            yield file.path, 1, f"a command must be executable: chmod +x {file.path}"
