#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operations of different classes that meet as processes, seen in their logs as operators do.

usage: locks_test.py ARTCACHE
"""
import json
import re
import signal
import sqlite3
import sys
import tempfile
import unittest
from pathlib import Path

import cli_test
from cli_test import run

FILES = 3000
# What the operators of the seeds look for in the log.
SEEN = re.compile("lock.*skip|lock.*acquired", re.IGNORECASE)
GIVEN_UP = "Lock given up to a higher operation"


class Meetings(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name)
        self.database = path / "i.db"
        self.assertEqual(run("sample", path / "store", FILES, "--no-data").returncode, 0)
        self.index = ["--index", f"sqlite://{self.database}", "--element", "se-01"]
        self.both = ["--storage", f"file://{path}/store", *self.index]
        self.assertEqual(run("rebuild", *self.both, "-q").returncode, 0)

    def expire(self):
        with sqlite3.connect(self.database) as index:
            index.execute("UPDATE entry_1 SET refreshed_at = 0")
        index.close()

    def expired(self):
        return json.loads(run("check", *self.both, "--json").stdout)["expired_cache_count"]

    def begin(self, verb, *more):
        """A run that takes its time, as soon as it has its lock."""
        return cli_test.begin(self, verb, *self.both, "-v", *more, until=SEEN)

    def end(self, process):
        """Of one that would last for minutes, so that it is there however slow the others are."""
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.wait()
        return rest

    def held(self):
        return [one["lock_type"] for one in
                json.loads(run("locks", "list", *self.index, "--json").stdout)]

    def test_a_rebuild_in_the_middle_of_a_cleanup_comes_first_and_the_cleanup_goes_on(self):
        self.expire()
        slow = self.begin("cleanup", "--files-per-second", "200")
        self.assertEqual(self.held(), ["background_cleanup"])
        done = run("rebuild", *self.both, "-v")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, SEEN)
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 0, rest)
        self.assertIn(GIVEN_UP, rest)
        self.assertRegex(rest, SEEN)
        self.assertEqual(self.held(), [])
        self.assertEqual(self.expired(), 0)

    def test_a_check_in_the_middle_of_a_cleanup_comes_first_and_the_cleanup_goes_on(self):
        self.expire()
        slow = self.begin("cleanup", "--files-per-second", "200")
        done = run("check", *self.both, "-v")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, SEEN)
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 0, rest)
        self.assertIn(GIVEN_UP, rest)
        self.assertEqual(self.expired(), 0)

    def test_while_a_rebuild_runs_checks_and_cleanups_are_busy_at_once(self):
        slow = self.begin("rebuild", "--files-per-second", "20")
        for verb in ("check", "cleanup", "rebuild"):
            refused = run(verb, *self.both, "-v")
            self.assertEqual(refused.returncode, 3, refused.stderr)
            self.assertIn("manual_rebuild is held by", refused.stderr)
        # Whoever forgets whose lock it is learns that.
        wrong = run("locks", "break", "manual_rebuild", *self.index[:2], "--element", "other")
        self.assertEqual(wrong.returncode, 4, wrong.stderr)
        self.assertIn("it is held for 'se-01': --element se-01", wrong.stderr)
        self.assertNotIn(GIVEN_UP, self.end(slow))
        self.assertEqual(run("check", *self.both, "-q").returncode, 0)

    def test_who_names_no_element_uses_that_of_the_index_and_who_names_another_is_refused(self):
        nameless = self.both[:-2]
        slow = self.begin("rebuild", "--files-per-second", "20")
        refused = run("check", *nameless)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn("manual_rebuild is held by", refused.stderr)
        for verb in ("check", "rebuild", "cleanup"):
            other = run(verb, *nameless, "--element", "other")
            self.assertNotEqual(other.returncode, 0)
            self.assertIn("this is the index of element 'se-01', not of 'other'", other.stderr)
            self.assertIn("artcache locks rename other", other.stderr)
        self.assertEqual(run("locks", "rename", "other", *self.index[:2]).returncode, 3)
        self.end(slow)
        bad = run("locks", "rename", "not a name", *self.index[:2])
        self.assertIn("letters, digits", bad.stderr)
        self.assertEqual(run("locks", "rename", "other", *self.index[:2]).returncode, 0)
        self.assertIn("not of 'se-01'", run("check", *self.both).stderr)
        self.assertEqual(run("check", *nameless, "--element", "other", "-q").returncode, 0)
        told = run("check", *nameless, "-v")
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("element_id=other", told.stderr)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
