"""What a public header must not ask of its callers."""

from __future__ import annotations

import re
from typing import Iterator, List

from . import functions
from .registry import rule
from .tree import File, Tree

_BOOL = re.compile(r"^(?:const\s+|volatile\s+)*bool(?:\s+const)?\s*[&*]*\s*(?:const\s+)?(\w*)$")
_SETTER = re.compile(r"(?:^|::)set_\w+$")


def split_parameters(text: str) -> List[str]:
    """The parameters of a list, split at its own commas only."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "<([{") - (char in ">)]}")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return parts + [text[start:]]


def _bool_parameters(file: File) -> Iterator[tuple]:
    code = file.cxx.bare
    for head, start, end in functions.walk(file.cxx).lists:
        before = functions.strip_template(functions.without_access(code[head:start]))
        name = re.search(r"((?:\w+\s*::\s*)*(?:operator.*|~?\w+))\s*$", before, re.DOTALL)
        word = name.group(1) if name else ""
        # `= f(…)` initializes, `noexcept(…)` asks; `<…(` is a function type as an argument.
        if not name or word in functions.NOT_NAMES or before.count("<") > before.count(">"):
            continue
        if "=" in before and not word.startswith("operator"):
            continue
        at = start + 1
        for parameter in split_parameters(code[start + 1 : end]):
            declared = functions.ATTRIBUTE.sub("", parameter.split("=")[0]).strip()
            match = _BOOL.match(declared)
            if match and not _SETTER.search(word):
                yield word, at + len(parameter) - len(parameter.lstrip()), match.group(1)
            at += len(parameter) + 1


@rule("bool-parameter", allowable=True)
def bool_parameter(tree: Tree):
    """No function of a public header takes a bool: at the call `true` says nothing."""
    for file in tree.cxx("include/artcache/"):
        if not file.is_header or not re.search(r"\bbool\b", file.cxx.bare):
            continue
        for function, offset, parameter in _bool_parameters(file):
            shown = f"`{parameter}` of {function}" if parameter else f"a parameter of {function}"
            yield file.path, file.line_at(offset), (
                f"{shown} is a bool: take an enum or an options struct"
            ), function
