#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The index of an element in PostgreSQL is emptied by hand: its replicas end with its digest, and
have everything again when it has. Whoever listens there hears where it is.

usage: log_database_test.py SERVICES ARTCACHED ARTCACHE
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "services")]
from artcache_services import state  # noqa: E402
from artcached import Artcached, eventually  # noqa: E402
from witness import Witness  # noqa: E402

SERVICES = DAEMON = PROGRAM = STATE = ""


class InPostgres(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.base = state.read(STATE)["services"]["postgres"]["env"]["ARTCACHE_TEST_POSTGRES"]

    def begin(self, *settings):
        words = [word for one in settings for word in ("--set", one)]
        self.element = Artcached(DAEMON, *words)
        self.addCleanup(self.element.close)
        self.element.start()

    def place(self, prefix, parameters=""):
        return f"{self.base.split('?')[0]}?prefix={prefix}{parameters}"

    def psql(self, text):
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", text,
                        self.base.split("?")[0]], check=True, stdout=subprocess.DEVNULL)

    def checks(self):
        return json.loads(self.element.ask("GET", "se-01", "/health/ready")[2])["checks"]

    def trusted(self):
        """The gauge; nothing while there is none."""
        text = self.element.ask("GET", "se-01", "/metrics")[2].decode()
        found = re.search(r'storage_index_trusted\{storage_element_id="se-01".*\} (\d)', text)
        return found and found[1]

    def upload(self, count):
        return [self.element.upload("x.txt", b"x" * n)["file_id"] for n in range(1, count + 1)]

    def status(self):
        """Of the query role about the element; none while it does not answer."""
        code, _, _ = self.element.ask("GET", "query", "/api/v1/admin/sync/status")
        if code != 200:
            return {"in_step": False, "elements": []}
        return self.element.call("GET", "query", "/api/v1/admin/sync/status")

    def proven_with(self, ids):
        """The query role is in step, by its digest, and finds each of these."""
        def holds():
            told = self.status()
            of = [one for one in told["elements"] if one["storage_element_id"] == "se-01"]
            return (of and of[0]["digest_matches"] and of[0]["lag_events"] == 0 and
                    all(self.found(one) for one in ids))
        return eventually(holds)

    def source_suspect(self):
        [told] = [one for one in self.status()["elements"]
                  if one["storage_element_id"] == "se-01"]
        return told["source_suspect"]

    def told(self, path):
        """Of the query role, for a Witness."""
        code, _, body = self.element.ask("GET", "query", path)
        return json.loads(body) if code == 200 else None

    def found(self, file_id):
        return self.element.ask("GET", "query", "/api/v1/files/" + file_id)[0] == 200


class EmptiedByHand(InPostgres):
    def test_an_index_that_is_emptied_by_hand_is_emptied_at_its_replicas_and_comes_back(self):
        prefix = "t" + uuid.uuid4().hex[:10]
        index = self.place(prefix, f"&owners={self.folder}")
        self.begin("element.se-01.index=" + index, "element.se-01.report_interval=1s")
        ids = self.upload(8)
        self.assertTrue(self.proven_with(ids))
        self.assertNotIn("index_suspect", self.checks())
        copy = f"sqlite://{self.folder}/copy.db"

        def sync():
            subprocess.run([PROGRAM, "sync", "--from", self.element.address("se-01"), "--index",
                            copy, "-q"], check=True, stdout=subprocess.DEVNULL,
                           env={**os.environ, "ARTCACHE_TOKEN": self.element.token})

        def held():
            done = subprocess.run([PROGRAM, "list", "--index", copy, "--json", "-q", "--limit",
                                   "0"], capture_output=True, text=True, check=True)
            return len(done.stdout.splitlines())

        sync()
        self.assertEqual(held(), 8)
        with Witness(self.element, {"query": self.told}):
            self.psql(f"TRUNCATE {prefix}_files CASCADE")
            sync()
            self.assertEqual(held(), 0, "a copy of what is there")
            self.assertTrue(eventually(lambda: not any(map(self.found, ids))))
            # It is told everywhere, with what mends it, and is left to whoever has done it.
            said = self.checks()["index_suspect"]
            self.assertIn("truncated by hand", said)
            self.assertIn("POST /api/v1/cache/rebuild", said)
            self.assertTrue(eventually(lambda: self.trusted() == "0"))
            self.assertTrue(eventually(lambda: "truncated" in self.source_suspect()))
            done = subprocess.run([PROGRAM, "doctor", "--index", index, "--json"],
                                  capture_output=True, text=True, check=False)
            told = json.loads(done.stdout)
            self.assertEqual((done.returncode, told["trusted"], told["remedies"]["suspect"]),
                             (2, False, "artcache rebuild"))
            self.element.call("POST", "se-01", "/api/v1/cache/rebuild")
            self.assertTrue(self.proven_with(ids))
            sync()
            self.assertEqual(held(), 8)
            self.assertNotIn("index_suspect", self.checks())
            self.assertTrue(eventually(lambda: self.trusted() == "1"))

    def test_a_schedule_fills_an_index_that_was_emptied_by_hand(self):
        prefix = "t" + uuid.uuid4().hex[:10]
        self.begin("element.se-01.index=" + self.place(prefix, f"&owners={self.folder}"),
                   "element.se-01.incremental_every=1s")
        ids = self.upload(5)
        self.assertTrue(self.proven_with(ids))
        with Witness(self.element, {"query": self.told}):
            self.psql(f"TRUNCATE {prefix}_files CASCADE")
            self.assertTrue(eventually(lambda: "index_suspect" not in self.checks()))
            self.assertTrue(self.proven_with(ids))


class Heard(InPostgres):
    """Plain LISTEN hears the position of every commit."""

    def listen(self, channel):
        """A function that gives the payloads that have come since, in their order."""
        psql = subprocess.Popen(["psql", "-qXAt", self.base.split("?")[0]], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        self.addCleanup(psql.stdout.close)
        self.addCleanup(psql.wait)
        self.addCleanup(psql.stdin.close)

        def heard(command="SELECT 1;"):
            psql.stdin.write(command + "\n\\echo done\n")
            psql.stdin.flush()
            lines = iter(psql.stdout.readline, "done\n")
            return [found[1] for line in lines if (found := re.search(
                f'"{channel}" with payload "([^"]*)"', line))]

        self.assertEqual(heard(f"LISTEN {channel};"), [])
        return heard

    def test_every_commit_tells_its_position(self):
        prefix = "t" + uuid.uuid4().hex[:10]
        self.begin("element.se-01.index=" + self.place(prefix, f"&owners={self.folder}"))
        heard = self.listen(prefix + "_head")
        payloads = []

        def next_one():
            self.assertTrue(eventually(lambda: payloads.extend(heard()) or payloads))
            return payloads.pop(0)

        def position(file_id):
            _, headers, _ = self.element.ask("GET", "se-01", "/api/v1/files/" + file_id)
            return headers["X-Artcache-Position"].rpartition("/")[0]

        ids = []
        for _ in range(3):
            ids += self.upload(1)
            self.assertEqual(next_one(), position(ids[-1]))
        self.assertRegex(position(ids[0]), "^[0-9a-f]{16}/[0-9]+$")
        epoch, _, seq = position(ids[0]).partition("/")
        files = prefix + "_files"
        self.psql(f"BEGIN; DELETE FROM {files}; ROLLBACK")
        self.psql(f"UPDATE {files} SET cache_ttl_hours = 7")  # no content
        self.psql(f"UPDATE {files} SET description = 'by hand' WHERE file_id = '{ids[0]}'")
        self.assertEqual(next_one(), f"{epoch}/{int(seq) + 1}")
        self.psql(f"BEGIN; DELETE FROM {files} WHERE file_id = '{ids[0]}'; "
                  f"DELETE FROM {files} WHERE file_id = '{ids[1]}'; COMMIT")
        self.assertEqual([next_one(), next_one()], [f"{epoch}/{int(seq) + n}" for n in (2, 3)])
        self.assertEqual(payloads + heard(), [])


if __name__ == "__main__":
    SERVICES, DAEMON, PROGRAM = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as home:
        STATE = home + "/services.json"
        if subprocess.run([SERVICES, "up", "--state", STATE, "--allow-missing", "postgres"],
                          stdout=subprocess.DEVNULL, check=False).returncode != 0:
            sys.exit(77)
        try:
            if "postgres" not in state.read(STATE)["services"]:
                sys.exit(77)
            unittest.main(argv=sys.argv[:1], verbosity=2)
        finally:
            subprocess.run([SERVICES, "down", "--state", STATE], stdout=subprocess.DEVNULL,
                           check=False)
