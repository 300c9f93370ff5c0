#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stand under fire: what was acknowledged is there once, with the right bytes, consistent and
found by search, whichever process is stopped or killed meanwhile; and what was finalized is where
permanent files are, and nowhere else.

usage: faults_test.py ARTCACHED SERVICES STATE
SERVICES is the program of tests/services, STATE the file that says where its servers are.
ARTCACHE_UPLOADS sets how many files are sent in the round of kills (default 100).
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stand"), str(HERE.parent / "support")]

from artcached import eventually  # noqa: E402
from stand import ACCOUNT, ELEMENTS, Stand  # noqa: E402

ARTCACHED = SERVICES = STATE = ""
UPLOADS = int(os.environ.get("ARTCACHE_UPLOADS", "100"))
SEED = int(os.environ.get("ARTCACHE_SEED", str(random.randrange(1 << 30))))
PATIENCE = 60 + UPLOADS / 5  # seconds until everything has to be in step again


@dataclasses.dataclass
class Sent:
    """A file that was acknowledged; `element` is where it has to be, if that is known."""
    name: str
    file_id: str
    content: bytes
    element: str = ""


class Client:
    def __init__(self, stand):
        self.stand = stand
        self.token = ""

    def ask(self, method, name, path, body=None, kind="application/json", seconds=30):
        """Status and body, whatever the answer is."""
        request = urllib.request.Request(
            self.stand.address(name) + path, data=body, method=method,
            headers={"Authorization": "Bearer " + self.token, "Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def log_in(self):
        status, body = self.ask("POST", "admin", "/api/v1/auth/token", json.dumps(
            {"client_id": ACCOUNT[0], "client_secret": ACCOUNT[1]}).encode())
        assert status == 200, body
        self.token = json.loads(body)["access_token"]

    def upload(self, name, content):
        """The answer to an upload that was acknowledged, or nothing."""
        body = (b'--b\r\nContent-Disposition: form-data; name="retention_days"\r\n\r\n30\r\n'
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="' +
                name.encode() + b'"\r\n\r\n' + content + b"\r\n--b--\r\n")
        try:
            status, answer = self.ask("POST", "ingester", "/api/v1/files/upload", body,
                                      "multipart/form-data; boundary=b")
        except OSError:
            return None
        return json.loads(answer) if status == 201 else None

    def finalize(self, file_id):
        """Where the file is permanent now, or nothing when that is not known."""
        try:
            status, answer = self.ask("POST", "ingester", f"/api/v1/finalize/{file_id}", b"{}",
                                      seconds=60)
        except OSError:
            return None
        told = json.loads(answer) if status == 202 else {}
        done = told.get("status") == "completed"
        return told["target_storage_element_id"] if done else None

    def found(self, query):
        status, body = self.ask("GET", "query", "/api/v1/files/search?query=" +
                                urllib.parse.quote(query))
        return json.loads(body)["items"] if status == 200 else []

    def download(self, file_id):
        status, body = self.ask("GET", "query", f"/api/v1/files/{file_id}/download")
        assert status == 200, (status, body[:300])
        return body


class UnderFire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        random.seed(SEED)
        print(f"seed {SEED}", file=sys.stderr)
        cls.place = tempfile.TemporaryDirectory(prefix="faults-")
        cls.addClassCleanup(cls.place.cleanup)
        cls.stand = Stand(pathlib.Path(cls.place.name) / "stand", ARTCACHED)
        cls.addClassCleanup(cls.stand.down)
        cls.stand.up()
        cls.client = Client(cls.stand)
        cls.client.log_in()
        cls.round = 0

    def setUp(self):
        type(self).round += 1

    # --- what happens, and what has to be ---------------------------------------------------------

    def send(self, count, beside=None, tries=1, finalized=0):
        """Uploads so many files by eight clients while `beside` runs, and finalizes the first so
        many of them; those that were acknowledged, and the names of the others. What was refused
        is tried again."""
        def persist(act):
            for attempt in range(tries):
                if attempt:
                    time.sleep(0.2)
                if answer := act():
                    return answer
            return None

        def one(number):
            name = f"r{self.round}n{number}.txt"
            content = f"{name} {random.random()} ".encode() * random.randrange(1, 300)
            answer = persist(lambda: self.client.upload(name, content))
            if not answer:
                return name, None
            sent = Sent(name, answer["file_id"], content)
            if number < finalized:
                sent.element = persist(lambda: self.client.finalize(sent.file_id))
                if not sent.element:
                    return name, None
            return name, sent

        acknowledged, refused = [], []
        worker = threading.Thread(target=beside) if beside else None
        if worker:
            worker.start()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for name, sent in pool.map(one, range(count)):
                if sent:
                    acknowledged.append(sent)
                else:
                    refused.append(name)
        if worker:
            worker.join()
        return acknowledged, refused

    def is_there_once(self, sent):
        # A copy that an element took but could not acknowledge is removed before long, and so is
        # the source of a finalize.
        places = [item["storage_element_id"] for item in self.client.found(sent.file_id)]
        return len(places) == 1 and sent.element in ("", places[0])

    def expect_all(self, files):
        """Found by search, with the right bytes, and every index in step with its store."""
        end = time.monotonic() + PATIENCE
        missing = list(files)
        while missing := [sent for sent in missing if not self.is_there_once(sent)]:
            self.assertLess(time.monotonic(), end, f"not there once: {missing[0].file_id} and "
                            f"{len(missing) - 1} others\n{self.stand.last_words('query')}\n"
                            f"{self.stand.last_words('ingester')}")
            time.sleep(0.05)
        for sent in files:
            got = self.client.download(sent.file_id)
            self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(sent.content).digest(),
                             sent.name)
        for element in ELEMENTS:
            status, body = self.client.ask("GET", element, "/api/v1/cache/consistency")
            self.assertEqual(status, 200, body)
            report = json.loads(body)
            self.assertTrue(report["is_consistent"], report)
        self.assertTrue(eventually(self.replicas_in_step, PATIENCE),
                        self.stand.last_words("query"))
        for name in self.stand.names():
            self.assertTrue(eventually(lambda: self.stand.is_ready(name), PATIENCE),
                            self.stand.last_words(name))

    def replicas_in_step(self):
        status, body = self.client.ask("GET", "query", "/api/v1/admin/sync/status")
        told = json.loads(body) if status == 200 else {"in_step": False}
        return told["in_step"] and len(told["elements"]) == len(ELEMENTS) and all(
            one["digest_matches"] and one["dead_letters"] == 0 for one in told["elements"])

    def services(self, *arguments):
        subprocess.run([SERVICES, arguments[0], "--state", STATE, *arguments[1:]], check=True,
                       stdout=subprocess.DEVNULL)

    # --- tests ------------------------------------------------------------------------------------

    def test_hundred_at_once_are_all_found(self):
        files, refused = self.send(100)
        self.assertEqual(refused, [])
        began = time.monotonic()
        self.expect_all(files)
        print(f"100 uploads all found and read after {time.monotonic() - began:.2f} s",
              file=sys.stderr)

    def away(self, name):
        def beside():
            time.sleep(0.2)
            self.stand.stop(name)
            time.sleep(1)
            self.stand.start(name)
            self.stand.wait_ready(name)
        return beside

    def test_admin_is_away_during_a_hundred_uploads(self):
        files, refused = self.send(100, self.away("admin"))
        self.assertEqual(refused, [], "an upload needs no admin")
        self.expect_all(files)

    def test_query_is_away_during_a_hundred_uploads(self):
        files, refused = self.send(100, self.away("query"))
        self.assertEqual(refused, [], "an upload needs no search")
        self.expect_all(files)

    def test_redis_is_away_during_a_hundred_uploads(self):
        def beside():
            time.sleep(0.2)
            self.services("kill", "redis")
            time.sleep(1)
            self.services("restart", "redis")
        files, refused = self.send(100, beside)
        self.assertEqual(refused, [], "an upload needs no Redis")
        self.expect_all(files)

    def test_each_process_is_killed_during_uploads_and_finalizes(self):
        def beside():
            for name in self.stand.names() * (1 + UPLOADS // 250):
                time.sleep(random.uniform(0.1, 0.5))
                self.stand.stop(name, signal.SIGKILL)
                time.sleep(random.uniform(0, 0.3))
                self.stand.start(name)
                self.stand.wait_ready(name)
        files, refused = self.send(UPLOADS, beside, tries=300, finalized=UPLOADS // 2)
        self.assertEqual(refused, [], "it did not come back")
        self.expect_all(files)


if __name__ == "__main__":
    ARTCACHED, SERVICES, STATE = (os.path.realpath(path) for path in sys.argv[1:4])
    unittest.main(argv=sys.argv[:1], verbosity=2)
