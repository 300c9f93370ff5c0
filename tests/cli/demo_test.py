# SPDX-License-Identifier: Apache-2.0
"""`artcached --demo` over HTTP: a token of the admin opens the element; files go in and come out;
what is done to the store behind its back is found and made good; a kill loses nothing."""

import hashlib
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support")]

from artcached import eventually  # noqa: E402

DAEMON = ""
OLDER = ("DROP TABLE touched", "ALTER TABLE head DROP COLUMN boot",
         "UPDATE schema SET version = 1, reader = 1, writer = 1")


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)
        self.log = open(self.data / "log", "ab")
        self.addCleanup(self.log.close)
        self.start()

    def start(self, *more):
        self.child = subprocess.Popen([DAEMON, "--demo", "--data", self.data, "--port-offset", "0",
                                       *more],
                                      stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addCleanup(self.child.stdout.close)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)
        self.ports = json.loads(self.child.stdout.readline())["ports"]
        self.token = None
        self.token = self.fresh_token()

    def fresh_token(self):
        return self.call("POST", "admin", "/api/v1/auth/token", check=200, headers={
            "Authorization": ""}, json_body={
                "client_id": "admin-service", "client_secret": "Test-Password123"})["access_token"]

    def ask(self, method, role, path, body=None, headers=None, json_body=None):
        """Status, headers and body, whatever the answer is."""
        headers = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
            headers["Content-Type"] = "application/json"
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[role]}{path}", data=body,
                                         method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def call(self, method, role, path, check, **more):
        status, _, body = self.ask(method, role, path, **more)
        self.assertEqual(status, check, body)
        return json.loads(body) if body else None

    def upload(self, name, content, check=201, **fields):
        line = "b0undary"
        parts = [f'--{line}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                 .encode() for key, value in fields.items()]
        parts += [f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                  f'Content-Type: text/plain\r\n\r\n'.encode(), content, b"\r\n",
                  f"--{line}--\r\n".encode()]
        return self.call("POST", "se-01", "/api/v1/files/upload", check, body=b"".join(parts),
                         headers={"Content-Type": f"multipart/form-data; boundary={line}"})

    def cache(self, method, what, check=200):
        return self.call(method, "se-01", f"/api/v1/cache/{what}", check)

    def sidecars(self):
        return sorted(self.data.rglob("*.attr.json"))

    def test_a_file_goes_in_is_found_changed_read_in_parts_and_removed(self):
        content = b"0123456789" * 50_000
        sent = self.upload("план.txt", content, description="Отчёт за квартал")
        self.assertEqual(sent["checksum"], hashlib.sha256(content).hexdigest())
        path = f"/api/v1/files/{sent['file_id']}"
        entry = self.call("GET", "se-01", path, 200)
        self.assertEqual(entry["original_filename"], "план.txt")
        self.assertEqual(entry["cache_expired"], False)
        status, headers, body = self.ask("GET", "se-01", f"{path}/download")
        self.assertEqual((status, body), (200, content))
        self.assertIn("filename*=UTF-8''", headers["Content-Disposition"])
        status, headers, body = self.ask("GET", "se-01", f"{path}/download",
                                         headers={"Range": "bytes=10-14"})
        self.assertEqual((status, body), (206, b"01234"))
        self.assertEqual(headers["Content-Range"], f"bytes 10-14/{len(content)}")
        status, _, _ = self.ask("GET", "se-01", f"{path}/download",
                                headers={"If-None-Match": headers["ETag"]})
        self.assertEqual(status, 304)
        changed = self.call("PATCH", "se-01", path, 200, json_body={"description": "другое"})
        self.assertEqual(changed["description"], "другое")
        self.assertEqual(self.call("GET", "se-01", "/api/v1/files/", 200)["total"], 1)
        self.call("DELETE", "se-01", path, 204)
        self.call("GET", "se-01", path, 404)
        self.assertEqual(self.sidecars(), [])

    def test_what_happened_behind_its_back_is_found_and_made_good(self):
        for i in range(5):
            self.upload(f"file{i}.txt", b"x" * (i + 1))
        self.assertTrue(self.cache("GET", "consistency")["is_consistent"])
        self.sidecars()[0].unlink()
        report = self.cache("GET", "consistency")
        self.assertFalse(report["is_consistent"])
        self.assertEqual(len(report["details"]["orphan_cache_entries"]), 1)
        self.assertEqual(report["inconsistency_percentage"], 20.0)
        rebuilt = self.cache("POST", "rebuild")
        self.assertEqual(rebuilt["operation_type"], "full")
        self.assertEqual(rebuilt["statistics"]["entries_deleted"], 1)
        self.assertEqual(rebuilt["statistics"]["entries_created"], 4)
        self.assertTrue(self.cache("GET", "consistency")["is_consistent"])
        self.assertEqual(self.cache("POST", "rebuild/incremental")["operation_type"],
                         "incremental")
        self.assertEqual(self.cache("POST", "cleanup-expired")["operation_type"],
                         "cleanup_expired")
        said = (self.data / "log").read_text()
        for line in ("Starting full cache rebuild", "Truncated cache table: ",
                     "Full cache rebuild completed", "Lock acquired successfully",
                     "logger=cache_rebuild"):
            self.assertIn(line, said)
        _, _, text = self.ask("GET", "se-01", "/metrics")
        for lock in ("manual_rebuild", "manual_check"):
            labels = f'{{lock_type="{lock}",outcome="granted"}} '.encode()
            self.assertIn(b"artcache_lock_requests_total" + labels, text)
            self.assertIn(b"artcache_lock_wait_seconds_count" + labels, text)

    def test_who_may_not_is_told_before_anything_else(self):
        nobody = f"/api/v1/files/{uuid.uuid4()}"
        status, headers, body = self.ask("GET", "se-01", nobody,
                                         headers={"Authorization": "Basic eA=="})
        self.assertEqual((status, json.loads(body)), (401, {"detail": "Not authenticated"}))
        self.assertIn("Bearer", headers["WWW-Authenticate"])
        forged = self.token[:-6] + ("AAAAAA" if self.token[-6:] != "AAAAAA" else "BBBBBB")
        status, _, body = self.ask("GET", "se-01", nobody,
                                   headers={"Authorization": f"Bearer {forged}"})
        self.assertEqual((status, json.loads(body)), (401, {"detail": "Invalid or expired token"}))
        self.call("GET", "se-01", nobody, 404)
        self.call("GET", "se-01", "/api/v1/files/not-a-uuid", 422)
        self.call("POST", "admin", "/api/v1/auth/token", 401, json_body={
            "client_id": "admin-service", "client_secret": "wrong"})
        self.call("POST", "admin", "/api/v1/auth/token", 422, json_body={"client_id": "x"})

    def test_a_kill_loses_nothing_that_was_acknowledged(self):
        sent = [self.upload(f"kept{i}.txt", bytes([i]) * 1000) for i in range(10)]
        self.child.kill()
        self.child.wait()
        self.start()
        for i, one in enumerate(sent):
            _, _, body = self.ask("GET", "se-01", f"/api/v1/files/{one['file_id']}/download")
            self.assertEqual(body, bytes([i]) * 1000)
        self.assertTrue(self.cache("GET", "consistency")["is_consistent"])

    def test_a_token_of_a_new_key_is_believed_at_once_and_one_of_the_old_key_still(self):
        old = self.token
        self.call("GET", "se-01", "/api/v1/files/", 200)
        self.call("POST", "admin", "/api/v1/jwt-keys/rotate", 200)
        for token in (self.fresh_token(), old):
            self.token = token
            for role in ("se-01", "se-02", "query"):
                self.call("GET", role, "/api/v1/files/search?query=x", 200)

    def test_a_hangup_makes_it_begin_another_log(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=180)
        log = self.data / "artcached.log"
        self.start("--set", f"daemon.log_file={log}")
        log.rename(self.data / "yesterday.log")
        self.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(log.exists))
        self.ask("GET", "se-01", "/health/live", headers={"X-Request-ID": "of-today"})
        self.assertTrue(eventually(lambda: "of-today" in log.read_text()))
        self.assertNotIn("of-today", (self.data / "yesterday.log").read_text())

    def test_an_index_of_an_older_version_is_migrated_at_the_start(self):
        sent = self.upload("old.txt", b"old")
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=180)
        database = sqlite3.connect(self.data / "se-01" / "index.db", isolation_level=None)
        for statement in OLDER:
            database.execute(statement)
        database.close()
        self.start()
        self.call("GET", "se-01", f"/api/v1/files/{sent['file_id']}", 200)
        self.assertIn("The tables of the index were made those of this version | before=1 after=3",
                      (self.data / "log").read_text())

    def test_info_health_metrics_and_a_stop_that_is_asked_for(self):
        info = self.call("GET", "se-01", "/api/v1/info", 200)
        self.assertEqual((info["element_id"], info["storage_type"]), ("se-01", "local"))
        self.assertTrue(pathlib.Path(info["base_path"]).is_dir(), info)
        for role in ("admin", "se-01"):
            self.assertEqual(self.call("GET", role, "/health/live", 200)["status"], "ok")
            self.call("GET", role, "/health/ready", 200)
            _, _, text = self.ask("GET", role, "/metrics")
            self.assertIn(b"http_requests_total", text)
        # Followers and registry are at work by then, and have nothing to complain of.
        deadline = time.monotonic() + 180
        while (self.call("GET", "admin", "/api/v1/storage-elements", 200)["total"] < 3
               and time.monotonic() < deadline):
            time.sleep(0.05)
        self.child.send_signal(signal.SIGTERM)
        self.assertEqual(self.child.wait(timeout=180), 0)
        said = (self.data / "log").read_text()
        self.assertNotRegex(said, "(?i)error|exception|failed|could not")


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
