# SPDX-License-Identifier: Apache-2.0
"""The admin's registry of files over HTTP: it follows the elements, edits go through them, and what
is deleted is removed from them in the end, whoever is away or killed meanwhile."""

import http.client
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from artcached import free_port  # noqa: E402

DAEMON = ""
SECRET = "Test-Password123"
PATIENCE = 180  # seconds, for what happens by itself on a machine that has other work
LINE = "b0undary"
FILES = "/api/v1/files"


class Registry(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)
        self.ports, self.tokens = {}, {}

    # --- Processes ------------------------------------------------------------------------------

    def spawn(self, *arguments, **settings):
        more = [word for name, value in settings.items()
                for word in ("--set", f"{name.replace('__', '.').replace('_se_', '.se-')}={value}")]
        with open(self.data / "log", "ab") as log:
            child = subprocess.Popen([DAEMON, *map(str, arguments), *more],
                                     stdout=subprocess.PIPE, stderr=log, text=True, env={})
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        said = child.stdout.readline()
        self.assertTrue(said, (self.data / "log").read_text())
        self.ports.update(json.loads(said)["ports"])
        return child

    def demo(self, **settings):
        return self.spawn("--demo", "--data", self.data / "demo", "--port-offset", 0, **settings)

    def admin(self, **settings):
        """An admin alone, at the same place each time."""
        self.ports.setdefault("admin", free_port())
        return self.spawn("--role", "admin", "--data", self.data / "roles",
                          admin__port=self.ports["admin"], admin__initial_account_secret=SECRET,
                          admin__cleanup_delay="0s", admin__cleanup_retry="200ms",
                          admin__cleanup_retry_most="1s", **settings)

    def element(self, name, **settings):
        """An element alone, which registers with the admin."""
        told = {"port": self.ports.setdefault(name, free_port()),
                "public_key": self.data / "roles" / "admin" / "keys",
                "admin": f"http://127.0.0.1:{self.ports['admin']}",
                "client_id": "admin-service", "client_secret": SECRET, **settings}
        words = [word for key, value in told.items()
                 for word in ("--set", f"element.{name}.{key}={value}")]
        return self.spawn("--role", f"element.{name}", "--data", self.data / "elements", *words)

    def kill(self, child):
        child.kill()
        child.wait()

    # --- Requests -------------------------------------------------------------------------------

    def token(self, client="admin-service"):
        if client not in self.tokens:
            _, body = self.ask("POST", "admin", "/api/v1/auth/token", token="", body=json.dumps(
                {"client_id": client, "client_secret": SECRET}))
            self.tokens[client] = json.loads(body)["access_token"]
        return self.tokens[client]

    def ask(self, method, role, path, body=None, kind="application/json", token=None):
        headers = {"Content-Type": kind} if body is not None else {}
        token = self.token() if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[role], timeout=180)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, role, path, check=200, body=None, **more):
        text = json.dumps(body) if isinstance(body, dict) else body
        status, answer = self.ask(method, role, path, body=text, **more)
        self.assertEqual(status, check, answer)
        return json.loads(answer) if answer else None

    def upload(self, role, name, content=b"x"):
        body = (f'--{LINE}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                f"Content-Type: text/plain\r\n\r\n").encode() + content
        body += f"\r\n--{LINE}--\r\n".encode()
        return self.call("POST", role, f"{FILES}/upload", 201, body=body,
                         kind=f"multipart/form-data; boundary={LINE}")["file_id"]

    def registered(self, **query):
        return self.call("GET", "admin", f"{FILES}?{urllib.parse.urlencode(query)}")

    def queue(self, **query):
        return self.call("GET", "admin",
                         f"{FILES}/cleanup-queue?{urllib.parse.urlencode(query)}")

    def on_element(self, role, file_id):
        status, body = self.ask("GET", role, f"{FILES}/{file_id}")
        self.assertIn(status, (200, 404), body)
        return status == 200

    def until(self, what):
        """The value of what() as soon as it is a true one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.05)
        self.fail("it does not come about:\n" + (self.data / "log").read_text()[-3000:])

    def until_registered(self, *file_ids):
        self.until(lambda: set(file_ids) <= {
            file["file_id"] for file in self.registered(page_size=1000)["files"]})


class WhatIsThere(Registry):
    def test_what_is_uploaded_to_any_element_is_listed_and_narrowed_down(self):
        self.demo()
        ids = [self.upload(role, f"report {i}_{role}.txt", b"x" * (i + 1))
               for i, role in enumerate(("se-01", "se-02", "se-03"))]
        self.until_registered(*ids)
        page = self.registered(page_size=2)
        self.assertEqual([page[key] for key in ("total", "page", "page_size", "total_pages")],
                         [3, 1, 2, 2])
        rest = self.registered(page_size=2, page=2)
        self.assertEqual([file["file_id"] for file in page["files"] + rest["files"]], ids[::-1])
        self.assertEqual([file["file_id"] for file in
                          self.registered(storage_element_id="se-02")["files"]], [ids[1]])
        self.assertEqual([file["file_id"] for file in
                          self.registered(filename="2_SE")["files"]], [ids[2]])
        self.assertEqual(self.registered(filename="%")["total"], 0)
        self.assertEqual(self.registered(retention_policy="permanent")["total"], 0)
        one = self.call("GET", "admin", f"{FILES}/{ids[2]}")
        there = self.call("GET", "se-03", f"{FILES}/{ids[2]}")
        self.assertEqual((one["storage_element_id"], one["file_size"], one["status"]),
                         ("se-03", 3, "active"))
        self.assertEqual(one["checksum_sha256"], there["checksum"])
        self.call("GET", "admin", f"{FILES}/00000000-0000-4000-8000-000000000001", 404)
        self.call("GET", "admin", f"{FILES}/no-id", 422)
        self.call("GET", "admin", f"{FILES}?page_size=1001", 422)
        self.call("GET", "admin", f"{FILES}?include_deleted=perhaps", 422)
        self.call("GET", "admin", FILES, 401, token="")
        status = self.until(lambda: next(
            (said for said in [self.call("GET", "admin", f"{FILES}/sync-status")]
             if said["in_step"]), None))
        self.assertEqual([one["storage_element_id"] for one in status["elements"]],
                         ["se-01", "se-02", "se-03"])

    def test_an_edit_goes_through_the_element_and_comes_back_with_its_log(self):
        self.demo()
        file_id = self.upload("se-01", "draft.txt")
        self.until_registered(file_id)
        path = f"{FILES}/{file_id}"
        status, said = self.ask("PATCH", "admin", path, body=json.dumps(
            {"description": "second", "user_metadata": {"n": 12345678901234567890}, "tags": ["a"],
             "retention_policy": "temporary", "ttl_days": 30}))
        self.assertIn(status, (200, 202), said)  # 202: the log takes its time
        there = self.call("GET", "se-01", path)
        self.assertEqual((there["description"], there["tags"], there["ttl_days"]),
                         ("second", ["a"], 30))
        here = self.until(lambda: next((one for one in [self.call("GET", "admin", path)]
                                        if one["description"] == "second"), None))
        self.assertEqual(here["user_metadata"], {"n": 12345678901234567890})
        self.assertEqual(here["retention_policy"], "temporary")
        self.assertIsNotNone(here["ttl_expires_at"])
        self.call("PUT", "admin", path, 422, {"ttl_days": 366})
        self.call("PUT", "admin", path, 422, {"storage_element_id": "se-02"})
        self.call("PUT", "admin", path, 422, {"description": 7})
        self.call("PUT", "admin", path, 400, {"retention_policy": "permanent", "ttl_days": 5})
        self.call("PATCH", "admin", f"{FILES}/00000000-0000-4000-8000-000000000001", 404, {})
        trail = self.call("GET", "admin", f"/api/v1/audit-log?target={file_id}&action=file.update")
        self.assertEqual({one["status"] for one in trail["items"]} - {202}, {200, 400, 422}
                         if status == 200 else {400, 422})

    def test_a_deleted_file_stays_on_its_element_for_a_while_and_can_come_back(self):
        self.demo(admin__cleanup_delay="1h")
        file_id = self.upload("se-01", "kept.txt", b"kept")
        self.until_registered(file_id)
        path = f"{FILES}/{file_id}"
        said = self.call("DELETE", "admin", f"{path}?deletion_reason=by%20mistake")
        self.assertEqual((said["file_id"], said["deletion_reason"]), (file_id, "by mistake"))
        self.call("DELETE", "admin", path, 404)
        self.call("GET", "admin", path, 404)
        self.assertEqual(self.registered()["total"], 0)
        self.assertEqual(self.registered(include_deleted="true")["total"], 1)
        self.assertEqual(self.call("GET", "admin", f"{path}?include_deleted=true")["status"],
                         "deleted")
        waits = self.queue(file_id=file_id)["items"]
        self.assertEqual([(one["state"], one["storage_element_id"]) for one in waits],
                         [("scheduled", "se-01")])
        self.assertTrue(self.on_element("se-01", file_id))
        back = self.call("POST", "admin", f"{path}/restore")
        self.assertEqual((back["status"], back["deleted_at"]), ("active", None))
        self.assertEqual(self.queue(file_id=file_id)["total"], 0)
        self.assertEqual(self.registered()["total"], 1)


class WhatIsRemoved(Registry):
    def test_a_deleted_file_is_removed_from_its_element_whatever_the_mode_of_that(self):
        self.demo(admin__cleanup_delay="0s")
        ids = {role: self.upload(role, f"{role}.txt") for role in ("se-01", "se-03")}
        self.until_registered(*ids.values())
        for role, file_id in ids.items():
            self.call("DELETE", "admin", f"{FILES}/{file_id}")
            self.until(lambda: not self.on_element(role, file_id))
            done = self.until(lambda: self.queue(file_id=file_id, state="processed")["items"])
            self.assertEqual((done[0]["state"], done[0]["success"]), ("processed", True))
            path = f"{FILES}/{file_id}"
            self.until(lambda: self.call("GET", "admin", f"{path}?include_deleted=1")["status"]
                       == "gone")
            self.call("POST", "admin", f"{path}/restore", 409)
            trail = self.call("GET", "admin", f"/api/v1/audit-log?target={file_id}")
            actions = [one["action"] for one in trail["items"] if one["success"]]
            self.assertIn("file.delete", actions)
        said = self.call("GET", "admin", f"{FILES}?include_deleted=true")
        self.assertEqual({one["status"] for one in said["files"]}, {"gone"})
        status, text = self.ask("GET", "admin", "/metrics", token="")
        self.assertEqual(status, 200)
        self.assertIn(b"gc_queue_pending_size", text)

    def test_an_element_that_is_away_gets_neither_edits_nor_removals_until_it_is_back(self):
        self.admin()
        victim = self.element("se-11")
        other = self.element("se-12")
        self.assertIsNotNone(other)
        first, second = self.upload("se-11", "a.txt"), self.upload("se-11", "b.txt")
        there = self.upload("se-12", "c.txt")
        self.until_registered(first, second, there)
        self.kill(victim)
        self.call("PATCH", "admin", f"{FILES}/{first}", 503, {"description": "now"})
        self.assertTrue(self.headers["Retry-After"])
        for file_id in (first, second, there):
            self.call("DELETE", "admin", f"{FILES}/{file_id}")
        self.until(lambda: not self.on_element("se-12", there))
        waits = self.until(lambda: next(
            (one for one in self.queue(file_id=first)["items"] if one["retry_count"] > 1), None))
        self.assertEqual((waits["state"], waits["success"]), ("retrying", False))
        self.assertTrue(waits["error_message"])
        self.element("se-11")
        self.until(lambda: self.queue(state="pending")["total"] == 0)
        self.assertFalse(self.on_element("se-11", first))
        self.assertFalse(self.on_element("se-11", second))

    def test_elements_that_go_away_are_offline_soon_and_their_files_stay_known(self):
        self.admin(admin__element_lifetime="15s")
        killed, cut_off, _ = (self.element(name, report_interval="1s")
                              for name in ("se-11", "se-12", "se-13"))
        self.until_registered(self.upload("se-11", "a.txt"))
        self.until_registered(self.upload("se-12", "b.txt"))

        def states():
            said = self.call("GET", "admin", "/api/v1/storage-elements/")["items"]
            return [one["status"] for one in sorted(said, key=lambda one: one["element_id"])]

        self.until(lambda: states() == ["online"] * 3)
        self.kill(killed)
        cut_off.send_signal(signal.SIGSTOP)
        self.until(lambda: states() == ["offline", "offline", "online"])
        said = self.call("GET", "admin", "/api/v1/internal/storage-elements/available")
        self.assertEqual([one["element_id"] for one in said["storage_elements"]], ["se-13"])
        self.assertEqual(self.registered()["total"], 2)
        cut_off.send_signal(signal.SIGCONT)
        self.element("se-11", report_interval="1s")
        self.until(lambda: states() == ["online"] * 3)

    def test_an_element_may_be_silent_for_ninety_seconds_unless_told_otherwise(self):
        said = subprocess.run([DAEMON, "--role", "admin", "--data", self.data, "--print-config"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertRegex(said, "element_lifetime.*90s")

    def test_a_file_that_is_gone_already_counts_as_removed(self):
        self.admin()
        victim = self.element("se-11")
        file_id = self.upload("se-11", "a.txt")
        self.until_registered(file_id)
        self.kill(victim)
        self.call("DELETE", "admin", f"{FILES}/{file_id}")
        self.until(lambda: self.queue(file_id=file_id)["items"][0]["retry_count"] > 0)
        for path in (self.data / "elements").rglob(f"*{file_id}*"):
            if path.is_file():
                path.unlink()
        self.element("se-11")
        self.until(lambda: self.queue(file_id=file_id)["items"][0]["success"])

    def test_a_removal_that_an_admin_was_killed_in_is_done_by_the_next_one(self):
        admin = self.admin()
        element = self.element("se-11")
        ids = [self.upload("se-11", f"{i}.txt") for i in range(30)]
        kept = ids.pop()
        self.until_registered(kept, *ids)
        # It takes the request, and does not answer: the admin is in the middle of it.
        element.send_signal(signal.SIGSTOP)
        for file_id in ids:
            self.call("DELETE", "admin", f"{FILES}/{file_id}")
        self.until(lambda: any(one["attempted_at"] for one in self.queue(limit=1000)["items"]))
        self.kill(admin)
        element.send_signal(signal.SIGCONT)
        self.admin()
        self.until(lambda: self.queue(state="pending")["total"] == 0)
        self.assertEqual(self.queue(state="processed")["total"], len(ids))
        self.assertEqual(self.call("GET", "se-11", f"{FILES}/")["total"], 1)
        self.assertTrue(self.on_element("se-11", kept))
        self.assertEqual([one["file_id"] for one in self.registered()["files"]], [kept])


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
