#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G7] Search follows elements while it is stopped, while its database and Redis are killed, and
while the element loses what it knows.

Each replica ends with the digest of its element without a hand, and says meanwhile how it is: a
witness looks all the time whether one says to be in step that is not. The query role is a process
of its own, which finds the element in Redis alone.

usage: query_faults_test.py ARTCACHED, run by on_servers.sh
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest
from urllib.parse import urlsplit

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from artcached import ACCOUNT, Artcached, eventually, scale  # noqa: E402
from log_faults_test import Link, describe_by_hand, spoil_log  # noqa: E402
from witness import Witness  # noqa: E402

DAEMON = ""
REDIS, POSTGRES = (os.environ.get("ARTCACHE_TEST_" + name, "") for name in ("REDIS", "POSTGRES"))
PATIENCE = 180
CUT_SECONDS = scale("ARTCACHE_CUT_SECONDS", 60)


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

    def __init__(self, test, name, environment=None, **settings):
        self.environment = {**os.environ, **(environment or {})}
        self.demo = test.demo
        self.data = test.demo.data / name
        self.settings = {
            "public_key": test.demo.data / "admin/keys", "admin": test.demo.address("admin"),
            "client_id": ACCOUNT["client_id"], "client_secret": ACCOUNT["client_secret"],
            "registry": "false", "redis": REDIS, "retry_delay_most": "1s", "port": "0",
            **({} if environment else {"events_pause": "100ms"}), **settings}
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
                stderr=log, text=True, env=self.environment)
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError("it did not start: " + self.demo.log.read_text()[-2000:])
        self.port = json.loads(line)["ports"]["query"]
        return self

    def end(self, how="terminate"):
        if self.child is None:
            return
        getattr(self.child, how)()
        self.child.wait(timeout=180)
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

    def told(self, path):
        """For a Witness."""
        status, _, body = self.ask(path)
        return json.loads(body) if status == 200 else None

    def status(self, element="se-01"):
        """Of that element; nothing while it is not known."""
        whole = self.call("/api/v1/admin/sync/status")
        return next((one for one in whole["elements"] if one["storage_element_id"] == element), {})

    def metric(self, line):
        _, _, body = self.ask("/metrics")
        return any(one.startswith(line) for one in body.decode().splitlines())

    def counted(self, name):
        """The sum over all labels."""
        _, _, body = self.ask("/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in body.decode().splitlines()
                   if line.startswith(name + "{"))

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

    def watch(self, *queries, **more):
        return Witness(self.demo, {query.name: query.told for query in queries}, **more)

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
        with self.watch(query, fresh=True):
            query.start()
            ids += self.upload(300)
            self.in_step(query)
        self.assertEqual(query.status()["snapshots"], 0)
        self.holds(query, len(ids) - 200)

    def test_a_database_that_is_killed_holds_up_search_and_loses_nothing(self):
        query = Query(self, "tables", database=self.database("artstore_query_faults")).start()
        self.upload(20)
        self.in_step(query)
        with self.watch(query):
            server("postgres-nofsync", "kill")
            ids = self.upload(50)
            self.until(lambda: query.status()["state"] == "waiting", "it does not say so")
            self.assertFalse(query.status()["in_step"])
            self.assertFalse(query.call("/api/v1/admin/sync/status")["in_step"])
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
        with self.watch(query):
            server("redis", "kill")
            self.until(lambda: query.connected(False), "it does not say that Redis is away")
            self.upload(20)
            self.in_step(query)  # by the long poll
            self.assertIsNone(query.status()["gone_since"])
        query.end("kill")
        server("redis", "restart")
        self.upload(5)
        with self.watch(query, fresh=True):
            query.start()
            self.in_step(query)
        self.until(lambda: query.connected(True), "it does not listen again")
        self.holds(query, 27)

    def test_a_stream_that_is_trimmed_loses_nothing(self):
        query = Query(self, "trimmed-stream").start()
        self.upload(10)
        self.in_step(query)
        with self.watch(query):
            for _ in range(5):
                redis("XTRIM", "file-events", "MAXLEN", 0)
                self.upload(5)
            self.in_step(query)
        self.holds(query, 35)
        self.assertEqual(query.status()["mendings"], 0)

    def test_a_redis_that_is_flushed_loses_nothing(self):
        query = Query(self, "flushed").start()
        self.upload(10)
        self.in_step(query)
        with self.watch(query):
            for _ in range(5):
                redis("FLUSHALL")
                self.upload(5)
            self.in_step(query)
        self.holds(query, 35)
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
        with self.watch(query):
            link.free.clear()  # nothing comes through, and nothing is closed
            self.until(lambda: query.connected(False), "it does not notice")
            ends = time.monotonic() + CUT_SECONDS
            uploaded = 2
            while time.monotonic() < ends or uploaded == 2:
                self.upload(10)
                uploaded += 10
                self.in_step(query)
                self.assertTrue(query.connected(False))
                time.sleep(min(2, CUT_SECONDS))
            link.free.set()
            self.until(lambda: query.connected(True), "it does not listen again")
            self.upload(3)
            self.in_step(query)
        self.holds(query, uploaded + 3)

    def test_tables_that_are_emptied_by_hand_are_filled_by_the_next_comparison(self):
        place = self.database("artstore_query_emptied")
        query = Query(self, "emptied", database=place, audit_interval="1s").start()
        self.upload(20)
        self.in_step(query)
        self.holds(query, 20)
        subprocess.run(["psql", "-q", place, "-c", "TRUNCATE file_metadata_cache"], check=True)
        self.until(lambda: query.status()["mended"] >= 20, "nobody has compared them")
        self.in_step(query)
        self.holds(query, 20)
        self.assertEqual(query.status()["snapshots"], 1)

    def test_channels_of_events_are_listened_to_only_where_that_is_wanted(self):
        def listeners():
            return redis("PUBSUB", "NUMSUB", "file:created").split()[-1]

        deaf = Query(self, "deaf", environment={"EVENT_SUBSCRIBE_ENABLED": "false"}).start()
        self.upload(2)
        self.in_step(deaf)
        self.until(lambda: deaf.connected(True), "elements are still found in Redis")
        self.assertEqual(listeners(), "0")
        self.upload(2)
        self.in_step(deaf)  # by the long poll
        hearing = Query(self, "hearing", environment={"EVENT_SUBSCRIBE_ENABLED": "true"}).start()
        self.until(lambda: listeners() == "1", "nobody listens")
        self.in_step(deaf, hearing)

    def test_a_redis_that_stays_away_is_told_of_after_so_many_tries(self):
        query = Query(self, "trying", environment={"EVENT_RECONNECT_DELAY": "10ms",
                                                   "EVENT_MAX_RECONNECT_ATTEMPTS": "200"}).start()
        self.upload(2)
        self.in_step(query)
        self.until(lambda: query.connected(True), "it does not listen")
        server("redis", "kill")
        told = "Redis still does not answer; it is tried once a minute now"
        self.until(lambda: told in self.demo.log.read_text(), "it does not say so")
        self.assertTrue(query.connected(False))
        self.upload(3)
        self.in_step(query)
        self.holds(query, 5)
        self.assertEqual(self.demo.log.read_text().count(told), 1)

    def test_changes_are_applied_in_batches_of_the_size_that_is_told(self):
        query = Query(self, "batches", environment={"CACHE_SYNC_BATCH_SIZE": "2"}).start()
        self.upload(1)
        self.in_step(query)
        query.end()
        self.upload(10)
        query.start()
        self.in_step(query)
        self.assertEqual(query.counted("artstore_query_cache_sync_duration_seconds_count"), 5)
        self.assertEqual(query.counted("artstore_query_events_received_total"), 10)

    def test_errors_are_tried_again_as_often_and_as_soon_as_is_told(self):
        link = Gate()
        self.addCleanup(link.close)
        link.target = self.demo.ports["se-01"]
        query = Query(self, "retrying", elements="se-01=" + link.url, retry_delay_most="1h",
                      environment={"CACHE_SYNC_RETRY_DELAY": "20ms",
                                   "CACHE_SYNC_RETRY_ATTEMPTS": "0"}).start()
        self.upload(1)
        self.in_step(query)
        link.break_all()
        # Doubling ten times, as it is usually told, so many would take hours.
        self.until(lambda: query.status()["failures"] >= 60, "it does not try again")
        link.target = self.demo.ports["se-01"]
        self.upload(1)
        self.in_step(query)

    # What hangs goes on by itself before the usual time of such a setting is over, 30 seconds: then
    # there would be another answer.
    HANGS = 20

    def test_a_search_ends_after_the_time_that_is_told(self):
        where = self.database("patience")
        query = Query(self, "patience", database=where,
                      environment={"SEARCH_TIMEOUT": "100ms"}).start()
        self.upload(1)
        self.in_step(query)
        holder = subprocess.Popen(["psql", "-q", where, "-c", f"""
            BEGIN; LOCK TABLE file_metadata_cache; SELECT pg_sleep({self.HANGS})"""],
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)

        def held():
            return subprocess.run(["psql", "-qAt", where, "-c", """SELECT count(*) FROM pg_locks
                WHERE mode = 'AccessExclusiveLock' AND granted
                AND relation = 'file_metadata_cache'::regclass"""],
                                  capture_output=True, text=True, check=True).stdout == "1\n"

        self.until(held, "nobody holds the table")
        self.assertEqual(query.ask("/api/v1/files/search?query=x")[0], 504)
        self.assertTrue(held())

    def test_a_download_that_does_not_begin_ends_after_the_time_that_is_told(self):
        link = Link()
        self.addCleanup(link.close)
        link.target = self.demo.ports["se-01"]
        query = Query(self, "patience", redis="", elements="se-01=" + link.url,
                      environment={"DOWNLOAD_TIMEOUT": "100ms"}).start()
        [file_id] = self.upload(1)
        self.in_step(query)
        link.free.clear()
        goes_on = threading.Timer(self.HANGS, link.free.set)
        goes_on.start()
        self.addCleanup(goes_on.cancel)
        path = f"/api/v1/files/{file_id}/download"
        status, _, body = query.ask(path)
        self.assertEqual(status, 504, body)
        self.assertEqual(json.loads(body)["detail"],
                         "Storage element se-01 did not answer in time")
        link.free.set()
        self.until(lambda: query.ask(path)[::2] == (200, b"0"), "it does not come again")

    def test_a_slow_follower_does_not_hold_up_a_quick_one(self):
        link = Link()
        self.addCleanup(link.close)
        link.target = self.demo.ports["se-01"]
        slow = Query(self, "slow", redis="", elements="se-01=" + link.url).start()
        quick = Query(self, "quick").start()
        self.upload(5)
        self.in_step(slow, quick)
        with self.watch(slow, quick):
            link.free.clear()
            self.upload(50)
            self.in_step(quick)
            self.assertNotEqual(slow.status()["position"], quick.status()["position"])
            self.holds(slow, 5)
            self.until(lambda: not slow.status()["in_step"], "it vouches for who is silent")
            time.sleep(Witness.VOUCHES / 4)  # so that the witness would see it, too
            self.assertTrue(quick.status()["in_step"])
            link.free.set()
            self.in_step(slow, quick)
        self.holds(slow, 55)

    def index(self):
        return next(self.demo.data.rglob("se-01/index.db"))

    def copy(self, source, target):
        with contextlib.closing(sqlite3.connect(source)) as one, \
                contextlib.closing(sqlite3.connect(target, timeout=30)) as other:
            one.backup(other)

    def listed(self):
        page = self.demo.call("GET", "se-01", "/api/v1/files?limit=1000")
        return sorted(one["file_id"] for one in page["files"])

    def test_an_element_whose_index_is_put_back_has_its_files_again_and_so_has_search(self):
        query = Query(self, "put-back").start()
        ids = self.upload(6)
        self.in_step(query)
        older = self.demo.data / "older.db"
        self.copy(self.index(), older)
        ids += self.upload(5)
        # Else the log would come to the same positions again.
        self.demo.call("DELETE", "se-01", "/api/v1/files/" + ids.pop(), 204)
        self.in_step(query)
        before = query.status()["position"]
        self.assertEqual(self.demo.end(), 0)
        self.until(lambda: not query.status()["in_step"], "it vouches for who is away")
        for rest in self.index().parent.glob("index.db-*"):
            rest.unlink()
        shutil.copy(older, self.index())
        with self.watch(query):
            self.demo.start()
            self.until(lambda: self.listed() == sorted(ids), "the element has not found its files")
            self.in_step(query)
            self.until(lambda: query.status()["source_suspect"] == "", "it is not whole again")
        self.assertNotEqual(query.status()["position"], before)
        self.assertGreaterEqual(query.status()["mendings"], 1)
        self.holds(query, len(ids))

    def test_a_log_that_was_trimmed_below_search_costs_a_comparison(self):
        self.demo.end()
        self.demo.arguments += ("--set", "element.se-01.index=sqlite://" +
                                str(self.demo.data / "short.db") + "?log_rows=20")
        self.demo.start()
        query = Query(self, "behind").start()
        self.upload(10)
        self.in_step(query)
        query.end("kill")
        self.upload(150)
        with self.watch(query, fresh=True):
            query.start()
            self.in_step(query)
        self.assertEqual((query.status()["mendings"], query.status()["snapshots"]), (1, 0))
        self.holds(query, 160)

    def test_a_record_that_is_poisoned_in_the_log_alone_heals_by_itself(self):
        query = Query(self, "poisoned-log").start()
        self.upload(5)
        self.in_step(query)
        query.end("kill")
        poison = self.upload(2)
        self.upload(3)
        spoil_log(self.index(), poison)
        with self.watch(query, fresh=True):
            query.start()
            self.in_step(query)
        self.assertEqual(query.status()["dead_letters"], 0)
        self.assertEqual(query.call("/api/v1/admin/sync/dead-letters?all=1")["total"], 0)
        self.assertEqual(query.status()["mendings"], 0)
        self.holds(query, 10)

    def test_a_record_that_is_poisoned_at_its_element_is_told_of_until_it_is_whole(self):
        query = Query(self, "poisoned").start()
        self.upload(5)
        self.in_step(query)
        query.end("kill")
        [poison] = self.upload(1)
        self.upload(3)
        spoil_log(self.index(), [poison])
        describe_by_hand(self.index(), poison, "poison")
        with self.watch(query, fresh=True):
            query.start()
            self.until(lambda: query.status().get("dead_letters") == 1, "it is not told of")
            self.until(lambda: query.status()["position"] == query.status()["source_position"],
                       "it holds up others")
            self.assertFalse(query.status()["in_step"])
            self.holds(query, 8)
            [letter] = query.call("/api/v1/admin/sync/dead-letters")["dead_letters"]
            self.assertEqual(letter["file_id"], poison)
            self.until(lambda: query.metric("artstore_query_sync_dead_letters"
                                            '{storage_element_id="se-01"} 1'), "no gauge tells")
            describe_by_hand(self.index(), poison, None)
            self.in_step(query)
        self.assertEqual(query.status()["dead_letters"], 0)
        self.holds(query, 9)


if __name__ == "__main__":
    DAEMON = os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=2)
