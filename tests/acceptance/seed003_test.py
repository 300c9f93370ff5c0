#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Phase 4 of the plan for search and sync (seed 003) on the stand: end to end, performance, load,
failure and recovery, each under the number that it has there.

usage: seed003_test.py ARTCACHED SERVICES STATE, run by on_servers.sh
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stand"), str(HERE.parent / "support")]

import results  # noqa: E402
from artcached import eventually  # noqa: E402
from client import Client  # noqa: E402
from stand import ELEMENTS, Stand  # noqa: E402

ARTCACHED = SERVICES = STATE = ""
REDIS = os.environ.get("ARTCACHE_TEST_REDIS", "")
CHANNELS = ("file:created", "file:updated", "file:deleted")
PATIENCE = 180


def redis(*words):
    return subprocess.run(["redis-cli", "-u", REDIS, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout


class Listener:
    """`redis-cli SUBSCRIBE` on all channels of events, and when each message came."""

    def __init__(self, test):
        self.messages = []  # (channel, event, when)
        self.child = subprocess.Popen(["redis-cli", "-u", REDIS, "SUBSCRIBE", *CHANNELS],
                                      stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        for line in iter(self.child.stdout.readline, ""):
            if line.strip() == "3":  # the confirmation of the third channel
                break
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        lines = iter(self.child.stdout.readline, "")
        for line in lines:
            if line.strip() == "message":
                channel = next(lines).strip()
                self.messages.append((channel, json.loads(next(lines)), time.monotonic()))

    def end(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdout.close()

    def heard(self, channel, file_id):
        return next((one for one in list(self.messages)
                     if one[0] == channel and one[1].get("file_id") == file_id), None)


class Phase4(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="seed003-")
        cls.addClassCleanup(place.cleanup)
        cls.stand = Stand(pathlib.Path(place.name) / "stand", ARTCACHED)
        cls.addClassCleanup(cls.stand.down)
        cls.stand.up()
        cls.client = Client(cls.stand)
        cls.client.log_in()

    # --- utilities (4.1) --------------------------------------------------------------------------

    def upload(self, name, content=None):
        content = content or name.encode() * 20
        answer = self.client.upload(name, content)
        self.assertIsNotNone(answer, "an upload was not acknowledged: " + name)
        return answer["file_id"], content

    def uploads(self, label, count, clients=10):
        """So many; file_id -> content."""
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            files = dict(pool.map(lambda n: self.upload(f"{label} {n}.txt"), range(count)))
        self.assertEqual(len(files), count)
        return files

    def until(self, holds, what):
        self.assertTrue(eventually(holds, PATIENCE), f"{what}\n{self.stand.last_words('query')}")

    def status(self):
        status, body = self.client.ask("GET", "query", "/api/v1/admin/sync/status")
        return json.loads(body) if status == 200 else {"elements": [], "in_step": False}

    def services(self, *arguments):
        subprocess.run([SERVICES, arguments[0], "--state", STATE, *arguments[1:]], check=True,
                       stdout=subprocess.DEVNULL)

    def database(self, *statements):
        address = os.environ["ARTCACHE_TEST_POSTGRES_SUPERUSER"]
        for one in statements:
            subprocess.run(["psql", "-q", address, "-c", one], check=True,
                           stdout=subprocess.DEVNULL)

    def download(self, file_id):
        """Again when it is told to: who has just begun may not know the element yet."""
        answers = []
        self.until(lambda: answers.append(self.client.ask(
            "GET", "query", f"/api/v1/files/{file_id}/download")) or answers[-1][0] != 503,
            "it cannot be downloaded")
        status, body = answers[-1]
        self.assertEqual(status, 200, body[:300])
        return body

    def all_found(self, files):
        """Each once, by its id, with its bytes."""
        for file_id, content in files.items():
            self.until(lambda file_id=file_id: len(self.client.found(file_id)) == 1,
                       "not found once: " + file_id)
            self.assertEqual(hashlib.sha256(self.download(file_id)).digest(),
                             hashlib.sha256(content).digest())

    def consistent(self):
        """What search holds is what the elements hold, and they what their stores hold, before
        anybody has compared it by hand."""
        self.until(lambda: self.status()["in_step"] and len(self.status()["elements"]) == 3,
                   "search is not in step")
        status, body = self.client.ask("POST", "query", "/api/v1/admin/sync/full", b"")
        self.assertEqual(status, 200, body)
        done = json.loads(body)
        self.assertEqual((done["added"], done["updated"], done["deleted"]), (0, 0, 0))
        for element in ELEMENTS:
            status, body = self.client.ask("GET", element, "/api/v1/cache/consistency")
            self.assertEqual(status, 200, body)
            self.assertTrue(json.loads(body)["is_consistent"], body)

    # --- tests ------------------------------------------------------------------------------------

    def test_4_2_what_is_uploaded_through_the_ingester_is_told_and_found(self):
        listener = Listener(self)
        file_id, content = self.upload("contract quarterly.txt")
        for query in (file_id, "contract", "quarterly"):
            self.until(lambda query=query: [one["id"] for one in self.client.found(query)] ==
                       [file_id], "not found by " + query)
        self.all_found({file_id: content})
        [item] = self.client.found(file_id)
        element = item["storage_element_id"]
        path = f"/api/v1/files/{file_id}"
        status, body = self.client.ask("PATCH", element, path, b'{"description":"a plan"}')
        self.assertEqual(status, 200, body)
        self.until(lambda: self.client.found(file_id)[0]["description"] == "a plan",
                   "the new description is not found")
        status, body = self.client.ask("DELETE", element, path)
        self.assertEqual(status, 204, body)
        self.until(lambda: self.client.found(file_id) == [], "it is still found")

        for channel in CHANNELS:
            self.until(lambda channel=channel: listener.heard(channel, file_id),
                       "redis-cli SUBSCRIBE does not hear of it on " + channel)
        _, event, _ = listener.heard("file:created", file_id)
        self.assertEqual((event["event_type"], event["storage_element_id"]),
                         ("file:created", element))
        self.assertEqual(event["metadata"]["checksum"],
                         "sha256:" + hashlib.sha256(content).hexdigest())
        told = redis("XRANGE", "file-events", "-", "+").splitlines()
        kinds, kind = [], None
        for name, value in zip(told, told[1:]):
            if name == "event_type":
                kind = value
            elif (name, value) == ("file_id", file_id):
                kinds.append(kind)
        self.assertEqual(kinds, list(CHANNELS))

    def test_4_3_latencies_are_measured(self):
        listener = Listener(self)
        heard, found = [], []
        for n in range(30):
            file_id, _ = self.upload(f"latency {n}.txt")
            acknowledged = time.monotonic()
            self.until(lambda file_id=file_id: self.client.found(file_id), "not found")
            found.append(time.monotonic() - acknowledged)
            self.until(lambda file_id=file_id: listener.heard("file:created", file_id),
                       "not heard")
            heard.append(listener.heard("file:created", file_id)[2] - acknowledged)
        searches = []
        for _ in range(30):
            began = time.monotonic()
            self.assertTrue(self.client.found("latency"))
            searches.append(time.monotonic() - began)
        for name, values in (("acknowledged -> event heard", heard),
                             ("acknowledged -> found", found), ("a search", searches)):
            values.sort()
            results.note(self, f"{name}: median {values[len(values) // 2] * 1000:.1f} ms, most "
                         f"{values[-1] * 1000:.1f} ms")

    def test_4_4_a_hundred_concurrent_uploads_are_all_found_file_by_file(self):
        files = self.uploads("load", 100, clients=100)
        self.all_found(files)
        self.consistent()

    def test_4_5_redis_is_unavailable_during_publish(self):
        self.services("kill", "redis")
        files = self.uploads("no redis", 20)
        self.all_found(files)
        self.services("restart", "redis")
        # What was not told is told afterwards: recovery 4.6, Redis reconnection.
        self.until(lambda: set(files) <= set(re.findall(r"[0-9a-f-]{36}", redis(
            "XRANGE", "file-events", "-", "+"))), "the stream does not tell of all")
        self.consistent()

    def test_4_5_query_is_offline_during_events(self):
        files = self.uploads("before", 5)
        self.all_found(files)
        self.stand.stop("query", signal.SIGKILL)
        files |= self.uploads("query offline", 20)
        gone = next(iter(files))
        [element] = {name for name in ELEMENTS
                     if self.client.ask("GET", name, "/api/v1/files/" + gone)[0] == 200}
        self.assertEqual(self.client.ask("DELETE", element, "/api/v1/files/" + gone)[0], 204)
        del files[gone]
        self.stand.start("query")
        self.stand.wait_ready("query")
        self.all_found(files)
        self.until(lambda: self.client.found(gone) == [], "what was deleted is still found")
        self.consistent()

    def test_4_5_the_database_is_unavailable_during_sync(self):
        self.all_found(self.uploads("with a database", 3))
        self.addCleanup(self.database, "ALTER DATABASE artstore_query ALLOW_CONNECTIONS true")
        self.database("ALTER DATABASE artstore_query ALLOW_CONNECTIONS false",
                      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                      "WHERE datname = 'artstore_query'")
        files = self.uploads("no database", 20)
        self.until(lambda: any(one["state"] == "waiting" and one["last_error"]
                               for one in self.status()["elements"]), "it does not say so")
        self.assertFalse(self.status()["in_step"])
        self.database("ALTER DATABASE artstore_query ALLOW_CONNECTIONS true")
        self.all_found(files)
        self.consistent()

    def test_4_6_redis_and_query_come_back_again_and_again(self):
        files = {}
        for turn in range(3):
            self.services("kill", "redis")
            files |= self.uploads(f"turn {turn} without redis", 5)
            self.stand.stop("query", signal.SIGKILL)
            files |= self.uploads(f"turn {turn} without both", 5)
            self.services("restart", "redis")
            self.stand.start("query")
            self.stand.wait_ready("query")
            files |= self.uploads(f"turn {turn} with both", 5)
        self.all_found(files)
        self.consistent()
        self.until(lambda: b'status="connected"} 1' in
                   self.client.ask("GET", "query", "/metrics")[1], "it does not listen again")


if __name__ == "__main__":
    ARTCACHED, SERVICES, STATE = (os.path.realpath(path) for path in sys.argv[1:4])
    results.main(ARTCACHED, "TEST_RESULTS_QUERY_SYNC.md", "Results: search and synchronization")
