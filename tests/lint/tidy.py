#!/usr/bin/env python3
"""The lint: rules over the text of a repository, run as a test. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a lint must not leave files in the tree it looks at
sys.path.insert(0, str(Path(__file__).resolve().parent))

import rules  # noqa: E402, F401  (fills the registry)
from rules import allow  # noqa: E402
from rules.registry import RULES  # noqa: E402
from rules.tree import Tree  # noqa: E402


def check(root: Path, names=None):
    """All findings under a root, waivers applied, and the number of files looked at."""
    tree = Tree(root)
    findings = [f for name in names or RULES for f in RULES[name].run(tree)]
    kept, _ = allow.waive(findings, allow.entries(tree))
    return sorted(set(kept)), len(tree.files)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description="Check the rules of the house over a tree.")
    default = Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=Path, default=default, help="the tree (default: this one)")
    parser.add_argument("--rule", metavar="NAME", help="run one rule only")
    parser.add_argument("--list", action="store_true", help="list the rules and stop")
    options = parser.parse_args(arguments)
    if options.list:
        width = max(map(len, RULES))
        for rule in RULES.values():
            print(f"{rule.name:{width}}  {rule.doc}")
        return 0
    if options.rule and options.rule not in RULES:
        parser.error(f"no rule is called {options.rule}; --list names them")
    if not options.root.is_dir():
        parser.error(f"{options.root} is no folder")
    findings, files = check(options.root.resolve(), [options.rule] if options.rule else None)
    for finding in findings:
        print(finding)
    print(f"tidy: {files} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
