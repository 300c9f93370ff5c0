#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Search follows elements while it is stopped, and while its database and Redis are killed.

Each replica ends with the digest of its element without a hand, and says meanwhile how it is. The
query role is a process of its own, which finds the element in Redis alone.

usage: query_faults_test.py ARTCACHED, run by on_servers.sh
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest
from urllib.parse import urlsplit

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from artcached import ACCOUNT, Artcached, eventually  # noqa: E402
from log_faults_test import Link  # noqa: E402

DAEMON = ""
REDIS, POSTGRES = (os.environ.get("ARTCACHE_TEST_" + name, "") for name in ("REDIS", "POSTGRES"))
PATIENCE = 180


def server(name, verb, *more):
    subprocess.run([os.environ["ARTCACHE_TEST_SERVICES"], verb, *more, "--state",
                    os.environ["ARTCACHE_TEST_SERVICES_STATE"], name],
                   stdout=subprocess.DEVNULL, check=True)


def redis(*words):
    return subprocess.run(["redis-cli", "-u", REDIS, *map(str, words)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()


class Gate(Link):
    """A link that can also break the connections it has."""

    def __init__(self):
        self.clients = []
        super().__init__()

    def connect(self, client):
        self.clients.append(client)
        super().connect(client)

    def break_all(self):
        self.target = 0
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Query:
    """A query role as a process of its own."""

    def __init__(self, test, name, **settings):
        self.demo = test.demo
        self.data = test.demo.data / name
        self.settings = {
            "public_key": test.demo.data / "admin/keys", "admin": test.demo.address("admin"),
            "client_id": ACCOUNT["client_id"], "client_secret": ACCOUNT["client_secret"],
            "registry": "false", "redis": REDIS, "events_pause": "100ms",
            "retry_delay_most": "1s", "port": "0", **settings}
        self.child = None
        self.name = name
        self.port = 0
        test.addCleanup(self.end)

    def start(self):
        told = [word for key, value in self.settings.items()
                for word in ("--set", f"query.{key}={value}")]
        with open(self.demo.log, "ab") as log:
            self.child = subprocess.Popen(
                [DAEMON, "--role", "query", "--data", self.data, *told], stdout=subprocess.PIPE,
                stderr=log, text=True)
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError("it did not start: " + self.demo.log.read_text()[-2000:])
        self.port = json.loads(line)["ports"]["query"]
        return self

    def end(self, how="terminate"):
        if self.child is None:
            return
        getattr(self.child, how)()
        self.child.wait(timeout=60)
        self.child.stdout.close()
        self.child = None

    def ask(self, path, method="GET"):
        """Status, headers and body; with the token of the demonstration, whose keys it knows."""
        self.demo.ports[self.name] = self.port
        return self.demo.ask(method, self.name, path)

    def call(self, path, method="GET"):
        status, _, body = self.ask(path, method)
        if status != 200:
            raise AssertionError(f"{method} {path}: {status}: {body[:2000]!r}")
        return json.loads(body)

    def status(self, element="se-01"):
        """Of that element; nothing while it is not known."""
        whole = self.call("/api/v1/admin/sync/status")
        return next((one for one in whole["elements"] if one["storage_element_id"] == element), {})

    def metric(self, line):
        _, _, body = self.ask("/metrics")
        return any(one.startswith(line) for one in body.decode().splitlines())

    def connected(self, yes):
        return self.metric('artstore_query_redis_connection_status{status="connected"} '
                           f"{int(yes)}")


class Faults(unittest.TestCase):
    def setUp(self):
        server("redis", "restart")
        server("postgres-nofsync", "restart")
        redis("FLUSHALL")
        self.demo = Artcached(DAEMON, "--set", "element.se-01.redis=" + REDIS,
                              "--set", "element.se-01.report_interval=1s")
        self.addCleanup(self.demo.close)
        self.demo.start()

    def database(self, name):
        """The address of an empty database of PostgreSQL."""
        for words in (f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"):
            subprocess.run(["psql", "-q", POSTGRES, "-c", words], check=True,
                           stderr=subprocess.DEVNULL)
        return urlsplit(POSTGRES)._replace(path="/" + name).geturl()

    def upload(self, count):
        return [self.demo.upload(f"{n}.txt", b"%d" % n)["file_id"] for n in range(count)]

    def until(self, holds, what):
        self.assertTrue(eventually(holds, PATIENCE),
                        what + "\n" + self.demo.log.read_text()[-3000:])

    def position(self):
        """Of the element: what a fresh replica in the same process as it has."""
        whole = self.demo.call("POST", "query", "/api/v1/admin/sync/full?storage_element_id=se-01")
        return whole["position"]["se-01"]

    def in_step(self, *queries):
        """Each has by itself the position of the element, with the digest in it."""
        end = self.position()
        for query in queries:
            self.until(lambda query=query: query.status().get("in_step")
                       and query.status()["position"] == end, "it did not come into step")
            self.assertTrue(query.status()["digest_matches"])

    def holds(self, query, count):
        found = query.call("/api/v1/files/search?limit=1")
        self.assertEqual(found["total"], count)

    # --- what happens ---------------------------------------------------------------------------

    def test_an_element_is_found_in_redis_and_one_that_goes_away_is_shown_as_gone(self):
        query = Query(self, "alone").start()
        self.upload(3)
        self.in_step(query)
        self.assertIsNone(query.status()["gone_since"])
        self.assertEqual(query.status("se-02"), {})  # it says nothing in Redis
        self.demo.end()  # the element takes its word back
        self.until(lambda: query.status()["gone_since"], "it is not shown as gone")
        self.demo.start()
        self.until(lambda: query.status().get("gone_since") is None, "it is not named again")
        self.upload(1)
        self.in_step(query)
        self.holds(query, 4)

    def test_query_that_is_stopped_during_a_thousand_changes_catches_up(self):
        query = Query(self, "stopped").start()
        ids = self.upload(300)
        self.in_step(query)
        query.end("kill")
        ids += self.upload(500)
        for file_id in ids[:200]:
            self.demo.call("DELETE", "se-01", "/api/v1/files/" + file_id, 204)
        query.start()
        ids += self.upload(300)
        self.in_step(query)
        self.assertEqual(query.status()["snapshots"], 0)
        self.holds(query, len(ids) - 200)

    def test_a_database_that_is_killed_holds_up_search_and_loses_nothing(self):
        query = Query(self, "tables", database=self.database("artstore_query_faults")).start()
        self.upload(20)
        self.in_step(query)
        server("postgres-nofsync", "kill")
        ids = self.upload(50)
        self.until(lambda: query.status()["state"] == "waiting", "it does not say so")
        self.assertFalse(query.status()["in_step"])
        self.assertNotEqual(query.status()["last_error"], "")
        status, _, _ = query.ask("/health/ready")
        self.assertEqual(status, 503)
        server("postgres-nofsync", "restart")
        self.in_step(query)
        self.holds(query, 20 + len(ids))
        self.assertEqual(query.status()["snapshots"], 1)

    def test_a_redis_that_is_killed_is_missed_by_nobody(self):
        query = Query(self, "no-redis").start()
        self.upload(2)
        self.in_step(query)
        self.until(lambda: query.connected(True), "it does not say that it listens")
        server("redis", "kill")
        self.until(lambda: query.connected(False), "it does not say that Redis is away")
        self.upload(20)
        self.in_step(query)  # by the long poll
        self.assertIsNone(query.status()["gone_since"])
        query.end("kill")
        server("redis", "restart")
        self.upload(5)
        query.start()
        self.in_step(query)
        self.until(lambda: query.connected(True), "it does not listen again")
        self.holds(query, 27)

    def test_a_redis_that_is_flushed_and_a_stream_that_is_trimmed_lose_nothing(self):
        query = Query(self, "flushed").start()
        self.upload(10)
        self.in_step(query)
        redis("XTRIM", "file-events", "MAXLEN", 0)
        self.upload(10)
        redis("FLUSHALL")
        self.upload(10)
        self.in_step(query)
        self.holds(query, 30)
        self.assertEqual(query.status()["mendings"], 0)
        self.until(lambda: redis("EXISTS", "artstore:storage-elements:se-01") == "1",
                   "the element does not say again where it is")

    def test_a_redis_that_is_cut_off_is_noticed_and_heard_again(self):
        link = Link()
        self.addCleanup(link.close)
        link.target = urlsplit(REDIS).port
        query = Query(self, "cut-off",
                      redis=link.url.replace("http", "redis") + "?timeout=500ms").start()
        self.upload(2)
        self.in_step(query)
        self.until(lambda: query.connected(True), "it does not listen")
        link.free.clear()  # nothing comes through, and nothing is closed
        self.until(lambda: query.connected(False), "it does not notice")
        self.upload(20)
        self.in_step(query)
        link.free.set()
        self.until(lambda: query.connected(True), "it does not listen again")
        self.upload(3)
        self.in_step(query)
        self.holds(query, 25)

    def test_a_slow_follower_does_not_hold_up_a_quick_one(self):
        link = Link()
        self.addCleanup(link.close)
        link.target = self.demo.ports["se-01"]
        slow = Query(self, "slow", redis="", elements="se-01=" + link.url).start()
        quick = Query(self, "quick").start()
        self.upload(5)
        self.in_step(slow, quick)
        link.free.clear()
        self.upload(50)
        self.in_step(quick)
        self.assertNotEqual(slow.status()["position"], quick.status()["position"])
        self.holds(slow, 5)
        link.free.set()
        self.in_step(slow, quick)
        self.holds(slow, 55)

    def test_what_is_told_in_redis_ends_the_pause_after_an_error(self):
        link = Gate()
        self.addCleanup(link.close)
        link.target = self.demo.ports["se-01"]
        query = Query(self, "pausing", elements="se-01=" + link.url, retry_delay="1h",
                      retry_delay_most="1h").start()
        self.upload(1)
        self.in_step(query)
        link.break_all()
        self.until(lambda: query.status()["state"] == "waiting", "it does not notice")
        self.assertFalse(query.status()["in_step"])
        link.target = self.demo.ports["se-01"]
        self.upload(1)
        self.in_step(query)
        self.holds(query, 2)


if __name__ == "__main__":
    DAEMON = os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=2)
