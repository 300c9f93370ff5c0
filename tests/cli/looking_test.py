#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What artcache says when there is nothing to look at, and to whom.

usage: looking_test.py ARTCACHE
"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

import cli_test
from cli_test import run


class Looking(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        self.index = f"sqlite://{self.path}/typo.db"
        self.storage = f"file://{self.path}"

    def test_what_only_looks_makes_no_index_out_of_a_mistyped_address(self):
        some = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
        for verb in (["list"], ["get", some], ["search", "x"], ["doctor"], ["locks", "list"],
                     ["events", "tail", "--once"], ["check", "--storage", self.storage],
                     ["cleanup", "--storage", self.storage],
                     ["rm", some, "--storage", self.storage]):
            with self.subTest(verb=verb):
                done = run(*verb, "--index", self.index, check=4)
                self.assertIn("there is no such file; `artcache rebuild` makes it", done.stderr)
                self.assertEqual(list(self.path.iterdir()), [])
        (self.path / "typo.db").write_bytes(b"")
        done = run("list", "--index", self.index, check=4)
        self.assertIn("there is no index in it", done.stderr)
        run("list", "--index", self.index + "?create=on", check=0)

    def test_with_json_an_error_is_an_object_too(self):
        done = run("list", "--index", self.index, "--json", check=4)
        error = json.loads(done.stdout)["error"]
        self.assertEqual((error["code"], error["outcome"], error["exit_code"]),
                         ("not_found", "not_applied", 4))
        self.assertIn(error["message"], done.stderr)

    def test_help_is_a_word_too(self):
        self.assertEqual(run("help", check=0).stdout, run("--help", check=0).stdout)
        self.assertEqual(run("help", "list", check=0).stdout,
                         run("list", "--help", check=0).stdout)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
