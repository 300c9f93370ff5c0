"""Finds functions in C++ text by matching braces and looking at what stands before each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from .cxx import Source, blank

_MARK = re.compile(r"[{}();]")
_ACCESS = re.compile(r"\b(public|private|protected)\s*:(?!:)")
ATTRIBUTE = re.compile(r"\[\[.*?\]\]", re.DOTALL)
_TYPE = re.compile(r"^(?:typedef\s+)?(class|struct|union|enum)\b")
_SPACE = re.compile(r'^(?:inline\s+)?namespace\b|^extern\s*"[^"]*"$|^TEST_SUITE\b')
_REQUIRES = re.compile(r"\brequires\s*(?:\([^{}]*\))?\s*$")
_OPERATOR = re.compile(r"\boperator\s*(?:\(\s*\)|\[\s*\]|[^\w\s(]+)")
_ASSIGN = re.compile(r"(?<![=!<>+\-*/%&|^])=(?!=)")
_COLON = re.compile(r"(?<!:):(?!:)")
_NAME = re.compile(r"((?:~?\w+\s*(?:<[^()]*>)?\s*::\s*)*(?:operator.*|~?\w+))\s*$", re.DOTALL)
# Words whose parentheses come before a function's own.
NOT_NAMES = {
    "explicit", "decltype", "alignas", "noexcept", "requires", "__attribute__", "sizeof",
    "static_assert", "asm",
}  # fmt: skip
_CONTROL = re.compile(r"^(?:if|for|while|switch|do|else|try|catch)\b")
_TEMPLATE = re.compile(r"template\s*<")
_ALIGNED = re.compile(r"\balignas\s*\([^)]*\)|\b[A-Z_]+\([^)]*\)")
_LAST_WORD = re.compile(r"(\w+)$")
_CONDITIONAL = re.compile(r"^[ \t]*#[ \t]*(if|el|endif)", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One function with a body: its name as written and its first and last line."""

    name: str
    line: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.line + 1


@dataclass
class _Scope:
    """An open brace. `kind`: space, type, function, inner (counts to what is around) or part
    (a brace inside a head, such as a member initializer)."""

    kind: str
    head: int
    parens: int
    name: str = ""
    start: int = 0
    private: bool = False


def without_access(head: str) -> str:
    """The head with `public:` and the like masked."""
    if ":" not in head:
        return head
    return _ACCESS.sub(lambda m: blank(m.group()), head)


def strip_template(head: str) -> str:
    """The head with its attributes, leading template<…> and their requires clause masked."""
    if "[[" in head:
        head = ATTRIBUTE.sub(lambda m: blank(m.group()), head)
    while True:
        bare = head.lstrip()
        if not bare.startswith("template") or not _TEMPLATE.match(bare):
            return head
        end = _constraint_end(bare, _closing(bare, bare.index("<")) + 1)
        head = " " * (len(head) - len(bare) + end) + bare[end:]


def _closing(text: str, at: int) -> int:
    """The offset of the bracket that closes the one at `at`."""
    opening, closing = text[at], {"(": ")", "<": ">", "{": "}"}[text[at]]
    depth = 0
    for at in range(at, len(text)):
        depth += (text[at] == opening) - (text[at] == closing)
        if depth == 0:
            break
    return at


def _constraint_end(text: str, at: int) -> int:
    """Where a requires clause ends: terms of names, <…>, (…) and requires(…){…} joined by && ||."""
    join = re.compile(r"\s*requires\b(?!\s*[({])|\s*requires(?=\s*\()").match(text, at)
    while join:
        at = join.end()
        inner = re.compile(r"\s*!?\s*requires\b").match(text, at)
        name = inner or re.compile(r"\s*!?\s*(?:::)?\w*(?:\s*::\s*\w+)*").match(text, at)
        at = name.end() if name else at
        bracket = re.compile(r"\s*[<({]" if not inner else r"\s*[({]").match(text, at)
        while bracket:
            opened = text[bracket.end() - 1]
            at = _closing(text, bracket.end() - 1) + 1
            more = r"\s*::\s*\w+" if opened == "<" else r"\s*\{" if inner else r"(?!)"
            follow = re.compile(more).match(text, at)
            bracket = None
            if follow and inner:
                bracket = follow
            elif follow:
                at = follow.end()
        join = re.compile(r"\s*(?:&&|\|\|)").match(text, at)
    return at


def parameter_list(head: str) -> Optional[int]:
    """The offset of the parenthesis that opens a function's parameters."""
    operator = _OPERATOR.search(head) if "operator" in head else None
    at = head.find("(", operator.end() if operator else 0)
    while at >= 0:
        before = _LAST_WORD.search(head[:at].rstrip()[-60:])
        inside = head[:at].replace("->", "  ")
        # The parenthesis of std::function<void(int)> opens no parameters of ours.
        template = inside.count("<") > inside.count(">")
        if operator or (before and before.group(1) not in NOT_NAMES and not template):
            return at
        at = head.find("(", _closing(head, at) + 1)
    return None


def _top_level(head: str) -> str:
    """The head with everything inside parentheses and braces masked."""
    if "(" not in head and "{" not in head:
        return head
    out, depth = [], 0
    for char in head:
        if char in ")}":
            depth -= 1
        out.append(char if depth <= 0 or char == "\n" else " ")
        if char in "({":
            depth += 1
    return "".join(out)


@dataclass(frozen=True)
class _Head:
    """What a head declares: the kind of scope and, for a function, its name and where it is."""

    kind: str
    name: str = "?"
    offset: int = 0


def _mask_operator(plain: str, sign: str) -> str:
    """`plain` with `sign` taken out of operator names, where it means nothing."""
    if "operator" not in plain:
        return plain
    return _OPERATOR.sub(lambda m: m.group().replace(sign, "~"), plain)


def _variable(plain: str) -> Optional[_Head]:
    """A head that initializes something: a function only if that is a lambda."""
    masked = _mask_operator(plain, "=")
    assign = _ASSIGN.search(_top_level(masked)) if "=" in masked else None
    if not assign:
        return None
    if plain[assign.end() :].lstrip().startswith("["):
        name = re.search(r"(\w+)\s*$", plain[: assign.start()])
        if name:
            return _Head("function", name.group(1), name.start(1))
    return _Head("inner")


def _classify(head: str) -> _Head:
    """What the brace behind a head opens, outside of functions."""
    plain = strip_template(without_access(head))
    text = plain.strip()
    if _SPACE.match(text):
        return _Head("space")
    kind = _TYPE.match(text)
    if kind and "(" not in _ALIGNED.sub("", text):
        return _Head("inner" if kind.group(1) == "enum" else "type")
    if "requires" in text and _REQUIRES.search(text):
        return _Head("part")
    if _CONTROL.match(text):
        return _Head("inner")
    variable = _variable(plain)
    if variable:
        return variable
    at = parameter_list(plain)
    if at is None:
        return _Head("inner")
    # Names end where the parameters begin; looking back 300 characters is enough for one.
    end = len(plain[:at].rstrip())
    name = _NAME.search(plain, max(0, end - 300), end)
    if not name:
        return _Head("inner")
    # After `: member_` a brace initializes it; the body follows a closing bracket.
    ended = text.endswith((")", "}", "..."))
    if not ended and _COLON.search(_top_level(_mask_operator(plain, ":")[at:])):
        return _Head("part")
    return _Head("function", "".join(name.group(1).split()), name.start(1))


class _Walker:
    """One pass over the braces of a text."""

    def __init__(self, code: str, text: str):
        self.code, self.text = code, text
        self.stack = [_Scope("space", 0, 0)]
        self.head = self.parens = 0
        self.balanced = True
        self.functions: List[Function] = []
        # Outermost parentheses in no function body and no private part: (head, open, close).
        self.lists: List[Tuple[int, int, int]] = []
        self._list_start = 0

    def walk(self) -> "_Walker":
        steps = {"{": self._open, "}": self._close, "(": self._paren, ")": self._paren_end}
        for match in _MARK.finditer(self.code):
            if self.stack[-1].kind == "type" and self.parens == 0:
                self._note_access(match.start())
            step = steps.get(match.group())
            if step:
                step(match.start())
            elif self.parens == 0:
                self.head = match.end()
        self.balanced = self.balanced and len(self.stack) == 1
        return self

    def _note_access(self, at: int) -> None:
        for label in _ACCESS.findall(self.code, self.head, at):
            self.stack[-1].private = label == "private"

    def _declares(self) -> bool:
        return self.stack[-1].kind in ("space", "type")

    def _paren(self, at: int) -> None:
        if self.parens == 0:
            self._list_start = at
        self.parens += 1

    def _paren_end(self, at: int) -> None:
        self.parens = max(0, self.parens - 1)
        if self.parens == 0 and self._declares() and not self.stack[-1].private:
            self.lists.append((self.head, self._list_start, at))

    def _open(self, at: int) -> None:
        around = self.stack[-1].kind
        what = _Head("inner")
        scope = _Scope("inner", self.head, self.parens)
        if self.parens or around == "part":
            what = _Head("part")
        elif around in ("space", "type"):
            head = self.code[self.head : at]
            # Masked comments are spaces, often many: skip those in front once and for all.
            bare = head.lstrip()
            what = _classify(bare)
            scope.start = self.head + len(head) - len(bare) + what.offset
        scope.kind = what.kind
        if what.kind == "function":
            scope.name = self._test_name(what.name, scope.start)
        self.stack.append(scope)
        if what.kind != "part":
            self.head, self.parens = at + 1, 0

    def _test_name(self, name: str, offset: int) -> str:
        """TEST_CASE("a sentence") is called a-sentence, so that allow.txt can name it."""
        if not name.isupper():
            return name
        title = re.match(r'\w+\s*\(\s*"((?:[^"\\\n]|\\.)*)"', self.text[offset : offset + 400])
        return "-".join(re.findall(r"\w+", title.group(1))) if title else name

    def _close(self, at: int) -> None:
        if len(self.stack) == 1:
            self.balanced = False
            return
        scope = self.stack.pop()
        self.parens = scope.parens
        if scope.kind == "part":
            return
        self.head = at + 1
        if scope.kind == "function":
            line = self.code.count("\n", 0, scope.start) + 1
            self.functions.append(Function(scope.name, line, self.code.count("\n", 0, at) + 1))


def _first_branches(code: str, directives: str) -> str:
    """Keep the first branch of each #if, for texts whose branches open a brace each."""
    out, keep = [], []
    for line, shown in zip(directives.split("\n"), code.split("\n")):
        word = _CONDITIONAL.match(line)
        if word and word.group(1) == "if":
            keep.append(True)
        elif word and word.group(1) == "el" and keep:
            keep[-1] = False
        elif word and keep:
            keep.pop()
        out.append(shown if all(keep) else blank(shown))
    return "\n".join(out)


def walk(source: Source) -> _Walker:
    walker = _Walker(source.bare, source.text).walk()
    if walker.balanced:
        return walker
    return _Walker(_first_branches(source.bare, source.code), source.text).walk()


def functions(source: Source) -> List[Function]:
    """All functions with a body; lambdas and local classes count to the function around them."""
    return walk(source).functions
