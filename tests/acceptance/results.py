# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a file and keeps what came of them as a page, where ACCEPTANCE_REPORTS says."""

import os
import pathlib
import re
import subprocess
import sys
import time
import unittest
from datetime import date

NOTES = {}  # method of a test -> what it has measured


def note(test, text):
    """Of this test, for the page; it is printed at the end as well."""
    NOTES.setdefault(test.id(), []).append(text)


def table(rows):
    """Of (name, passed, remarks)."""
    lines = ["| step | result | remarks |", "|---|---|---|"]
    for name, passed, remarks in rows:
        text = "; ".join(remarks).replace("\n", " ").replace("|", "/")[:600]
        lines.append(f"| {name} | {'PASS' if passed else 'FAIL'} | {text} |")
    return "\n".join(lines) + "\n"


def keep(page, text):
    if folder := os.environ.get("ACCEPTANCE_REPORTS"):
        (pathlib.Path(folder) / page).write_text(text)


def version_of(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True,
                          check=False).stdout.strip()


class Rows(unittest.TextTestResult):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.rows, self.began = [], time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def row(self, test, passed):
        method = test.id().rpartition(".")[2].removeprefix("test_").replace("_", " ")
        notes = NOTES.get(test.id(), [])
        self.stream.writeln("".join(f"  {text}\n" for text in notes).rstrip())
        self.rows.append((re.sub(r"^(\d) (\d)", r"\1.\2", method), passed,
                          [*notes, f"{time.monotonic() - self.began:.1f} s"]))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.row(test, True)

    def addError(self, test, err):
        super().addError(test, err)
        self.row(test, False)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.row(test, False)


def main(program, page, title):
    """The tests of the program that runs, after whose three arguments may come those of unittest;
    never returns."""
    ended = unittest.main(argv=[sys.argv[0], *sys.argv[4:]], exit=False,
                          testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Rows))
    rows = ended.result.rows
    keep(page, f"# {title}\n\n{sum(row[1] for row in rows)} of {len(rows)} passed on "
         f"{date.today()} with {version_of(program)}: admin, three elements,\ningester and search "
         "on PostgreSQL, Redis and radosgw. `make acceptance` writes this page.\n\n" + table(rows))
    raise SystemExit(0 if rows and ended.result.wasSuccessful() else 1)
