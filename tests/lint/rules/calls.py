"""What the library never calls, and what our oldest compiler does not have."""

from __future__ import annotations

import re

from .registry import rule
from .tree import Tree

_NAMES = (
    r"abort|exit|_exit|_Exit|quick_exit|terminate|setlocale|setenv|unsetenv|putenv|clearenv"
    r"|signal|sigaction|printf|vprintf|wprintf|puts|putchar|perror|print|println"
)
_CALL = re.compile(rf"\b({_NAMES})\s*\(")
# The address of one, too: `std::set_new_handler(std::abort)`.
_STD = re.compile(
    rf"\b(?:std|fmt)\s*::\s*({_NAMES}|cout|cerr|clog|wcout|wcerr|wclog|locale\s*::\s*global)\b"
)
_STREAM = re.compile(r"\b(stderr|stdout|STDERR_FILENO|STDOUT_FILENO)\b")
# Members (`x.signal(`, `p->exit(`) and names of other scopes (`Job::exit(`) are somebody else's.
_QUALIFIER = re.compile(r"(\.|->|~|(?:(\w+)\s*)?::)\s*$")
_WORD_BEFORE = re.compile(r"([A-Za-z_]\w*|[>*&])\s*$")
_STATEMENT_WORDS = {"return", "else", "do", "co_return", "co_await", "co_yield", "throw", "case"}

_INSTEAD = {
    "setlocale": "the locale is the host's",
    "setenv": "the environment is the host's",
    "unsetenv": "the environment is the host's",
    "putenv": "the environment is the host's",
    "clearenv": "the environment is the host's",
    "signal": "signal dispositions are the host's",
    "sigaction": "signal dispositions are the host's",
    "abort": "return an Error (internal for a bug)",
    "terminate": "return an Error (internal for a bug)",
    "exit": "return an Error; the host decides when it ends",
    "_exit": "return an Error; the host decides when it ends",
    "_Exit": "return an Error; the host decides when it ends",
    "quick_exit": "return an Error; the host decides when it ends",
}


def _is_ours(code: str, start: int) -> bool:
    """Whether the name at `start` is a member, a declaration or of a scope of ours."""
    before = code[max(0, start - 80) : start].rstrip()
    qualifier = _QUALIFIER.search(before)
    if qualifier:
        scope = qualifier.group(2)
        # `std::x` is found by its own pattern; `return ::x(` has a keyword for a scope.
        if qualifier.group(1) in (".", "->", "~") or (scope and scope not in _STATEMENT_WORDS):
            return True
        before = before[: qualifier.end() - 2].rstrip()
        if not scope:
            return False
    # `void signal(int)` declares a name of ours; `return exit(1)` calls the other one.
    word = _WORD_BEFORE.search(before)
    return bool(word) and word.group(1) not in _STATEMENT_WORDS


@rule("banned-call")
def banned_call(tree: Tree):
    """The library never prints, aborts, exits, or changes signals, locale or environment."""
    for file in tree.cxx("src/", "include/"):
        code = file.cxx.code
        hits = {}
        for pattern in (_CALL, _STREAM):
            for match in pattern.finditer(code):
                if not _is_ours(code, match.start(1)):
                    hits[match.start(1)] = match.group(1)
        for match in _STD.finditer(code):
            hits[match.start(1)] = match.group(1)
        for offset, name in sorted(hits.items()):
            instead = _INSTEAD.get(name, "report through Logger or the Result")
            yield file.path, file.line_at(offset), f"`{name}` has no place in a library: {instead}"


_FEATURES = (
    (r"\bstd\s*::\s*v?format(?:_to|_to_n|ted_size)?\b", "std::format", "use fmt in src/util"),
    (r"\bstd\s*::\s*source_location\b", "std::source_location", "use __FILE__ and __LINE__"),
    (r"\bstd\s*::\s*expected\b", "std::expected", "use artcache::Result"),
    (r"\bstd\s*::\s*unexpected\b", "std::unexpected", "use artcache::Result"),
    (r"\bviews\s*::", "range views", "write the loop"),
)
_FEATURE_PATTERNS = tuple((re.compile(p), name, instead) for p, name, instead in _FEATURES)
_FEATURE_HEADERS = {
    "format": "use fmt in src/util",
    "source_location": "use __FILE__ and __LINE__",
    "expected": "use artcache::Result",
    "ranges": "range algorithms are in <algorithm>; for a view write the loop",
}


@rule("banned-feature")
def banned_feature(tree: Tree):
    """No std::format, std::source_location, std::expected or range views: clang 14 lacks them."""
    for file in tree.cxx():
        for include in file.cxx.includes:
            if include.angled and include.name in _FEATURE_HEADERS:
                instead = _FEATURE_HEADERS[include.name]
                yield file.path, include.line, f"<{include.name}> fails on clang 14: {instead}"
        code = file.cxx.code
        if "std" not in code and "views" not in code:
            continue
        for pattern, name, instead in _FEATURE_PATTERNS:
            for match in pattern.finditer(code):
                line = file.line_at(match.start())
                yield file.path, line, f"{name} fails on clang 14: {instead}"
