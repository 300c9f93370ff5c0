#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Locks in Redis through the command line, looked at and broken as an operator does.

usage: redis_locks_test.py ARTCACHE, with ARTCACHE_TEST_REDIS set
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cli_test
from cli_test import run

REDIS = os.environ.get("ARTCACHE_TEST_REDIS", "")
KEY = "cache_lock:se-01:manual_rebuild"
# What the operators of the seeds look for in the log.
SEEN = re.compile("lock.*skip|lock.*acquired", re.IGNORECASE)


def redis(*arguments):
    return subprocess.run(["redis-cli", "-u", REDIS, *arguments], stdout=subprocess.PIPE,
                          text=True, check=True).stdout.strip()


class Locks(unittest.TestCase):
    def setUp(self):
        redis("FLUSHALL")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name)
        self.assertEqual(run("sample", path / "store", 300).returncode, 0)
        self.index = ["--index", f"sqlite://{path}/i.db", "--locks", REDIS, "--element", "se-01"]
        self.both = ["--storage", f"file://{path}/store", *self.index]

    def begin(self, verb, *more):
        """A run that takes its time, as soon as it has its lock."""
        return cli_test.begin(self, verb, *self.both, "-v", *more, until=SEEN)

    def test_list_tells_who_holds_what_and_redis_shows_it(self):
        slow = self.begin("rebuild", "--files-per-second", "20")
        holders = json.loads(run("locks", "list", *self.index, "--json").stdout)
        self.assertEqual(len(holders), 1)
        holder = holders[0]
        self.assertEqual((holder["element"], holder["lock_type"]), ("se-01", "manual_rebuild"))
        self.assertGreater(holder["fence"], 0)
        self.assertGreater(holder["expires_in_seconds"], 1700)
        for name in ("owner", "host", "operation"):
            self.assertTrue(holder[name], name)
        self.assertEqual(redis("keys", "cache_lock:*"), KEY)
        self.assertGreater(int(redis("TTL", KEY)), 1700)
        self.assertEqual(run("rebuild", *self.both, "-q").returncode, 3)
        slow.kill()
        slow.wait()
        # The kernel tells that it is dead; its key is still there and in nobody's way.
        self.assertEqual(run("rebuild", *self.both, "-q").returncode, 0)
        self.assertEqual(redis("keys", "cache_lock:*"), "")

    def test_a_lock_that_is_deleted_or_broken_ends_its_holder_and_nothing_else(self):
        for take in (lambda: redis("DEL", KEY),
                     lambda: run("locks", "break", "manual_rebuild", *self.index)):
            slow = self.begin("rebuild", "--files-per-second", "20")
            take()
            self.assertEqual(run("rebuild", *self.both, "-q").returncode, 0)
            error = slow.stderr.read()
            self.assertEqual(slow.wait(), 3)
            self.assertIn("lease_lost", error)
            self.assertEqual(run("check", *self.both, "-q").returncode, 0)

    def test_a_rebuild_in_the_middle_of_a_check_takes_its_turn(self):
        self.assertEqual(run("rebuild", *self.both, "-q").returncode, 0)
        slow = self.begin("check", "--data", "--files-per-second", "20")
        done = run("rebuild", *self.both, "-v")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, SEEN)
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 0, rest)
        self.assertIn("Lock given up to a higher operation", rest)
        self.assertRegex(rest, SEEN)
        self.assertEqual(redis("keys", "cache_lock:*"), "")


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
