"""The waivers of tests/lint/allow.txt: `rule path[:function]  reason`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Tuple

from .registry import RULES, Finding, rule
from .tree import Tree

PATH = "tests/lint/allow.txt"


@dataclass(frozen=True)
class Entry:
    """One waiver, as written."""

    line: int
    rule: str
    path: str
    symbol: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        if (self.rule, self.path) != (finding.rule, finding.path):
            return False
        symbol = finding.symbol
        return symbol == self.symbol or bool(self.symbol and symbol.endswith("::" + self.symbol))


def entries(tree: Tree) -> List[Entry]:
    file = tree.get(PATH)
    found = []
    for number, line in enumerate(file.lines if file else [], 1):
        words = line.split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        name, where, reason = (words + ["", ""])[:3]
        path, _, symbol = where.partition(":")
        found.append(Entry(number, name, path, symbol, reason.strip()))
    return found


def waive(findings: Iterable[Finding], waivers: List[Entry]) -> Tuple[List[Finding], set]:
    """The findings no waiver covers, and the waivers that covered one."""
    kept, used = [], set()
    for finding in findings:
        covering = [w for w in waivers if w.covers(finding) and RULES[w.rule].allowable]
        used.update(covering)
        if not covering:
            kept.append(finding)
    return kept, used


@rule("allow-list")
def allow_list(tree: Tree):
    """Every waiver in tests/lint/allow.txt has a reason and is still needed."""
    waivers = entries(tree)
    findings = [
        finding
        for name in {w.rule for w in waivers if w.rule in RULES and RULES[w.rule].allowable}
        for finding in RULES[name].run(tree)
    ]
    used = waive(findings, waivers)[1]
    allowable = ", ".join(sorted(r.name for r in RULES.values() if r.allowable))
    for entry in waivers:
        if entry.rule not in RULES or not RULES[entry.rule].allowable:
            yield PATH, entry.line, f"`{entry.rule}` cannot be waived; these can: {allowable}"
        elif not entry.reason:
            yield PATH, entry.line, "say the reason behind the path"
        elif entry not in used:
            where = entry.path + (f":{entry.symbol}" if entry.symbol else "")
            yield PATH, entry.line, f"{where} no longer breaks {entry.rule}: delete this line"
