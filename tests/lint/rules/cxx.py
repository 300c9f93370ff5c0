"""C++ text with comments and literals masked, its string literals and its includes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import List

# A number is a token of its own so that the quote in 1'000 opens no character literal.
_TOKEN = re.compile(
    r"""(?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))
      |(?P<raw>\b(?:u8|[uUL])?R"(?P<tag>[^()\\\s"]{0,16})\((?P<rawbody>.*?)\)(?P=tag)")
      |(?P<string>"(?P<body>(?:[^"\\\n]|\\.)*)")
      |(?P<number>\b\d[\w.]*(?:'[\w.]+)+)
      |(?P<char>'(?:[^'\\\n]|\\.)+')""",
    re.VERBOSE | re.DOTALL,
)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
_NOT_NEWLINE = re.compile(r"[^\n]")


def blank(text: str) -> str:
    """Spaces in place of everything but line ends, so that offsets and lines stay."""
    return _NOT_NEWLINE.sub(" ", text)


@dataclass(frozen=True)
class Literal:
    """A string literal, or several that the compiler joins."""

    offset: int
    value: str


@dataclass(frozen=True)
class Include:
    """One #include: the line, the name, and whether it was written in angle brackets."""

    line: int
    name: str
    angled: bool


class Source:
    """The views of one C++ text; all have its length and its line ends."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def _masked(self):
        code, uncommented, literals = [], [], []
        last = 0
        for match in _TOKEN.finditer(self.text):
            token, start = match.group(), match.start()
            if match.group("number"):
                continue
            gap = self.text[last:start]
            last = match.end()
            code.append(gap)
            uncommented.append(gap)
            if match.group("comment"):
                code.append(blank(token))
                uncommented.append(blank(token))
                continue
            uncommented.append(token)
            # The quotes stay: an empty pair still tells a literal from nothing.
            code.append(token[0] + blank(token[1:-1]) + token[-1])
            if match.group("char") is None:
                value = match.group("rawbody") if match.group("raw") else match.group("body")
                literals.append((start, last, value))
        code.append(self.text[last:])
        uncommented.append(self.text[last:])
        return "".join(code), "".join(uncommented), literals

    @property
    def code(self) -> str:
        """Comments and the insides of literals are spaces."""
        return self._masked[0]

    @property
    def uncommented(self) -> str:
        """Comments are spaces, literals stand."""
        return self._masked[1]

    @cached_property
    def bare(self) -> str:
        """`code` without preprocessor lines."""
        return _DIRECTIVE.sub(lambda m: blank(m.group()), self.code)

    @cached_property
    def literals(self) -> List[Literal]:
        """String literals, neighbours joined as the compiler joins them."""
        joined: List[list] = []
        for start, end, value in self._masked[2]:
            if joined and not self.code[joined[-1][1] : start].strip():
                joined[-1][1] = end
                joined[-1][2] += value
            else:
                joined.append([start, end, value])
        return [Literal(start, value) for start, _, value in joined]

    @cached_property
    def includes(self) -> List[Include]:
        text = self.uncommented
        return [
            Include(text.count("\n", 0, m.start()) + 1, m.group(1) or m.group(2), bool(m.group(1)))
            for m in _INCLUDE.finditer(text)
        ]
