"""Words that must not stay in the text. Written so that this file does not contain them."""

from __future__ import annotations

import re

from . import tables
from .registry import rule
from .tree import Tree

_LEFTOVER = re.compile(r"\b(FIXM[E]|XX[X]|HAC[K])\b")
_TODO = re.compile(r"\bTOD[O]\b(?!\([a-z][a-z0-9_-]*\))")


@rule("leftover-mark")
def leftover_mark(tree: Tree):
    """No leftover mark in code: settle it, or write a to-do with its kind, as in (perf)."""
    for file in tree.code():
        for number, line in enumerate(file.lines, 1):
            left = _LEFTOVER.search(line)
            if left:
                yield file.path, number, f"{left.group(1)}: settle it, or file an issue"
            todo = _TODO.search(line)
            if todo:
                mark = todo.group()
                yield file.path, number, f"{mark} without a kind: write {mark}(perf)"


_PATH = re.compile(r"/(?:wor[k]/|roo[t]/|hom[e]/[A-Za-z][\w.-]*)")
# A path, not a part of a longer one and not a host: file:///… counts, https://host/… does not.
_LONGER = re.compile(r"(?<!:/)[\w.~})\]>/*-]\Z")
_HOST = re.compile(
    r"\b(?:(?:deb|security|snapshot|ftp)\.debian\.or[g]|(?:archive|ports|security)\.ubuntu\.co[m]"
    r"|pypi\.or[g]|files\.pythonhosted\.or[g]|registry\.npmjs\.or[g]|proxy\.golang\.or[g]"
    r"|static\.crates\.i[o]|index\.crates\.i[o])\b"
)


@rule("machine-trace", allowable=True)
def machine_trace(tree: Tree):
    """No text names a folder of one machine or a package host (scripts/setup may)."""
    for file in tree:
        if not file.is_text:
            continue
        hosts = not file.under(*tables.HOSTS_ALLOWED)
        for pattern, wanted in ((_PATH, True), (_HOST, hosts)):
            for match in pattern.finditer(file.text) if wanted else ():
                before = file.text[max(0, match.start() - 3) : match.start()]
                if pattern is _PATH and _LONGER.search(before):
                    continue
                yield file.path, file.line_at(match.start()), (
                    f"`{match.group()}` is of one machine: use a relative or a temporary path"
                    if pattern is _PATH
                    else f"`{match.group()}`: only scripts/setup names package hosts"
                )


_ORIGIN = re.compile(
    r"(?i:\bas an A[I]\b|\blanguage mode[l]s?\b|\bco-authored-b[y]\b)|\bGenerated wit[h]\b"
)


@rule("origin-phrase")
def origin_phrase(tree: Tree):
    """The text speaks of the project, never of how the text was made."""
    for file in tree:
        if not file.is_text:
            continue
        for match in _ORIGIN.finditer(file.text):
            yield file.path, file.line_at(match.start()), f"remove `{match.group()}`"
