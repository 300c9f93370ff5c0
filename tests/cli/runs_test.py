# SPDX-License-Identifier: Apache-2.0
"""Runs of a process, over HTTP: followed as they happen, cancelled, kept out and let in by locks,
begun by the clock; and the modes of an element.

usage: runs_test.py ARTCACHED ARTCACHE
"""

import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import unittest
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support")]

from artcached import Artcached, eventually  # noqa: E402

DAEMON = PROGRAM = ""
MANY = 5000
CACHE = "/api/v1/cache/"
STREAMS = 8  # that an element has at most


class Stream:
    """Server-sent events as a browser has them, over a socket of its own."""

    def __init__(self, daemon, job):
        self.wire = http.client.HTTPConnection("127.0.0.1", daemon.ports["se-01"], timeout=120)
        self.wire.request("GET", job["events_url"], headers={
            "Authorization": f"Bearer {daemon.token}", "Accept": "text/event-stream"})
        self.answer = self.wire.getresponse()
        self.status = self.answer.status
        self.kind = self.answer.headers["Content-Type"]

    def next(self):
        """Name and data of the next event; a comment has no name, the end neither."""
        name, data = None, None
        for line in iter(self.answer.readline, b""):
            if line == b"\n":
                return name, data
            field, _, value = line.decode().rstrip("\n").partition(":")
            if field == "event":
                name = value.strip()
            elif field == "data":
                data = json.loads(value)
            elif field == "":
                data = "comment"
        return None, None

    def close(self):
        self.answer.close()
        self.wire.close()


class Demo(unittest.TestCase):
    arguments = ()

    def setUp(self):
        self.daemon = Artcached(DAEMON, *self.arguments)
        self.addCleanup(self.daemon.close)
        self.daemon.start()
        self.daemon.first_rebuild_over()

    def call(self, method, what, check=200, role="se-01"):
        return self.daemon.call(method, role, CACHE + what, check)

    def follow(self, job):
        stream = Stream(self.daemon, job)
        self.addCleanup(stream.close)
        return stream

    def multiply(self, count):
        """That many sidecars, of which all but one were put there by hand; no data."""
        file_id = self.daemon.upload("one.txt", b"x")["file_id"]
        [sidecar] = (self.daemon.data / "se-01/files").rglob(f"*{file_id}*.attr.json")
        text = sidecar.read_text()
        for _ in range(count - 1):
            other = str(uuid.uuid4())
            (sidecar.parent / sidecar.name.replace(file_id, other)).write_text(
                text.replace(file_id, other))
        return file_id

    def metric(self, series):
        text = self.daemon.ask("GET", "se-01", "/metrics")[2].decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None


class Runs(Demo):
    def test_a_run_is_followed_over_a_socket_and_ends_when_it_is_told_to(self):
        many = 0
        for more in (MANY, 3 * MANY, 12 * MANY):  # a quick machine is done before it is told
            self.multiply(more)
            many += more
            job, seen = self.cut_short()
            if seen[-1][1]["status"] == "cancelled":
                break
        counts = [data["progress"]["processed"] for _, data in seen]
        self.assertEqual(counts, sorted(counts))
        self.assertLess(counts[-1], many)
        done = seen[-1][1]
        self.assertEqual(done["status"], "cancelled")
        self.assertNotIn("result", done)
        self.assertEqual(self.call("GET", f"jobs/{job['job_id']}")["status"], "cancelled")
        # What was done is not lost, and nobody is locked out.
        self.assertEqual(self.call("GET", "locks")["locks"], [])
        whole = self.call("POST", "rebuild")["statistics"]
        self.assertEqual(whole["cache_entries_after"], many)

    def cut_short(self):
        """Begins a run, tells it to end once it has done something, and what was heard of it."""
        job = self.call("POST", "rebuild?async=1", 202)
        stream = self.follow(job)
        self.assertEqual((stream.status, stream.kind), (200, "text/event-stream"))
        seen = []
        while not any(name == "done" or data["progress"]["processed"] > 0 for name, data in seen):
            name, data = stream.next()
            self.assertIn(name, ("progress", "done"))
            self.assertEqual(data["job_id"], job["job_id"])
            seen.append((name, data))
        told = self.call("DELETE", f"jobs/{job['job_id']}", 202)
        self.assertEqual(told["operation"], "rebuild")
        while seen[-1][0] != "done":
            seen.append(stream.next())
        self.assertEqual(stream.next(), (None, None))
        return job, seen

    def held_by_a_stopped_process(self):
        """A check that holds its lock, goes on no more, and does not yield."""
        self.multiply(100)
        self.call("POST", "rebuild")
        store = self.daemon.data / "se-01"
        child = subprocess.Popen(
            [PROGRAM, "check", "--storage", f"file://{store}/files", "--index",
             f"sqlite://{store}/index.db", "--element", "se-01", "--files-per-second", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertTrue(eventually(lambda: self.call("GET", "locks")["total"] == 1))
        child.send_signal(signal.SIGSTOP)
        return child

    def test_a_lock_is_shown_and_broken_and_who_waits_for_it_is_followed_meanwhile(self):
        child = self.held_by_a_stopped_process()
        [lock] = self.call("GET", "locks")["locks"]
        self.assertEqual((lock["element"], lock["lock_type"]), ("se-01", "manual_check"))
        self.assertTrue(lock["host"] and lock["operation"])
        self.assertGreater(lock["fence"], 0)
        self.assertGreaterEqual(lock["age_seconds"], 0)
        self.assertGreater(lock["expires_in_seconds"], 0)
        job = self.call("POST", "rebuild?async=1", 202)
        streams = [self.follow(job) for _ in range(STREAMS)]
        self.assertEqual([stream.status for stream in streams], [200] * STREAMS)
        refused = self.follow(job)
        self.assertEqual(refused.status, 503)
        self.assertTrue(refused.answer.headers["Retry-After"])
        # Files are served beside them.
        self.daemon.call("GET", "se-01", "/api/v1/files/")
        # Nothing goes on for longer than a heartbeat takes.
        events = [streams[0].next()]
        while events[-1][1] != "comment":
            events.append(streams[0].next())
            self.assertIn(events[-1][0], ("progress", None))
        self.assertEqual(self.call("GET", f"jobs/{job['job_id']}")["status"], "running")
        broken = self.daemon.call("DELETE", "se-01", CACHE + "locks/manual_check",
                                  headers={"X-Request-ID": "break-1"})
        self.assertEqual((broken["element"], broken["lock_type"]), ("se-01", "manual_check"))
        [said] = [line for line in self.daemon.log.read_text().splitlines()
                  if "Lock taken away by hand" in line]
        self.assertRegex(said, "^WARNING: .*lock_type=manual_check by=admin-service.*break-1")
        while events[-1][0] != "done":
            events.append(streams[0].next())
        self.assertEqual(events[-1][1]["status"], "succeeded")
        self.call("DELETE", "locks/manual_check", 404)
        child.send_signal(signal.SIGCONT)
        self.assertNotEqual(child.wait(timeout=180), 0)  # it lost its lock


class LazyRefresh(Demo):
    """What a read sets going, and the rebuild that comes in the middle of it."""

    def expire(self):
        self.index.execute("PRAGMA busy_timeout = 60000")  # the element writes, too
        with self.index:
            for (table,) in self.index.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' "
                    "AND name GLOB 'entry_[0-9]*'").fetchall():
                self.index.execute(f"UPDATE {table} SET refreshed_at = 0")
        self.index.execute("PRAGMA busy_timeout = 200")

    def refreshing(self):
        """The record of a refresh that holds its lock."""
        for (record,) in self.index.execute("SELECT record FROM holder WHERE class = 3"):
            if json.loads(record)["operation"] == "refresh":
                return json.loads(record)
        return None

    def read_all(self, ids):
        for file_id in ids:
            self.daemon.call("GET", "se-01", f"/api/v1/files/{file_id}")

    def stop_in_the_middle(self, ids):
        """The process stands still, with the lock of a refresh and without one on the index."""
        for _ in range(300):
            self.expire()
            reader = threading.Thread(target=self.read_all, args=(ids,))
            reader.start()
            while reader.is_alive():
                if self.refreshing():
                    self.daemon.child.send_signal(signal.SIGSTOP)
                    # Its threads run on until it says that it stands.
                    _, state = os.waitpid(self.daemon.child.pid, os.WUNTRACED)
                    self.assertTrue(os.WIFSTOPPED(state))
                    if self.refreshing() and self.may_write():
                        return reader
                    self.daemon.child.send_signal(signal.SIGCONT)
            reader.join()
        self.fail("no refresh was met in the middle")

    def may_write(self):
        try:
            self.index.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        self.index.rollback()
        return True

    def rebuild(self, *more):
        store = self.daemon.data / "se-01"
        child = subprocess.Popen(
            [PROGRAM, "rebuild", "--storage", f"file://{store}/files", "--index",
             f"sqlite://{store}/index.db", "--element", "se-01", "-v", *more],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def seen(self, text):
        """What an operator of the seeds finds in a log."""
        return re.findall("^.*(?:lock.*skip|lock.*acquired).*$", text,
                          re.IGNORECASE | re.MULTILINE)

    def test_a_rebuild_lets_a_refresh_go_first_that_is_under_way_and_the_next_are_skipped(self):
        self.multiply(200)
        self.call("POST", "rebuild")
        ids = [one["file_id"] for one in self.daemon.call(
            "GET", "se-01", "/api/v1/files/?limit=100")["files"]]
        self.index = sqlite3.connect(self.daemon.data / "se-01/index.db")
        self.addCleanup(self.index.close)
        reader = self.stop_in_the_middle(ids)
        rebuild = self.rebuild("--files-per-second", "10")
        # It has asked for the place, and waits.
        self.assertTrue(eventually(lambda: self.refreshing()["asked_to_yield"]))
        self.assertIsNone(rebuild.poll())
        self.daemon.child.send_signal(signal.SIGCONT)
        said = ""
        for line in rebuild.stderr:
            said += line
            if self.seen(line):
                break
        self.assertRegex(said, "Lock acquired successfully.*manual_rebuild")
        reader.join()
        before = len(self.daemon.log.read_text())
        self.expire()
        self.read_all(ids)
        self.assertTrue(eventually(
            lambda: "skipped due to lock" in self.daemon.log.read_text()[before:]))
        self.assertIsNone(rebuild.poll())
        rest = rebuild.stderr.read()
        self.assertEqual(rebuild.wait(), 0, rest)
        self.assertNotIn("given up", rest)
        told = self.seen(self.daemon.log.read_text())
        self.assertTrue(any("lock_type=lazy_rebuild" in line for line in told), told)
        self.assertTrue(any("LAZY_REBUILD lock, skipping" in line for line in told), told)
        # The next read sets a refresh going again.
        self.expire()
        self.read_all(ids[:1])
        self.assertTrue(eventually(lambda: not self.daemon.call(
            "GET", "se-01", f"/api/v1/files/{ids[0]}")["cache_expired"]))


class Schedules(Demo):
    arguments = tuple(word for name in ("incremental", "check", "cleanup")
                      for word in ("--set", f"element.se-01.{name}_every=1s"))

    def test_what_is_due_runs_by_itself_and_says_so(self):
        made = 5
        self.multiply(made)
        # Found without anybody who asks for it.
        self.assertTrue(eventually(lambda: self.daemon.call(
            "GET", "se-01", "/api/v1/files/")["total"] == made))
        for operation in ("rebuild_incremental", "consistency", "cleanup_expired"):
            own = f'operation="{operation}",storage_element_id="se-01"'
            with self.subTest(operation=operation):
                runs = f'artcache_schedule_runs_total{{{own},result="ok"}}'
                self.assertTrue(eventually(lambda: (self.metric(runs) or 0) >= 2), runs)
                last = f"artcache_schedule_last_run_timestamp_seconds{{{own}}}"
                first = self.metric(last)
                self.assertGreater(first, 1.7e9)
                self.assertTrue(eventually(lambda: self.metric(last) > first))
                self.assertIn(self.metric(f"artcache_schedule_last_ok{{{own}}}"), (0, 1))
                ran = [one for one in self.call("GET", "jobs")["jobs"]
                       if one["operation"] == operation]
                self.assertGreaterEqual(len(ran), 2)
        ready = self.daemon.ask("GET", "se-01", "/health/ready")[2].decode()
        for operation in ("rebuild_incremental", "consistency", "cleanup_expired"):
            self.assertIn(f"scheduled_{operation}", ready)


class Limits(Demo):
    arguments = ("--set", "element.se-01.run_limit=1ms")

    def test_a_run_ends_after_the_time_that_is_told(self):
        """The other element takes as long as it needs."""
        self.multiply(500)
        for run in ("rebuild", "rebuild/incremental"):
            with self.subTest(run=run):
                self.assertIn("deadline", json.dumps(self.call("POST", run, 504)))
                self.call("POST", run, role="se-02")
        self.assertEqual(self.call("GET", "locks")["locks"], [])


class Modes(Demo):
    def change(self, target, check=200, **more):
        return self.daemon.call("POST", "se-03", "/api/v1/mode/transition", check,
                                json_body={"target_mode": target, **more})

    def mode(self):
        shown = self.daemon.call("GET", "se-03", "/api/v1/mode")
        self.assertEqual(self.daemon.call("GET", "se-03", "/api/v1/info")["mode"], shown["mode"])
        return shown["mode"], shown["allowed_transitions"]

    def test_an_element_goes_to_the_archive_and_leaves_it_by_its_configuration_alone(self):
        kept = self.daemon.upload("kept.txt", b"kept", role="se-03")["file_id"]
        path = f"/api/v1/files/{kept}"
        self.assertEqual(self.mode(), ("rw", ["ro"]))
        self.assertEqual(self.change("ro")["current_mode"], "ro")
        self.change("rw", 409)  # not without a word of confirmation
        self.assertEqual(self.mode(), ("ro", ["ar", "rw"]))
        self.assertEqual(self.change("ar", reason="the year is over")["previous_mode"], "ro")

        def archived():
            self.assertEqual(self.mode(), ("ar", []))
            for target in ("rw", "ro", "edit", "ar"):
                self.change(target, 409, confirm=True)
            self.daemon.upload("more.txt", b"x", 400, role="se-03")
            self.daemon.call("PATCH", "se-03", path, 400, json_body={"description": "x"})
            self.daemon.call("DELETE", "se-03", path, 400)
            self.assertEqual(self.daemon.call("GET", "se-03", path)["file_id"], kept)

        archived()
        self.assertEqual(self.daemon.end(), 0)
        self.daemon.start()  # with the configuration that it had
        archived()
        self.assertIn("Mode changed | from=ro to=ar", self.daemon.log.read_text())
        self.assertEqual(self.daemon.end(), 0)
        self.daemon.arguments = ("--set", "element.se-03.mode=ro")
        self.daemon.start()
        self.assertEqual(self.mode(), ("ro", ["ar", "rw"]))
        self.change("rw", confirm=True)
        self.daemon.call("PATCH", "se-03", path, json_body={"description": "x"})

    def test_an_index_of_another_element_is_refused_and_told_how_to_take(self):
        self.assertEqual(self.daemon.end(), 0)
        self.daemon.arguments = ("--set", "element.se-03.element_id=se-30")
        with self.assertRaises(AssertionError):
            self.daemon.start()
        self.daemon.child.stdout.close()
        self.assertNotEqual(self.daemon.child.wait(timeout=180), 0)
        self.daemon.child = None
        self.assertIn("this is the index of element 'se-03', not of 'se-30'",
                      self.daemon.log.read_text())
        renamed = subprocess.run(
            [PROGRAM, "locks", "rename", "se-30", "--index",
             f"sqlite://{self.daemon.data}/se-03/index.db"],
            stdout=subprocess.DEVNULL, check=False)
        self.assertEqual(renamed.returncode, 0)
        self.daemon.start()
        self.assertEqual(self.daemon.call("GET", "se-03", "/api/v1/info")["element_id"], "se-30")


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
