# SPDX-License-Identifier: Apache-2.0
"""Whatever is done with accounts, people, keys, storage elements and files of the registry stands
in the audit trail, with who did it and what came of it.

usage: audit_test.py ARTCACHED
"""

import json
import pathlib
import re
import socket
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support")]

from artcached import ACCOUNT, Artcached, eventually  # noqa: E402

DAEMON = ""
API = "/api/v1/"
FIRST, SECOND = ACCOUNT["client_secret"], "Other-Password456"


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Artcached(DAEMON)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        cls.person = None
        cls.seen = set()

    def ask(self, method, path, check, body=None, **headers):
        """As a person, once one has logged in."""
        if self.person:
            headers.setdefault("Authorization", self.person)
        return self.daemon.call(method, "admin", API + path, check, headers=headers,
                                **({} if body is None else {"json_body": body}))

    def trail(self, query):
        return self.daemon.call("GET", "admin", f"{API}audit-log?limit=1000&{query}")["items"]

    def done(self, action, method, path, check, body=None, *, target=None, actor="admin"):
        """Does it, and finds exactly that in the trail."""
        request = f"audit-{len(self.seen)}"
        said = self.ask(method, path, check, body, **{"X-Request-ID": request})
        [entry] = self.trail(f"request_id={request}")
        self.assertEqual((entry["action"], entry["actor"], entry["status"], entry["success"]),
                         (action, actor, check, check < 400), entry)
        self.assertEqual(entry["peer"], "127.0.0.1")
        if target is not None:
            self.assertEqual(entry["target"], str(target))
        for secret in (FIRST, SECOND, "wrong-Password789"):
            self.assertNotIn(secret, json.dumps(entry))
        self.seen.add((action, check < 400, request))
        return said

    def login(self, name, password):
        said = self.done("admin.login", "POST", "admin-auth/login", 200,
                         {"username": name, "password": password}, actor=name)
        type(self).person = f"Bearer {said['access_token']}"
        return said

    def test_every_deed_is_written_down_with_who_did_it(self):
        self.done("admin.login", "POST", "admin-auth/login", 401,
                  {"username": "admin", "password": "wrong-Password789"})
        self.done("token.create", "POST", "auth/token", 200, ACCOUNT, actor="admin-service")
        self.done("token.create", "POST", "auth/token", 401,
                  {**ACCOUNT, "client_secret": "wrong-Password789"}, actor="admin-service")
        self.login("admin", FIRST)
        self.accounts()
        self.people()
        self.elements()
        self.files()
        self.done("jwt_key.rotate", "POST", "jwt-keys/rotate", 200)
        self.hanging_up()
        # A deed that a source file names and that nobody did here would be missing.
        named = set()
        for source in (ROOT / "daemon/roles/admin").glob("*.cpp"):
            named |= set(re.findall(
                r'"((?:admin|token|jwt_key|service_account|admin_user|storage_element|file)'
                r'\.[a-z_]+)"', source.read_text()))
        named.discard("admin.db")
        self.assertGreater(len(named), 15)
        self.assertEqual(named - {action for action, *_ in self.seen},
                         {"file.cleanup", "file.cleanup_retry"})  # registry_test has those

    def hanging_up(self):
        """A guess is written down, also when nobody waits for its answer."""
        body = json.dumps({**ACCOUNT, "client_secret": "wrong-Password789"}).encode()
        gone = [f"gone-{i}" for i in range(3)]
        for request in gone:
            with socket.create_connection(("127.0.0.1", self.daemon.ports["admin"])) as wire:
                wire.sendall(f"POST {API}auth/token HTTP/1.1\r\nHost: x\r\n"
                             f"Content-Type: application/json\r\nX-Request-ID: {request}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.assertTrue(eventually(lambda: all(self.trail(f"request_id={one}") for one in gone)))

    def accounts(self):
        all_of_them = "service-accounts"
        made = self.done("service_account.create", "POST", all_of_them, 201,
                         {"name": "audited", "role": "USER"})
        one = f"{all_of_them}/{made['id']}"
        self.done("service_account.create", "POST", all_of_them, 409,
                  {"name": "audited", "role": "USER"})
        self.done("service_account.update", "PUT", one, 200, {"description": "x"},
                  target=made["id"])
        self.done("service_account.rotate_secret", "POST", one + "/rotate-secret", 200, {},
                  target=made["id"])
        self.done("service_account.delete", "DELETE", one, 204, target=made["id"])
        self.done("service_account.delete", "DELETE", one, 404, target=made["id"])

    def people(self):
        made = self.done("admin_user.create", "POST", "admin-users", 201, {
            "username": "second", "email": "second@example.com", "password": FIRST,
            "role": "admin"})
        one = f"admin-users/{made['id']}"
        self.done("admin_user.update", "PUT", one, 200, {"email": "other@example.com"},
                  target=made["id"])
        self.done("admin_user.reset_password", "POST", one + "/reset-password", 200,
                  {"new_password": SECOND}, target=made["id"])
        tokens = self.login("second", SECOND)
        self.done("admin.refresh", "POST", "admin-auth/refresh", 200,
                  {"refresh_token": tokens["refresh_token"]}, actor="second")
        self.done("admin.change_password", "POST", "admin-auth/change-password", 200,
                  {"current_password": SECOND, "new_password": FIRST}, actor="second")
        self.login("second", FIRST)
        self.done("admin.logout", "POST", "admin-auth/logout", 200, {}, actor="second")
        self.login("admin", FIRST)
        self.done("admin_user.delete", "DELETE", one, 204, target=made["id"])

    def elements(self):
        all_of_them = "storage-elements"
        self.assertTrue(eventually(lambda: self.ask("GET", all_of_them, 200)["total"] == 3))
        # Each has entered itself, and says so once and not with every sign of life.
        entered = self.trail("action=storage_element.register")
        self.assertEqual([entry["actor"] for entry in entered], 3 * ["admin-service"])
        self.assertEqual(len({entry["target"] for entry in entered}), 3)
        self.seen.add(("storage_element.register", True, None))
        first = self.ask("GET", all_of_them, 200)["items"][0]["id"]
        self.done("storage_element.update", "PUT", f"{all_of_them}/{first}", 200,
                  {"name": "audited"}, target=first)
        self.done("storage_element.sync", "POST", f"{all_of_them}/sync/{first}", 200, {},
                  target=first)
        self.done("storage_element.sync_all", "POST", f"{all_of_them}/sync-all", 200, {})
        self.done("storage_element.create", "POST", all_of_them, 409,
                  {"api_url": self.daemon.address("se-02")})
        self.done("storage_element.delete", "DELETE", f"{all_of_them}/{first}", 204, target=first)
        self.done("storage_element.delete", "DELETE", f"{all_of_them}/999999", 404,
                  target=999999)
        self.done("storage_element.forget", "DELETE", "files/sync-status/se-99", 404,
                  target="se-99")

    def files(self):
        sent = self.daemon.upload("a.txt", b"a", role="se-02")["file_id"]
        one = f"files/{sent}"
        self.assertTrue(eventually(
            lambda: self.daemon.ask("GET", "admin", API + one)[0] == 200))
        self.done("file.update", "PATCH", one, 200, {"description": "x"}, target=sent)
        self.done("file.delete", "DELETE", one, 200, target=sent)
        self.done("file.restore", "POST", one + "/restore", 200, {}, target=sent)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
