#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stand under fire: what was acknowledged is there once, with the right bytes, consistent,
registered and found by search, whichever process is stopped or killed meanwhile; and what was
finalized is where permanent files are, and nowhere else.

usage: faults_test.py ARTCACHED SERVICES STATE
SERVICES is the program of tests/services, STATE the file that says where its servers are.
ARTCACHE_UPLOADS sets how many files are sent at least in the round of kills (default 100).
"""

import concurrent.futures
import dataclasses
import hashlib
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

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stand"), str(HERE.parent / "support")]

import results  # noqa: E402
from artcached import eventually  # noqa: E402
from client import Client  # noqa: E402
from stand import ELEMENTS, Stand  # noqa: E402

ARTCACHED = SERVICES = STATE = ""
UPLOADS = int(os.environ.get("ARTCACHE_UPLOADS", "100"))
SEED = int(os.environ.get("ARTCACHE_SEED", str(random.randrange(1 << 30))))
PATIENCE = 180 + UPLOADS / 5  # seconds until everything has to be in step again
CLIENTS = 8


@dataclasses.dataclass
class Sent:
    """A file that was acknowledged; `element` is where it has to be, if that is known."""
    name: str
    file_id: str
    content: bytes
    element: str = ""


class Traffic:
    """Uploads by eight clients, the half of them finalized too when that is wished, until so many
    were sent and nobody wants more. What was refused is tried again so often."""

    def __init__(self, client, label, count, tries, finalizes):
        self.client, self.label, self.count = client, label, count
        self.tries, self.finalizes = tries, finalizes
        self.turn = threading.Lock()
        self.started, self.wanted = 0, True
        self.acknowledged, self.refused = [], []

    def __enter__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self.ends = [self.pool.submit(self.run) for _ in range(CLIENTS)]
        return self

    def __exit__(self, kind, *_):
        self.wanted = False
        if kind:
            self.count = 0
        self.pool.shutdown()
        for end in self.ends:
            if not kind:
                end.result()

    def run(self):
        while True:
            with self.turn:
                if self.started >= self.count and not self.wanted:
                    return
                number, self.started = self.started, self.started + 1
            if number >= self.count:
                time.sleep(0.3)  # a trickle, for as long as what happens meanwhile takes
            self.one(number)

    def one(self, number):
        name = f"{self.label}n{number}.txt"
        content = f"{name} {random.random()} ".encode() * random.randrange(1, 300)
        answer = self.persist(lambda: self.client.upload(name, content))
        sent = Sent(name, answer["file_id"], content) if answer else None
        if sent and self.finalizes and number % 2:
            sent.element = self.persist(lambda: self.client.finalize(sent.file_id))
            if not sent.element:
                sent = None
        if sent:
            self.acknowledged.append(sent)
        else:
            self.refused.append(name)

    def persist(self, act):
        for attempt in range(self.tries):
            if attempt:
                time.sleep(0.2)
            if answer := act():
                return answer
        return None

    def goes_on(self, more):
        """Until so many more are acknowledged or refused: what happens then happens amid them."""
        goal = len(self.acknowledged) + len(self.refused) + more
        if not eventually(lambda: len(self.acknowledged) + len(self.refused) >= goal or
                          all(end.done() for end in self.ends), PATIENCE):
            raise AssertionError("the uploads stand still")


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
        self.stand.wait_in_view()  # the round before may have ended before all were seen again

    # --- what happens, and what has to be ---------------------------------------------------------

    def traffic(self, count=100, tries=1, finalizes=False):
        return Traffic(self.client, f"r{self.round}", count, tries, finalizes)

    def services(self, *arguments):
        subprocess.run([SERVICES, arguments[0], "--state", STATE, *arguments[1:]], check=True,
                       stdout=subprocess.DEVNULL)

    def expect_all(self, traffic):
        began = time.monotonic()
        self.assertEqual(traffic.refused, [], self.client.refusals[-10:])
        self.until_each(traffic.acknowledged, self.is_there_once, "not found once")
        self.until_each(traffic.acknowledged, self.is_registered, "not registered once")
        # Search and the registry could be wrong together: the elements themselves say it too.
        self.until_each(traffic.acknowledged, self.is_held_once, "not held once")
        for sent in traffic.acknowledged:
            got = self.client.download(sent.file_id)
            self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(sent.content).digest(),
                             sent.name)
        self.nothing_by_half()
        self.in_step()
        for name in self.stand.names():
            self.assertTrue(eventually(lambda: self.stand.is_ready(name), PATIENCE),
                            self.stand.last_words(name))
        results.note(self, f"{len(traffic.acknowledged)} files, each once with its bytes "
                     f"{time.monotonic() - began:.1f} s after the last was sent")

    def until_each(self, files, holds, what):
        end = time.monotonic() + PATIENCE
        missing = list(files)
        while missing := [sent for sent in missing if not holds(sent)]:
            self.assertLess(time.monotonic(), end, f"{what}: {missing[0].file_id} and "
                            f"{len(missing) - 1} others\n{self.stand.last_words('query')}\n"
                            f"{self.stand.last_words('ingester')}\n"
                            f"{self.stand.last_words('admin')}")
            time.sleep(0.05)

    def is_there_once(self, sent):
        # A copy that an element took but could not acknowledge is removed before long, and so is
        # the source of a finalize.
        places = [item["storage_element_id"] for item in self.client.found(sent.file_id)]
        return len(places) == 1 and sent.element in ("", places[0])

    def is_registered(self, sent):
        told = self.client.told("GET", "admin", f"/api/v1/files/{sent.file_id}")
        found = self.client.found(sent.file_id)
        return (told is not None and len(found) == 1 and
                told["storage_element_id"] == found[0]["storage_element_id"] and
                told["checksum_sha256"] == hashlib.sha256(sent.content).hexdigest())

    def is_held_once(self, sent):
        # An element that cannot tell has not said that it does not have it.
        told = {name: self.client.ask("GET", name, f"/api/v1/files/{sent.file_id}")[0]
                for name in ELEMENTS}
        return sorted(told.values()) == [200, 404, 404] and told.get(sent.element, 200) == 200

    def nothing_by_half(self):
        """What a killed element was at in the bucket is settled for good half a minute later, when
        none of its requests can arrive there any more."""
        for element in ELEMENTS:
            reports = []
            self.assertTrue(eventually(lambda element=element: reports.append(
                self.client.told("GET", element, "/api/v1/cache/consistency")) or
                self.is_whole(reports[-1]), PATIENCE),
                f"{reports[-1]}\n{self.stand.last_words(element)}")

    def is_whole(self, report):
        return report is not None and report["is_consistent"] and not any(
            report[name] for name in ("missing_data_count", "orphan_data_count",
                                      "size_mismatch_count", "unreadable_count", "pending_count"))

    def in_step(self):
        for name, path in (("query", "/api/v1/admin/sync/status"),
                           ("admin", "/api/v1/files/sync-status")):
            self.assertTrue(eventually(lambda: self.says_in_step(name, path), PATIENCE),
                            self.stand.last_words(name))
        # What it says is so: a comparison entry by entry finds nothing to do.
        self.assertTrue(eventually(self.finds_nothing_to_do, PATIENCE),
                        self.stand.last_words("query"))

    def finds_nothing_to_do(self):
        """False where an element has changed meanwhile: then there was something to do."""
        told = self.client.told("GET", "query", "/api/v1/admin/sync/status") or {"elements": []}
        before = {one["storage_element_id"]: one["position"] for one in told["elements"]}
        done = self.client.told("POST", "query", "/api/v1/admin/sync/full", b"")
        if done is None or done["position"] != before:
            return False
        self.assertEqual((done["added"], done["updated"], done["deleted"]), (0, 0, 0))
        return True

    def says_in_step(self, name, path):
        told = self.client.told("GET", name, path) or {"in_step": False}
        return told["in_step"] and len(told["elements"]) == len(ELEMENTS) and all(
            one["digest_matches"] and one["dead_letters"] == 0 for one in told["elements"])

    # --- tests ------------------------------------------------------------------------------------

    def test_a_hundred_at_once_are_all_found(self):
        with self.traffic() as traffic:
            pass
        self.expect_all(traffic)

    def away(self, name):
        """Stopped amid uploads, for at least sixty of them."""
        with self.traffic() as traffic:
            traffic.goes_on(10)
            self.stand.stop(name)
            traffic.goes_on(60)
            self.stand.start(name)
            self.stand.wait_ready(name)
            traffic.goes_on(10)
        self.expect_all(traffic)

    def test_admin_is_away_during_a_hundred_uploads(self):
        self.away("admin")

    def test_query_is_away_during_a_hundred_uploads(self):
        self.away("query")

    def test_redis_is_away_during_a_hundred_uploads(self):
        with self.traffic() as traffic:
            traffic.goes_on(10)
            self.services("kill", "redis")
            traffic.goes_on(60)
            self.services("restart", "redis")
            traffic.goes_on(10)
        self.expect_all(traffic)

    def test_each_process_is_killed_during_uploads_and_finalizes(self):
        names = self.stand.names()
        rounds = 1 + UPLOADS // 250
        with self.traffic(UPLOADS, tries=300, finalizes=True) as traffic:
            for name in names * rounds:
                # So that all kills fall among uploads and finalizes, and not at the same point.
                traffic.goes_on(random.randint(1, max(1, UPLOADS // (2 * len(names) * rounds))))
                time.sleep(random.uniform(0, 0.05))
                self.stand.stop(name, signal.SIGKILL)
                time.sleep(random.uniform(0, 0.3))
                self.stand.start(name)
                self.stand.wait_ready(name)
        results.note(self, f"{len(names) * rounds} kills")
        self.expect_all(traffic)


if __name__ == "__main__":
    ARTCACHED, SERVICES, STATE = (os.path.realpath(path) for path in sys.argv[1:4])
    results.main(ARTCACHED, "TEST_RESULTS_UNDER_FIRE.md", "Results: the stand under fire")
