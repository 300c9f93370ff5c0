# SPDX-License-Identifier: Apache-2.0
"""Search over all elements of `artcached --demo`: what is uploaded is found and downloaded, what is
removed is not, and whatever happens in between is made good."""

import concurrent.futures
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

DAEMON = ""
PATIENCE = 180  # seconds, for what happens by itself


# The variables of the plan for search and sync, by who reads them, with its values.
EVENTS = {"REDIS_URL": "redis://redis:6379/0", "EVENT_CHANNEL_FILE_CREATED": "file:created",
          "EVENT_CHANNEL_FILE_UPDATED": "file:updated",
          "EVENT_CHANNEL_FILE_DELETED": "file:deleted"}
VARIABLES = {
    "element": {**EVENTS, "EVENT_PUBLISH_ENABLED": "true", "EVENT_PUBLISH_TIMEOUT": "5"},
    "query": {**EVENTS, "EVENT_SUBSCRIBE_ENABLED": "true", "EVENT_RECONNECT_DELAY": "5",
              "EVENT_MAX_RECONNECT_ATTEMPTS": "10", "CACHE_SYNC_BATCH_SIZE": "100",
              "CACHE_SYNC_RETRY_ATTEMPTS": "3", "CACHE_SYNC_RETRY_DELAY": "1"},
}


class Environment(unittest.TestCase):
    def printed(self, role, variables):
        done = subprocess.run([DAEMON, "--role", role, "--print-config"], env=variables,
                              capture_output=True, text=True, check=True)
        return done.stdout, done.stderr

    def test_every_variable_of_the_plan_is_read(self):
        for role, variables in VARIABLES.items():
            told, warnings = self.printed(role, variables)
            self.assertEqual(warnings, "")
            for name, value in variables.items():
                line = next((one for one in told.splitlines() if one.endswith("# " + name)), "")
                self.assertIn(value, line, f"{role}: {name}")

    def test_one_that_is_misspelt_is_warned_about(self):
        _, warnings = self.printed("query", {"EVENT_CHANEL_FILE_CREATED": "x", "EVENTS": "y"})
        self.assertEqual(warnings, "artcached: EVENT_CHANEL_FILE_CREATED is read by nobody here; "
                                   "did you mean EVENT_CHANNEL_FILE_CREATED?\n")


class Search(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)
        self.log = open(self.data / "log", "ab")
        self.addCleanup(self.log.close)
        self.start()

    def start(self):
        self.child = subprocess.Popen([DAEMON, "--demo", "--data", self.data, "--port-offset", "0"],
                                      stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addCleanup(self.child.stdout.close)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)
        self.ports = json.loads(self.child.stdout.readline())["ports"]
        self.token = None
        self.token = self.call("POST", "admin", "/api/v1/auth/token", 200, json.dumps({
            "client_id": "admin-service", "client_secret": "Test-Password123"}).encode(),
            {"Content-Type": "application/json"})["access_token"]

    def ask(self, method, role, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[role]}{path}", data=body,
                                         method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def call(self, method, role, path, check, body=None, headers=None):
        status, _, answer = self.ask(method, role, path, body, headers)
        self.assertEqual(status, check, answer)
        return json.loads(answer) if answer else None

    def upload(self, name, content):
        body = (f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                f"Content-Type: text/plain\r\n\r\n").encode() + content + b"\r\n--B--\r\n"
        return self.call("POST", "se-01", "/api/v1/files/upload", 201, body,
                         {"Content-Type": "multipart/form-data; boundary=B"})["file_id"]

    def search(self, query):
        return self.call("GET", "query", f"/api/v1/files/search?query={query}&limit=1000", 200)

    def until(self, what, holds):
        """The value of what() as soon as it holds."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = what()
            if holds(value):
                return value
            time.sleep(0.01)
        self.fail(f"it did not come to hold: {value}")

    def test_what_is_uploaded_is_found_downloaded_and_gone_when_removed(self):
        content = b"0123456789" * 50_000
        file = self.upload("quarterly_report.txt", content)
        for query in (file, "quarterly", "report", "quarterly_report.txt"):
            found = self.until(lambda: self.search(query), lambda page: page["total"] == 1)
            self.assertEqual(found["files"][0]["id"], file)
            self.assertEqual(found["results"][0]["sha256_hash"],
                             hashlib.sha256(content).hexdigest())
        path = f"/api/v1/files/{file}/download"
        status, headers, body = self.ask("GET", "query", path)
        self.assertEqual((status, body), (200, content))
        status, part, body = self.ask("GET", "query", path, headers={"Range": "bytes=10-14"})
        self.assertEqual((status, body), (206, b"01234"))
        self.assertEqual(part["Content-Range"], f"bytes 10-14/{len(content)}")
        status, _, _ = self.ask("GET", "query", path, headers={"If-None-Match": headers["ETag"]})
        self.assertEqual(status, 304)
        self.assertEqual(self.ask("GET", "query", path + "?verify=1")[2], content)
        for condition, refusal in (({"If-Match": '"another"'}, 412),
                                   ({"Range": f"bytes={len(content)}-"}, 416)):
            said = [self.ask("GET", where, path, headers=condition) for where in ("se-01", "query")]
            self.assertEqual({status for status, _, _ in said}, {refusal})
            self.assertTrue(json.loads(said[0][2])["detail"])
            self.assertEqual(said[1][2], said[0][2])
            self.assertEqual(said[1][1]["Content-Range"], said[0][1]["Content-Range"])
        self.call("DELETE", "se-01", f"/api/v1/files/{file}", 204)
        self.until(lambda: self.ask("GET", "query", f"/api/v1/files/{file}")[0],
                   lambda status: status == 404)
        self.assertEqual(self.search(file)["total"], 0)
        self.assertEqual(self.ask("GET", "query", path)[0], 404)

    def test_a_hundred_files_that_are_uploaded_at_once_are_all_found(self):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            files = set(pool.map(lambda i: self.upload(f"load {i}.txt", b"x" * (i + 1)),
                                 range(100)))
        self.assertEqual(len(files), 100)
        found = self.until(lambda: self.search("load"), lambda page: page["total"] == 100)
        self.assertEqual({item["id"] for item in found["files"]}, files)

    def test_rows_taken_away_by_hand_come_back_with_a_full_comparison(self):
        for i in range(5):
            self.upload(f"kept {i}.txt", b"x")
        self.until(lambda: self.search("kept"), lambda page: page["total"] == 5)
        with sqlite3.connect(self.data / "query" / "query.db", timeout=30) as tables:
            tables.execute("DELETE FROM file_metadata_cache")
        tables.close()
        self.assertEqual(self.search("kept")["total"], 0)
        done = self.call("POST", "query", "/api/v1/admin/sync/full", 200, b"")
        self.assertEqual((done["added"], done["updated"], done["deleted"]), (5, 0, 0))
        self.assertEqual(self.search("kept")["total"], 5)
        status = self.call("GET", "query", "/api/v1/admin/sync/status", 200)
        self.assertTrue(status["elements"][0]["digest_matches"])

    def test_after_a_kill_it_goes_on_where_it_was(self):
        self.upload("before.txt", b"x")
        self.until(lambda: self.search("before"), lambda page: page["total"] == 1)
        self.child.kill()
        self.child.wait()
        self.start()
        self.assertEqual(self.search("before")["total"], 1)
        self.upload("after.txt", b"y")
        self.until(lambda: self.search("after"), lambda page: page["total"] == 1)
        status = self.call("GET", "query", "/api/v1/admin/sync/status", 200)
        self.assertEqual(status["elements"][0]["snapshots"], 0)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
