"""How a C++ file begins."""

from __future__ import annotations

import posixpath
import re

from .registry import rule
from .tree import Tree

LICENCE = "// SPDX-License-Identifier: Apache-2.0"
_PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once\b", re.MULTILINE)
_USING = re.compile(r"\busing\s+namespace\b")


@rule("licence-line")
def licence_line(tree: Tree):
    """The first line of every C++ and C file is its SPDX licence line."""
    for file in tree.cxx():
        if not file.name.endswith(".inc") and (not file.lines or file.lines[0] != LICENCE):
            yield file.path, 1, f"make `{LICENCE}` the first line"


@rule("pragma-once")
def pragma_once(tree: Tree):
    """Every header has #pragma once."""
    for file in tree.cxx():
        if file.is_header and not _PRAGMA.search(file.cxx.code):
            yield file.path, 1, "add `#pragma once` below the licence line"


@rule("using-namespace")
def using_namespace(tree: Tree):
    """No header says `using namespace`: it would say it for everyone who includes it."""
    for file in tree.cxx():
        if not file.is_header:
            continue
        for match in _USING.finditer(file.cxx.code):
            yield file.path, file.line_at(match.start()), "name what is used instead"


@rule("own-header-first")
def own_header_first(tree: Tree):
    """A .cpp includes its own header first, which proves that the header stands alone."""
    for file in tree.cxx():
        if not file.name.endswith(".cpp"):
            continue
        own = posixpath.splitext(file.name)[0] + ".hpp"
        includes = file.cxx.includes
        names = [include.name for include in includes]
        if posixpath.join(file.folder, own) in tree:
            beside = posixpath.join(file.folder, own)
            expected = [n for n in names if beside.endswith("/" + posixpath.normpath(n))]
        else:
            # The public header of src/core/x.cpp is include/artcache/x.hpp, if it uses one.
            expected = [n for n in names if n == f"artcache/{own}" and file.under("src/")]
            if not expected:
                continue
        if not expected or names[0] != expected[0]:
            line = includes[0].line if includes else 1
            yield file.path, line, f"include its own header {own} first"
