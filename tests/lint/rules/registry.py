"""What a rule and a finding are, and the list of all rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule at one line; `symbol` is the function it is about, where there is one."""

    path: str
    line: int
    rule: str
    message: str
    symbol: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Rule:
    """A named check over a tree. Only an allowable one may be waived in allow.txt."""

    name: str
    doc: str
    check: Callable[..., Iterator]
    allowable: bool

    def run(self, tree) -> Iterator[Finding]:
        for hit in self.check(tree):
            path, line, message, *symbol = hit
            yield Finding(path, line, self.name, message, *symbol)


RULES: Dict[str, Rule] = {}


def rule(name: str, allowable: bool = False):
    """Register a generator of (path, line, message[, symbol]); its docstring is its --list line."""

    def register(check):
        doc = " ".join((check.__doc__ or "").split())
        if not doc or name in RULES:
            raise ValueError(f"rule {name} needs a docstring and a name of its own")
        RULES[name] = Rule(name, doc, check, allowable)
        return check

    return register
