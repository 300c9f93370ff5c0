#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example that follows a log tells each change of an index that others write to, in order and
none left out: of an index that it opens, and of an element over HTTP.

usage: follow_example_test.py EXAMPLE ARTCACHE ARTCACHED
"""
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from artcached import Artcached  # noqa: E402

EXAMPLE = PROGRAM = DAEMON = ""
PATIENCE = 120


class Example:
    """It runs, and what it has told so far."""

    def __init__(self, test, address, token=""):
        self.child = subprocess.Popen([EXAMPLE, address, token, "3600"], stdout=subprocess.PIPE,
                                      text=True)
        test.addCleanup(self.end)
        self.lines = queue.Queue()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        self.test = test
        first = self.next_line()
        test.assertRegex(first, "^following .* from [0-9a-f]{16}/[0-9]+/[0-9a-f]{32}$")
        self.position = first.rpartition(" ")[2]

    def listen(self):
        with self.child.stdout as lines:
            for line in lines:
                self.lines.put(line.strip())

    def next_line(self):
        return self.lines.get(timeout=PATIENCE)

    def told(self, count):
        """The next so many changes: seq, put or gone, key."""
        words = [self.next_line().split(" ") for _ in range(count)]
        return [(int(seq), kind, key) for seq, kind, key in words]

    def end(self):
        self.child.terminate()
        self.child.wait(timeout=60)
        self.listener.join()


class Follow(unittest.TestCase):
    def run_program(self, *words, **more):
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True,
                              check=False, timeout=PATIENCE, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def changes(self, position, *words, **more):
        """Those behind that position, as the command tells of them."""
        lines = self.run_program("events", "tail", "--once", "--json", "--after", position, *words,
                                 **more).splitlines()
        events = [json.loads(line) for line in lines]
        return [(one["seq"], "put" if one["event"] == "put" else "gone", one["file_id"])
                for one in events]

    def check(self, example, put, gone, log):
        told = example.told(len(put) + len(gone))
        first = int(example.position.split("/")[1]) + 1
        self.assertEqual([seq for seq, _, _ in told], list(range(first, first + len(told))))
        self.assertEqual(sorted(key for _, kind, key in told if kind == "put"), sorted(put))
        self.assertEqual(sorted(key for _, kind, key in told if kind == "gone"), sorted(gone))
        self.assertEqual(told, log(example.position))

    def test_an_index_that_several_programs_change(self):
        with tempfile.TemporaryDirectory() as folder:
            index = f"sqlite://{folder}/index.db"
            both = ("--storage", f"file://{folder}/store?create=on", "--index", index)
            self.run_program("put", __file__, *both)
            example = Example(self, index)
            with ThreadPoolExecutor(4) as writers:
                put = list(writers.map(
                    lambda _: self.run_program("put", __file__, *both).strip(), range(12)))
                gone = put[:5]
                list(writers.map(lambda one: self.run_program("rm", one, *both), gone))
            self.check(example, put, gone,
                       lambda position: self.changes(position, "--index", index))
            example.end()

    def test_an_element_over_http(self):
        with Artcached(DAEMON) as element:
            element.upload("before.txt", b"before")
            example = Example(self, element.address("se-01"), element.token)
            with ThreadPoolExecutor(4) as writers:
                put = list(writers.map(
                    lambda n: element.upload(f"{n}.txt", b"%d" % n)["file_id"], range(40)))
                gone = put[:7]
                list(writers.map(lambda one: element.call(
                    "DELETE", "se-01", "/api/v1/files/" + one, 204), gone))
            element.call("PATCH", "se-01", "/api/v1/files/" + put[-1],
                         json_body={"description": "changed"})
            environment = {**os.environ, "ARTCACHE_TOKEN": element.token}
            self.check(example, [*put, put[-1]], gone, lambda position: self.changes(
                position, "--from", element.address("se-01"), env=environment))
            example.end()


if __name__ == "__main__":
    EXAMPLE, PROGRAM, DAEMON = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1], verbosity=2)
