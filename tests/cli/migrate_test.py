#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An index that an older artcache made, and the verb that brings it up to date.

usage: migrate_test.py ARTCACHE
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cli_test
from cli_test import run


class Migrating(unittest.TestCase):
    """`artcache migrate`, on an index made to look as an older artcache left it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "index.db"
        self.index = ("--index", f"sqlite://{self.file}")
        self.both = ("--storage", f"file://{folder.name}/files", *self.index)
        run("sample", Path(folder.name) / "files", 40, check=0)
        run("rebuild", *self.both, "-q", check=0)

    def sql(self, text):
        database = sqlite3.connect(self.file)
        try:
            with database:
                for one in text.split(";"):
                    rows = database.execute(one).fetchall()
            return rows
        finally:
            database.close()

    def become_old(self):
        self.sql("DROP TABLE touched; ALTER TABLE head DROP COLUMN boot;"
                 "UPDATE schema SET version = 1, reader = 1, writer = 1")

    def test_an_older_index_is_left_as_it_is_until_it_is_migrated(self):
        listed = run("list", *self.index, "--json", check=0).stdout
        self.become_old()
        for verb in (["list", *self.index], ["rebuild", *self.both, "-q"]):
            refused = run(*verb, check=1)
            self.assertIn("unsupported", refused.stderr)
            self.assertIn("run 'artcache migrate'", refused.stderr)
        self.assertEqual(self.sql("SELECT version FROM schema"), [(1,)])
        self.assertIn("migrated from schema 1 to 3", run("migrate", *self.index, check=0).stdout)
        self.assertEqual(run("list", *self.index, "--json", check=0).stdout, listed)
        run("doctor", *self.index, check=0)
        again = json.loads(run("migrate", *self.index, "--json", check=0).stdout)
        self.assertEqual(again, {"schema_before": 3, "schema": 3})

    def test_several_may_do_it_at_once(self):
        self.become_old()
        all_of_them = [subprocess.Popen([cli_test.PROGRAM, "migrate", *self.index], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                       for _ in range(6)]
        for one in all_of_them:
            out, err = one.communicate(timeout=cli_test.PATIENCE)
            self.assertEqual((one.returncode, err), (0, ""), out)
        self.assertEqual(self.sql("SELECT version, reader, writer FROM schema"), [(3, 3, 3)])
        run("doctor", *self.index, check=0)

    def test_what_is_not_there_or_newer_or_of_another_kind_is_named_and_left_alone(self):
        missing = run("migrate", "--index", f"sqlite://{self.file}.other", check=4)
        self.assertIn("not_found", missing.stderr)
        self.assertFalse(Path(f"{self.file}.other").exists())
        self.assertIn("made anew", run("migrate", "--index", "mem:", check=1).stderr)
        self.sql("UPDATE schema SET version = 9, reader = 9, writer = 9")
        newer = run("migrate", *self.index, check=1)
        self.assertIn("newer artcache", newer.stderr)
        self.assertEqual(self.sql("SELECT version FROM schema"), [(9,)])

    def test_after_an_unclean_stop_doctor_asks_for_a_rebuild_and_that_ends_it(self):
        for rebuild in (["rebuild"], ["rebuild", "--incremental"]):
            run("doctor", *self.index, check=0)
            self.assertEqual(self.sql("SELECT boot FROM head"), [(None,)])
            self.sql("UPDATE head SET boot = 'another run of the machine'")
            told = run("doctor", *self.index, check=2).stdout
            self.assertIn("the machine stopped while the index was open for writing", told)
            self.assertRegex(told, "suspect +artcache rebuild")
            run(*rebuild, *self.both, "-q", check=0)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
