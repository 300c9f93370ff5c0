#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G6][G7] Replicas follow an element that is killed, restored, cut off and forgets its log.

Each ends with the digest of the element without a hand.

usage: log_faults_test.py ARTCACHED ARTCACHE
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from artcached import Artcached, eventually  # noqa: E402

DAEMON = PROGRAM = ""


class Link:
    """A port that stays the same, in front of an element that does not; it can cut and hold."""

    def __init__(self):
        self.target = 0
        self.passed = 0  # bytes of answers
        self.cut_at = None  # after so many more of them the next connections break
        self.free = threading.Event()
        self.free.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.free.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        with client:
            try:
                element = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            with element:
                back = threading.Thread(target=self.pass_on, args=(element, client, True))
                back.start()
                self.pass_on(client, element, False)
                back.join()

    def pass_on(self, one, other, answers):
        try:
            while piece := one.recv(4096):
                if answers:
                    self.free.wait()
                    self.passed += len(piece)
                    if self.cut_at is not None and self.passed > self.cut_at:
                        break
                other.sendall(piece)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def spoil_log(index, ids):
    """What the log tells of these is not what their hashes vouch for."""
    with contextlib.closing(sqlite3.connect(index, timeout=30)) as database, database:
        [table] = [name for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%log'")]
        for one in ids:
            changed = database.execute(f"UPDATE {table} SET payload = payload || x'00' "
                                       "WHERE file_id = ?", [uuid.UUID(one).bytes])
            if changed.rowcount != 1:
                raise AssertionError(f"{one}: {changed.rowcount} rows")


def describe_by_hand(index, file_id, text):
    """Past the hash of the entry, which is read no more then; None, as it was, makes it whole."""
    with contextlib.closing(sqlite3.connect(index, timeout=30)) as database, database:
        [table] = [name for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'entry_[0-9]*' "
            "AND sql LIKE '%refreshed_at%'")]
        changed = database.execute(f"UPDATE {table} SET description = ? WHERE file_id = ?",
                                   [text, uuid.UUID(file_id).bytes])
        if changed.rowcount != 1:
            raise AssertionError(f"{file_id}: {changed.rowcount} rows")


class Replica:
    def __init__(self, test, name, link, token):
        self.index = f"sqlite://{test.folder}/{name}.db"
        self.words = ["sync", "--from", link.url, "--index", self.index, "--json", "-q"]
        self.environment = {**os.environ, "ARTCACHE_TOKEN": token}
        self.test = test
        self.said = []
        self.child = None

    def once(self):
        done = subprocess.run([PROGRAM, *self.words], env=self.environment, capture_output=True,
                              text=True, check=False, timeout=180)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    def follow(self):
        self.child = subprocess.Popen([PROGRAM, *self.words, "--follow"], env=self.environment,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.test.addCleanup(self.end)
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        with self.child.stdout as lines:
            for line in lines:
                self.said.append(json.loads(line))

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        self.child.wait(timeout=180)
        self.listener.join()

    def proven_at(self, position):
        return eventually(lambda: any(one["proven"] and one["position"] == position
                                      for one in list(self.said)))

    def ids(self):
        done = subprocess.run([PROGRAM, "list", "--index", self.index, "--json", "-q", "--limit",
                               "0"], capture_output=True, text=True, check=True)
        return sorted(json.loads(line)["file_id"] for line in done.stdout.splitlines())


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.link = Link()
        self.addCleanup(self.link.close)

    def begin(self, *arguments):
        self.element = Artcached(DAEMON, *arguments)
        self.addCleanup(self.element.close)
        self.start()
        self.replica = Replica(self, "copy", self.link, self.element.token)

    def start(self):
        self.element.start()
        self.link.target = self.element.ports["se-01"]

    def upload(self, count):
        return sorted(self.element.upload("x.txt", b"x" * n)["file_id"]
                      for n in range(1, count + 1))

    def listed(self):
        page = self.element.call("GET", "se-01", "/api/v1/files?limit=1000")
        return sorted(one["file_id"] for one in page["files"])

    def noticed(self):
        return self.element.log.read_text().count("The index was put back; it is compared")

    def trusted(self):
        index = next(self.element.data.rglob("se-01/index.db"))
        done = subprocess.run([PROGRAM, "doctor", "--index", f"sqlite://{index}", "--json"],
                              capture_output=True, text=True, check=False)
        return json.loads(done.stdout)["trusted"]

    def position(self):
        """Where the element is, by a replica that is made for it."""
        other = Replica(self, f"other-{len(list(self.folder.iterdir()))}", self.link,
                        self.element.token)
        code, said, errors = other.once()
        self.assertEqual(code, 0, errors)
        self.assertTrue(said["proven"])
        return said["position"]

    def caught_up(self):
        code, said, errors = self.replica.once()
        self.assertEqual(code, 0, errors)
        self.assertTrue(said["proven"])
        self.assertEqual(said["position"], self.position())
        return said

    def test_an_element_that_is_killed_under_a_long_poll_is_followed_when_it_is_back(self):
        self.begin()
        ids = self.upload(3)
        self.replica.follow()
        self.assertTrue(self.replica.proven_at(self.position()))
        for _ in range(2):
            self.element.end(signal.SIGKILL)
            self.assertTrue(eventually(lambda: self.replica.said[-1]["state"] == "waiting"))
            self.start()
            ids += self.upload(2)
            self.assertTrue(self.replica.proven_at(self.position()))
        self.replica.end()
        self.assertEqual(self.replica.ids(), sorted(ids))

    def test_a_snapshot_that_is_cut_is_an_error_and_is_made_good_the_next_time(self):
        self.begin()
        ids = self.upload(60)
        self.link.cut_at = self.link.passed + 12_000
        code, said, errors = self.replica.once()
        self.assertEqual((code, list(said)), (1, ["error"]))
        self.assertIn("unavailable", errors)
        self.link.cut_at = None
        self.caught_up()
        self.assertEqual(self.replica.ids(), ids)

    def test_an_index_that_was_restored_from_an_older_copy_is_noticed_and_made_good(self):
        self.begin()
        ids = self.upload(5)
        self.assertEqual(self.element.end(), 0)
        index = next(self.element.data.rglob("se-01/index.db"))
        shutil.copy(index, self.folder / "older")
        self.start()
        ids += self.upload(4)
        self.caught_up()
        self.assertEqual(self.replica.ids(), sorted(ids))
        self.assertEqual(self.element.end(), 0)
        for rest in index.parent.glob("index.db-*"):
            rest.unlink()
        shutil.copy(self.folder / "older", index)
        self.start()
        # A replica tells the element, if the query role has not yet, and the element finds the
        # files that its index has forgotten.
        code, _, errors = self.replica.once()
        self.assertEqual(code, 0, errors)
        self.assertTrue(eventually(self.noticed))
        self.assertTrue(eventually(lambda: self.listed() == sorted(ids)))
        self.assertTrue(eventually(self.trusted))
        self.caught_up()
        self.assertEqual(self.replica.ids(), sorted(ids))
        # And the log that goes on from there is followed as any other.
        ids += self.upload(1)
        self.caught_up()
        self.assertEqual(self.replica.ids(), sorted(ids))

    def test_an_index_that_is_put_back_twice_under_a_running_element_is_noticed_each_time(self):
        self.begin()
        ids = self.upload(5)
        index = next(self.element.data.rglob("se-01/index.db"))

        def copy(source, target):
            with contextlib.closing(sqlite3.connect(source)) as one, \
                    contextlib.closing(sqlite3.connect(target, timeout=30)) as other:
                one.backup(other)

        copy(index, self.folder / "older")
        ids = sorted(ids + self.upload(4))
        self.caught_up()
        for times in (1, 2, 3):
            copy(self.folder / "older", index)
            code, _, errors = self.replica.once()
            self.assertEqual(code, 0, errors)
            self.assertTrue(eventually(lambda times=times: self.noticed() == times),
                            f"time {times}")
            self.assertTrue(eventually(lambda: self.listed() == ids), f"time {times}")
            self.assertTrue(eventually(self.trusted))
            self.caught_up()
            self.assertEqual(self.replica.ids(), ids)

    def test_a_log_that_was_trimmed_below_a_replica_costs_a_comparison(self):
        index = f"sqlite://{self.folder}/element.db?log_rows=20"
        self.begin("--set", "element.se-01.index=" + index)
        ids = self.upload(30)
        self.caught_up()
        ids += self.upload(60)
        said = self.caught_up()
        self.assertEqual((said["mendings"], said["mended"], said["snapshots"]), (1, 60, 0))
        self.assertEqual(self.replica.ids(), sorted(ids))

    def test_a_replica_that_is_held_up_does_not_hold_up_another_one(self):
        self.begin()
        slow_link = Link()
        self.addCleanup(slow_link.close)
        slow_link.target = self.link.target
        slow = Replica(self, "slow", slow_link, self.element.token)
        ids = self.upload(2)
        for one in (self.replica, slow):
            one.follow()
            self.assertTrue(one.proven_at(self.position()))
        slow_link.free.clear()
        ids += self.upload(20)
        end = self.position()
        self.assertTrue(self.replica.proven_at(end))
        self.assertNotEqual(slow.said[-1]["position"], end)
        slow_link.free.set()
        self.assertTrue(slow.proven_at(end))
        for one in (self.replica, slow):
            one.end()
            self.assertEqual(one.ids(), sorted(ids))

    def test_a_record_that_is_spoilt_in_the_log_alone_heals_by_itself(self):
        self.begin()
        ids = self.upload(3)
        self.caught_up()
        poison = self.upload(2)
        ids += poison + self.upload(4)
        spoil_log(next(self.element.data.rglob("se-01/index.db")), poison)
        self.assertEqual(self.caught_up()["dead_letters"], [])
        self.assertEqual(self.replica.ids(), sorted(ids))

    def test_a_record_that_cannot_be_applied_is_named_and_holds_up_no_other(self):
        self.begin()
        ids = self.upload(3)
        self.caught_up()
        poison = self.upload(2)
        ids += self.upload(4)
        index = next(self.element.data.rglob("se-01/index.db"))
        spoil_log(index, poison)
        for one in poison:
            describe_by_hand(index, one, "poison")
        code, said, errors = self.replica.once()
        self.assertEqual(code, 2, errors)
        self.assertEqual(sorted(one["file_id"] for one in said["dead_letters"]), poison)
        self.assertTrue(said["proven"], "in step but for those")
        self.assertEqual(self.replica.ids(), sorted(ids))
        # Once they are whole they are fetched, although the log does not tell of them again.
        for one in poison:
            describe_by_hand(index, one, None)
        self.assertEqual(self.caught_up()["dead_letters"], [])
        self.assertEqual(self.replica.ids(), sorted(ids + poison))

    def test_a_token_that_is_not_believed_any_more_is_renewed_in_its_file(self):
        self.begin()
        ids = self.upload(2)
        token = self.folder / "token"
        token.write_text(self.element.token + "\n")
        self.replica.words += ["--token-file", str(token)]
        self.replica.environment.pop("ARTCACHE_TOKEN")
        self.replica.follow()
        self.assertTrue(self.replica.proven_at(self.position()))
        token.write_text("header.payload.signature")
        self.assertTrue(eventually(lambda: self.replica.said[-1]["state"] == "waiting"))
        self.assertIn("401", self.replica.said[-1]["last_error"])
        token.unlink()
        ids += self.upload(2)
        token.write_text(self.element.fresh_token())
        self.assertTrue(self.replica.proven_at(self.position()))
        self.replica.end()
        self.assertEqual(self.replica.ids(), sorted(ids))


if __name__ == "__main__":
    DAEMON, PROGRAM = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
