"""Every source file is built."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import FrozenSet

from . import tables
from .registry import rule
from .tree import File, Tree

_COMMENT = re.compile(r"#\[(=*)\[.*?\]\1\]|#[^\n]*", re.DOTALL)
_SPLIT = re.compile(r"[\s()\";]+")
_VARIABLE = re.compile(r"^\$\{(\w+)\}/")
_TOP = {"PROJECT_SOURCE_DIR", "CMAKE_SOURCE_DIR", "artcache_SOURCE_DIR"}
_BUILT = ("src/", "daemon/", "tests/", "examples/")


def words(file: File) -> list:
    """The words of a CMake file without its comments."""
    return [w for w in _SPLIT.split(_COMMENT.sub(" ", file.text)) if w]


@lru_cache(maxsize=None)
def _named(file: File) -> FrozenSet[str]:
    """What a CMakeLists.txt names, as paths from the root or as plain file names."""
    found = set()
    for word in words(file):
        variable = _VARIABLE.match(word)
        base = file.folder
        if variable:
            word = word[variable.end() :]
            base = "" if variable.group(1) in _TOP else base
        elif "/" not in word:
            found.add(word)
        found.add(posixpath.normpath(posixpath.join(base, word)))
    return frozenset(found)


@rule("cmake-names-source")
def cmake_names_source(tree: Tree):
    """Every .cpp and .c is named in the CMakeLists.txt of its folder or of one above it."""
    for file in tree.cxx(*_BUILT):
        if not file.name.endswith((".cpp", ".c", ".cc")):
            continue
        if file.under(*tables.CMAKE_EXCEPTIONS):
            continue
        folder, named = file.folder, False
        while not named:
            lists = tree.get(posixpath.join(folder, "CMakeLists.txt"))
            named = bool(lists) and bool({file.path, file.name} & _named(lists))
            if not folder:
                break
            folder = posixpath.dirname(folder)
        if not named:
            yield file.path, 1, (
                f"no CMakeLists.txt names this file, so nothing builds it: add it to "
                f"{file.folder}/CMakeLists.txt or delete it"
            )
