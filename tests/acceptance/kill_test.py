# SPDX-License-Identifier: Apache-2.0
"""Kills and stops of a running artcached amid uploads, changes, deletes, reads and rebuilds. What
was acknowledged is there afterwards, with the right bytes; nothing is there by half.

usage: kill_test.py ARTCACHED; ARTCACHE_TEST_KILLS says how often it is killed
"""

import hashlib
import http.client
import json
import pathlib
import random
import signal
import socket
import sys
import threading
import time
import unittest
import urllib.error
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from artcached import Artcached, eventually, form, scale  # noqa: E402

DAEMON = ""
KILLS = scale("ARTCACHE_TEST_KILLS", 6)
GONE = (OSError, http.client.HTTPException, urllib.error.URLError)


class Traffic(threading.Thread):
    """One client: it knows what was acknowledged, and what it may not know because of a kill."""

    def __init__(self, daemon, number, killed):
        super().__init__()
        self.daemon_, self.number, self.killed = daemon, number, killed
        self.dice = random.Random(number)
        self.files = {}  # id -> content, description: as acknowledged
        self.open = {}  # id -> what may also be so: None for deleted, else a description
        self.wrong = []
        self.count = 0

    def run(self):
        try:
            while True:
                self.one()
        except GONE as error:
            if not self.killed.is_set():  # that is no kill of ours
                self.wrong.append(f"{self.count}: {error!r}")
        except AssertionError as error:
            self.wrong.append(str(error))

    def one(self):
        self.count += 1
        what = self.dice.random()
        if what < 0.5 or not self.files:
            content = self.dice.randbytes(self.dice.choice((10, 1000, 300_000)))
            sent = self.daemon_.upload(f"f{self.number}-{self.count}.bin", content,
                                       description="first")
            self.files[sent["file_id"]] = (content, "first")
            return
        file_id = self.dice.choice(sorted(self.files))
        path = f"/api/v1/files/{file_id}"
        content, description = self.files[file_id]
        if what < 0.65:
            told = f"change {self.count}"
            self.open[file_id] = told
            self.daemon_.call("PATCH", "se-01", path, json_body={"description": told})
            self.files[file_id] = (content, told)
        elif what < 0.75:
            self.open[file_id] = None
            self.daemon_.call("DELETE", "se-01", path, 204)
            del self.files[file_id]
        else:
            self.check(file_id)
        self.open.pop(file_id, None)

    def check(self, file_id):
        content, description = self.files[file_id]
        entry = self.daemon_.call("GET", "se-01", f"/api/v1/files/{file_id}")
        assert entry["description"] == description, (entry["description"], description)
        status, _, body = self.daemon_.ask("GET", "se-01", f"/api/v1/files/{file_id}/download")
        assert (status, body) == (200, content), (status, len(body), len(content))

    def settle(self):
        """After a kill: what was open is either as before or as was asked; the rest as told."""
        for file_id, asked in self.open.items():
            status, _, body = self.daemon_.ask("GET", "se-01", f"/api/v1/files/{file_id}")
            content, description = self.files[file_id]
            if status == 404:
                assert asked is None, f"{file_id} is gone and nobody deleted it"
                del self.files[file_id]
                continue
            found = json.loads(body)["description"]
            assert found in (description, asked), (found, description, asked)
            self.files[file_id] = (content, found)
        self.open.clear()
        for file_id in self.files:
            self.check(file_id)


class Rebuilds(threading.Thread):
    def __init__(self, daemon):
        super().__init__()
        self.daemon_ = daemon

    def run(self):
        try:
            while True:
                for what in ("rebuild", "rebuild/incremental"):
                    self.daemon_.ask("POST", "se-01", f"/api/v1/cache/{what}")
        except GONE:
            pass


class Kills(unittest.TestCase):
    def setUp(self):
        self.daemon = Artcached(DAEMON)
        self.addCleanup(self.daemon.close)
        self.daemon.start()
        self.daemon.first_rebuild_over()
        self.files = self.daemon.data / "se-01/files"

    def report(self):
        return self.daemon.call("GET", "se-01", "/api/v1/cache/consistency")

    def nothing_by_half(self, ids=None):
        report = self.report()
        self.assertTrue(report["is_consistent"], report)
        for name in ("missing_data_count", "orphan_data_count", "size_mismatch_count",
                     "unreadable_count", "pending_count"):
            self.assertEqual(report[name], 0, report)
        if ids is not None:
            self.assertEqual(report["total_cache_entries"], ids)
        self.assertEqual(list(self.files.rglob(".tmp_*")), [])

    def test_nothing_acknowledged_is_lost_by_kills_amid_traffic(self):
        clients = []
        for kill in range(KILLS):
            killed = threading.Event()
            mixed = [Traffic(self.daemon, 10 * kill + i, killed) for i in range(3)]
            rebuilds = Rebuilds(self.daemon)
            for thread in (*mixed, rebuilds):
                thread.start()
            # Amid traffic means after some of it; how far each got is left to chance.
            goal = random.randint(5, 60)
            self.assertTrue(eventually(lambda: sum(c.count for c in mixed) >= goal or
                                       any(c.wrong for c in mixed)))
            self.assertEqual([client.wrong for client in mixed], [[]] * 3)
            self.assertTrue(rebuilds.is_alive())
            self.assertIsNone(self.daemon.child.poll())
            killed.set()
            self.assertEqual(self.daemon.end(signal.SIGKILL), -signal.SIGKILL)
            for thread in (*mixed, rebuilds):
                thread.join()
            clients += mixed
            self.daemon.start()
            for client in mixed:
                self.assertEqual(client.wrong, [])
                client.settle()
            self.nothing_by_half()
        for client in clients:
            client.settle()

    def test_an_upload_that_is_cut_leaves_nothing(self):
        body, headers = form("cut.bin", b"x" * 500_000)
        for sent in (300, 200_000, len(body) - 10):
            with socket.create_connection(("127.0.0.1", self.daemon.ports["se-01"])) as wire:
                wire.sendall(self.head(len(body), headers) + body[:sent])
        # The log tells when the last of them was given up.
        self.assertTrue(eventually(lambda: self.daemon.log.read_text().count("/upload 499") == 3))
        self.assertTrue(eventually(lambda: not self.leftovers() and
                                   self.report()["pending_count"] == 0), self.leftovers())
        self.nothing_by_half(0)

    def test_a_stop_lets_an_upload_finish(self):
        content = bytes(range(256)) * 4000
        body, headers = form("slow.bin", content)
        with socket.create_connection(("127.0.0.1", self.daemon.ports["se-01"])) as wire:
            wire.sendall(self.head(len(body), headers) + body[:200_000])
            self.assertTrue(eventually(self.leftovers))
            self.daemon.child.send_signal(signal.SIGTERM)
            wire.sendall(body[200_000:])
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            self.assertEqual(answer.status, 201)
            sent = json.loads(answer.read())
        self.assertEqual(self.daemon.child.wait(timeout=180), 0)
        self.daemon.end()
        self.daemon.start()
        _, _, body = self.daemon.ask("GET", "se-01", f"/api/v1/files/{sent['file_id']}/download")
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(content).digest())
        self.nothing_by_half(1)

    def test_a_stop_amid_a_rebuild_leaves_a_store_that_goes_on(self):
        for i in range(30):
            self.daemon.upload(f"f{i}", b"x")
        rebuilds = Rebuilds(self.daemon)
        rebuilds.start()
        said = self.daemon.log
        self.assertTrue(eventually(lambda: said.read_text().count("Starting full cache") > 2))
        self.assertEqual(self.daemon.end(signal.SIGTERM), 0)
        rebuilds.join()
        self.daemon.start()
        self.nothing_by_half(30)
        rebuilt = self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild")
        self.assertEqual(rebuilt["statistics"]["entries_created"], 30)

    def test_a_stop_amid_an_upload_and_a_rebuild_loses_neither(self):
        count = 20_000
        self.multiply(self.daemon.upload("one.bin", b"x")["file_id"], count - 1)
        time.sleep(2.2)  # what has just changed is read again in any case
        content = random.randbytes(300_000)
        body, headers = form("slow.bin", content)
        with socket.create_connection(("127.0.0.1", self.daemon.ports["se-01"])) as wire:
            wire.sendall(self.head(len(body), headers) + body[:1000])
            job = self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild?async=1", 202)
            self.assertTrue(eventually(lambda: self.daemon.call("GET", "se-01", job["status_url"])
                                       ["progress"]["processed"] > 0))
            self.daemon.child.send_signal(signal.SIGTERM)
            wire.sendall(body[1000:])
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            self.assertEqual(answer.status, 201)
            file_id = json.loads(answer.read())["file_id"]
        self.assertEqual(self.daemon.child.wait(timeout=180), 0)
        self.daemon.end()
        # The first was that of the new index.
        finished = self.daemon.log.read_text().count("rebuild completed | element_id=se-01") == 2
        self.daemon.start()
        _, _, body = self.daemon.ask("GET", "se-01", f"/api/v1/files/{file_id}/download")
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(content).digest())
        rebuilt = self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild")["statistics"]
        self.assertEqual(rebuilt["entries_created"], count + 1)
        if not finished:  # the work that was done is not done again
            self.assertLess(rebuilt["sidecars_opened"], count)
        self.nothing_by_half(count + 1)

    def multiply(self, file_id, count):
        """More files of the same content, put there by hand."""
        [sidecar] = self.files.rglob(f"*{file_id}*.attr.json")
        text, suffix = sidecar.read_text(), ".attr.json"
        for _ in range(count):
            other = str(uuid.uuid4())
            name = sidecar.name.replace(file_id, other)
            (sidecar.parent / name).write_text(text.replace(file_id, other))
            (sidecar.parent / name.removesuffix(suffix)).write_bytes(b"x")

    def head(self, length, headers):
        return (f"POST /api/v1/files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
                f"Content-Type: {headers['Content-Type']}\r\n"
                f"Authorization: Bearer {self.daemon.token}\r\n\r\n").encode()

    def leftovers(self):
        return [path for path in self.files.rglob("*") if path.is_file()]


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
